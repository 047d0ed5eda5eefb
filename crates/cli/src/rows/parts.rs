//! Rows of several parts of an increment as one frame.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use futures::{StreamExt, stream};
use metaxy_store::plan::{IncrementPlan, Part};
use metaxy_store::store::LazyIncrement;
use metaxy_store::{Error, ErrorKind, Frame, Result};

/// The column that names the part of a row, where rows of several parts stand in one frame. `metaxy write` drops it.
pub(crate) const PART_COLUMN: &str = "metaxy_part";

/// The name of the part that a write leaves out.
pub(crate) const ORPHANED: &str = "orphaned";

/// Some parts of an increment, and the columns of their rows in one frame.
///
/// New and stale rows have the same columns. Orphaned rows have the stored ones, so beside the others every row has all
/// columns, null where its part lacks them.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    schema: SchemaRef,
}

impl Parts {
    pub(crate) fn new(plan: &IncrementPlan, parts: &[Part]) -> Result<Self> {
        let mut fields: Vec<Field> = Vec::new();
        if parts.len() > 1 {
            fields.push(Field::new(PART_COLUMN, DataType::Utf8, true));
        }
        for part in parts {
            for field in plan.schema(*part).fields() {
                match fields.iter_mut().find(|f| f.name() == field.name()) {
                    None => fields.push(field.as_ref().clone().with_nullable(true)),
                    Some(known) => {
                        let both = common_type(known.data_type(), field.data_type());
                        let both = both.ok_or_else(|| clash(known, field))?;
                        known.set_data_type(both);
                    }
                }
            }
        }
        Ok(Self {
            parts: parts.to_vec(),
            schema: Arc::new(Schema::new(fields)),
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of these parts, as the increment yields them; `seen` is told of each batch before it goes.
    pub(crate) async fn stream(
        self,
        increment: LazyIncrement,
        mut seen: impl FnMut(Part, &RecordBatch) + Send + 'static,
    ) -> Result<Frame> {
        let schema = self.schema.clone();
        let batches = increment.stream().await?.flat_map(move |split| {
            let batches = split.and_then(|split| {
                let by_part = [
                    (Part::New, split.new),
                    (Part::Stale, split.stale),
                    (Part::Orphaned, split.orphaned),
                ];
                by_part
                    .into_iter()
                    .filter(|(part, batch)| self.parts.contains(part) && batch.num_rows() > 0)
                    .map(|(part, batch)| {
                        let batch = self.fit(part, &batch)?;
                        seen(part, &batch);
                        Ok(batch)
                    })
                    .collect::<Result<Vec<_>>>()
            });
            stream::iter(match batches {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(Frame::new(schema, batches))
    }

    /// The rows of one part with all columns.
    fn fit(&self, part: Part, batch: &RecordBatch) -> Result<RecordBatch> {
        let arrays = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                if field.name() == PART_COLUMN {
                    let names = std::iter::repeat_n(name(part), batch.num_rows());
                    return Ok(Arc::new(StringArray::from_iter_values(names)) as ArrayRef);
                }
                match batch.column_by_name(field.name()) {
                    Some(array) => widen(array, field.data_type()),
                    None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
}

/// The word for a part.
pub(super) fn name(part: Part) -> &'static str {
    match part {
        Part::New => "new",
        Part::Stale => "stale",
        Part::Orphaned => ORPHANED,
    }
}

/// The type that holds both: structs have the members of both.
fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut members: Vec<Field> = a.iter().map(|field| field.as_ref().clone()).collect();
            for field in b {
                match members.iter_mut().find(|f| f.name() == field.name()) {
                    None => members.push(field.as_ref().clone().with_nullable(true)),
                    Some(known) => {
                        let both = common_type(known.data_type(), field.data_type())?;
                        known.set_data_type(both);
                    }
                }
            }
            Some(DataType::Struct(Fields::from(members)))
        }
        _ => None,
    }
}

/// `array` as a type that [`common_type`] made of its own.
fn widen(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(array.clone()),
        (DataType::Null, to) => Ok(new_null_array(to, array.len())),
        (_, DataType::Struct(members)) => {
            let array = array.as_struct();
            let columns = members
                .iter()
                .map(|member| match array.column_by_name(member.name()) {
                    Some(column) => widen(column, member.data_type()),
                    None => Ok(new_null_array(member.data_type(), array.len())),
                })
                .collect::<Result<Vec<_>>>()?;
            let nulls = array.nulls().cloned();
            Ok(Arc::new(StructArray::try_new(
                members.clone(),
                columns,
                nulls,
            )?))
        }
        (from, to) => Err(Error::new(
            ErrorKind::Internal,
            format!("a column of type {from} where {to} was expected"),
        )),
    }
}

fn clash(new: &Field, stored: &Field) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "column {:?} is {} in new rows and {} in orphaned ones, so they do not fit into one frame",
            new.name(),
            new.data_type(),
            stored.data_type()
        ),
    )
    .with_hint("ask for `--part new,stale` and `--part orphaned` one after the other")
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn structure(members: &[&str]) -> DataType {
        DataType::Struct(
            members
                .iter()
                .map(|m| Field::new(*m, DataType::Utf8, true))
                .collect(),
        )
    }

    #[test]
    fn structs_grow_and_other_types_stay() {
        let both = common_type(&structure(&["a", "b"]), &structure(&["b", "c"]));
        assert_eq!(both, Some(structure(&["a", "b", "c"])));
        assert_eq!(
            common_type(&DataType::Null, &DataType::Int64),
            Some(DataType::Int64)
        );
        assert_eq!(common_type(&DataType::Utf8, &DataType::Int64), None);

        let b: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let small: ArrayRef = Arc::new(StructArray::from(vec![(
            Arc::new(Field::new("b", DataType::Utf8, true)),
            b,
        )]));
        let wide = widen(&small, &structure(&["a", "b"])).unwrap();
        assert_eq!(wide.data_type(), &structure(&["a", "b"]));
        assert_eq!(wide.as_struct().column(0).null_count(), 1);
        assert_eq!(wide.as_struct().column(1).as_string::<i32>().value(0), "x");
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(widen(&numbers, &DataType::Utf8).is_err());
    }
}
