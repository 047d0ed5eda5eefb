//! The stores that this build can make, by name.

use metaxy_conformance::golden::StoreFactory;

/// What makes a factory.
type Make = fn() -> metaxy_store::Result<Box<dyn StoreFactory>>;

/// Every store of this build, in the order in which they are tested.
pub(crate) const STORES: &[(&str, Make)] = &[
    #[cfg(feature = "sqlite")]
    ("sqlite", sqlite),
    #[cfg(feature = "duckdb")]
    ("duckdb", duckdb),
    #[cfg(feature = "delta")]
    ("delta", delta),
    #[cfg(feature = "postgres")]
    ("postgres", postgres),
];

/// The factory called `name`.
pub(crate) fn factory(name: &str) -> Result<Box<dyn StoreFactory>, String> {
    let Some((_, make)) = STORES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = STORES.iter().map(|(known, _)| *known).collect();
        return Err(format!(
            "no store {name:?} in this build; it has: {}",
            known.join(", ")
        ));
    };
    make().map_err(|e| e.to_string())
}

/// One file per case, which need not survive a power failure.
#[cfg(feature = "sqlite")]
fn sqlite() -> metaxy_store::Result<Box<dyn StoreFactory>> {
    use metaxy_store::sqlite::{SqliteConfig, Synchronous};
    let factory = metaxy_conformance::golden::Embedded::new("sqlite", |directory, _| {
        let config =
            SqliteConfig::new(directory.join("golden.db")).with_synchronous(Synchronous::Normal);
        Ok(std::sync::Arc::new(
            config.open(metaxy_store::Access::Write),
        ))
    })?;
    Ok(Box::new(factory))
}

/// One file per case.
#[cfg(feature = "duckdb")]
fn duckdb() -> metaxy_store::Result<Box<dyn StoreFactory>> {
    use metaxy_store::duckdb::DuckDbConfig;
    let factory = metaxy_conformance::golden::Embedded::new("duckdb", |directory, _| {
        let config = DuckDbConfig::new(directory.join("golden.duckdb"));
        Ok(std::sync::Arc::new(
            config.open(metaxy_store::Access::Write),
        ))
    })?;
    Ok(Box::new(factory))
}

/// One directory per case, with its tables where the case wants them.
#[cfg(feature = "delta")]
fn delta() -> metaxy_store::Result<Box<dyn StoreFactory>> {
    use metaxy_store::delta::{DeltaConfig, Layout};
    let factory = metaxy_conformance::golden::Embedded::new("delta", |directory, request| {
        let layout = match request.layout.as_str() {
            "flat" => Layout::Flat,
            _ => Layout::Nested,
        };
        let root = directory.join("golden");
        let config = DeltaConfig::new(root.to_string_lossy()).with_layout(layout);
        Ok(std::sync::Arc::new(
            config.open(metaxy_store::Access::Write),
        ))
    })?;
    Ok(Box::new(factory))
}

/// One schema per case, on a server that is started for them unless there is one.
#[cfg(feature = "postgres")]
fn postgres() -> metaxy_store::Result<Box<dyn StoreFactory>> {
    use metaxy_store::postgres::{PostgresConfig, TYPE_PATH};
    let factory = metaxy_conformance::cluster::Schemas::new(
        "postgres",
        TYPE_PATH,
        |url, schema, request| {
            let config = PostgresConfig::new(url)?
                .with_schema(schema)
                .with_pool_size(4);
            Ok(std::sync::Arc::new(config.open(request.access)))
        },
    )?;
    Ok(Box::new(factory))
}
