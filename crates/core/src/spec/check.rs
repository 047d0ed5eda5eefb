//! The rules that one spec can break on its own (`semantics.md` §1, §2 and §10, rows 42 and 44).

use std::collections::{HashMap, HashSet};

use crate::columns::SYSTEM_PREFIX;
use crate::error::{Error, ErrorKind, Result};
use crate::key::FeatureKey;
use crate::spec::{FeatureDep, FeatureSpec, FieldDeps};

pub(super) fn spec(spec: &FeatureSpec) -> Result<()> {
    id_columns(&spec.key, &spec.id_columns)?;
    fields(spec)?;
    let mut seen = HashSet::new();
    for dep in &spec.deps {
        let (key, upstream) = (&spec.key, &dep.feature);
        if upstream == key {
            return refuse(
                key,
                "it depends on itself",
                "a feature's upstreams are other features",
            );
        }
        if !seen.insert(upstream) {
            return refuse(
                key,
                format!("it depends on `{upstream}` twice"),
                "put what you need of it into one dependency, or a feature in between",
            );
        }
        dependency(key, dep)?;
    }
    Ok(())
}

pub(super) fn id_columns(key: &FeatureKey, columns: &[String]) -> Result<()> {
    if columns.is_empty() {
        return refuse(
            key,
            "it has no ID columns",
            "name the columns that identify a sample",
        );
    }
    names(key, "ID columns", columns)
}

/// Fields of a feature without deps depend on nothing. A placeholder may leave out the deps that its fields name: it stands for a
/// definition that is not ours to judge.
pub(crate) fn roots_depend_on_nothing(spec: &FeatureSpec) -> Result<()> {
    for field in &spec.fields {
        if let (true, FieldDeps::List(deps)) = (spec.is_root(), &field.deps)
            && let [dep, ..] = deps.as_slice()
        {
            return refuse(
                &spec.key,
                format!(
                    "field `{}` depends on `{}`, but the feature has no deps",
                    field.key, dep.feature
                ),
                "add the upstream feature to the feature's deps",
            );
        }
    }
    Ok(())
}

fn fields(spec: &FeatureSpec) -> Result<()> {
    let key = &spec.key;
    if spec.fields.is_empty() {
        return refuse(
            key,
            "it has no fields",
            "leave `fields` out to get the one field `default`",
        );
    }
    let mut seen = HashMap::new();
    for field in &spec.fields {
        let struct_key = field.key.struct_key();
        match seen.insert(struct_key.clone(), &field.key) {
            Some(other) if *other == field.key => {
                return refuse(
                    key,
                    format!("field `{other}` is defined twice"),
                    "remove one",
                );
            }
            Some(other) => {
                return refuse(
                    key,
                    format!(
                        "fields `{other}` and `{}` are both stored as `{struct_key}`",
                        field.key
                    ),
                    "rename one: `/` and `_` are the same in stored columns",
                );
            }
            None => {}
        }
    }
    Ok(())
}

fn dependency(key: &FeatureKey, dep: &FeatureDep) -> Result<()> {
    let upstream = &dep.feature;
    let renames = dep.rename.iter().flatten();
    let mut new_names: HashMap<&str, &str> = HashMap::new();
    for (old, new) in renames {
        let rename = format!("the rename of `{old}` to `{new}` in its dependency on `{upstream}`");
        if old.is_empty() || new.is_empty() {
            return refuse(
                key,
                format!("{rename} has an empty name"),
                "give both names",
            );
        }
        if old.starts_with(SYSTEM_PREFIX) {
            return refuse(
                key,
                format!("{rename} renames a system column"),
                "system columns of an upstream are not part of its data; leave it out",
            );
        }
        if new.starts_with(SYSTEM_PREFIX) {
            return refuse(
                key,
                format!("{rename} takes the name of a system column"),
                format!("choose a name that does not start with `{SYSTEM_PREFIX}`"),
            );
        }
        if let Some(other) = new_names.insert(new, old) {
            return refuse(
                key,
                format!("both `{other}` and `{old}` of `{upstream}` are renamed to `{new}`"),
                "give them different names",
            );
        }
    }
    let renamed_away = |name: &str| dep.renamed(name) != name && !new_names.contains_key(name);
    let uses = [
        ("select", dep.select.as_deref()),
        ("lineage", dep.lineage.on()),
    ];
    for (what, columns) in uses {
        let Some(columns) = columns else { continue };
        let place = format!("the columns of `{what}` in its dependency on `{upstream}`");
        if what == "lineage" && columns.is_empty() {
            return refuse(
                key,
                format!("{place} are none"),
                "name at least one column in `on`",
            );
        }
        names(key, &place, columns)?;
        if let Some(old) = columns.iter().find(|name| renamed_away(name)) {
            return refuse(
                key,
                format!(
                    "{place} name `{old}`, which is renamed to `{}`",
                    dep.renamed(old)
                ),
                "renames come first: use the new name",
            );
        }
    }
    Ok(())
}

/// Names of columns: none empty, repeated, or a system column's.
fn names(key: &FeatureKey, what: &str, columns: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    for column in columns {
        if column.is_empty() {
            return refuse(
                key,
                format!("{what} contain an empty name"),
                "give every column a name",
            );
        }
        if column.starts_with(SYSTEM_PREFIX) {
            return refuse(
                key,
                format!("{what} contain `{column}`"),
                format!(
                    "names that start with `{SYSTEM_PREFIX}` belong to the system; leave it out or rename it"
                ),
            );
        }
        if !seen.insert(column) {
            return refuse(
                key,
                format!("{what} contain `{column}` twice"),
                "name each column once",
            );
        }
    }
    Ok(())
}

fn refuse(key: &FeatureKey, why: impl std::fmt::Display, hint: impl Into<String>) -> Result<()> {
    Err(Error::new(
        ErrorKind::InvalidDefinition,
        format!("feature `{key}`: {why}"),
    )
    .with_hint(hint))
}
