//! Columns from Arrow to Polars and back, through the Arrow C Data Interface: the receiver keeps the sender's buffers alive.

#![allow(unsafe_code)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, LargeListArray, MapArray, RecordBatch,
    StringArray, StringViewArray, StructArray, UInt64Array, make_array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow::row::{RowConverter, SortField};
use metaxy_core::cast::cast_checked;
use metaxy_core::{Error, ErrorKind, Result};
use polars::prelude as pl;
use polars::prelude::{Column, CompatLevel, DataFrame, PlSmallStr, Series};
use polars_arrow::ffi as theirs;

use crate::error::failed;
use crate::types::{crossing, is_carried};

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

/// The type that a column of `data_type` has in Polars.
pub(crate) fn type_of(data_type: &DataType) -> Result<pl::DataType> {
    let schema = Schema::new(vec![Field::new("x", data_type.clone(), true)]);
    Ok(to_polars(&schema, &[])?.columns()[0].dtype().clone())
}

/// An array as a column of this name.
pub(crate) fn column_of(name: &str, array: &ArrayRef) -> Result<Column> {
    let array = cross(&prepared(array, &crossing(array.data_type())?)?)?;
    let series = Series::from_arrow_chunks(PlSmallStr::from_str(name), vec![array]);
    series.map(Column::from).map_err(failed)
}

/// A column as an array of type `wanted`.
pub(crate) fn array_of(column: &Column, wanted: &DataType) -> Result<ArrayRef> {
    restored(&raw(column)?, wanted)
}

/// A column as an array of the type that Polars gives it.
pub(crate) fn raw(column: &Column) -> Result<ArrayRef> {
    let series = column.as_materialized_series().rechunk();
    if let Some(known) = with_known(series.dtype()) {
        let crosses = series.cast(&known).map_err(failed)?;
        return with_nulls(exported(&crosses)?, series.dtype());
    }
    exported(&series)
}

/// The type with truth values in the place of values that have no type, which do not cross; `None` if it has none of them.
fn with_known(data_type: &pl::DataType) -> Option<pl::DataType> {
    match data_type {
        pl::DataType::Null => Some(pl::DataType::Boolean),
        pl::DataType::List(item) => Some(pl::DataType::List(Box::new(with_known(item)?))),
        pl::DataType::Struct(members) => {
            let known: Vec<_> = members.iter().map(|m| with_known(m.dtype())).collect();
            known.iter().any(Option::is_some).then(|| {
                let members = members.iter().zip(known).map(|(member, known)| {
                    let data_type = known.unwrap_or_else(|| member.dtype().clone());
                    pl::Field::new(member.name().clone(), data_type)
                });
                pl::DataType::Struct(members.collect())
            })
        }
        _ => None,
    }
}

