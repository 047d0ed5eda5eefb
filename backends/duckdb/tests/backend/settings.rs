//! What a configuration may say: settings, extensions, storage versions; and what it may not.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::Connection;
use futures::executor::block_on;
use metaxy_duckdb::{DESCRIPTOR, DuckDbConfig, Extension};
use metaxy_store::backend::registry::OpenRequest;
use metaxy_store::options::StoreOptions;
use metaxy_store::{Access, Backend, Error, ErrorKind};

use crate::common::{number, open, stored_rows, table, write};

/// The store that a configuration describes, for writing.
fn configured(folder: &Path, options: &str) -> Result<Arc<dyn Backend>, Error> {
    let options = toml_table(options);
    let request = OpenRequest::new(StoreOptions::new("dev", options), Access::Write);
    (DESCRIPTOR.open)(request.with_base_dir(folder))
}

fn toml_table(text: &str) -> toml::Table {
    text.parse().unwrap()
}

/// Opens the store of a configuration and its file.
fn refusal(options: &str) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let opened = configured(folder.path(), options);
    match opened {
        Err(error) => error,
        Ok(backend) => block_on(backend.tables()).expect_err(options),
    }
}

#[test]
fn settings_are_texts_numbers_and_truth_values() {
    let folder = tempfile::tempdir().unwrap();
    let options = r#"
        database = "store.duckdb"
        table_prefix = "m_"
        lock_timeout = "2s"
        storage_version = "v1.2.0"
        config = { threads = 1, memory_limit = "200MB", default_null_order = "nulls_first", enable_object_cache = true }
    "#;
    let backend = configured(folder.path(), options).unwrap();
    assert_eq!(block_on(backend.tables()).unwrap(), Vec::<String>::new());
    let location = backend.describe().location;
    assert!(location.ends_with("store.duckdb"), "{location}");
    assert!(folder.path().join("store.duckdb").exists());
    // A setting has an effect: so little memory is not enough.
    let tight = DuckDbConfig::new(folder.path().join("tight.duckdb"))
        .with_setting("memory_limit", "3MB")
        .with_setting("temp_directory", "")
        .with_setting("threads", "1")
        .open(Access::Write);
    let error = write(&tight, 500_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(error.hint().unwrap().contains("memory_limit"), "{error}");
    write(&tight, 10).unwrap();
    assert_eq!(stored_rows(&tight), 10, "the store goes on");
}

#[test]
fn what_is_set_wrongly_is_named() {
    for (options, parts) in [
        (
            r#"config = { memory_limits = "1GB" }"#,
            vec!["memory_limits"],
        ),
        (r#"config = { threads = "many" }"#, vec!["threads"]),
        (
            r#"config = { memory_limit = "much" }"#,
            vec!["memory_limit"],
        ),
        (r#"config = { threads = [1] }"#, vec!["threads", "no text"]),
        (
            r#"storage_version = "v9.9.9""#,
            vec!["storage_version", "v9.9.9"],
        ),
        (r#"storage_version = 3"#, vec!["storage_version"]),
        (r#"extensions = "json""#, vec!["extensions"]),
        (r#"extensions = [1]"#, vec!["extensions"]),
        (
            r#"extensions = [{ init_sql = ["SELECT 1"] }]"#,
            vec!["extensions", "name"],
        ),
        (
            r#"extensions = [{ name = "json", init = 1 }]"#,
            vec!["extensions", "init"],
        ),
        (
            r#"table_prefixes = "m_""#,
            vec!["table_prefixes", "table_prefix"],
        ),
        (r#"lock_timeout = "soon""#, vec!["lock_timeout"]),
    ] {
        let error = refusal(&format!("database = \"store.duckdb\"\n{options}"));
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidConfig,
            "{options}: {error:?}"
        );
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        for part in parts {
            assert!(text.contains(part), "{options}: {part:?} is not in {text}");
        }
    }
    assert_eq!(refusal("").kind(), ErrorKind::InvalidConfig, "no database");
}

#[test]
fn what_is_no_file_is_refused() {
    for database in [
        "md:mine",
        "motherduck:mine",
        "s3://bucket/store.duckdb",
        "gs://bucket/store.duckdb",
        "https://example.org/store.duckdb",
        "ducklake:metadata.ducklake",
    ] {
        let error = refusal(&format!("database = {database:?}"));
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidConfig,
            "{database}: {error}"
        );
        let text = error.to_string();
        assert!(text.contains("database") && text.contains("no"), "{text}");
    }
    let error = refusal("database = \"store.duckdb\"\nducklake = { alias = \"lake\" }");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(format!("{error:?}").contains("ducklake"), "{error:?}");
    assert!(error.hint().is_some());
}

#[test]
fn an_extension_that_is_not_installed_is_named_and_not_downloaded() {
    // Whatever DuckDB would download, it would ask this server for.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let proxy = server.local_addr().unwrap().to_string();
    let empty = tempfile::tempdir().unwrap();
    let installed = empty.path().display().to_string();
    let asked = || server.accept().is_ok();

    for extensions in [
        r#"["spatial"]"#,
        r#"[{ name = "spatial", repository = "core" }]"#,
        r#"["/nowhere/spatial.duckdb_extension"]"#,
    ] {
        let start = Instant::now();
        let error = refusal(&format!(
            "database = \"store.duckdb\"\nextensions = {extensions}\nconfig = {{ http_proxy = {proxy:?}, extension_directory = {installed:?} }}"
        ));
        assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
        assert!(error.to_string().contains("spatial"), "{error}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("INSTALL"), "{hint}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    // Neither does a statement download what it names.
    let error = refusal(&format!(
        "database = \"store.duckdb\"\nextensions = [{{ name = \"core_functions\", init_sql = [\"SELECT ST_Point(1, 2)\"] }}]\nconfig = {{ http_proxy = {proxy:?}, extension_directory = {installed:?} }}"
    ));
    assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
    assert!(!asked(), "something was downloaded");

    // That it would have been seen:
    let control = Connection::open_in_memory().unwrap();
    let settings = format!("SET http_proxy = '{proxy}'; SET extension_directory = '{installed}'");
    control.execute_batch(&settings).unwrap();
    let installing = std::thread::spawn(move || control.execute_batch("INSTALL spatial"));
    let (start, mut seen) = (Instant::now(), false);
    // Each connection is closed at once.
    while !installing.is_finished() && start.elapsed() < Duration::from_secs(60) {
        seen |= asked();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(seen || asked(), "a download would not be seen");
}

#[test]
fn what_is_built_in_needs_no_extension() {
    let folder = tempfile::tempdir().unwrap();
    let options = r#"
        database = "store.duckdb"
        extensions = ["hashfuncs", { name = "hashfuncs", repository = "community" }, { name = "core_functions", init_sql = ["CREATE TABLE made (x INTEGER)"] }]
    "#;
    let backend = configured(folder.path(), options).unwrap();
    // What is run is run in the engine: the file stays as it is.
    assert!(block_on(backend.tables()).unwrap().is_empty());
    let by_hand = DuckDbConfig::new(folder.path().join("other.duckdb"))
        .with_extension(Extension::new("core_functions").with_init_sql(["SELECT 1"]))
        .open(Access::Write);
    write(&by_hand, 1).unwrap();
}

#[test]
fn a_file_keeps_the_storage_version_that_it_was_made_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let version = || {
        let connection = Connection::open(&path).unwrap();
        let tags = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal";
        connection
            .query_row(tags, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    let old = DuckDbConfig::new(&path).with_storage_version("v1.0.0");
    let old = old.open(Access::Write);
    write(&old, 3).unwrap();
    drop(old);
    let made = version();
    assert!(made.starts_with("v1.0"), "{made}");
    let new = open(&path, Access::Write);
    write(&new, 3).unwrap();
    assert_eq!(stored_rows(&new), 6);
    drop(new);
    assert_eq!(version(), made);
    assert_eq!(number(&path, "SELECT count(*) FROM a__b"), 6);
    let read = DuckDbConfig::new(&path).with_storage_version("v1.0.0");
    assert!(block_on(read.open(Access::Read).has_rows(&table())).unwrap());
}
