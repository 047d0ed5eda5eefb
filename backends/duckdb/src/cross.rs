//! Arrow arrays from one major version of the `arrow` crate to the other: DuckDB's crate uses its own.
//!
//! Both versions lay the structures of the Arrow C Data Interface out as that interface says, so they cross through it without a
//! copy: the receiver keeps the sender's buffers alive.

#![allow(unsafe_code)]

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Schema};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type, to_ffi};
use duckdb::arrow as theirs;
use metaxy_core::{Error, ErrorKind, Result};

use crate::types::{intervals_as_text, nothing_below_nulls};

/// The columns of a result of DuckDB.
pub(crate) fn schema_of(schema: &theirs::datatypes::Schema) -> Result<Schema> {
    let exported = theirs::ffi::FFI_ArrowSchema::try_from(schema).map_err(refused)?;
    // SAFETY: both types are the ArrowSchema of the C Data Interface, and ownership moves with the value.
    let imported: FFI_ArrowSchema = unsafe { std::mem::transmute(exported) };
    Ok(Schema::try_from(&imported)?)
}

/// The columns of a batch of DuckDB, whose types are `fields`, the struct of them all.
pub(crate) fn columns_of(
    batch: theirs::record_batch::RecordBatch,
    fields: &DataType,
) -> Result<Vec<ArrayRef>> {
    let rows = theirs::array::StructArray::from(batch);
    let data = theirs::array::Array::to_data(&rows);
    let exported = theirs::ffi::FFI_ArrowArray::new(&data);
    // SAFETY: both types are the ArrowArray of the C Data Interface, and ownership moves with the value.
    let imported: FFI_ArrowArray = unsafe { std::mem::transmute(exported) };
    // SAFETY: `fields` was crossed from the schema of the result that the batch is one of.
    let data = unsafe { from_ffi_and_data_type(imported, fields.clone()) }?;
    require_valid(&data, fields)?;
    let rows = StructArray::from(data);
    Ok(rows.columns().to_vec())
}

/// What DuckDB gives comes out of a file, which others may have made: texts are UTF-8, and offsets and keys within bounds, or nothing more
/// is done with them.
///
/// # Errors
/// [`ErrorKind::Corrupt`] otherwise.
fn require_valid(rows: &ArrayData, fields: &DataType) -> Result<()> {
    let DataType::Struct(fields) = fields else {
        return Ok(());
    };
    for (field, column) in fields.iter().zip(rows.child_data()) {
        column.validate_full().map_err(|source| {
            let (name, data_type) = (field.name(), field.data_type());
            let problem = format!("column {name:?} holds what is no {data_type}");
            Error::new(ErrorKind::Corrupt, problem)
                .with_hint(
                    "the file is damaged, or was not made by DuckDB: restore it from a backup",
                )
                .with_source(source)
        })?;
    }
    Ok(())
}

/// A batch as one of DuckDB's version of `arrow`.
pub(crate) fn batch_for(batch: &RecordBatch) -> Result<theirs::record_batch::RecordBatch> {
    let rows: ArrayRef = Arc::new(StructArray::from(batch.clone()));
    let rows = nothing_below_nulls(&intervals_as_text(&rows)?)?;
    let (array, schema) = to_ffi(&rows.to_data())?;
    // SAFETY: as above, in the other direction.
    let array: theirs::ffi::FFI_ArrowArray = unsafe { std::mem::transmute(array) };
    // SAFETY: as above.
    let schema: theirs::ffi::FFI_ArrowSchema = unsafe { std::mem::transmute(schema) };
    // SAFETY: both come from one array.
    let data = unsafe { theirs::ffi::from_ffi(array, &schema) }.map_err(refused)?;
    Ok(theirs::array::StructArray::from(data).into())
}

fn refused(error: theirs::error::ArrowError) -> Error {
    Error::new(
        ErrorKind::Internal,
        "a column cannot cross between DuckDB and the store",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn a_batch_crosses_both_ways() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]);
        let batch = RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef,
            ),
            (
                "text",
                Arc::new(StringArray::from(vec![
                    None,
                    Some(""),
                    Some("a long text that is not inline"),
                ])),
            ),
            ("list", Arc::new(lists)),
        ])
        .unwrap();
        // A slice has offsets, which must cross too.
        let batch = batch.slice(1, 2);
        let crossed = batch_for(&batch).unwrap();
        assert_eq!(crossed.num_rows(), 2);
        let schema = schema_of(&crossed.schema()).unwrap();
        let fields = DataType::Struct(schema.fields().clone());
        let back = columns_of(crossed, &fields).unwrap();
        assert_eq!(back, batch.columns());
    }
}
