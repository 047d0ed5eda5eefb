//! Reading Parquet.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, MapArray, RecordBatch, RecordBatchOptions, StringBuilder,
    StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use indexmap::IndexSet;
use metaxy_core::cast::cast_checked;
use metaxy_core::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;

use crate::columns::{Hints, by_field_type, is_by_field};
use crate::fit::{Misfit, fit, target};
use crate::read::FrameReader;
use crate::scalar::print::Printer;
use crate::source::Source;
use crate::{BATCH_ROWS, invalid, io_error};

/// Reads a Parquet file, row group by row group. Members of a map column are looked up in a first pass over that column.
pub(crate) fn open(source: Source, hints: &Hints) -> Result<FrameReader> {
    let (name, file) = source.into_file()?;
    let reader = guarded(&name, || open_file(name.clone(), &file, hints))?;
    let (schema, rows) = (reader.schema(), reader.total_rows());
    let mut reader = reader;
    let batches =
        std::iter::from_fn(move || guarded(&name, || reader.next().transpose()).transpose());
    Ok(FrameReader::new(schema, batches).with_total_rows(rows))
}

/// Does what reads a file. Where a damaged file makes the library for it panic, that is an error as well.
fn guarded<T>(name: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(
            invalid(name, "this is no whole Parquet file: its reader gave up")
                .with_hint("the file may be damaged; write it once more"),
        )
    })
}

fn open_file(name: String, file: &File, hints: &Hints) -> Result<FrameReader> {
    let metadata = ArrowReaderMetadata::load(file, Default::default()).map_err(|e| {
        invalid(&name, format!("this is no whole Parquet file: {e}"))
            .with_hint("name its format with --samples-format")
    })?;
    let metadata = with_exact_times(&name, file, metadata)?;
    let own = metadata.schema().clone();
    let rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).ok();
    let mut fields = Vec::with_capacity(own.fields().len());
    for (i, field) in own.fields().iter().enumerate() {
        let data_type = match (is_by_field(field.name()), field.data_type()) {
            (true, DataType::Struct(members)) => {
                by_field_type(members.iter().map(|m| m.name().as_str()))
            }
            (true, DataType::Map(..)) => {
                let members = map_members(&name, file, &metadata, i)?;
                by_field_type(members.iter().map(String::as_str))
            }
            (true, other) => {
                return Err(invalid(
                    &name,
                    format!(
                        "column '{}' is {other}, not a struct or map of text",
                        field.name()
                    ),
                )
                .with_hint("write one text member per field of the feature"));
            }
            (false, own) => match hints.column(field.name()) {
                Some(wanted) => target(own, &wanted),
                None => own.clone(),
            },
        };
        fields.push(Field::new(field.name(), data_type, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let file = file.try_clone().map_err(|e| io_error(&name, "read", e))?;
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| invalid(&name, e))?;
    let target = schema.clone();
    let mut done = 0;
    let batches = batches.map(move |batch| {
        let batch = batch.map_err(|e| unreadable(&name, done, &e))?;
        let typed = typed(&name, &batch, &target, done)?;
        done += batch.num_rows();
        Ok(typed)
    });
    Ok(FrameReader::new(schema, batches).with_total_rows(rows))
}

/// The same, with times of 96 bits (which Spark and Impala write) counted in microseconds, unless some are finer: nanoseconds of
/// 64 bits end in 2262.
fn with_exact_times(
    name: &str,
    file: &File,
    metadata: ArrowReaderMetadata,
) -> Result<ArrowReaderMetadata> {
    let leaves = metadata.parquet_schema().columns();
    let old: Vec<bool> = leaves
        .iter()
        .map(|leaf| leaf.physical_type() == PhysicalType::INT96)
        .collect();
    if !old.contains(&true) {
        return Ok(metadata);
    }
    let failed = |e: parquet::errors::ParquetError| invalid(name, e);
    let in_unit = |unit: TimeUnit, only: &dyn Fn(usize) -> bool| {
        let mut leaf = 0;
        let fields = metadata.schema().fields().iter().map(|field| {
            let data_type = with_unit(field.data_type(), &mut leaf, &|leaf| {
                let chosen = old.get(leaf).copied().unwrap_or_default() && only(leaf);
                chosen.then_some(unit)
            });
            field.as_ref().clone().with_data_type(data_type)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).map_err(failed)
    };
    let micros = in_unit(TimeUnit::Microsecond, &|_| true)?;
    let nanos = in_unit(TimeUnit::Nanosecond, &|_| true)?;
    let mut finer = vec![false; old.len()];
    for leaf in (0..old.len()).filter(|leaf| old[*leaf]) {
        let column = |metadata: &ArrowReaderMetadata| {
            let file = file.try_clone().map_err(|e| io_error(name, "read", e))?;
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), [leaf]);
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
            let reader = reader
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build();
            reader.map_err(failed)
        };
        // One after the other: two readers of one file would move its position for each other.
        let coarse: Vec<Vec<i64>> = column(&micros)?
            .map(|batch| Ok(counts(&batch?)))
            .collect::<Result<_, ArrowError>>()
            .map_err(|e| unreadable(name, 0, &e))?;
        let fine = column(&nanos)?;
        let mut beyond = false;
        for (batch, micros) in fine.zip(coarse) {
            let nanos = counts(&batch.map_err(|e| unreadable(name, 0, &e))?);
            for (micros, nanos) in micros.into_iter().zip(nanos) {
                match micros.checked_mul(1_000) {
                    None => beyond = true,
                    Some(whole) => finer[leaf] |= whole != nanos,
                }
            }
        }
        if beyond && finer[leaf] {
            let column = metadata.parquet_schema().column(leaf);
            return Err(invalid(
                name,
                format!(
                    "column '{}' has times finer than microseconds and times beyond the year 2262",
                    column.path()
                ),
            )
            .with_hint("write its times as 64-bit microseconds"));
        }
    }
    let micros = in_unit(TimeUnit::Microsecond, &|leaf| !finer[leaf])?;
    Ok(micros)
}

