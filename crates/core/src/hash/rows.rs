//! The row kernel: hashes of the parts of every row of some Arrow columns.

use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::algorithm::HashAlgorithm;
use super::hasher::Hasher;
use super::parts::{HashPart, Nulls};
use crate::error::{Error, ErrorKind, Result};

/// Hashes `rows` rows: the texts of `parts`, one after the other, hashed and cut to `truncation` characters (`semantics.md` §4). Values are
/// columns of text (`Utf8`, `LargeUtf8`, `Utf8View`, a dictionary of one of them, or `Null`).
///
/// The whole text is never built, and nothing is allocated per row.
///
/// ```
/// use arrow::array::{Array, StringArray};
/// use metaxy_core::hash::{HashAlgorithm, HashPart, Nulls, hash_rows};
/// let versions = StringArray::from(vec![Some("b"), None]);
/// let parts = [HashPart::Text("a|".into()), HashPart::Value(&versions as &dyn Array, Nulls::Propagate)];
/// let hashes = hash_rows(HashAlgorithm::Sha256, 8, &parts, 2)?;
/// assert_eq!(hashes.value(0), "0eab8a0a"); // the hash of "a|b"
/// assert!(hashes.is_null(1));
/// # Ok::<(), metaxy_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] when a column is not text or has another number of rows (the message counts parts from 1),
/// and when the hashes do not fit into one array (more than 30 million rows: hash in batches).
pub fn hash_rows(
    algorithm: HashAlgorithm,
    truncation: usize,
    parts: &[HashPart<&dyn Array>],
    rows: usize,
) -> Result<StringArray> {
    let owned = unpacked(parts, rows)?;
    let (segments, nulls) = segments(parts, &owned);

    let mut hasher = Hasher::new(algorithm);
    let longest = truncation.min(algorithm.text_length());
    let mut values = Vec::with_capacity(rows.saturating_mul(longest));
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0_i32);
    for row in 0..rows {
        if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
            for segment in &segments {
                hasher.update(segment.bytes(row));
            }
            values.extend_from_slice(hasher.finish().truncated(truncation).as_bytes());
        }
        let end = i32::try_from(values.len()).map_err(|_| {
            Error::new(
                ErrorKind::InvalidFrame,
                format!("the hashes of {rows} rows do not fit into one Arrow array"),
            )
            .with_hint("hash in batches of fewer rows")
        })?;
        offsets.push(end);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(StringArray::try_new(
        offsets,
        Buffer::from_vec(values),
        nulls,
    )?)
}

/// A text, or a column.
enum Segment<'a> {
    Text(&'a [u8]),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
}

impl Segment<'_> {
    /// The segment's bytes in `row`; empty where a column is null.
    #[inline]
    fn bytes(&self, row: usize) -> &[u8] {
        // Arrow allows any bytes below a null, so nulls are asked for.
        match self {
            Self::Text(bytes) => bytes,
            Self::Utf8(array) if array.is_valid(row) => array.value(row).as_bytes(),
            Self::LargeUtf8(array) if array.is_valid(row) => array.value(row).as_bytes(),
            Self::Utf8View(array) if array.is_valid(row) => array.value(row).as_bytes(),
            _ => &[],
        }
    }
}

/// Columns that have to be converted before their text can be read, at the positions of their parts.
fn unpacked(parts: &[HashPart<&dyn Array>], rows: usize) -> Result<Vec<Option<ArrayRef>>> {
    let mut owned = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        let number = i + 1;
        let HashPart::Value(array, _) = part else {
            owned.push(None);
            continue;
        };
        if array.len() != rows {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!(
                    "part {number} of the hash has {} rows instead of {rows}",
                    array.len()
                ),
            )
            .with_hint("hand in columns of one record batch"));
        }
        owned.push(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => None,
            DataType::Null => Some(new_null_array(&DataType::Utf8, rows)),
            DataType::Dictionary(_, values)
                if matches!(
                    **values,
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                ) =>
            {
                Some(cast(*array, values)?)
            }
            other => {
                return Err(Error::new(
                    ErrorKind::InvalidFrame,
                    format!("part {number} of the hash has the type {other}, not text"),
                )
                .with_hint("versions and hashes are text: convert the column to Utf8"));
            }
        });
    }
    Ok(owned)
}

/// The parts as they are read, and the rows that come out null.
fn segments<'a>(
    parts: &'a [HashPart<&'a dyn Array>],
    owned: &'a [Option<ArrayRef>],
) -> (Vec<Segment<'a>>, Option<NullBuffer>) {
    let mut nulls = None;
    let segments = parts.iter().zip(owned).map(|(part, owned)| match part {
        HashPart::Text(text) => Segment::Text(text.as_bytes()),
        HashPart::Value(array, when_null) => {
            let array: &'a dyn Array = owned.as_deref().unwrap_or(*array);
            if *when_null == Nulls::Propagate {
                nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
            }
            match array.data_type() {
                DataType::LargeUtf8 => Segment::LargeUtf8(array.as_string()),
                DataType::Utf8View => Segment::Utf8View(array.as_string_view()),
                _ => Segment::Utf8(array.as_string()),
            }
        }
    });
    let segments = segments.collect();
    (segments, nulls)
}
