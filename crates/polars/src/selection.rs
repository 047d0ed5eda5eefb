//! Which rows of a table a scan gives.

use metaxy_core::{Result, columns};
use polars::prelude as pl;
use polars::prelude::{DataFrame, Expr, col, lit};
use polars_arrow::bitmap::{Bitmap, MutableBitmap};

use crate::error::{failed, internal};
use crate::files::{ParquetColumn, ParquetTable};
use crate::latest::{Latest, latest};
use crate::row_numbers::{ROW, filtered, only};
use crate::substitutes::Substitutes;

/// The rows of a scan: those at some places, or all.
pub(crate) struct Selection {
    /// The places among the rows of all files; `None`: all.
    pub(crate) places: Option<Bitmap>,
    /// As [`Latest::substituted`].
    pub(crate) substituted: Vec<(usize, usize)>,
    /// The IDs of the rows at these places.
    pub(crate) ids: DataFrame,
}

/// The rows among which the latest are looked for.
struct Candidates {
    ids: DataFrame,
    /// Which of all rows they are; `None`: all.
    among: Option<Bitmap>,
    /// Which of all rows are soft deletes, where those are not wanted.
    gone: Option<Bitmap>,
}

/// The column that tells soft deletes.
const GONE: &str = "__mx.gone";

/// At most one in so many rows is given at the place of another: they are held in memory.
const MOST_SUBSTITUTED: usize = 4;

impl ParquetTable {
    /// The rows, counted over all files, that meet the restrictions and are the latest of their sample; with `alive` only those that
    /// are no soft delete.
    pub(crate) fn select(
        &self,
        keys: &[String],
        restrictions: Option<&Expr>,
        alive: bool,
    ) -> Result<Selection> {
        let candidates = self.candidates(keys, restrictions, alive)?;
        let among = candidates.among.as_ref();
        let stamps = || -> Result<Vec<Option<i64>>> {
            let stamps = self.read(vec![self.stamp().to_physical().alias(ROW)])?;
            let stamps = stamps.column(ROW).map_err(failed)?;
            let stamps = stamps.as_materialized_series().i64().map_err(failed)?;
            let rows = stamps.iter().enumerate();
            let rows = rows.filter(|(row, _)| among.is_none_or(|among| among.get_bit(*row)));
            Ok(rows.map(|(_, stamp)| stamp).collect())
        };
        let latest = latest(&candidates.ids, stamps)?;
        let most = match self.rows {
            Some(_) => candidates.ids.height() / MOST_SUBSTITUTED,
            None => 0,
        };
        candidates.select(latest.map(|latest| match latest.substituted.len() > most {
            true => Latest {
                places: latest.in_place(),
                substituted: Vec::new(),
            },
            false => latest,
        }))
    }

    fn candidates(
        &self,
        keys: &[String],
        restrictions: Option<&Expr>,
        alive: bool,
    ) -> Result<Candidates> {
        let mut list: Vec<Expr> = keys.iter().map(|key| col(key.as_str())).collect();
        if let Some(restrictions) = restrictions {
            list.push(restrictions.clone().fill_null(lit(false)).alias(ROW));
        }
        let alive = alive && self.may_have_tombstones();
        if alive {
            list.push(col(columns::DELETED_AT).is_not_null().alias(GONE));
        }
        let mut ids = self.read(list)?;
        let mut taken = |name: &str| -> Result<Bitmap> {
            let mask = ids.drop_in_place(name).map_err(failed)?;
            let mask = mask.as_materialized_series().bool().map_err(failed)?;
            Ok(mask.iter().map(|is| is == Some(true)).collect())
        };
        let gone = alive.then(|| taken(GONE)).transpose()?;
        let among = restrictions.map(|_| taken(ROW)).transpose()?;
        let among = among.filter(|among| among.unset_bits() > 0);
        if let Some(among) = &among {
            ids = filtered(&ids, among)?;
        }
        Ok(Candidates { ids, among, gone })
    }