/// The type with another unit for the times that `unit` gives one, by the number of their leaf.
fn with_unit(
    data_type: &DataType,
    leaf: &mut usize,
    unit: &dyn Fn(usize) -> Option<TimeUnit>,
) -> DataType {
    let mut inner = |field: &FieldRef| -> FieldRef {
        let data_type = with_unit(field.data_type(), leaf, unit);
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(members) => DataType::Struct(members.iter().map(inner).collect()),
        other => {
            let at = *leaf;
            *leaf += 1;
            match (other, unit(at)) {
                (DataType::Timestamp(_, zone), Some(unit)) => {
                    DataType::Timestamp(unit, zone.clone())
                }
                _ => other.clone(),
            }
        }
    }
}

/// The numbers of the one leaf that a batch has, at whatever depth; zero for null.
fn counts(batch: &RecordBatch) -> Vec<i64> {
    fn of(array: &ArrayRef) -> Vec<i64> {
        match array.data_type() {
            DataType::Struct(_) => array
                .as_struct()
                .columns()
                .first()
                .map(of)
                .unwrap_or_default(),
            DataType::Map(..) => {
                let entries: ArrayRef = Arc::new(array.as_map().entries().clone());
                of(&entries)
            }
            DataType::List(_) => of(array.as_list::<i32>().values()),
            DataType::LargeList(_) => of(array.as_list::<i64>().values()),
            DataType::FixedSizeList(..) => of(array.as_fixed_size_list().values()),
            DataType::Timestamp(..) => {
                let data = array
                    .to_data()
                    .into_builder()
                    .data_type(DataType::Int64)
                    .build();
                let numbers = data
                    .map(Int64Array::from)
                    .unwrap_or_else(|_| Int64Array::new_null(array.len()));
                numbers.iter().map(Option::unwrap_or_default).collect()
            }
            _ => Vec::new(),
        }
    }
    batch.columns().first().map(of).unwrap_or_default()
}

/// All keys of map column `i`, in the order of their first appearance.
fn map_members(
    name: &str,
    file: &File,
    metadata: &ArrowReaderMetadata,
    i: usize,
) -> Result<IndexSet<String>> {
    let file = file.try_clone().map_err(|e| io_error(name, "read", e))?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), [i]);
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| invalid(name, e))?;
    let mut members = IndexSet::new();
    for batch in batches {
        let batch = batch.map_err(|e| unreadable(name, 0, &e))?;
        let keys = text_of(name, "metaxy_*_by_field", batch.column(0).as_map().keys())?;
        for key in keys.as_string::<i32>().iter().flatten() {
            if !members.contains(key) {
                members.insert(key.to_owned());
            }
        }
    }
    Ok(members)
}

