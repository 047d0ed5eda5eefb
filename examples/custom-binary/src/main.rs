//! The `metaxy` command, with the features that these structs are.

use std::process::ExitCode;

use metaxy_store::prelude::*;

/// A book as it came in.
#[derive(Feature)]
#[metaxy(key = "book/raw", project = "books")]
#[field("text")]
#[field("cover")]
#[allow(
    dead_code,
    reason = "the members are the columns; this program makes no rows"
)]
struct Book {
    #[metaxy(id)]
    isbn: String,
    title: String,
}

/// What a book says: its cover does not matter.
#[derive(Feature)]
#[metaxy(key = "book/summary", project = "books")]
#[dep("book/raw", select("title"))]
#[field("summary", code_version = "1", deps("book/raw" = ["text"]))]
#[allow(
    dead_code,
    reason = "the members are the columns; this program makes no rows"
)]
struct Summary {
    #[metaxy(id)]
    isbn: String,
    title: String,
    summary: Option<String>,
}

fn main() -> ExitCode {
    metaxy_cli::run_with(std::env::args_os(), FeatureGraph::from_inventory)
}
