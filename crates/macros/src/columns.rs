//! The members of a struct as columns, under the names that serde gives them.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Expr, Fields, Lit, Meta, Token, Type};

use crate::options::{each, unknown};

/// A member of a struct.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) ty: Type,
    /// Where the member is marked as an ID column.
    pub(crate) id: Option<Span>,
}

impl Column {
    /// Whether the type is written as an `Option`.
    pub(crate) fn is_option(&self) -> bool {
        let Type::Path(path) = &self.ty else {
            return false;
        };
        path.path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Option")
    }
}

/// The columns of a struct, without the members that serde skips.
pub(crate) fn columns(input: &DeriveInput) -> syn::Result<Vec<Column>> {
    let refuse = |what: &str| {
        Err(syn::Error::new(
            input.ident.span(),
            format!("{what}\nhint: columns are the named members of a struct"),
        ))
    };
    let members = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(members) => &members.named,
            _ => return refuse("the members of this struct have no names"),
        },
        _ => return refuse("this is not a struct"),
    };
    if !input.generics.params.is_empty() {
        return refuse("this struct has parameters, so its columns are not known");
    }
    let all = serde(&input.attrs)?.rename_all;
    let mut columns: Vec<Column> = Vec::new();
    for member in members {
        let Some(ident) = &member.ident else { continue };
        let serde = serde(&member.attrs)?;
        if let Some(flatten) = serde.flatten {
            return Err(syn::Error::new(
                flatten,
                "flattened members are not known as columns\nhint: name them in this struct",
            ));
        }
        let id = id(&member.attrs)?;
        if serde.skip {
            match id {
                Some(span) => {
                    return Err(syn::Error::new(
                        span,
                        "an ID column cannot be skipped by serde",
                    ));
                }
                None => continue,
            }
        }
        let written = ident.unraw().to_string();
        let name = match (serde.rename, &all) {
            (Some(name), _) => name,
            (None, Some((rule, span))) => renamed(&written, rule, *span)?,
            (None, None) => written,
        };
        if columns.iter().any(|column| column.name == name) {
            return Err(syn::Error::new(
                ident.span(),
                format!("two members are the column `{name}`"),
            ));
        }
        columns.push(Column {
            name,
            span: ident.span(),
            ty: member.ty.clone(),
            id,
        });
    }
    Ok(columns)
}

/// Where `#[metaxy(id)]` stands.
fn id(attributes: &[Attribute]) -> syn::Result<Option<Span>> {
    let mut id = None;
    for attribute in attributes {
        if attribute.path().is_ident("metaxy") {
            attribute.parse_args_with(|tokens: ParseStream<'_>| {
                each(tokens, |name, _| match name == "id" {
                    true => {
                        id = Some(name.span());
                        Ok(())
                    }
                    false => Err(unknown(name, "`#[metaxy(…)]` of a member", &["id"])),
                })
            })?;
        } else if ["dep", "field"]
            .iter()
            .any(|name| attribute.path().is_ident(name))
        {
            return Err(syn::Error::new_spanned(
                attribute,
                "this attribute belongs to the struct, not to a member",
            ));
        }
    }
    Ok(id)
}

/// What serde's attributes say of names.
#[derive(Default)]
struct Serde {
    rename: Option<String>,
    rename_all: Option<(String, Span)>,
    skip: bool,
    flatten: Option<Span>,
}

fn serde(attributes: &[Attribute]) -> syn::Result<Serde> {
    let mut serde = Serde::default();
    for attribute in attributes {
        if !attribute.path().is_ident("serde") {
            continue;
        }
        for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
            let Some(name) = meta.path().get_ident() else {
                continue;
            };
            match (name.to_string().as_str(), &meta) {
                ("rename", meta) => serde.rename = Some(text(meta)?.0),
                ("rename_all", meta) => serde.rename_all = Some(text(meta)?),
                ("skip" | "skip_serializing", _) => serde.skip = true,
                ("flatten", _) => serde.flatten = Some(name.span()),
                _ => {}
            }
        }
    }
    Ok(serde)
}

/// The text of `name = "text"`.
fn text(meta: &Meta) -> syn::Result<(String, Span)> {
    if let Meta::NameValue(pair) = meta
        && let Expr::Lit(literal) = &pair.value
        && let Lit::Str(text) = &literal.lit
    {
        return Ok((text.value(), text.span()));
    }
    Err(syn::Error::new_spanned(
        meta,
        "a column has one name, for writing and for reading\nhint: write `= \"name\"`",
    ))
}

/// A member's name after one of serde's rules.
fn renamed(name: &str, rule: &str, span: Span) -> syn::Result<String> {
    let pascal = || -> String {
        let words = name.split('_').map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        });
        words.collect()
    };
    Ok(match rule {
        "lowercase" | "snake_case" => name.to_owned(),
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => {
            let pascal = pascal();
            let mut letters = pascal.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_lowercase().chain(letters).collect()
            })
        }
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => {
            return Err(syn::Error::new(
                span,
                format!("serde has no rule {rule:?} for names"),
            ));
        }
    })
}
