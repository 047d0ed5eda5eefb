//! The latest row of each sample, among rows in the order in which they were stored.

use metaxy_core::Result;
use polars::prelude as pl;
use polars::prelude::{Column, DataFrame, IdxCa, IntoLazy, PlSmallStr, PolarsResult, col};
use polars_arrow::bitmap::{Bitmap, MutableBitmap};

use crate::error::failed;

/// Which rows are the latest of their sample; `None`: all are.
///
/// `ids` are the rows' IDs in storage order. `stamps` gives the time at which each row was written, and is asked only where an ID comes
/// twice. Of equal times, the row that was stored later is the later one.
pub(crate) fn latest(
    ids: &DataFrame,
    stamps: impl FnOnce() -> Result<Vec<Option<i64>>>,
) -> Result<Option<Bitmap>> {
    match ids.columns() {
        [] => Ok(None),
        [one] => match runs_of(one).map_err(failed)? {
            Some(runs) if runs.len() == 1 => Ok(None),
            Some(runs) => merged(one, &runs, stamps),
            None => grouped(ids, stamps),
        },
        _ => grouped(ids, stamps),
    }
}

/// More runs than this are not merged one by one.
const MOST_RUNS: usize = 16;

/// The rows at which strictly ascending runs begin, if there are few and no ID is null: tables are often written in the order of their
/// IDs, and then nothing has to be hashed.
fn runs_of(ids: &Column) -> PolarsResult<Option<Vec<usize>>> {
    if ids.null_count() > 0 {
        return Ok(None);
    }
    let ids = ids.as_materialized_series().rechunk();
    Ok(match ids.dtype() {
        pl::DataType::Int64 => runs(ids.i64()?.cont_slice()?),
        pl::DataType::Int32 => runs(ids.i32()?.cont_slice()?),
        pl::DataType::String => {
            let texts = crate::hash::texts_of(&ids.into())?;
            let mut starts = vec![0];
            for row in 1..texts.len() {
                if texts.value(row) <= texts.value(row - 1) {
                    starts.push(row);
                    if starts.len() > MOST_RUNS {
                        return Ok(None);
                    }
                }
            }
            Some(starts)
        }
        _ => None,
    })
}

fn runs<T: PartialOrd>(ids: &[T]) -> Option<Vec<usize>> {
    let mut starts = vec![0];
    for (row, pair) in ids.windows(2).enumerate() {
        if pair[1] <= pair[0] {
            starts.push(row + 1);
            if starts.len() > MOST_RUNS {
                return None;
            }
        }
    }
    Some(starts)
}

/// Merges ascending runs: rows with one ID are met together.
fn merged(
    ids: &Column,
    starts: &[usize],
    stamps: impl FnOnce() -> Result<Vec<Option<i64>>>,
) -> Result<Option<Bitmap>> {
    let ids = ids.as_materialized_series().rechunk();
    let pairs = match ids.dtype() {
        pl::DataType::Int64 => {
            let values = ids.i64().map_err(failed)?;
            equal_rows(values.cont_slice().map_err(failed)?, starts)
        }
        pl::DataType::Int32 => {
            let values = ids.i32().map_err(failed)?;
            equal_rows(values.cont_slice().map_err(failed)?, starts)
        }
        _ => {
            let texts = crate::hash::texts_of(&ids.clone().into()).map_err(failed)?;
            let values: Vec<&str> = texts.values_iter().collect();
            equal_rows(&values, starts)
        }
    };
    if pairs.is_empty() {
        return Ok(None);
    }
    let stamps = stamps()?;
    let mut kept = MutableBitmap::from_len_set(ids.len());
    for rows in pairs {
        let latest = rows
            .iter()
            .copied()
            .max_by_key(|row| (stamps.get(*row).copied().flatten(), *row));
        for row in rows {
            if Some(row) != latest {
                kept.set(row, false);
            }
        }
    }
    Ok(Some(kept.freeze()))
}

/// The rows of each ID that several runs have.
fn equal_rows<T: PartialOrd + Copy>(ids: &[T], starts: &[usize]) -> Vec<Vec<usize>> {
    let ends = starts.iter().skip(1).copied().chain([ids.len()]);
    let mut runs: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
    // The longest run is walked along beside the others, so that most steps compare two.
    runs.sort_by_key(|(start, end)| std::cmp::Reverse(end - start));
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut at: Vec<usize> = runs.iter().map(|(start, _)| *start).collect();
    loop {
        // The least ID that any but the longest run stands at.
        let mut least: Option<T> = None;
        for (run, (_, end)) in runs.iter().enumerate().skip(1) {
            if at[run] < *end && least.is_none_or(|least| ids[at[run]] < least) {
                least = Some(ids[at[run]]);
            }
        }
        let Some(least) = least else {
            return found;
        };
        let (_, end) = runs[0];
        at[0] += ids[at[0]..end]
            .partition_point(|id| *id < least)
            .min(end - at[0]);
        let mut rows = Vec::new();
        for (run, (_, end)) in runs.iter().enumerate() {
            if at[run] < *end && ids[at[run]] <= least {
                rows.push(at[run]);
                at[run] += 1;
            }
        }
        if rows.len() > 1 {
            found.push(rows);
        }
    }
}

