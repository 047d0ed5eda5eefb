//! What is computed over the rows of a group: folded versions and leading rows. Both need all rows at once.

use std::sync::Arc;

use metaxy_core::hash;
use metaxy_core::plan::HashSpec;
use polars::prelude as pl;
use polars::prelude::{
    AllowedOptimizations, BooleanChunked, Column, DataFrame, IdxCa, IntoColumn, LazyFrame,
    NewChunkedArray, PlSmallStr, PolarsResult, Schema, SortMultipleOptions, StringChunked,
};
use polars_arrow::array::{MutableBinaryViewArray, Utf8ViewArray};

use crate::hash::texts_of;

/// Folds of the texts in some columns, per group.
#[derive(Clone)]
pub(crate) struct Folds {
    pub(crate) keys: Vec<String>,
    /// The order within a group: ascending, nulls first.
    pub(crate) order: Vec<String>,
    /// The text column, which is replaced by the fold of its group.
    pub(crate) columns: Vec<String>,
    pub(crate) hash: HashSpec,
}

impl Folds {
    /// The frame with the columns folded.
    pub(crate) fn of(self, frame: LazyFrame) -> LazyFrame {
        whole(frame, "fold", |_| Ok(()), move |frame| self.fold(frame))
    }

    fn fold(&self, mut frame: DataFrame) -> PolarsResult<DataFrame> {
        let by: Vec<&String> = self.keys.iter().chain(&self.order).collect();
        let sorted = sorted(&frame, &by, &[])?;
        let starts = starts(&frame, &self.keys, &sorted)?;
        for name in &self.columns {
            let values = texts_of(frame.column(name)?)?;
            let mut fold = hash::Fold::new(self.hash.algorithm, self.hash.length);
            let mut text = String::new();
            // The fold of each group, and the group of each row.
            let mut folds = Vec::new();
            let mut groups = vec![0_u32; sorted.len()];
            for (at, row) in sorted.iter().enumerate() {
                if at > 0 && starts[at] {
                    fold.finish_into(&mut text);
                    folds.push(std::mem::take(&mut text));
                }
                groups[*row as usize] = folds.len() as u32;
                fold.push(values.get(*row as usize));
            }
            fold.finish_into(&mut text);
            folds.push(text);
            let mut column = MutableBinaryViewArray::<str>::with_capacity(groups.len());
            for group in groups {
                column.push(folds.get(group as usize));
            }
            let column: Utf8ViewArray = column.into();
            let name = PlSmallStr::from_str(name);
            frame.with_column(StringChunked::with_chunk(name, column).into_column())?;
        }
        Ok(frame)
    }
}

/// The row of each group that was written last.
#[derive(Clone)]
pub(crate) struct Leaders {
    pub(crate) keys: Vec<String>,
    /// The column with the time at which a row was written.
    pub(crate) stamp: String,
    /// What decides between equal times: ascending, nulls first.
    pub(crate) order: Vec<String>,
    /// The column whose value in the leading row is wanted, and what it is called then.
    pub(crate) value: (String, String),
    /// Whether a row leads its group.
    pub(crate) flag: String,
}

impl Leaders {
    /// The frame with two columns more.
    pub(crate) fn of(self, frame: LazyFrame) -> LazyFrame {
        let (value, flag) = (self.value.clone(), self.flag.clone());
        let added = move |schema: &mut Schema| {
            let data_type = schema.try_get(&value.0)?.clone();
            schema.with_column(PlSmallStr::from_str(&value.1), data_type);
            schema.with_column(PlSmallStr::from_str(&flag), pl::DataType::Boolean);
            Ok(())
        };
        whole(frame, "leader", added, move |frame| self.lead(frame))
    }

    fn lead(&self, mut frame: DataFrame) -> PolarsResult<DataFrame> {
        let by: Vec<&String> = self
            .keys
            .iter()
            .chain([&self.stamp])
            .chain(&self.order)
            .collect();
        let sorted = sorted(&frame, &by, &[&self.stamp])?;
        let starts = starts(&frame, &self.keys, &sorted)?;
        let mut leaders = vec![0_u32; sorted.len()];
        let mut leads = vec![false; sorted.len()];
        let mut leader = 0;
        for (at, row) in sorted.iter().enumerate() {
            if at == 0 || starts[at] {
                leader = *row;
                leads[*row as usize] = true;
            }
            leaders[*row as usize] = leader;
        }
        let leaders = IdxCa::from_vec(PlSmallStr::EMPTY, leaders);
        let value = frame.column(&self.value.0)?.take(&leaders)?;
        frame.with_column(value.with_name(PlSmallStr::from_str(&self.value.1)))?;
        let flag = BooleanChunked::from_slice(PlSmallStr::from_str(&self.flag), &leads);
        frame.with_column(flag.into_column())?;
        Ok(frame)
    }
}

/// A frame that is changed as a whole; `columns` says what becomes of its columns.
fn whole(
    frame: LazyFrame,
    name: &'static str,
    columns: impl Fn(&mut Schema) -> PolarsResult<()> + Send + Sync + 'static,
    change: impl Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
) -> LazyFrame {
    let schema = move |schema: &Schema| {
        let mut schema = schema.clone();
        columns(&mut schema)?;
        Ok(Arc::new(schema))
    };
    let none = AllowedOptimizations::empty();
    frame.map(change, none, Some(Arc::new(schema)), Some(name))
}

/// The rows in the order of some columns, ascending with nulls first; those of `descending` the other way round.
fn sorted(frame: &DataFrame, by: &[&String], descending: &[&String]) -> PolarsResult<Vec<u32>> {
    let columns = by.iter().map(|name| frame.column(name).cloned());
    let columns: Vec<Column> = columns.collect::<PolarsResult<_>>()?;
    let Some((first, rest)) = columns.split_first() else {
        return Ok((0..frame.height() as u32).collect());
    };
    let turned: Vec<bool> = by.iter().map(|name| descending.contains(name)).collect();
    let options = SortMultipleOptions::default()
        .with_order_descending_multi(turned.iter().copied())
        .with_nulls_last_multi(turned.iter().copied())
        .with_maintain_order(true);
    let order = match rest.is_empty() {
        true => first.arg_sort(pl::SortOptions {
            descending: turned.first().is_some_and(|turned| *turned),
            nulls_last: turned.first().is_some_and(|turned| *turned),
            maintain_order: true,
            ..Default::default()
        }),
        false => first
            .as_materialized_series()
            .arg_sort_multiple(rest, &options)?,
    };
    Ok(order.into_no_null_iter().collect())
}

/// Whether a row has other keys than the one before it in this order.
fn starts(frame: &DataFrame, keys: &[String], sorted: &[u32]) -> PolarsResult<Vec<bool>> {
    let mut starts = vec![false; sorted.len()];
    let order = IdxCa::from_vec(PlSmallStr::EMPTY, sorted.to_vec());
    for key in keys {
        let values = frame.column(key)?.take(&order)?;
        let values = values.as_materialized_series();
        let differs = pl::ChunkCompareEq::not_equal_missing(values, &values.shift(1))?;
        for (start, differs) in starts.iter_mut().zip(differs.iter()) {
            *start |= differs == Some(true);
        }
    }
    Ok(starts)
}
