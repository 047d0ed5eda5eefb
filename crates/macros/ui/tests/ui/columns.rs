use metaxy_store::prelude::*;

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
struct System {
    id: i64,
    metaxy_provenance: String,
}

#[derive(Feature, serde::Serialize)]
#[metaxy(key = "a", id = "id")]
struct Same {
    id: i64,
    #[serde(rename = "id")]
    other: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
struct Unknown {
    id: i64,
    thread: std::thread::Thread,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
struct Generic<T> {
    id: T,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
struct Tuple(i64);

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
enum Choice {
    Id(i64),
}

fn main() {}
