//! Two engines over the same rows: every plan runs on both, and both must give the same.
//!
//! Wrapped so, a store runs the suite and the laws, whose histories are random: each plan that they make is compared. Engines that agree
//! with a third agree with each other.

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, nullif};
use arrow::datatypes::{DataType, Int8Type, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use metaxy_store::backend::append::Append;
use metaxy_store::backend::maintain::{Damage, Maintenance, MaintenanceReport, Prune};
use metaxy_store::backend::{Appended, Backend, Capabilities, Description, SharedBackend};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::{LABEL, Label, Node, Plan, Relation, STORED_PREFIX};
use metaxy_store::{Error, ErrorKind, Expr, FeatureKey, Frame, Result, Rows};

/// A backend whose plans run on a second engine as well, which reads the same tables.
pub struct SecondOpinion {
    first: SharedBackend,
    second: SharedBackend,
}

impl SecondOpinion {
    /// `first`, and `second` over the same tables.
    #[must_use]
    pub fn new(first: SharedBackend, second: SharedBackend) -> Self {
        Self { first, second }
    }
}

#[async_trait]
impl Backend for SecondOpinion {
    fn capabilities(&self) -> Capabilities {
        self.first.capabilities()
    }

    fn describe(&self) -> Description {
        self.first.describe()
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        self.first.schema(table).await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        self.first.has_rows(table).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.first.tables().await
    }

    async fn append(&self, appends: Vec<Append>) -> Result<Appended> {
        self.first.append(appends).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.first.delete(table, condition).await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.first.delete_samples(table, samples).await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.first.drop_table(table).await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        self.first.prune(table, prune).await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        self.first.maintain(maintenance).await
    }

    async fn verify(&self, table: &FeatureKey) -> Result<Vec<Damage>> {
        self.first.verify(table).await
    }

    /// # Errors
    /// Those of the first engine; [`ErrorKind::Internal`] if the second gives other rows, with both.
    async fn query(&self, plan: Plan) -> Result<Frame> {
        let Plan { relation, frames } = plan;
        let mut rows = Vec::new();
        for frame in frames {
            rows.push(frame.collect().await?);
        }
        let plan = || Plan {
            relation: relation.clone(),
            frames: rows.iter().map(Frame::from).collect(),
        };
        // What fails on one may fail in other words on the other; errors have cases of their own.
        let first = self.first.query(plan()).await?.collect().await?;
        // Between the two somebody may have written: then the first is asked again.
        for _ in 0..PATIENCE {
            let second = self.second.query(plan()).await?.collect().await?;
            let (one, other) = (lines(&relation, &first)?, lines(&relation, &second)?);
            if one == other || is_any(&relation) && one.len() == other.len() {
                return Ok(first.into());
            }
            let again = self.first.query(plan()).await?.collect().await?;
            if lines(&relation, &again)? == one {
                return Err(differ(&relation, &one, &other));
            }
        }
        Ok(first.into())
    }
}

/// How often the engines are asked while somebody writes.
const PATIENCE: usize = 3;

/// Whether an engine may choose which rows it gives.
fn is_any(relation: &Relation) -> bool {
    matches!(relation.node(), Node::Limit { .. }) || relation.inputs().into_iter().any(is_any)
}

/// The rows as text, sorted.
fn lines(relation: &Relation, rows: &Rows) -> Result<Vec<String>> {
    let batch = concat_batches(rows.schema(), rows.batches())?;
    let batch = match relation.node() {
        Node::Compare(_) => without_stored_of_stale(&batch)?,
        Node::Filter { input, .. } if matches!(input.node(), Node::Compare(_)) => {
            without_stored_of_stale(&batch)?
        }
        _ => batch,
    };
    let options = FormatOptions::default().with_null("-");
    let columns = batch.columns().iter().map(|column| {
        // The names of time zones need tables that not every build has.
        let plain = match column.data_type() {
            DataType::Timestamp(..) => arrow::compute::cast(column, &DataType::Int64)?,
            _ => column.clone(),
        };
        Ok(plain)
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
    let formats = columns
        .iter()
        .map(|column| Ok(ArrayFormatter::try_new(column, &options)?))
        .collect::<Result<Vec<_>>>()?;
    let mut lines = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let values = formats
            .iter()
            .map(|format| format.value(row).try_to_string());
        lines.push(values.collect::<Result<Vec<_>, _>>()?.join(" | "));
    }
    lines.sort();
    Ok(lines)
}

/// An engine may leave the stored columns of stale rows null.
fn without_stored_of_stale(batch: &RecordBatch) -> Result<RecordBatch> {
    let labels = batch.column_by_name(LABEL);
    let labels = labels.and_then(|labels| labels.as_primitive_opt::<Int8Type>());
    let Some(labels) = labels else {
        return Ok(batch.clone());
    };
    let stale: BooleanArray = labels
        .iter()
        .map(|l| Some(l == Some(Label::Stale as i8)))
        .collect();
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            Ok(match field.name().starts_with(STORED_PREFIX) {
                true => nullif(column, &stale)?,
                false => column.clone(),
            })
        });
    Ok(RecordBatch::try_new(
        schema.clone(),
        columns.collect::<Result<_>>()?,
    )?)
}

fn differ(relation: &Relation, one: &[String], other: &[String]) -> Error {
    let only = |a: &[String], b: &[String]| -> String {
        let lines = a.iter().filter(|line| !b.contains(line)).take(5);
        lines.map(|line| format!("\n  {line}")).collect()
    };
    let message = format!(
        "two engines give different rows for {relation:?}\nonly the first:{}\nonly the second:{}",
        only(one, other),
        only(other, one)
    );
    Error::new(ErrorKind::Internal, message)
}
