//! Stores that an enemy has written: whoever reads one gets an answer or an error, and nothing in it runs.
//!
//! Each store is made as metaxy makes it, and then changed by SQL of another program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use metaxy_conformance::processes::{self, derived, raw, samples};
use metaxy_core::maintain::Maintenance;
use metaxy_core::{
    Access, Backend, DeleteOptions, Error, ErrorKind, MetadataStore, ReadOptions, ResolveOptions,
    col, lit,
};
use metaxy_sqlite::SqliteConfig;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

const ROWS: i64 = 40;

/// What becomes of a store.
enum Then {
    /// It is read as before.
    Fine,
    /// Whoever looks at the table is told that it is corrupt; the message has this word.
    Corrupt(&'static str),
    /// One or the other, but nothing worse.
    Survived,
}
use Then::{Corrupt, Fine, Survived};

/// A change of a store: its name, the SQL, what becomes of the store.
type Change = (&'static str, &'static str, Then);

/// Gives the table `shared__raw` another definition, behind SQLite's back.
macro_rules! redefine {
    ($from:literal, $to:literal) => {
        concat!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '",
            $from,
            "', '",
            $to,
            "') WHERE name = 'shared__raw'; PRAGMA writable_schema = RESET"
        )
    };
}

/// Gives the catalog another opinion of the columns.
macro_rules! recatalog {
    ($from:literal, $to:literal) => {
        concat!(
            "UPDATE \"metaxy.tables\" SET arrow_schema = replace(arrow_schema, '",
            $from,
            "', '",
            $to,
            "') WHERE name = 'shared__raw'"
        )
    };
}

