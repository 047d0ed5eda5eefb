//! PostgreSQL's binary form of COPY as batches.

use std::sync::Arc;

use arrow::array::builder::{
    BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder,
};
use arrow::array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, FieldRef, SchemaRef};
use metaxy_core::{Error, ErrorKind, Result};

use crate::canonical::{canonical, from_canonical};
use crate::encode::{EPOCH_DAYS, EPOCH_MICROS, HEADER};
use crate::types::{Kept, kept};

/// Makes batches of a schema from what COPY sends.
pub(crate) struct Decoder {
    schema: SchemaRef,
    columns: Vec<(FieldRef, Kept, Values)>,
    rows: usize,
    /// What came and is not decoded yet.
    rest: Vec<u8>,
    begun: bool,
}

impl Decoder {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a type that PostgreSQL cannot hold.
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let kept = kept(field)?;
                let values = Values::new(&kept);
                Ok((field.clone(), kept, values))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            schema: schema.clone(),
            columns,
            rows: 0,
            rest: Vec::new(),
            begun: false,
        })
    }

    /// How many rows are waiting.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes what was sent. Nearly always that is one row.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is no row.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.rest.is_empty() {
            let taken = self.take(bytes)?;
            self.rest.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.rest);
        waiting.extend_from_slice(bytes);
        let taken = self.take(&waiting)?;
        waiting.drain(..taken);
        self.rest = waiting;
        Ok(())
    }

    /// Takes a row of values, of which none may be missing.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if they are not those of a row.
    pub(crate) fn push_row<'a>(
        &mut self,
        mut values: impl Iterator<Item = Option<Option<&'a [u8]>>>,
    ) -> Result<()> {
        for (_, _, column) in &mut self.columns {
            column.push(values.next().flatten().ok_or_else(corrupt)?)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Decodes the whole rows at the beginning of `bytes`; returns how many bytes they have.
    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut taken = 0;
        if !self.begun {
            if bytes.len() < HEADER.len() {
                return Ok(0);
            }
            self.begun = true;
            taken = HEADER.len();
        }
        while let Some(row) = self.whole_row(&bytes[taken..])? {
            taken += row;
        }
        Ok(taken)
    }

    /// Decodes one row if all of it is there; returns its bytes.
    fn whole_row(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let mut cursor = Cursor(bytes);
        let Some(count) = cursor.int2() else {
            return Ok(None);
        };
        if count == -1 {
            return Ok(Some(2));
        }
        // A relation without columns is sent with one.
        if usize::try_from(count).ok() != Some(self.columns.len().max(1)) {
            return Err(corrupt());
        }
        let values = cursor.0;
        for _ in 0..count {
            let Some(length) = cursor.int4() else {
                return Ok(None);
            };
            if length > 0 && cursor.bytes(length as usize).is_none() {
                return Ok(None);
            }
        }
        let mut values = Cursor(values);
        for (_, _, column) in &mut self.columns {
            column.push(values.value().ok_or_else(corrupt)?)?;
        }
        self.rows += 1;
        Ok(Some(bytes.len() - cursor.0.len()))
    }

    /// The rows that are waiting, as a batch.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a column holds what its type has not.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self
            .columns
            .iter_mut()
            .map(|(field, kept, values)| {
                let array = values.finish(kept)?;
                from_canonical(field, array, kept)
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            arrays,
            &options,
        )?)
    }
}

/// The values of a column so far.
enum Values {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder, i32),
    Int8(Int64Builder, i64),
    Float4(Float32Builder),
    Float8(Float64Builder),
    /// Text is looked at once for a whole batch.
    Bytes(BinaryBuilder, usize),
    Numeric(String, Vec<usize>, Vec<bool>),
    List {
        values: Box<Values>,
        item: Kept,
        lengths: Vec<usize>,
        valid: Vec<bool>,
    },
}

