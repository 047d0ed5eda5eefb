//! Plans whose hashes the server cannot compute, taken apart: what the server does, and what is left to do with its rows.
//!
//! Joins, filters, the latest row of each sample and the match with stored rows stay where the rows are. A hash becomes its parts, which
//! leave with the row and are hashed by our kernels, batch by batch; of a comparison, the rows that turn out to be unchanged are dropped
//! there. A step that needs a hash (a join on one, a count of some, the folds of groups) gets it from a temporary table: what comes before
//! the step is computed first, hashed on its way through, and loaded as a frame of the same transaction ([`Job`]).

mod steps;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use metaxy_core::plan::{HashPart, HashSpec, Node, Nulls, Relation, Scalar};
use metaxy_core::{Error, ErrorKind, Result};

use self::steps::Splitter;
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
    /// For the folds of groups: the name of the first value, which no other fold has.
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
        Scalar::Column(name)
        | Scalar::Member { column: name, .. }
        | Scalar::Converted { column: name, .. } => input.hash(name).is_some(),
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
