//! Columns built from values of a text, strictly: a value that its type does not hold exactly is refused with its place.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, FixedSizeListArray,
    GenericListArray, MapArray, NullArray, NullBufferBuilder, OffsetSizeTrait, PrimitiveBuilder,
    StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, FieldRef, Fields, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use metaxy_core::cast::cast_checked;
use metaxy_core::{Error, Result};

use crate::json::parse::{Members, Value, parse};
use crate::scalar::number;
use crate::scalar::read::{self as given, Fit, HINT_TYPE, inside, refuse};

/// A column that grows by values.
pub(crate) trait Column: Send {
    /// Adds a row without a value.
    fn null(&mut self);

    /// Adds a value, which is not null.
    fn value(&mut self, value: &Value<'_>) -> Fit;

    /// Adds the value that a cell of CSV spells.
    fn cell(&mut self, text: &str) -> Fit {
        self.value(&Value::String(text.into()))
    }

    /// What was added since the last time.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// Adds a value or null.
pub(crate) fn add(column: &mut dyn Column, value: &Value<'_>, nullable: bool) -> Fit {
    match value {
        Value::Null if nullable => {
            column.null();
            Ok(())
        }
        Value::Null => refuse("null, where a value is required", HINT_TYPE),
        value => column.value(value),
    }
}

type Boxed = Box<dyn Column>;

/// A column of a type.
///
/// # Errors
/// [`Unsupported`](metaxy_core::ErrorKind::Unsupported) if values of that type have no text.
pub(crate) fn column(data_type: &DataType) -> Result<Boxed> {
    use DataType as T;
    Ok(match data_type {
        T::Null => Box::new(Nulls(0)),
        T::Boolean => Box::new(Booleans(BooleanBuilder::new())),
        T::Int8 => whole::<Int8Type>(data_type),
        T::Int16 => whole::<Int16Type>(data_type),
        T::Int32 => whole::<Int32Type>(data_type),
        T::Int64 => whole::<Int64Type>(data_type),
        T::UInt8 => whole::<UInt8Type>(data_type),
        T::UInt16 => whole::<UInt16Type>(data_type),
        T::UInt32 => whole::<UInt32Type>(data_type),
        T::UInt64 => whole::<UInt64Type>(data_type),
        T::Float16 => number::<Float16Type>(data_type, |value, data_type| {
            type Half = <Float16Type as ArrowPrimitiveType>::Native;
            let exact: fn(&str) -> Option<Half> = |text| {
                let half = Half::from_f32(text.parse().ok()?);
                (half.is_finite() && number::same(text, &number::print32(half.to_f32())))
                    .then_some(half)
            };
            given::float(value, data_type, exact, Half::from_f64)
        }),
        T::Float32 => number::<Float32Type>(data_type, |value, data_type| {
            given::float(value, data_type, number::float32, |wide| wide as f32)
        }),
        T::Float64 => number::<Float64Type>(data_type, |value, data_type| {
            given::float(value, data_type, number::float64, |wide| wide)
        }),
        T::Decimal32(digits, scale) => decimal::<Decimal32Type>(data_type, *digits, *scale),
        T::Decimal64(digits, scale) => decimal::<Decimal64Type>(data_type, *digits, *scale),
        T::Decimal128(digits, scale) => decimal::<Decimal128Type>(data_type, *digits, *scale),
        T::Decimal256(digits, scale) => decimal::<Decimal256Type>(data_type, *digits, *scale),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => Box::new(Texts {
            builder: StringBuilder::new(),
            data_type: data_type.clone(),
            any: false,
        }),
        T::Binary | T::LargeBinary | T::BinaryView => Box::new(Bytes {
            builder: BinaryBuilder::new(),
            data_type: data_type.clone(),
        }),
        T::FixedSizeBinary(size) => Box::new(FixedBytes(FixedSizeBinaryBuilder::new(*size), *size)),
        T::Date32 => text::<Date32Type>(data_type, given::date32),
        T::Date64 => text::<Date64Type>(data_type, given::date64),
        T::Time32(TimeUnit::Second) => text::<Time32SecondType>(data_type, time_of_day_32),
        T::Time32(_) => text::<Time32MillisecondType>(data_type, time_of_day_32),
        T::Time64(TimeUnit::Microsecond) => {
            text::<Time64MicrosecondType>(data_type, given::time_of_day)
        }
        T::Time64(_) => text::<Time64NanosecondType>(data_type, given::time_of_day),
        T::Timestamp(TimeUnit::Second, _) => text::<TimestampSecondType>(data_type, given::stamp),
        T::Timestamp(TimeUnit::Millisecond, _) => {
            text::<TimestampMillisecondType>(data_type, given::stamp)
        }
        T::Timestamp(TimeUnit::Microsecond, _) => {
            text::<TimestampMicrosecondType>(data_type, given::stamp)
        }
        T::Timestamp(TimeUnit::Nanosecond, _) => {
            text::<TimestampNanosecondType>(data_type, given::stamp)
        }
        T::Duration(TimeUnit::Second) => text::<DurationSecondType>(data_type, given::duration),
        T::Duration(TimeUnit::Millisecond) => {
            text::<DurationMillisecondType>(data_type, given::duration)
        }
        T::Duration(TimeUnit::Microsecond) => {
            text::<DurationMicrosecondType>(data_type, given::duration)
        }
        T::Duration(TimeUnit::Nanosecond) => {
            text::<DurationNanosecondType>(data_type, given::duration)
        }
        T::Interval(IntervalUnit::YearMonth) => {
            text::<IntervalYearMonthType>(data_type, given::months)
        }
        T::Interval(IntervalUnit::DayTime) => {
            text::<IntervalDayTimeType>(data_type, given::day_time)
        }
        T::Interval(IntervalUnit::MonthDayNano) => {
            text::<IntervalMonthDayNanoType>(data_type, given::month_day_nano)
        }
        T::List(item)
        | T::LargeList(item)
        | T::ListView(item)
        | T::LargeListView(item)
        | T::FixedSizeList(item, _) => Box::new(Lists {
            items: column(item.data_type())?,
            lengths: vec![0],
            nulls: NullBufferBuilder::new(0),
            field: item.clone(),
            data_type: data_type.clone(),
        }),
        T::Struct(fields) => Box::new(Structs::new(fields)?),
        T::Map(entries, sorted) => match entries.data_type() {
            T::Struct(pair) if pair.len() == 2 => Box::new(Maps {
                keys: column(pair[0].data_type())?,
                values: column(pair[1].data_type())?,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                entries: entries.clone(),
                pair: pair.clone(),
                sorted: *sorted,
            }),
            _ => return Err(no_text(data_type)),
        },
        T::Dictionary(_, value) => Box::new(Dictionaries {
            values: column(value)?,
            data_type: data_type.clone(),
        }),
        _ => return Err(no_text(data_type)),
    })
}

/// A by-field column: a struct of text, whose members may be written as numbers and truth values too.
pub(crate) fn by_field(members: &Fields) -> Boxed {
    let columns = members.iter().map(|_| {
        let text: Boxed = Box::new(Texts {
            builder: StringBuilder::new(),
            data_type: DataType::Utf8,
            any: true,
        });
        text
    });
    Box::new(Structs {
        example: Some("write an object such as {\"audio\": \"8f3a\", \"frames\": \"11c0\"}"),
        ..Structs::of(columns.collect(), members)
    })
}

fn no_text(data_type: &DataType) -> Error {
    Error::new(
        metaxy_core::ErrorKind::Unsupported,
        format!("values of type {data_type} have no text"),
    )
    .with_hint("read the column from Parquet")
}

struct Nulls(usize);

impl Column for Nulls {
    fn null(&mut self) {
        self.0 += 1;
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        refuse(
            format!("{value} in a column that is null everywhere else"),
            "the file has changed while it was read: write it once more",
        )
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(NullArray::new(std::mem::take(&mut self.0))))
    }
}

struct Booleans(BooleanBuilder);

impl Column for Booleans {
    fn null(&mut self) {
        self.0.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        match value {
            Value::Bool(yes) => {
                self.0.append_value(*yes);
                Ok(())
            }
            other => given::no(other, &DataType::Boolean),
        }
    }

