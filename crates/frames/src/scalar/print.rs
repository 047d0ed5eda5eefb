//! Single values of a column as text.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::{number, time};

/// What a text is, where text and numbers are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number or truth value.
    Bare,
    /// A float, which may be no finite number.
    Float,
    /// A text that needs no escapes.
    Plain,
    /// Any text.
    Text,
}

/// Appends the text of a row's value, which is not null; `None` if the value is none of its type.
type Print<'a> = Box<dyn Fn(usize, &mut String) -> Option<()> + 'a>;

/// How the values of a column are printed.
pub(crate) struct Printer<'a> {
    pub(crate) kind: Kind,
    pub(crate) print: Print<'a>,
}

impl<'a> Printer<'a> {
    /// The printer of a column; `None` if its type is nested, a dictionary, or none that is kept.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Self> {
        use DataType as T;
        let (kind, print): (Kind, Print<'a>) = match array.data_type() {
            T::Boolean => {
                let array = array.as_boolean();
                let print = move |row, out: &mut String| {
                    out.push_str(if array.value(row) { "true" } else { "false" });
                    Some(())
                };
                (Kind::Bare, Box::new(print))
            }
            T::Int8 => whole::<Int8Type>(array),
            T::Int16 => whole::<Int16Type>(array),
            T::Int32 => whole::<Int32Type>(array),
            T::Int64 => whole::<Int64Type>(array),
            T::UInt8 => whole::<UInt8Type>(array),
            T::UInt16 => whole::<UInt16Type>(array),
            T::UInt32 => whole::<UInt32Type>(array),
            T::UInt64 => whole::<UInt64Type>(array),
            T::Float16 => float::<Float16Type>(array, |value| number::print32(value.to_f32())),
            T::Float32 => float::<Float32Type>(array, number::print32),
            T::Float64 => float::<Float64Type>(array, number::print64),
            T::Decimal32(_, scale) => decimal::<Decimal32Type>(array, *scale),
            T::Decimal64(_, scale) => decimal::<Decimal64Type>(array, *scale),
            T::Decimal128(_, scale) => decimal::<Decimal128Type>(array, *scale),
            T::Decimal256(_, scale) => decimal::<Decimal256Type>(array, *scale),
            T::Utf8 => {
                let array = array.as_string::<i32>();
                (Kind::Text, text(move |row| array.value(row)))
            }
            T::LargeUtf8 => {
                let array = array.as_string::<i64>();
                (Kind::Text, text(move |row| array.value(row)))
            }
            T::Utf8View => {
                let array = array.as_string_view();
                (Kind::Text, text(move |row| array.value(row)))
            }
            T::Binary => {
                let array = array.as_binary::<i32>();
                (Kind::Plain, hex(move |row| array.value(row)))
            }
            T::LargeBinary => {
                let array = array.as_binary::<i64>();
                (Kind::Plain, hex(move |row| array.value(row)))
            }
            T::BinaryView => {
                let array = array.as_binary_view();
                (Kind::Plain, hex(move |row| array.value(row)))
            }
            T::FixedSizeBinary(_) => {
                let array = array.as_fixed_size_binary();
                (Kind::Plain, hex(move |row| array.value(row)))
            }
            T::Date32 => plain::<Date32Type>(array, |days, out| {
                time::push_date(out, i64::from(days));
                Some(())
            }),
            T::Date64 => plain::<Date64Type>(array, |millis, out| {
                match millis % 86_400_000 {
                    0 => time::push_date(out, millis / 86_400_000),
                    _ => time::push_stamp(out, millis, TimeUnit::Millisecond),
                }
                Some(())
            }),
            T::Time32(TimeUnit::Second) => plain::<Time32SecondType>(array, |count, out| {
                time::push_time_of_day(out, i64::from(count), TimeUnit::Second)
            }),
            T::Time32(_) => plain::<Time32MillisecondType>(array, |count, out| {
                time::push_time_of_day(out, i64::from(count), TimeUnit::Millisecond)
            }),
            T::Time64(TimeUnit::Microsecond) => {
                plain::<Time64MicrosecondType>(array, |count, out| {
                    time::push_time_of_day(out, count, TimeUnit::Microsecond)
                })
            }
            T::Time64(_) => plain::<Time64NanosecondType>(array, |count, out| {
                time::push_time_of_day(out, count, TimeUnit::Nanosecond)
            }),
            T::Timestamp(TimeUnit::Second, _) => {
                stamp::<TimestampSecondType>(array, TimeUnit::Second)
            }
            T::Timestamp(TimeUnit::Millisecond, _) => {
                stamp::<TimestampMillisecondType>(array, TimeUnit::Millisecond)
            }
            T::Timestamp(TimeUnit::Microsecond, _) => {
                stamp::<TimestampMicrosecondType>(array, TimeUnit::Microsecond)
            }
            T::Timestamp(TimeUnit::Nanosecond, _) => {
                stamp::<TimestampNanosecondType>(array, TimeUnit::Nanosecond)
            }
            T::Duration(TimeUnit::Second) => {
                duration::<DurationSecondType>(array, TimeUnit::Second)
            }
            T::Duration(TimeUnit::Millisecond) => {
                duration::<DurationMillisecondType>(array, TimeUnit::Millisecond)
            }
            T::Duration(TimeUnit::Microsecond) => {
                duration::<DurationMicrosecondType>(array, TimeUnit::Microsecond)
            }
            T::Duration(TimeUnit::Nanosecond) => {
                duration::<DurationNanosecondType>(array, TimeUnit::Nanosecond)
            }
            T::Interval(IntervalUnit::YearMonth) => {
                plain::<IntervalYearMonthType>(array, |months, out| {
                    time::push_interval(out, months, 0, 0);
                    Some(())
                })
            }
            T::Interval(IntervalUnit::DayTime) => {
                plain::<IntervalDayTimeType>(array, |interval, out| {
                    let nanoseconds = i64::from(interval.milliseconds) * 1_000_000;
                    time::push_interval(out, 0, interval.days, nanoseconds);
                    Some(())
                })
            }
            T::Interval(IntervalUnit::MonthDayNano) => {
                plain::<IntervalMonthDayNanoType>(array, |interval, out| {
                    time::push_interval(out, interval.months, interval.days, interval.nanoseconds);
                    Some(())
                })
            }
            _ => return None,
        };
        Some(Self { kind, print })
    }
}

