//! Superseded rows, and the tables themselves: room of removed rows, and the statistics that plans are made with.

use metaxy_core::FeatureKey;
use metaxy_core::backend::maintain::{
    Footprint, MaintainAction, Maintenance, MaintenanceReport, Prune,
};
use metaxy_core::sql::{literal_text, prune as prune_sql};

use crate::backend::Shared;
use crate::catalog;
use crate::dialect::PostgresDialect;
use crate::error::Failure;
use crate::names::Names;
use crate::rights;
use crate::session::Session;
use crate::write::{Opened, open, removed};

/// Removes superseded rows of a table, or counts them.
pub(crate) async fn prune(
    shared: &Shared,
    feature: &FeatureKey,
    prune: &Prune,
) -> Result<u64, Failure> {
    let Some(Opened {
        mut session,
        names,
        name,
        table,
    }) = open(shared, feature).await?
    else {
        return Ok(0);
    };
    let dialect = PostgresDialect::new(names.clone());
    let Some(sql) = prune_sql(feature, &table.schema, prune, &dialect)? else {
        session.release();
        return Ok(0);
    };
    if prune.dry_run {
        let rows = session.value(&sql.count).await?;
        session.release();
        return Ok(rows.and_then(|rows| rows.parse().ok()).unwrap_or_default());
    }
    rights::require_delete(&mut session, &names, &name, feature).await?;
    removed(session, &names, &name, &table, &sql.delete).await
}

/// Gives the room of removed rows back, and renews the statistics that plans are made with, table by table. Tables that the role does
/// not own are left to their owners.
pub(crate) async fn maintain(
    shared: &Shared,
    maintenance: &Maintenance,
) -> Result<MaintenanceReport, Failure> {
    let mut session = shared.session().await?;
    let names = shared.names(&session)?;
    let all = catalog::names(&mut session, &names).await?;
    let wanted: Vec<String> = maintenance
        .tables
        .iter()
        .map(|table| names.table(table))
        .collect();
    let mut maintained = MaintenanceReport::default();
    for name in all {
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let owned = format!(
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = {}::regclass",
            literal_text(&names.qualified(&name))
        );
        if session.value(&owned).await?.as_deref() != Some("t") {
            tracing::warn!(
                table = name,
                "the table is left as it is: the role does not own it"
            );
            continue;
        }
        let before = bytes(&mut session, &names, &name).await?;
        let mut vacuum = MaintainAction::new("vacuum")
            .with_table(&name)
            .with_before(before);
        if !maintenance.dry_run {
            session
                .run(&format!("VACUUM (ANALYZE) {}", names.qualified(&name)))
                .await?;
            vacuum.after = bytes(&mut session, &names, &name).await?;
        }
        maintained = maintained.with_action(vacuum);
    }
    session.release();
    Ok(maintained)
}

/// Bytes of a table with its indexes.
async fn bytes(session: &mut Session, names: &Names, name: &str) -> Result<Footprint, Failure> {
    let table = literal_text(&names.qualified(name));
    let bytes = session
        .value(&format!("SELECT pg_total_relation_size({table}::regclass)"))
        .await?;
    Ok(Footprint::bytes(
        bytes
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or_default(),
    ))
}
