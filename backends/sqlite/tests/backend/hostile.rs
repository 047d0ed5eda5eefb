//! Stores that an enemy has written: whoever reads one gets an answer or an error, and nothing in it runs.
//!
//! Each store is made as metaxy makes it, and then changed by SQL of another program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use metaxy_conformance::hostile::{self, Change};
use metaxy_conformance::processes::raw;
use metaxy_sqlite::SqliteConfig;
use metaxy_store::{Access, Backend, ErrorKind};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use tempfile::TempDir;

const CORPUS: &str = include_str!("../../../../conformance/hostile/sqlite.toml");

fn config(folder: &Path) -> SqliteConfig {
    // What was changed by another program has no checksums: here it is about what comes behind them.
    SqliteConfig::new(folder.join("store.db")).with_checksums(false)
}

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(config(folder).open(access))
}

/// What another program does.
fn run(folder: &Path, sql: &str) {
    let stranger = Connection::open(folder.join("store.db")).unwrap();
    stranger.execute_batch(sql).unwrap();
}

/// What a change of the corpus does.
fn change(folder: &Path, change: &Change) {
    if let Some(sql) = change.text("does") {
        run(folder, sql);
    }
    let literal = |text: &str| text.replace('\'', "''");
    if let Some((from, to)) = change.pair("redefine") {
        let (from, to) = (literal(from), literal(to));
        run(
            folder,
            &format!(
                "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') \
                 WHERE name = 'shared__raw'; PRAGMA writable_schema = RESET"
            ),
        );
    }
    if let Some((from, to)) = change.pair("recatalog") {
        let (from, to) = (literal(from), literal(to));
        run(
            folder,
            &format!(
                "UPDATE \"metaxy.tables\" SET arrow_schema = replace(arrow_schema, '{from}', '{to}') WHERE name = 'shared__raw'"
            ),
        );
    }
}

#[test]
fn a_store_of_an_enemy_is_read_or_refused() {
    hostile::check(CORPUS, open, change);
}

/// A store in a folder of its own.
fn filled() -> (TempDir, PathBuf) {
    let beside = tempfile::tempdir().unwrap();
    let folder = beside.path().join("store");
    hostile::fill(&folder, open);
    (beside, folder)
}

#[test]
fn triggers_and_keys_of_strangers_do_nothing() {
    let (_beside, folder) = filled();
    run(
        &folder,
        "CREATE TABLE seen (what);
         CREATE TRIGGER i AFTER INSERT ON shared__raw BEGIN INSERT INTO seen VALUES ('i'); END;
         CREATE TRIGGER d AFTER DELETE ON shared__raw BEGIN DELETE FROM shared__derived; END;
         CREATE TRIGGER c AFTER UPDATE ON \"metaxy.tables\" BEGIN INSERT INTO seen VALUES ('c'); END;
         CREATE TABLE theirs (id REFERENCES shared__raw (\"metaxy.row\") ON DELETE CASCADE);
         INSERT INTO theirs SELECT \"metaxy.row\" FROM shared__raw",
    );
    for (step, outcome) in hostile::visit(&folder, open) {
        outcome.unwrap_or_else(|error| panic!("{step}: {error:?}"));
    }
    let backend = config(&folder).open(Access::Write);
    block_on(backend.delete(&raw(), None)).unwrap();
    drop(backend);
    let stranger = Connection::open(folder.join("store.db")).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        stranger.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("seen"), count("theirs")), (0, 3 * hostile::ROWS));
}

#[test]
fn an_index_does_not_call_our_functions() {
    let (_beside, folder) = filled();
    let stranger = Connection::open(folder.join("store.db")).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    stranger
        .create_scalar_function("metaxy_hash", -1, flags, |_| Ok(1))
        .unwrap();
    stranger
        .execute_batch("CREATE INDEX i ON shared__raw (metaxy_hash())")
        .unwrap();
    drop(stranger);
    let said = hostile::visit(&folder, open);
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
