//! Columns from Arrow to Polars and back, through the Arrow C Data Interface: the receiver keeps the sender's buffers alive.

#![allow(unsafe_code)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, LargeListArray, MapArray, RecordBatch, StructArray, make_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use metaxy_core::{Error, ErrorKind, Result};
use polars::prelude::{Column, CompatLevel, DataFrame, PlSmallStr, Series};
use polars_arrow::ffi as theirs;

use crate::error::failed;
use crate::types::crossing;

/// Batches of `schema` as one frame, whose columns have as many chunks as there are batches.
pub(crate) fn to_polars(schema: &Schema, batches: &[RecordBatch]) -> Result<DataFrame> {
    let height = batches.iter().map(RecordBatch::num_rows).sum();
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let name = PlSmallStr::from_str(field.name());
        let wanted = crossing(field.data_type())?;
        let mut chunks = Vec::with_capacity(batches.len());
        for batch in batches {
            chunks.push(cross(&prepared(batch.column(at), &wanted)?)?);
        }
        if chunks.is_empty() {
            chunks.push(cross(&arrow::array::new_empty_array(&wanted))?);
        }
        let series = Series::from_arrow_chunks(name, chunks).map_err(failed)?;
        Ok(Column::from(series))
    });
    DataFrame::new(height, columns.collect::<Result<_>>()?).map_err(failed)
}

/// A column as an array of type `wanted`.
pub(crate) fn array_of(column: &Column, wanted: &DataType) -> Result<ArrayRef> {
    restored(&raw(column)?, wanted)
}

/// A column as an array of the type that Polars gives it.
pub(crate) fn raw(column: &Column) -> Result<ArrayRef> {
    let series = column.as_materialized_series().rechunk();
    let array = series.to_arrow(0, CompatLevel::newest());
    let field = polars_arrow::datatypes::Field::new(PlSmallStr::EMPTY, array.dtype().clone(), true);
    let schema = theirs::export_field_to_c(&field);
    let array = theirs::export_array_to_c(array);
    // SAFETY: both types are the ArrowSchema of the C Data Interface, and ownership moves with the value.
    let schema: FFI_ArrowSchema = unsafe { std::mem::transmute(schema) };
    // SAFETY: both types are the ArrowArray of the C Data Interface, and ownership moves with the value.
    let array: FFI_ArrowArray = unsafe { std::mem::transmute(array) };
    // SAFETY: both come from one array.
    let data = unsafe { from_ffi(array, &schema) }?;
    Ok(make_array(data))
}

fn cross(array: &ArrayRef) -> Result<Box<dyn polars_arrow::array::Array>> {
    let (array, schema) = to_ffi(&array.to_data())?;
    // SAFETY: both types are the ArrowSchema of the C Data Interface, and ownership moves with the value.
    let schema: theirs::ArrowSchema = unsafe { std::mem::transmute(schema) };
    // SAFETY: both types are the ArrowArray of the C Data Interface, and ownership moves with the value.
    let array: theirs::ArrowArray = unsafe { std::mem::transmute(array) };
    // SAFETY: the schema was exported a moment ago.
    let field = unsafe { theirs::import_field_from_c(&schema) }.map_err(failed)?;
    // SAFETY: both come from one array.
    unsafe { theirs::import_array_from_c(array, field.dtype) }.map_err(failed)
}

/// An array as the type that crosses; `wanted` is [`crossing`] of its own.
fn prepared(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    if let (Some(map), DataType::LargeList(item)) = (array.as_map_opt(), wanted) {
        let entries: ArrayRef = Arc::new(map.entries().clone());
        let entries = prepared(&entries, item.data_type())?;
        let offsets = wide(map.offsets());
        return Ok(Arc::new(LargeListArray::try_new(
            item.clone(),
            offsets,
            entries,
            map.nulls().cloned(),
        )?));
    }
    if let (Some(list), DataType::LargeList(item)) = (array.as_list_opt::<i32>(), wanted) {
        let values = prepared(list.values(), item.data_type())?;
        let offsets = wide(list.offsets());
        return Ok(Arc::new(LargeListArray::try_new(
            item.clone(),
            offsets,
            values,
            list.nulls().cloned(),
        )?));
    }
    if let (Some(list), DataType::LargeList(item)) = (array.as_list_opt::<i64>(), wanted) {
        let values = prepared(list.values(), item.data_type())?;
        return Ok(Arc::new(LargeListArray::try_new(
            item.clone(),
            list.offsets().clone(),
            values,
            list.nulls().cloned(),
        )?));
    }
    if let (Some(rows), DataType::Struct(members)) = (array.as_struct_opt(), wanted) {
        let columns = rows.columns().iter().zip(members);
        let columns = columns.map(|(column, member)| prepared(column, member.data_type()));
        return Ok(Arc::new(StructArray::try_new_with_length(
            members.clone(),
            columns.collect::<Result<_>>()?,
            rows.nulls().cloned(),
            rows.len(),
        )?));
    }
    if let (DataType::FixedSizeList(item, _), DataType::LargeList(_)) = (array.data_type(), wanted)
    {
        let list = cast(array, &DataType::LargeList(item.clone()))?;
        return prepared(&list, wanted);
    }
    if let (DataType::Timestamp(from, _), DataType::Timestamp(to, zone)) =
        (array.data_type(), wanted)
    {
        let naive = reinterpreted(array, &DataType::Timestamp(*from, None))?;
        let naive = cast(&naive, &DataType::Timestamp(*to, None))?;
        return reinterpreted(&naive, &DataType::Timestamp(*to, zone.clone()));
    }
    Ok(cast(array, wanted)?)
}

