//! What a role may do: asked before, so that an error can say what to grant.

use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey};

use crate::catalog::Table;
use crate::error::Failure;
use crate::names::Names;
use crate::session::Session;

/// # Errors
/// [`ErrorKind::ReadOnly`] if the role may not add rows to the table; it says what to grant.
pub(crate) async fn require_insert(
    session: &mut Session,
    names: &Names,
    name: &str,
    table: &Table,
    feature: &FeatureKey,
) -> Result<(), Failure> {
    match table.may_insert {
        true => require_temporary(session, feature).await,
        false => Err(denied_on_table(session, "INSERT", names, name, feature).await?),
    }
}

/// # Errors
/// [`ErrorKind::ReadOnly`] if the role may not remove rows of the table.
pub(crate) async fn require_delete(
    session: &mut Session,
    names: &Names,
    name: &str,
    feature: &FeatureKey,
) -> Result<(), Failure> {
    let table = literal_text(&names.qualified(name));
    let sql = format!("SELECT has_table_privilege({table}, 'DELETE')");
    match session.value(&sql).await?.as_deref() {
        Some("t") => Ok(()),
        _ => Err(denied_on_table(session, "DELETE", names, name, feature).await?),
    }
}

/// # Errors
/// [`ErrorKind::ReadOnly`] if the role does not own the table, so that it cannot `change` it, such as by `sql`.
pub(crate) async fn require_owner(
    session: &mut Session,
    name: &str,
    table: &Table,
    feature: &FeatureKey,
    change: &str,
    sql: Option<&str>,
) -> Result<(), Failure> {
    if table.is_owner {
        return Ok(());
    }
    let role = role(session).await?;
    let problem = format!(
        "role {role:?} does not own the table {name:?} of feature {feature}, so it cannot {change}; nothing was written"
    );
    let hint = match sql {
        Some(sql) => format!("ask its owner to run: {sql}"),
        None => "ask its owner to do it".to_owned(),
    };
    Err(Error::new(ErrorKind::ReadOnly, problem)
        .with_hint(hint)
        .into())
}

/// # Errors
/// [`ErrorKind::ReadOnly`] if the role may not make tables, or the schema for them where it is missing.
pub(crate) async fn require_create(
    session: &mut Session,
    names: &Names,
    feature: &FeatureKey,
) -> Result<(), Failure> {
    let schema = literal_text(&names.schema);
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = {schema}) \
         THEN has_schema_privilege({schema}, 'CREATE') END, has_database_privilege(current_database(), 'CREATE'), current_database()"
    );
    let row = session
        .rows(&sql)
        .await?
        .into_iter()
        .next()
        .unwrap_or_default();
    let (allowed, place) = match row.as_slice() {
        [Some(in_schema), ..] => (in_schema == "t", format!("SCHEMA {}", quote(&names.schema))),
        [None, in_database, database] => (
            in_database.as_deref() == Some("t"),
            format!(
                "DATABASE {}",
                quote(database.as_deref().unwrap_or_default())
            ),
        ),
        _ => (true, String::new()),
    };
    if allowed {
        return require_temporary(session, feature).await;
    }
    let role = role(session).await?;
    let problem = format!(
        "role {role:?} may not create the table of feature {feature} in schema {:?}: it lacks CREATE; nothing was written",
        names.schema
    );
    let hint = format!("GRANT CREATE ON {place} TO {}", quote(&role));
    Err(Error::new(ErrorKind::ReadOnly, problem)
        .with_hint(hint)
        .into())
}

/// Rows on their way are held in a temporary table.
async fn require_temporary(session: &mut Session, feature: &FeatureKey) -> Result<(), Failure> {
    let sql = "SELECT has_database_privilege(current_database(), 'TEMPORARY'), current_database()";
    let row = session
        .rows(sql)
        .await?
        .into_iter()
        .next()
        .unwrap_or_default();
    let [Some(allowed), Some(database)] = row.as_slice() else {
        return Ok(());
    };
    if allowed == "t" {
        return Ok(());
    }
    let role = role(session).await?;
    let problem = format!(
        "role {role:?} may not make temporary tables, in which the rows of feature {feature} are held before they are written: it lacks TEMPORARY on database {database:?}"
    );
    let hint = format!(
        "GRANT TEMPORARY ON DATABASE {} TO {}",
        quote(database),
        quote(&role)
    );
    Err(Error::new(ErrorKind::ReadOnly, problem)
        .with_hint(hint)
        .into())
}

async fn denied_on_table(
    session: &mut Session,
    right: &str,
    names: &Names,
    name: &str,
    feature: &FeatureKey,
) -> Result<Failure, Failure> {
    let role = role(session).await?;
    let problem = format!(
        "role {role:?} lacks {right} on the table {name:?} of feature {feature}; nothing was written"
    );
    let hint = format!(
        "GRANT SELECT, {right} ON {} TO {}",
        names.qualified(name),
        quote(&role)
    );
    Ok(Error::new(ErrorKind::ReadOnly, problem)
        .with_hint(hint)
        .into())
}

async fn role(session: &mut Session) -> Result<String, Failure> {
    Ok(session
        .value("SELECT current_user")
        .await?
        .unwrap_or_default())
}