const CHANGES: &[Change] = &[
    ("nothing", "SELECT 1", Fine),
    // Rows.
    (
        "row_numbers_are_huge",
        "UPDATE shared__raw SET \"metaxy.row\" = \"metaxy.row\" + (1 << 40); UPDATE shared__derived SET \"metaxy.row\" = \"metaxy.row\" + (1 << 40)",
        Fine,
    ),
    (
        "row_numbers_are_far_apart",
        "UPDATE shared__derived SET \"metaxy.row\" = \"metaxy.row\" * (1 << 50)",
        Fine,
    ),
    (
        "row_numbers_are_negative",
        "UPDATE shared__derived SET \"metaxy.row\" = -\"metaxy.row\"",
        Fine,
    ),
    (
        "row_numbers_end",
        "UPDATE shared__raw SET \"metaxy.row\" = 9223372036854775807 WHERE \"metaxy.row\" = 1",
        Survived,
    ),
    (
        "json_is_none",
        "UPDATE shared__raw SET metaxy_provenance_by_field = 'none'",
        Corrupt("metaxy_provenance_by_field"),
    ),
    (
        "json_is_empty",
        "UPDATE shared__raw SET metaxy_provenance_by_field = ''",
        Corrupt("metaxy_provenance_by_field"),
    ),
    (
        "json_is_two",
        "UPDATE shared__raw SET metaxy_provenance_by_field = '{\"content\":\"x\"} {\"content\":\"y\"}'",
        Corrupt("metaxy_provenance_by_field"),
    ),
    (
        "json_is_deep",
        "UPDATE shared__raw SET metaxy_provenance_by_field = printf('%.*c', 100000, '[')",
        Corrupt("metaxy_provenance_by_field"),
    ),
    (
        "json_holds_numbers",
        "UPDATE shared__raw SET metaxy_provenance_by_field = '{\"content\":1}'",
        Corrupt("metaxy_provenance_by_field"),
    ),
    (
        "json_of_versions_is_none",
        "UPDATE shared__raw SET metaxy_data_version_by_field = 'none'",
        Corrupt("metaxy_data_version_by_field"),
    ),
    (
        "text_is_not_utf8",
        "UPDATE shared__raw SET metaxy_provenance = CAST(x'ff' AS TEXT)",
        Corrupt("metaxy_provenance"),
    ),
    (
        "text_has_zeros",
        "UPDATE shared__raw SET metaxy_provenance = CAST(x'610062' AS TEXT)",
        Survived,
    ),
    (
        "times_are_far",
        "UPDATE shared__raw SET metaxy_updated_at = 9223372036854775807",
        Survived,
    ),
    (
        "times_are_past",
        "UPDATE shared__raw SET metaxy_updated_at = -9223372036854775808",
        Survived,
    ),
    (
        "everything_is_null",
        "UPDATE shared__raw SET id = NULL, metaxy_updated_at = NULL, metaxy_provenance = NULL, metaxy_feature_version = NULL",
        Survived,
    ),
    (
        "a_value_does_not_fit",
        recatalog!("Int64", "Int8"),
        Survived,
    ),
    // Tables.
    (
        "a_column_is_missing",
        "ALTER TABLE shared__raw DROP COLUMN batch",
        Corrupt("\"batch\""),
    ),
    (
        "a_column_has_another_name",
        "ALTER TABLE shared__raw RENAME COLUMN batch TO other",
        Corrupt("\"batch\""),
    ),
    (
        "a_column_has_a_bad_name",
        "ALTER TABLE shared__raw RENAME COLUMN batch TO \"a\"\"b'c;--\"",
        Corrupt("\"batch\""),
    ),
    (
        "a_column_is_strange",
        "ALTER TABLE shared__raw ADD COLUMN strange TEXT",
        Corrupt("\"strange\""),
    ),
    (
        "a_column_is_generated",
        redefine!("\"batch\" INTEGER", "\"batch\" INTEGER AS (abs(-1))"),
        Corrupt("\"batch\""),
    ),
    (
        "a_column_calls_ours",
        redefine!("\"batch\" INTEGER", "\"batch\" INTEGER AS (metaxy_hash())"),
        Survived,
    ),
    (
        "a_column_has_another_type",
        redefine!("\"batch\" INTEGER", "\"batch\" TEXT"),
        Corrupt("\"batch\""),
    ),
    (
        "a_column_ignores_case",
        redefine!(
            "\"metaxy_provenance\" TEXT",
            "\"metaxy_provenance\" TEXT COLLATE NOCASE"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_column_is_checked",
        redefine!(
            "\"batch\" INTEGER",
            "\"batch\" INTEGER CHECK (length(randomblob(100000000)) > 0)"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_row_replaces_others",
        redefine!(
            "\"id\" INTEGER",
            "\"id\" INTEGER UNIQUE ON CONFLICT REPLACE"
        ),
        Survived,
    ),
    (
        "types_are_no_promise",
        redefine!(") STRICT", ")"),
        Corrupt("shared__raw"),
    ),
    (
        "the_table_is_a_view",
        "ALTER TABLE shared__raw RENAME TO other; CREATE VIEW shared__raw AS SELECT * FROM other",
        Corrupt("view"),
    ),
    (
        "the_table_is_virtual",
        "ALTER TABLE shared__raw RENAME TO other; CREATE VIRTUAL TABLE shared__raw USING fts5(id, content)",
        Corrupt("virtual"),
    ),
    (
        "the_table_is_missing",
        "DROP TABLE shared__raw",
        Corrupt("missing"),
    ),
    (
        "the_definition_is_none",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'none' WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "the_definition_is_null",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = NULL WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "the_definition_is_a_blob",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = x'ff00' WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "two_tables_share_pages",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'shared__derived') WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "the_table_is_an_index",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'shared__raw') WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "the_table_is_the_schema",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "the_table_is_nowhere",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'shared__raw'",
        Survived,
    ),
    (
        "an_index_is_unique",
        "CREATE UNIQUE INDEX one ON shared__raw (writer, batch, id)",
        Survived,
    ),
    (
        "an_index_is_costly",
        "CREATE INDEX costly ON shared__raw (hex(zeroblob(1000)))",
        Survived,
    ),
    // The catalog.
    (
        "the_catalog_is_a_view",
        "ALTER TABLE \"metaxy.tables\" RENAME TO other; CREATE VIEW \"metaxy.tables\" AS SELECT * FROM other",
        Corrupt("metaxy.tables"),
    ),
    (
        "the_catalog_promises_no_types",
        "CREATE TABLE other AS SELECT * FROM \"metaxy.tables\"; DROP TABLE \"metaxy.tables\"; ALTER TABLE other RENAME TO \"metaxy.tables\"",
        Corrupt("metaxy.tables"),
    ),
    (
        "the_catalog_lacks_a_table",
        "DROP TABLE \"metaxy.versions\"",
        Corrupt("metaxy.versions"),
    ),
    (
        "the_versions_are_a_view",
        "DROP TABLE \"metaxy.versions\"; CREATE VIEW \"metaxy.versions\" AS SELECT 1 AS name",
        Corrupt("metaxy.versions"),
    ),
    (
        "versions_lie",
        "UPDATE \"metaxy.versions\" SET written_once = 77, id_columns = 'none'",
        Survived,
    ),
    (
        "no_schema",
        "UPDATE \"metaxy.tables\" SET arrow_schema = ''",
        Corrupt("shared__raw"),
    ),
    (
        "a_null_schema",
        "UPDATE \"metaxy.tables\" SET arrow_schema = 'null'",
        Corrupt("shared__raw"),
    ),
    (
        "a_deep_schema",
        "UPDATE \"metaxy.tables\" SET arrow_schema = printf('%.*c', 1000000, '[')",
        Corrupt("shared__raw"),
    ),
    (
        "an_empty_schema",
        "UPDATE \"metaxy.tables\" SET arrow_schema = '{\"fields\":[],\"metadata\":{}}'",
        Corrupt("shared__raw"),
    ),
    (
        "a_schema_of_others",
        "UPDATE \"metaxy.tables\" SET arrow_schema = (SELECT arrow_schema FROM \"metaxy.tables\" WHERE name = 'shared__derived')",
        Survived,
    ),
    (
        "stamps_are_at_their_end",
        "UPDATE \"metaxy.tables\" SET latest = 9223372036854775807",
        Survived,
    ),
    (
        "stamps_are_before_all",
        "UPDATE \"metaxy.tables\" SET latest = -9223372036854775808",
        Survived,
    ),
    (
        "a_type_is_text",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":\"Utf8\""
        ),
        Corrupt("\"batch\""),
    ),
    (
        "a_type_is_impossible",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":{\"Decimal128\":[200,-100]}"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_type_is_negative",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":{\"FixedSizeBinary\":-5}"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_type_is_a_wrong_time",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":{\"Time32\":\"Nanosecond\"}"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_type_is_a_wrong_map",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":{\"Map\":[{\"name\":\"e\",\"data_type\":\"Int64\",\"nullable\":true,\"dict_id\":0,\"dict_is_ordered\":false,\"metadata\":{}},true]}"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_type_is_a_wrong_dictionary",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":{\"Dictionary\":[\"Utf8\",\"Int64\"]}"
        ),
        Corrupt("shared__raw"),
    ),
    (
        "a_zone_is_none",
        recatalog!(
            "\"batch\",\"data_type\":\"Int64\"",
            "\"batch\",\"data_type\":{\"Timestamp\":[\"Second\",\"No/Where\"]}"
        ),
        Survived,
    ),
    (
        "a_stamp_is_a_number",
        recatalog!("{\"Timestamp\":[\"Microsecond\",\"UTC\"]}", "\"Int64\""),
        Survived,
    ),
    (
        "a_stamp_is_a_day",
        recatalog!("{\"Timestamp\":[\"Microsecond\",\"UTC\"]}", "\"Date32\""),
        Survived,
    ),
    (
        "a_stamp_has_another_unit",
        recatalog!(
            "{\"Timestamp\":[\"Microsecond\",\"UTC\"]}",
            "{\"Timestamp\":[\"Second\",null]}"
        ),
        Survived,
    ),
    (
        "an_id_is_a_truth",
        recatalog!(
            "\"id\",\"data_type\":\"Int64\"",
            "\"id\",\"data_type\":\"Boolean\""
        ),
        Survived,
    ),
    (
        "a_column_is_there_twice",
        recatalog!("\"name\":\"batch\"", "\"name\":\"writer\""),
        Corrupt("shared__raw"),
    ),
    (
        "a_table_has_a_bad_name",
        "INSERT INTO \"metaxy.tables\" SELECT 'a\"b''c;--' || char(27) || '[31m', arrow_schema, latest FROM \"metaxy.tables\" LIMIT 1",
        Fine,
    ),
    (
        "the_layout_is_negative",
        "PRAGMA user_version = -5",
        Survived,
    ),
];

fn config(folder: &Path) -> SqliteConfig {
    // What was changed by another program has no checksums: here it is about what comes behind them.
    SqliteConfig::new(folder.join("store.db")).with_checksums(false)
}

fn store(folder: &Path, access: Access) -> MetadataStore {
    processes::store(Arc::new(config(folder).open(access)), access)
}

/// Rows of the feature downstream, as they are resolved.
fn compute(store: &MetadataStore) -> Result<(), Error> {
    let increment = block_on(store.resolve_update(&derived(), ResolveOptions::default()))?;
    let rows = increment.new.to_batch()?;
    block_on(store.write(&derived(), rows)).map(drop)
}

fn fill(folder: &Path) {
    let store = store(folder, Access::Write);
    for batch in 0..3 {
        block_on(store.write(&raw(), samples((1, batch), ROWS, Vec::new()))).unwrap();
    }
    compute(&store).unwrap();
}

fn change(folder: &Path, sql: &str) {
    let stranger = Connection::open(folder.join("store.db")).unwrap();
    stranger.execute_batch(sql).unwrap();
}

/// Everything that is done with a store, each by itself; what each said.
fn use_it(folder: &Path) -> Vec<(&'static str, Result<(), Error>)> {
    let reader = || store(folder, Access::Read);
    let writer = || store(folder, Access::Write);
    let backend = || config(folder).open(Access::Write);
    let read = |options: ReadOptions| {
        let store = reader();
        block_on(async { store.read(&raw(), options).await?.collect().await }).map(drop)
    };
    let one = ReadOptions::default()
        .with_filters([col("id").ge(lit(0))])
        .with_limit(1);
    type Step<'a> = (&'static str, Box<dyn Fn() -> Result<(), Error> + 'a>);
    let steps: Vec<Step<'_>> = vec![
        ("read", Box::new(|| read(ReadOptions::default()))),
        (
            "read all",
            Box::new(|| read(ReadOptions::default().with_sample_history(true))),
        ),
        ("read one", Box::new(move || read(one.clone()))),
        (
            "resolve",
            Box::new(|| {
                block_on(reader().resolve_update(&derived(), ResolveOptions::default())).map(drop)
            }),
        ),
        (
            "tables",
            Box::new(|| block_on(backend().tables()).map(drop)),
        ),
        (
            "rows",
            Box::new(|| block_on(backend().has_rows(&raw())).map(drop)),
        ),
        (
            "schema",
            Box::new(|| block_on(backend().schema(&raw())).map(drop)),
        ),
        (
            "write",
            Box::new(|| {
                block_on(writer().write(&raw(), samples((2, 0), ROWS, Vec::new()))).map(drop)
            }),
        ),
        ("compute", Box::new(|| compute(&writer()))),
        (
            "delete",
            Box::new(|| {
                block_on(writer().delete(
                    &raw(),
                    DeleteOptions::hard().with_filters([col("id").lt(lit(5))]),
                ))
                .map(drop)
            }),
        ),
        (
            "maintain",
            Box::new(|| block_on(backend().maintain(&Maintenance::default())).map(drop)),
        ),
        (
            "drop",
            Box::new(|| block_on(backend().drop_table(&derived())).map(drop)),
        ),
    ];
    steps
        .iter()
        .map(|(name, step)| {
            let done = catch_unwind(AssertUnwindSafe(step));
            (*name, done.unwrap_or_else(|_| panic!("{name} panicked")))
        })
        .collect()
}

#[test]
fn a_store_of_an_enemy_is_read_or_refused() {
    let mut tried = 0;
    for (name, sql, then) in CHANGES {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        change(folder.path(), sql);
        let said = catch_unwind(AssertUnwindSafe(|| use_it(folder.path())));
        let said = said.unwrap_or_else(|_| panic!("{name}: it panicked"));
        for (step, outcome) in &said {
            tried += 1;
            let Err(error) = outcome else {
                let must_fail = matches!(then, Corrupt(_)) && *step == "read";
                assert!(!must_fail, "{name}: {step} went well");
                continue;
            };
            assert_ne!(
                error.kind(),
                ErrorKind::Internal,
                "{name}: {step}: {error:?}"
            );
            let text = format!("{error}: {:?}", std::error::Error::source(error));
            assert!(text.len() < 2_000, "{name}: {step}: {} bytes", text.len());
            assert!(!matches!(then, Fine), "{name}: {step}: {error:?}");
            if let (Corrupt(_), "resolve") = (then, *step) {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error:?}");
            }
            if let (Corrupt(word), "read") = (then, *step) {
                assert_eq!(
                    error.kind(),
                    ErrorKind::Corrupt,
                    "{name}: {step}: {error:?}"
                );
                let names = error.to_string();
                assert!(names.contains(word), "{name}: {step}: {names}");
            }
        }
    }
    assert_eq!(tried, CHANGES.len() * 12);
}

