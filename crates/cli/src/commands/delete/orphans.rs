//! Samples that upstream no longer has, as filters on their IDs.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use futures::StreamExt;
use metaxy_core::expr::Value;
use metaxy_core::{
    Error, ErrorKind, Expr, FeatureKey, Frame, MetadataStore, ResolveOptions, Result, col, lit,
};

use super::Work;

/// How many samples one delete names: engines limit how long a condition may be.
const AT_ONCE: usize = 200;

/// The orphaned samples of a feature. Only their IDs are held in memory.
pub(super) async fn find(
    store: &MetadataStore,
    feature: &FeatureKey,
    samples: Option<Frame>,
) -> Result<Work> {
    let mut options = ResolveOptions::default();
    options.samples = samples;
    let ids = store.graph().require(feature)?.spec.id_columns();
    let mut increment = store.resolve_lazy(feature, options).await?.stream().await?;
    let mut work = Work {
        samples: 0,
        deletes: Vec::new(),
    };
    while let Some(split) = increment.next().await {
        let orphaned = split?.orphaned;
        for start in (0..orphaned.num_rows()).step_by(AT_ONCE) {
            let rows = orphaned.slice(start, AT_ONCE.min(orphaned.num_rows() - start));
            work.samples += rows.num_rows() as u64;
            work.deletes.push(vec![with_ids(ids, &rows)?]);
        }
    }
    Ok(work)
}

/// The condition that holds for the samples of `rows` and no others.
pub(crate) fn with_ids(ids: &[String], rows: &RecordBatch) -> Result<Expr> {
    let columns = ids
        .iter()
        .map(|id| {
            let column = rows.column_by_name(id).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidFrame,
                    format!("the samples have no ID column {id:?}"),
                )
            })?;
            values(id, column.as_ref())
        })
        .collect::<Result<Vec<_>>>()?;
    if let ([id], [values]) = (ids, columns.as_slice()) {
        return Ok(col(id).is_in(values.iter().cloned()));
    }
    let one = |row: usize| {
        let parts = ids
            .iter()
            .zip(&columns)
            .map(|(id, values)| col(id).eq(lit(values[row].clone())));
        Expr::and_all(parts)
    };
    let samples = (0..rows.num_rows()).filter_map(one);
    samples.reduce(Expr::or).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "a delete of no samples has no condition",
        )
    })
}

fn values(id: &str, column: &dyn Array) -> Result<Vec<Value>> {
    use DataType as T;
    let as_type = |to: T| -> Result<_> { Ok(cast(column, &to)?) };
    Ok(match column.data_type() {
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Dictionary(..) => as_type(T::Utf8)?
            .as_string::<i32>()
            .iter()
            .map(|text| text.map_or(Value::Null, Value::from))
            .collect(),
        T::Boolean => column
            .as_boolean()
            .iter()
            .map(|flag| flag.map_or(Value::Null, Value::Bool))
            .collect(),
        T::UInt64 => column
            .as_primitive::<UInt64Type>()
            .iter()
            .map(|number| number.map_or(Value::Null, Value::from))
            .collect(),
        whole if whole.is_integer() => as_type(T::Int64)?
            .as_primitive::<Int64Type>()
            .iter()
            .map(|number| number.map_or(Value::Null, Value::from))
            .collect(),
        T::Date32 => column
            .as_primitive::<Date32Type>()
            .iter()
            .map(|day| day.map_or(Value::Null, Value::Date))
            .collect(),
        T::Timestamp(TimeUnit::Microsecond, _) => column
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .map(|at| at.map_or(Value::Null, Value::Timestamp))
            .collect(),
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("ID column {id:?} is {other}, of which no condition can be made"),
            )
            .with_hint("delete the samples with a --filter of your own"));
        }
    })
}
