//! What somebody who looks at the store again and again must find, whoever writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::executor::block_on;
use metaxy_store::{ErrorKind, MetadataStore, ReadOptions, ResolveOptions, Rows};

use super::process::acknowledged;
use super::samples::{Mark, derived, overwrites, raw};

/// Remembers what was seen, and collects what should not have been.
#[derive(Debug)]
pub struct Watch {
    /// Rows of every write.
    rows: usize,
    /// The writes that were seen, and when they were stamped.
    seen: BTreeMap<Mark, i64>,
    /// The greatest stamp of a current row of the samples that are overwritten.
    newest_common: i64,
    looks: u64,
    /// Writes of which some rows were there and others not.
    partial: u64,
    violations: Vec<String>,
}

/// Rows of one write within one answer.
#[derive(Default)]
struct Part {
    ids: BTreeSet<i64>,
    rows: usize,
    stamps: BTreeSet<i64>,
}

impl Watch {
    /// Of writes with so many rows each.
    #[must_use]
    pub fn new(rows: i64) -> Self {
        Self {
            rows: rows as usize,
            seen: BTreeMap::new(),
            newest_common: i64::MIN,
            looks: 0,
            partial: 0,
            violations: Vec::new(),
        }
    }

    /// Looks once: at all rows, at the current ones, and at what is to be done downstream.
    pub fn look(&mut self, store: &MetadataStore, folder: &Path) {
        let expected = acknowledged(folder);
        self.looks += 1;
        self.look_at_history(store, &expected);
        self.look_at_current(store);
        self.look_downstream(store);
    }

    /// The writes that were seen, and when they were stamped.
    #[must_use]
    pub fn seen(&self) -> &BTreeMap<Mark, i64> {
        &self.seen
    }

    /// How many writes of a writer were seen.
    #[must_use]
    pub fn writes_of(&self, writer: i64) -> usize {
        self.seen.keys().filter(|(of, _)| *of == writer).count()
    }

    /// Everything that was wrong.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// What was seen, in a line.
    #[must_use]
    pub fn summary(&self) -> String {
        let (looks, partial, writes) = (self.looks, self.partial, self.seen.len());
        let wrong = self.violations.len();
        format!("{looks} looks, {writes} writes seen, {partial} partial reads, {wrong} violations")
    }

    fn look_at_history(&mut self, store: &MetadataStore, acknowledged: &BTreeSet<Mark>) {
        let options = ReadOptions::default()
            .with_sample_history(true)
            .with_columns(["id", "writer", "batch", "metaxy_updated_at"]);
        let Some(rows) = self.read(store, options) else {
            if !acknowledged.is_empty() {
                self.wrong(format!("{acknowledged:?} are not there"));
            }
            return;
        };
        let parts = parts(&rows);
        self.check_whole(&parts, "all rows");
        let mut stamps = BTreeMap::new();
        for (mark, part) in &parts {
            let Some(stamp) = part.stamps.first().filter(|_| part.stamps.len() == 1) else {
                self.wrong(format!("write {mark:?} has the stamps {:?}", part.stamps));
                continue;
            };
            if let Some(other) = stamps.insert(*stamp, *mark) {
                self.wrong(format!("{other:?} and {mark:?} have one stamp"));
            }
            if let Some(before) = self.seen.insert(*mark, *stamp)
                && before != *stamp
            {
                self.wrong(format!("the stamp of {mark:?} changed"));
            }
        }
        for mark in acknowledged.iter().chain(self.seen.clone().keys()) {
            if !parts.contains_key(mark) {
                self.wrong(format!("write {mark:?} is not there"));
            }
        }
        // Of each writer: its first writes without a gap, each stamped after the one before.
        let seen: Vec<(Mark, i64)> = self.seen.iter().map(|(m, s)| (*m, *s)).collect();
        for pair in seen.windows(2) {
            let [((writer, batch), stamp), ((next, after), later)] = [pair[0], pair[1]];
            if next == writer && (after != batch + 1 || later <= stamp) {
                self.wrong(format!(
                    "write {after} of {writer} at {later} follows write {batch} at {stamp}"
                ));
            }
        }
    }

