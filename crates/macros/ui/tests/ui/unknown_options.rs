use metaxy_store::prelude::*;

#[derive(Feature)]
#[metaxy(key = "a", id = "id", descripton = "a")]
struct Top {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
#[dep("b", selct("c"))]
struct Dep {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
#[dep("b", lineage = agregation)]
struct Lineages {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
#[field("b", code = "c")]
struct Field {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a")]
struct Member {
    #[metaxy(ids)]
    id: i64,
}

fn main() {}