/// An array as Polars gave it with the type that the column has outside.
fn restored(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    match (array.data_type(), wanted) {
        (DataType::LargeList(_), DataType::Map(entries, sorted)) => {
            let list = array.as_list::<i64>();
            let values = restored(list.values(), entries.data_type())?;
            let values = values
                .as_struct_opt()
                .cloned()
                .ok_or_else(|| misfit(array.data_type(), wanted))?;
            Ok(Arc::new(MapArray::try_new(
                entries.clone(),
                narrow(list.offsets())?,
                values,
                list.nulls().cloned(),
                *sorted,
            )?))
        }
        (DataType::LargeList(_), DataType::List(item)) => {
            let list = array.as_list::<i64>();
            Ok(Arc::new(arrow::array::ListArray::try_new(
                item.clone(),
                narrow(list.offsets())?,
                restored(list.values(), item.data_type())?,
                list.nulls().cloned(),
            )?))
        }
        (DataType::LargeList(_), DataType::LargeList(item)) => {
            let list = array.as_list::<i64>();
            Ok(Arc::new(LargeListArray::try_new(
                item.clone(),
                list.offsets().clone(),
                restored(list.values(), item.data_type())?,
                list.nulls().cloned(),
            )?))
        }
        (DataType::LargeList(_), DataType::FixedSizeList(item, _)) => {
            let list = restored(array, &DataType::LargeList(item.clone()))?;
            Ok(cast(&list, wanted)?)
        }
        (DataType::Struct(_), DataType::Struct(members)) => {
            let rows = array.as_struct();
            let columns = members.iter().map(|member| {
                let column = rows.column_by_name(member.name());
                let column = column.ok_or_else(|| misfit(array.data_type(), wanted))?;
                restored(column, member.data_type())
            });
            Ok(Arc::new(StructArray::try_new_with_length(
                members.clone(),
                columns.collect::<Result<_>>()?,
                rows.nulls().cloned(),
                rows.len(),
            )?))
        }
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => {
            let naive = reinterpreted(array, &DataType::Timestamp(*from, None))?;
            let naive = cast(&naive, &DataType::Timestamp(*to, None))?;
            reinterpreted(&naive, wanted)
        }
        (DataType::BinaryView, DataType::FixedSizeBinary(_)) => {
            Ok(cast(&cast(array, &DataType::Binary)?, wanted)?)
        }
        (DataType::Timestamp(TimeUnit::Millisecond, _), DataType::Date64) => {
            reinterpreted(array, wanted)
        }
        _ => Ok(cast(array, wanted)?),
    }
}

/// The same numbers, called another time.
fn reinterpreted(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let data = array.to_data().into_builder().data_type(data_type.clone());
    Ok(make_array(data.build()?))
}

fn wide(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i64> {
    OffsetBuffer::new(offsets.iter().map(|offset| i64::from(*offset)).collect())
}

fn narrow(offsets: &OffsetBuffer<i64>) -> Result<OffsetBuffer<i32>> {
    let narrow = offsets.iter().map(|offset| i32::try_from(*offset).ok());
    let narrow = narrow.collect::<Option<Vec<_>>>().ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the lists of one batch have more than 2^31 items",
        )
        .with_hint("read fewer rows at a time")
    })?;
    Ok(OffsetBuffer::new(narrow.into()))
}

fn misfit(is: &DataType, wanted: &DataType) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("Polars gave a column of type {is} that should be {wanted}"),
    )
}