    fn look_at_current(&mut self, store: &MetadataStore) {
        let Some(rows) = self.read(store, ReadOptions::default()) else {
            return;
        };
        let parts = parts(&rows);
        self.check_whole(&parts, "current rows");
        // All of the samples in common come from one write, and never from an earlier one than before.
        let common: Vec<_> = parts.iter().filter(|(mark, _)| overwrites(mark)).collect();
        match common.as_slice() {
            [] => {}
            [(mark, part)] => {
                let stamp = part.stamps.first().copied().unwrap_or(i64::MIN);
                if stamp < self.newest_common {
                    self.wrong(format!("{mark:?} came back after a later write"));
                }
                self.newest_common = stamp;
            }
            several => {
                let marks: Vec<&Mark> = several.iter().map(|(mark, _)| *mark).collect();
                self.wrong(format!("the samples in common come from {marks:?}"));
            }
        }
        // These rows were read after the history: what nobody overwrites must be among them.
        for mark in self.seen.clone().keys() {
            if !overwrites(mark) && !parts.contains_key(mark) {
                self.wrong(format!("the rows of {mark:?} are not current"));
            }
        }
    }

    fn look_downstream(&mut self, store: &MetadataStore) {
        let increment = match block_on(store.resolve_update(&derived(), ResolveOptions::default()))
        {
            Ok(increment) => increment,
            Err(error) if error.kind() == ErrorKind::FeatureNotFound && self.seen.is_empty() => {
                return;
            }
            Err(error) => return self.wrong(format!("resolve: {error}")),
        };
        if !increment.orphaned.is_empty() {
            let orphaned = increment.orphaned.num_rows();
            self.wrong(format!("{orphaned} rows are orphaned"));
        }
        for (name, rows) in [("new", &increment.new), ("stale", &increment.stale)] {
            self.check_whole(&parts(rows), name);
        }
    }

    fn check_whole(&mut self, parts: &BTreeMap<Mark, Part>, what: &str) {
        for (mark, part) in parts {
            if part.rows != self.rows || part.ids.len() != self.rows {
                self.partial += 1;
                let (rows, ids) = (part.rows, part.ids.len());
                self.wrong(format!(
                    "{what}: {rows} rows of {ids} samples of write {mark:?}"
                ));
            }
        }
    }

    /// The rows, `None` while there are none.
    fn read(&mut self, store: &MetadataStore, options: ReadOptions) -> Option<Rows> {
        let rows = block_on(async { store.read(&raw(), options).await?.collect().await });
        match rows {
            Ok(rows) => Some(rows),
            Err(error) => {
                if error.kind() != ErrorKind::FeatureNotFound || !self.seen.is_empty() {
                    self.wrong(format!("read: {error}"));
                }
                None
            }
        }
    }

    fn wrong(&mut self, what: String) {
        // The first ones say enough.
        if self.violations.len() < 20 {
            self.violations.push(what);
        }
    }
}

/// The rows by write.
fn parts(rows: &Rows) -> BTreeMap<Mark, Part> {
    let mut parts: BTreeMap<Mark, Part> = BTreeMap::new();
    for batch in rows.batches() {
        let [ids, writers, numbers] = ["id", "writer", "batch"].map(|name| numbers(batch, name));
        let stamps = batch
            .column_by_name("metaxy_updated_at")
            .and_then(|stamps| stamps.as_primitive_opt::<TimestampMicrosecondType>());
        for row in 0..batch.num_rows() {
            let part = parts.entry((writers[row], numbers[row])).or_default();
            part.rows += 1;
            part.ids.insert(ids[row]);
            part.stamps.extend(stamps.map(|stamps| stamps.value(row)));
        }
    }
    parts
}

fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> &'a [i64] {
    let column = batch.column_by_name(name).unwrap();
    column.as_primitive::<Int64Type>().values()
}