fn whole<T: ArrowPrimitiveType<Native: std::fmt::Display>>(array: &dyn Array) -> (Kind, Print<'_>) {
    let array = array.as_primitive::<T>();
    let print = move |row, out: &mut String| write!(out, "{}", array.value(row)).ok();
    (Kind::Bare, Box::new(print))
}

fn float<T: ArrowPrimitiveType>(
    array: &dyn Array,
    print: fn(T::Native) -> String,
) -> (Kind, Print<'_>) {
    let array = array.as_primitive::<T>();
    let print = move |row, out: &mut String| {
        out.push_str(&print(array.value(row)));
        Some(())
    };
    (Kind::Float, Box::new(print))
}

fn decimal<T: ArrowPrimitiveType<Native: std::fmt::Display>>(
    array: &dyn Array,
    scale: i8,
) -> (Kind, Print<'_>) {
    let array = array.as_primitive::<T>();
    let print = move |row, out: &mut String| {
        let unscaled = array.value(row).to_string();
        out.push_str(&number::print_decimal(&unscaled, scale));
        Some(())
    };
    (Kind::Bare, Box::new(print))
}

fn plain<T: ArrowPrimitiveType>(
    array: &dyn Array,
    print: fn(T::Native, &mut String) -> Option<()>,
) -> (Kind, Print<'_>) {
    let array = array.as_primitive::<T>();
    let print = move |row, out: &mut String| print(array.value(row), out);
    (Kind::Plain, Box::new(print))
}

fn stamp<T: ArrowPrimitiveType<Native = i64>>(
    array: &dyn Array,
    unit: TimeUnit,
) -> (Kind, Print<'_>) {
    let array = array.as_primitive::<T>();
    let print = move |row, out: &mut String| {
        time::push_stamp(out, array.value(row), unit);
        Some(())
    };
    (Kind::Plain, Box::new(print))
}

fn duration<T: ArrowPrimitiveType<Native = i64>>(
    array: &dyn Array,
    unit: TimeUnit,
) -> (Kind, Print<'_>) {
    let array = array.as_primitive::<T>();
    let print = move |row, out: &mut String| {
        time::push_duration(out, array.value(row), unit);
        Some(())
    };
    (Kind::Plain, Box::new(print))
}

fn text<'a>(value: impl Fn(usize) -> &'a str + 'a) -> Print<'a> {
    Box::new(move |row, out| {
        out.push_str(value(row));
        Some(())
    })
}

fn hex<'a>(value: impl Fn(usize) -> &'a [u8] + 'a) -> Print<'a> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    Box::new(move |row, out| {
        for byte in value(row) {
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        Some(())
    })
}
