//! What the attributes of a feature's struct say.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, DeriveInput, Ident, Lit, LitBool, LitStr, Path, Token, parenthesized};

use crate::check;
use crate::columns::{Column, columns};
use crate::options::{Pair, Texts, each, items, list, set, unknown, value};

/// A struct with its attributes, checked as far as one struct can be.
pub(crate) struct Feature {
    pub(crate) key: LitStr,
    pub(crate) ids: Vec<LitStr>,
    pub(crate) project: Option<Project>,
    pub(crate) description: Option<LitStr>,
    pub(crate) metadata: Vec<Pair<Value>>,
    pub(crate) register: bool,
    pub(crate) library: Path,
    pub(crate) deps: Vec<Dep>,
    pub(crate) fields: Vec<Field>,
    pub(crate) columns: Vec<Column>,
}

/// `#[dep("video/raw", …)]`
pub(crate) struct Dep {
    pub(crate) feature: LitStr,
    pub(crate) select: Option<Vec<LitStr>>,
    pub(crate) rename: Option<Vec<Pair<LitStr>>>,
    pub(crate) filters: Option<Vec<LitStr>>,
    pub(crate) lineage: Option<Lineage>,
    pub(crate) fields_mapping: Option<Mapping>,
    pub(crate) optional: Option<()>,
}

/// `#[field("text", …)]`
pub(crate) struct Field {
    pub(crate) key: LitStr,
    pub(crate) code_version: Option<LitStr>,
    pub(crate) deps: Option<FieldDeps>,
}

pub(crate) enum Project {
    Text(LitStr),
    Constant(Path),
}

pub(crate) enum Lineage {
    Identity,
    Aggregation(Option<Vec<LitStr>>),
    Expansion(Vec<LitStr>, Option<LitStr>),
}

pub(crate) enum Mapping {
    Default {
        match_suffix: bool,
        exclude_fields: Vec<LitStr>,
    },
    Specific(Vec<(LitStr, Texts)>),
    All,
    None,
}

pub(crate) enum FieldDeps {
    All,
    List(Vec<FieldDep>),
}

/// `"video/raw" = ["audio"]`, or `"video/raw"` for all its fields.
pub(crate) struct FieldDep {
    pub(crate) feature: LitStr,
    pub(crate) fields: Option<Texts>,
}

/// A value of the metadata, as an expression of type `Json`, given the path of the library.
pub(crate) struct Value {
    negative: bool,
    literal: Lit,
}

impl Feature {
    pub(crate) fn read(input: &DeriveInput) -> syn::Result<Self> {
        let mut options = Options::default();
        let (mut deps, mut fields) = (Vec::new(), Vec::new());
        for attribute in &input.attrs {
            if attribute.path().is_ident("metaxy") {
                attribute.parse_args_with(|tokens: ParseStream<'_>| options.read(tokens))?;
            } else if attribute.path().is_ident("dep") {
                deps.push(attribute.parse_args()?);
            } else if attribute.path().is_ident("field") {
                fields.push(attribute.parse_args()?);
            }
        }
        let columns = columns(input)?;
        let Some(key) = options.key else {
            return Err(syn::Error::new(
                at(&input.attrs, &input.ident),
                "the feature has no key\nhint: add `#[metaxy(key = \"a/b\")]`",
            ));
        };
        let ids = match options.ids {
            Some(ids) => match columns.iter().find_map(|column| column.id) {
                None => ids,
                Some(marked) => {
                    return Err(syn::Error::new(
                        marked,
                        "the ID columns are named at the struct already\nhint: keep `id` in one of the two places",
                    ));
                }
            },
            None => columns
                .iter()
                .filter(|column| column.id.is_some())
                .map(|column| LitStr::new(&column.name, column.span))
                .collect(),
        };
        let feature = Self {
            key,
            ids,
            project: options.project,
            description: options.description,
            metadata: options.metadata.unwrap_or_default(),
            register: options.register.is_none_or(|flag| flag.value),
            library: options.library.unwrap_or_else(default_library),
            deps,
            fields,
            columns,
        };
        check::feature(&feature)?;
        Ok(feature)
    }
}

/// Where the library is, for a struct that has no other option.
pub(crate) fn library(input: &DeriveInput) -> syn::Result<Path> {
    let mut library = None;
    for attribute in &input.attrs {
        if attribute.path().is_ident("metaxy") {
            attribute.parse_args_with(|tokens: ParseStream<'_>| {
                each(tokens, |name, input| match name.to_string().as_str() {
                    "crate" => set(&mut library, name, path(input)?),
                    _ => Err(unknown(name, "`#[metaxy(…)]` of a column type", &["crate"])),
                })
            })?;
        }
    }
    Ok(library.unwrap_or_else(default_library))
}

