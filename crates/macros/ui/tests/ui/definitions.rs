use metaxy_store::prelude::*;

#[derive(Feature)]
#[metaxy(id = "id")]
struct NoKey {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", key = "b", id = "id")]
struct TwoKeys {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
#[field("b")]
#[field("b")]
#[field("c/d")]
#[field("c_d")]
struct Fields {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
#[dep("a")]
#[dep("b")]
#[dep("b", rename(c = "d"), select("c"))]
#[field("f", deps("bb" = ["f"]))]
struct Deps {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id", project = "")]
struct Project {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id", metadata(a = 1, a = 2))]
struct Metadata {
    id: i64,
}

fn main() {}
