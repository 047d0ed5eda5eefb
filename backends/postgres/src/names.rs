//! Names of tables and indexes. PostgreSQL cuts a name after 63 bytes, so that two long ones would be one.

use metaxy_core::FeatureKey;
use metaxy_core::hash::{HashAlgorithm, Hasher};
use metaxy_core::sql::quote;

/// The most bytes of a name.
pub(crate) const MOST_BYTES: usize = 63;

/// Names of columns that every table has already.
pub(crate) const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// Where the tables of a store are, and what their names start with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) schema: String,
    pub(crate) prefix: String,
    /// Whether tables may have what others made that runs.
    pub(crate) code_of_others: bool,
}

impl Names {
    /// The name of a feature's table.
    pub(crate) fn table(&self, feature: &FeatureKey) -> String {
        fitting(&format!("{}{}", self.prefix, feature.table_name()))
    }

    /// The name of a table in SQL.
    pub(crate) fn qualified(&self, table: &str) -> String {
        format!("{}.{}", quote(&self.schema), quote(table))
    }

    /// The number by which writers of a table wait for each other.
    pub(crate) fn lock(&self, table: &str) -> i64 {
        let mut hasher = Hasher::new(HashAlgorithm::Xxhash64);
        for part in ["metaxy", &self.schema, table] {
            hasher.update(part.as_bytes());
            hasher.update(b"\0");
        }
        let number: u64 = hasher.finish().as_str().parse().unwrap_or_default();
        number.cast_signed()
    }
}

/// The name itself if it is short enough, otherwise its beginning and a hash of the whole.
pub(crate) fn fitting(name: &str) -> String {
    if name.len() <= MOST_BYTES {
        return name.to_owned();
    }
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.update(name.as_bytes());
    let hash = hasher.finish().truncated(16).as_str().to_owned();
    let mut end = MOST_BYTES - hash.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}.{hash}", &name[..end])
}

/// The name of the temporary table of a frame.
pub(crate) fn frame(position: usize) -> String {
    format!("metaxy.frame.{position}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_told_apart_and_short_ones_are_kept() {
        let short = "n".repeat(63);
        assert_eq!(fitting(&short), short);
        let long = ["x", "y"].map(|end| fitting(&format!("{}{end}", "n".repeat(63))));
        assert_ne!(long[0], long[1]);
        for name in &long {
            assert_eq!(name.len(), 63);
        }
        assert!(fitting(&"é".repeat(40)).len() <= 63);
    }
}