    fn cell(&mut self, text: &str) -> Fit {
        match given::boolean(text) {
            Some(yes) => self.value(&Value::Bool(yes)),
            None => given::no(&Value::String(text.into()), &DataType::Boolean),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// What a value is in a type.
type Read<N> = Box<dyn Fn(&Value<'_>, &DataType) -> Fit<N> + Send>;

/// Values of one width.
struct Scalars<T: ArrowPrimitiveType> {
    builder: PrimitiveBuilder<T>,
    data_type: DataType,
    read: Read<T::Native>,
    /// Whether they are numbers, which stand in cells as they do in JSON.
    numbers: bool,
}

impl<T: ArrowPrimitiveType> Column for Scalars<T> {
    fn null(&mut self) {
        self.builder.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        let value = (self.read)(value, &self.data_type)?;
        self.builder.append_value(value);
        Ok(())
    }

    fn cell(&mut self, text: &str) -> Fit {
        match self.numbers && number::special(text).is_none() {
            true => self.value(&Value::Number(text.into())),
            false => self.value(&Value::String(text.into())),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.builder.finish()))
    }
}

fn scalars<T: ArrowPrimitiveType>(
    data_type: &DataType,
    numbers: bool,
    read: impl Fn(&Value<'_>, &DataType) -> Fit<T::Native> + Send + 'static,
) -> Boxed {
    Box::new(Scalars::<T> {
        builder: PrimitiveBuilder::new().with_data_type(data_type.clone()),
        data_type: data_type.clone(),
        read: Box::new(read),
        numbers,
    })
}

fn whole<T: ArrowPrimitiveType<Native: TryFrom<i64> + TryFrom<i128>>>(
    data_type: &DataType,
) -> Boxed {
    scalars::<T>(data_type, true, given::whole)
}

fn number<T: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(&Value<'_>, &DataType) -> Fit<T::Native> + Send + 'static,
) -> Boxed {
    scalars::<T>(data_type, true, read)
}

fn decimal<T: ArrowPrimitiveType<Native: given::Unscaled>>(
    data_type: &DataType,
    digits: u8,
    scale: i8,
) -> Boxed {
    scalars::<T>(data_type, true, move |value, data_type| {
        given::decimal(value, data_type, digits, scale)
    })
}

fn text<T: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(&Value<'_>, &DataType) -> Fit<T::Native> + Send + 'static,
) -> Boxed {
    scalars::<T>(data_type, false, read)
}

/// No time of a day is beyond 32 bits.
fn time_of_day_32(value: &Value<'_>, data_type: &DataType) -> Fit<i32> {
    let count = given::time_of_day(value, data_type)?;
    i32::try_from(count).or_else(|_| given::no(value, data_type))
}

struct Texts {
    builder: StringBuilder,
    data_type: DataType,
    /// Whether numbers and truth values are text as well, as they are written.
    any: bool,
}

impl Column for Texts {
    fn null(&mut self) {
        self.builder.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        match value {
            Value::String(text) => {
                self.builder.append_value(text);
            }
            Value::Number(digits) if self.any => self.builder.append_value(digits),
            Value::Bool(yes) if self.any => {
                let word = if *yes { "true" } else { "false" };
                self.builder.append_value(word);
            }
            other if self.any => return refuse(format!("{other} is no text"), "write a text"),
            other => return given::no(other, &self.data_type),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let texts: ArrayRef = Arc::new(self.builder.finish());
        match &self.data_type {
            DataType::Utf8 => Ok(texts),
            other => Ok(cast(&texts, other)?),
        }
    }
}

struct Bytes {
    builder: BinaryBuilder,
    data_type: DataType,
}

impl Column for Bytes {
    fn null(&mut self) {
        self.builder.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        self.builder
            .append_value(given::bytes(value, &self.data_type)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let bytes: ArrayRef = Arc::new(self.builder.finish());
        match &self.data_type {
            DataType::Binary => Ok(bytes),
            other => Ok(cast(&bytes, other)?),
        }
    }
}

struct FixedBytes(FixedSizeBinaryBuilder, i32);

impl Column for FixedBytes {
    fn null(&mut self) {
        self.0.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        let data_type = DataType::FixedSizeBinary(self.1);
        let bytes = given::bytes(value, &data_type)?;
        match self.0.append_value(&bytes) {
            Ok(()) => Ok(()),
            Err(_) => given::no(value, &data_type),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

struct Lists {
    items: Boxed,
    /// Where each row's items end among all of them, behind a zero.
    lengths: Vec<usize>,
    nulls: NullBufferBuilder,
    field: FieldRef,
    data_type: DataType,
}

impl Lists {
    fn end(&self) -> usize {
        self.lengths.last().copied().unwrap_or_default()
    }

    fn list<O: OffsetSizeTrait>(
        &self,
        items: ArrayRef,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let offsets = self.lengths.iter().map(|end| O::from_usize(*end));
        let offsets: Option<Vec<O>> = offsets.collect();
        let offsets = offsets.ok_or_else(|| {
            Error::new(
                metaxy_core::ErrorKind::InvalidFrame,
                "the lists of one batch have too many items",
            )
        })?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let field = self.field.clone();
        Ok(Arc::new(GenericListArray::<O>::try_new(
            field, offsets, items, nulls,
        )?))
    }
}

impl Column for Lists {
    fn null(&mut self) {
        let mut end = self.end();
        if let DataType::FixedSizeList(_, size) = self.data_type {
            for _ in 0..size {
                self.items.null();
                end += 1;
            }
        }
        self.lengths.push(end);
        self.nulls.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        let Value::Array(values) = value else {
            return given::no(value, &self.data_type);
        };
        if let DataType::FixedSizeList(_, size) = self.data_type
            && usize::try_from(size) != Ok(values.len())
        {
            return refuse(
                format!("a list of {} items, where each has {size}", values.len()),
                HINT_TYPE,
            );
        }
        for (at, value) in values.iter().enumerate() {
            let fit = add(self.items.as_mut(), value, self.field.is_nullable());
            inside(fit, || format!("[{at}]"))?;
        }
        self.lengths.push(self.end() + values.len());
        self.nulls.append_non_null();
        Ok(())
    }

    fn cell(&mut self, text: &str) -> Fit {
        nested(self, text)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let items = self.items.finish()?;
        let nulls = self.nulls.finish();
        let array = match &self.data_type {
            DataType::LargeList(_) => self.list::<i64>(items, nulls)?,
            DataType::FixedSizeList(_, size) => {
                let rows = self.lengths.len() - 1;
                let field = self.field.clone();
                Arc::new(FixedSizeListArray::try_new_with_length(
                    field, *size, items, nulls, rows,
                )?)
            }
            DataType::List(_) => self.list::<i32>(items, nulls)?,
            view => cast(&self.list::<i32>(items, nulls)?, view)?,
        };
        self.lengths.truncate(1);
        Ok(array)
    }
}

/// Adds the JSON value of a cell.
fn nested(column: &mut dyn Column, text: &str) -> Fit {
    match parse(text) {
        Ok(Value::Null) => {
            column.null();
            Ok(())
        }
        Ok(value) => column.value(&value),
        Err(broken) => refuse(
            format!(
                "'{}' is no JSON value: {}",
                crate::json::parse::cut(text),
                broken.message
            ),
            broken.hint.unwrap_or("nested values are written as JSON"),
        ),
    }
}

/// Values with members.
pub(crate) struct Structs {
    columns: Vec<Boxed>,
    fields: Fields,
    /// Where each member stands, for values that have them in another order.
    positions: HashMap<String, usize>,
    nulls: NullBufferBuilder,
    /// The row for which each member was given last.
    given: Vec<u64>,
    rows: u64,
    /// How a value is written, for messages.
    example: Option<&'static str>,
}

impl Structs {
    pub(crate) fn new(fields: &Fields) -> Result<Self> {
        let columns = fields.iter().map(|field| column(field.data_type()));
        Ok(Self::of(columns.collect::<Result<_>>()?, fields))
    }

    /// With these columns.
    pub(crate) fn of(columns: Vec<Boxed>, fields: &Fields) -> Self {
        Self {
            columns,
            fields: fields.clone(),
            positions: fields
                .iter()
                .enumerate()
                .map(|(at, field)| (field.name().clone(), at))
                .collect(),
            nulls: NullBufferBuilder::new(0),
            given: vec![0; fields.len()],
            rows: 0,
            example: None,
        }
    }

    /// Adds the members of one value.
    pub(crate) fn members(&mut self, members: &Members<'_>) -> Fit {
        self.rows += 1;
        for (i, (name, value)) in members.iter().enumerate() {
            // Most values have their members in one order.
            let at = match self.fields.get(i) {
                Some(field) if field.name() == name => Some(i),
                _ => self.positions.get(name.as_ref()).copied(),
            };
            let Some(at) = at else {
                let fit = refuse(
                    "the column has no such member",
                    "the file has changed while it was read: write it once more",
                );
                return inside(fit, || name.clone().into_owned());
            };
            let nullable = self.fields[at].is_nullable();
            let fit = add(self.columns[at].as_mut(), value, nullable);
            inside(fit, || name.clone().into_owned())?;
            self.given[at] = self.rows;
        }
        if members.len() < self.fields.len() {
            for (at, column) in self.columns.iter_mut().enumerate() {
                if self.given[at] == self.rows {
                    continue;
                }
                let field = &self.fields[at];
                if !field.is_nullable() {
                    let fit = refuse("missing, where a value is required", HINT_TYPE);
                    return inside(fit, || field.name().clone());
                }
                column.null();
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// The columns of what was added since the last time, and how many rows those are.
    pub(crate) fn take(&mut self) -> Result<(Vec<ArrayRef>, usize, Option<NullBuffer>)> {
        let rows = self.nulls.len();
        let columns = self.columns.iter_mut().map(|column| column.finish());
        Ok((columns.collect::<Result<_>>()?, rows, self.nulls.finish()))
    }
}

impl Column for Structs {
    fn null(&mut self) {
        self.columns.iter_mut().for_each(|column| column.null());
        self.nulls.append_null();
        self.rows += 1;
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        match (value, self.example) {
            (Value::Object(members), _) => self.members(members),
            (other, Some(example)) => {
                refuse(format!("{other} is no object of field to text"), example)
            }
            (other, None) => given::no(other, &DataType::Struct(self.fields.clone())),
        }
    }

    fn cell(&mut self, text: &str) -> Fit {
        nested(self, text)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (columns, rows, nulls) = self.take()?;
        // A null struct may have null members that no other may have.
        let fields: Fields = self.fields.clone();
        Ok(Arc::new(StructArray::try_new_with_length(
            fields, columns, nulls, rows,
        )?))
    }
}

struct Maps {
    keys: Boxed,
    values: Boxed,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    entries: FieldRef,
    pair: Fields,
    sorted: bool,
}

impl Maps {
    fn entry(&mut self, key: &Value<'_>, value: &Value<'_>) -> Fit {
        let step = || match key {
            Value::String(key) => key.clone().into_owned(),
            key => key.to_string(),
        };
        inside(add(self.keys.as_mut(), key, false), step)?;
        inside(
            add(self.values.as_mut(), value, self.pair[1].is_nullable()),
            step,
        )
    }

    fn end(&mut self, entries: usize) -> Fit {
        let end = self.offsets.last().copied().unwrap_or_default();
        let end = i32::try_from(entries)
            .ok()
            .and_then(|entries| end.checked_add(entries));
        let Some(end) = end else {
            return refuse(
                "the maps of one batch have too many entries",
                "write smaller maps",
            );
        };
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(())
    }
}

impl Column for Maps {
    fn null(&mut self) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end);
        self.nulls.append_null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    self.entry(&Value::String(key.as_ref().into()), value)?;
                }
                self.end(members.len())
            }
            // As maps are written whose keys are no text.
            Value::Array(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    let pair = match entry {
                        Value::Object(members) => match members.as_slice() {
                            [(key, k), (value, v)] if key == "key" && value == "value" => {
                                Some((k, v))
                            }
                            [(value, v), (key, k)] if key == "key" && value == "value" => {
                                Some((k, v))
                            }
                            _ => None,
                        },
                        _ => None,
                    };
                    let fit = match pair {
                        Some((key, value)) => self.entry(key, value),
                        None => refuse(
                            "no entry of a map",
                            "write entries as {\"key\": …, \"value\": …}",
                        ),
                    };
                    inside(fit, || format!("[{at}]"))?;
                }
                self.end(entries.len())
            }
            other => refuse(
                format!("{other} is no map"),
                "write a map as an object, or as a list of {\"key\": …, \"value\": …}",
            ),
        }
    }

    fn cell(&mut self, text: &str) -> Fit {
        nested(self, text)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let columns = vec![self.keys.finish()?, self.values.finish()?];
        let entries = StructArray::try_new(self.pair.clone(), columns, None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets.clone()));
        self.offsets.truncate(1);
        let field = self.entries.clone();
        let map = MapArray::try_new(field, offsets, entries, self.nulls.finish(), self.sorted)?;
        Ok(Arc::new(map))
    }
}

struct Dictionaries {
    values: Boxed,
    data_type: DataType,
}

impl Column for Dictionaries {
    fn null(&mut self) {
        self.values.null();
    }

    fn value(&mut self, value: &Value<'_>) -> Fit {
        self.values.value(value)
    }

    fn cell(&mut self, text: &str) -> Fit {
        self.values.cell(text)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(cast_checked(&self.values.finish()?, &self.data_type)?)
    }
}
