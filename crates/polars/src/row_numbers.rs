//! Rows by their numbers.

use metaxy_core::Result;
use polars::prelude as pl;
use polars::prelude::{DataFrame, LazyFrame, PolarsResult, col};
use polars_arrow::array::BooleanArray;
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::ArrowDataType;

use crate::error::failed;

/// The column that counts the rows of a frame.
pub(crate) const ROW: &str = "__mx.row";

/// The rows that are set, with the column [`ROW`].
pub(crate) fn only(frame: LazyFrame, set: Bitmap) -> LazyFrame {
    let is_in = col(ROW).map(
        move |rows| is_in(&rows, &set),
        |_, field| Ok(pl::Field::new(field.name().clone(), pl::DataType::Boolean)),
    );
    frame.with_row_index(ROW, None).filter(is_in)
}

/// Whether rows, given by their numbers, are set.
fn is_in(rows: &pl::Column, set: &Bitmap) -> PolarsResult<pl::Column> {
    let rows = rows.as_materialized_series().idx()?;
    let name = rows.name().clone();
    let bit = |row: Option<pl::IdxSize>| {
        row.is_some_and(|row| (row as usize) < set.len() && set.get_bit(row as usize))
    };
    let bits = rows.iter().map(bit).collect();
    Ok(pl::IntoColumn::into_column(mask(name, bits)))
}

/// The rows that are set.
pub(crate) fn filtered(frame: &DataFrame, set: &Bitmap) -> Result<DataFrame> {
    frame.filter(&mask(ROW.into(), set.clone())).map_err(failed)
}

fn mask(name: pl::PlSmallStr, bits: Bitmap) -> pl::BooleanChunked {
    let array = BooleanArray::new(ArrowDataType::Boolean, bits, None);
    pl::BooleanChunked::with_chunk(name, array)
}
