//! The algebra: what a store asks of a backend.
//!
//! A [`Relation`] is a tree of a few kinds of nodes over tables of samples, each of which knows the
//! schema of its rows. A [`Plan`] is a relation and the frames that the caller hands in. Plans are
//! built by [`read`](read_current) and [`Increment`](IncrementPlan); backends only run them.
//!
//! | node | rows | columns |
//! |---|---|---|
//! | [`Scan`](Node::Scan) | a stored table, of one feature version or all, the latest per key or all | the table's |
//! | [`Frame`](Node::Frame) | a frame of the caller | the frame's |
//! | [`Empty`](Node::Empty) | none | as given |
//! | [`Filter`](Node::Filter) | those for which a condition is true | unchanged |
//! | [`Project`](Node::Project) | unchanged | computed |
//! | [`Join`](Node::Join) | inner, left or full, on columns of equal names | the shared ones once, then left, then right |
//! | [`Fold`](Node::Fold) | unchanged | plus one folded version per group and value |
//! | [`Leader`](Node::Leader) | unchanged | plus the most recently written row's value and a flag |
//! | [`Compare`](Node::Compare) | expected meets stored: new, stale and orphaned | a label, the expected, the stored |
//! | [`Count`](Node::Count) | one per distinct value | the value and how often |
//! | [`Limit`](Node::Limit) | the first few | unchanged |

mod display;
mod expected;
mod increment;
mod matching;
mod needed;
mod read;
mod rewrite;
mod scalar;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use crate::hash::Nulls;
pub use expected::member_column;
pub use expected::{Expected, Upstream};
pub(crate) use expected::{INTERNAL, is_internal};
pub use increment::{IncrementPlan, LABEL, Label, Part, STORED_PREFIX, SplitBatch};
pub use matching::matching_type;
pub use read::{Childless, ReadOptions, ReadScope, read_current};
pub use scalar::{HashPart, HashSpec, Scalar};

use crate::cast::is_text;
use crate::clock::Micros;
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::key::FeatureKey;

/// A relation and the frames it refers to by position.
#[derive(Debug)]
pub struct Plan {
    /// What to compute.
    pub relation: Relation,
    /// What [`Node::Frame`] refers to; each is read once.
    pub frames: Vec<Frame>,
}

impl From<Relation> for Plan {
    /// A plan over stored tables only.
    fn from(relation: Relation) -> Self {
        Self {
            relation,
            frames: Vec::new(),
        }
    }
}

/// Rows that a backend can compute, and their schema. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Relation {
    node: Arc<Node>,
    schema: SchemaRef,
}

/// One step of a [`Relation`].
#[derive(Debug)]
pub enum Node {
    /// Rows of a stored table.
    Scan(Scan),
    /// Rows of the frame at this position of [`Plan::frames`].
    Frame(usize),
    /// No rows.
    Empty,
    /// The rows for which the condition is true (neither false nor null).
    Filter {
        /// Where the rows come from.
        input: Relation,
        /// A scalar of type Boolean.
        condition: Scalar,
    },
    /// Every row, with these columns and no others.
    Project {
        /// Where the rows come from.
        input: Relation,
        /// Name and value of each column.
        columns: Vec<(String, Scalar)>,
    },
    /// Pairs of rows that agree in the columns `on`. Null agrees with nothing.
    Join {
        /// The left rows.
        left: Relation,
        /// The right rows. Apart from `on`, no column has the name of a left one.
        right: Relation,
        /// Columns of equal name and type on both sides; in the result the left value, or else the
        /// right one.
        on: Vec<String>,
        /// What happens to rows without a partner.
        kind: JoinKind,
    },
    /// Every row, with the versions of its group folded into one hash (`semantics.md` §4,
    /// aggregation).
    Fold(Fold),
    /// Every row, with what the most recently written row of its group says.
    Leader(Leader),
    /// Expected rows meet stored ones (`semantics.md` §6).
    Compare(Compare),
    /// How many rows have each combination of values: these columns, then `count` (Int64).
    Count {
        /// Where the rows come from.
        input: Relation,
        /// The columns; none gives one row, always.
        by: Vec<String>,
    },
    /// At most `rows` rows, whichever come first.
    Limit {
        /// Where the rows come from.
        input: Relation,
        /// How many.
        rows: u64,
    },
}

