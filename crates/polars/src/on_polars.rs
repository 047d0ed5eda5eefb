//! A backend with an engine of its own whose plans run on Polars all the same: option `versioning_engine = "polars"`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use metaxy_core::backend::append::Append;
use metaxy_core::backend::blocking;
use metaxy_core::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_core::backend::{
    Appended, Backend, Capabilities, Description, Explanation, SharedBackend,
};
use metaxy_core::delete::DeleteSamples;
use metaxy_core::expr::Expr;
use metaxy_core::hash::HashAlgorithm;
use metaxy_core::plan::{JoinKind, Plan, Relation, Scalar, Scan};
use metaxy_core::{FeatureKey, Frame, Result};
use polars::prelude::{DataFrame, IntoLazy, LazyFrame};

use crate::cross::to_polars;
use crate::engine::query;
use crate::error::{failed, internal};
use crate::relation::{Lowering, names_of, selected};
use crate::source::{ScanRequest, Scanned, Source};

/// The same store, whose plans run on Polars: `inner` is only asked for rows of its tables, all of them at one moment. All hash
/// algorithms are there, whatever `inner` knows.
///
/// The rows of a plan's tables are held in memory. It is a second opinion on the engine of a store, and an engine for a store whose own
/// lacks a hash algorithm.
#[must_use]
pub fn on_polars(inner: SharedBackend) -> SharedBackend {
    Arc::new(OnPolars(inner))
}

struct OnPolars(SharedBackend);

#[async_trait]
impl Backend for OnPolars {
    fn capabilities(&self) -> Capabilities {
        let inner = self.0.capabilities();
        inner.with_hash_algorithms(&HashAlgorithm::ALL)
    }

    fn describe(&self) -> Description {
        self.0.describe()
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        self.0.schema(table).await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        self.0.has_rows(table).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.0.tables().await
    }

    async fn append(&self, appends: Vec<Append>) -> Result<Appended> {
        self.0.append(appends).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.0.delete(table, condition).await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.0.delete_samples(table, samples).await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.0.drop_table(table).await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        self.0.prune(table, prune).await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        self.0.maintain(maintenance).await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        self.0.verify(table).await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        let scans = scans_of(&plan)?;
        let tables = match scans.is_empty() {
            true => BTreeMap::new(),
            false => self.load(scans).await?,
        };
        query(plan, Loaded(tables))
    }

    async fn explain(&self, relation: &Relation) -> Result<Explanation> {
        explain(relation.clone()).await
    }
}

/// What Polars says of a relation over tables that have no rows: the plan as it is optimized.
///
/// # Errors
/// If Polars refuses it.
pub async fn explain(relation: Relation) -> Result<Explanation> {
    blocking::run("Polars", move || {
        let frames = relation.frames();
        let places = frames.keys().next_back().map_or(0, |last| last + 1);
        let nothing: SchemaRef = Arc::new(Schema::empty());
        let frames = (0..places).map(|at| to_polars(frames.get(&at).unwrap_or(&nothing), &[]));
        let frames = frames.collect::<Result<Vec<_>>>()?;
        let recorder = Recorder::default();
        let lowering = Lowering {
            source: &recorder,
            frames: &frames,
        };
        let rows = lowering.relation(&relation, &names_of(relation.schema()))?;
        let plan = rows.explain(true).map_err(failed)?;
        Ok(Explanation::of("Polars").with_engine_plan(plan).with_note(
            "rows of tables that are in the same order are put beside each other instead of joined",
        ))
    })
    .await
}

