//! A table made what a write needs: its columns, the notes of their types, its indexes.

use std::collections::BTreeSet;

use arrow::datatypes::{Field, SchemaRef};
use metaxy_core::backend::append::{merged_type, missing_table};
use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result, columns};

use crate::catalog::{self, Table};
use crate::commit;
use crate::error::Failure;
use crate::names::{MOST_BYTES, Names, SYSTEM_COLUMNS, fitting};
use crate::session::Session;
use crate::types::kept;
use crate::write::Staged;

/// The most columns of a table.
const MOST_COLUMNS: usize = 1_600;

/// # Errors
/// [`ErrorKind::InvalidFrame`] for more columns than a table has, for a name that PostgreSQL cuts or has already, and [`ErrorKind::Unsupported`] for a type that it cannot
/// hold.
pub(crate) fn fitting_columns(schema: &SchemaRef, feature: &FeatureKey) -> Result<()> {
    let columns = schema.fields().len();
    if columns > MOST_COLUMNS {
        let problem = format!(
            "feature {feature} has {columns} columns with those of the system, and PostgreSQL keeps {MOST_COLUMNS} in a table"
        );
        return Err(Error::new(ErrorKind::InvalidFrame, problem)
            .with_hint("write fewer columns, or make two features of it; nothing was written"));
    }
    for field in schema.fields() {
        let name = field.name();
        kept(field).map_err(|e| e.with_context("feature", feature))?;
        let problem = if name.len() > MOST_BYTES {
            format!("is longer than the {MOST_BYTES} bytes that PostgreSQL has for a name")
        } else if SYSTEM_COLUMNS.contains(&name.as_str()) {
            "has the name of a column that PostgreSQL has in every table".to_owned()
        } else if name.is_empty() || name.contains('\0') {
            "has a name that PostgreSQL does not take".to_owned()
        } else {
            continue;
        };
        return Err(Error::new(
            ErrorKind::InvalidFrame,
            format!("column {name:?} of feature {feature} {problem}"),
        )
        .with_hint("rename it; nothing was written"));
    }
    Ok(())
}

pub(crate) fn create_table(names: &Names, name: &str, schema: &SchemaRef) -> Result<String> {
    let definitions = schema
        .fields()
        .iter()
        .map(|field| definition(field))
        .collect::<Result<Vec<_>>>()?;
    Ok(format!(
        "CREATE TABLE {} ({})",
        names.qualified(name),
        definitions.join(", ")
    ))
}

fn definition(field: &Field) -> Result<String> {
    Ok(format!("{} {}", quote(field.name()), kept(field)?.sql()))
}

/// The statements that add what the table lacks, and that give columns the types that they waited for.
///
/// # Errors
/// [`ErrorKind::Conflict`] if others have changed a column's type since the rows were fitted to it.
pub(crate) fn missing(
    names: &Names,
    name: &str,
    schema: &SchemaRef,
    stored: &Table,
    feature: &FeatureKey,
) -> Result<Vec<String>> {
    let table = names.qualified(name);
    let mut statements = Vec::new();
    for field in schema.fields() {
        let Ok(known) = stored.schema.field_with_name(field.name()) else {
            let definition = definition(field)?;
            statements.push(format!("ALTER TABLE {table} ADD COLUMN {definition}"));
            continue;
        };
        let (is, wanted) = (kept(known)?, kept(field)?);
        if is == wanted {
            continue;
        }
        let column = quote(field.name());
        let merged = merged_type(known.data_type(), field.data_type());
        let fits = merged.as_ref() == Some(field.data_type());
        let values = is.altered(&wanted, &column).filter(|_| fits);
        let values = values.ok_or_else(|| changed_meanwhile(field, known, feature))?;
        statements.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {column} TYPE {} USING {values}",
            wanted.sql()
        ));
    }
    Ok(statements)
}

