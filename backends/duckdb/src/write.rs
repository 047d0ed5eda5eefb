//! Appends and deletes: one transaction each.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duckdb::Appender;
use futures::executor::block_on;
use metaxy_core::backend::Appended;
use metaxy_core::backend::append::{Append, Times, missing_table, value_misfit};
use metaxy_core::expr::Expr;
use metaxy_core::sql::{condition, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result, columns};

use crate::catalog::{self, Session};
use crate::cross;
use crate::dialect::DuckDbDialect;
use crate::error::Failure;
use crate::types::{kept, sql_type, to_kept};

/// Appends to all tables, or to none. A connection that is dropped before its commit undoes everything.
pub(crate) fn append(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    appends: Vec<Append>,
) -> Result<Appended, Failure> {
    let connection = session.connection;
    connection.execute_batch("BEGIN TRANSACTION")?;
    let mut appended = Appended::default();
    for append in appends {
        let name = dialect.table_name(&append.table);
        let (rows, table_rows) = append_one(session, &name, append)?;
        appended.rows += rows;
        appended.table_rows = appended.table_rows.max(Some(table_rows));
    }
    connection.execute_batch("COMMIT")?;
    Ok(appended)
}

fn append_one(session: Session<'_>, name: &str, append: Append) -> Result<(u64, u64), Failure> {
    let connection = session.connection;
    let (feature, create) = (append.table.clone(), append.create);
    let stored = catalog::table(session, name)?;
    if let Some(stored) = &stored
        && append.times != Times::Keep
    {
        require_ours(stored, name, &feature)?;
    }
    let latest = match &stored {
        Some(stored) => latest_stamp(session, name, stored)?,
        None => None,
    };
    let given = append.rows.schema().clone();
    let mut prepared = append.prepare(stored.as_deref(), latest)?;
    let types = kept_types(prepared.schema(), &feature)?;
    let table = Table {
        name,
        schema: prepared.schema(),
        types: &types,
        feature: &feature,
    };
    fit_table(session, &table, stored.as_ref(), create)?;

    let schema = prepared.schema().clone();
    let refused = |failure: Failure| refused(failure, &schema, &given, &feature);
    let mut rows = 0;
    let mut appender = connection.appender_to_catalog_and_db(name, session.database, "main")?;
    while let Some(batch) = block_on(prepared.next())? {
        append_rows(&mut appender, &batch, &types).map_err(refused)?;
        rows += batch.num_rows() as u64;
    }
    appender.flush().map_err(|e| refused(e.into()))?;
    drop(appender);
    let sql = format!("SELECT COUNT(*) FROM {}", session.name(name));
    let table_rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok((rows, u64::try_from(table_rows).unwrap_or_default()))
}

/// A value that a column of another program's table cannot hold, such as a word that its ENUM has not.
fn refused(failure: Failure, schema: &Schema, given: &Schema, feature: &FeatureKey) -> Failure {
    let error = match failure {
        Failure::DuckDb(error) => error,
        Failure::Other(error) => return error.with_context("feature", feature).into(),
    };
    let text = error.to_string();
    let Some((stored, position)) = misfit(&text) else {
        return error.into();
    };
    let Some(field) = schema.fields().get(position) else {
        return error.into();
    };
    // What the frame has not is a column of the system, which is given as it is.
    let given = given.field_with_name(field.name()).unwrap_or(field);
    value_misfit(feature, field.name(), stored, given.data_type())
        .with_source(error)
        .into()
}

/// Of a value that an appender did not take: the type of the column as DuckDB writes it, and the column's position.
fn misfit(message: &str) -> Option<(&str, usize)> {
    let (_, rest) = message.split_once("type mismatch in AppendDataChunk, expected ")?;
    let (types, position) = rest.rsplit_once(" for column ")?;
    let (stored, _) = types.rsplit_once(", got ")?;
    let digits = position.find(|c: char| !c.is_ascii_digit());
    let position = &position[..digits.unwrap_or(position.len())];
    Some((stored, position.parse().ok()?))
}

