//! Feature files.

use super::{Case, FEATURES, edited};

pub(super) fn cases() -> Vec<Case> {
    let whole = |text: &str, says: &[&'static str]| {
        Case::new(&["status"], says).with_file("features/all.toml", text)
    };
    let edit =
        |old: &str, new: &str, says: &[&'static str]| whole(&edited(FEATURES, old, new), says);
    // The dependency of the transcript.
    let dep = |text: &str, says: &[&'static str]| edit("deps = [\"video/raw\"]", text, says);
    let ids = "id_columns = [\"video_id\"]\nfields";
    let fields = "fields = [\"audio\", \"frames\"]";
    // Two features that pass on a column of a third, and one that takes all they have.
    let passing = |name: &str, deps: &str| {
        format!(
            "\n[[feature]]\nkey = \"video/{name}\"\nid_columns = [\"video_id\"]\ndeps = {deps}\n"
        )
    };
    let path = "[{ feature = \"video/raw\", select = [\"path\"] }]";
    let diamond = [
        FEATURES.to_owned(),
        passing("small", path),
        passing("loud", path),
        passing("both", "[\"video/small\", \"video/loud\"]"),
    ];
    vec![
        whole(
            &diamond.concat(),
            &[
                "feature `video/both`: its upstreams `video/small` and `video/loud` both pass on a column `path`",
                "rename `path` in one",
            ],
        ),
        whole(
            "[[feature]\nkey = 1",
            &["line 1, column 11", "features/all.toml"],
        ),
        whole(
            "[[features]]\nkey = \"x\"\n",
            &["`features`", "did you mean `feature`?"],
        ),
        whole(
            "[feature]\nkey = \"x\"\n",
            &["`feature` must be a list", "[[feature]]"],
        ),
        edit(
            "key = \"video/raw\"\n",
            "",
            &["`key` is missing", "features/all.toml:1"],
        ),
        edit(
            "key = \"video/raw\"",
            "key = \"Video/Raw\"",
            &["\"Video/Raw\" is not a feature key", "lower-case"],
        ),
        edit(
            "key = \"video/raw\"",
            "key = \"a__b\"",
            &["contains a double underscore"],
        ),
        edit(
            ids,
            "fields",
            &["feature `video/raw`: `id_columns` is missing"],
        ),
        edit(ids, "id_columns = []\nfields", &["it has no ID columns"]),
        edit(
            ids,
            "id_columns = \"video_id\"\nfields",
            &["`id_columns` must be a list"],
        ),
        edit(
            ids,
            "id_columns = [\"a\", \"a\"]\nfields",
            &["ID columns contain `a` twice"],
        ),
        edit(
            ids,
            "id_columns = [\"metaxy_provenance\"]\nfields",
            &["ID columns contain `metaxy_provenance`"],
        ),
        whole(
            &FEATURES.repeat(2),
            &["feature `video/raw` is defined in features/all.toml:1 and again"],
        ),
        edit(
            "deps = [\"video/raw\"]",
            "deps = [\"video/transcript\"]",
            &["feature `video/transcript`: it depends on itself"],
        ),
        edit(
            fields,
            "feilds = []",
            &["unknown key `feilds`", "did you mean `fields`?"],
        ),
        edit(
            fields,
            "fields = [\"audio\", \"audio\"]",
            &["field `audio` is defined twice"],
        ),
        edit(fields, "fields = []", &["it has no fields"]),
        edit(
            fields,
            "fields = 7",
            &["`fields` must be a table or a list of keys"],
        ),
        edit(
            fields,
            "deps = [\"video/transcript\"]",
            &["depend on each other in a circle"],
        ),
        dep(
            "deps = [\"video/rew\"]",
            &["depends on `video/rew`", "did you mean `video/raw`?"],
        ),
        dep("deps = \"video/raw\"", &["`deps` must be a list"]),
        dep(
            "deps = [{ feature = \"video/raw\", lineage = \"sum\" }]",
            &["lineage is \"sum\"", "\"aggregation\""],
        ),
        dep(
            "deps = [{ feature = \"video/raw\", optonal = true }]",
            &["unknown key `optonal`", "did you mean `optional`?"],
        ),
        dep(
            "deps = [{ feature = \"video/raw\", optional = 1 }]",
            &["`optional` must be true or false"],
        ),
        dep(
            "deps = [{ feature = \"video/raw\", rename = { seconds = \"video_id\" } }]",
            &["takes the name of an ID column"],
        ),
        dep(
            "deps = [{ feature = \"video/raw\", filters = [\"seconds >\"] }]",
            &["the filter \"seconds >\"", "video/raw"],
        ),
        dep(
            "deps = [\"video/raw\", \"video/raw\"]",
            &["video/raw", "video/transcript"],
        ),
        edit(
            "feature = \"video/raw\", fields",
            "feature = \"video/rew\", fields",
            &["fields of `video/rew`", "did you mean `video/raw`?"],
        ),
        edit(
            "[\"audio\"] }]",
            "[\"audoi\"] }]",
            &["the field `audoi` of `video/raw`", "did you mean `audio`?"],
        ),
        edit(
            "code_version = \"1\"",
            "code_version = [1]",
            &["`code_version` must be a string", "field `text`"],
        ),
        edit(
            "id_columns = [\"video_id\"]\ndeps",
            "id_columns = [\"video_id\"]\nproject = 3\ndeps",
            &["`project` must be a string"],
        ),
    ]
}
