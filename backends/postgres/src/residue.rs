//! What is left to do with the rows of a plan that was [split](crate::split): hashing, and dropping what is unchanged.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int8Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{filter, nullif};
use metaxy_core::hash::{CommonText, HashBatch};
use metaxy_core::plan::{Label, Nulls};
use metaxy_core::{Error, ErrorKind, Result};

use crate::split::{Hashing, Piece, Recheck, Split};

/// A batch of the whole relation from one of what the server computed.
///
/// # Errors
/// [`ErrorKind::Internal`] if it is not one of the relation's.
pub(crate) fn finished(split: &Split, batch: RecordBatch) -> Result<RecordBatch> {
    if split.is_direct() {
        return Ok(batch);
    }
    let mut hashes = Hashes::new(&batch);
    let kept = match &split.recheck {
        Some(recheck) => Some(changed(recheck, &mut hashes)?),
        None => None,
    };
    let orphaned = match &split.recheck {
        Some(recheck) => Some(has_label(&batch, recheck, Label::Orphaned)?),
        None => None,
    };
    let arrays = split
        .columns
        .iter()
        .map(|(name, hash)| {
            let array = match hash {
                None => column(&batch, name)?.clone(),
                Some(hash) => {
                    let array = hashes.of(hash)?;
                    // Nothing is expected of a row that is orphaned.
                    match &orphaned {
                        Some(orphaned) => nullif(&array, orphaned)?,
                        None => array,
                    }
                }
            };
            Ok(match &kept {
                Some(kept) => filter(&array, kept)?,
                None => array,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let rows = kept.map_or(batch.num_rows(), |kept| kept.true_count());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        split.schema.clone(),
        arrays,
        &options,
    )?)
}

/// The rows that are not unchanged.
fn changed(recheck: &Recheck, hashes: &mut Hashes<'_>) -> Result<BooleanArray> {
    let matched = has_label(hashes.batch, recheck, Label::Stale)?;
    let stored = column(hashes.batch, &recheck.stored)?;
    let stored = stored.as_string_opt::<i32>().ok_or_else(foreign)?;
    let force = match &recheck.force {
        Some(name) => Some(
            column(hashes.batch, name)?
                .as_boolean_opt()
                .ok_or_else(foreign)?,
        ),
        None => None,
    };
    let expected = hashes.of(&recheck.expected)?;
    let expected = expected.as_string::<i32>();
    let rows = 0..matched.len();
    Ok(rows
        .map(|row| {
            let forced = force.is_some_and(|force| force.is_valid(row) && force.value(row));
            let same = match (expected.is_valid(row), stored.is_valid(row)) {
                (true, true) => expected.value(row) == stored.value(row),
                (expected, stored) => expected == stored,
            };
            Some(!matched.value(row) || forced || !same)
        })
        .collect())
}

fn has_label(batch: &RecordBatch, recheck: &Recheck, label: Label) -> Result<BooleanArray> {
    let labels: &Int8Array = column(batch, &recheck.label)?
        .as_primitive_opt()
        .ok_or_else(foreign)?;
    Ok(labels
        .iter()
        .map(|found| Some(found == Some(label as i8)))
        .collect())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(foreign)
}

fn foreign() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the server answered another plan than it was asked",
    )
}

/// The hashes of a batch, each computed once.
struct Hashes<'a> {
    batch: &'a RecordBatch,
    known: HashMap<*const Hashing, ArrayRef>,
}

/// What a hash is made of.
enum Source {
    Text(CommonText),
    Column(StringArray),
}

impl<'a> Hashes<'a> {
    fn new(batch: &'a RecordBatch) -> Self {
        Self {
            batch,
            known: HashMap::new(),
        }
    }

    fn of(&mut self, hash: &Arc<Hashing>) -> Result<ArrayRef> {
        let key = Arc::as_ptr(hash);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let mut nulls: Option<NullBuffer> = None;
        let mut sources = Vec::with_capacity(hash.parts.len());
        for part in &hash.parts {
            let (array, null) = match part {
                Piece::Text(text) => {
                    sources.push(Source::Text(CommonText::new(text)));
                    continue;
                }
                Piece::Column(name, null) => (column(self.batch, name)?.clone(), null),
                Piece::Hash(inner, null) => (self.of(inner)?, null),
            };
            if *null == Nulls::Propagate {
                nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
            }
            let texts = array.as_string_opt::<i32>().ok_or_else(foreign)?;
            sources.push(Source::Column(texts.clone()));
        }
        let array = hashed(hash, &sources, nulls, self.batch.num_rows())?;
        self.known.insert(key, array.clone());
        Ok(array)
    }
}

/// The hashes of rows, a few rows at a time; null where `nulls` says so.
fn hashed(
    hash: &Hashing,
    sources: &[Source],
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<ArrayRef> {
    let mut batch = HashBatch::new(hash.spec.algorithm, hash.spec.length);
    let longest = hash.spec.length.min(hash.spec.algorithm.text_length());
    let mut values: Vec<u8> = Vec::with_capacity(rows * longest);
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0_i32);
    let is_valid = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
    let mut valid = Vec::with_capacity(HashBatch::ROWS);
    for start in (0..rows).step_by(HashBatch::ROWS) {
        let few = start..rows.min(start + HashBatch::ROWS);
        valid.clear();
        valid.extend(few.clone().filter(is_valid));
        let texts = batch.rows(valid.len());
        for source in sources {
            match source {
                Source::Text(text) => text.push_to(texts),
                Source::Column(column) => {
                    // Arrow allows any bytes below a null.
                    for (text, row) in texts.iter_mut().zip(&valid) {
                        if column.is_valid(*row) {
                            text.push(column.value(*row).as_bytes());
                        }
                    }
                }
            }
        }
        let mut done = batch.finish();
        for row in few {
            if is_valid(&row)
                && let Some(hash) = done.next()
            {
                values.extend_from_slice(hash.as_bytes());
            }
            // A batch is small enough.
            offsets.push(values.len() as i32);
        }
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(StringArray::try_new(
        offsets,
        Buffer::from_vec(values),
        nulls,
    )?))
}
