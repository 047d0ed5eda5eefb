//! IDs that ascend in runs, as tables are often written in the order of their IDs: then rows are ordered by merging a few runs, and nothing
//! has to be hashed.

use polars::prelude as pl;
use polars::prelude::{Column, PolarsResult};
use polars_arrow::array::Utf8ViewArray;

/// More runs than this are not merged.
const MOST: usize = 64;

/// The IDs of rows, none of them null.
pub(crate) enum Ids {
    Numbers(pl::Int64Chunked),
    Texts(Utf8ViewArray),
}

/// The same, to be looked at.
pub(crate) enum Values<'a> {
    Numbers(&'a [i64]),
    Texts(Vec<&'a str>),
}

impl Ids {
    /// `None` for types other than whole numbers and text, and where one is null.
    pub(crate) fn of(ids: &Column) -> PolarsResult<Option<Self>> {
        if ids.null_count() > 0 {
            return Ok(None);
        }
        let series = ids.as_materialized_series();
        Ok(match series.dtype() {
            pl::DataType::String => Some(Self::Texts(crate::hash::texts_of(ids)?)),
            data_type if data_type.is_integer() => {
                // What does not fit is null.
                let numbers = series.cast(&pl::DataType::Int64)?.rechunk();
                let numbers = numbers.i64()?.clone();
                (numbers.null_count() == 0).then_some(Self::Numbers(numbers))
            }
            _ => None,
        })
    }

    pub(crate) fn values(&self) -> PolarsResult<Values<'_>> {
        Ok(match self {
            Self::Numbers(numbers) => Values::Numbers(numbers.cont_slice()?),
            Self::Texts(texts) => Values::Texts(texts.values_iter().collect()),
        })
    }
}

impl Values<'_> {
    /// The rows at which strictly ascending runs begin; `None` if there are too many.
    pub(crate) fn runs(&self) -> Option<Vec<usize>> {
        match self {
            Self::Numbers(numbers) => runs(numbers),
            Self::Texts(texts) => runs(texts),
        }
    }
}

fn runs<T: PartialOrd>(ids: &[T]) -> Option<Vec<usize>> {
    let mut starts = vec![0];
    for (row, pair) in ids.windows(2).enumerate() {
        if pair[1] <= pair[0] {
            starts.push(row + 1);
            if starts.len() > MOST {
                return None;
            }
        }
    }
    Some(starts)
}

/// The rows by ascending ID, those with one ID as they stand.
pub(crate) fn ascending<T: Ord>(ids: &[T]) -> Vec<pl::IdxSize> {
    let mut rows: Vec<pl::IdxSize> = (0..ids.len() as pl::IdxSize).collect();
    // The sort finds the runs.
    rows.sort_by(|a, b| ids[*a as usize].cmp(&ids[*b as usize]));
    rows
}
