//! The steps of a relation, each taken apart.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use metaxy_core::Result;
use metaxy_core::plan::{
    Compare, Fold, HashPart, HashSpec, JoinKind, LABEL, Leader, Node, Nulls, Relation,
    STORED_PREFIX, Scalar,
};

use super::{Hashing, Job, Piece, Recheck, Split, has_foreign_hashes, internal, is_foreign, needs};

/// Takes a relation apart, from its leaves up.
pub(super) struct Splitter {
    pub(super) frames: usize,
    pub(super) helpers: usize,
    pub(super) jobs: Vec<Job>,
}

impl Splitter {
    pub(super) fn split(&mut self, relation: &Relation) -> Result<Split> {
        if !has_foreign_hashes(relation) {
            return Ok(Split::direct(relation.clone()));
        }
        match relation.node() {
            Node::Scan(_) | Node::Frame(_) | Node::Empty => Ok(Split::direct(relation.clone())),
            Node::Filter { input, condition } => {
                let input = self.whole(input)?;
                let mut input = match needs(condition, &input) {
                    true => self.settled(input)?,
                    false => input,
                };
                input.server = input.server.filter(condition.clone())?;
                Ok(input)
            }
            Node::Project { input, columns } => {
                let input = self.whole(input)?;
                self.project(input, columns, relation.schema())
            }
            Node::Join {
                left,
                right,
                on,
                kind,
            } => self.join(left, right, on, *kind, relation.schema()),
            Node::Fold(fold) => self.fold(fold),
            Node::Leader(leader) => self.leader(leader, relation.schema()),
            Node::Compare(compare) => self.compare(compare, relation.schema()),
            Node::Count { input, by } => {
                let input = self.split(input)?.select(by)?;
                let input = self.settled(input)?;
                Ok(Split::direct(input.server.count(by.clone())?))
            }
            Node::Limit { input, rows } => {
                let mut input = self.whole(input)?;
                match input.recheck {
                    Some(_) => input.limit = Some(*rows),
                    None => input.server = input.server.limit(*rows),
                }
                Ok(input)
            }
        }
    }

    /// The input of a step: what was limited here is limited before.
    fn whole(&mut self, input: &Relation) -> Result<Split> {
        let input = self.split(input)?;
        match input.limit {
            Some(_) => self.settled(input),
            None => Ok(input),
        }
    }

    /// The rows themselves, with all hashes: as they are, if there are none, otherwise as a frame that a job loads.
    fn settled(&mut self, input: Split) -> Result<Split> {
        if input.is_direct() {
            let server = input.pruned()?;
            return Ok(Split { server, ..input });
        }
        let schema = input.schema.clone();
        let position = self.job(input, None)?;
        Ok(Split::direct(Relation::frame(position, schema)))
    }

    fn job(&mut self, mut split: Split, fold: Option<String>) -> Result<usize> {
        let position = self.frames;
        self.frames += 1;
        split.server = split.pruned()?;
        self.jobs.push(Job {
            position,
            split,
            fold,
        });
        Ok(position)
    }

    /// The rows with all hashes if one of `names` is one.
    fn without_hashes(&mut self, input: Split, names: &[String]) -> Result<Split> {
        let hashed = names.iter().any(|name| input.hash(name).is_some());
        match hashed || input.recheck.is_some() {
            true => self.settled(input),
            false => Ok(input),
        }
    }

    /// The rows with all hashes if one of them is something where the row is missing from an outer join.
    fn nullable(&mut self, input: Split) -> Result<Split> {
        let fits = input
            .hashed()
            .all(|(_, hash)| hash.is_null_with_its_columns());
        match fits {
            true => Ok(input),
            false => self.settled(input),
        }
    }

    fn helper(&mut self) -> String {
        self.helpers += 1;
        format!("__mx.h{}", self.helpers)
    }

    fn project(
        &mut self,
        input: Split,
        columns: &[(String, Scalar)],
        schema: &SchemaRef,
    ) -> Result<Split> {
        let is_hash = |value: &Scalar| matches!(value, Scalar::Column(_) | Scalar::Hash { .. });
        let broken = columns
            .iter()
            .any(|(_, value)| !is_hash(value) && needs(value, &input));
        let input = match broken {
            true => self.settled(input)?,
            false => input,
        };
        let mut sent: Vec<(String, Scalar)> = Vec::new();
        let mut helpers: Vec<(Scalar, String)> = Vec::new();
        let mut whole = Vec::new();
        for (name, value) in columns {
            let hash = match value {
                Scalar::Column(from) => input.hash(from).cloned(),
                Scalar::Hash { spec, parts } if is_foreign(*spec) || needs(value, &input) => Some(
                    Arc::new(self.hashing(*spec, parts, &input, &mut helpers)?),
                ),
                _ => None,
            };
            if hash.is_none() {
                sent.push((name.clone(), value.clone()));
            }
            whole.push((name.clone(), hash));
        }
        sent.extend(helpers.into_iter().map(|(value, name)| (name, value)));
        let mut split = Split {
            server: input.server,
            columns: whole,
            schema: schema.clone(),
            recheck: input.recheck,
            limit: None,
        };
        for helper in split.helpers() {
            if !sent.iter().any(|(name, _)| *name == helper) {
                sent.push((helper.clone(), Scalar::Column(helper)));
            }
        }
        split.server = split.server.project(sent)?;
        Ok(split)
    }

