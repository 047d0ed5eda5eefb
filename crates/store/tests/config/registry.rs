//! Which backends a build has, and what is said about those that it has not.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml covers #[test] functions only

use std::sync::Arc;

use metaxy_store::backend::registry::{
    DELTA_PATHS, DUCKDB_PATHS, Descriptor, OpenRequest, POSTGRES_PATHS, Registry,
};
use metaxy_store::backend::{Access, Backend};
use metaxy_store::config::{StoreConfig, StoreOptions};
use metaxy_store::{Error, ErrorKind, Result};

fn refuse(mut request: OpenRequest) -> Result<Arc<dyn Backend>> {
    let database = request.options.string("database")?;
    request.options.finish()?;
    let message = format!("cannot open {database} for {:?}", request.access);
    Err(Error::new(ErrorKind::CannotOpen, message))
}

fn other(_: OpenRequest) -> Result<Arc<dyn Backend>> {
    Err(Error::new(ErrorKind::CannotOpen, "other"))
}

const SHELF: Descriptor = Descriptor::new("shelf", "metaxy_shelf::ShelfStore", refuse)
    .with_aliases(&["metaxy.ext.shelf.ShelfStore"])
    .with_cargo_feature("shelf")
    .with_summary("keeps samples on a shelf");

const DUCK: Descriptor =
    Descriptor::new("duckdb", "metaxy_duckdb::DuckDbStore", other).with_aliases(DUCKDB_PATHS);

metaxy_store::backend::registry::submit! { SHELF }

fn registry() -> Registry {
    Registry::empty().with(SHELF).unwrap().with(DUCK).unwrap()
}

fn said(error: &Error) -> String {
    assert_eq!(error.kind(), ErrorKind::UnknownBackend);
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn every_name_resolves() {
    let registry = registry();
    for name in [
        "shelf",
        "metaxy_shelf::ShelfStore",
        "metaxy.ext.shelf.ShelfStore",
        "metaxy.ext.shelf:ShelfStore",
        "  shelf ",
    ] {
        assert_eq!(registry.resolve(name).unwrap().name, "shelf", "{name}");
    }
    for name in DUCKDB_PATHS {
        let found = registry.resolve(name).unwrap().type_path;
        assert_eq!(found.split("::").next(), Some("metaxy_duckdb"));
    }
    let names: Vec<_> = registry.iter().map(|descriptor| descriptor.name).collect();
    assert_eq!(names, ["duckdb", "shelf"]);
}

#[test]
fn submitted_backends_are_linked() {
    let linked = Registry::linked().unwrap();
    assert_eq!(linked.resolve("shelf").unwrap().summary, SHELF.summary);
    assert!(std::ptr::eq(linked, Registry::linked().unwrap()));
    assert!(linked.clone().with(SHELF).is_ok(), "met twice is no clash");
    assert!(Registry::empty().resolve("shelf").is_err());
}

#[test]
fn two_claims_to_one_name_are_an_error_that_names_both_crates() {
    let clashes = [
        Descriptor::new("shelf", "their_crate::Store", other),
        Descriptor::new("mine", "their_crate::Store", other)
            .with_aliases(&["metaxy.ext.shelf.ShelfStore"]),
        // The same type path from another version of the crate.
        Descriptor::new("again", "metaxy_shelf::ShelfStore", other),
    ];
    for clash in clashes {
        let said = said(&registry().with(clash).unwrap_err());
        assert!(said.contains("`metaxy_shelf`"), "{said}");
        assert!(
            said.contains(&format!(
                "`{}`",
                clash.type_path.split("::").next().unwrap()
            )),
            "{said}"
        );
    }
}

#[test]
fn unknown_types_list_what_there_is() {
    let cases = [
        ("sqlite", "feature `sqlite`"),
        ("metaxy_sqlite::SqliteStore", "feature `sqlite`"),
        (DELTA_PATHS[0], "feature `delta`"),
        (DELTA_PATHS[3], "feature `delta`"),
        (POSTGRES_PATHS[1], "feature `postgres`"),
        (
            "metaxy.ext.postgresql:PostgreSQLMetadataStore",
            "feature `postgres`",
        ),
        ("shelff", "did you mean `shelf`?"),
        (
            "metaxy.ext.duckdb.DuckDbMetadataStore",
            "did you mean `metaxy.ext.duckdb.",
        ),
        ("postgrs", "did you mean `postgres`?"),
        ("zzz", "use that_crate as _;"),
    ];
    for (name, hint) in cases {
        let said = said(&registry().resolve(name).unwrap_err());
        assert!(said.contains(&format!("`{name}`")), "{said}");
        let list = "duckdb (metaxy_duckdb::DuckDbStore), shelf (metaxy_shelf::ShelfStore)";
        assert!(said.contains(list), "{said}");
        assert!(said.contains(hint), "{name}: {said}");
    }
    let empty = Registry::empty();
    let said = said(
        &empty
            .resolve("metaxy.ext.lancedb.LanceDBMetadataStore")
            .unwrap_err(),
    );
    assert!(
        said.contains("none at all") && said.contains("no counterpart"),
        "{said}"
    );
}

#[test]
fn opening_names_the_store() {
    let store = StoreConfig::new("attic", "shelf", toml::toml! { database = "x" }).unwrap();
    let (_, options) = store.split().unwrap();
    let request = OpenRequest::new(options, Access::Read);
    let error = registry().open(store.type_path(), request).err().unwrap();
    assert_eq!(error.to_string(), "cannot open x for Read (store: attic)");

    let options = StoreOptions::new("attic", toml::toml! { database = "x" lock = true });
    let request = OpenRequest::new(options, Access::Write);
    let error = registry().open("shelf", request).err().unwrap();
    assert!(
        error.to_string().contains("`attic` has no option `lock`"),
        "{error}"
    );

    let store = StoreConfig::new("attic", "nothing", toml::Table::new()).unwrap();
    let error = store.descriptor(&registry()).unwrap_err();
    assert!(error.to_string().contains("store: attic"), "{error}");
}