/// What happens to rows without a partner in a [`Node::Join`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// They are left out.
    Inner,
    /// Left ones are kept, with nulls on the right.
    Left,
    /// All are kept.
    Full,
}

/// Rows of a stored table ([`Node::Scan`]).
#[derive(Debug, Clone)]
pub struct Scan {
    /// Whose table.
    pub table: FeatureKey,
    /// Only rows of this feature version.
    pub feature_version: Option<String>,
    /// Only rows whose stamp, `coalesce(metaxy_deleted_at, metaxy_updated_at)`, is at or before.
    pub as_of: Option<Micros>,
    /// Only the row with the latest stamp for each combination of these columns, among the rows
    /// that the other restrictions leave; of equal stamps, the one that was stored later.
    pub latest_per: Option<Vec<String>>,
}

impl Scan {
    /// All rows of the table.
    #[must_use]
    pub fn all(table: FeatureKey) -> Self {
        Self {
            table,
            feature_version: None,
            as_of: None,
            latest_per: None,
        }
    }

    /// Makes sure that a table with the columns `schema` has those that this looks at.
    fn require_columns(&self, schema: &Schema) -> Result<()> {
        if self.feature_version.is_some() {
            let is_text = |data_type: &DataType| data_type.is_null() || is_text(data_type);
            self.require(schema, columns::FEATURE_VERSION, "text", is_text)?;
        }
        if self.as_of.is_some() || self.latest_per.is_some() {
            for stamp in [columns::UPDATED_AT, columns::DELETED_AT] {
                self.require_time(schema, stamp)?;
            }
        }
        for id in self.latest_per.iter().flatten() {
            self.require(schema, id, "an ID", |_| true)?;
        }
        Ok(())
    }

    fn require_time(&self, schema: &Schema, name: &str) -> Result<()> {
        // A column without any value may be of no type.
        let is_time =
            |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, _) | DataType::Null);
        self.require(schema, name, "a time", is_time)
    }

    fn require(
        &self,
        schema: &Schema,
        name: &str,
        what: &str,
        is_such: impl FnOnce(&DataType) -> bool,
    ) -> Result<()> {
        let has = match schema.field_with_name(name) {
            Ok(field) if is_such(field.data_type()) => return Ok(()),
            Ok(field) => format!("has {name:?}, which is {what}, as {}", field.data_type()),
            Err(_) => format!("has no column {name:?}, which is {what}"),
        };
        let problem = format!("the table of feature {} {has}", self.table);
        Err(Error::new(ErrorKind::Corrupt, problem).with_hint(
            "another program has changed the table: give it the column again, or drop the feature and write it anew",
        ))
    }
}

/// Folds versions per group ([`Node::Fold`]): the group's values ordered by `order` (ascending, nulls
/// first), nulls left out, joined with `|` and hashed.
#[derive(Debug, Clone)]
pub struct Fold {
    /// Where the rows come from.
    pub input: Relation,
    /// The columns that make a group. Null is a value like any other.
    pub keys: Vec<String>,
    /// The order within a group.
    pub order: Vec<String>,
    /// Name of each new column (Utf8), and the text that is folded into it.
    pub values: Vec<(String, Scalar)>,
    /// How it is hashed.
    pub hash: HashSpec,
}

/// What the most recently written row of each group says ([`Node::Leader`]): the row with the greatest
/// stamp `coalesce(metaxy_deleted_at, metaxy_updated_at)`; of equal ones the first by `order`.
#[derive(Debug, Clone)]
pub struct Leader {
    /// Where the rows come from; has the stamp's columns.
    pub input: Relation,
    /// The columns that make a group.
    pub keys: Vec<String>,
    /// What decides between equal stamps.
    pub order: Vec<String>,
    /// The column whose value in the leading row is wanted.
    pub value: String,
    /// The name of the new column with that value.
    pub value_name: String,
    /// The name of the new Boolean column: whether this row leads.
    pub flag_name: String,
}

