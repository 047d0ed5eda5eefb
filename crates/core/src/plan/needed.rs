//! The columns that a relation needs of its inputs, and no others: engines limit how many columns a step may have.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::{Compare, Fold, Leader, Node, Relation, STORED_PREFIX, Scalar};
use crate::columns;
use crate::error::Result;

impl Relation {
    /// The relation with the same columns, whose steps have only those that a later step uses.
    ///
    /// ```
    /// use metaxy_core::plan::{Relation, Scan};
    /// # use std::sync::Arc;
    /// # use arrow::datatypes::{DataType, Field, Schema};
    /// # let of = |name| Field::new(name, DataType::Int64, true);
    /// # let schema = Arc::new(Schema::new(vec![of("id"), of("kind"), of("size")]));
    /// # let scan = Scan::all("a".parse()?);
    /// let relation = Relation::scan(scan, schema).count(vec!["kind".into()])?.with_needed_columns()?;
    /// assert_eq!(relation.inputs()[0].schema().fields().len(), 1);
    /// # Ok::<(), metaxy_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a step does not fit its input.
    pub fn with_needed_columns(&self) -> Result<Self> {
        let all = self.schema().fields().iter().map(|f| f.name().as_str());
        let narrowed = self.narrowed(&all.collect())?;
        match narrowed.schema() == self.schema() {
            true => Ok(narrowed),
            false => Ok(self.clone()),
        }
    }

    /// The relation with at least the columns `wanted`, in its own order.
    fn narrowed(&self, wanted: &HashSet<&str>) -> Result<Self> {
        let with = |further: Vec<&'_ str>| -> HashSet<String> {
            let all = wanted.iter().copied().chain(further);
            all.map(str::to_owned).collect()
        };
        let narrow = |input: &Self, names: &HashSet<String>| {
            input.narrowed(&names.iter().map(String::as_str).collect())
        };
        match self.node() {
            Node::Scan(scan) => Ok(Self::scan(scan.clone(), kept(self.schema(), wanted))),
            Node::Empty => Ok(Self::empty(kept(self.schema(), wanted))),
            // A frame has the columns that the caller gives it.
            Node::Frame(_) => Ok(self.clone()),
            Node::Filter { input, condition } => {
                narrow(input, &with(condition.inputs()))?.filter(condition.clone())
            }
            Node::Project { input, columns } => {
                let columns = columns
                    .iter()
                    .filter(|(name, _)| wanted.contains(name.as_str()));
                let columns: Vec<_> = columns.cloned().collect();
                let used = columns.iter().flat_map(|(_, value)| value.inputs());
                input.narrowed(&used.collect())?.project(columns)
            }
            Node::Join {
                left,
                right,
                on,
                kind,
            } => {
                let names = with(on.iter().map(String::as_str).collect());
                narrow(left, &names)?.join(narrow(right, &names)?, on.clone(), *kind)
            }
            Node::Fold(fold) => {
                let values = fold
                    .values
                    .iter()
                    .filter(|(name, _)| wanted.contains(name.as_str()));
                let values: Vec<_> = values.cloned().collect();
                let keys = fold.keys.iter().chain(&fold.order).map(String::as_str);
                let used = values.iter().flat_map(|(_, value)| value.inputs());
                Self::fold(Fold {
                    input: narrow(&fold.input, &with(keys.chain(used).collect()))?,
                    values: values.clone(),
                    ..fold.clone()
                })
            }
            Node::Leader(leader) => {
                let keys = leader
                    .keys
                    .iter()
                    .chain(&leader.order)
                    .chain([&leader.value]);
                let stamps = [columns::UPDATED_AT, columns::DELETED_AT];
                let used = keys.map(String::as_str).chain(stamps).collect();
                Self::leader(Leader {
                    input: narrow(&leader.input, &with(used))?,
                    ..leader.clone()
                })
            }
            Node::Compare(compare) => {
                let on = || compare.on.iter().map(String::as_str);
                let expected = on().chain([compare.expected_version.as_str()]);
                let mut stored: HashSet<&str> =
                    on().chain([compare.stored_version.as_str()]).collect();
                stored.extend(compare.stale_if.iter().flat_map(Scalar::inputs));
                if let Some(leader) = &compare.leader {
                    stored.extend([&leader.flag, &leader.value, &leader.own].map(String::as_str));
                }
                stored.extend(
                    wanted
                        .iter()
                        .filter_map(|name| name.strip_prefix(STORED_PREFIX)),
                );
                Self::compare(Compare {
                    expected: narrow(&compare.expected, &with(expected.collect()))?,
                    stored: compare.stored.narrowed(&stored)?,
                    ..compare.clone()
                })
            }
            Node::Count { input, by } => input
                .narrowed(&by.iter().map(String::as_str).collect())?
                .count(by.clone()),
            Node::Limit { input, rows } => Ok(input.narrowed(wanted)?.limit(*rows)),
        }
    }
}

fn kept(schema: &SchemaRef, wanted: &HashSet<&str>) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<_> = fields
        .filter(|f| wanted.contains(f.name().as_str()))
        .cloned()
        .collect();
    Arc::new(Schema::new(fields))
}
