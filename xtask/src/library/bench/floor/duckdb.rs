//! The floor of DuckDB: one statement in its own functions.
//!
//! The statement knows what the benchmark's graphs are like, and a store does not: upstreams of which each has one row per sample and
//! write, no filters, no lineage, nothing optional. It asks only where rows were replaced, and keeps the columns that say something:
//! the sample, its provenance by field and as a whole (the data versions of new and stale rows are the same values again).
//!
//! What was tried on wide, stale, 1,000,000 rows, DuckDB 1.4.3, on a machine that had other work: one full join took 2.6 s, a left join with a
//! search for orphaned rows beside it 3.1 to 3.5 s; most of either is hashing. No difference showed between this way to find the latest
//! rows and `arg_max` over all of them, nor between one text per row and one per field. `NOT EXISTS` with the time of the first write in
//! it is planned as a delim join, `ANTI JOIN` is not.

use std::fmt::Write as _;

use duckdb::arrow::array::{AsArray, RecordBatch};
use duckdb::arrow::datatypes::{Int8Type, Int64Type};
use duckdb::{AccessMode, Config, Connection};
use metaxy_store::graph::feature_plan::FeaturePlan;
use metaxy_store::{FeatureGraph, FeatureKey};

use crate::library::bench::checksum::Sum;
use crate::library::bench::directory::Directory;
use crate::library::bench::graphs::ID;
use crate::library::bench::text;
use crate::library::bench::turn::Held;

/// What the statement says of a row.
const NEW: i8 = 1;
const STALE: i8 = 2;
const ORPHANED: i8 = 3;

/// The positions of the statement's columns: sample, provenance by field, provenance, label.
const PROVENANCE: usize = 2;
const LABEL: usize = 3;

/// Resolves the leaf.
pub(super) fn resolve(
    directory: &Directory,
    graph: &FeatureGraph,
) -> Result<Box<dyn Held>, String> {
    let config = Config::default().access_mode(AccessMode::ReadOnly);
    let database = database(directory)?;
    let connection = Connection::open_with_flags(database, config.map_err(text)?);
    let connection = connection.map_err(text)?;
    let plan = graph.plan(directory.leaf()?).map_err(text)?;
    let sql = Query {
        connection: &connection,
        graph,
        plan: &plan,
        function: function(&directory.hash)?,
    }
    .statement()?;
    let mut statement = connection.prepare(&sql).map_err(text)?;
    let batches = statement.stream_arrow([]).map_err(text)?;
    let rows: Result<Vec<RecordBatch>, _> = batches.collect();
    Ok(Box::new(Batches(rows.map_err(text)?)))
}

/// The statement, piece by piece.
struct Query<'a> {
    connection: &'a Connection,
    graph: &'a FeatureGraph,
    plan: &'a FeaturePlan,
    /// The engine's function for the store's hash algorithm.
    function: &'static str,
}

