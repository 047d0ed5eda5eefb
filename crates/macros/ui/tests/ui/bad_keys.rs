use metaxy_store::prelude::*;

#[derive(Feature)]
#[metaxy(key = "Video/raw", id = "id")]
#[dep("audio//chunk")]
#[dep("text", fields_mapping = specific("a b" = ["c__d"]))]
#[field("1st", deps("text" = ["Z"]))]
struct Raw {
    id: i64,
}

fn main() {}
