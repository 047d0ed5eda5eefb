//! The checksum by which two programs' increments are compared.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use metaxy_store::columns;
use metaxy_store::hash::{HashAlgorithm, Hasher};
use metaxy_store::{Error, ErrorKind, Result};

use super::graphs::ID;

/// The sum, modulo 2^64, of the XXH64 (seed 0) of `sample:provenance` over all rows. It does not depend on their order.
///
/// # Errors
/// [`ErrorKind::InvalidFrame`] if a column is missing or has another type, or a value is null.
pub(super) fn checksum(batch: &RecordBatch) -> Result<u64> {
    let ids = column(batch, ID)?.as_primitive_opt::<Int64Type>();
    let provenance = column(batch, columns::PROVENANCE)?.as_string_opt::<i32>();
    let (Some(ids), Some(provenance)) = (ids, provenance) else {
        return Err(invalid("the columns have other types"));
    };
    if ids.null_count() + provenance.null_count() > 0 {
        return Err(invalid("a sample or a provenance is null"));
    }
    let mut sum = Sum::default();
    for row in 0..batch.num_rows() {
        sum.add(ids.value(row), provenance.value(row));
    }
    Ok(sum.get())
}

/// The checksum of rows that are handed in one by one.
pub(super) struct Sum {
    hasher: Hasher,
    total: u64,
}

impl Sum {
    /// Takes one more row.
    pub(super) fn add(&mut self, sample: i64, provenance: &str) {
        self.hasher.update(sample.to_string().as_bytes());
        self.hasher.update(b":");
        self.hasher.update(provenance.as_bytes());
        // The text is that of a number of 64 bits, whole.
        let hash = self.hasher.finish().as_str().parse().unwrap_or_default();
        self.total = self.total.wrapping_add(hash);
    }

    /// The checksum so far.
    pub(super) fn get(&self) -> u64 {
        self.total
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            hasher: Hasher::new(HashAlgorithm::Xxhash64),
            total: 0,
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    match batch.column_by_name(name) {
        Some(column) => Ok(column),
        None => Err(invalid(&format!("there is no column {name:?}"))),
    }
}

fn invalid(why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!("an increment without a checksum: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(ids: &[i64], provenance: &[&str]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let provenance: ArrayRef = Arc::new(StringArray::from(provenance.to_vec()));
        RecordBatch::try_from_iter([(ID, ids), (columns::PROVENANCE, provenance)]).unwrap()
    }

    #[test]
    fn it_is_that_of_the_reference() {
        // xxhash64 of "7:abc", by the reference's benchmark.
        let one = checksum(&batch(&[7], &["abc"])).unwrap();
        assert_eq!(format!("{one:016x}"), "c60e477972cee7a2");
        let two = checksum(&batch(&[7, -1], &["abc", "0123456789"])).unwrap();
        assert_eq!(format!("{two:016x}"), "b44863270c2466b9");
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let there = checksum(&batch(&[1, 2], &["a", "b"])).unwrap();
        let back = checksum(&batch(&[2, 1], &["b", "a"])).unwrap();
        assert_eq!(there, back);
        assert_ne!(there, checksum(&batch(&[1, 2], &["b", "a"])).unwrap());
    }
}