    fn read(&self, expressions: Vec<Expr>) -> Result<DataFrame> {
        let frame = self.scan()?.select(expressions);
        let frame = frame.collect_with_engine(pl::Engine::Streaming);
        Ok(frame.map_err(failed)?.unwrap_single())
    }

    /// Reads the rows that are given at the places of others, from the files that have them.
    pub(crate) fn substituted(
        &self,
        substituted: &[(usize, usize)],
        wanted: &[&ParquetColumn],
        keys: &[String],
    ) -> Result<Substitutes> {
        let mut rows: Vec<usize> = substituted.iter().map(|(_, row)| *row).collect();
        rows.sort_unstable();
        // The files with one of them, and the rows' numbers among the rows of these files.
        let counts = self.rows.iter().flatten();
        let mut some = Self {
            files: Vec::new(),
            rows: None,
            ..self.clone()
        };
        let mut bits = MutableBitmap::new();
        let (mut start, mut next) = (0, rows.iter().copied().peekable());
        for (file, count) in self.files.iter().zip(counts) {
            let end = start + usize::try_from(*count).unwrap_or(usize::MAX);
            if next.peek().is_some_and(|row| *row < end) {
                let first = bits.len();
                bits.extend_constant(end - start, false);
                while let Some(row) = next.next_if(|row| *row < end) {
                    bits.set(first + row - start, true);
                }
                some.files.push(file.clone());
            }
            start = end;
        }
        let names = wanted.iter().filter(|column| !keys.contains(&column.name));
        let names: Vec<Expr> = names.map(|column| col(column.name.as_str())).collect();
        let found = only(some.scan()?, bits.freeze());
        let mut list = vec![col(ROW)];
        list.extend(names);
        let found = found.select(list);
        let found = found.collect_with_engine(pl::Engine::Streaming);
        let found = found.map_err(failed)?.unwrap_single();
        if found.height() != rows.len() {
            return Err(internal(
                "files with other numbers of rows than they are said to have",
            ));
        }
        let at = |row: &usize| rows.partition_point(|before| before < row);
        Ok(Substitutes::new(
            substituted.iter().map(|(place, _)| *place).collect(),
            substituted.iter().map(|(_, row)| at(row)).collect(),
            found,
        ))
    }
}

impl Candidates {
    /// Those of them that are the latest, counted among all rows.
    fn select(self, latest: Option<Latest>) -> Result<Selection> {
        let Self { ids, among, gone } = self;
        if latest.is_none() && among.is_none() && gone.is_none() {
            return Ok(Selection {
                places: None,
                substituted: Vec::new(),
                ids,
            });
        }
        let all = among.as_ref().map_or(ids.height(), Bitmap::len);
        let numbers: Option<Vec<usize>> = among.map(|among| among.true_idx_iter().collect());
        let number = |row: usize| match &numbers {
            Some(numbers) => numbers.get(row).copied().unwrap_or(row),
            None => row,
        };
        let is_gone = |row: usize| gone.as_ref().is_some_and(|gone| gone.get_bit(number(row)));
        let latest = latest.unwrap_or_else(|| Latest {
            places: Bitmap::new_with_value(true, ids.height()),
            substituted: Vec::new(),
        });
        let mut next = latest.substituted.into_iter().peekable();
        let mut given = MutableBitmap::from_len_zeroed(ids.height());
        let mut places = MutableBitmap::from_len_zeroed(all);
        let mut substituted = Vec::new();
        for place in latest.places.true_idx_iter() {
            let there = next.next_if(|(at, _)| *at == place).map(|(_, row)| row);
            if is_gone(there.unwrap_or(place)) {
                continue;
            }
            given.set(place, true);
            places.set(number(place), true);
            substituted.extend(there.map(|row| (number(place), number(row))));
        }
        let (given, places) = (given.freeze(), places.freeze());
        Ok(Selection {
            ids: match given.unset_bits() {
                0 => ids,
                _ => filtered(&ids, &given)?,
            },
            places: (places.unset_bits() > 0).then_some(places),
            substituted,
        })
    }
}
