//! Frames that cases write, and tables that they read.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use metaxy_store::clock::Micros;
use metaxy_store::{Frame, MetadataStore, ReadOptions, Result};

use super::graphs::key;
use crate::outcome::{Outcome, Stop};

/// A batch of these columns.
///
/// # Errors
/// If they differ in length.
pub fn frame<'a>(columns: impl IntoIterator<Item = (&'a str, ArrayRef)>) -> Result<RecordBatch> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// A column of integers; `None` is null.
pub fn ints<T: Into<Option<i64>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values.into_iter().map(Into::into)))
}

/// A column of numbers; `None` is null.
pub fn floats<T: Into<Option<f64>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(values.into_iter().map(Into::into)))
}

/// A column of truth values; `None` is null.
pub fn bools<T: Into<Option<bool>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    let values: Vec<Option<bool>> = values.into_iter().map(Into::into).collect();
    Arc::new(BooleanArray::from(values))
}

/// A column of texts; `None` is null.
pub fn texts<'a, T: Into<Option<&'a str>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values.into_iter().map(Into::into)))
}

/// A column of times in UTC microseconds; `None` is null.
pub fn times<T: Into<Option<Micros>>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    let values = values.into_iter().map(Into::into);
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}

/// A struct of texts by field, as `metaxy_provenance_by_field`; `None` is null.
///
/// # Errors
/// If the members differ in length.
pub fn by_field<'a, T: Into<Option<&'a str>> + Copy>(members: &[(&str, &[T])]) -> Result<ArrayRef> {
    let (fields, arrays): (Vec<_>, Vec<_>) = members
        .iter()
        .map(|(name, values)| {
            let field = Field::new(*name, DataType::Utf8, true);
            (field, texts(values.iter().copied()))
        })
        .unzip();
    Ok(Arc::new(StructArray::try_new(fields.into(), arrays, None)?))
}

/// Samples of [`graphs::video`](super::graphs::video)'s `video/raw`: ID, versions of sound and pictures. Each has a `path`.
///
/// # Errors
/// None for well-formed rows.
pub fn videos(rows: &[(i64, &str, &str)]) -> Result<RecordBatch> {
    let audio: Vec<&str> = rows.iter().map(|row| row.1).collect();
    let frames: Vec<&str> = rows.iter().map(|row| row.2).collect();
    let paths: Vec<String> = rows.iter().map(|row| format!("{}.mp4", row.0)).collect();
    frame([
        ("id", ints(rows.iter().map(|row| row.0))),
        ("path", texts(paths.iter().map(String::as_str))),
        (
            "metaxy_provenance_by_field",
            by_field(&[("audio", &audio), ("frames", &frames)])?,
        ),
    ])
}

/// Samples of a root with one field, `default`: ID and version.
///
/// # Errors
/// None for well-formed rows.
pub fn samples(rows: &[(i64, &str)]) -> Result<RecordBatch> {
    let versions: Vec<&str> = rows.iter().map(|row| row.1).collect();
    frame([
        ("id", ints(rows.iter().map(|row| row.0))),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &versions)])?,
        ),
    ])
}

/// Samples of a root with one field, `default`: integer columns and versions.
///
/// # Errors
/// If the columns differ in length.
pub fn keyed(columns: &[(&str, &[i64])], versions: &[&str]) -> Result<RecordBatch> {
    let columns = columns.iter();
    let columns = columns.map(|(name, values)| (*name, ints(values.iter().copied())));
    let versions = by_field(&[("default", versions)])?;
    frame(columns.chain([("metaxy_provenance_by_field", versions)]))
}

/// A batch with one column more, or with another in its place.
///
/// # Errors
/// If the lengths differ.
pub fn with_column(batch: &RecordBatch, name: &str, array: ArrayRef) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut columns: Vec<(&str, ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| field.name() != name)
        .map(|(field, array)| (field.name().as_str(), array.clone()))
        .collect();
    columns.push((name, array));
    frame(columns)
}

/// Rows that were read, in the order of their `id` where they have one.
#[derive(Debug, Clone)]
pub struct Table(RecordBatch);

/// Asks for every row that is stored: of all versions, the history of each sample, soft deletes.
#[must_use]
pub fn everything() -> ReadOptions {
    ReadOptions::default()
        .with_feature_history(true)
        .with_sample_history(true)
        .with_soft_deleted(true)
}

