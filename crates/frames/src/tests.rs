//! Frames through the public interface: what is read, what is refused, what a round trip keeps.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use metaxy_core::ErrorKind;

use super::*;

mod parquet;
mod text;
mod write;

const BY_FIELD: &str = "metaxy_provenance_by_field";

fn read_as(format: Format, text: &str, options: &ReadOptions) -> Result<RecordBatch> {
    let reader = FrameReader::from_read(
        Cursor::new(text.as_bytes().to_vec()),
        "test",
        format,
        options,
    )?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn read(format: Format, text: &str) -> Result<RecordBatch> {
    read_as(format, text, &ReadOptions::default())
}

fn hint(fields: Vec<Field>) -> ReadOptions {
    ReadOptions::default().with_schema_hint(Arc::new(Schema::new(fields)) as SchemaRef)
}

fn refusal(format: Format, text: &str, options: &ReadOptions) -> String {
    let error = read_as(format, text, options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error}");
    format!("{error} | {}", error.hint().unwrap_or(""))
}

fn column(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let array = batch.column_by_name(name).unwrap();
    let text = arrow::compute::cast(array, &DataType::Utf8).unwrap();
    text.as_string::<i32>()
        .iter()
        .map(|v| v.map(str::to_owned))
        .collect()
}

fn type_of(batch: &RecordBatch, name: &str) -> DataType {
    batch.column_by_name(name).unwrap().data_type().clone()
}

fn member(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let array = batch.column_by_name(BY_FIELD).unwrap().as_struct();
    let member = array.column_by_name(name).unwrap();
    (0..array.len())
        .map(|row| {
            (array.is_valid(row) && member.is_valid(row))
                .then(|| member.as_string::<i32>().value(row).into())
        })
        .collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
