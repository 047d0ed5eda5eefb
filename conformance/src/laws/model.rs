//! What a store should do, written down a second time: plain Rust over vectors, slow and short (`semantics.md` §4–§6).
//!
//! Nothing here is shared with the store under test: not the order of hashing, not the joins, not the comparison, not the hash.
//! Where the two disagree, one of them is wrong.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest, Md5};

/// The features of a store, upstreams before those that depend on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    /// The features; a dependency is a position in this list.
    pub features: Vec<Feature>,
    /// How many characters of a hash are kept.
    pub length: usize,
    /// Whether the ID column `y` holds text instead of integers.
    pub text_parts: bool,
}

/// A feature. Its samples are identified by `x`, or by `x` and `y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Feature {
    /// Its key.
    pub name: &'static str,
    /// Whether `y` is an ID column.
    pub parts: bool,
    /// Its fields, in the order of their struct keys: the order in which versions are hashed.
    pub fields: Vec<Field>,
    /// Its upstreams; none for a root.
    pub deps: Vec<Dep>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Its key.
    pub name: &'static str,
    /// Its code version.
    pub code: u8,
    /// What the definition says about upstream fields.
    pub asks: Asks,
}

/// Which upstream fields a definition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing is said: of each upstream the field of the same key, or else all.
    Mapped,
    /// All fields of all upstreams.
    All,
    /// These: features and the positions of their fields.
    These(Vec<(usize, usize)>),
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dep {
    /// The position of the upstream.
    pub upstream: usize,
    /// How its rows map.
    pub lineage: Lineage,
    /// Whether a sample can do without.
    pub optional: bool,
    /// Only upstream rows with an `x` of at most this.
    pub up_to: Option<i64>,
    /// Whether only the columns that are needed are taken along.
    pub select: bool,
}

/// How upstream rows map. Groups and parents are those of one `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lineage {
    /// 1:1.
    Identity,
    /// N:1.
    Aggregation,
    /// 1:N.
    Expansion,
}

/// A sample's ID; `y` where it is an ID column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    /// The video, so to speak.
    pub x: i64,
    /// The part of it: a position in the ordered values of `y`.
    pub y: Option<usize>,
}

/// Versions by field, in the order of the feature's fields, and of the whole sample.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Versions {
    /// One per field.
    pub by_field: Vec<String>,
    /// The hash of them.
    pub whole: String,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its ID.
    pub id: Id,
    /// What it was computed from.
    pub provenance: Versions,
    /// What dependents see.
    pub data: Versions,
    /// The write that stored it; later writes have greater stamps.
    write: u64,
    deleted: bool,
    feature_version: String,
}

/// A row that upstream asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expected {
    /// The columns that identify it.
    pub id: Id,
    /// What it is computed from.
    pub provenance: Versions,
}

/// The three parts of an increment.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    /// Expected, not stored.
    pub new: Vec<Expected>,
    /// Stored with another provenance.
    pub stale: Vec<Expected>,
    /// Stored, not expected.
    pub orphaned: Vec<Row>,
}

/// How a feature stands, all that is upstream taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is to be done.
    UpToDate,
    /// Something upstream is to be done first.
    Waits,
    /// Something is to be done here.
    NeedsWork,
}

/// A sample to be written: its provenance by field, and its data versions if they are not that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// Its ID.
    pub id: Id,
    /// One per field.
    pub provenance: Vec<String>,
    /// One per field.
    pub data: Option<Vec<String>>,
}

/// The tables of a store.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// The definitions in force.
    pub graph: Graph,
    /// By feature: all rows ever stored, in the order of storing; `None`: no table.
    tables: Vec<Option<Vec<Row>>>,
    writes: u64,
}

/// A row on its way through the joins: the upstream versions that it has so far, by feature and field.
#[derive(Clone)]
struct Joined {
    id: Id,
    versions: BTreeMap<(usize, usize), String>,
}

