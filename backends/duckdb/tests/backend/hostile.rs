//! Files that a stranger made: whoever reads one is not read, does not crash, and runs nothing of it. And files that a disk has changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use futures::executor::block_on;
use metaxy_conformance::hostile;
use metaxy_duckdb::{DuckDbBackend, DuckDbConfig, Extension};
use metaxy_store::backend::maintain::{Maintenance, Prune};
use metaxy_store::expr::Expr;
use metaxy_store::plan::{Plan, Relation};
use metaxy_store::{Access, Backend, Error, ErrorKind};

use crate::common::{
    batch, column, number, open, read, read_where, sql, stored_rows, table, write,
};

const CORPUS: &str = include_str!("../../../../conformance/hostile/duckdb.toml");

fn in_folder(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(open(&folder.join("store.duckdb"), access))
}

#[test]
fn a_store_of_an_enemy_is_read_or_refused() {
    hostile::check(CORPUS, in_folder, |folder, change| {
        let secret = hostile::secret(folder);
        let does = change.text("does").unwrap();
        let does = does.replace("{secret}", secret.to_str().unwrap());
        sql(&folder.join("store.duckdb"), &does);
    });
}

/// A file made by these statements, in a folder of its own.
fn made(statements: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    sql(&path, statements);
    (folder, path)
}

/// A table with the columns by which it is known as one of a store.
fn feature_table(columns: &str) -> String {
    format!(
        "CREATE TABLE a__b (id BIGINT, v VARCHAR, metaxy_feature_version VARCHAR, metaxy_updated_at TIMESTAMPTZ, \
         metaxy_deleted_at TIMESTAMPTZ{columns}); INSERT INTO a__b (id, v) VALUES (1, 'x')"
    )
}

