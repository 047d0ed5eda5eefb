//! Rewriting relations: for engines that run some steps otherwise, and for tests.

use super::{Compare, Fold, JoinKind, Leader, Node, Relation};
use crate::error::Result;

impl Relation {
    /// The relation with every step replaced by what `change` makes of it, inputs before the steps that use them.
    ///
    /// A step that comes back unchanged is kept. What `change` returns must have the columns that the next step uses.
    ///
    /// ```
    /// use metaxy_core::plan::{Node, Relation, Scan};
    /// # use std::sync::Arc;
    /// # use arrow::datatypes::{DataType, Field, Schema};
    /// # let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    /// # let scan = Scan::all("a".parse()?);
    /// // Every limit is taken away.
    /// let relation = Relation::scan(scan, schema).limit(3).count(Vec::new())?;
    /// let all = relation.rewrite(&mut |step| match step.node() {
    ///     Node::Limit { input, .. } => Ok(input.clone()),
    ///     _ => Ok(step),
    /// })?;
    /// assert!(matches!(all.inputs()[0].node(), Node::Scan(_)));
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `change` fails with, and [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a step does not fit its new input.
    pub fn rewrite(&self, change: &mut dyn FnMut(Relation) -> Result<Relation>) -> Result<Self> {
        let step = match self.node() {
            Node::Scan(_) | Node::Frame(_) | Node::Empty => self.clone(),
            Node::Filter { input, condition } => {
                input.rewrite(change)?.filter(condition.clone())?
            }
            Node::Project { input, columns } => input.rewrite(change)?.project(columns.clone())?,
            Node::Join {
                left,
                right,
                on,
                kind,
            } => {
                let kind: JoinKind = *kind;
                let (left, right) = (left.rewrite(change)?, right.rewrite(change)?);
                left.join(right, on.clone(), kind)?
            }
            Node::Fold(fold) => Self::fold(Fold {
                input: fold.input.rewrite(change)?,
                ..fold.clone()
            })?,
            Node::Leader(leader) => Self::leader(Leader {
                input: leader.input.rewrite(change)?,
                ..leader.clone()
            })?,
            Node::Compare(compare) => Self::compare(Compare {
                expected: compare.expected.rewrite(change)?,
                stored: compare.stored.rewrite(change)?,
                ..compare.clone()
            })?,
            Node::Count { input, by } => input.rewrite(change)?.count(by.clone())?,
            Node::Limit { input, rows } => input.rewrite(change)?.limit(*rows),
        };
        change(step)
    }
}