impl Values {
    fn new(kept: &Kept) -> Self {
        match kept {
            Kept::Bool => Self::Bool(BooleanBuilder::new()),
            Kept::Int2 => Self::Int2(Int16Builder::new()),
            Kept::Int4 => Self::Int4(Int32Builder::new(), 0),
            Kept::Date => Self::Int4(Int32Builder::new(), EPOCH_DAYS),
            Kept::Int8 | Kept::Time => Self::Int8(Int64Builder::new(), 0),
            Kept::Timestamp | Kept::Timestamptz => Self::Int8(Int64Builder::new(), EPOCH_MICROS),
            Kept::Float4 => Self::Float4(Float32Builder::new()),
            Kept::Float8 => Self::Float8(Float64Builder::new()),
            Kept::Text | Kept::Bytes | Kept::Json => Self::Bytes(BinaryBuilder::new(), 0),
            Kept::Jsonb => Self::Bytes(BinaryBuilder::new(), 1),
            Kept::Numeric(_) => Self::Numeric(String::new(), Vec::new(), Vec::new()),
            Kept::Array(item) => Self::List {
                values: Box::new(Self::new(item)),
                item: item.as_ref().clone(),
                lengths: Vec::new(),
                valid: Vec::new(),
            },
        }
    }

    #[inline]
    fn push(&mut self, value: Option<&[u8]>) -> Result<()> {
        match self {
            Self::Bool(builder) => builder.append_option(value.map(|v| v.first() == Some(&1))),
            Self::Int2(builder) => builder.append_option(fixed(value)?.map(i16::from_be_bytes)),
            Self::Int4(builder, shift) => {
                let number = fixed(value)?.map(i32::from_be_bytes);
                builder.append_option(number.map(|n| n.saturating_add(*shift)));
            }
            Self::Int8(builder, shift) => {
                let number = fixed(value)?.map(i64::from_be_bytes);
                builder.append_option(number.map(|n| n.saturating_add(*shift)));
            }
            Self::Float4(builder) => {
                builder.append_option(fixed(value)?.map(|b| f32::from_bits(u32::from_be_bytes(b))));
            }
            Self::Float8(builder) => {
                builder.append_option(fixed(value)?.map(|b| f64::from_bits(u64::from_be_bytes(b))));
            }
            Self::Bytes(builder, skipped) => match value {
                None => builder.append_null(),
                Some(bytes) => builder.append_value(bytes.get(*skipped..).ok_or_else(corrupt)?),
            },
            Self::Numeric(text, ends, valid) => {
                if let Some(bytes) = value {
                    numeric(bytes, text)?;
                }
                ends.push(text.len());
                valid.push(value.is_some());
            }
            Self::List {
                values,
                lengths,
                valid,
                ..
            } => {
                let items = match value {
                    Some(bytes) => list(bytes, values)?,
                    None => 0,
                };
                lengths.push(items);
                valid.push(value.is_some());
            }
        }
        Ok(())
    }

    fn finish(&mut self, kept: &Kept) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int2(builder) => Arc::new(builder.finish()),
            Self::Int4(builder, _) => Arc::new(builder.finish()),
            Self::Int8(builder, _) => Arc::new(builder.finish()),
            Self::Float4(builder) => Arc::new(builder.finish()),
            Self::Float8(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder, _) => {
                let bytes = builder.finish();
                match kept {
                    Kept::Bytes => Arc::new(bytes),
                    _ => Arc::new(StringArray::try_from_binary(bytes)?),
                }
            }
            Self::Numeric(text, ends, valid) => {
                let text = std::mem::take(text);
                let mut start = 0;
                let spans = std::mem::take(ends).into_iter().map(|end| {
                    let span = &text[start..end];
                    start = end;
                    span
                });
                let valid = std::mem::take(valid);
                let texts = spans.zip(valid).map(|(span, valid)| valid.then_some(span));
                Arc::new(texts.collect::<StringArray>())
            }
            Self::List {
                values,
                item,
                lengths,
                valid,
            } => {
                let values = values.finish(item)?;
                let field = Arc::new(Field::new("item", canonical(item), true));
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let nulls = NullBuffer::from(std::mem::take(valid));
                Arc::new(ListArray::try_new(field, offsets, values, Some(nulls))?)
            }
        })
    }
}

#[inline]
fn fixed<const N: usize>(value: Option<&[u8]>) -> Result<Option<[u8; N]>> {
    match value {
        None => Ok(None),
        Some(bytes) => bytes.try_into().map(Some).map_err(|_| corrupt()),
    }
}

