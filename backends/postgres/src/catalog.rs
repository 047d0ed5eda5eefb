//! What is known of the tables: their columns with their Arrow types, their indexes, and what the role may do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use metaxy_core::sql::{literal_text, quote};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result, columns};

use crate::error::Failure;
use crate::names::Names;
use crate::session::Session;
use crate::strangers::{IS_TRUSTED, Strange};
use crate::types::{Kept, is_json, natural};

/// What the comment on a column starts with that tells its Arrow type.
const NOTE: &str = "metaxy: ";

/// What the catalog says of a table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) schema: SchemaRef,
    /// The type of each column, as PostgreSQL calls it.
    pub(crate) declared: Vec<String>,
    /// The names of its indexes.
    pub(crate) indexes: BTreeSet<String>,
    /// Whether the role owns it, so that it may change it.
    pub(crate) is_owner: bool,
    /// Whether the role may add rows.
    pub(crate) may_insert: bool,
    /// What of others would run; `None`: nothing, or it may.
    strange: Option<Strange>,
}

impl Table {
    /// Whether a column is one of the system's: others than ours have none.
    pub(crate) fn is_ours(&self) -> bool {
        let mut fields = self.schema.fields().iter();
        fields.any(|field| field.name().starts_with(columns::SYSTEM_PREFIX))
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] if to write to the table would run what others made.
    pub(crate) fn require_plain(&self, name: &str) -> Result<()> {
        match &self.strange {
            Some(strange) => strange.refuse_write(name),
            None => Ok(()),
        }
    }

    /// The same until the end of the transaction: the table is held, so that its owner puts nothing into it meanwhile.
    pub(crate) async fn hold_plain(
        &self,
        session: &mut Session,
        names: &Names,
        name: &str,
    ) -> Result<(), Failure> {
        if self.strange.is_none() {
            return Ok(());
        }
        let table = names.qualified(name);
        session
            .run(&format!("LOCK TABLE {table} IN ROW EXCLUSIVE MODE"))
            .await?;
        let strange = Strange::of(session, names, name).await?;
        Ok(strange.refuse_write(name)?)
    }
}

/// The type as which a column has to be read that PostgreSQL calls `declared`, if that is not its own: a `uuid`, which is text here, or
/// JSON that is kept in a text.
pub(crate) fn cast_of(field: &Field, declared: &str) -> Option<String> {
    let kept = Kept::of(field.data_type())?;
    let fits = match natural(declared) {
        Some(own) => Kept::of(&own).as_ref() == Some(&kept),
        None => match &kept {
            Kept::Jsonb | Kept::Json => declared == kept.sql(),
            Kept::Numeric(None) => declared.starts_with("numeric"),
            _ => false,
        },
    };
    (!fits).then(|| kept.sql())
}

/// What is known of a table, `None` if there is none.
pub(crate) async fn table(
    session: &mut Session,
    names: &Names,
    name: &str,
) -> Result<Option<Table>, Failure> {
    let sql = format!(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum), \
         pg_has_role(c.relowner, 'USAGE'), has_table_privilege(c.oid, 'INSERT'), \
         (SELECT json_agg(i.relname) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), {IS_TRUSTED} \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p') ORDER BY a.attnum",
        literal_text(&names.schema),
        literal_text(name)
    );
    let rows = session.rows(&sql).await?;
    let mut table = Table {
        schema: Arc::new(Schema::empty()),
        declared: Vec::new(),
        indexes: BTreeSet::new(),
        is_owner: false,
        may_insert: false,
        strange: None,
    };
    let mut is_trusted = names.code_of_others;
    let mut fields = Vec::new();
    for row in rows {
        let [name, declared, note, is_owner, may_insert, indexes, trusted] = take(row)?;
        let (name, declared) = (name.unwrap_or_default(), declared.unwrap_or_default());
        table.is_owner = is_owner.as_deref() == Some("t");
        table.may_insert = may_insert.as_deref() == Some("t");
        is_trusted |= trusted.as_deref() == Some("t");
        if let (true, Some(json)) = (fields.is_empty(), indexes) {
            table.indexes = serde_json::from_str(&json).unwrap_or_default();
        }
        fields.push(Field::new(
            &name,
            column_type(&declared, note.as_deref()),
            true,
        ));
        table.declared.push(declared);
    }
    if fields.is_empty() {
        return Ok(None);
    }
    if !is_trusted {
        let strange = Strange::of(session, names, name).await?;
        strange.refuse_read(name)?;
        table.strange = Some(strange);
    }
    let members = members(session, names, name, &fields, &table.declared).await?;
    for (at, members) in members {
        fields[at] = fields[at].clone().with_data_type(members);
    }
    table.schema = Arc::new(Schema::new(fields));
    Ok(Some(table))
}

