//! Rows that are given at the places of others.

use std::sync::Arc;

use polars::prelude as pl;
use polars::prelude::{Column, DataFrame, Expr, IdxCa, IdxSize, PolarsResult, col};

/// Later rows of samples, held in memory, and the places at which a scan gives them.
pub(crate) struct Substitutes(Arc<Rows>);

struct Rows {
    /// Numbers of rows of the scan, ascending.
    places: Vec<usize>,
    /// For each place the row of `rows` that is given there.
    at: Vec<usize>,
    rows: DataFrame,
}

impl Substitutes {
    pub(crate) fn new(places: Vec<usize>, at: Vec<usize>, rows: DataFrame) -> Self {
        Self(Arc::new(Rows { places, at, rows }))
    }

    /// A column of a scan whose rows are counted by the column `number`, ascending within each part, with the later values.
    pub(crate) fn of(&self, column: &str, number: &str) -> Expr {
        let own = col(column);
        if self.0.rows.get_column_index(column).is_none() {
            return own;
        }
        let rows = self.0.clone();
        own.map_many(
            move |columns| match columns {
                [own, numbers] => rows.replaced(own, numbers),
                _ => Err(crate::scalar::no_columns()),
            },
            &[col(number)],
            |_, fields| Ok(fields[0].clone()),
        )
    }
}

impl Rows {
    fn replaced(&self, own: &Column, numbers: &Column) -> PolarsResult<Column> {
        let numbers = numbers.as_materialized_series().idx()?.rechunk();
        let numbers = numbers.cont_slice()?;
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Ok(own.clone());
        };
        let bound = |number: usize| self.places.partition_point(|place| *place < number);
        let (from, to) = (bound(*first as usize), bound(*last as usize + 1));
        if from == to {
            return Ok(own.clone());
        }
        let mut taken: Vec<IdxSize> = (0..numbers.len() as IdxSize).collect();
        for (place, at) in self.places[from..to].iter().zip(&self.at[from..to]) {
            if let Ok(row) = numbers.binary_search(&(*place as IdxSize)) {
                taken[row] = (numbers.len() + at) as IdxSize;
            }
        }
        let mut both = own.as_materialized_series().rechunk();
        both.append(self.rows.column(own.name())?.as_materialized_series())?;
        let taken = IdxCa::from_vec(own.name().clone(), taken);
        Ok(pl::IntoColumn::into_column(both.take(&taken)?))
    }
}
