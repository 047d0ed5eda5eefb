//! The latest row of each sample, among rows in the order in which they were stored.

use metaxy_core::Result;
use polars::prelude as pl;
use polars::prelude::{DataFrame, IdxCa, IdxSize, IntoLazy, PlSmallStr, col};
use polars_arrow::bitmap::{Bitmap, MutableBitmap};

use crate::error::failed;
use crate::keys::key;
use crate::runs::{Ids, Values, ascending};

/// The latest row of each sample, and where it is given.
#[derive(Debug)]
pub(crate) struct Latest {
    /// The rows at whose places samples are given, each once.
    pub(crate) places: Bitmap,
    /// Places at which another row is given, which is later, in ascending order: first the place, then the row. Tables whose samples are
    /// written again keep the order of their first writing so, and are in the same order as tables that were not.
    pub(crate) substituted: Vec<(usize, usize)>,
}

impl Latest {
    /// The latest rows, each at its own place.
    pub(crate) fn in_place(self) -> Bitmap {
        if self.substituted.is_empty() {
            return self.places;
        }
        let mut rows = self.places.make_mut();
        for (place, row) in self.substituted {
            rows.set(place, false);
            rows.set(row, true);
        }
        rows.freeze()
    }
}

/// The latest row of each sample; `None`: all rows are.
///
/// `ids` are the rows' IDs in storage order. `stamps` gives the time at which each row was written, and is asked only where an ID comes
/// twice. Of equal times, the row that was stored later is the later one.
pub(crate) fn latest(
    ids: &DataFrame,
    stamps: impl FnOnce() -> Result<Vec<Option<i64>>>,
) -> Result<Option<Latest>> {
    let one = match ids.columns() {
        [] => return Ok(None),
        [one] => Ids::of(one).map_err(failed)?,
        _ => None,
    };
    let one = one.as_ref().map(Ids::values).transpose().map_err(failed)?;
    let runs = one.and_then(|values| Some((values.runs()?, values)));
    match runs {
        Some((starts, _)) if starts.len() == 1 => Ok(None),
        Some((starts, Values::Numbers(numbers))) => merged(numbers, &starts, stamps),
        Some((starts, Values::Texts(texts))) => merged(&texts, &starts, stamps),
        None => grouped(ids, stamps),
    }
}

/// Merges ascending runs: rows with one ID are met together.
fn merged<T: Ord>(
    ids: &[T],
    starts: &[usize],
    stamps: impl FnOnce() -> Result<Vec<Option<i64>>>,
) -> Result<Option<Latest>> {
    let order = ascending(ids);
    let same = |a: &IdxSize, b: &IdxSize| ids[*a as usize] == ids[*b as usize];
    let mut several = order
        .chunk_by(same)
        .filter(|rows| rows.len() > 1)
        .peekable();
    if several.peek().is_none() {
        return Ok(None);
    }
    let ends = starts.iter().skip(1).copied().chain([ids.len()]);
    let runs = starts.iter().copied().zip(ends);
    // Of equally long ones the last: where everything was written again, nothing has to move.
    let longest = runs.max_by_key(|(start, end)| end - start);
    let is_longest = |row: &usize| longest.is_some_and(|(start, end)| (start..end).contains(row));
    let stamps = stamps()?;
    let mut places = MutableBitmap::from_len_set(ids.len());
    let mut substituted = Vec::new();
    for rows in several {
        let rows = || rows.iter().map(|row| *row as usize);
        let latest = rows().max_by_key(|row| (stamps.get(*row).copied().flatten(), *row));
        let place = rows().find(is_longest).or(latest);
        for row in rows().filter(|row| Some(*row) != place) {
            places.set(row, false);
        }
        if let (Some(place), Some(latest)) = (place, latest)
            && place != latest
        {
            substituted.push((place, latest));
        }
    }
    Ok(Some(Latest {
        places: places.freeze(),
        substituted,
    }))
}

/// Groups the rows by ID, whatever IDs are.
fn grouped(
    ids: &DataFrame,
    stamps: impl FnOnce() -> Result<Vec<Option<i64>>>,
) -> Result<Option<Latest>> {
    const ORDER: &str = "__mx.order";
    let rows = ids.height();
    let names: Vec<pl::Expr> = ids
        .columns()
        .iter()
        .map(|column| key(column.name(), column.dtype()))
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
    Ok(Some(Latest {
        places: kept.freeze(),
        substituted: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use polars::prelude::Column;

    use super::*;

    fn kept(ids: Column, stamps: &[i64]) -> Option<Vec<usize>> {
        let frame = DataFrame::new(ids.len(), vec![ids]).unwrap();
        let stamps = || Ok(stamps.iter().copied().map(Some).collect());
        let kept = latest(&frame, stamps).unwrap()?.in_place();
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