/// The array with values of no type again where `data_type` has them.
fn with_nulls(array: ArrayRef, data_type: &pl::DataType) -> Result<ArrayRef> {
    let nulls = array.nulls().cloned();
    Ok(match data_type {
        pl::DataType::Null => new_null_array(&DataType::Null, array.len()),
        pl::DataType::List(item) => {
            let Some(list) = array.as_list_opt::<i64>() else {
                return Ok(array);
            };
            let values = with_nulls(list.values().clone(), item)?;
            let item = Arc::new(Field::new("item", values.data_type().clone(), true));
            let offsets = list.offsets().clone();
            Arc::new(LargeListArray::try_new(item, offsets, values, nulls)?)
        }
        pl::DataType::Struct(members) => {
            let Some(rows) = array.as_struct_opt() else {
                return Ok(array);
            };
            let columns = rows.columns().iter().zip(members);
            let columns =
                columns.map(|(column, member)| with_nulls(column.clone(), member.dtype()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let fields = members.iter().zip(&columns);
            let fields = fields
                .map(|(m, column)| Field::new(m.name().as_str(), column.data_type().clone(), true));
            let (fields, rows) = (fields.collect(), rows.len());
            let structs = StructArray::try_new_with_length(fields, columns, nulls, rows)?;
            Arc::new(structs)
        }
        _ => array,
    })
}

fn exported(series: &Series) -> Result<ArrayRef> {
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
    if is_carried(array.data_type()) {
        return carried(array);
    }
    if let (Some(rows), DataType::Boolean) = (array.as_struct_opt(), wanted) {
        let values = BooleanBuffer::new_set(rows.len());
        return Ok(Arc::new(BooleanArray::new(values, rows.nulls().cloned())));
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
    cast(array, wanted)
}

/// An array as Polars gave it with the type that the column has outside.
fn restored(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    if is_carried(wanted) {
        return brought(array, wanted);
    }
    match (array.data_type(), wanted) {
        (_, DataType::Null) => Ok(new_null_array(&DataType::Null, array.len())),
        (DataType::Utf8View, DataType::Utf8) => match texts(array.as_string_view())? {
            Some(texts) => Ok(Arc::new(texts)),
            None => cast(array, wanted),
        },
        (DataType::Boolean, DataType::Struct(members)) if members.is_empty() => {
            let nulls = array.nulls().cloned();
            Ok(Arc::new(StructArray::new_empty_fields(array.len(), nulls)))
        }
        (DataType::LargeList(_), DataType::Map(entries, sorted)) => {
            // Polars has entries for rows without a map as well, which then have no key.
            let every: UInt64Array = (0..array.len() as u64).collect();
            let array = take(array, &every, None)?;
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
            cast(&list, wanted)
        }
        (DataType::Struct(_), DataType::Struct(members)) => {
            let rows = array.as_struct();
            let columns = members.iter().map(|member| {
                let column = rows.column_by_name(member.name());
                let column = column.ok_or_else(|| misfit(array.data_type(), wanted))?;
                restored(&within(column, rows.nulls())?, member.data_type())
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
            cast(&cast(array, &DataType::Binary)?, wanted)
        }
        (DataType::Timestamp(TimeUnit::Millisecond, _), DataType::Date64) => {
            reinterpreted(array, wanted)
        }
        _ => cast(array, wanted),
    }
}

/// Lists of structs without a value: they have none either, whatever Polars has there.
fn within(column: &ArrayRef, structs: Option<&NullBuffer>) -> Result<ArrayRef> {
    let (Some(structs), Some(lists)) = (structs, column.as_list_opt::<i64>()) else {
        return Ok(column.clone());
    };
    let (item, offsets, values, nulls) = lists.clone().into_parts();
    let nulls = NullBuffer::union(Some(structs), nulls.as_ref());
    Ok(Arc::new(LargeListArray::try_new(
        item, offsets, values, nulls,
    )?))
}

/// The same texts one after the other; `None` if they are too long for one array. Most are short, and to copy the whole room of a short
/// one takes less time than to copy a part of any length.
fn texts(views: &StringViewArray) -> Result<Option<StringArray>> {
    const ROOM: usize = 12;
    let length = |view: &u128| *view as u32 as usize;
    let total: usize = views.views().iter().map(length).sum();
    if i32::try_from(total).is_err() {
        return Ok(None);
    }
    let mut bytes = vec![0; total + ROOM];
    let mut offsets = Vec::with_capacity(views.len() + 1);
    let mut end = 0;
    offsets.push(0);
    for (row, view) in views.views().iter().enumerate() {
        if views.is_valid(row) {
            let (length, start) = (length(view), end);
            match length <= ROOM {
                true => bytes[start..start + ROOM].copy_from_slice(&view.to_le_bytes()[4..]),
                false => {
                    bytes[start..start + length].copy_from_slice(views.value(row).as_bytes());
                }
            }
            end += length;
        }
        offsets.push(end as i32);
    }
    bytes.truncate(end);
    let texts = StringArray::try_new(
        OffsetBuffer::new(offsets.into()),
        Buffer::from_vec(bytes),
        views.nulls().cloned(),
    );
    Ok(Some(texts?))
}

/// Values of a type that Polars has nothing like, as the bytes of Arrow's rows.
fn carried(array: &ArrayRef) -> Result<ArrayRef> {
    let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(array))?;
    // The value of a union that is null still says which of its types it has.
    let nulls = match array.data_type() {
        DataType::Union(..) => None,
        _ => array.logical_nulls(),
    };
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let rows = rows.iter().enumerate();
    let bytes = rows.map(|(at, row)| (!is_null(at)).then_some(row));
    Ok(Arc::new(bytes.collect::<BinaryViewArray>()))
}

/// Values that were [carried] through Polars.
fn brought(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let bytes = array.as_binary_view_opt();
    let bytes = bytes.ok_or_else(|| misfit(array.data_type(), wanted))?;
    let converter = RowConverter::new(vec![SortField::new(wanted.clone())])?;
    let null = converter.convert_columns(&[new_null_array(wanted, 1)])?;
    let parser = converter.parser();
    let rows = bytes.iter().map(|bytes| match bytes {
        Some(bytes) => parser.parse(bytes),
        None => null.row(0),
    });
    let mut columns = converter.convert_rows(rows)?;
    let back = columns.pop().filter(|back| back.data_type() == wanted);
    back.ok_or_else(|| misfit(array.data_type(), wanted))
}

/// A cast in which no value becomes null because it does not fit.
pub(crate) fn cast(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    cast_checked(array, wanted).map_err(|e| {
        let is = array.data_type();
        Error::new(
            ErrorKind::Unsupported,
            format!("a value of type {is} cannot pass through Polars, where it would be {wanted}"),
        )
        .with_hint("leave the column out of what is read, or correct the value")
        .with_source(e)
    })
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

#[cfg(test)]
mod tests {
    use arrow::array::*;
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::{IntervalMonthDayNano, UnionFields, i256};
    use polars::prelude::NamedFrom;

    use super::*;

    fn round(array: &ArrayRef) -> ArrayRef {
        let column = column_of("x", array).unwrap();
        array_of(&column, array.data_type()).unwrap()
    }

    fn survives(array: ArrayRef) {
        assert_eq!(&round(&array), &array, "{}", array.data_type());
        let field = Arc::new(Field::new("item", array.data_type().clone(), true));
        let rows = array.len();
        let offsets = OffsetBuffer::from_lengths([rows - 1, 0, 1]);
        let nulls = Some(vec![true, false, true].into());
        let list = ListArray::try_new(field.clone(), offsets, array.clone(), nulls).unwrap();
        let list: ArrayRef = Arc::new(list);
        assert_eq!(&round(&list), &list);
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(field, array)]));
        assert_eq!(&round(&nested), &nested);
    }

    fn huge(values: Vec<Option<i256>>) -> ArrayRef {
        let huge = Decimal256Array::from(values).with_precision_and_scale(60, 5);
        Arc::new(huge.unwrap())
    }

    #[test]
    fn types_that_polars_lacks_survive() {
        survives(huge(vec![Some(i256::MINUS_ONE), None, Some(i256::ONE)]));
        let tens = Decimal128Array::from(vec![Some(7), None, Some(-7)]);
        survives(Arc::new(tens.with_precision_and_scale(9, -2).unwrap()));
        let seconds = vec![Some(i64::MAX), None, Some(-1)];
        survives(Arc::new(DurationSecondArray::from(seconds)));
        survives(Arc::new(IntervalYearMonthArray::from(vec![
            Some(-1),
            None,
            Some(5),
        ])));
        survives(Arc::new(IntervalMonthDayNanoArray::from(vec![
            Some(IntervalMonthDayNano::new(1, -2, i64::MIN)),
            None,
            Some(IntervalMonthDayNano::new(0, 0, 3)),
        ])));
        let valid = vec![true, false, true].into();
        survives(Arc::new(StructArray::new_empty_fields(3, Some(valid))));
        survives(Arc::new(NullArray::new(3)));
        let fields = [
            Field::new("number", DataType::Int32, true),
            Field::new("word", DataType::Utf8, true),
        ];
        let union = UnionArray::try_new(
            UnionFields::try_new([0, 1], fields).unwrap(),
            ScalarBuffer::from(vec![1_i8, 0, 1]),
            Some(ScalarBuffer::from(vec![0, 0, 1])),
            vec![
                Arc::new(Int32Array::from(vec![7])),
                Arc::new(StringArray::from(vec![Some("x"), None])),
            ],
        );
        survives(Arc::new(union.unwrap()));
    }

    #[test]
    fn what_polars_has_no_type_for_yet_has_none_outside() {
        let lists = Series::new("x".into(), [Series::new_null("".into(), 2)]);
        let outside = raw(&Column::from(lists)).unwrap();
        assert_eq!(
            outside.as_list::<i64>().values().data_type(),
            &DataType::Null
        );
        assert_eq!(outside.as_list::<i64>().value_length(0), 2);
        let nothing = raw(&Column::from(Series::new_null("x".into(), 2))).unwrap();
        assert_eq!(nothing.data_type(), &DataType::Null);
    }

    #[test]
    fn what_is_carried_keeps_its_order() {
        let most = i256::from_i128(i128::MAX);
        let values = [most.wrapping_neg(), i256::MINUS_ONE, i256::ZERO, most];
        let bytes = carried(&huge(values.map(Some).to_vec())).unwrap();
        let bytes = bytes.as_binary_view();
        assert!(bytes.iter().is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_value_that_does_not_fit_is_no_null() {
        let long: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        let error = column_of("x", &long).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
