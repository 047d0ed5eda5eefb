//! The rules that a definition can break together with others of its graph (`semantics.md` §1, §2 and §10, rows 14, 43, 45).

use std::collections::{HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result};
use crate::feature_plan::{input_id_columns, renamed_id_columns};
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
    pub(super) fn across(&self, spec: &FeatureSpec) -> Result<()> {
        let mut known = Vec::with_capacity(spec.deps().len());
        for dep in spec.deps() {
            filters(spec, dep)?;
            if let Some(entry) = self.entries.get(&dep.feature) {
                let upstream = &entry.definition.spec;
                renames(spec, dep, upstream)?;
                known.push(Upstream {
                    dep,
                    ids: renamed_id_columns(dep, upstream),
                    input: input_id_columns(spec, dep, upstream),
                });
            }
        }
        common_ids(spec, &known)?;
        collisions(spec, &known)
    }
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

/// Only ID columns may be common to two upstreams. Columns that no spec names are compared when rows are read.
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