/// Makes the table, or adds what it lacks: columns, notes of their types, indexes. Returns the statements that are better run when the rows
/// are there: an index of many rows is made in less time than they take to be put into it one by one.
pub(crate) async fn fit_table(
    session: &mut Session,
    names: &Names,
    place: &Staged,
    stored: Option<&Table>,
) -> Result<Vec<String>, Failure> {
    let Staged {
        feature,
        name,
        schema,
        ..
    } = place;
    let mut statements = Vec::new();
    match stored {
        None => {
            let sql = create_table(names, name, schema)?;
            if !place.create {
                return Err(missing_table(feature, &sql).into());
            }
            make_schema(session, names).await?;
            statements.push(sql);
        }
        Some(stored) => statements.extend(missing(names, name, schema, stored, feature)?),
    }
    for field in schema.fields() {
        let known = stored.and_then(|stored| stored.schema.field_with_name(field.name()).ok());
        if let Some(known) = known {
            if known.data_type() == field.data_type() {
                continue;
            }
            if !stored.is_some_and(|stored| stored.is_owner) {
                continue;
            }
        }
        // A struct may have got new members, be it from us or from somebody else.
        let merged = match known {
            Some(known) => merged(field, known, feature)?,
            None => field.as_ref().clone(),
        };
        let note = match catalog::note(&merged, &kept(&merged)?)? {
            Some(note) => literal_text(&note),
            // A type that needs no note, after one that did.
            None if known.is_some() => "NULL".into(),
            None => continue,
        };
        statements.push(format!(
            "COMMENT ON COLUMN {}.{} IS {note}",
            names.qualified(name),
            quote(field.name()),
        ));
    }
    let mut afterwards = Vec::new();
    match stored {
        None => afterwards = indexes(names, place, &BTreeSet::new()),
        Some(stored) if stored.is_owner => {
            statements.extend(indexes(names, place, &stored.indexes));
        }
        Some(_) => {}
    }
    if !statements.is_empty() {
        session.run(&statements.join("; ")).await?;
    }
    Ok(afterwards)
}

/// The field with what both know of its type.
fn merged(field: &Field, known: &Field, feature: &FeatureKey) -> Result<Field> {
    let both = merged_type(field.data_type(), known.data_type());
    let both = both.ok_or_else(|| changed_meanwhile(field, known, feature))?;
    Ok(field.clone().with_data_type(both))
}

fn changed_meanwhile(field: &Field, known: &Field, feature: &FeatureKey) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "column {:?} of feature {feature} became {} while it was to be written as {}",
            field.name(),
            known.data_type(),
            field.data_type()
        ),
    )
    .with_hint("try again, to be told whether it fits; nothing was written")
}

/// The schema of the tables, where it is missing.
async fn make_schema(session: &mut Session, names: &Names) -> Result<(), Failure> {
    let schema = literal_text(&names.schema);
    let exists = format!("SELECT 1 FROM pg_namespace WHERE nspname = {schema}");
    if session.value(&exists).await?.is_some() {
        return Ok(());
    }
    commit::lock(session, names, [""]).await?;
    let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&names.schema));
    session.run(&sql).await?;
    Ok(())
}

/// The indexes that a table lacks: by feature version and stamp, for stamps and for what was written since; and by ID, for the latest row
/// of some samples.
fn indexes(names: &Names, place: &Staged, known: &BTreeSet<String>) -> Vec<String> {
    let has = |name: &str| place.schema.field_with_name(name).is_ok();
    let mut wanted = Vec::new();
    if has_stamps(&place.schema) {
        let stamp = format!(
            "(COALESCE({}, {}))",
            quote(columns::DELETED_AT),
            quote(columns::UPDATED_AT)
        );
        let by = match has(columns::FEATURE_VERSION) {
            true => format!("{}, {stamp}", quote(columns::FEATURE_VERSION)),
            false => stamp,
        };
        wanted.push((fitting(&format!("{}.by.stamp", place.name)), by));
    }
    let ids = &place.id_columns;
    // An index has 32 columns at most.
    if (1..=32).contains(&ids.len()) && ids.iter().all(|id| has(id) && is_short(place, id)) {
        let name = fitting(&format!("{}.by.{}", place.name, ids.join(",")));
        let by: Vec<String> = ids.iter().map(|id| quote(id)).collect();
        wanted.push((name, by.join(", ")));
    }
    let table = names.qualified(&place.name);
    let missing = wanted.into_iter().filter(|(name, _)| !known.contains(name));
    missing
        .map(|(name, by)| format!("CREATE INDEX {} ON {table} ({by})", quote(&name)))
        .collect()
}

/// Whether all values of a column fit into an index: a text may be longer than a page.
fn is_short(place: &Staged, id: &str) -> bool {
    let field = place.schema.field_with_name(id);
    field.is_ok_and(|field| !field.data_type().is_nested())
}

/// Whether a table has the columns of stamps.
pub(crate) fn has_stamps(schema: &SchemaRef) -> bool {
    [columns::UPDATED_AT, columns::DELETED_AT]
        .iter()
        .all(|name| schema.field_with_name(name).is_ok_and(catalog::is_time))
}