fn refused(error: &Error, words: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    let text = error.to_string();
    for word in ["a__b", "store.duckdb"].iter().chain(words) {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(error.hint().is_some(), "{error:?}");
}

fn refuses_to_read(backend: &DuckDbBackend, words: &[&str]) {
    refused(&block_on(backend.schema(&table())).unwrap_err(), words);
    refused(&block_on(backend.has_rows(&table())).unwrap_err(), words);
    refuses_to_write(backend, words);
}

fn refuses_to_write(backend: &DuckDbBackend, words: &[&str]) {
    refused(&write(backend, 1).unwrap_err(), words);
    let filter = Expr::parse("id = 1").unwrap();
    for done in [
        block_on(backend.delete(&table(), Some(&filter))),
        block_on(backend.prune(&table(), &Prune::default().with_id_columns(["id"]))),
        block_on(backend.maintain(&Maintenance::default())).map(|_| 0),
    ] {
        refused(&done.unwrap_err(), words);
    }
}

#[test]
fn a_table_that_would_run_something_is_refused() {
    // What runs counts how often it ran.
    let sequence = "CREATE SEQUENCE ran; ";
    for (columns, after, words) in [
        (
            ", secret VARCHAR GENERATED ALWAYS AS (upper(v))",
            "",
            vec!["\"secret\"", "computed"],
        ),
        (
            "",
            "CREATE INDEX \"by case\" ON a__b (lower(v))",
            vec!["\"by case\"", "expression"],
        ),
    ] {
        let (_folder, path) = made(&format!("{sequence}{}; {after}", feature_table(columns)));
        refuses_to_read(&open(&path, Access::Write), &words);
        let reader = open(&path, Access::Read);
        refused(&block_on(reader.schema(&table())).unwrap_err(), &words);
    }
    for (columns, after, words) in [
        (
            ", n BIGINT DEFAULT nextval('ran')",
            "",
            vec!["\"n\"", "default"],
        ),
        (", n BIGINT CHECK (n > 0)", "", vec!["CHECK"]),
    ] {
        let (_folder, path) = made(&format!("{sequence}{}; {after}", feature_table(columns)));
        let before = number(&path, "SELECT nextval('ran')");
        let backend = open(&path, Access::Write);
        assert_eq!(stored_rows(&backend), 1, "to read it runs nothing");
        refuses_to_write(&backend, &words);
        drop(backend);
        let now = number(&path, "SELECT nextval('ran')");
        assert_eq!(now, before + 1, "something was run");
    }
}

#[test]
fn what_runs_nothing_is_taken_as_it_is() {
    let (_folder, path) = made(&format!(
        "CREATE SEQUENCE s; CREATE MACRO upper(x) AS 'hijacked'; CREATE TYPE word AS VARCHAR; {}; CREATE INDEX by_id ON a__b (id); \
         CREATE INDEX odd ON a__b (\"lower(v)\"); CREATE VIEW other AS SELECT * FROM read_text('/etc/passwd')",
        feature_table(
            ", n INTEGER DEFAULT 5, w VARCHAR DEFAULT 'it''s', b BOOLEAN DEFAULT true, o word, \"lower(v)\" INTEGER"
        )
    ));
    let backend = open(&path, Access::Write);
    write(&backend, 2).unwrap();
    assert_eq!(stored_rows(&backend), 3);
    assert_eq!(
        read_where(&backend, &Expr::parse("v ILIKE 'X'").unwrap())
            .unwrap()
            .num_rows(),
        1
    );
}

#[test]
fn a_view_or_a_trigger_in_place_of_a_feature_is_refused() {
    let (_folder, path) = made(
        "CREATE SEQUENCE ran; CREATE VIEW a__b AS SELECT nextval('ran') AS id, NULL::TIMESTAMPTZ AS metaxy_updated_at",
    );
    for access in [Access::Read, Access::Write] {
        let backend = open(&path, access);
        refused(&block_on(backend.schema(&table())).unwrap_err(), &["view"]);
    }
    let (_folder, path) = made(&format!(
        "{}; CREATE TABLE other (x BIGINT); \
         CREATE TRIGGER spy AFTER INSERT ON a__b FOR EACH STATEMENT INSERT INTO other VALUES (1)",
        feature_table("")
    ));
    let backend = open(&path, Access::Write);
    assert_eq!(stored_rows(&backend), 1, "to read it runs nothing");
    refused(&write(&backend, 1).unwrap_err(), &["trigger", "spy"]);
    drop(backend);
    assert_eq!(number(&path, "SELECT count(*) FROM other"), 0);
}

#[test]
fn the_notes_of_types_run_nothing_either() {
    let (_folder, path) = made(&format!(
        "{}; CREATE TABLE \"metaxy.types\" (table_name VARCHAR, column_name VARCHAR, arrow_type VARCHAR GENERATED ALWAYS AS (upper(table_name)))",
        feature_table("")
    ));
    let error = block_on(open(&path, Access::Read).schema(&table())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("metaxy.types"), "{error}");
}

/// A store whose engine runs this first.
fn with_init(path: &Path, statement: &str) -> DuckDbBackend {
    let extension = Extension::new("core_functions").with_init_sql([statement]);
    let config = DuckDbConfig::new(path).with_extension(extension);
    config.open(Access::Write)
}

#[test]
fn the_engine_reaches_nothing_outside_once_it_is_set_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    // In place of a function that a write calls; to make it reads the file, which a statement of the configuration may.
    let spy = "CREATE MACRO epoch_us(x) AS (SELECT length(content) FROM read_text('/etc/passwd')); SELECT epoch_us(1)";
    let backend = with_init(&path, spy);
    write(&backend, 1).unwrap();
    let error = write(&backend, 1).unwrap_err();
    let text = format!("{error:?}");
    assert!(
        text.contains("/etc/passwd") && text.contains("disabled"),
        "{text}"
    );
    // What the configuration sets is set before that.
    let backend = with_init(&folder.path().join("other.duckdb"), "SET threads = 1");
    write(&backend, 1).unwrap();
    assert_eq!(stored_rows(&backend), 1);
    for (name, value) in [
        ("enable_external_access", "true"),
        ("lock_configuration", "false"),
    ] {
        let config = DuckDbConfig::new(folder.path().join("set.duckdb")).with_setting(name, value);
        let error = block_on(config.open(Access::Write).tables()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let config = DuckDbConfig::new(folder.path().join("set.duckdb"));
    let config = config.with_setting("enable_external_access", "false");
    write(&config.open(Access::Write), 1).unwrap();
}

#[test]
fn the_hash_function_refuses_what_is_no_recipe() {
    let folder = tempfile::tempdir().unwrap();
    for call in [
        "metaxy_hash()",
        "metaxy_hash('md5:8:a0:')",
        "metaxy_hash('md5')",
        "metaxy_hash('md5:8:t9:abc', 'x')",
    ] {
        let statement = format!("SELECT {call} FROM range(3000)");
        let backend = with_init(&folder.path().join("store.duckdb"), &statement);
        let error = block_on(backend.tables()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen, "{call}: {error:?}");
        assert!(
            error.to_string().contains("metaxy_hash:"),
            "{call}: {error}"
        );
    }
    let right = with_init(
        &folder.path().join("store.duckdb"),
        "SELECT metaxy_hash('md5:4:a0:', 'x') FROM range(3000)",
    );
    write(&right, 1).unwrap();
}

/// Puts other bytes in the place of some, wherever they stand in a file of DuckDB, and makes its checksums anew.
fn patch(path: &Path, from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    for at in &places {
        bytes[*at..*at + to.len()].copy_from_slice(to);
    }
    // Three headers, and then blocks; each begins with the checksum of what follows.
    let (headers, blocks) = bytes.split_at_mut(3 * 4096);
    let parts = headers.chunks_exact_mut(4096);
    for part in parts.chain(blocks.chunks_exact_mut(262_144)) {
        let (sum, content) = part.split_at_mut(8);
        let words = content.as_chunks::<8>().0.iter();
        let words = words.map(|word| u64::from_le_bytes(*word).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        sum.copy_from_slice(&words.fold(5381, |sum, word| sum ^ word).to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
    places.len()
}

/// With texts that stand in the file as they are.
fn plain_texts(path: &Path, text: &str) {
    sql(
        path,
        &format!(
            "SET force_compression = 'uncompressed'; {}; INSERT INTO a__b (id, v) SELECT i, '{text}' || i FROM range(3000) AS t(i); CHECKPOINT",
            feature_table(", \"a column needle\" STRUCT(\"a member needle\" INTEGER)")
        ),
    );
}

#[test]
fn text_that_is_not_utf8_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let make = || {
        let _ = std::fs::remove_file(&path);
        plain_texts(&path, "a needle in the hay ");
    };
    make();
    assert!(patch(&path, b"a needle in", b"a NEEDLE in") > 0);
    let rows = read(&open(&path, Access::Read)).unwrap();
    let texts = rows.column_by_name("v").unwrap().as_string::<i32>();
    let is_patched = |text: Option<&str>| text.is_some_and(|text| text.starts_with("a NEEDLE in"));
    assert!(texts.iter().any(is_patched), "the patch is seen: {texts:?}");

    make();
    assert!(patch(&path, b"a needle in", b"a needl\xff in") > 0);
    let error = read(&open(&path, Access::Read)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(error.to_string().contains("\"v\""), "{error}");

    for name in ["a column needle", "a member needle"] {
        make();
        let bad = name.replace("needle", "needl").into_bytes();
        assert!(patch(&path, name.as_bytes(), &[&bad[..], b"\xff"].concat()) > 0);
        let backend = open(&path, Access::Write);
        for error in [
            block_on(backend.schema(&table())).unwrap_err(),
            block_on(backend.tables()).unwrap_err(),
            write(&backend, 1).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error:?}");
            assert!(format!("{error:?}").contains("store.duckdb"), "{error:?}");
        }
    }
}

/// A disk that turns a bit is noticed: what is answered is what was written, or there is an error. `METAXY_FLIPS` is how many are turned.
#[test]
fn a_bit_that_turned_is_noticed() {
    let flips: u64 = std::env::var("METAXY_FLIPS").map_or(60, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    write(&open(&path, Access::Write), 5_000).unwrap();
    let closed = || sql(&path, "CHECKPOINT");
    closed();
    let right = std::fs::read(&path).unwrap();
    let everything = |backend: &DuckDbBackend| -> Result<RecordBatch, Error> {
        block_on(backend.tables())?;
        match block_on(backend.schema(&table()))? {
            Some(_) => read(backend),
            None => Ok(batch(0)),
        }
    };
    let expected = everything(&open(&path, Access::Read)).unwrap();
    let mut chance: u64 = 0x9e37_79b9_7f4a_7c15;
    let (mut noticed, mut same) = (0, 0);
    for _ in 0..flips {
        // xorshift
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let bit = chance % (right.len() as u64 * 8);
        let mut bytes = right.clone();
        bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        // Another file each time: nothing is known of it.
        let path = folder.path().join(format!("flipped {bit}.duckdb"));
        std::fs::write(&path, bytes).unwrap();
        match everything(&open(&path, Access::Read)) {
            Ok(found) => {
                assert_eq!(found, expected, "bit {bit} changed an answer");
                same += 1;
            }
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::CannotOpen];
                assert!(kinds.contains(&error.kind()), "bit {bit}: {error:?}");
                assert!(error.hint().is_some(), "bit {bit}: {error:?}");
                noticed += 1;
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
    println!("{flips} bits: {noticed} noticed, {same} where nothing is read");
    assert!(noticed > 0);
}

/// Run by the next test in a process of its own.
#[test]
#[ignore = "a part of the next test"]
fn puts_aside() {
    let path = std::env::var_os("METAXY_SPILLED").expect("the next test sets it");
    let backend = DuckDbConfig::new(path)
        .with_setting("memory_limit", "60MB")
        .with_setting("threads", "1")
        .open(Access::Write);
    let text =
        "a text that is long enough to be kept apart from its row, and takes room ".repeat(4);
    let texts = (0..500_000).map(|i| format!("{text}{i}"));
    let texts = column("v", Arc::new(StringArray::from_iter_values(texts)));
    // A frame is a temporary table.
    let plan = Plan {
        relation: Relation::frame(0, texts.schema()),
        frames: vec![texts.into()],
    };
    block_on(async {
        let mut rows = backend.query(plan).await.unwrap();
        assert!(rows.next().await.unwrap().is_some());
        report();
        while rows.next().await.unwrap().is_some() {}
    });
}

/// What is in the temporary folder now.
fn report() {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::env::temp_dir().read_dir().unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        let files = entry.path().read_dir().unwrap();
        let bytes: u64 = files.map(|f| f.unwrap().metadata().unwrap().len()).sum();
        let name = entry.file_name().into_string().unwrap();
        println!("FOUND {name} {mode:o} {bytes}");
    }
}

#[test]
fn what_is_put_aside_is_private_and_gone_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["work", "temporary", "elsewhere"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    // Where DuckDB would put it by itself.
    std::os::unix::fs::symlink(at("elsewhere"), at("work/.tmp")).unwrap();
    // What a process that was killed has left.
    let left = at("temporary/metaxy-duckdb-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("owner"), "").unwrap();
    let minutes_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(600);
    let opened = std::fs::File::open(&left).unwrap();
    opened.set_modified(minutes_ago).unwrap();

    let ran = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "hostile::puts_aside",
            "--include-ignored",
            "--nocapture",
        ])
        .current_dir(at("work"))
        .env("TMPDIR", at("temporary"))
        .env("METAXY_SPILLED", at("work/store.duckdb"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let found: Vec<&str> = said.lines().filter(|line| line.contains("FOUND")).collect();
    assert_eq!(found.len(), 1, "{said}");
    let words: Vec<&str> = found[0].split(' ').rev().collect();
    assert_eq!(words[1], "700", "{said}");
    assert!(words[0].parse::<u64>().unwrap() > 1_000_000, "{said}");
    for name in ["temporary", "elsewhere"] {
        let left = at(name).read_dir().unwrap().count();
        assert_eq!(left, 0, "{name}");
    }
}