/// Groups the rows by ID, whatever IDs are.
fn grouped(
    ids: &DataFrame,
    stamps: impl FnOnce() -> Result<Vec<Option<i64>>>,
) -> Result<Option<Bitmap>> {
    const ORDER: &str = "__mx.order";
    let rows = ids.height();
    let names: Vec<pl::Expr> = ids
        .columns()
        .iter()
        .map(|column| col(column.name().clone()))
        .collect();
    let distinct = |frame: DataFrame, list: Vec<pl::Expr>| {
        let groups = frame.lazy().group_by(names.clone()).agg(list);
        groups.collect().map_err(failed)
    };
    let stamps = {
        let groups = distinct(ids.clone(), vec![pl::len().alias(ORDER)])?;
        if groups.height() == rows {
            return Ok(None);
        }
        stamps()?
    };
    // The place of each row in the order of writing, and the row at each place.
    let mut order: Vec<u32> = (0..rows as u32).collect();
    let stamp = |row: &u32| stamps.get(*row as usize).copied().flatten();
    if !order.is_sorted_by_key(stamp) {
        order.sort_by_key(stamp);
    }
    let mut places = vec![0_u32; rows];
    for (place, row) in order.iter().enumerate() {
        places[*row as usize] = place as u32;
    }
    let mut frame = ids.clone();
    let places = IdxCa::from_vec(PlSmallStr::from_static(ORDER), places);
    frame
        .with_column(pl::IntoColumn::into_column(places))
        .map_err(failed)?;
    let groups = distinct(frame, vec![col(ORDER).max()])?;
    let places = groups.column(ORDER).map_err(failed)?;
    let places = places.as_materialized_series().idx().map_err(failed)?;
    let mut kept = MutableBitmap::from_len_zeroed(rows);
    for place in places.iter().flatten() {
        if let Some(row) = order.get(place as usize) {
            kept.set(*row as usize, true);
        }
    }
    Ok(Some(kept.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ids: Column, stamps: &[i64]) -> Option<Vec<usize>> {
        let frame = DataFrame::new(ids.len(), vec![ids]).unwrap();
        let stamps = || Ok(stamps.iter().copied().map(Some).collect());
        let kept = latest(&frame, stamps).unwrap()?;
        Some((0..kept.len()).filter(|row| kept.get_bit(*row)).collect())
    }

    #[test]
    fn ids_that_come_once_are_all_kept() {
        assert_eq!(kept(Column::new("id".into(), [1_i64, 2, 3]), &[]), None);
        assert_eq!(kept(Column::new("id".into(), [3_i64, 1, 2]), &[]), None);
        assert_eq!(kept(Column::new("id".into(), ["b", "a"]), &[]), None);
    }

    #[test]
    fn the_later_stamp_wins_and_of_equal_ones_the_later_row() {
        let ids = Column::new("id".into(), [1_i64, 2, 3, 2, 3, 1]);
        assert_eq!(kept(ids.clone(), &[5, 5, 5, 4, 5, 6]), Some(vec![1, 4, 5]));
        let texts = ids.cast(&pl::DataType::String).unwrap();
        assert_eq!(kept(texts, &[5, 5, 5, 4, 5, 6]), Some(vec![1, 4, 5]));
        let halves = ids.cast(&pl::DataType::Float64).unwrap();
        assert_eq!(kept(halves, &[5, 5, 5, 4, 5, 6]), Some(vec![1, 4, 5]));
    }

    #[test]
    fn many_runs_are_grouped_with_the_same_result() {
        let mut state = 7_u64;
        for count in [0_usize, 1, 2, 40, 400] {
            let mut next = |below: u64| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                (state >> 33) % below
            };
            let ids: Vec<i64> = (0..count).map(|_| next(50) as i64).collect();
            let stamps: Vec<i64> = (0..count).map(|_| next(5) as i64).collect();
            let mut expected: Vec<usize> = (0..count)
                .filter(|row| {
                    !(0..count).any(|other| {
                        ids[other] == ids[*row] && (stamps[other], other) > (stamps[*row], *row)
                    })
                })
                .collect();
            expected.sort_unstable();
            let got = kept(Column::new("id".into(), &ids), &stamps);
            assert_eq!(got.unwrap_or((0..count).collect()), expected);
        }
    }
}