/// The options of `#[metaxy(…)]`, which may be spread over several.
#[derive(Default)]
struct Options {
    key: Option<LitStr>,
    ids: Option<Vec<LitStr>>,
    project: Option<Project>,
    description: Option<LitStr>,
    metadata: Option<Vec<Pair<Value>>>,
    register: Option<LitBool>,
    library: Option<Path>,
}

impl Options {
    fn read(&mut self, tokens: ParseStream<'_>) -> syn::Result<()> {
        const KNOWN: &[&str] = &[
            "key",
            "id",
            "project",
            "description",
            "metadata",
            "register",
            "crate",
        ];
        each(tokens, |name, input| match name.to_string().as_str() {
            "key" => set(&mut self.key, name, value(input)?),
            "id" if input.peek(Token![=]) => set(&mut self.ids, name, vec![value(input)?]),
            "id" => set(&mut self.ids, name, list(input)?),
            "project" => set(&mut self.project, name, value(input)?),
            "description" => set(&mut self.description, name, value(input)?),
            "metadata" => set(&mut self.metadata, name, list(input)?),
            "register" => set(&mut self.register, name, value(input)?),
            "crate" => set(&mut self.library, name, path(input)?),
            _ => Err(unknown(name, "`#[metaxy(…)]`", KNOWN)),
        })
    }
}

impl Parse for Dep {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        const KNOWN: &[&str] = &[
            "select",
            "rename",
            "filters",
            "lineage",
            "fields_mapping",
            "optional",
        ];
        let mut dep = Self {
            feature: first_key(input, "#[dep(…)]", "feature")?,
            select: None,
            rename: None,
            filters: None,
            lineage: None,
            fields_mapping: None,
            optional: None,
        };
        each(input, |name, input| match name.to_string().as_str() {
            "select" => set(&mut dep.select, name, list(input)?),
            "rename" => set(&mut dep.rename, name, list(input)?),
            "filters" => set(&mut dep.filters, name, list(input)?),
            "lineage" => set(&mut dep.lineage, name, value(input)?),
            "fields_mapping" => set(&mut dep.fields_mapping, name, value(input)?),
            "optional" => set(&mut dep.optional, name, ()),
            _ => Err(unknown(name, "`#[dep(…)]`", KNOWN)),
        })?;
        Ok(dep)
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut field = Self {
            key: first_key(input, "#[field(…)]", "field")?,
            code_version: None,
            deps: None,
        };
        each(input, |name, input| match name.to_string().as_str() {
            "code_version" => set(&mut field.code_version, name, value(input)?),
            "deps" => set(&mut field.deps, name, field_deps(input)?),
            _ => Err(unknown(name, "`#[field(…)]`", &["code_version", "deps"])),
        })?;
        Ok(field)
    }
}

impl Parse for FieldDep {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            feature: input.parse()?,
            fields: match input.peek(Token![=]) {
                true => Some(value(input)?),
                false => None,
            },
        })
    }
}

impl Parse for Project {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        match input.peek(LitStr) {
            true => input.parse().map(Self::Text),
            false => input.call(Path::parse_mod_style).map(Self::Constant),
        }
    }
}

impl Parse for Lineage {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let word: Ident = input.parse()?;
        let arguments = input.peek(syn::token::Paren);
        match word.to_string().as_str() {
            "identity" => Ok(Self::Identity),
            "aggregation" if arguments => list(input).map(|on| Self::Aggregation(Some(on))),
            "aggregation" => Ok(Self::Aggregation(None)),
            "expansion" if arguments => {
                let content;
                parenthesized!(content in input);
                let mut on = Vec::new();
                while content.peek(LitStr) {
                    on.push(content.parse()?);
                    if !content.is_empty() {
                        content.parse::<Token![,]>()?;
                    }
                }
                let mut pattern = None;
                each(&content, |name, input| match name.to_string().as_str() {
                    "id_generation_pattern" => set(&mut pattern, name, value(input)?),
                    _ => Err(unknown(name, "`expansion(…)`", &["id_generation_pattern"])),
                })?;
                Ok(Self::Expansion(on, pattern))
            }
            "expansion" => Err(syn::Error::new(
                word.span(),
                "an expansion names the columns that identify the upstream row\nhint: write `expansion(\"column\")`",
            )),
            _ => Err(unknown(
                &word,
                "`lineage`",
                &["identity", "aggregation", "expansion"],
            )),
        }
    }
}