impl Graph {
    /// The upstream fields that a field depends on, in the order in which they are hashed.
    pub(super) fn parents(&self, feature: usize, field: usize) -> Vec<(usize, usize)> {
        let of = &self.features[feature];
        let all = |dep: &Dep| {
            (0..self.features[dep.upstream].fields.len())
                .map(|f| (dep.upstream, f))
                .collect()
        };
        let mut parents: Vec<(usize, usize)> = match &of.fields[field].asks {
            Asks::These(these) => these.clone(),
            Asks::All => of.deps.iter().flat_map(all).collect(),
            Asks::Mapped => {
                let same = |p: &(usize, usize)| {
                    self.features[p.0].fields[p.1].name == of.fields[field].name
                };
                let mapped = |dep| {
                    let all: Vec<_> = all(dep);
                    all.iter().copied().find(same).map_or(all, |one| vec![one])
                };
                of.deps.iter().flat_map(mapped).collect()
            }
        };
        parents.sort_by_key(|parent| self.qualified(*parent));
        parents
    }

    /// `feature/key.field/key`.
    pub(super) fn qualified(&self, (feature, field): (usize, usize)) -> String {
        let feature = &self.features[feature];
        format!("{}.{}", feature.name, feature.fields[field].name)
    }

    /// Whether `y` identifies the rows that upstream asks for: not if all of it is known by `x` only.
    pub(super) fn identified_by_parts(&self, feature: usize) -> bool {
        let of = &self.features[feature];
        let root = of.deps.is_empty();
        root && of.parts || of.deps.iter().any(|dep| self.brings_parts(dep))
    }

    /// Whether what a dependency brings is identified by `y` as well.
    pub(super) fn brings_parts(&self, dep: &Dep) -> bool {
        dep.lineage == Lineage::Identity && self.features[dep.upstream].parts
    }

    /// What tells one definition of a feature from another: fields, code versions, and those of everything upstream.
    fn feature_version(&self, feature: usize) -> String {
        let mut versions: Vec<Vec<String>> = Vec::new();
        for (f, of) in self.features.iter().enumerate().take(feature + 1) {
            let version = |(i, field): (usize, &Field)| {
                let parents = self.parents(f, i);
                let parents: Vec<&str> = parents
                    .iter()
                    .map(|p| versions[p.0][p.1].as_str())
                    .collect();
                let all = format!(
                    "{} {} {}",
                    self.qualified((f, i)),
                    field.code,
                    parents.join(" ")
                );
                digest(&all, 32)
            };
            let all = of.fields.iter().enumerate().map(version).collect();
            versions.push(all);
        }
        versions.pop().unwrap_or_default().join(" ")
    }
}

impl Model {
    /// A store without tables.
    pub(super) fn new(graph: Graph) -> Self {
        let tables = graph.features.iter().map(|_| None).collect();
        Self {
            graph,
            tables,
            writes: 0,
        }
    }

    /// Whether a feature has a table.
    pub(super) fn has_table(&self, feature: usize) -> bool {
        self.tables[feature].is_some()
    }

    /// Appends samples.
    pub(super) fn write(&mut self, feature: usize, samples: &[Sample]) {
        self.writes += 1;
        let feature_version = self.graph.feature_version(feature);
        let rows = samples.iter().map(|sample| {
            let provenance = self.versions(sample.provenance.clone());
            let data = sample.data.clone().map(|data| self.versions(data));
            Row {
                id: sample.id,
                data: data.unwrap_or_else(|| provenance.clone()),
                provenance,
                write: self.writes,
                deleted: false,
                feature_version: feature_version.clone(),
            }
        });
        let rows: Vec<Row> = rows.collect();
        self.tables[feature].get_or_insert_default().extend(rows);
    }

    /// Marks samples as deleted.
    pub(super) fn mark_deleted(&mut self, feature: usize, rows: Vec<Row>) {
        self.writes += 1;
        let write = self.writes;
        let tombstones = rows.into_iter().map(|row| Row {
            write,
            deleted: true,
            ..row
        });
        if let Some(table) = &mut self.tables[feature] {
            table.extend(tombstones);
        }
    }

    /// Removes rows for good, of the current definition or of all.
    pub(super) fn remove(
        &mut self,
        feature: usize,
        of_all_versions: bool,
        which: impl Fn(Id) -> bool,
    ) {
        let version = self.graph.feature_version(feature);
        if let Some(table) = &mut self.tables[feature] {
            table.retain(|row| {
                !(which(row.id) && (of_all_versions || row.feature_version == version))
            });
        }
    }

    /// Removes a table.
    pub(super) fn drop_table(&mut self, feature: usize) {
        self.tables[feature] = None;
    }