pub(crate) fn take<const N: usize>(row: Vec<Option<String>>) -> Result<[Option<String>; N]> {
    row.try_into().map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            "the catalog gave another number of columns than it was asked for",
        )
    })
}

/// The Arrow type of a column: that of its note if it fits, otherwise what its own type says.
fn column_type(declared: &str, note: Option<&str>) -> DataType {
    let found = natural(declared);
    let noted: Option<DataType> = note
        .and_then(|note| note.strip_prefix(NOTE))
        .and_then(|json| serde_json::from_str(json).ok());
    let fits = |noted: &DataType| match Kept::of(noted) {
        Some(Kept::Jsonb) => declared == "jsonb",
        Some(Kept::Json) => declared == "json",
        Some(kept) => match &found {
            Some(found) => Kept::of(found).as_ref() == Some(&kept) && !is_json(declared),
            None => kept == Kept::Numeric(None) && declared.starts_with("numeric"),
        },
        None => false,
    };
    let own = found.clone().unwrap_or(DataType::Utf8);
    noted.filter(fits).unwrap_or(own)
}

/// The columns of versions by field, as structs of all the members that rows of any feature version have.
///
/// Another program may have written versions with other fields since the type was noted, so the newest row of each feature version is
/// looked at, by the index where there is one.
async fn members(
    session: &mut Session,
    names: &Names,
    name: &str,
    fields: &[Field],
    declared: &[String],
) -> Result<Vec<(usize, DataType)>, Failure> {
    let by_field = [columns::PROVENANCE_BY_FIELD, columns::DATA_VERSION_BY_FIELD];
    let wanted: Vec<usize> = (0..fields.len())
        .filter(|at| by_field.contains(&fields[*at].name().as_str()))
        .filter(|at| is_json(&declared[*at]) || fields[*at].data_type() == &DataType::Utf8)
        .filter(|at| !matches!(fields[*at].data_type(), DataType::Map(..)))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = wanted.iter().map(|at| quote(fields[*at].name())).collect();
    let has = |name: &str, is_such: fn(&Field) -> bool| {
        fields
            .iter()
            .any(|field| field.name() == name && is_such(field))
    };
    let stamped = has(columns::UPDATED_AT, is_time) && has(columns::DELETED_AT, is_time);
    let versioned = has(columns::FEATURE_VERSION, |_| true);
    let sql = samples(&names.qualified(name), &list, versioned, stamped);
    let rows = session.rows(&sql).await?;
    let mut found = Vec::new();
    for (column, at) in wanted.into_iter().enumerate() {
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !all.contains_key(name) {
                all.insert(name.to_owned(), order.len());
                order.push(name.to_owned());
            }
        };
        if let DataType::Struct(noted) = fields[at].data_type() {
            noted.iter().for_each(|member| add(member.name()));
        }
        for row in &rows {
            let Some(Some(json)) = row.get(column) else {
                continue;
            };
            let object: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
            for name in object
                .as_object()
                .into_iter()
                .flat_map(|object| object.keys())
            {
                add(name);
            }
        }
        let fields = order
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true));
        found.push((at, DataType::Struct(fields.collect())));
    }
    Ok(found)
}

/// One row of each feature version, the newest where rows have stamps, and one without a stamp, if there is any.
fn samples(table: &str, list: &[String], versioned: bool, stamped: bool) -> String {
    let list = list.join(", ");
    let some =
        |condition: &str| format!("(SELECT {list} FROM {table} AS t WHERE {condition} LIMIT 1)");
    // In this form the index by feature version and stamp gives the row.
    let newest = |condition: &str| {
        let stamp = stamp("t");
        match stamped {
            true => format!(
                "({} UNION ALL {})",
                some(&format!(
                    "{condition} AND {stamp} IS NOT NULL ORDER BY {stamp} DESC"
                )),
                some(&format!("{condition} AND {stamp} IS NULL"))
            ),
            false => some(condition),
        }
    };
    if !versioned {
        return newest("TRUE");
    }
    let version = column(columns::FEATURE_VERSION);
    format!(
        "{} SELECT s.* FROM versions CROSS JOIN LATERAL {} AS s WHERE versions.v IS NOT NULL UNION ALL {}",
        versions(table),
        newest(&format!("{version} = versions.v")),
        some(&format!("{version} IS NULL"))
    )
}

