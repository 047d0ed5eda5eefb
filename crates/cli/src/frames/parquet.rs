//! Reading Parquet.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, MapArray, RecordBatch, RecordBatchOptions, StringBuilder, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use indexmap::IndexSet;
use metaxy_core::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use super::columns::{Hints, by_field_type, is_by_field};
use super::fit::{Misfit, fit};
use super::read::FrameReader;
use super::source::Source;
use super::{BATCH_ROWS, invalid, io_error};

/// Reads a Parquet file, row group by row group. Members of a map column are looked up in a first pass over that column.
pub(super) fn open(source: Source, hints: &Hints) -> Result<FrameReader> {
    let (name, file) = source.into_file()?;
    let metadata = ArrowReaderMetadata::load(&file, Default::default()).map_err(|e| {
        invalid(&name, format!("this is no whole Parquet file: {e}"))
            .with_hint("name its format with --samples-format")
    })?;
    let own = metadata.schema().clone();
    let rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).ok();
    let mut fields = Vec::with_capacity(own.fields().len());
    for (i, field) in own.fields().iter().enumerate() {
        let data_type = match (is_by_field(field.name()), field.data_type()) {
            (true, DataType::Struct(members)) => {
                by_field_type(members.iter().map(|m| m.name().as_str()))
            }
            (true, DataType::Map(..)) => {
                let members = map_members(&name, &file, &metadata, i)?;
                by_field_type(members.iter().map(String::as_str))
            }
            (true, other) => {
                return Err(invalid(
                    &name,
                    format!(
                        "column '{}' is {other}, not a struct or map of text",
                        field.name()
                    ),
                )
                .with_hint("write one text member per field of the feature"));
            }
            (false, own) => hints.column(field.name()).unwrap_or_else(|| own.clone()),
        };
        fields.push(Field::new(field.name(), data_type, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let file = file.try_clone().map_err(|e| io_error(&name, "read", e))?;
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| invalid(&name, e))?;
    let target = schema.clone();
    let mut done = 0;
    let batches = batches.map(move |batch| {
        let batch = batch.map_err(|e| unreadable(&name, done, &e))?;
        let typed = typed(&name, &batch, &target, done)?;
        done += batch.num_rows();
        Ok(typed)
    });
    Ok(FrameReader::new(schema, batches).with_total_rows(rows))
}

/// All keys of map column `i`, in the order of their first appearance.
fn map_members(
    name: &str,
    file: &File,
    metadata: &ArrowReaderMetadata,
    i: usize,
) -> Result<IndexSet<String>> {
    let file = file.try_clone().map_err(|e| io_error(name, "read", e))?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), [i]);
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| invalid(name, e))?;
    let mut members = IndexSet::new();
    for batch in batches {
        let batch = batch.map_err(|e| unreadable(name, 0, &e))?;
        let keys = cast(batch.column(0).as_map().keys(), &DataType::Utf8)?;
        for key in keys.as_string::<i32>().iter().flatten() {
            if !members.contains(key) {
                members.insert(key.to_owned());
            }
        }
    }
    Ok(members)
}

fn unreadable(name: &str, done: usize, source: &ArrowError) -> Error {
    let message = source.to_string();
    invalid(name, format!("after row {done}: {message}")).with_hint("the file may be damaged")
}

fn typed(name: &str, batch: &RecordBatch, schema: &SchemaRef, done: usize) -> Result<RecordBatch> {
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (array, field) in batch.columns().iter().zip(schema.fields()) {
        arrays.push(match (is_by_field(field.name()), array.data_type(), field.data_type()) {
            (true, DataType::Map(..), DataType::Struct(members)) => struct_of_map(array.as_map(), members)?,
            (true, DataType::Struct(_), DataType::Struct(members)) => struct_of_text(array.as_struct(), members)?,
            (_, own, wanted) => fit(array, wanted).map_err(|misfit| {
                let column = field.name();
                match misfit {
                    Misfit::Types => invalid(name, format!("column '{column}' is {own} where {wanted} is expected"))
                        .with_hint("convert the column where the file is made"),
                    Misfit::Row(row) => invalid(
                        name,
                        format!("row {}, column '{column}': the value is no {wanted}", done + row + 1),
                    )
                    .with_hint("correct the value, or give the column another type in the table it is written to"),
                    Misfit::Failed(error) => invalid(name, format!("column '{column}': {}", error.message())),
                }
            })?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &options,
    )?)
}

fn struct_of_text(array: &StructArray, members: &Fields) -> Result<ArrayRef> {
    let text = array
        .columns()
        .iter()
        .map(|member| Ok(cast(member, &DataType::Utf8)?))
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(
        members.clone(),
        text,
        array.nulls().cloned(),
    )?))
}

fn struct_of_map(array: &MapArray, members: &Fields) -> Result<ArrayRef> {
    let keys = cast(array.keys(), &DataType::Utf8)?;
    let values = cast(array.values(), &DataType::Utf8)?;
    let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
    let mut columns: Vec<StringBuilder> = members.iter().map(|_| StringBuilder::new()).collect();
    for row in 0..array.len() {
        let entries = match array.is_valid(row) {
            true => array.value_offsets()[row] as usize..array.value_offsets()[row + 1] as usize,
            false => 0..0,
        };
        for (column, member) in columns.iter_mut().zip(members) {
            let entry = entries
                .clone()
                .find(|entry| keys.value(*entry) == member.name());
            column.append_option(entry.and_then(|e| values.is_valid(e).then(|| values.value(e))));
        }
    }
    let columns = columns
        .iter_mut()
        .map(|column| Arc::new(column.finish()) as ArrayRef)
        .collect();
    Ok(Arc::new(StructArray::try_new_with_length(
        members.clone(),
        columns,
        array.nulls().cloned(),
        array.len(),
    )?))
}
