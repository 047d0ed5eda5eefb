//! Columns by which rows are joined and grouped.
//!
//! Polars neither joins on decimals nor groups by them. Their texts are equal where they are, as those of one column have equally many places.

use arrow::datatypes::Schema;
use metaxy_core::Result;
use polars::prelude as pl;
use polars::prelude::{Expr, LazyFrame, col};

use crate::cross::type_of;

/// A column as a key.
pub(crate) fn key(name: &str, data_type: &pl::DataType) -> Expr {
    match data_type {
        pl::DataType::Decimal(..) => col(name).cast(pl::DataType::String),
        _ => col(name),
    }
}

/// Which of the columns of a relation are keys only as other values than they are, and the types that they have.
pub(crate) fn decimals(names: &[String], schema: &Schema) -> Result<Vec<(String, pl::DataType)>> {
    let mut found = Vec::new();
    for name in names {
        let data_type = schema.field_with_name(name)?.data_type();
        if !data_type.is_decimal() {
            continue;
        }
        let data_type = type_of(data_type)?;
        if matches!(data_type, pl::DataType::Decimal(..)) {
            found.push((name.clone(), data_type));
        }
    }
    Ok(found)
}

/// The rows with keys in the places of the columns that are none.
pub(crate) fn with_keys(rows: LazyFrame, decimals: &[(String, pl::DataType)]) -> LazyFrame {
    let keys = decimals
        .iter()
        .map(|(name, data_type)| key(name, data_type));
    match decimals.is_empty() {
        true => rows,
        false => rows.with_columns(keys.collect::<Vec<_>>()),
    }
}

/// The rows with the columns again that [`with_keys`] replaced.
pub(crate) fn without_keys(rows: LazyFrame, decimals: &[(String, pl::DataType)]) -> LazyFrame {
    let columns = decimals
        .iter()
        .map(|(name, data_type)| col(name.as_str()).strict_cast(data_type.clone()));
    match decimals.is_empty() {
        true => rows,
        false => rows.with_columns(columns.collect::<Vec<_>>()),
    }
}