    fn hashing(
        &mut self,
        spec: HashSpec,
        parts: &[HashPart],
        input: &Split,
        helpers: &mut Vec<(Scalar, String)>,
    ) -> Result<Hashing> {
        let parts = parts.iter().map(|part| match part {
            HashPart::Text(text) => Ok(Piece::Text(text.clone())),
            HashPart::Value(Scalar::Column(name), nulls) if input.hash(name).is_some() => {
                let hash = input
                    .hash(name)
                    .ok_or_else(|| internal("a hash is gone".into()))?;
                Ok(Piece::Hash(hash.clone(), *nulls))
            }
            HashPart::Value(Scalar::Hash { spec, parts }, nulls) => {
                let inner = self.hashing(*spec, parts, input, helpers)?;
                Ok(Piece::Hash(Arc::new(inner), *nulls))
            }
            HashPart::Value(value, nulls) => {
                let known = helpers.iter().find(|(known, _)| known == value);
                let name = match known {
                    Some((_, name)) => name.clone(),
                    None => {
                        let name = self.helper();
                        helpers.push((value.clone(), name.clone()));
                        name
                    }
                };
                Ok(Piece::Column(name, *nulls))
            }
        });
        let parts = parts.collect::<Result<_>>()?;
        Ok(Hashing { spec, parts })
    }

    fn join(
        &mut self,
        left: &Relation,
        right: &Relation,
        on: &[String],
        kind: JoinKind,
        schema: &SchemaRef,
    ) -> Result<Split> {
        let (left, right) = (self.whole(left)?, self.whole(right)?);
        let left = self.without_hashes(left, on)?;
        let right = self.without_hashes(right, on)?;
        let left = match kind {
            JoinKind::Full => self.nullable(left)?,
            JoinKind::Inner | JoinKind::Left => left,
        };
        let right = match kind {
            JoinKind::Inner => right,
            JoinKind::Left | JoinKind::Full => self.nullable(right)?,
        };
        let hash = |name: &str| left.hash(name).or_else(|| right.hash(name)).cloned();
        let names = schema.fields().iter().map(|field| field.name().clone());
        let columns = names.map(|name| (name.clone(), hash(&name))).collect();
        // What the server sends besides must not be there twice.
        let sides = (left.pruned()?, right.pruned()?);
        Ok(Split {
            server: sides.0.join(sides.1, on.to_vec(), kind)?,
            columns,
            schema: schema.clone(),
            recheck: None,
            limit: None,
        })
    }

    fn fold(&mut self, fold: &Fold) -> Result<Split> {
        let input = self.whole(&fold.input)?;
        let broken = fold.values.iter().any(|(_, value)| needs(value, &input));
        let names = [fold.keys.as_slice(), fold.order.as_slice()].concat();
        let input = match broken {
            true => self.settled(input)?,
            false => self.without_hashes(input, &names)?,
        };
        let mut renamed = Fold {
            input: input.server.clone(),
            ..fold.clone()
        };
        let folded = match (is_foreign(fold.hash), renamed.values.first_mut()) {
            (true, Some((first, _))) => {
                // What tells the fold from all others of the statement, also from one whose columns have the same names.
                let name = std::mem::replace(first, format!("__mx.fold{}", self.frames));
                let unique = first.clone();
                let folded = Relation::fold(renamed.clone())?;
                self.fold_groups(&renamed, &unique, folded.clone())?;
                let fields = folded.schema().fields().iter();
                let columns = fields.map(|field| match *field.name() == unique {
                    true => (name.clone(), Scalar::column(&unique)),
                    false => (field.name().clone(), Scalar::column(field.name())),
                });
                folded.clone().project(columns.collect())?
            }
            _ => Relation::fold(renamed)?,
        };
        let mut columns = input.columns;
        columns.extend(fold.values.iter().map(|(name, _)| (name.clone(), None)));
        let mut fields: Vec<_> = input.schema.fields().iter().cloned().collect();
        let values = fold.values.iter().map(|(name, _)| name.as_str());
        for name in values {
            fields.push(Arc::new(folded.schema().field_with_name(name)?.clone()));
        }
        Ok(Split {
            server: folded,
            columns,
            schema: Arc::new(arrow::datatypes::Schema::new(fields)),
            recheck: None,
            limit: None,
        })
    }

