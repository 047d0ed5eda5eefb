//! Columns in the form in which text formats show them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringBuilder, StructArray,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::json::writer::{EncoderOptions, make_encoder};
use metaxy_core::{Error, ErrorKind, Result};

use super::columns::{flattened, is_by_field, retype, zoneless};

/// RFC 3339 in UTC with microseconds; with nanoseconds where a column counts them, so that nothing is lost.
pub(super) fn time_format(schema: &Schema) -> String {
    let fine = schema
        .fields()
        .iter()
        .any(|field| counts_nanoseconds(field.data_type()));
    let digits = if fine { 9 } else { 6 };
    format!("%Y-%m-%dT%H:%M:%S%.{digits}fZ")
}

/// The batch with times as zoneless UTC, to be shown in [`time_format`].
pub(super) fn for_json(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let data_type = zoneless(field.data_type());
        arrays.push(retype(array, &data_type)?);
        fields.push(Field::new(field.name(), data_type, true));
    }
    with_rows(Arc::new(Schema::new(fields)), arrays, batch.num_rows())
}

/// The batch as CSV holds it: by-field structs flattened, other nested values as JSON text.
pub(super) fn for_csv(batch: &RecordBatch, options: &EncoderOptions) -> Result<RecordBatch> {
    let batch = for_json(batch)?;
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        match field.data_type() {
            DataType::Struct(members) if is_by_field(field.name()) => {
                let column = array.as_struct();
                for (member, values) in members.iter().zip(column.columns()) {
                    let name = flattened(field.name(), member.name());
                    fields.push(Field::new(name, member.data_type().clone(), true));
                    arrays.push(masked(column, values)?);
                }
            }
            nested if nested.is_nested() => {
                fields.push(Field::new(field.name(), DataType::Utf8, true));
                arrays.push(json_text(field, array, options)?);
            }
            other => {
                fields.push(Field::new(field.name(), other.clone(), true));
                arrays.push(array.clone());
            }
        }
    }
    with_rows(Arc::new(Schema::new(fields)), arrays, batch.num_rows())
}

/// How nested values are encoded.
pub(super) fn nested_options(time_format: &str) -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_format(time_format.to_owned())
}

/// A member with the struct's own nulls.
fn masked(column: &StructArray, values: &ArrayRef) -> Result<ArrayRef> {
    let Some(nulls) = column
        .nulls()
        .filter(|nulls: &&NullBuffer| nulls.null_count() > 0)
    else {
        return Ok(values.clone());
    };
    if nulls.null_count() == column.len() {
        return Ok(new_null_array(values.data_type(), column.len()));
    }
    let null = arrow::array::BooleanArray::new(!nulls.inner(), None);
    Ok(nullif(values, &null)?)
}

fn json_text(field: &Arc<Field>, array: &ArrayRef, options: &EncoderOptions) -> Result<ArrayRef> {
    let mut encoder =
        make_encoder(field, array.as_ref(), options).map_err(|e| cannot_show(field, e))?;
    let mut text = StringBuilder::new();
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if encoder.is_null(row) {
            text.append_null();
            continue;
        }
        bytes.clear();
        encoder.encode(row, &mut bytes);
        text.append_value(String::from_utf8_lossy(&bytes));
    }
    Ok(Arc::new(text.finish()))
}

fn cannot_show(field: &Field, source: arrow::error::ArrowError) -> Error {
    let message = format!(
        "column '{}' of type {} has no text form: {source}",
        field.name(),
        field.data_type()
    );
    Error::new(ErrorKind::Unsupported, message)
        .with_hint("write Parquet, or leave the column out")
        .with_source(source)
}

fn with_rows(schema: SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

fn counts_nanoseconds(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => counts_nanoseconds(item.data_type()),
        DataType::Struct(fields) => fields
            .iter()
            .any(|field| counts_nanoseconds(field.data_type())),
        _ => false,
    }
}