impl Query<'_> {
    fn statement(&self) -> Result<String, String> {
        let mut sql = String::from("WITH ");
        for (position, dep) in self.plan.deps.iter().enumerate() {
            let rows = self.current(dep.definition.key(), "metaxy_data_version_by_field")?;
            let _ = writeln!(sql, "root_{position} AS ({rows}),");
        }
        let _ = writeln!(sql, "joined AS ({}),", self.joined());
        let _ = writeln!(sql, "hashed AS ({}),", self.hashed());
        let _ = write!(sql, "expected AS ({})", self.expected());
        let leaf = self.plan.key();
        let by_field = self.by_field();
        if !self.exists(leaf)? {
            let columns = format!("{ID}, {by_field}, value, {NEW}::TINYINT AS label");
            let _ = write!(sql, "\nSELECT {columns} FROM expected AS e");
            return Ok(sql);
        }
        let stored = self.current(leaf, "metaxy_provenance")?;
        let _ = write!(
            sql,
            ",\nstored AS ({stored})
            SELECT coalesce(e.{ID}, s.{ID}) AS {ID}, {by_field}, coalesce(e.value, s.value) AS value,
                CASE WHEN s.{ID} IS NULL THEN {NEW} WHEN e.{ID} IS NULL THEN {ORPHANED} ELSE {STALE}
                END::TINYINT AS label
            FROM expected AS e FULL JOIN stored AS s ON s.{ID} = e.{ID}
            WHERE s.value IS DISTINCT FROM e.value OR s.{ID} IS NULL OR e.{ID} IS NULL"
        );
        Ok(sql)
    }

    /// The current rows of a feature: each sample and one column of it, as `value`.
    ///
    /// A write has one time, and each sample once. So if all rows have one time, all are current; otherwise those of the first write are,
    /// unless a later one has the sample too.
    fn current(&self, feature: &FeatureKey, column: &str) -> Result<String, String> {
        let table = quoted(&feature.table_name());
        let version = self.graph.feature_version(feature).map_err(text)?;
        let live = format!("metaxy_feature_version = '{version}' AND metaxy_deleted_at IS NULL");
        let one_write = format!(
            "SELECT coalesce(min(metaxy_updated_at) = max(metaxy_updated_at), true) FROM {table}"
        );
        let one_write: bool = self
            .connection
            .query_row(&one_write, [], |row| row.get(0))
            .map_err(text)?;
        if one_write {
            return Ok(format!(
                "SELECT {ID}, {column} AS value FROM {table} WHERE {live}"
            ));
        }
        let first = format!("(SELECT min(metaxy_updated_at) FROM {table})");
        Ok(format!(
            "SELECT a.{ID}, a.{column} AS value FROM {table} AS a
            ANTI JOIN (SELECT {ID} FROM {table} WHERE metaxy_updated_at > {first}) AS b ON b.{ID} = a.{ID}
            WHERE a.metaxy_updated_at = {first} AND {live}
            UNION ALL
            SELECT {ID}, arg_max({column}, metaxy_updated_at) AS value FROM {table}
            WHERE metaxy_updated_at > {first} AND {live} GROUP BY {ID}"
        ))
    }

    /// Samples that every root has, with the text that is hashed for each field. The longest part, which names all the fields that
    /// a field depends on, is built once for the fields that have it in common.
    fn joined(&self) -> String {
        let tails = self.tails();
        let tails = tails.iter().enumerate();
        let tails: Vec<String> = tails
            .map(|(i, tail)| format!("concat({tail}) AS tail_{i}"))
            .collect();
        let mut sql = format!("SELECT root_0.{ID}, {} FROM root_0", tails.join(", "));
        for position in 1..self.plan.deps.len() {
            let _ = write!(sql, " JOIN root_{position} USING ({ID})");
        }
        sql
    }

    /// Samples with the provenance of each field.
    fn hashed(&self) -> String {
        let tails = self.tails();
        let fields = self.plan.spec().fields().iter().map(|field| {
            let tail = self.tail(&field.key);
            let tail = tails.iter().position(|other| *other == tail);
            let text = format!(
                "concat('{}|{}', tail_{})",
                field.key,
                field.code_version,
                tail.unwrap_or_default()
            );
            format!(
                "{} AS {}",
                self.hash(&text),
                quoted(&field.key.struct_key())
            )
        });
        let fields: Vec<String> = fields.collect();
        format!("SELECT {ID}, {} FROM joined", fields.join(", "))
    }

    /// Samples with the provenance of each field and as a whole.
    fn expected(&self) -> String {
        let whole = self.hash(&format!("concat({})", self.fields().join(", '|', ")));
        format!("SELECT *, {whole} AS value FROM hashed")
    }

    /// The provenance by field, built only for rows that leave.
    fn by_field(&self) -> String {
        let members = self.fields();
        let members = members.iter().map(|field| format!("{field} := e.{field}"));
        let members: Vec<String> = members.collect();
        format!("struct_pack({}) AS by_field", members.join(", "))
    }

    /// The leaf's fields, in the order in which their provenances are hashed.
    fn fields(&self) -> Vec<String> {
        let fields = self.plan.spec().fields().iter();
        let mut fields: Vec<String> = fields.map(|field| field.key.struct_key()).collect();
        fields.sort();
        fields.iter().map(|field| quoted(field)).collect()
    }

    /// What follows the code version in the text that is hashed, once for all fields that have it in common.
    fn tails(&self) -> Vec<String> {
        let mut tails = Vec::new();
        for field in self.plan.spec().fields() {
            let tail = self.tail(&field.key);
            if !tails.contains(&tail) {
                tails.push(tail);
            }
        }
        tails
    }

    fn tail(&self, field: &metaxy_store::FieldKey) -> String {
        let parents = self.plan.parents.get(field).into_iter().flatten();
        let parents: Vec<String> = parents
            .map(|parent| {
                let member = quoted(&parent.field.struct_key());
                let (name, root) = (parent.qualified(), parent.dep);
                format!("'|{name}|', root_{root}.value.{member}")
            })
            .collect();
        parents.join(", ")
    }

    fn hash(&self, value: &str) -> String {
        let length = self.graph.truncation_length();
        format!("left({}({value}), {length})", self.function)
    }

    fn exists(&self, feature: &FeatureKey) -> Result<bool, String> {
        let sql = "SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = ?";
        let found = self
            .connection
            .query_row(sql, [feature.table_name()], |row| row.get(0));
        found.map_err(text)
    }
}

/// The rows, as they came.
struct Batches(Vec<RecordBatch>);

impl Held for Batches {
    fn counts(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for label in self.0.iter().flat_map(labels) {
            for (known, count) in [NEW, STALE, ORPHANED].iter().zip(&mut counts) {
                *count += u64::from(label == *known);
            }
        }
        counts
    }

    fn checksum(&self) -> Result<u64, String> {
        let mut sum = Sum::default();
        for batch in &self.0 {
            let samples = batch.column(0).as_primitive_opt::<Int64Type>();
            let provenance = batch.column(PROVENANCE).as_string_opt::<i32>();
            let (Some(samples), Some(provenance)) = (samples, provenance) else {
                return Err("the rows of the floor have other types".to_owned());
            };
            for (row, label) in labels(batch).enumerate() {
                if label != ORPHANED {
                    sum.add(samples.value(row), provenance.value(row));
                }
            }
        }
        Ok(sum.get())
    }
}

fn labels(batch: &RecordBatch) -> impl Iterator<Item = i8> + '_ {
    let labels = batch.column(LABEL).as_primitive::<Int8Type>();
    (0..labels.len()).map(|row| labels.value(row))
}

/// The file of the directory's store.
fn database(directory: &Directory) -> Result<std::path::PathBuf, String> {
    let config = directory.config().map_err(text)?;
    let store = config.store(config.default_store()).map_err(text)?;
    let request = config.open_request(store, metaxy_store::Access::Read);
    let mut options = request.map_err(text)?.options;
    Ok(directory
        .path
        .join(options.string("database").map_err(text)?))
}

/// The engine's own function for a hash algorithm.
fn function(hash: &str) -> Result<&'static str, String> {
    match hash {
        "md5" => Ok("md5"),
        "sha256" => Ok("sha256"),
        other => Err(format!(
            "DuckDB has no function {other} of its own: seed with --hash md5 for a floor"
        )),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
