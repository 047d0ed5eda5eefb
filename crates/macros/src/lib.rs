//! The derives of metaxy. Use them through `metaxy_store`, with its Cargo feature `derive`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod check;
mod columns;
mod expand;
mod key;
mod options;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a feature: its members are the columns, its attributes the definition.
///
/// The struct implements the trait `Feature`, and its definition is registered for `FeatureGraph::from_inventory`. The
/// versions are those of the same feature made with the builders.
///
/// # `#[metaxy(…)]` on the struct
///
/// | option | meaning |
/// |---|---|
/// | `key = "video/crop"` | the feature's key; required |
/// | `id = "video_id"`, `id("video_id", "frame")` | the ID columns, in this order; or mark members with `#[metaxy(id)]` |
/// | `project = "demo"`, `project = PROJECT` | the project, as text or a constant; without it, the name of the Cargo package |
/// | `description = "…"` | what the feature is, for people; the doc comment is not taken, as the text is part of the spec version |
/// | `metadata(owner = "vision", "tier/a" = 1)` | values to attach: text, integers, floats, `true`, `false` |
/// | `register = false` | leaves the definition out of the inventory |
/// | `crate = metaxy_core` | where the library is, if not at `::metaxy_store` |
///
/// # `#[dep("video/raw", …)]` on the struct, once per upstream feature
///
/// | option | meaning |
/// |---|---|
/// | `select("path", "size")` | the columns to keep, by their new names |
/// | `rename(path = "raw_path", "old name" = "new")` | new names of columns |
/// | `filters("size > 3")` | SQL conditions that upstream rows meet |
/// | `lineage = …` | `identity`, `aggregation`, `aggregation("a")`, `expansion("a")`, `expansion("a", id_generation_pattern = "…")` |
/// | `fields_mapping = …` | `default`, `default(match_suffix, exclude_fields("a/b"))`, `specific("field" = ["upstream/field"])`, `all`, `none` |
/// | `optional` | samples exist without a row of this upstream |
///
/// # `#[field("text", …)]` on the struct, once per field
///
/// | option | meaning |
/// |---|---|
/// | `code_version = "2"` | the code version |
/// | `deps(all)` | every field of every upstream |
/// | `deps("video/raw" = ["audio"], "audio/chunk")` | these fields of the first upstream, all of the second |
///
/// Without any `#[field]` the feature has the one field `default`.
///
/// # Columns
///
/// A member is a column of the name under which serde knows it: `#[serde(rename)]`, `#[serde(rename_all)]` and `#[serde(skip)]` count.
/// Its type implements `ColumnType`; an `Option` is a column that may be null.
#[proc_macro_derive(Feature, attributes(metaxy, dep, field))]
pub fn derive_feature(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    attributes::Feature::read(&input)
        .and_then(|feature| expand::feature(&input, &feature))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct the type of a column: a nested struct with one member per member.
///
/// Names are those of serde, as for `Feature`. `#[metaxy(crate = metaxy_core)]` says where the library is, if not at
/// `::metaxy_store`.
#[proc_macro_derive(ColumnType, attributes(metaxy))]
pub fn derive_column_type(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::column_type(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