/// The items of an array of one dimension at most; returns how many.
fn list(bytes: &[u8], values: &mut Values) -> Result<usize> {
    let mut cursor = Cursor(bytes);
    let mut word = || cursor.int4().ok_or_else(corrupt);
    let (dimensions, _, _) = (word()?, word()?, word()?);
    if dimensions == 0 {
        return Ok(0);
    }
    if dimensions != 1 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "an array of PostgreSQL has more than one dimension",
        ));
    }
    let (items, _) = (word()?, word()?);
    for _ in 0..items {
        values.push(cursor.value().ok_or_else(corrupt)?)?;
    }
    usize::try_from(items).map_err(|_| corrupt())
}

/// A number in digits to the base of 10,000, as text.
fn numeric(bytes: &[u8], text: &mut String) -> Result<()> {
    use std::fmt::Write;
    let mut cursor = Cursor(bytes);
    let mut word = || cursor.int2().ok_or_else(corrupt);
    let (count, weight, sign, places) = (word()?, word()?, word()? as u16, word()?);
    match sign {
        0 => {}
        0x4000 => text.push('-'),
        // No number of a type with a fixed count of digits.
        _ => {
            text.push_str("NaN");
            return Ok(());
        }
    }
    let digits: Vec<i16> = (0..count).map(|_| word()).collect::<Result<_>>()?;
    let digit = |at: i32| {
        let at = usize::try_from(at).ok();
        at.and_then(|at| digits.get(at).copied()).unwrap_or(0)
    };
    let weight = i32::from(weight);
    let _ = write!(text, "{}", if weight < 0 { 0 } else { digit(0) });
    for at in 1..=weight {
        let _ = write!(text, "{:04}", digit(at));
    }
    if places > 0 {
        text.push('.');
        let start = text.len();
        let mut at = weight + 1;
        while text.len() - start < places as usize {
            let _ = write!(text, "{:04}", digit(at));
            at += 1;
        }
        text.truncate(start + places as usize);
    }
    Ok(())
}

/// Reads words in the order of networks.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    fn int2(&mut self) -> Option<i16> {
        self.bytes(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    #[inline]
    fn int4(&mut self) -> Option<i32> {
        self.bytes(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    /// A value with its length before it.
    #[inline]
    fn value(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.int4()?) {
            Ok(length) => self.bytes(length).map(Some),
            Err(_) => Some(None),
        }
    }
}

fn corrupt() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "PostgreSQL sent something else than the rows that it was asked for",
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, Decimal128Array, Int64Array, ListBuilder, StringBuilder, TimestampMicrosecondArray,
        UInt64Array,
    };
    use arrow::datatypes::{DataType, Schema};

    use super::*;
    use crate::encode::{TRAILER, encode};

    /// The batch as it comes back, with what is sent cut into pieces of `piece` bytes.
    fn there_and_back(batch: &RecordBatch, piece: usize) -> RecordBatch {
        let mut bytes = HEADER.to_vec();
        encode(batch, &mut bytes).unwrap();
        bytes.extend_from_slice(TRAILER);
        let mut decoder = Decoder::new(&batch.schema()).unwrap();
        for piece in bytes.chunks(piece) {
            decoder.push(piece).unwrap();
        }
        assert_eq!(decoder.rows(), batch.num_rows());
        decoder.finish().unwrap()
    }

    #[test]
    fn rows_come_back_whatever_they_are_cut_into() {
        let mut words = ListBuilder::new(StringBuilder::new());
        words.append_value([Some("x"), None, Some("")]);
        words.append_value([] as [Option<&str>; 0]);
        words.append_null();
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "id",
                Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(7)])),
            ),
            (
                "note",
                Arc::new(StringArray::from(vec![Some("é|"), Some(""), None])),
            ),
            ("words", Arc::new(words.finish())),
            (
                "big",
                Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), None])),
            ),
            (
                "cash",
                Arc::new(
                    Decimal128Array::from(vec![Some(-1), Some(123_456_789), Some(-10_000_000)])
                        .with_precision_and_scale(12, 4)
                        .unwrap(),
                ),
            ),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![
                    Some(-1),
                    None,
                    Some(1),
                ])),
            ),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        for piece in [1, 3, 50, 100_000] {
            assert_eq!(there_and_back(&batch, piece), batch);
        }
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let mut decoder = Decoder::new(&schema).unwrap();
        let mut bytes = HEADER.to_vec();
        bytes.extend_from_slice(&[0, 2, 0, 0]);
        assert_eq!(decoder.push(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