fn unreadable(name: &str, done: usize, source: &ArrowError) -> Error {
    let message = source.to_string();
    // DuckDB's second version of Parquet and older writers in Go do so, against the format's rule.
    let too_wide = ["'min_delta' too large", "delta bit width"];
    let hint = match too_wide.iter().any(|words| message.contains(words)) {
        true => {
            "a column of 32-bit integers is packed as differences that have more than 32 bits, which the format forbids: have it \
             written in another encoding (DuckDB: `PARQUET_VERSION V1`)"
        }
        false => "the file may be damaged",
    };
    invalid(name, format!("after row {done}: {message}")).with_hint(hint)
}

fn typed(name: &str, batch: &RecordBatch, schema: &SchemaRef, done: usize) -> Result<RecordBatch> {
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (array, field) in batch.columns().iter().zip(schema.fields()) {
        arrays.push(match (is_by_field(field.name()), array.data_type(), field.data_type()) {
            (true, DataType::Map(..), DataType::Struct(members)) => struct_of_map(name, field.name(), array.as_map(), members)?,
            (true, DataType::Struct(_), DataType::Struct(members)) => struct_of_text(name, field.name(), array.as_struct(), members)?,
            (_, own, wanted) => fit(array, wanted).map_err(|misfit| {
                let column = field.name();
                match misfit {
                    Misfit::Types => invalid(name, format!("column '{column}' is {own} where {wanted} is expected"))
                        .with_hint("convert the column where the file is made"),
                    Misfit::Row(row) => invalid(
                        name,
                        format!("row {}, column '{column}': the value is no {wanted}", done + row + 1),
                    )
                    .with_hint("correct the value, or give the column another type in the table it is written to"),
                    Misfit::Failed(error) => invalid(name, format!("column '{column}': {}", error.message())),
                }
            })?,
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &options,
    )?)
}

fn struct_of_text(
    name: &str,
    column: &str,
    array: &StructArray,
    members: &Fields,
) -> Result<ArrayRef> {
    let text = array.columns().iter().zip(members);
    let text =
        text.map(|(values, member)| text_of(name, &format!("{column}.{}", member.name()), values));
    Ok(Arc::new(StructArray::try_new(
        members.clone(),
        text.collect::<Result<Vec<_>>>()?,
        array.nulls().cloned(),
    )?))
}

/// Versions as text: text as it is, bytes as lowercase hexadecimal digits, numbers and truth values as they are printed.
fn text_of(name: &str, column: &str, array: &ArrayRef) -> Result<ArrayRef> {
    let refused = || {
        invalid(
            name,
            format!(
                "column '{column}' is {}, of which no version can be made",
                array.data_type()
            ),
        )
        .with_hint("write versions as text")
    };
    match array.data_type() {
        DataType::Utf8 => return Ok(array.clone()),
        DataType::Null => return Ok(arrow::array::new_null_array(&DataType::Utf8, array.len())),
        DataType::Dictionary(_, value) => {
            return text_of(name, column, &cast_checked(array, value)?);
        }
        nested if nested.is_nested() => return Err(refused()),
        _ => {}
    }
    let printer = Printer::of(array.as_ref()).ok_or_else(refused)?;
    let mut text = StringBuilder::new();
    let mut value = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            text.append_null();
            continue;
        }
        value.clear();
        (printer.print)(row, &mut value).ok_or_else(refused)?;
        text.append_value(&value);
    }
    Ok(Arc::new(text.finish()))
}

fn struct_of_map(name: &str, column: &str, array: &MapArray, members: &Fields) -> Result<ArrayRef> {
    let keys = text_of(name, column, array.keys())?;
    let values = text_of(name, column, array.values())?;
    let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
    let mut columns: Vec<StringBuilder> = members.iter().map(|_| StringBuilder::new()).collect();
    for row in 0..array.len() {
        let entries = match array.is_valid(row) {
            true => array.value_offsets()[row] as usize..array.value_offsets()[row + 1] as usize,
            false => 0..0,
        };
        for (column, member) in columns.iter_mut().zip(members) {
            let entry = entries
                .clone()
                .find(|entry| keys.value(*entry) == member.name());
            column.append_option(entry.and_then(|e| values.is_valid(e).then(|| values.value(e))));
        }
    }
    let columns = columns
        .iter_mut()
        .map(|column| Arc::new(column.finish()) as ArrayRef)
        .collect();
    Ok(Arc::new(StructArray::try_new_with_length(
        members.clone(),
        columns,
        array.nulls().cloned(),
        array.len(),
    )?))
}
