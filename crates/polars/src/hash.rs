//! The hash of a row's parts as a function of Polars.
//!
//! The texts of a few rows are put together part by part and hashed at once; the joined text is never a column.

use arrow::datatypes::Schema;
use metaxy_core::Result;
use metaxy_core::hash::{CommonText, HashBatch, RowText};
use metaxy_core::plan::{HashPart, HashSpec, Nulls, Scalar};
use polars::prelude as pl;
use polars::prelude::{Column, Expr, IntoColumn, PolarsResult, Series, StringChunked, col, lit};
use polars_arrow::array::{Array, MutableBinaryViewArray, Utf8ViewArray, View};
use polars_arrow::bitmap::Bitmap;

use crate::scalar::{self, Computed, no_columns};

/// What is hashed: texts and the arguments of the function.
struct Recipe {
    spec: HashSpec,
    parts: Vec<Part>,
    /// The member of each argument that is taken; `None`: the argument is text.
    arguments: Vec<Option<String>>,
}

enum Part {
    Text(CommonText),
    Argument(usize, Nulls),
}

/// The hash of `parts` over rows of `schema`.
pub(crate) fn expression(spec: HashSpec, parts: &[HashPart], schema: &Schema) -> Result<Expr> {
    let mut known: Vec<&Scalar> = Vec::new();
    let mut arguments: Vec<Expr> = Vec::new();
    let mut recipe = Recipe {
        spec,
        parts: Vec::new(),
        arguments: Vec::new(),
    };
    for part in parts {
        let (value, nulls) = match part {
            HashPart::Text(text) | HashPart::Value(Scalar::Text(text), _) => {
                recipe.parts.push(Part::Text(CommonText::new(text)));
                continue;
            }
            HashPart::Value(value, nulls) => (value, *nulls),
        };
        let position = match known.iter().position(|known| *known == value) {
            Some(position) => position,
            None => {
                // A member is taken out of its struct here, where it is not copied.
                let (argument, member) = match value {
                    Scalar::Member { column, member } => (col(column.as_str()), Some(member)),
                    value => (scalar::expression(value, schema)?, None),
                };
                known.push(value);
                arguments.push(argument);
                recipe.arguments.push(member.cloned());
                known.len() - 1
            }
        };
        recipe.parts.push(Part::Argument(position, nulls));
    }
    let Some((first, rest)) = arguments.split_first() else {
        return Ok(lit(recipe.of_texts()));
    };
    Ok(first.clone().map_many(
        move |columns| recipe.run(columns),
        rest,
        |_, fields| {
            Ok(pl::Field::new(
                fields[0].name().clone(),
                pl::DataType::String,
            ))
        },
    ))
}

impl Recipe {
    /// The hash where no part is a column.
    fn of_texts(&self) -> String {
        let mut batch = HashBatch::new(self.spec.algorithm, self.spec.length);
        self.write(&[], &[0], batch.rows(1));
        let hash = batch.finish().next().map(|hash| hash.as_str().to_owned());
        hash.unwrap_or_default()
    }

    fn run(&self, columns: &[Column]) -> Computed {
        let name = columns.first().ok_or_else(no_columns)?.name().clone();
        let texts = columns.iter().zip(&self.arguments);
        let texts = texts.map(|(column, member)| match member {
            Some(member) => texts_of(&self::member(column, member)?),
            None => texts_of(column),
        });
        let texts: Vec<Utf8ViewArray> = texts.collect::<PolarsResult<_>>()?;
        let rows = texts.iter().map(Array::len).max().unwrap_or_default();
        let needed: Vec<&Bitmap> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Argument(position, Nulls::Propagate) => texts.get(*position)?.validity(),
                _ => None,
            })
            .collect();
        let mut hashes = MutableBinaryViewArray::<str>::with_capacity(rows);
        let mut batch = HashBatch::new(self.spec.algorithm, self.spec.length);
        let mut valid = Vec::with_capacity(HashBatch::ROWS);
        for start in (0..rows).step_by(HashBatch::ROWS) {
            let end = rows.min(start + HashBatch::ROWS);
            valid.clear();
            valid.extend((start..end).filter(|row| {
                needed
                    .iter()
                    .all(|valid| valid.get_bit(*row % valid.len().max(1)))
            }));
            self.write(&texts, &valid, batch.rows(valid.len()));
            let mut done = batch.finish();
            if valid.len() == end - start {
                done.for_each(|hash| hashes.push_value(hash.as_str()));
                continue;
            }
            for row in start..end {
                match valid.contains(&row) {
                    true => hashes.push(done.next().as_ref().map(|hash| hash.as_str())),
                    false => hashes.push_null(),
                }
            }
        }
        let hashes: Utf8ViewArray = hashes.into();
        Ok(StringChunked::with_chunk(name, hashes).into_column())
    }

    /// The parts of some rows, one part after the other.
    fn write(&self, arguments: &[Utf8ViewArray], rows: &[usize], texts: &mut [RowText]) {
        for part in &self.parts {
            match part {
                Part::Text(text) => text.push_to(texts),
                Part::Argument(position, _) => {
                    if let Some(argument) = arguments.get(*position) {
                        push(argument, rows, texts);
                    }
                }
            }
        }
    }
}