/// Appends a batch, whose columns are kept as `types`.
pub(crate) fn append_rows(
    appender: &mut Appender<'_>,
    batch: &RecordBatch,
    types: &[DataType],
) -> Result<(), Failure> {
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let schema = batch.schema();
    let columns = batch
        .columns()
        .iter()
        .zip(types)
        .zip(schema.fields())
        .map(|((column, kept), field)| {
            let name = || format!("{:?}", field.name());
            to_kept(column, kept).map_err(|e| e.with_context("column", name()))
        })
        .collect::<Result<Vec<_>>>()?;
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .zip(types)
        .map(|(field, kept)| Field::new(field.name(), kept.clone(), true))
        .collect();
    let kept = RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns);
    let kept = cross::batch_for(&kept.map_err(Error::from)?)?;
    appender.append_record_batch(kept)?;
    Ok(())
}

fn kept_types(schema: &Schema, feature: &FeatureKey) -> Result<Vec<DataType>> {
    schema
        .fields()
        .iter()
        .map(|field| kept(field).map_err(|e| e.with_context("feature", feature)))
        .collect()
}

/// The greatest stamp of the table, as far as it has the columns.
fn latest_stamp(session: Session<'_>, name: &str, stored: &Schema) -> Result<Option<i64>, Failure> {
    let is_time = |column: &&str| {
        let field = stored.field_with_name(column);
        field.is_ok_and(|field| matches!(field.data_type(), DataType::Timestamp(..)))
    };
    let stamps: Vec<String> = [columns::UPDATED_AT, columns::DELETED_AT]
        .iter()
        .filter(|column| is_time(column))
        .map(|column| format!("epoch_us(MAX({}))", quote(column)))
        .collect();
    if stamps.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT GREATEST({}) FROM {}",
        stamps.join(", "),
        session.name(name)
    );
    Ok(session.connection.query_row(&sql, [], |row| row.get(0))?)
}

/// A table as it should be.
struct Table<'a> {
    name: &'a str,
    schema: &'a SchemaRef,
    /// How its columns are kept.
    types: &'a [DataType],
    feature: &'a FeatureKey,
}

/// Makes the table, or adds what it lacks.
fn fit_table(
    session: Session<'_>,
    table: &Table<'_>,
    stored: Option<&SchemaRef>,
    create: bool,
) -> Result<(), Failure> {
    let connection = session.connection;
    let Table {
        name,
        schema,
        types,
        feature,
    } = *table;
    tell_apart(schema, feature)?;
    let definition = |i: usize| {
        let name = quote(schema.field(i).name());
        format!("{name} {}", sql_type(&types[i]))
    };
    let Some(stored) = stored else {
        let definitions: Vec<String> = (0..types.len()).map(definition).collect();
        let sql = format!(
            "CREATE TABLE {} ({})",
            session.name(name),
            definitions.join(", ")
        );
        if !create {
            return Err(missing_table(feature, &sql).into());
        }
        refuse_taken(session, name, feature)?;
        connection.execute_batch(&sql)?;
        for field in schema.fields() {
            catalog::note_type(session, name, field)?;
        }
        return Ok(());
    };
    for (i, field) in schema.fields().iter().enumerate() {
        let table = session.name(name);
        match stored.fields().get(i) {
            Some(known) if known.data_type() == field.data_type() => continue,
            // It has got new members, or the type that it waited for.
            Some(_) => {
                connection.execute_batch(&format!(
                    "ALTER TABLE {table} ALTER COLUMN {} TYPE {}",
                    quote(field.name()),
                    sql_type(&types[i])
                ))?;
                catalog::forget_type(session, name, field.name())?;
            }
            None => connection
                .execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {}", definition(i)))?,
        }
        catalog::note_type(session, name, field)?;
    }
    Ok(())
}

/// DuckDB ignores the case of names.
fn tell_apart(schema: &Schema, feature: &FeatureKey) -> Result<(), Error> {
    let fields = schema.fields().iter();
    unique(fields.map(|f| f.name().as_str()), "columns", feature)?;
    for field in schema.fields() {
        members_apart(field.data_type(), feature)?;
    }
    Ok(())
}

fn members_apart(data_type: &DataType, feature: &FeatureKey) -> Result<(), Error> {
    match data_type {
        DataType::Struct(members) => {
            let names = members.iter().map(|m| m.name().as_str());
            unique(names, "members", feature)?;
            members
                .iter()
                .try_for_each(|m| members_apart(m.data_type(), feature))
        }
        DataType::List(item) | DataType::FixedSizeList(item, _) => {
            members_apart(item.data_type(), feature)
        }
        _ => Ok(()),
    }
}