impl Parse for Mapping {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let word: Ident = input.parse()?;
        match word.to_string().as_str() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            "default" => {
                let (mut suffix, mut exclude) = (None, None);
                if input.peek(syn::token::Paren) {
                    let content;
                    parenthesized!(content in input);
                    each(&content, |name, input| match name.to_string().as_str() {
                        "match_suffix" => set(&mut suffix, name, ()),
                        "exclude_fields" => set(&mut exclude, name, list(input)?),
                        _ => Err(unknown(
                            name,
                            "`default(…)`",
                            &["match_suffix", "exclude_fields"],
                        )),
                    })?;
                }
                Ok(Self::Default {
                    match_suffix: suffix.is_some(),
                    exclude_fields: exclude.unwrap_or_default(),
                })
            }
            "specific" => {
                let pairs: Vec<Pair<Texts>> = list(input)?;
                let key = |pair: &Pair<Texts>| LitStr::new(&pair.name, pair.span);
                Ok(Self::Specific(
                    pairs.into_iter().map(|p| (key(&p), p.value)).collect(),
                ))
            }
            _ => Err(unknown(
                &word,
                "`fields_mapping`",
                &["default", "specific", "all", "none"],
            )),
        }
    }
}

impl Parse for Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let negative = input.parse::<Option<Token![-]>>()?.is_some();
        let literal: Lit = input.parse()?;
        let right = match &literal {
            Lit::Str(_) | Lit::Bool(_) => !negative,
            Lit::Int(number) => number.base10_parse::<i128>().is_ok(),
            Lit::Float(_) => true,
            _ => false,
        };
        match right {
            true => Ok(Self { negative, literal }),
            false => Err(syn::Error::new(
                literal.span(),
                "a value of the metadata is text, a number, `true` or `false`\nhint: other values go in with `FeatureSpec::with_metadata`",
            )),
        }
    }
}

impl Value {
    pub(crate) fn json(&self, json: &TokenStream) -> TokenStream {
        let minus = if self.negative { "-" } else { "" };
        match &self.literal {
            Lit::Int(number) => {
                let digits = number.base10_digits().trim_start_matches('0');
                let text = match digits {
                    "" => "0".to_owned(),
                    digits => format!("{minus}{digits}"),
                };
                quote!(#json::Int(::std::string::String::from(#text)))
            }
            Lit::Float(number) => {
                let minus = self.negative.then(|| quote!(-));
                quote!(#json::Float(#minus #number))
            }
            other => quote!(#json::from(#other)),
        }
    }
}

/// The key that an attribute begins with.
fn first_key(input: ParseStream<'_>, place: &str, what: &str) -> syn::Result<LitStr> {
    if !input.peek(LitStr) {
        return Err(input.error(format!(
            "`{place}` begins with the key of a {what}, in quotes"
        )));
    }
    let key = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(key)
}

fn field_deps(input: ParseStream<'_>) -> syn::Result<FieldDeps> {
    let content;
    parenthesized!(content in input);
    if content.peek(Ident) {
        let word: Ident = content.parse()?;
        return match word == "all" && content.is_empty() {
            true => Ok(FieldDeps::All),
            false => Err(syn::Error::new(
                word.span(),
                "`deps` is `deps(all)`, or lists upstream features in quotes: `deps(\"video/raw\" = [\"audio\"])`",
            )),
        };
    }
    items(&content).map(FieldDeps::List)
}

fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse::<Token![=]>()?;
    input.call(Path::parse_mod_style)
}

fn default_library() -> Path {
    syn::parse_quote!(::metaxy_store)
}

/// Where to point when something is missing: the first `#[metaxy]`, or the struct's name.
pub(crate) fn at(attributes: &[Attribute], name: &Ident) -> Span {
    attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("metaxy"))
        .and_then(|attribute| attribute.path().get_ident())
        .map_or(name.span(), Ident::span)
}
