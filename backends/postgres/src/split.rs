//! Plans whose hashes the server cannot compute, taken apart: what the server does, and what is left to do with its rows.
//!
//! Joins, filters, the latest row of each sample and the match with stored rows stay where the rows are. A hash becomes its parts, which
//! leave with the row and are hashed by our kernels, batch by batch; of a comparison, the rows that turn out to be unchanged are dropped
//! there. A step that needs a hash (a join on one, a count of some, the folds of groups) gets it from a temporary table: what comes before
//! the step is computed first, hashed on its way through, and loaded as a frame of the same transaction ([`Job`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use metaxy_core::plan::{
    Compare, Fold, HashPart, HashSpec, JoinKind, LABEL, Leader, Node, Nulls, Relation,
    STORED_PREFIX, Scalar,
};
use metaxy_core::{Error, ErrorKind, Result};

use crate::dialect::NATIVE;

/// A relation in two parts.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    /// What the server computes: the columns that are not hashed under their own names, and helpers.
    pub(crate) server: Relation,
    /// The columns of the whole, in order; those that are hashed, with what they are.
    pub(crate) columns: Vec<(String, Option<Arc<Hashing>>)>,
    pub(crate) schema: SchemaRef,
    pub(crate) recheck: Option<Recheck>,
    /// At most so many rows of what is left after the recheck.
    pub(crate) limit: Option<u64>,
}

/// A hash that is computed here.
#[derive(Debug)]
pub(crate) struct Hashing {
    pub(crate) spec: HashSpec,
    pub(crate) parts: Vec<Piece>,
}

/// A part of a hash.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(String),
    /// A column that the server sends.
    Column(String, Nulls),
    /// Another hash.
    Hash(Arc<Hashing>, Nulls),
}

/// Rows of a comparison that match, of which only their hash tells whether they changed.
#[derive(Debug, Clone)]
pub(crate) struct Recheck {
    /// The column of the label, as the server sees it: every match is stale.
    pub(crate) label: String,
    /// The column of the version that is stored.
    pub(crate) stored: String,
    /// The column that says whether a row is stale whatever its version.
    pub(crate) force: Option<String>,
    /// The version that is expected.
    pub(crate) expected: Arc<Hashing>,
}

/// Rows that are computed before the statement, and loaded as a frame.
#[derive(Debug)]
pub(crate) struct Job {
    /// The position of the frame.
    pub(crate) position: usize,
    pub(crate) split: Split,
    /// For the folds of groups: the name of the first value.
    pub(crate) fold: Option<String>,
}

/// Takes a relation apart; `frames` is the number of frames that it has. The jobs are to be done in their order.
///
/// # Errors
/// [`ErrorKind::Internal`], never in practice.
pub(crate) fn split(relation: &Relation, frames: usize) -> Result<(Split, Vec<Job>)> {
    let mut splitter = Splitter {
        frames,
        helpers: 0,
        jobs: Vec::new(),
    };
    let mut whole = splitter.split(relation)?;
    whole.server = whole.pruned()?;
    Ok((whole, splitter.jobs))
}

impl Split {
    fn direct(relation: Relation) -> Self {
        let names = relation.schema().fields().iter();
        Self {
            columns: names.map(|field| (field.name().clone(), None)).collect(),
            schema: relation.schema().clone(),
            server: relation,
            recheck: None,
            limit: None,
        }
    }

    /// Whether nothing is left to do here.
    pub(crate) fn is_direct(&self) -> bool {
        self.recheck.is_none() && self.limit.is_none() && self.hashed().next().is_none()
    }

    fn hashed(&self) -> impl Iterator<Item = (&str, &Arc<Hashing>)> {
        let columns = self.columns.iter();
        columns.filter_map(|(name, hash)| Some((name.as_str(), hash.as_ref()?)))
    }

    fn hash(&self, name: &str) -> Option<&Arc<Hashing>> {
        self.hashed()
            .find(|(known, _)| *known == name)
            .map(|(_, hash)| hash)
    }

    /// The columns that the server sends for what is left to do.
    fn helpers(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (_, hash) in self.hashed() {
            hash.columns(&mut names);
        }
        if let Some(recheck) = &self.recheck {
            recheck.expected.columns(&mut names);
            names.extend([recheck.label.clone(), recheck.stored.clone()]);
            names.extend(recheck.force.clone());
        }
        names
    }