fn unique<'a>(
    names: impl Iterator<Item = &'a str>,
    what: &str,
    feature: &FeatureKey,
) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for name in names {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!("DuckDB cannot tell the {what} {other:?} and {name:?} of feature {feature} apart"),
            )
            .with_hint("rename one of them; nothing was written"));
        }
    }
    Ok(())
}

/// # Errors
/// [`ErrorKind::Unsupported`] if a table or a view has the name, but for its case.
fn refuse_taken(session: Session<'_>, name: &str, feature: &FeatureKey) -> Result<(), Failure> {
    let taken = catalog::taken_names(session)?;
    match taken.iter().find(|taken| taken.eq_ignore_ascii_case(name)) {
        None => Ok(()),
        Some(taken) if taken == name => Err(not_ours(name, feature).into()),
        Some(taken) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("DuckDB cannot tell the table {name:?} of feature {feature} from the table {taken:?}"),
        )
        .with_hint("rename the feature, set the option `table_prefix`, or use another file")
        .into()),
    }
}

/// # Errors
/// [`ErrorKind::Unsupported`] for a table that has no column of the system: it is somebody else's.
fn require_ours(stored: &Schema, name: &str, feature: &FeatureKey) -> Result<(), Error> {
    let system = |field: &Field| field.name().starts_with(columns::SYSTEM_PREFIX);
    if stored.fields().iter().any(|field| system(field)) {
        return Ok(());
    }
    Err(not_ours(name, feature))
}

/// Of a name that no table has.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if a view has it.
fn refuse_view(session: Session<'_>, name: &str, feature: &FeatureKey) -> Result<(), Failure> {
    match catalog::taken_names(session)?.contains(name) {
        true => Err(not_ours(name, feature).into()),
        false => Ok(()),
    }
}

fn not_ours(name: &str, feature: &FeatureKey) -> Error {
    let problem =
        format!("the table {name:?}, where feature {feature} would be kept, is not metaxy's");
    Error::new(ErrorKind::Unsupported, problem)
        .with_hint("set the option `table_prefix`, or use another file; nothing was changed")
}

/// Begins a transaction that takes something away from a table; its columns, `None` if there is no such table.
pub(crate) fn begun_on(
    session: Session<'_>,
    name: &str,
    feature: &FeatureKey,
) -> Result<Option<SchemaRef>, Failure> {
    session.connection.execute_batch("BEGIN TRANSACTION")?;
    let Some(schema) = catalog::table(session, name)? else {
        refuse_view(session, name, feature)?;
        return Ok(None);
    };
    require_ours(&schema, name, feature)?;
    Ok(Some(schema))
}

/// Removes the rows for which `filter` is true, or all.
pub(crate) fn delete(
    dialect: &DuckDbDialect,
    session: Session<'_>,
    table: &FeatureKey,
    filter: Option<&Expr>,
) -> Result<u64, Failure> {
    let connection = session.connection;
    let name = dialect.table_name(table);
    let Some(schema) = begun_on(session, &name, table)? else {
        return Ok(0);
    };
    let mut sql = format!("DELETE FROM {}", session.name(&name));
    if let Some(filter) = filter {
        let sql_of = |column: &str| Ok(quote(column));
        let condition = condition(filter, &schema, &sql_of, dialect)?;
        sql.push_str(&format!(" WHERE {condition}"));
    }
    let removed = connection.execute(&sql, [])?;
    connection.execute_batch("COMMIT")?;
    Ok(removed as u64)
}

/// Removes a table; returns whether there was one.
pub(crate) fn drop_table(
    session: Session<'_>,
    name: &str,
    feature: &FeatureKey,
) -> Result<bool, Failure> {
    let connection = session.connection;
    if begun_on(session, name, feature)?.is_none() {
        return Ok(false);
    }
    connection.execute_batch(&format!("DROP TABLE {}", session.name(name)))?;
    catalog::forget_types(session, name)?;
    connection.execute_batch("COMMIT")?;
    Ok(true)
}