    /// What a read gives: per ID the row stored last, unless it marks a deletion.
    pub(super) fn read(&self, feature: usize, of_all_versions: bool) -> Vec<Row> {
        let version = self.graph.feature_version(feature);
        let mut last = BTreeMap::new();
        for row in self.tables[feature].iter().flatten() {
            if of_all_versions || row.feature_version == version {
                last.insert(row.id, row);
            }
        }
        last.into_values()
            .filter(|row| !row.deleted)
            .cloned()
            .collect()
    }

    /// The rows that upstream asks for; `None` if an upstream that is needed was never written.
    pub(super) fn expected(&self, feature: usize) -> Option<Vec<Expected>> {
        let of = &self.graph.features[feature];
        if of
            .deps
            .iter()
            .any(|dep| !dep.optional && !self.has_table(dep.upstream))
        {
            return None;
        }
        let (optional, required): (Vec<&Dep>, Vec<&Dep>) =
            of.deps.iter().partition(|dep| dep.optional);
        let only_optional = required.is_empty();
        let mut deps = required.into_iter().chain(optional);
        let mut rows = self.brought(deps.next()?);
        for dep in deps {
            rows = join(&rows, &self.brought(dep), dep.optional, only_optional);
        }
        let expected = rows.into_iter().map(|row| {
            let by_field = 0..of.fields.len();
            let by_field = by_field.map(|field| self.provenance(feature, field, &row));
            Expected {
                id: row.id,
                provenance: self.versions(by_field.collect()),
            }
        });
        Some(expected.collect())
    }

    /// What is to be done for a feature; `None` as for [`expected`](Self::expected).
    pub(super) fn increment(&self, feature: usize) -> Option<Parts> {
        let by_parts = self.graph.identified_by_parts(feature);
        // Stored rows by what identifies them upstream: one each, or for an expansion the children of a parent.
        let mut stored: BTreeMap<Id, Vec<Row>> = BTreeMap::new();
        for row in self.read(feature, false) {
            let id = Id {
                y: row.id.y.filter(|_| by_parts),
                ..row.id
            };
            stored.entry(id).or_default().push(row);
        }
        // The most recently written speaks for its siblings.
        for rows in stored.values_mut() {
            rows.sort_by_key(|row| (std::cmp::Reverse(row.write), row.id));
        }
        let mut parts = Parts::default();
        let expected = self.expected(feature)?;
        for (id, rows) in stored.iter().filter(|_| !self.waits(feature)) {
            let wanted = expected.iter().any(|row| row.id == *id);
            let outdated = |row: &&Row| !wanted || row.provenance.whole != rows[0].provenance.whole;
            parts.orphaned.extend(rows.iter().filter(outdated).cloned());
        }
        for row in expected {
            match stored.get(&row.id) {
                None => parts.new.push(row),
                Some(rows) if rows[0].provenance.whole != row.provenance.whole => {
                    parts.stale.push(row);
                }
                Some(_) => {}
            }
        }
        Some(parts)
    }

    /// Whether a direct upstream has rows, and none of its current definition: then nothing is orphaned.
    pub(super) fn waits(&self, feature: usize) -> bool {
        let deps = &self.graph.features[feature].deps;
        deps.iter().any(|dep| self.is_outdated(dep.upstream))
    }

    /// How a feature stands.
    pub(super) fn standing(&self, feature: usize) -> Standing {
        let awaited = self.awaited(feature);
        let todo = self.todo(feature);
        let increment = self.increment(feature);
        let orphans = increment.is_some_and(|parts| !parts.orphaned.is_empty());
        let empty = |other: &usize| !self.has_rows(*other) && self.todo(*other) == Some(0);
        if self.graph.features[feature].deps.is_empty() {
            match self.has_rows(feature) && !self.is_outdated(feature) {
                true => Standing::UpToDate,
                false => Standing::NeedsWork,
            }
        } else if todo.is_none() || self.waits(feature) {
            Standing::Waits
        } else if todo > Some(0) || orphans && awaited.iter().all(empty) {
            Standing::NeedsWork
        } else if awaited.is_empty() {
            Standing::UpToDate
        } else {
            Standing::Waits
        }
    }