    /// What the server computes, with no other columns than are used.
    fn pruned(&self) -> Result<Relation> {
        let direct = self.columns.iter().filter(|(_, hash)| hash.is_none());
        let mut names: Vec<String> = direct.map(|(name, _)| name.clone()).collect();
        let helpers = self.helpers().into_iter();
        let more: Vec<String> = helpers.filter(|helper| !names.contains(helper)).collect();
        names.extend(more);
        let sent = self
            .server
            .schema()
            .fields()
            .iter()
            .map(|field| field.name());
        match sent.eq(names.iter()) {
            true => Ok(self.server.clone()),
            false => self.server.clone().select(names.iter().map(String::as_str)),
        }
    }

    /// Only these columns.
    fn select(mut self, names: &[String]) -> Result<Self> {
        let wanted = names.iter().map(|name| {
            let column = self.columns.iter().find(|(known, _)| known == name);
            let field = self.schema.field_with_name(name)?.clone();
            let column = column.ok_or_else(|| internal(format!("no column {name:?} to split")))?;
            Ok((column.clone(), field))
        });
        let (columns, fields): (Vec<_>, Vec<_>) =
            wanted.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        self.columns = columns;
        self.schema = Arc::new(arrow::datatypes::Schema::new(fields));
        Ok(self)
    }
}

impl Hashing {
    /// Adds the columns that it needs.
    fn columns(&self, names: &mut BTreeSet<String>) {
        for part in &self.parts {
            match part {
                Piece::Text(_) => {}
                Piece::Column(name, _) => {
                    names.insert(name.clone());
                }
                Piece::Hash(hash, _) => hash.columns(names),
            }
        }
    }

    /// Whether it is null where all columns are.
    fn is_null_with_its_columns(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Piece::Column(_, nulls) => *nulls == Nulls::Propagate,
            Piece::Hash(hash, nulls) => {
                *nulls == Nulls::Propagate && hash.is_null_with_its_columns()
            }
            Piece::Text(_) => false,
        })
    }
}

struct Splitter {
    frames: usize,
    helpers: usize,
    jobs: Vec<Job>,
}

impl Splitter {
    fn split(&mut self, relation: &Relation) -> Result<Split> {
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
        let folded = Relation::fold(Fold {
            input: input.server.clone(),
            ..fold.clone()
        })?;
        if let (true, Some((first, _))) = (is_foreign(fold.hash), fold.values.first()) {
            self.fold_groups(fold, first, folded.clone())?;
        }
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

fn is_foreign(spec: HashSpec) -> bool {
    !NATIVE.contains(&spec.algorithm)
}

/// Whether something below is hashed by an algorithm that the server has not.
fn has_foreign_hashes(relation: &Relation) -> bool {
    let here = match relation.node() {
        Node::Project { columns, .. } => columns.iter().any(|(_, value)| is_foreign_hash(value)),
        Node::Filter { condition, .. } => is_foreign_hash(condition),
        Node::Fold(fold) => is_foreign(fold.hash),
        _ => false,
    };
    here || relation.inputs().into_iter().any(has_foreign_hashes)
}

fn is_foreign_hash(value: &Scalar) -> bool {
    match value {
        Scalar::Hash { spec, parts } => {
            is_foreign(*spec)
                || parts.iter().any(|part| match part {
                    HashPart::Text(_) => false,
                    HashPart::Value(value, _) => is_foreign_hash(value),
                })
        }
        _ => false,
    }
}

/// Whether a value is made of a hash that is not computed yet.
fn needs(value: &Scalar, input: &Split) -> bool {
    match value {
        Scalar::Column(name) | Scalar::Member { column: name, .. } => input.hash(name).is_some(),
        Scalar::Text(_) => false,
        Scalar::Test(expr) => expr
            .columns()
            .into_iter()
            .any(|name| input.hash(name).is_some()),
        Scalar::Hash { parts, .. } => parts.iter().any(|part| match part {
            HashPart::Text(_) => false,
            HashPart::Value(value, _) => needs(value, input),
        }),
    }
}

fn internal(message: String) -> Error {
    Error::new(ErrorKind::Internal, message)
}