/// Every row that the store itself holds of a feature, with all columns in the order of their names, as text and sorted: what a refused operation must leave
/// as it was. Nothing, if there is no table.
///
/// # Errors
/// If the read fails.
pub async fn stored(store: &MetadataStore, feature: &str) -> Outcome<Vec<String>> {
    if store.feature_schema(&key(feature)?).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = read(store, feature, everything().with_local_only(true)).await?;
    let mut columns = rows.columns();
    columns.sort();
    rows.lines(&columns.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a read of a feature returns.
///
/// # Errors
/// If the read fails.
pub async fn read(store: &MetadataStore, feature: &str, options: ReadOptions) -> Outcome<Table> {
    Table::of(store.read(&key(feature)?, options).await?).await
}

impl Table {
    /// All rows of a frame.
    ///
    /// # Errors
    /// If it fails to yield them.
    pub async fn of(frame: impl Into<Frame>) -> Outcome<Self> {
        let batch = frame.into().collect().await?.to_batch()?;
        let Some(id) = batch.column_by_name("id") else {
            return Ok(Self(batch));
        };
        let order = arrow::compute::sort_to_indices(id, None, None)?;
        arrow::compute::take_record_batch(&batch, &order)
            .map(Self)
            .map_err(Stop::from)
    }

    /// The rows of a batch in the order in which they come.
    #[must_use]
    pub fn unsorted(batch: RecordBatch) -> Self {
        Self(batch)
    }

    /// The rows.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.0
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the columns, in their order.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let schema = self.0.schema();
        schema.fields().iter().map(|f| f.name().clone()).collect()
    }

    /// The integers of a column; null is `None`.
    ///
    /// # Errors
    /// If there is no such column of integers.
    pub fn ints(&self, column: &str) -> Outcome<Vec<Option<i64>>> {
        let values = self.array(column, &DataType::Int64)?;
        let values = values.as_primitive::<arrow::datatypes::Int64Type>();
        Ok(values.iter().collect())
    }

    /// The IDs, ascending.
    ///
    /// # Errors
    /// If there is no column `id` of integers without nulls.
    pub fn ids(&self) -> Outcome<Vec<i64>> {
        let ids = self.ints("id")?.into_iter().collect::<Option<_>>();
        ids.ok_or_else(|| Stop::failed("an ID is null"))
    }

    /// The values of a column as text, in the order of the IDs; `column.member` is a member of a struct. Times are UTC.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn texts(&self, column: &str) -> Outcome<Vec<Option<String>>> {
        let values = self.array(column, &DataType::Utf8)?;
        let values = values.as_string::<i32>().iter();
        Ok(values.map(|value| value.map(str::to_owned)).collect())
    }

    /// As [`texts`](Self::texts), of a column without nulls.
    ///
    /// # Errors
    /// If there is no such column, or a null.
    pub fn words(&self, column: &str) -> Outcome<Vec<String>> {
        let words = self.texts(column)?.into_iter().collect::<Option<_>>();
        words.ok_or_else(|| Stop::failed(format!("a value of {column} is null")))
    }

    /// Each row's values of these columns, separated by blanks, null as `-`; the lines are sorted. Times are counts since 1970.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn lines(&self, columns: &[&str]) -> Outcome<Vec<String>> {
        let options = FormatOptions::default().with_null("-");
        let mut lines = vec![String::new(); self.len()];
        for (at, column) in columns.iter().enumerate() {
            let values = self.values(column)?;
            let format = ArrayFormatter::try_new(&values, &options)?;
            for (row, line) in lines.iter_mut().enumerate() {
                if at > 0 {
                    line.push(' ');
                }
                let value = format.value(row).try_to_string()?;
                line.push_str(&value);
            }
        }
        lines.sort();
        Ok(lines)
    }

    /// Times in UTC microseconds; null is `None`.
    ///
    /// # Errors
    /// If there is no such column of times.
    pub fn times(&self, column: &str) -> Outcome<Vec<Option<Micros>>> {
        self.ints(column)
    }

    fn array(&self, column: &str, data_type: &DataType) -> Outcome<ArrayRef> {
        let mut values = self.member(column)?;
        // The names of time zones need tables that not every build has.
        if let DataType::Timestamp(unit, Some(_)) = values.data_type() {
            let naive = DataType::Timestamp(*unit, None);
            let data = values.to_data().into_builder().data_type(naive);
            values = arrow::array::make_array(data.build()?);
        }
        arrow::compute::cast(&values, data_type).map_err(Stop::from)
    }

    /// A column, times as counts.
    fn values(&self, column: &str) -> Outcome<ArrayRef> {
        let values = self.member(column)?;
        match values.data_type() {
            DataType::Timestamp(..) => {
                arrow::compute::cast(&values, &DataType::Int64).map_err(Stop::from)
            }
            _ => Ok(values),
        }
    }

    /// A column, or a member of a struct.
    fn member(&self, column: &str) -> Outcome<ArrayRef> {
        let missing = || {
            let columns = self.columns().join(", ");
            Stop::failed(format!("no column {column}; there are {columns}"))
        };
        if let Some(values) = self.0.column_by_name(column) {
            return Ok(values.clone());
        }
        let (outer, member) = column.split_once('.').ok_or_else(missing)?;
        let outer = self.0.column_by_name(outer).ok_or_else(missing)?;
        let outer = outer.as_struct_opt().ok_or_else(missing)?;
        let member = outer.column_by_name(member).ok_or_else(missing)?;
        if outer.nulls().is_none() {
            return Ok(member.clone());
        }
        // A member of a null struct is null.
        let valid = arrow::compute::is_not_null(outer)?;
        let absent = arrow::compute::not(&valid)?;
        arrow::compute::nullif(member, &absent).map_err(Stop::from)
    }
}
