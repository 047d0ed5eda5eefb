//! Configurations.

use super::{CONFIG, Case, edited};

const DEV: &str = "database = \"dev.db\"";

pub(super) fn cases() -> Vec<Case> {
    // The whole text, and what is said of it.
    let whole = |text: &str, says: &[&'static str]| {
        Case::new(&["status"], says).with_file("metaxy.toml", text)
    };
    // One place that is changed.
    let edit = |old: &str, new: &str, says: &[&'static str]| whole(&edited(CONFIG, old, new), says);
    // Something in front of all else.
    let first = |text: &str, says: &[&'static str]| whole(&format!("{text}\n{CONFIG}"), says);
    // One more option of the store.
    let option = |text: &str, says: &[&'static str]| edit(DEV, &format!("{DEV}\n{text}"), says);
    vec![
        whole(
            "this is not toml",
            &["metaxy.toml is not valid TOML: line 1, column 6"],
        ),
        whole(&format!("{CONFIG}[stores.x\n"), &["line 15, column 10"]),
        edit(
            "store = \"dev\"",
            "store = \"dev\"\nstore = \"prod\"",
            &["line 3", "duplicate key"],
        ),
        edit(
            "truncation_length",
            "truncation_lenght",
            &["hint: did you mean `hash_truncation_length`?"],
        ),
        first(
            "colour = \"red\"",
            &[
                "`colour` is not a known key",
                "the known keys are project, ",
            ],
        ),
        edit(
            "project = \"films\"",
            "project = 3",
            &[
                "`project` must be a string, found an integer (3)",
                "project = \"…\"",
            ],
        ),
        edit(
            "project = \"films\"",
            "project = \"\"",
            &["`project` is empty"],
        ),
        edit("\"films\"", "\"my films\"", &["\"my films\" contains ' '"]),
        edit("\"films\"", "\"a__b\"", &["contains a double underscore"]),
        edit(
            "store = \"dev\"",
            "store = \"\"",
            &["`store` is empty", "it names the default store"],
        ),
        edit(
            "store = \"dev\"",
            "store = \"def\"",
            &["store `def` is not configured", "did you mean `dev`?"],
        ),
        whole(
            "[store]\ntype = \"sqlite\"\n",
            &["`store` must be a string", "described under `stores`"],
        ),
        whole("stores = 3\n", &["`stores` must be a table", "[stores]"]),
        whole(
            "[dev]\ntype = \"sqlite\"\n",
            &["`dev` is not a known key", "under `stores.dev`"],
        ),
        edit(
            "= 20",
            "= 4",
            &["`hash_truncation_length` is 4", "at least 8"],
        ),
        edit(
            "= 20",
            "= \"long\"",
            &["must be a whole number, found \"long\""],
        ),
        edit("= 20", "= -1", &["must be a whole number"]),
        edit(
            "[\"features/*.toml\"]",
            "7",
            &["`features` must be a list of globs"],
        ),
        edit("features/*.toml", "", &["`features` holds an empty path"]),
        edit(
            "features/*.toml",
            "feature/*.toml",
            &["no feature file matches `features` = \"feature/*.toml\""],
        ),
        edit(
            "features/*.toml",
            "features/[*.toml",
            &["which is not a glob"],
        ),
        edit(
            "type = \"sqlite\"\n",
            "",
            &[
                "`stores.dev` has no `type`",
                "type = \"sqlite\" in [stores.dev]",
            ],
        ),
        edit(
            "type = \"sqlite\"",
            "type = 1",
            &["`stores.dev.type` must name a type of store"],
        ),
        edit(
            "type = \"sqlite\"",
            "type = \"sqlit\"",
            &["store type `sqlit`", "did you mean `sqlite`?"],
        ),
        edit(
            "type = \"sqlite\"",
            "type = \"metaxy.ext.clickhouse.Store\"",
            &["has no counterpart here"],
        ),
        edit(
            "database =",
            "databse =",
            &["needs the option `database`", "was it meant by `databse`?"],
        ),
        option(
            "databse = \"x\"",
            &[
                "store `dev` has no option `databse`",
                "did you mean `database`?",
            ],
        ),
        edit(
            "database = \"dev.db\"",
            "database = 7",
            &["option `database` of store `dev` must be a string"],
        ),
        edit(
            "\"xxhash64\"",
            "\"xxhash46\"",
            &[
                "\"xxhash46\" is not a hash algorithm",
                "did you mean \"xxhash64\"?",
            ],
        ),
        option(
            "config = { database = \"x.db\" }",
            &[
                "`stores.dev.database` is given twice",
                "remove one of the two",
            ],
        ),
        option(
            "fallback_stores = [\"prd\"]",
            &["falls back to `prd`", "did you mean `prod`?"],
        ),
        option("fallback_stores = [\"dev\"]", &["form a cycle: dev -> dev"]),
        option(
            "fallback_stores = 3",
            &["`stores.dev.fallback_stores` must be a list"],
        ),
        option(
            "versioning_engine = \"spark\"",
            &["`versioning_engine`", "auto, native, polars"],
        ),
        option(
            "auto_create_tables = \"perhaps\"",
            &["`auto_create_tables`", "= true"],
        ),
        option(
            "lock_timeout = [1]",
            &["`lock_timeout`", "must be a duration", "\"30s\""],
        ),
        edit(
            "\"dev.db\"",
            "\"${NO_SUCH_PLACE}/dev.db\"",
            &[
                "variable `NO_SUCH_PLACE`, which is not set",
                "set NO_SUCH_PLACE",
            ],
        ),
        edit(
            "\"dev.db\"",
            "\"features\"",
            &["features cannot be opened: it is a folder"],
        ),
        edit(
            "\"dev.db\"",
            "\"raw.ndjson\"",
            &[
                "raw.ndjson is not a SQLite database",
                "the file was not touched",
            ],
        ),
        whole(
            &edited(
                &edited(CONFIG, DEV, &format!("{DEV}\nfallback_stores = [\"prod\"]")),
                "\"prod.db\"\nhash_algorithm = \"xxhash64\"",
                "\"prod.db\"\nhash_algorithm = \"md5\"",
            ),
            &["\"dev\" hashes with xxhash64", "\"prod\" with md5"],
        ),
        first("extend = \"base.toml\"", &["`extend` names \"base.toml\""]),
        first("extend = 3", &["`extend` must be the path of a file"]),
        first("extend = \"metaxy.toml\"", &["extend each other"]),
        first(
            "sync = \"maybe\"",
            &["`sync` must be a boolean, found \"maybe\"", "sync = true"],
        ),
        first(
            "extra_features = 3",
            &["`extra_features` must be a list of selections"],
        ),
        first(
            "extra_features = [{}]",
            &["`extra_features[0]` selects nothing"],
        ),
        first(
            "extra_features = [{ project = [\"a\"] }]",
            &["did you mean `projects`?"],
        ),
        first(
            "extra_features = [{ projects = [\"none\"] }]",
            &["no features of project \"none\""],
        ),
        first(
            "metaxy_lock_path = \"metaxy.lock\"",
            &["metaxy.lock", "`metaxy lock` writes it anew"],
        )
        .with_file("metaxy.lock", "not toml ["),
        edit(
            "\"dev.db\"",
            "\"no/such/dev.db\"",
            &["there is no folder", "create the folder"],
        )
        .writing(),
    ]
}

impl Case {
    /// The same with a command that writes.
    fn writing(mut self) -> Self {
        self.args = vec!["write", "video/raw", "raw.ndjson"];
        self
    }
}