/// Expected rows meet stored ones ([`Node::Compare`]), matched on `on`; null matches nothing.
///
/// The result has the column [`LABEL`] (Int8, a [`Label`]), the expected columns (null for orphaned
/// rows), and the stored ones under [`STORED_PREFIX`] + name (null for new rows; for stale rows an engine
/// may leave them null, apart from the stored version and the feature version, as only orphaned rows are taken from them). Unchanged
/// rows are left out.
#[derive(Debug, Clone)]
pub struct Compare {
    /// The rows that should be there.
    pub expected: Relation,
    /// The rows that are there.
    pub stored: Relation,
    /// The columns that identify a row on both sides.
    pub on: Vec<String>,
    /// The expected column that is compared (null equals null).
    pub expected_version: String,
    /// The stored column that it is compared with.
    pub stored_version: String,
    /// A condition on the stored row that makes its match stale all the same.
    pub stale_if: Option<Scalar>,
    /// For stored rows of which several match one expected row: whether this one speaks for them
    /// ([`Leader`]), and the version it has. The others are orphaned if theirs differs, otherwise
    /// left out.
    pub leader: Option<LeaderColumns>,
}

/// The columns of the stored side that a [`Leader`] made.
#[derive(Debug, Clone)]
pub struct LeaderColumns {
    /// Boolean: this row leads its group.
    pub flag: String,
    /// The leading row's version.
    pub value: String,
    /// This row's own version.
    pub own: String,
}

impl Relation {
    /// The step that yields the rows.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The columns of the rows.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of a stored table whose columns are `schema`.
    #[must_use]
    pub fn scan(scan: Scan, schema: SchemaRef) -> Self {
        Self::of(Node::Scan(scan), schema)
    }

    /// Rows of a table that a store has with the columns `schema`: a store may have been changed by others.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the table lacks a column that the scan looks at, or has it with another type.
    pub fn stored(scan: Scan, schema: SchemaRef) -> Result<Self> {
        scan.require_columns(&schema)?;
        Ok(Self::scan(scan, schema))
    }

    /// Rows of the frame at `position`, whose columns are `schema`.
    #[must_use]
    pub fn frame(position: usize, schema: SchemaRef) -> Self {
        Self::of(Node::Frame(position), schema)
    }

    /// No rows.
    #[must_use]
    pub fn empty(schema: SchemaRef) -> Self {
        Self::of(Node::Empty, schema)
    }

    /// The rows for which `condition` is true.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if it is not a Boolean over these columns.
    pub fn filter(self, condition: Scalar) -> Result<Self> {
        match condition.data_type(&self.schema)? {
            DataType::Boolean => {}
            other => return Err(internal(format!("a filter of type {other}"))),
        }
        let schema = self.schema.clone();
        Ok(Self::of(
            Node::Filter {
                input: self,
                condition,
            },
            schema,
        ))
    }

    /// Every row with these columns.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if a value is not defined over the columns, or two share a name.
    pub fn project(self, columns: Vec<(String, Scalar)>) -> Result<Self> {
        let fields = columns
            .iter()
            .map(|(name, value)| Ok(Field::new(name, value.data_type(&self.schema)?, true)))
            .collect::<Result<Vec<_>>>()?;
        let schema = unique(fields)?;
        Ok(Self::of(
            Node::Project {
                input: self,
                columns,
            },
            schema,
        ))
    }

