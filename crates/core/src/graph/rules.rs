//! The rules that a definition can break together with others of its graph (`semantics.md` §1, §2 and §10, rows 14, 43, 45).

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result};
use crate::graph::feature_plan::{input_id_columns, renamed_id_columns};
use crate::graph::{Inner, check_filter, invalid};
use crate::key::FeatureKey;
use crate::spec::{FeatureDep, FeatureSpec};

impl Inner {
    /// Whether the table of `key` is its own.
    pub(super) fn check_table(&self, key: &FeatureKey) -> Result<()> {
        let table = key.table_name();
        if key
            .parts()
            .next()
            .is_some_and(|part| part == "metaxy-system" || part == "metaxy_system")
        {
            return Err(invalid(format!(
                "feature `{key}`: keys under `metaxy-system` belong to the system's tables"
            ))
            .with_hint("choose another first part"));
        }
        match self
            .tables
            .get(&table)
            .into_iter()
            .flatten()
            .find(|owner| *owner != key)
        {
            None => Ok(()),
            Some(other) => Err(invalid(format!(
                "features `{other}` and `{key}` would share the table `{table}`"
            ))
            .with_hint("rename one: `-` and `_` are the same in table names")),
        }
    }

    /// Checks a spec against those of its upstreams that are in the graph.
    pub(super) fn across<'a>(
        &'a self,
        spec: &'a FeatureSpec,
        passed_on: &mut PassedOn<'a>,
    ) -> Result<()> {
        for dep in spec.deps() {
            filters(spec, dep)?;
            if let Some(entry) = self.entries.get(&dep.feature) {
                renames(spec, dep, &entry.definition.spec)?;
            }
        }
        let known = self.known(spec);
        common_ids(spec, &known)?;
        collisions(spec, &known)?;
        // A program that recorded its definitions may have left out what its features were to pass on.
        match self.recorded {
            true => Ok(()),
            false => self.passed_on_twice(spec, &known, passed_on),
        }
    }

    /// The upstreams that are in the graph.
    fn known<'a>(&self, spec: &'a FeatureSpec) -> Vec<Upstream<'a>> {
        let known = spec.deps().iter().filter_map(|dep| {
            let upstream = &self.entries.get(&dep.feature)?.definition.spec;
            Some(Upstream {
                dep,
                ids: renamed_id_columns(dep, upstream),
                input: input_id_columns(spec, dep, upstream),
            })
        });
        known.collect()
    }

    /// Checks the features that get a column through others that pass on all they have, as far as `key` passes one on.
    pub(super) fn passed_on_below(&self, key: &FeatureKey) -> Result<()> {
        // The usual case, while a graph is built.
        if self.dependents(key.as_str()).is_empty() {
            return Ok(());
        }
        let mut passed_on = PassedOn::new();
        self.follow(key, &mut passed_on);
        if passed_on.get(key).is_none_or(BTreeSet::is_empty) {
            return Ok(());
        }
        let (mut seen, mut pending) = (HashSet::new(), vec![key]);
        while let Some(above) = pending.pop() {
            for position in self.dependents(above.as_str()) {
                let Some((below, entry)) = self.entries.get_index(position) else {
                    continue;
                };
                let spec = &entry.definition.spec;
                let whole = |dep: &FeatureDep| dep.feature == *above && dep.select.is_none();
                if !spec.deps().iter().any(whole) || !seen.insert(below) {
                    continue;
                }
                self.passed_on_twice(spec, &self.known(spec), &mut passed_on)?;
                pending.push(below);
            }
        }
        Ok(())
    }

    /// Whether two upstreams pass on columns of one name: those that a definition names, however far up. A feature that selects no columns
    /// of an upstream gets them all.
    fn passed_on_twice<'a>(
        &'a self,
        spec: &FeatureSpec,
        known: &[Upstream<'a>],
        passed_on: &mut PassedOn<'a>,
    ) -> Result<()> {
        // One upstream that passes on all it has can collide with what another is asked for.
        if known.len() < 2 || known.iter().all(|upstream| upstream.dep.select.is_some()) {
            return Ok(());
        }
        let mut owners: HashMap<String, &FeatureKey> = HashMap::new();
        for upstream in known {
            let dep = upstream.dep;
            let mut columns: BTreeSet<String> = named(dep).cloned().collect();
            if dep.select.is_none() {
                self.follow(&dep.feature, passed_on);
                columns.extend(renamed(dep, passed_on.get(&dep.feature)));
            }
            let is_id =
                |name: &String| upstream.ids.contains(name) || upstream.input.contains(name);
            for name in columns.into_iter().filter(|name| !is_id(name)) {
                match owners.get(&name) {
                    Some(other) => {
                        return Err(invalid(format!(
                            "feature `{}`: its upstreams `{other}` and `{}` both pass on a column `{name}`",
                            spec.key(),
                            dep.feature
                        ))
                        .with_hint(format!("rename `{name}` in one of the two dependencies, or leave it out with `select`")));
                    }
                    None => {
                        owners.insert(name, &dep.feature);
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds which columns a feature passes on, apart from its ID columns, and of those above it whose columns it gets all. Does not
    /// recurse: chains may be long.
    fn follow<'a>(&'a self, feature: &'a FeatureKey, found: &mut PassedOn<'a>) {
        // A cycle ends at what is being looked at.
        let mut open = HashSet::new();
        let mut pending = vec![feature];
        while let Some(key) = pending.pop() {
            let Some(entry) = self.entries.get(key) else {
                continue;
            };
            if found.contains_key(key) {
                continue;
            }
            let spec = &entry.definition.spec;
            if open.insert(key) {
                pending.push(key);
                let whole = spec.deps().iter().filter(|dep| dep.select.is_none());
                let above = whole.map(|dep| &dep.feature);
                pending.extend(above.filter(|above| !open.contains(above)));
                continue;
            }
            let mut columns = BTreeSet::new();
            for dep in spec.deps() {
                columns.extend(named(dep).cloned());
                if dep.select.is_none() {
                    columns.extend(renamed(dep, found.get(&dep.feature)));
                }
            }
            columns.retain(|name| !spec.id_columns().contains(name));
            found.insert(key, columns);
        }
    }
}

/// Which columns features pass on, of those that were looked at. It holds as long as the graph stays as it is.
pub(super) type PassedOn<'a> = HashMap<&'a FeatureKey, BTreeSet<String>>;

/// The columns of an upstream, by the names that they have for a feature that depends on it.
fn renamed(dep: &FeatureDep, columns: Option<&BTreeSet<String>>) -> Vec<String> {
    let new = |name: &String| match dep.rename.as_ref().and_then(|names| names.get(name)) {
        Some(new) => new.clone(),
        None => name.clone(),
    };
    columns.into_iter().flatten().map(new).collect()
}

/// A dependency whose upstream is in the graph.
struct Upstream<'a> {
    dep: &'a FeatureDep,
    /// The upstream's ID columns, by their new names.
    ids: Vec<String>,
    /// What is left of them after lineage.
    input: Vec<String>,
}

impl Upstream<'_> {
    /// The ID columns that are certain to be kept: a `select` beside a lineage that names columns keeps those only.
    fn kept_ids(&self) -> impl Iterator<Item = &String> {
        let all = self.dep.select.is_none() || self.dep.lineage.on().is_none();
        self.ids.iter().filter(move |_| all).chain(&self.input)
    }
}

fn filters(spec: &FeatureSpec, dep: &FeatureDep) -> Result<()> {
    for sql in dep.filters.iter().flatten() {
        check_filter(sql).map_err(|error| {
            let hint = error.hint().unwrap_or("correct the condition").to_owned();
            Error::new(
                ErrorKind::InvalidDefinition,
                format!(
                    "feature `{}`: the filter {sql:?} of its dependency on `{}`: {error}",
                    spec.key(),
                    dep.feature
                ),
            )
            .with_hint(hint)
            .with_source(error)
        })?;
    }
    Ok(())
}

fn renames(spec: &FeatureSpec, dep: &FeatureDep, upstream: &FeatureSpec) -> Result<()> {
    let onto_id = dep
        .rename
        .iter()
        .flatten()
        .find(|(_, new)| upstream.id_columns().contains(new));
    match onto_id {
        None => Ok(()),
        Some((old, new)) => Err(invalid(format!(
            "feature `{}`: the rename of `{old}` to `{new}` in its dependency on `{}` takes the name of an ID column of that feature",
            spec.key(),
            dep.feature
        ))
        .with_hint(format!("choose another name; the ID columns are {}", list(upstream.id_columns())))),
    }
}

/// Upstreams are joined on what all of them have.
fn common_ids(spec: &FeatureSpec, known: &[Upstream<'_>]) -> Result<()> {
    let [first, rest @ ..] = known else {
        return Ok(());
    };
    if first
        .input
        .iter()
        .any(|id| rest.iter().all(|upstream| upstream.input.contains(id)))
    {
        return Ok(());
    }
    let each = known
        .iter()
        .map(|upstream| format!("`{}` has {}", upstream.dep.feature, list(&upstream.input)));
    Err(invalid(format!(
        "feature `{}`: its upstreams have no ID column in common: {}",
        spec.key(),
        each.collect::<Vec<_>>().join(", ")
    ))
    .with_hint("rename ID columns so that they agree, or aggregate on a common one"))
}

/// Only ID columns may be common to two upstreams, of the columns that the dependencies name. Columns that no spec names are compared when
/// rows are read.
fn collisions(spec: &FeatureSpec, known: &[Upstream<'_>]) -> Result<()> {
    let mut owners: HashMap<&str, (&Upstream<'_>, bool)> = HashMap::new();
    for upstream in known {
        let mut own = HashSet::new();
        let columns = upstream.kept_ids().chain(named(upstream.dep));
        for name in columns {
            if !own.insert(name) {
                continue;
            }
            let is_id = upstream.ids.contains(name) || upstream.input.contains(name);
            match owners.get(name.as_str()) {
                Some((other, other_is_id)) if !(is_id && *other_is_id) => {
                    return Err(invalid(format!(
                        "feature `{}`: its upstreams `{}` and `{}` both have a column `{name}`",
                        spec.key(),
                        other.dep.feature,
                        upstream.dep.feature
                    ))
                    .with_hint("only ID columns may be common: rename the column in one dependency, or leave it out of `select`"));
                }
                Some(_) => {}
                None => {
                    owners.insert(name, (upstream, is_id));
                }
            }
        }
    }
    Ok(())
}

/// The columns that a dependency names and keeps.
fn named(dep: &FeatureDep) -> impl Iterator<Item = &String> {
    let all = dep.select.is_none();
    let renamed = dep
        .rename
        .iter()
        .flatten()
        .map(|(_, new)| new)
        .filter(move |_| all);
    dep.select.iter().flatten().chain(renamed)
}

fn list(columns: &[String]) -> String {
    columns
        .iter()
        .map(|column| format!("`{column}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