    /// The features upstream, directly or not, in which something is to be done.
    pub(super) fn awaited(&self, feature: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for dep in &self.graph.features[feature].deps {
            let upstream = dep.upstream;
            let is_root = self.graph.features[upstream].deps.is_empty();
            let is_unknown = is_root || self.todo(upstream).is_none();
            let is_absent = !self.has_rows(upstream) && is_unknown;
            if dep.optional && is_absent {
                continue;
            }
            let increment = self.increment(upstream).filter(|_| !is_root);
            let has_work = increment.is_some_and(|parts| {
                !parts.new.is_empty() || !parts.stale.is_empty() || !parts.orphaned.is_empty()
            });
            if has_work || self.is_outdated(upstream) || is_root && is_absent {
                found.insert(upstream);
            }
            found.extend(self.awaited(upstream));
        }
        found
    }

    fn has_rows(&self, feature: usize) -> bool {
        self.tables[feature].iter().flatten().next().is_some()
    }

    fn is_outdated(&self, feature: usize) -> bool {
        let version = self.graph.feature_version(feature);
        let mut rows = self.tables[feature].iter().flatten();
        self.has_rows(feature) && rows.all(|row| row.feature_version != version)
    }

    /// How many samples are to be computed; `None` if an upstream that is needed was never written.
    fn todo(&self, feature: usize) -> Option<usize> {
        if self.graph.features[feature].deps.is_empty() {
            return Some(0);
        }
        let parts = self.increment(feature)?;
        Some(parts.new.len() + parts.stale.len())
    }

    /// An upstream's current rows, as a dependency sees them.
    fn brought(&self, dep: &Dep) -> Vec<Joined> {
        let rows = self.read(dep.upstream, false);
        let rows = rows
            .iter()
            .filter(|row| dep.up_to.is_none_or(|most| row.id.x <= most));
        let rows: Vec<&Row> = rows.collect();
        let version = |row: &Row, field: usize| match dep.lineage {
            // The versions of the group, in the order of the upstream's IDs, which is that of a read.
            Lineage::Aggregation => {
                let group = rows.iter().filter(|other| other.id.x == row.id.x);
                let group: Vec<&str> = group
                    .map(|other| other.data.by_field[field].as_str())
                    .collect();
                self.hash(&group.join("|"))
            }
            Lineage::Identity | Lineage::Expansion => row.data.by_field[field].clone(),
        };
        let joined = rows.iter().map(|row| Joined {
            id: Id {
                y: row.id.y.filter(|_| self.graph.brings_parts(dep)),
                ..row.id
            },
            versions: (0..row.data.by_field.len())
                .map(|field| ((dep.upstream, field), version(row, field)))
                .collect(),
        });
        joined.collect()
    }

    /// The provenance of a field; what an optional upstream does not have counts as empty.
    fn provenance(&self, feature: usize, field: usize, row: &Joined) -> String {
        let of = &self.graph.features[feature].fields[field];
        let mut text = format!("{}|{}", of.name, of.code);
        for parent in self.graph.parents(feature, field) {
            let version = row.versions.get(&parent).map_or("", String::as_str);
            text.push_str(&format!("|{}|{version}", self.graph.qualified(parent)));
        }
        self.hash(&text)
    }

    fn versions(&self, by_field: Vec<String>) -> Versions {
        Versions {
            whole: self.hash(&by_field.join("|")),
            by_field,
        }
    }

    fn hash(&self, text: &str) -> String {
        digest(text, self.graph.length)
    }
}

/// Pairs of rows that agree on the ID columns that both have; left ones alone if `left`, right ones too if also `right`.
fn join(rows: &[Joined], others: &[Joined], left: bool, right: bool) -> Vec<Joined> {
    let agree = |a: &Joined, b: &Joined| {
        a.id.x == b.id.x && (a.id.y.is_none() || b.id.y.is_none() || a.id.y == b.id.y)
    };
    let mut pairs = Vec::new();
    for row in rows {
        let partners: Vec<&Joined> = others.iter().filter(|other| agree(row, other)).collect();
        if left && partners.is_empty() {
            pairs.push(row.clone());
        }
        for other in partners {
            let mut versions = row.versions.clone();
            versions.extend(other.versions.clone());
            pairs.push(Joined {
                id: Id {
                    x: row.id.x,
                    y: row.id.y.or(other.id.y),
                },
                versions,
            });
        }
    }
    if right {
        let alone = others
            .iter()
            .filter(|other| !rows.iter().any(|row| agree(row, other)));
        pairs.extend(alone.cloned());
    }
    pairs
}

/// MD5, which every backend has, in hex.
fn digest(text: &str, length: usize) -> String {
    let hex = Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    hex.chars().take(length).collect()
}