    /// Every row with these of its columns.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if one does not exist.
    pub fn select<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        self.project(
            names
                .into_iter()
                .map(|name| (name.to_owned(), Scalar::column(name)))
                .collect(),
        )
    }

    /// The pairs of rows that agree in the columns `on`. Where the types of a shared column differ, both sides are converted first, so that
    /// a [`Node::Join`] has equal ones: integers of all widths and signs match as numbers, dictionaries as their values, zoned times as
    /// moments, times in other units as the finer one. The column then has the wider type.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if the types of a shared column never match, naming both.
    pub fn join(self, right: Self, on: Vec<String>, kind: JoinKind) -> Result<Self> {
        let mut matched = Vec::new();
        let mut joined = Vec::new();
        for name in &on {
            let (left, as_type) = (self.field(name)?, matched_as(&self, &right, name)?);
            let becomes = matching::joined_type(left.data_type(), &as_type, kind);
            if becomes != as_type {
                joined.push((name.clone(), becomes));
            }
            matched.push((name.clone(), as_type));
        }
        let (left, right) = (self.converted(&matched)?, right.converted(&matched)?);
        left.join_equal(right, on, kind)?.converted(&joined)
    }

    fn field(&self, name: &str) -> Result<&Field> {
        Ok(self.schema.field_with_name(name)?)
    }

    /// The rows with these columns of these types, which hold their values.
    pub fn converted(self, types: &[(String, DataType)]) -> Result<Self> {
        let mut changes = false;
        let fields = self.schema.fields().iter();
        let columns = fields.map(|field| {
            let name = field.name();
            let wanted = types.iter().find(|(known, _)| known == name);
            let wanted = wanted.filter(|(_, data_type)| data_type != field.data_type());
            let value = match wanted {
                Some((_, data_type)) => {
                    changes = true;
                    Scalar::converted(name, data_type.clone())
                }
                None => Scalar::column(name),
            };
            (name.clone(), value)
        });
        let columns = columns.collect();
        match changes {
            true => self.project(columns),
            false => Ok(self),
        }
    }

    fn join_equal(self, right: Self, on: Vec<String>, kind: JoinKind) -> Result<Self> {
        let rest = |side: &Self| -> Vec<Field> {
            side.schema
                .fields()
                .iter()
                .filter(|f| !on.contains(f.name()))
                .map(|f| f.as_ref().clone())
                .collect()
        };
        let shared = on
            .iter()
            .map(|name| Ok(self.schema.field_with_name(name)?.clone()))
            .collect::<Result<Vec<_>>>()?;
        let schema = unique([shared, rest(&self), rest(&right)].concat())?;
        Ok(Self::of(
            Node::Join {
                left: self,
                right,
                on,
                kind,
            },
            schema,
        ))
    }

    /// Adds folded versions; see [`Fold`].
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if a column does not exist.
    pub fn fold(fold: Fold) -> Result<Self> {
        let mut fields = plain_fields(&fold.input);
        for (name, value) in &fold.values {
            value.data_type(&fold.input.schema)?;
            fields.push(Field::new(name, DataType::Utf8, true));
        }
        for name in fold.keys.iter().chain(&fold.order) {
            fold.input.schema.field_with_name(name)?;
        }
        let schema = unique(fields)?;
        Ok(Self::of(Node::Fold(fold), schema))
    }

    /// Adds what the leading row of each group says; see [`Leader`].
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if a column does not exist.
    pub fn leader(leader: Leader) -> Result<Self> {
        let mut fields = plain_fields(&leader.input);
        for name in leader.keys.iter().chain(&leader.order) {
            leader.input.schema.field_with_name(name)?;
        }
        let value = leader.input.schema.field_with_name(&leader.value)?;
        fields.push(Field::new(
            &leader.value_name,
            value.data_type().clone(),
            true,
        ));
        fields.push(Field::new(&leader.flag_name, DataType::Boolean, true));
        let schema = unique(fields)?;
        Ok(Self::of(Node::Leader(leader), schema))
    }

    /// Labels expected and stored rows; see [`Compare`]. [`IncrementPlan::new`] gives both sides equal types where they differ.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] if the types of an identifying column differ, naming both.
    pub fn compare(compare: Compare) -> Result<Self> {
        for name in &compare.on {
            let (expected, stored) = (compare.expected.field(name)?, compare.stored.field(name)?);
            let (expected, stored) = (expected.data_type(), stored.data_type());
            if expected != stored {
                return Err(no_match(name, expected, stored));
            }
        }
        let mut fields = vec![Field::new(LABEL, DataType::Int8, false)];
        fields.extend(plain_fields(&compare.expected));
        fields.extend(plain_fields(&compare.stored).into_iter().map(|f| {
            let name = format!("{STORED_PREFIX}{}", f.name());
            f.with_name(name)
        }));
        let schema = unique(fields)?;
        Ok(Self::of(Node::Compare(compare), schema))
    }

    /// Counts rows per combination of values.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if a column does not exist.
    pub fn count(self, by: Vec<String>) -> Result<Self> {
        let mut fields = by
            .iter()
            .map(|name| Ok(self.schema.field_with_name(name)?.clone()))
            .collect::<Result<Vec<_>>>()?;
        fields.push(Field::new("count", DataType::Int64, false));
        let schema = unique(fields)?;
        Ok(Self::of(Node::Count { input: self, by }, schema))
    }

    /// The first `rows` rows.
    #[must_use]
    pub fn limit(self, rows: u64) -> Self {
        let schema = self.schema.clone();
        Self::of(Node::Limit { input: self, rows }, schema)
    }

    /// The inputs of this step, left to right.
    #[must_use]
    pub fn inputs(&self) -> Vec<&Relation> {
        match &*self.node {
            Node::Scan(_) | Node::Frame(_) | Node::Empty => Vec::new(),
            Node::Filter { input, .. }
            | Node::Project { input, .. }
            | Node::Count { input, .. }
            | Node::Limit { input, .. } => vec![input],
            Node::Fold(fold) => vec![&fold.input],
            Node::Leader(leader) => vec![&leader.input],
            Node::Join { left, right, .. } => vec![left, right],
            Node::Compare(compare) => vec![&compare.expected, &compare.stored],
        }
    }

    /// The frames that the relation refers to: each position once, with its columns, in the order of the positions.
    #[must_use]
    pub fn frames(&self) -> BTreeMap<usize, SchemaRef> {
        let mut frames = BTreeMap::new();
        let mut left = vec![self];
        while let Some(relation) = left.pop() {
            if let Node::Frame(position) = &*relation.node {
                frames.insert(*position, relation.schema.clone());
            }
            left.extend(relation.inputs());
        }
        frames
    }

    /// Calls `visit` for every stored table that the relation reads, with the columns that it reads of it.
    pub fn scans<'a>(&'a self, visit: &mut impl FnMut(&'a Scan, &'a SchemaRef)) {
        if let Node::Scan(scan) = &*self.node {
            visit(scan, &self.schema);
        }
        for input in self.inputs() {
            input.scans(visit);
        }
    }

    fn of(node: Node, schema: SchemaRef) -> Self {
        Self {
            node: Arc::new(node),
            schema,
        }
    }
}

