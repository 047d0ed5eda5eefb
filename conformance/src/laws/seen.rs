//! Rows as a store and the model both tell them, and how they compare.

use std::collections::BTreeMap;
use std::fmt;

use super::model::{Expected, Id, Row, Versions};
use crate::outcome::{Outcome, Stop};

/// A row as a store and the model both tell it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub id: Id,
    pub provenance: Versions,
    pub data: Versions,
}

/// The parts of an increment, each sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeenParts {
    pub new: Vec<Seen>,
    pub stale: Vec<Seen>,
    pub orphaned: Vec<Seen>,
}

impl SeenParts {
    /// Fails unless these are the parts that are expected.
    pub(super) fn same(&self, expected: &Self, feature: &str) -> Outcome {
        same(
            &self.new,
            &expected.new,
            &format!("new samples of {feature}"),
        )?;
        same(
            &self.stale,
            &expected.stale,
            &format!("stale samples of {feature}"),
        )?;
        same(
            &self.orphaned,
            &expected.orphaned,
            &format!("orphaned samples of {feature}"),
        )
    }
}

impl From<&Row> for Seen {
    fn from(row: &Row) -> Self {
        Self {
            id: row.id,
            provenance: row.provenance.clone(),
            data: row.data.clone(),
        }
    }
}

/// The data versions of what was not written yet are its provenance.
impl From<&Expected> for Seen {
    fn from(row: &Expected) -> Self {
        Self {
            id: row.id,
            provenance: row.provenance.clone(),
            data: row.provenance.clone(),
        }
    }
}

/// Fails unless two sorted lists of rows are equal; says what only one of them has.
pub(super) fn same(found: &[Seen], expected: &[Seen], what: &str) -> Outcome {
    let (more, less) = (without(found, expected), without(expected, found));
    if more.is_empty() && less.is_empty() {
        return Ok(());
    }
    let list =
        |rows: Vec<Seen>| -> String { rows.iter().map(|row| format!("\n    {row}")).collect() };
    Err(Stop::failed(format!(
        "{what}: {} found, {} expected\n  found, not expected:{}\n  expected, not found:{}",
        found.len(),
        expected.len(),
        list(more),
        list(less)
    )))
}

/// The rows of `all` that `others` does not have, each as often as it is missing.
pub(super) fn without(all: &[Seen], others: &[Seen]) -> Vec<Seen> {
    let mut left: BTreeMap<&Seen, usize> = BTreeMap::new();
    for row in others {
        *left.entry(row).or_default() += 1;
    }
    let missing = all.iter().filter(|row| match left.get_mut(row) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    });
    missing.cloned().collect()
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            provenance,
            data,
        } = self;
        write!(
            f,
            "{id}: provenance {} [{}]",
            provenance.whole,
            provenance.by_field.join(" ")
        )?;
        if data != provenance {
            write!(f, ", data {} [{}]", data.whole, data.by_field.join(" "))?;
        }
        Ok(())
    }
}

/// As lists of rows are compared.
pub(super) fn sorted(mut rows: Vec<Seen>) -> Vec<Seen> {
    rows.sort();
    rows
}
