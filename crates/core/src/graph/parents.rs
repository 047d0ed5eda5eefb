//! Which upstream fields a field depends on: its own word, or else the mappings of the dependencies (`semantics.md` §2).

use std::collections::{HashMap, HashSet};

use crate::error::{Error, ErrorKind, Result, nearest};
use crate::graph::feature_plan::ParentField;
use crate::key::{FeatureKey, FieldKey};
use crate::spec::{FeatureSpec, FieldDep, FieldDeps, FieldSelection, FieldSpec, FieldsMapping};

/// Answers for the fields of one feature all of whose upstreams are known.
pub(crate) struct Parents<'a> {
    spec: &'a FeatureSpec,
    /// Beside the dependencies, in their order.
    upstreams: Vec<Upstream<'a>>,
    positions: HashMap<&'a FeatureKey, usize>,
}

struct Upstream<'a> {
    spec: &'a FeatureSpec,
    fields: HashSet<&'a FieldKey>,
    excluded: HashSet<&'a FieldKey>,
}

impl<'a> Parents<'a> {
    /// `upstreams` are the specs of the dependencies of `spec`, in their order.
    pub(crate) fn new(spec: &'a FeatureSpec, upstreams: Vec<&'a FeatureSpec>) -> Self {
        let upstreams = spec
            .deps()
            .iter()
            .zip(upstreams)
            .map(|(dep, upstream)| Upstream {
                spec: upstream,
                fields: upstream.fields().iter().map(|field| &field.key).collect(),
                excluded: match &dep.fields_mapping {
                    FieldsMapping::Default { exclude_fields, .. } => {
                        exclude_fields.iter().collect()
                    }
                    _ => HashSet::new(),
                },
            });
        let positions = spec
            .deps()
            .iter()
            .enumerate()
            .rev()
            .map(|(i, dep)| (&dep.feature, i));
        Self {
            spec,
            upstreams: upstreams.collect(),
            positions: positions.collect(),
        }
    }

    /// The fields that `field` depends on, each once, ordered by `feature/key.field/key`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDefinition`] when it names what does not exist, or ends up with none.
    pub(crate) fn of(&self, field: &'a FieldSpec) -> Result<Vec<ParentField>> {
        if self.spec.is_root() {
            return Ok(Vec::new());
        }
        let mut found: Vec<(usize, &FieldKey)> = Vec::new();
        match &field.deps {
            FieldDeps::List(deps) if !deps.is_empty() => {
                for dep in deps {
                    self.named(field, dep, &mut found)?;
                }
            }
            FieldDeps::All => {
                for dep in 0..self.upstreams.len() {
                    self.all(dep, &mut found);
                }
            }
            FieldDeps::None | FieldDeps::List(_) => {
                for dep in 0..self.upstreams.len() {
                    self.mapped(field, dep, &mut found);
                }
            }
        }
        if found.is_empty() {
            return Err(self
                .invalid(field, "depends on no upstream field")
                .with_hint("name upstream fields in the field's deps, or give a dependency a fields mapping that matches it"));
        }
        let parent = |(dep, field): (usize, &FieldKey)| ParentField {
            feature: self.upstreams[dep].spec.key().clone(),
            field: field.clone(),
            dep,
        };
        let mut parents: Vec<ParentField> = found.into_iter().map(parent).collect();
        // Compared as one string: `.` sorts between `-` and `/`.
        parents.sort_by(|a, b| bytes(a).cmp(bytes(b)));
        parents.dedup_by(|a, b| a.feature == b.feature && a.field == b.field);
        Ok(parents)
    }

    fn named(
        &self,
        field: &FieldSpec,
        dep: &'a FieldDep,
        found: &mut Vec<(usize, &'a FieldKey)>,
    ) -> Result<()> {
        let Some(position) = self.positions.get(&dep.feature).copied() else {
            let hint = match nearest(
                dep.feature.as_str(),
                self.positions.keys().map(|key| key.as_str()),
            ) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{}` to the feature's deps", dep.feature),
            };
            let why = format!(
                "depends on fields of `{}`, which is not among the feature's deps",
                dep.feature
            );
            return Err(self.invalid(field, &why).with_hint(hint));
        };
        let FieldSelection::Only(keys) = &dep.fields else {
            self.all(position, found);
            return Ok(());
        };
        let upstream = &self.upstreams[position];
        for key in keys {
            if !upstream.fields.contains(key) {
                let known = || {
                    upstream
                        .spec
                        .fields()
                        .iter()
                        .map(|field| field.key.as_str())
                };
                let hint = match nearest(key.as_str(), known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "its fields: {}",
                        known().take(10).collect::<Vec<_>>().join(", ")
                    ),
                };
                let why = format!(
                    "depends on the field `{key}` of `{}`, which has no such field",
                    dep.feature
                );
                return Err(self.invalid(field, &why).with_hint(hint));
            }
            found.push((position, key));
        }
        Ok(())
    }

    fn all(&self, dep: usize, found: &mut Vec<(usize, &'a FieldKey)>) {
        found.extend(
            self.upstreams[dep]
                .spec
                .fields()
                .iter()
                .map(|field| (dep, &field.key)),
        );
    }

    /// What the mapping of a dependency gives to a field that names nothing itself.
    fn mapped(&self, field: &'a FieldSpec, dep: usize, found: &mut Vec<(usize, &'a FieldKey)>) {
        let upstream = &self.upstreams[dep];
        match &self.spec.deps()[dep].fields_mapping {
            FieldsMapping::All => self.all(dep, found),
            FieldsMapping::None => {}
            FieldsMapping::Specific(mapping) => {
                let listed = mapping.get(&field.key).into_iter().flatten();
                found.extend(
                    listed
                        .filter(|key| upstream.fields.contains(key))
                        .map(|key| (dep, key)),
                );
            }
            FieldsMapping::Default { match_suffix, .. } => {
                let before = found.len();
                let allowed = |key: &&FieldKey| !upstream.excluded.contains(*key);
                let fields = || {
                    upstream
                        .spec
                        .fields()
                        .iter()
                        .map(|field| &field.key)
                        .filter(allowed)
                };
                if *match_suffix {
                    found.extend(
                        fields()
                            .filter(|key| key.ends_with(&field.key))
                            .map(|key| (dep, key)),
                    );
                } else if upstream.fields.contains(&field.key) && allowed(&&field.key) {
                    found.push((dep, &field.key));
                }
                if found.len() == before {
                    found.extend(fields().map(|key| (dep, key)));
                }
            }
        }
    }

    fn invalid(&self, field: &FieldSpec, why: &str) -> Error {
        let message = format!("feature `{}`: field `{}` {why}", self.spec.key(), field.key);
        Error::new(ErrorKind::InvalidDefinition, message)
    }
}

fn bytes(parent: &ParentField) -> impl Iterator<Item = u8> {
    parent
        .feature
        .as_str()
        .bytes()
        .chain([b'.'])
        .chain(parent.field.as_str().bytes())
}