/// Adds the values of some rows to their texts; null is empty.
fn push(values: &Utf8ViewArray, rows: &[usize], texts: &mut [RowText]) {
    let views = values.views().as_slice();
    for (text, row) in texts.iter_mut().zip(rows) {
        // A constant column may have crossed as one row.
        let row = if views.len() == 1 { 0 } else { *row };
        let Some(view) = views.get(row).filter(|_| values.is_valid(row)) else {
            continue;
        };
        match view.is_inline() {
            true => text.push_start(&inlined(view), view.length as usize),
            false => text.push(values.value(row).as_bytes()),
        }
    }
}

/// The bytes of a short text, with zeros behind them.
#[inline]
fn inlined(view: &View) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&view.prefix.to_ne_bytes());
    bytes[4..8].copy_from_slice(&view.buffer_idx.to_ne_bytes());
    bytes[8..12].copy_from_slice(&view.offset.to_ne_bytes());
    bytes
}

/// A text column in one piece.
pub(crate) fn texts_of(column: &Column) -> PolarsResult<Utf8ViewArray> {
    let series = column.as_materialized_series();
    if series.dtype().is_null() {
        return texts_of(&series.cast(&pl::DataType::String)?.into_column());
    }
    let texts = series.str()?.rechunk();
    let empty = || Utf8ViewArray::new_empty(polars_arrow::datatypes::ArrowDataType::Utf8View);
    Ok(texts.downcast_iter().next().cloned().unwrap_or_else(empty))
}

/// A member of a struct of texts, or the value of a key of a map; null if either is.
pub(crate) fn member(column: &Column, member: &str) -> Computed {
    let series = column.as_materialized_series();
    match series.dtype() {
        pl::DataType::Struct(_) => {
            let rows = series.struct_()?.rechunk();
            let field = rows.field_by_name(member)?;
            let Some(outer) = rows.rechunk_validity() else {
                return Ok(field.into_column());
            };
            let texts = texts_of(&field.into_column())?;
            let valid = polars_arrow::bitmap::and(
                &outer,
                &texts
                    .validity()
                    .cloned()
                    .unwrap_or_else(|| Bitmap::new_with_value(true, texts.len())),
            );
            let texts = texts.with_validity(Some(valid));
            Ok(StringChunked::with_chunk(series.name().clone(), texts).into_column())
        }
        pl::DataType::List(_) => map_member(series, member),
        other => Err(pl::PolarsError::SchemaMismatch(
            format!("a column of type {other} has no members").into(),
        )),
    }
}

/// The value of a key of a map, which is a list of its entries.
fn map_member(series: &Series, member: &str) -> Computed {
    let mut values = MutableBinaryViewArray::<str>::with_capacity(series.len());
    let lists = series.list()?.rechunk();
    let lists = lists.rechunk();
    let Some(list) = lists.downcast_iter().next() else {
        let empty: StringChunked = pl::ChunkFullNull::full_null(series.name().clone(), 0);
        return Ok(empty.into_column());
    };
    let entries = lists.get_inner();
    let entries = entries.struct_()?.clone();
    let keys = texts_of(&entries.field_by_name("key")?.into_column())?;
    let found = texts_of(&entries.field_by_name("value")?.into_column())?;
    let first = *list.offsets().first();
    for (row, bounds) in list.offsets().windows(2).enumerate() {
        let valid = list.validity().is_none_or(|valid| valid.get_bit(row));
        let (start, end) = ((bounds[0] - first) as usize, (bounds[1] - first) as usize);
        let at = (start..end).find(|at| keys.get(*at) == Some(member));
        values.push(at.filter(|_| valid).and_then(|at| found.get(at)));
    }
    let values: Utf8ViewArray = values.into();
    Ok(StringChunked::with_chunk(series.name().clone(), values).into_column())
}