#[test]
fn triggers_and_keys_of_strangers_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    change(
        folder.path(),
        "CREATE TABLE seen (what);
         CREATE TRIGGER i AFTER INSERT ON shared__raw BEGIN INSERT INTO seen VALUES ('i'); END;
         CREATE TRIGGER d AFTER DELETE ON shared__raw BEGIN DELETE FROM shared__derived; END;
         CREATE TRIGGER c AFTER UPDATE ON \"metaxy.tables\" BEGIN INSERT INTO seen VALUES ('c'); END;
         CREATE TABLE theirs (id REFERENCES shared__raw (\"metaxy.row\") ON DELETE CASCADE);
         INSERT INTO theirs SELECT \"metaxy.row\" FROM shared__raw",
    );
    for (step, outcome) in use_it(folder.path()) {
        outcome.unwrap_or_else(|error| panic!("{step}: {error:?}"));
    }
    let backend = config(folder.path()).open(Access::Write);
    block_on(backend.delete(&raw(), None)).unwrap();
    drop(backend);
    let stranger = Connection::open(folder.path().join("store.db")).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        stranger.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("seen"), count("theirs")), (0, 3 * ROWS));
}

#[test]
fn an_index_does_not_call_our_functions() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let stranger = Connection::open(folder.path().join("store.db")).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    stranger
        .create_scalar_function("metaxy_hash", -1, flags, |_| Ok(1))
        .unwrap();
    stranger
        .execute_batch("CREATE INDEX i ON shared__raw (metaxy_hash())")
        .unwrap();
    drop(stranger);
    let said = use_it(folder.path());
    let refused = said
        .iter()
        .filter_map(|(step, outcome)| Some((step, outcome.as_ref().err()?)));
    let refused: Vec<_> = refused.collect();
    assert!(
        refused.iter().any(|(step, _)| **step == "write"),
        "{refused:?}"
    );
    for (step, error) in refused {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{step}: {error:?}");
        assert!(error.to_string().contains("store.db"), "{step}: {error:?}");
    }
}