    /// A job for the folds of the groups: the keys of each once, and the texts that are hashed on their way through.
    fn fold_groups(&mut self, fold: &Fold, first: &str, folded: Relation) -> Result<()> {
        // Under other names for a while: a count has a column of its own.
        let keys = fold.keys.iter().enumerate();
        let keys: Vec<(String, String)> = keys
            .map(|(i, key)| (format!("__mx.k{i}"), key.clone()))
            .collect();
        let values = fold.values.iter().map(|(name, _)| name.clone());
        let names: Vec<String> = keys
            .iter()
            .map(|(name, _)| name.clone())
            .chain(values)
            .collect();
        let there = keys
            .iter()
            .map(|(name, key)| (name.clone(), Scalar::column(key)));
        let same = fold
            .values
            .iter()
            .map(|(name, _)| (name.clone(), Scalar::column(name)));
        let groups = folded
            .project(there.chain(same).collect())?
            .count(names.clone())?
            .select(names.iter().map(String::as_str))?;
        let parts = fold.values.iter().map(|(name, _)| {
            let text = Scalar::column(name);
            let parts = vec![HashPart::Value(text, Nulls::Propagate)];
            let hash = Scalar::Hash {
                spec: fold.hash,
                parts,
            };
            (name.clone(), hash)
        });
        let kept = keys
            .iter()
            .map(|(name, _)| (name.clone(), Scalar::column(name)));
        let columns: Vec<_> = kept.chain(parts).collect();
        let schema = groups.schema().clone();
        let hashed = self.project(Split::direct(groups), &columns, &schema)?;
        self.job(hashed, Some(first.to_owned()))?;
        Ok(())
    }

    fn leader(&mut self, leader: &Leader, schema: &SchemaRef) -> Result<Split> {
        let input = self.whole(&leader.input)?;
        let names = [
            leader.keys.as_slice(),
            leader.order.as_slice(),
            std::slice::from_ref(&leader.value),
        ];
        let input = self.without_hashes(input, &names.concat())?;
        let mut columns = input.columns;
        for name in [&leader.value_name, &leader.flag_name] {
            columns.push((name.clone(), None));
        }
        Ok(Split {
            server: Relation::leader(Leader {
                input: input.server,
                ..leader.clone()
            })?,
            columns,
            schema: schema.clone(),
            recheck: None,
            limit: None,
        })
    }

    fn compare(&mut self, compare: &Compare, schema: &SchemaRef) -> Result<Split> {
        let expected = self.whole(&compare.expected)?;
        let expected = self.without_hashes(expected, &compare.on)?;
        let stored = self.whole(&compare.stored)?;
        let stored = self.settled(stored)?;
        let Some(version) = expected.hash(&compare.expected_version).cloned() else {
            let expected = self.nullable(expected)?;
            let server = Relation::compare(Compare {
                expected: expected.pruned()?,
                stored: stored.server,
                ..compare.clone()
            })?;
            return Ok(Split {
                server,
                columns: of_expected(schema, &expected),
                schema: schema.clone(),
                recheck: None,
                limit: None,
            });
        };
        let unknown = (
            compare.expected_version.clone(),
            Scalar::Text(UNKNOWN.into()),
        );
        let mut columns = every_column(&expected.pruned()?);
        columns.push(unknown);
        let left = expected.pruned()?.project(columns)?;
        let (label, version_column) = (self.helper(), self.helper());
        let force = compare
            .stale_if
            .as_ref()
            .map(|stale| (self.helper(), stale.clone()));
        let right = match &force {
            None => stored.server,
            Some(force) => {
                let mut columns = every_column(&stored.server);
                columns.push(force.clone());
                stored.server.project(columns)?
            }
        };
        let compared = Relation::compare(Compare {
            expected: left,
            stored: right,
            stale_if: None,
            ..compare.clone()
        })?;
        let of_stored = |name: &str| Scalar::Column(format!("{STORED_PREFIX}{name}"));
        let mut columns = every_column(&compared);
        columns.push((label.clone(), Scalar::column(LABEL)));
        columns.push((version_column.clone(), of_stored(&compare.stored_version)));
        if let Some((name, _)) = &force {
            columns.push((name.clone(), of_stored(name)));
        }
        Ok(Split {
            server: compared.project(columns)?,
            columns: of_expected(schema, &expected),
            schema: schema.clone(),
            recheck: Some(Recheck {
                label,
                stored: version_column,
                force: force.map(|(name, _)| name),
                expected: version,
            }),
            limit: None,
        })
    }
}

/// What stands for a version that is not known yet: no stored version is the same.
const UNKNOWN: &str = "\u{1}";

/// The columns of a comparison; hashes are those of the expected side.
fn of_expected(schema: &SchemaRef, expected: &Split) -> Vec<(String, Option<Arc<Hashing>>)> {
    let names = schema.fields().iter().map(|field| field.name().clone());
    names
        .map(|name| (name.clone(), expected.hash(&name).cloned()))
        .collect()
}

fn every_column(relation: &Relation) -> Vec<(String, Scalar)> {
    let fields = relation.schema().fields().iter();
    fields
        .map(|field| (field.name().clone(), Scalar::column(field.name())))
        .collect()
}
