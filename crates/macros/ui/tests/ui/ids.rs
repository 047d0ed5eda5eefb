use metaxy_store::prelude::*;

#[derive(Feature)]
#[metaxy(key = "a")]
struct None {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "video_di")]
struct NoColumn {
    video_id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id("id", "id"))]
struct Twice {
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a", id = "id")]
struct BothPlaces {
    #[metaxy(id)]
    id: i64,
}

#[derive(Feature)]
#[metaxy(key = "a")]
struct Null {
    #[metaxy(id)]
    id: Option<i64>,
}

fn main() {}
