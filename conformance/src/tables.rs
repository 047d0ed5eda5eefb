//! Tables of random types and values, from one number each: for laws of whatever takes any table, such as a store or a file format.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::error::ArrowError;

/// Numbers from one seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// A whole number, often one at an edge.
    fn whole(&mut self) -> i64 {
        match self.below(4) {
            0 => self.one(&[
                0,
                1,
                -1,
                i64::MAX,
                i64::MIN,
                1 << 53,
                (1 << 53) + 1,
                i64::from(i32::MAX),
                255,
                -128,
            ]),
            1 => self.below(100) as i64,
            _ => self.next() as i64,
        }
    }

    /// A count of days or of parts of them, of which a year has so many: seldom one that is in no calendar.
    fn moment(&mut self, per_year: i64) -> i64 {
        let whole = self.whole();
        match self.below(16) {
            0 => whole,
            1 => whole % 8_000_i64.saturating_mul(per_year).max(1),
            _ => whole % 200_i64.saturating_mul(per_year).max(1),
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(3) {
            0 => self.one(&[
                0.0,
                -0.0,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN,
                f64::MAX,
                f64::MIN_POSITIVE,
                5e-324,
                0.1,
                1e16,
                1e21,
                1e-7,
            ]),
            1 => self.below(10_000) as f64 / 100.0,
            _ => {
                let float = f64::from_bits(self.next());
                if float.is_nan() { f64::NAN } else { float }
            }
        }
    }

    fn text(&mut self) -> String {
        match self.below(3) {
            0 => self
                .one(&[
                    "",
                    " ",
                    "null",
                    "true",
                    "007",
                    "1.10",
                    "NaN",
                    "a,b",
                    "\"",
                    "\"\"",
                    "a\"b",
                    "x\ny",
                    "\r\n",
                    "\t",
                    "ä😀",
                    "\u{0}",
                    "\\",
                    "{}",
                    "[",
                    "-",
                    "\u{feff}x",
                    "'",
                    ";",
                ])
                .to_owned(),
            _ => {
                let length = self.below(6);
                (0..length)
                    .map(|_| self.one(&['a', 'Z', '0', ',', '"', '\n', '\\', 'é', ' ', '\u{1}']))
                    .collect()
            }
        }
    }

    fn scalar(&mut self) -> DataType {
        let unit = self.one(&[
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ]);
        let zone = self.one(&[
            None,
            Some("UTC".into()),
            Some("Europe/Berlin".into()),
            Some("+02:00".into()),
        ]);
        let scale = self.below(6) as i8;
        match self.below(34) {
            0 => DataType::Boolean,
            1 => DataType::Int8,
            2 => DataType::Int16,
            3 => DataType::Int32,
            4 => DataType::Int64,
            5 => DataType::UInt8,
            6 => DataType::UInt16,
            7 => DataType::UInt32,
            8 => DataType::UInt64,
            9 => DataType::Float16,
            10 => DataType::Float32,
            11 | 12 => DataType::Float64,
            13 | 14 => DataType::Utf8,
            15 => DataType::LargeUtf8,
            16 => DataType::Utf8View,
            17 => DataType::Binary,
            18 => DataType::LargeBinary,
            19 => DataType::BinaryView,
            20 => DataType::FixedSizeBinary(3),
            21 => DataType::Decimal32(9, scale),
            22 => DataType::Decimal64(18, scale),
            23 => DataType::Decimal128(38, scale),
            24 => DataType::Decimal256(76, scale),
            25 => DataType::Date32,
            26 => DataType::Date64,
            27 => DataType::Time32(TimeUnit::Second),
            28 => DataType::Time32(TimeUnit::Millisecond),
            29 => DataType::Time64(TimeUnit::Microsecond),
            30 => DataType::Time64(TimeUnit::Nanosecond),
            31 => DataType::Timestamp(unit, zone),
            32 => DataType::Duration(unit),
            _ => DataType::Interval(self.one(&[
                IntervalUnit::YearMonth,
                IntervalUnit::DayTime,
                IntervalUnit::MonthDayNano,
            ])),
        }
    }

    fn data_type(&mut self, depth: usize) -> DataType {
        if depth == 0 || self.below(3) == 0 {
            return match self.below(8) {
                0 => DataType::Dictionary(
                    Box::new(DataType::Int32),
                    Box::new(self.one(&[DataType::Utf8, DataType::Int64])),
                ),
                _ => self.scalar(),
            };
        }
        let item =
            |dice: &mut Self| Arc::new(Field::new_list_field(dice.data_type(depth - 1), true));
        match self.below(6) {
            0 => DataType::LargeList(item(self)),
            1 => DataType::FixedSizeList(item(self), 2),
            2 | 3 => {
                let members = 1 + self.below(3);
                DataType::Struct(
                    (0..members)
                        .map(|i| Field::new(format!("m{i}"), self.data_type(depth - 1), true))
                        .collect(),
                )
            }
            4 => {
                let key = self.one(&[DataType::Utf8, DataType::Int32]);
                let pair = vec![
                    Field::new("keys", key, false),
                    Field::new("values", self.data_type(depth - 1), true),
                ];
                DataType::Map(
                    Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)),
                    false,
                )
            }
            _ => DataType::List(item(self)),
        }
    }

    fn nulls(&mut self, rows: usize) -> Option<NullBuffer> {
        match self.below(3) {
            0 => None,
            _ => Some(NullBuffer::from_iter((0..rows).map(|_| self.below(4) != 0))),
        }
    }

    fn lengths(&mut self, nulls: Option<&NullBuffer>, rows: usize) -> Vec<usize> {
        (0..rows)
            .map(|row| match nulls.is_some_and(|nulls| nulls.is_null(row)) {
                true => 0,
                false => self.below(3),
            })
            .collect()
    }

    fn primitive<T: ArrowPrimitiveType>(
        &mut self,
        data_type: &DataType,
        rows: usize,
        mut value: impl FnMut(&mut Self) -> T::Native,
    ) -> ArrayRef {
        let nulls = self.nulls(rows);
        let values: Vec<T::Native> = (0..rows).map(|_| value(self)).collect();
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(data_type.clone()))
    }

    fn digits(&mut self, most: u32) -> i128 {
        let edge = 10_i128.pow(most.min(38)) - 1;
        match self.below(3) {
            0 => self.one(&[0, 1, -1, edge, -edge]),
            _ => (i128::from(self.whole()) << 40 ^ i128::from(self.whole())) % (edge + 1),
        }
    }

    fn array(&mut self, data_type: &DataType, rows: usize) -> Drawn {
        use DataType as T;
        let day = 86_400_i64;
        Ok(match data_type {
            T::Boolean => Arc::new(
                (0..rows)
                    .map(|_| self.one(&[None, Some(true), Some(false)]))
                    .collect::<BooleanArray>(),
            ),
            T::Int8 => self.primitive::<Int8Type>(data_type, rows, |dice| dice.whole() as i8),
            T::Int16 => self.primitive::<Int16Type>(data_type, rows, |dice| dice.whole() as i16),
            T::Int32 => self.primitive::<Int32Type>(data_type, rows, |dice| dice.whole() as i32),
            T::Int64 => self.primitive::<Int64Type>(data_type, rows, Self::whole),
            T::UInt8 => self.primitive::<UInt8Type>(data_type, rows, |dice| dice.whole() as u8),
            T::UInt16 => self.primitive::<UInt16Type>(data_type, rows, |dice| dice.whole() as u16),
            T::UInt32 => self.primitive::<UInt32Type>(data_type, rows, |dice| dice.whole() as u32),
            T::UInt64 => self.primitive::<UInt64Type>(data_type, rows, |dice| dice.whole() as u64),
            T::Float16 => {
                let wide =
                    self.primitive::<Float32Type>(&T::Float32, rows, |dice| dice.float() as f32);
                cast(&wide, data_type)?
            }
            T::Float32 => {
                self.primitive::<Float32Type>(data_type, rows, |dice| dice.float() as f32)
            }
            T::Float64 => self.primitive::<Float64Type>(data_type, rows, Self::float),
            T::Utf8 | T::LargeUtf8 | T::Utf8View => {
                let texts: StringArray = (0..rows)
                    .map(|_| (self.below(5) != 0).then(|| self.text()))
                    .collect();
                cast(&texts, data_type)?
            }
            T::Binary | T::LargeBinary | T::BinaryView => {
                let bytes: Vec<Option<Vec<u8>>> = (0..rows)
                    .map(|_| {
                        let length = self.below(4);
                        (self.below(5) != 0)
                            .then(|| (0..length).map(|_| self.next() as u8).collect())
                    })
                    .collect();
                let bytes: BinaryArray = bytes.iter().map(|bytes| bytes.as_deref()).collect();
                cast(&bytes, data_type)?
            }
            T::FixedSizeBinary(size) => {
                let mut builder = FixedSizeBinaryBuilder::new(*size);
                for _ in 0..rows {
                    match self.below(4) {
                        0 => builder.append_null(),
                        _ => {
                            let bytes: Vec<u8> = (0..*size).map(|_| self.next() as u8).collect();
                            builder.append_value(bytes)?;
                        }
                    }
                }
                Arc::new(builder.finish())
            }
            T::Decimal32(most, _) => self.primitive::<Decimal32Type>(data_type, rows, |dice| {
                dice.digits(u32::from(*most)) as i32
            }),
            T::Decimal64(most, _) => self.primitive::<Decimal64Type>(data_type, rows, |dice| {
                dice.digits(u32::from(*most)) as i64
            }),
            T::Decimal128(most, _) => self
                .primitive::<Decimal128Type>(data_type, rows, |dice| dice.digits(u32::from(*most))),
            T::Decimal256(..) => self.primitive::<Decimal256Type>(data_type, rows, |dice| {
                let high = i256::from_i128(dice.digits(38));
                high.wrapping_mul(i256::from_i128(10_i128.pow(37)))
                    .wrapping_add(i256::from_i128(dice.digits(37)))
            }),
            T::Date32 => {
                self.primitive::<Date32Type>(data_type, rows, |dice| dice.moment(365) as i32)
            }
            T::Date64 => self.primitive::<Date64Type>(data_type, rows, |dice| {
                dice.moment(365) % 100_000_000 * 86_400_000
            }),
            T::Time32(TimeUnit::Second) => {
                self.primitive::<Time32SecondType>(data_type, rows, |dice| {
                    dice.below(day as usize) as i32
                })
            }
            T::Time32(_) => self.primitive::<Time32MillisecondType>(data_type, rows, |dice| {
                dice.below(day as usize * 1_000) as i32
            }),
            T::Time64(TimeUnit::Microsecond) => {
                self.primitive::<Time64MicrosecondType>(data_type, rows, |dice| {
                    dice.below(day as usize * 1_000_000) as i64
                })
            }
            T::Time64(_) => self.primitive::<Time64NanosecondType>(data_type, rows, |dice| {
                dice.below(day as usize * 1_000_000_000) as i64
            }),
            T::Timestamp(unit, _) => {
                let per_second = match unit {
                    TimeUnit::Second => 1,
                    TimeUnit::Millisecond => 1_000,
                    TimeUnit::Microsecond => 1_000_000,
                    TimeUnit::Nanosecond => 1_000_000_000,
                };
                let per_year = 365 * day * per_second;
                let counts =
                    self.primitive::<Int64Type>(&T::Int64, rows, |dice| dice.moment(per_year));
                let data = counts.to_data().into_builder();
                make_array(data.data_type(data_type.clone()).build()?)
            }
            T::Duration(_) => {
                let counts = self.primitive::<Int64Type>(&T::Int64, rows, Self::whole);
                make_array(
                    counts
                        .to_data()
                        .into_builder()
                        .data_type(data_type.clone())
                        .build()?,
                )
            }
            T::Interval(IntervalUnit::YearMonth) => {
                self.primitive::<IntervalYearMonthType>(data_type, rows, |dice| dice.whole() as i32)
            }
            T::Interval(IntervalUnit::DayTime) => {
                self.primitive::<IntervalDayTimeType>(data_type, rows, |dice| IntervalDayTime {
                    days: dice.whole() as i32,
                    milliseconds: dice.whole() as i32,
                })
            }
            T::Interval(IntervalUnit::MonthDayNano) => {
                self.primitive::<IntervalMonthDayNanoType>(data_type, rows, |dice| {
                    IntervalMonthDayNano {
                        months: dice.whole() as i32,
                        days: dice.whole() as i32,
                        nanoseconds: dice.whole(),
                    }
                })
            }
            T::Dictionary(_, value) => {
                let values = self.array(value, rows)?;
                cast(&values, data_type)?
            }
            T::List(item) => {
                let nulls = self.nulls(rows);
                let lengths = self.lengths(nulls.as_ref(), rows);
                let values = self.array(item.data_type(), lengths.iter().sum())?;
                Arc::new(ListArray::new(
                    item.clone(),
                    OffsetBuffer::from_lengths(lengths),
                    values,
                    nulls,
                ))
            }
            T::LargeList(item) => {
                let nulls = self.nulls(rows);
                let lengths = self.lengths(nulls.as_ref(), rows);
                let values = self.array(item.data_type(), lengths.iter().sum())?;
                Arc::new(LargeListArray::new(
                    item.clone(),
                    OffsetBuffer::from_lengths(lengths),
                    values,
                    nulls,
                ))
            }
            T::FixedSizeList(item, size) => {
                let nulls = self.nulls(rows);
                let values = self.array(item.data_type(), rows * *size as usize)?;
                Arc::new(FixedSizeListArray::new(item.clone(), *size, values, nulls))
            }
            T::Struct(members) => {
                let nulls = self.nulls(rows);
                let columns = members
                    .iter()
                    .map(|member| self.array(member.data_type(), rows));
                let columns = columns.collect::<Result<_, _>>()?;
                let structs =
                    StructArray::try_new_with_length(members.clone(), columns, nulls, rows)?;
                Arc::new(structs)
            }
            T::Map(entries, sorted) => {
                let T::Struct(pair) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("a map without entries".into()));
                };
                let nulls = self.nulls(rows);
                let lengths = self.lengths(nulls.as_ref(), rows);
                let count: usize = lengths.iter().sum();
                let keys: ArrayRef = match pair[0].data_type() {
                    T::Utf8 => Arc::new(StringArray::from_iter_values(
                        (0..count).map(|_| self.text()),
                    )),
                    _ => Arc::new(Int32Array::from_iter_values(
                        (0..count).map(|_| self.below(3) as i32),
                    )),
                };
                let values = self.array(pair[1].data_type(), count)?;
                let pairs = StructArray::new(pair.clone(), vec![keys, values], None);
                Arc::new(MapArray::new(
                    entries.clone(),
                    OffsetBuffer::from_lengths(lengths),
                    pairs,
                    nulls,
                    *sorted,
                ))
            }
            other => {
                return Err(ArrowError::NotYetImplemented(format!("values of {other}")));
            }
        })
    }
}

type Drawn = Result<ArrayRef, ArrowError>;

/// A table with the columns `c0`, `c1` and so on, whose types are nested as deep as `depth`. Their values are often at the edges of their
/// types, or null.
///
/// # Errors
/// Whatever Arrow cannot make.
pub fn table(
    seed: u64,
    columns: usize,
    rows: usize,
    depth: usize,
) -> Result<RecordBatch, ArrowError> {
    let mut dice = Dice(seed);
    let columns = (0..columns).map(|i| {
        let data_type = dice.data_type(depth);
        let array = dice.array(&data_type, rows)?;
        Ok((format!("c{i}"), array, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, ArrowError>>()?)
}
