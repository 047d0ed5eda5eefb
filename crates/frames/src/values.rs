//! Rows as JSON values, for documents that hold a few of them.

use arrow::array::RecordBatch;
use metaxy_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::json::write::objects;
use crate::write::no_text;

/// The rows as the objects that the JSON format makes of them.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if a column has no text, [`ErrorKind::InvalidFrame`] if a value is none of its type.
pub fn values(rows: &[RecordBatch]) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for batch in rows {
        let mut texts = Vec::new();
        let written = objects(batch, |text| texts.push(serde_json::from_str(text)));
        written.map_err(|(column, why)| no_text("the answer", batch, column, &why))?;
        for value in texts {
            values.push(value.map_err(|e| {
                Error::new(ErrorKind::Internal, "rows became JSON that is none").with_source(e)
            })?);
        }
    }
    Ok(values)
}
