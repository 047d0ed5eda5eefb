//! Rows as JSON values, for documents that hold a few of them.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::json::writer::{JsonArray, WriterBuilder};
use metaxy_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::render::{for_json, time_format};

/// The rows as the objects that the JSON format makes of them.
pub(crate) fn values(schema: &Schema, rows: &[RecordBatch]) -> Result<Vec<Value>> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_format(time_format(schema))
        .build::<_, JsonArray>(&mut bytes);
    for batch in rows {
        writer.write(&for_json(batch)?)?;
    }
    writer.finish()?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(ErrorKind::Internal, "rows became JSON that is none").with_source(e)
    })
}
