//! Maintenance: what a backend is asked to remove ([`Prune`]) and to put in order ([`Maintenance`]), and what it tells of it.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::clock::Micros;
use crate::setters;

/// Which rows of one table go: superseded ones.
///
/// The rows of each feature version and each combination of [`id_columns`](Self::id_columns) are ranked by their stamp,
/// `coalesce(metaxy_deleted_at, metaxy_updated_at)`, and where stamps are equal by the order in which they were stored; the latest
/// is the first. A row is superseded if it is not the first. The first stays whatever it is, so reads of any feature version, or of
/// the latest row over all, give what they gave, and nothing that was deleted comes back. What goes is history: reads of the
/// sample history, and reads as of an earlier time, give less.
///
/// A row whose stamp or one of whose IDs is null is superseded by nothing and supersedes nothing, as in reads. A table without a
/// time column of the system, or without one of the ID columns, has no superseded rows; without a feature version all its rows
/// are of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Prune {
    /// The columns that identify a sample. Without any there are no superseded rows.
    pub id_columns: Vec<String>,
    /// Which superseded rows.
    pub superseded: Superseded,
    /// Only count.
    pub dry_run: bool,
}

impl Prune {
    setters! { prune =>
        /// The columns that identify a sample.
        with_id_columns(ids: impl IntoIterator<Item = impl Into<String>>) {
            prune.id_columns = ids.into_iter().map(Into::into).collect();
        }
        /// Which superseded rows.
        with_superseded(superseded: Superseded) {
            prune.superseded = superseded;
        }
        /// Only counts.
        with_dry_run(dry_run: bool) {
            prune.dry_run = dry_run;
        }
    }
}

/// Which of the superseded rows of a table. The default is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Superseded {
    /// Those after the first so many of each sample and feature version.
    Beyond(NonZeroU64),
    /// Those whose stamp is earlier than this, in UTC microseconds.
    Before(Micros),
}

impl Default for Superseded {
    fn default() -> Self {
        Self::Beyond(NonZeroU64::MIN)
    }
}

/// How a backend puts its storage in order. The default is the whole store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Maintenance {
    /// Only these tables, where tables are stored apart; those that do not exist are left out. Empty: all.
    pub tables: Vec<crate::FeatureKey>,
    /// How long files that are no longer part of a table are kept, for reads that began before. `None`: as long as the backend
    /// does by default.
    pub retention: Option<Duration>,
    /// Change nothing, and tell what would be done.
    pub dry_run: bool,
}

impl Maintenance {
    setters! { maintenance =>
        /// Only these tables.
        with_tables(tables: impl IntoIterator<Item = crate::FeatureKey>) {
            maintenance.tables = tables.into_iter().collect();
        }
        /// How long files that are no longer part of a table are kept.
        with_retention(retention: Duration) {
            maintenance.retention = Some(retention);
        }
        /// Changes nothing.
        with_dry_run(dry_run: bool) {
            maintenance.dry_run = dry_run;
        }
    }
}

/// What was done to put a store in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MaintenanceReport {
    /// One after the other. With [`Maintenance::dry_run`] what would be done.
    pub actions: Vec<MaintainAction>,
}

impl MaintenanceReport {
    setters! { maintained =>
        /// This action as well, after the others.
        with_action(action: MaintainAction) {
            maintained.actions.push(action);
        }
    }
}

/// One thing that was done to a table or a store, or would be.
///
/// ```
/// use metaxy_core::backend::maintain::{Footprint, MaintainAction};
///
/// let compact = MaintainAction::new("compact")
///     .with_table("video/raw")
///     .with_before(Footprint::files(5_000, 12 << 20))
///     .with_after(Footprint::files(1, 1 << 20));
/// assert_eq!(compact.to_string(), "compact video/raw: 5000 files, 12.0 MiB -> 1 file, 1.0 MiB");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MaintainAction {
    /// What it is called: `checkpoint`, `optimise`, `compact` or `vacuum`, as far as they fit.
    pub name: &'static str,
    /// The table, as [`Backend::tables`](crate::Backend::tables) calls it. `None`: the whole store.
    pub table: Option<String>,
    /// The storage that it is about, as it was.
    pub before: Footprint,
    /// The same storage afterwards; nothing at all of it if it was removed. In a dry run an estimate, or unknown.
    pub after: Footprint,
}

