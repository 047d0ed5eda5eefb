//! Samples as conditions on their IDs.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use metaxy_store::expr::Value;
use metaxy_store::{Error, ErrorKind, Expr, Result, col, lit};

/// How many samples one condition names: engines limit how long it may be.
const AT_ONCE: usize = 200;

/// Conditions of which one holds for each sample of `batches`, and none for others.
pub(crate) fn with_ids(ids: &[String], batches: &[RecordBatch]) -> Result<Vec<Expr>> {
    let mut conditions = Vec::new();
    for batch in batches {
        for start in (0..batch.num_rows()).step_by(AT_ONCE) {
            let rows = batch.slice(start, AT_ONCE.min(batch.num_rows() - start));
            conditions.extend(condition(ids, &rows)?);
        }
    }
    Ok(conditions)
}

fn condition(ids: &[String], rows: &RecordBatch) -> Result<Option<Expr>> {
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
        return Ok(Some(col(id).is_in(values.iter().cloned())));
    }
    let sample = |row: usize| {
        let parts = ids
            .iter()
            .zip(&columns)
            .map(|(id, values)| col(id).eq(lit(values[row].clone())));
        Expr::and_all(parts)
    };
    let samples = (0..rows.num_rows()).filter_map(sample);
    Ok(samples.reduce(Expr::or))
}

/// The IDs in one column as literals.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, StringArray};

    use super::*;

    #[test]
    fn samples_become_conditions_of_bounded_length() {
        let path: ArrayRef = Arc::new(StringArray::from(vec!["a", "it's"]));
        let frame: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let rows = RecordBatch::try_from_iter([("path", path), ("frame", frame)]).unwrap();
        let text = |ids: &[&str]| -> Vec<String> {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            let conditions = with_ids(&ids, std::slice::from_ref(&rows)).unwrap();
            conditions.iter().map(ToString::to_string).collect()
        };
        assert_eq!(text(&["path"]), ["path IN ('a', 'it''s')"]);
        assert_eq!(
            text(&["path", "frame"]),
            ["path = 'a' AND frame = 1 OR path = 'it''s' AND frame = 2"]
        );
        let many: ArrayRef = Arc::new(Int32Array::from_iter_values(0..450));
        let many = RecordBatch::try_from_iter([("n", many)]).unwrap();
        assert_eq!(with_ids(&["n".to_owned()], &[many]).unwrap().len(), 3);
        assert!(with_ids(&["none".to_owned()], &[rows]).is_err());
    }
}