/// The beginning of a statement that knows the feature versions of a table as `versions.v`, and a null: one look at an index for each.
pub(crate) fn versions(table: &str) -> String {
    let version = column(columns::FEATURE_VERSION);
    format!(
        "WITH RECURSIVE versions AS ((SELECT MIN({version}) AS v FROM {table} AS t) UNION ALL \
         SELECT (SELECT MIN({version}) FROM {table} AS t WHERE {version} > versions.v) FROM versions WHERE versions.v IS NOT NULL)"
    )
}

/// The column of a table under the alias `t`.
pub(crate) fn column(name: &str) -> String {
    format!("t.{}", quote(name))
}

/// Whether a column is of times, as stamps are.
pub(crate) fn is_time(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Timestamp(_, _))
}

/// The stamp of a row of a table under an alias.
pub(crate) fn stamp(alias: &str) -> String {
    format!(
        "COALESCE({alias}.{}, {alias}.{})",
        quote(columns::DELETED_AT),
        quote(columns::UPDATED_AT)
    )
}

/// The comment that tells a column's Arrow type, where its own type does not; `None` where it does.
///
/// # Errors
/// [`ErrorKind::Internal`] if the type has no text.
pub(crate) fn note(field: &Field, kept: &Kept) -> Result<Option<String>> {
    if column_type(&declared(kept), None) == *field.data_type() {
        return Ok(None);
    }
    let json = serde_json::to_string(field.data_type()).map_err(|source| {
        let name = field.name();
        let problem = format!("the type of column {name:?} cannot be noted");
        Error::new(ErrorKind::Internal, problem).with_source(source)
    })?;
    Ok(Some(format!("{NOTE}{json}")))
}

/// What the catalog calls a type that we declare.
fn declared(kept: &Kept) -> String {
    match kept {
        Kept::Text => "character varying".into(),
        Kept::Time => "time without time zone".into(),
        Kept::Timestamp => "timestamp without time zone".into(),
        Kept::Timestamptz => "timestamp with time zone".into(),
        Kept::Array(item) => format!("{}[]", declared(item)),
        other => other.sql(),
    }
}

/// Whether a table exists and holds at least one row.
pub(crate) async fn has_rows(
    session: &mut Session,
    names: &Names,
    name: &str,
) -> Result<bool, Failure> {
    let sql = format!(
        "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p')",
        literal_text(&names.schema),
        literal_text(name)
    );
    if session.value(&sql).await?.is_none() {
        return Ok(false);
    }
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", names.qualified(name));
    Ok(session.value(&sql).await?.as_deref() == Some("t"))
}

/// The names of all tables of metaxy in the schema, sorted.
pub(crate) async fn names(session: &mut Session, names: &Names) -> Result<Vec<String>, Failure> {
    let sql = format!(
        "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relkind IN ('r', 'p') AND starts_with(c.relname, {}) AND EXISTS (\
         SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         AND starts_with(a.attname, {}))",
        literal_text(&names.schema),
        literal_text(&names.prefix),
        literal_text(columns::SYSTEM_PREFIX)
    );
    let rows = session.rows(&sql).await?;
    let mut found: Vec<String> = rows.into_iter().flatten().flatten().collect();
    found.sort_unstable();
    Ok(found)
}

/// A table of metaxy's, or `None` if the name is free.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if something else has the name. Others may be making the table meanwhile: then it is there at the second look.
pub(crate) async fn table_or_free(
    session: &mut Session,
    names: &Names,
    name: &str,
    feature: &FeatureKey,
) -> Result<Option<Table>, Failure> {
    if let Some(found) = table(session, names, name).await? {
        return Ok(Some(found));
    }
    let sql = format!(
        "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {}",
        literal_text(&names.schema),
        literal_text(name)
    );
    if session.value(&sql).await?.is_none() {
        return Ok(None);
    }
    match table(session, names, name).await? {
        Some(found) => Ok(Some(found)),
        None => Err(not_ours(name, feature).into()),
    }
}

/// # Errors
/// [`ErrorKind::Unsupported`] for a table that has no column of the system: it is somebody else's.
pub(crate) fn require_ours(table: &Table, name: &str, feature: &FeatureKey) -> Result<()> {
    match table.is_ours() {
        true => Ok(()),
        false => Err(not_ours(name, feature)),
    }
}

fn not_ours(name: &str, feature: &FeatureKey) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the table {name:?}, where feature {feature} would be kept, is not metaxy's"),
    )
    .with_hint(
        "set the option `table_prefix` or `schema`, or use another database; nothing was changed",
    )
}
