//! Two sides that have the same samples in the same order: their rows are put beside each other, and nothing is joined.

use std::cmp::Ordering;

use polars::prelude as pl;
use polars::prelude::{
    AllowedOptimizations, Column, DataFrame, DataType, IdxCa, IdxSize, LazyFrame, PolarsResult,
};

use metaxy_core::Result;
use polars_arrow::bitmap::Bitmap;

use crate::row_numbers::filtered;
use crate::runs::{Ids, Values, ascending};

/// The IDs of all rows of a frame, in their order. None comes twice and none is null.
#[derive(Clone)]
pub(crate) struct Order(DataFrame);

/// How the rows of one side meet those of another.
#[derive(Debug)]
pub(crate) enum Meeting {
    /// Each row has its partner at the same place, until one side ends.
    InStep(Ends),
    /// The partners are at other places.
    Places(Places),
}

/// Which of two sides ends first, and after how many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Together,
    Left(usize),
    Right(usize),
}

/// Where the partners of rows are.
#[derive(Debug)]
pub(crate) struct Places {
    /// For each left row the right one, if there is one.
    pub(crate) partners: Vec<Option<IdxSize>>,
    /// Right rows without a left one.
    pub(crate) rest: Vec<IdxSize>,
}

impl Places {
    /// The left rows that have a partner; `None`: all have.
    pub(crate) fn paired(&self) -> Option<Bitmap> {
        let paired: Bitmap = self.partners.iter().map(Option::is_some).collect();
        (paired.unset_bits() > 0).then_some(paired)
    }
}

impl Order {
    /// `None` where equal IDs need not be equal values, and where one is null.
    pub(crate) fn of(ids: DataFrame) -> Option<Self> {
        let plain = |column: &Column| {
            let data_type = column.dtype();
            let plain = data_type.is_integer()
                || matches!(
                    data_type,
                    DataType::String | DataType::Date | DataType::Datetime(..)
                );
            plain && column.null_count() == 0
        };
        let plain = !ids.columns().is_empty() && ids.columns().iter().all(plain);
        plain.then_some(Self(ids))
    }

    /// The same under the names that `name` gives; `None` if it has none for one.
    pub(crate) fn renamed(&self, name: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let columns = self.0.columns().iter().map(|column| {
            let name = name(column.name())?;
            Some(column.clone().with_name(name.as_str().into()))
        });
        let columns: Vec<Column> = columns.collect::<Option<_>>()?;
        DataFrame::new(self.0.height(), columns).ok().map(Self)
    }

    /// The rows that are set.
    pub(crate) fn filtered(&self, set: &Bitmap) -> Result<Self> {
        filtered(&self.0, set).map(Self)
    }

    /// How the rows of both sides meet on the columns `on`; `None`: they have to be joined.
    pub(crate) fn meets(&self, other: &Self, on: &[String]) -> PolarsResult<Option<Meeting>> {
        let are_ids = |order: &Self| {
            let is_there = |name: &String| order.0.get_column_index(name).is_some();
            order.0.width() == on.len() && on.iter().all(is_there)
        };
        if !are_ids(self) || !are_ids(other) {
            return Ok(None);
        }
        let (left, right) = (self.0.height(), other.0.height());
        let both = left.min(right);
        for name in on {
            let (mine, theirs) = (self.0.column(name)?, other.0.column(name)?);
            if mine.dtype() != theirs.dtype() {
                return Ok(None);
            }
            if !are_equal(&mine.slice(0, both), &theirs.slice(0, both))? {
                return match on.len() {
                    1 => Ok(places(mine, theirs)?.map(Meeting::Places)),
                    _ => Ok(None),
                };
            }
        }
        Ok(Some(Meeting::InStep(match left.cmp(&right) {
            Ordering::Equal => Ends::Together,
            Ordering::Less => Ends::Left(left),
            Ordering::Greater => Ends::Right(right),
        })))
    }
}

/// Where the partners of rows are, if the IDs of both sides ascend in few runs.
fn places(left: &Column, right: &Column) -> PolarsResult<Option<Places>> {
    let (Some(left), Some(right)) = (Ids::of(left)?, Ids::of(right)?) else {
        return Ok(None);
    };
    let (left, right) = (left.values()?, right.values()?);
    if left.runs().is_none() || right.runs().is_none() {
        return Ok(None);
    }
    Ok(match (left, right) {
        (Values::Numbers(left), Values::Numbers(right)) => Some(met(left, right)),
        (Values::Texts(left), Values::Texts(right)) => Some(met(&left, &right)),
        _ => None,
    })
}

/// Walks along both sides by ascending ID.
fn met<T: Ord + Sync>(left: &[T], right: &[T]) -> Places {
    let (lefts, rights) = both(|| ascending(left), || ascending(right));
    let mut partners = vec![None; left.len()];
    let mut rest = Vec::new();
    let mut rights = rights.into_iter().peekable();
    for row in lefts {
        let id = &left[row as usize];
        while let Some(before) = rights.next_if(|other| right[*other as usize] < *id) {
            rest.push(before);
        }
        partners[row as usize] = rights.next_if(|other| right[*other as usize] == *id);
    }
    rest.extend(rights);
    Places { partners, rest }
}

/// Does both at the same time.
pub(crate) fn both<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        match one.join() {
            Ok(one) => (one, other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The rows in another order; those that are `None` are null.
pub(crate) fn at(rows: LazyFrame, places: Vec<Option<IdxSize>>) -> LazyFrame {
    let places: IdxCa = places.into_iter().collect();
    let at = move |frame: DataFrame| frame.take(&places);
    rows.map(at, AllowedOptimizations::empty(), None, Some("places"))
}

fn are_equal(left: &Column, right: &Column) -> PolarsResult<bool> {
    // A look at a few places tells most orders apart.
    let rows = left.len();
    for row in [0, rows / 2, rows.saturating_sub(1)] {
        if rows > 0 && left.get(row)? != right.get(row)? {
            return Ok(false);
        }
    }
    let (left, right) = (
        left.as_materialized_series(),
        right.as_materialized_series(),
    );
    Ok(pl::ChunkCompareEq::equal(left, right)?.all())
}

/// The columns of both sides, row by row. If one side has fewer rows, its columns are null in the rest; `is_same` says that neither
/// has, which is checked.
pub(crate) fn beside(left: LazyFrame, right: LazyFrame, is_same: bool) -> PolarsResult<LazyFrame> {
    let options = pl::HConcatOptions {
        strict: is_same,
        ..pl::HConcatOptions::default()
    };
    pl::concat_lf_horizontal([left, right], options)
}