impl MaintainAction {
    /// The action of this name, on the whole store.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    setters! { action =>
        /// On this table, as the backend calls it.
        with_table(table: impl Into<String>) {
            action.table = Some(table.into());
        }
        /// The storage as it was.
        with_before(before: Footprint) {
            action.before = before;
        }
        /// The storage afterwards.
        with_after(after: Footprint) {
            action.after = after;
        }
    }

    /// Whether it leaves nothing of the storage that it is about.
    #[must_use]
    pub fn removes(&self) -> bool {
        match (self.after.files, self.after.bytes) {
            (None, None) => false,
            (files, bytes) => files.unwrap_or(0) == 0 && bytes.unwrap_or(0) == 0,
        }
    }
}

/// `vacuum: 40.0 MiB -> 12.0 MiB`, as far as sizes are known.
impl fmt::Display for MaintainAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(table) = &self.table {
            write!(f, " {table}")?;
        }
        let unknown = Footprint::default();
        match (self.before == unknown, self.after == unknown) {
            (true, true) => Ok(()),
            (false, true) => write!(f, ": {}", self.before),
            (true, false) => write!(f, ": -> {}", self.after),
            (false, false) => write!(f, ": {} -> {}", self.before, self.after),
        }
    }
}

/// Something that is stored and is not as it was written, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Where: a file, and what of it, as far as that is known.
    pub place: Option<String>,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

impl Damage {
    /// This problem, somewhere.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            place: None,
            problem: problem.into(),
        }
    }

    setters! { damage =>
        /// In this file, and in what of it.
        with_place(place: impl Into<String>) {
            damage.place = Some(place.into());
        }
    }
}

/// `PLACE: PROBLEM`.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// What storage takes, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Footprint {
    /// How many files.
    pub files: Option<u64>,
    /// How many bytes, of all files together.
    pub bytes: Option<u64>,
}

impl Footprint {
    /// So many bytes, where the number of files says nothing.
    #[must_use]
    pub fn bytes(bytes: u64) -> Self {
        Self {
            files: None,
            bytes: Some(bytes),
        }
    }

    /// So many files, and so many bytes of all of them together.
    #[must_use]
    pub fn files(files: u64, bytes: u64) -> Self {
        Self {
            files: Some(files),
            bytes: Some(bytes),
        }
    }
}

/// `3 files, 1.5 MiB`; `unknown` if nothing is known.
impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.files {
            Some(1) => f.write_str("1 file")?,
            Some(files) => write!(f, "{files} files")?,
            None => {}
        }
        match (self.files, self.bytes) {
            (Some(_), Some(bytes)) => write!(f, ", {}", size(bytes)),
            (None, Some(bytes)) => f.write_str(&size(bytes)),
            (Some(_), None) => Ok(()),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// `17 bytes`, `1.5 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" });
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be rounded to 1024.0 has the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        let seen = |bytes| Footprint::bytes(bytes).to_string();
        assert_eq!(seen(0), "0 bytes");
        assert_eq!(seen(1), "1 byte");
        assert_eq!(seen(1023), "1023 bytes");
        assert_eq!(seen(1024), "1.0 KiB");
        assert_eq!(seen((1 << 20) - 1), "1.0 MiB");
        assert_eq!(seen(3 << 19), "1.5 MiB");
        assert_eq!(seen(u64::MAX), "16777216.0 TiB");
        assert_eq!(Footprint::files(3, 2048).to_string(), "3 files, 2.0 KiB");
        assert_eq!(Footprint::default().to_string(), "unknown");
    }

    #[test]
    fn an_action_removes_what_has_nothing_left() {
        let action = MaintainAction::new("vacuum").with_before(Footprint::files(3, 10));
        assert!(!action.removes(), "what is left is unknown");
        assert!(action.clone().with_after(Footprint::files(0, 0)).removes());
        assert!(!action.with_after(Footprint::files(1, 0)).removes());
    }
}