fn plain_fields(relation: &Relation) -> Vec<Field> {
    relation
        .schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_nullable(true))
        .collect()
}

/// The type that a column of both sides is compared as.
pub(crate) fn matched_as(left: &Relation, right: &Relation, name: &str) -> Result<DataType> {
    let (left, right) = (left.field(name)?, right.field(name)?);
    matching_type(left.data_type(), right.data_type())
        .ok_or_else(|| no_match(name, left.data_type(), right.data_type()))
}

fn no_match(name: &str, left: &DataType, right: &DataType) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "column {name:?} is {left} on one side and {right} on the other, so rows cannot be matched on it"
        ),
    )
    .with_hint("write it with one type in all features that share it")
}

/// The columns of a step. Joins and comparisons leave nulls, whatever the frames of a caller promise.
fn unique(fields: Vec<Field>) -> Result<SchemaRef> {
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = fields.iter().find(|f| !seen.insert(f.name().clone())) {
        return Err(internal(format!(
            "two columns named {:?} in one relation",
            twice.name()
        )));
    }
    let nullable = fields.into_iter().map(|f| f.with_nullable(true));
    Ok(Arc::new(Schema::new(nullable.collect::<Vec<_>>())))
}

/// An error that nobody should ever see: a plan that was put together wrongly.
#[must_use]
pub fn internal(message: String) -> Error {
    Error::new(ErrorKind::Internal, message)
}