impl OnPolars {
    /// The rows of all scans, read by one statement, so that they are of one moment.
    async fn load(&self, scans: BTreeMap<String, Wanted>) -> Result<BTreeMap<String, DataFrame>> {
        let mut all: Option<Relation> = None;
        for (position, wanted) in scans.values().enumerate() {
            let mut columns = vec![(TAG.to_owned(), Scalar::Text(position.to_string()))];
            columns.extend(wanted.columns.iter().map(|name| {
                let column = Scalar::Column(name.clone());
                (under(position, name), column)
            }));
            let relation = Relation::scan(wanted.scan.clone(), wanted.schema.clone());
            let relation = relation.project(columns)?;
            // No two tags are equal, so the full join is the one after the other.
            all = Some(match all {
                None => relation,
                Some(before) => before.join(relation, vec![TAG.to_owned()], JoinKind::Full)?,
            });
        }
        let Some(all) = all else {
            return Ok(BTreeMap::new());
        };
        let rows = self.0.query(Plan::from(all)).await?.collect().await?;
        let tables = scans.into_iter().enumerate();
        let tables = tables.map(|(position, (name, wanted))| {
            let fields = wanted.columns.iter().map(|column| {
                let field = wanted.schema.field_with_name(column)?;
                Ok(Field::new(column, field.data_type().clone(), true))
            });
            let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
            let batches = rows.batches().iter();
            let batches = batches.map(|batch| part(batch, position, &schema));
            let batches = batches.collect::<Result<Vec<_>>>()?;
            Ok((name, to_polars(&schema, &batches)?))
        });
        tables.collect()
    }
}

/// The column that tells from which table a row is.
const TAG: &str = "__mx.table";

fn under(position: usize, column: &str) -> String {
    format!("__mx.t{position}.{column}")
}

/// The rows of one table.
fn part(batch: &RecordBatch, position: usize, schema: &SchemaRef) -> Result<RecordBatch> {
    let tags = batch.column_by_name(TAG);
    let tags = tags.and_then(|tags| tags.as_string_opt::<i32>());
    let tags = tags.ok_or_else(|| internal("rows without the name of their table"))?;
    let tag = position.to_string();
    let mask: BooleanArray = tags.iter().map(|t| Some(t == Some(tag.as_str()))).collect();
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(&under(position, field.name()));
        column
            .cloned()
            .ok_or_else(|| internal("a column was not read"))
    });
    let part = RecordBatch::try_new(schema.clone(), columns.collect::<Result<_>>()?)?;
    Ok(filter_record_batch(&part, &mask)?)
}

/// A scan, and the columns that a plan needs of it.
struct Wanted {
    scan: Scan,
    schema: SchemaRef,
    columns: BTreeSet<String>,
}

/// The scans of a plan, by what they say.
fn scans_of(plan: &Plan) -> Result<BTreeMap<String, Wanted>> {
    let recorder = Recorder::default();
    let frames = plan
        .frames
        .iter()
        .map(|frame| to_polars(frame.schema(), &[]));
    let frames = frames.collect::<Result<Vec<_>>>()?;
    let lowering = Lowering {
        source: &recorder,
        frames: &frames,
    };
    let all = names_of(plan.relation.schema());
    let _: LazyFrame = lowering.relation(&plan.relation, &all)?;
    let scans = recorder.0.into_inner();
    Ok(scans.unwrap_or_else(PoisonError::into_inner))
}

/// Notes what is asked for, and has no rows.
#[derive(Default)]
struct Recorder(Mutex<BTreeMap<String, Wanted>>);

impl Source for Recorder {
    fn scan(&self, request: &ScanRequest<'_>) -> Result<Scanned> {
        let ScanRequest {
            scan,
            schema,
            columns,
            ..
        } = *request;
        let mut scans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = scans.entry(format!("{scan:?}")).or_insert_with(|| Wanted {
            scan: scan.clone(),
            schema: schema.clone(),
            columns: BTreeSet::new(),
        });
        wanted.columns.extend(columns.iter().cloned());
        Ok(to_polars(schema, &[])?.lazy().into())
    }
}

/// With so many rows in each table a plan runs in memory as well.
const FEW: usize = 100_000;

/// Tables whose rows are in memory.
struct Loaded(BTreeMap<String, DataFrame>);

impl Source for Loaded {
    fn scan(&self, request: &ScanRequest<'_>) -> Result<Scanned> {
        let rows = self.0.get(&format!("{:?}", request.scan));
        let rows = rows.ok_or_else(|| internal("a table was not read"))?;
        Ok(rows.clone().lazy().select(selected(request.columns)).into())
    }

    fn is_held(&self) -> bool {
        self.0.values().all(|rows| rows.height() <= FEW)
    }
}
