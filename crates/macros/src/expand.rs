//! The code that the derives write: calls of the builders, as a person would write them.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, LitStr, Path};

use crate::attributes::{self, Dep, Feature, Field, FieldDeps, Lineage, Mapping, Project};
use crate::columns::{Column, columns};

pub(crate) fn feature(input: &DeriveInput, feature: &Feature) -> syn::Result<TokenStream> {
    let library = &feature.library;
    let name = &input.ident;
    let (key, ids) = (&feature.key, &feature.ids);
    let deps = feature.deps.iter().map(|d| dep(d, library));
    let fields = feature.fields.iter().map(|f| field(f, library));
    let json = quote!(#library::json::Json);
    let metadata = feature.metadata.iter().map(|pair| {
        let (name, value) = (&pair.name, pair.value.json(&json));
        quote!(.with_metadata(#name, #value))
    });
    let description = feature
        .description
        .iter()
        .map(|text| quote!(.with_description(#text)));
    let project = project(feature)?;
    let members = members(&feature.columns, library);
    let registration = feature.register.then(|| {
        quote! {
            #library::typed::submit! { #library::typed::FeatureRegistration::of::<#name>() }
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl #library::typed::Feature for #name {
            const KEY: &'static str = #key;

            fn definition() -> #library::Result<#library::definition::FeatureDefinition> {
                let spec = #library::spec::FeatureSpec::new(#key, [#(#ids),*])?
                    #(.with_dep(#deps))*
                    #(.with_field(#fields))*
                    #(#metadata)*
                    #(#description)*;
                let path = ::std::concat!(::std::module_path!(), "::", ::std::stringify!(#name));
                let definition = #library::definition::FeatureDefinition::new(spec, #project)
                    .with_schema(#library::typed::json_schema(
                        ::std::stringify!(#name),
                        &<Self as #library::typed::Feature>::schema(),
                    ))
                    .with_class_path(path.replace("::", "."));
                definition.validate()?;
                ::std::result::Result::Ok(definition)
            }

            fn schema() -> #library::typed::SchemaRef {
                #library::typed::schema_of([#(#members),*])
            }
        }

        #registration
    })
}

pub(crate) fn column_type(input: &DeriveInput) -> syn::Result<TokenStream> {
    let library = attributes::library(input)?;
    let columns = columns(input)?;
    if let Some(span) = columns.iter().find_map(|column| column.id) {
        return Err(syn::Error::new(
            span,
            "a member of a nested struct cannot be an ID column",
        ));
    }
    let name = &input.ident;
    let members = members(&columns, &library);
    Ok(quote! {
        #[automatically_derived]
        impl #library::typed::ColumnType for #name {
            fn data_type() -> #library::typed::DataType {
                #library::typed::struct_of([#(#members),*])
            }
        }
    })
}

/// Each column as an expression; a type that is none of a column is an error at the type.
fn members(columns: &[Column], library: &Path) -> Vec<TokenStream> {
    let member = |column: &Column| {
        let (name, ty) = (&column.name, &column.ty);
        quote_spanned!(ty.span()=> #library::typed::column::<#ty>(#name))
    };
    columns.iter().map(member).collect()
}

fn project(feature: &Feature) -> syn::Result<TokenStream> {
    match &feature.project {
        Some(Project::Text(text)) if text.value().is_empty() => Err(syn::Error::new(
            text.span(),
            "the project has no name\nhint: name it, or leave `project` out to use the name of the Cargo package",
        )),
        Some(Project::Text(text)) => Ok(quote!(#text)),
        Some(Project::Constant(path)) => Ok(quote!(#path)),
        None if std::env::var_os("CARGO_PKG_NAME").is_some() => {
            Ok(quote!(::std::env!("CARGO_PKG_NAME")))
        }
        None => Err(syn::Error::new(
            feature.key.span(),
            "the project is not known without Cargo\nhint: add `project = \"name\"`",
        )),
    }
}

fn dep(dep: &Dep, library: &Path) -> TokenStream {
    let feature = &dep.feature;
    let mut code = quote!(#library::spec::FeatureDep::new(#feature)?);
    for pair in dep.rename.iter().flatten() {
        let (old, new) = (&pair.name, &pair.value);
        code.extend(quote!(.with_rename(#old, #new)));
    }
    if let Some(select) = &dep.select {
        let select = texts(select);
        code.extend(quote!(.with_select(#select)));
    }
    for filter in dep.filters.iter().flatten() {
        code.extend(quote!(.with_filter(#filter)));
    }
    if let Some(mapping) = &dep.fields_mapping {
        let mapping = fields_mapping(mapping, library);
        code.extend(quote!(.with_fields_mapping(#mapping)));
    }
    if let Some(lineage) = &dep.lineage {
        let lineage = lineage_code(lineage, library);
        code.extend(quote!(.with_lineage(#lineage)));
    }
    if dep.optional.is_some() {
        code.extend(quote!(.optional()));
    }
    code
}

fn lineage_code(lineage: &Lineage, library: &Path) -> TokenStream {
    let ty = quote!(#library::spec::Lineage);
    match lineage {
        Lineage::Identity => quote!(#ty::Identity),
        Lineage::Aggregation(None) => quote!(#ty::Aggregation { on: ::std::option::Option::None }),
        Lineage::Aggregation(Some(on)) => {
            let on = texts(on);
            quote!(#ty::aggregation(#on))
        }
        Lineage::Expansion(on, None) => {
            let on = texts(on);
            quote!(#ty::expansion(#on))
        }
        Lineage::Expansion(on, Some(pattern)) => quote!(#ty::Expansion {
            on: ::std::vec![#(::std::string::String::from(#on)),*],
            id_generation_pattern: ::std::option::Option::Some(::std::string::String::from(#pattern)),
        }),
    }
}

fn fields_mapping(mapping: &Mapping, library: &Path) -> TokenStream {
    let ty = quote!(#library::spec::FieldsMapping);
    match mapping {
        Mapping::All => quote!(#ty::All),
        Mapping::None => quote!(#ty::None),
        Mapping::Default {
            match_suffix,
            exclude_fields,
        } => quote!(#ty::Default {
            match_suffix: #match_suffix,
            exclude_fields: ::std::vec![#(#library::FieldKey::new(#exclude_fields)?),*],
        }),
        Mapping::Specific(pairs) => {
            let pairs = pairs.iter().map(|(field, upstream)| {
                let upstream = &upstream.0;
                quote!((#field, ::std::vec::Vec::<&str>::from([#(#upstream),*])))
            });
            quote!(#ty::specific(::std::vec::Vec::<(&str, ::std::vec::Vec<&str>)>::from([#(#pairs),*]))?)
        }
    }
}

fn field(field: &Field, library: &Path) -> TokenStream {
    let key = &field.key;
    let mut code = quote!(#library::spec::FieldSpec::new(#key)?);
    if let Some(version) = &field.code_version {
        code.extend(quote!(.with_code_version(#version)));
    }
    match &field.deps {
        None => {}
        Some(FieldDeps::All) => {
            code.extend(quote!(.with_deps(#library::spec::FieldDeps::All)));
        }
        Some(FieldDeps::List(deps)) => {
            for dep in deps {
                let feature = &dep.feature;
                let dep = match &dep.fields {
                    None => quote!(#library::spec::FieldDep::all(#feature)?),
                    Some(fields) => {
                        let fields = texts(&fields.0);
                        quote!(#library::spec::FieldDep::new(#feature, #fields)?)
                    }
                };
                code.extend(quote!(.with_dep(#dep)));
            }
        }
    }
    code
}

/// A list of texts whose type is known even when it is empty.
fn texts(texts: &[LitStr]) -> TokenStream {
    let count = texts.len();
    quote!(<[&str; #count]>::from([#(#texts),*]))
}
