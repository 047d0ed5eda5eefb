//! One statement for one relation.
//!
//! Each node becomes a query block: columns over a FROM clause, with conditions. Filters and projections
//! extend the block of their input where that computes nothing twice; everything else closes it into
//! a subquery. The columns of subqueries are `c0`, `c1`, …: most engines ignore case in names, and two upstreams may have
//! columns that differ in nothing else.

use std::collections::HashMap;
use std::fmt::Write;

use arrow::datatypes::{DataType, SchemaRef};

use super::block::{Block, Column, ROW, column_at, equal, named, over, placed};
use super::condition::condition;
use super::dialect::{Dialect, HashArg, Matching, Replacing, quote};
use crate::clock::Micros;
use crate::columns;
use crate::error::Result;
use crate::expr::Value;
use crate::plan::{Fold, HashPart, JoinKind, Leader, Node, Relation, Scalar, Scan, internal};

/// The statement that computes `relation`: its columns have the names and the order of the relation's
/// schema.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare what a filter compares.
pub fn render(relation: &Relation, dialect: &dyn Dialect) -> Result<String> {
    let mut renderer = Renderer {
        dialect,
        aliases: 0,
        scans: 0,
        shared: Vec::new(),
    };
    let block = renderer.relation(relation)?;
    let sql = block.select(relation.schema(), |_, name| quote(name), false)?;
    Ok(match renderer.shared.as_slice() {
        [] => sql,
        shared => format!("WITH {} {sql}", shared.join(", ")),
    })
}

/// A scan of which the latest rows are kept.
struct Latest<'a> {
    scan: &'a Scan,
    /// The columns that identify a sample.
    keys: &'a [String],
    replacing: Replacing,
    /// The rows of the scan.
    alias: &'a str,
    /// The rows that may replace them.
    other: &'a str,
}

/// What renders one statement.
pub(super) struct Renderer<'a> {
    pub(super) dialect: &'a dyn Dialect,
    aliases: usize,
    /// How many scans there are so far.
    scans: usize,
    /// Subqueries that the statement uses more than once.
    shared: Vec<String>,
}

impl Renderer<'_> {
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    pub(super) fn relation(&mut self, relation: &Relation) -> Result<Block> {
        match relation.node() {
            Node::Scan(scan) => Ok(self.scan(scan, relation.schema())),
            Node::Frame(position) => {
                let alias = self.alias();
                let from = format!("{} AS {alias}", self.dialect.frame(*position));
                let mut block = over(from, &alias, relation.schema(), placed);
                block.row = self.dialect.frame_row(&alias);
                Ok(block)
            }
            Node::Empty => Ok(self.empty(relation.schema())),
            Node::Filter { input, condition } => {
                let mut block = self.relation(input)?;
                if !block.tail.is_empty() || block.windowed || uses_costly(condition, &block) {
                    block = self.close(block, input.schema(), "")?;
                }
                let sql = self.scalar(condition, input.schema(), &block)?;
                block.conditions.push(sql);
                Ok(block)
            }
            Node::Project { input, columns } => self.project(input, columns),
            Node::Join {
                left,
                right,
                on,
                kind,
            } => self.join(left, right, on, *kind, relation.schema()),
            Node::Fold(fold) => self.fold(fold),
            Node::Leader(leader) => self.leader(leader),
            Node::Compare(compare) => self.compare(compare, relation.schema()),
            Node::Count { input, by } => self.count(input, by, relation.schema()),
            Node::Limit { input, rows } => {
                let block = self.relation(input)?;
                let mut block = self.close(block, input.schema(), "")?;
                block.tail = format!(" LIMIT {rows}");
                Ok(block)
            }
        }
    }

    /// Makes a block a subquery, so that its columns are plain names.
    pub(super) fn close(
        &mut self,
        block: Block,
        schema: &SchemaRef,
        barrier: &str,
    ) -> Result<Block> {
        let alias = self.alias();
        let from = format!("({}{barrier}) AS {alias}", block.inner(schema)?);
        let mut closed = over(from, &alias, schema, placed);
        closed.row = block.row.map(|_| format!("{alias}.{ROW}"));
        // No engine looks through a limit or a window.
        if barrier.is_empty() && block.tail.is_empty() && !block.windowed {
            closed.tables = block.tables;
        }
        Ok(closed)
    }

    pub(super) fn closed(&mut self, relation: &Relation) -> Result<Block> {
        let block = self.relation(relation)?;
        self.close(block, relation.schema(), "")
    }

    fn scan(&mut self, scan: &Scan, schema: &SchemaRef) -> Block {
        let alias = self.alias();
        let table = self.dialect.source(&scan.table, self.scans == 0);
        self.scans += 1;
        let mut block = over(format!("{table} AS {alias}"), &alias, schema, named);
        block.row = Some(self.dialect.row_order(&scan.table, &alias));
        block.conditions = self.restrictions(scan, &alias);
        if let Some(keys) = &scan.latest_per {
            let other = self.alias();
            let latest = Latest {
                scan,
                keys,
                replacing: self.dialect.replacing(scan, &other),
                alias: &alias,
                other: &other,
            };
            match (&latest.replacing, self.dialect.groups()) {
                (Replacing::None, _) => {}
                (_, true) => self.keep_latest_of_groups(&latest, &mut block),
                (_, false) => self.search_for_later(&latest, &mut block),
            }
        }
        block
    }

    /// Leaves out a row if there is a later one.
    fn search_for_later(&self, latest: &Latest<'_>, block: &mut Block) {
        let Latest {
            scan, alias, other, ..
        } = latest;
        let same_keys = latest.keys.iter();
        let mut conditions: Vec<String> = same_keys
            .map(|key| format!("{other}.{0} = {alias}.{0}", quote(key)))
            .collect();
        conditions.extend(self.restrictions(scan, other));
        conditions.extend(latest.replacing.condition());
        conditions.push(format!(
            "({}, {}) > ({}, {})",
            stamp(other),
            self.dialect.row_order(&scan.table, other),
            stamp(alias),
            self.dialect.row_order(&scan.table, alias)
        ));
        block.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM {} AS {other} WHERE {})",
            self.dialect.source(&scan.table, false),
            conditions.join(" AND ")
        ));
    }

    /// Groups the rows, and where there are several keeps the latest. Few keys have several, so what is joined is small.
    fn keep_latest_of_groups(&mut self, latest: &Latest<'_>, block: &mut Block) {
        let Latest {
            scan, alias, other, ..
        } = latest;
        let several = self.alias();
        let order = |alias: &str| {
            let row = self.dialect.row_order(&scan.table, alias);
            self.dialect.write_order(&stamp(alias), &row)
        };
        let mut list = Vec::new();
        let mut on = Vec::new();
        for (i, key) in latest.keys.iter().enumerate() {
            let key = quote(key);
            list.push(format!("{other}.{key} AS {}", column_at(i)));
            on.push(format!("{alias}.{key} = {several}.{}", column_at(i)));
        }
        let last = column_at(latest.keys.len());
        list.push(format!("MAX({}) AS {last}", order(other)));
        let mut sql = format!(
            "SELECT {} FROM {} AS {other}",
            list.join(", "),
            self.dialect.source(&scan.table, false)
        );
        let mut conditions = self.restrictions(scan, other);
        let condition = latest.replacing.condition();
        let having = match condition {
            // What is left of a group replaces a row that is not in it.
            Some(_) => "",
            None => " HAVING COUNT(*) > 1",
        };
        conditions.extend(condition);
        if !conditions.is_empty() {
            let _ = write!(sql, " WHERE {}", conditions.join(" AND "));
        }
        if latest.keys.is_empty() {
            on.push("1 = 1".into());
        } else {
            let _ = write!(sql, " GROUP BY {}", positions(latest.keys.len()));
        }
        let _ = write!(
            block.from,
            " LEFT JOIN ({sql}{having}) AS {several} ON {}",
            on.join(" AND ")
        );
        // Most rows have no group, and are kept without comparing.
        let kept = format!("{} = {several}.{last}", order(alias));
        let yes = self.dialect.boolean(true);
        block.conditions.push(format!(
            "({several}.{last} IS NULL OR COALESCE({kept}, {yes}))"
        ));
    }

    fn restrictions(&self, scan: &Scan, alias: &str) -> Vec<String> {
        let mut conditions = Vec::new();
        if let Some(version) = &scan.feature_version {
            conditions.push(format!(
                "{alias}.{} = {}",
                quote(columns::FEATURE_VERSION),
                self.dialect.text(version)
            ));
        }
        if let Some(as_of) = scan.as_of {
            conditions.push(format!("{} <= {}", stamp(alias), self.instant(as_of)));
        }
        conditions
    }

    fn instant(&self, micros: Micros) -> String {
        let stamp =
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
        self.dialect
            .literal(&Value::Timestamp(micros), Some(&stamp))
            .unwrap_or_else(|_| micros.to_string())
    }

    fn empty(&mut self, schema: &SchemaRef) -> Block {
        let mut block = Block {
            from: "(SELECT 1) AS none".into(),
            conditions: vec!["1 = 0".into()],
            columns: HashMap::new(),
            row: None,
            tail: String::new(),
            windowed: false,
            tables: 1,
        };
        for field in schema.fields() {
            let sql = self.dialect.null(field.data_type());
            block
                .columns
                .insert(field.name().clone(), Column::cheap(sql));
        }
        block
    }

    fn project(&mut self, input: &Relation, columns: &[(String, Scalar)]) -> Result<Block> {
        let mut block = self.relation(input)?;
        // What is costly is computed once: behind a barrier, then referred to by name.
        if !block.tail.is_empty() || columns.iter().any(|(_, value)| uses_costly(value, &block)) {
            let barrier = if block.tail.is_empty() {
                self.dialect.barrier()
            } else {
                ""
            };
            block = self.close(block, input.schema(), barrier)?;
        }
        let rendered = columns
            .iter()
            .map(|(name, value)| {
                let column = match value {
                    Scalar::Column(from) => block
                        .columns
                        .get(from)
                        .cloned()
                        .ok_or_else(|| internal(format!("no column {from:?} to render")))?,
                    _ => Column {
                        sql: self.scalar(value, input.schema(), &block)?,
                        costly: matches!(value, Scalar::Hash { .. }),
                    },
                };
                Ok((name.clone(), column))
            })
            .collect::<Result<_>>()?;
        block.columns = rendered;
        Ok(block)
    }

    pub(super) fn scalar(
        &self,
        scalar: &Scalar,
        schema: &SchemaRef,
        block: &Block,
    ) -> Result<String> {
        Ok(match scalar {
            Scalar::Column(name) => block.column(name)?,
            Scalar::Text(text) => self.dialect.text(text),
            Scalar::Member { column, member } => {
                let field = schema.field_with_name(column)?;
                self.dialect
                    .member(&block.column(column)?, field.data_type(), member)
            }
            Scalar::Converted { column, data_type } => {
                let field = schema.field_with_name(column)?;
                let sql = block.column(column)?;
                self.dialect.converted(&sql, field.data_type(), data_type)
            }
            Scalar::Test(filter) => {
                condition(filter, schema, &|name| block.column(name), self.dialect)?
            }
            Scalar::Hash { spec, parts } => {
                let parts = parts
                    .iter()
                    .map(|part| self.hash_arg(part, schema, block))
                    .collect::<Result<Vec<_>>>()?;
                self.dialect.hash(*spec, &parts)
            }
        })
    }

    fn hash_arg(&self, part: &HashPart, schema: &SchemaRef, block: &Block) -> Result<HashArg> {
        Ok(match part {
            HashPart::Text(text) => HashArg::Text(text.clone()),
            HashPart::Value(Scalar::Member { column, member }, nulls) => HashArg::Member {
                data_type: schema.field_with_name(column)?.data_type().clone(),
                column: block.column(column)?,
                member: member.clone(),
                nulls: *nulls,
            },
            HashPart::Value(value, nulls) => {
                HashArg::Value(self.scalar(value, schema, block)?, *nulls)
            }
        })
    }

    fn join(
        &mut self,
        left: &Relation,
        right: &Relation,
        on: &[String],
        kind: JoinKind,
        schema: &SchemaRef,
    ) -> Result<Block> {
        if kind == JoinKind::Full && never_meet(left, right, on) {
            return self.one_after_the_other(left, right, on, schema);
        }
        if kind == JoinKind::Full && matches!(self.dialect.matching(), Matching::Marks(_)) {
            return self.full_join_in_two_arms(left, right, on, schema);
        }
        let (l, r) = (self.one_side(left)?, self.one_side(right)?);
        Self::joined(&l, &r, on, kind)
    }

    fn joined(l: &Block, r: &Block, on: &[String], kind: JoinKind) -> Result<Block> {
        let word = match kind {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Full => "FULL JOIN",
        };
        let from = format!("{} {word} {} ON {}", l.from, r.from, equal(l, r, on)?);
        let mut block = Block {
            from,
            conditions: Vec::new(),
            columns: r.columns.clone(),
            row: None,
            tail: String::new(),
            windowed: false,
            tables: l.tables + r.tables,
        };
        block.columns.extend(l.columns.clone());
        if kind == JoinKind::Full {
            for name in on {
                let sql = format!("COALESCE({}, {})", l.column(name)?, r.column(name)?);
                block.columns.insert(name.clone(), Column::cheap(sql));
            }
        }
        Ok(block)
    }

    /// A full join in which no row has a partner. An engine that compares all with all to find that out never ends.
    fn one_after_the_other(
        &mut self,
        left: &Relation,
        right: &Relation,
        on: &[String],
        schema: &SchemaRef,
    ) -> Result<Block> {
        let mut arms = Vec::new();
        for (own, other) in [(left, right), (right, left)] {
            let mut arm = self.closed(own)?;
            self.lacks(&mut arm, other, on);
            arms.push(arm.arm(schema)?);
        }
        Ok(self.union(&arms, schema))
    }

    /// Gives the rows of one side of a join nulls in the columns of the other one.
    fn lacks(&self, side: &mut Block, other: &Relation, on: &[String]) {
        let fields = other.schema().fields().iter();
        for field in fields.filter(|field| !on.contains(field.name())) {
            let null = Column::cheap(self.dialect.null(field.data_type()));
            side.columns.insert(field.name().clone(), null);
        }
    }

    /// The rows of several statements, one after the other.
    pub(super) fn union(&mut self, arms: &[String], schema: &SchemaRef) -> Block {
        let (union, alias) = (arms.join(" UNION ALL "), self.alias());
        over(format!("({union}) AS {alias}"), &alias, schema, placed)
    }

    /// A side of a join: one of many tables behind a barrier, where the engine joins only so many at once.
    fn one_side(&mut self, relation: &Relation) -> Result<Block> {
        let block = self.relation(relation)?;
        let barrier = match 2 * block.tables > self.dialect.joined_at_most() {
            true => self.dialect.barrier(),
            false => "",
        };
        self.close(block, relation.schema(), barrier)
    }

    fn full_join_in_two_arms(
        &mut self,
        left: &Relation,
        right: &Relation,
        on: &[String],
        schema: &SchemaRef,
    ) -> Result<Block> {
        // What is itself in two arms would be there twice each time.
        let sides = match is_in_two_arms(left) {
            true => {
                let name = self.share(left)?;
                [(); 2].map(|()| {
                    let alias = self.alias();
                    Ok(over(
                        format!("{name} AS {alias}"),
                        &alias,
                        left.schema(),
                        placed,
                    ))
                })
            }
            false => [self.one_side(left), self.closed(left)],
        };
        let [once, again] = sides;
        let (once, l) = (once?, again?);
        let first = Self::joined(&once, &self.one_side(right)?, on, JoinKind::Left)?;
        let mut r = self.closed(right)?;
        r.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM {} WHERE {})",
            l.from,
            equal(&l, &r, on)?
        ));
        self.lacks(&mut r, left, on);
        Ok(self.union(&[first.arm(schema)?, r.arm(schema)?], schema))
    }

    /// Makes the rows of a relation a subquery that is computed once; returns its name.
    fn share(&mut self, relation: &Relation) -> Result<String> {
        let block = self.relation(relation)?;
        let (name, sql) = (
            format!("m{}", self.shared.len()),
            block.inner(relation.schema())?,
        );
        self.shared.push(format!("{name} AS MATERIALIZED ({sql})"));
        Ok(name)
    }

    fn fold(&mut self, fold: &Fold) -> Result<Block> {
        if self.dialect.groups_folds() {
            return self.fold_groups(fold);
        }
        let mut block = self.closed(&fold.input)?;
        let window = self.window(&block, &fold.input, &fold.keys, &fold.order, "")?;
        let over = format!("({window} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)");
        let folded = fold
            .values
            .iter()
            .map(|(name, value)| {
                let value = self.scalar(value, fold.input.schema(), &block)?;
                let sql = self.dialect.fold(fold.hash, &value, &over);
                Ok((name.clone(), Column { sql, costly: true }))
            })
            .collect::<Result<Vec<_>>>()?;
        block.columns.extend(folded);
        block.windowed = true;
        Ok(block)
    }

    /// The folds of the groups, joined to the rows: a fold is as long as its group, so it is not computed beside each row.
    fn fold_groups(&mut self, fold: &Fold) -> Result<Block> {
        let mut block = self.closed(&fold.input)?;
        let members = self.closed(&fold.input)?;
        let order = self.ordered(&members, &fold.input, &fold.order)?;
        let folds = self.alias();
        let mut list = Vec::new();
        let mut on = Vec::new();
        for (i, key) in fold.keys.iter().enumerate() {
            let data_type = fold.input.schema().field_with_name(key)?.data_type();
            let place = column_at(i);
            list.push(format!("{} AS {place}", members.column(key)?));
            let same = format!("{folds}.{place}");
            let key = block.column(key)?;
            on.push(self.dialect.same(&key, &same, data_type));
        }
        for (i, (name, value)) in fold.values.iter().enumerate() {
            let value = self.scalar(value, fold.input.schema(), &members)?;
            let place = column_at(fold.keys.len() + i);
            let sql = self.dialect.fold(fold.hash, &value, &order);
            list.push(format!("{sql} AS {place}"));
            let folded = Column::cheap(format!("{folds}.{place}"));
            block.columns.insert(name.clone(), folded);
        }
        if list.is_empty() {
            return Ok(block);
        }
        let mut sql = format!("(SELECT {} FROM {}", list.join(", "), members.from);
        if fold.keys.is_empty() {
            on.push("1 = 1".into());
        } else {
            let _ = write!(sql, " GROUP BY {}", positions(fold.keys.len()));
        }
        sql.push(')');
        let sql = self.dialect.folded(fold).unwrap_or(sql);
        let _ = write!(block.from, " JOIN {sql} AS {folds} ON {}", on.join(" AND "));
        Ok(block)
    }

    fn leader(&mut self, leader: &Leader) -> Result<Block> {
        let mut block = self.closed(&leader.input)?;
        let latest = format!(
            "COALESCE({}, {}) DESC, ",
            block.column(columns::DELETED_AT)?,
            block.column(columns::UPDATED_AT)?
        );
        let window = self.window(&block, &leader.input, &leader.keys, &leader.order, &latest)?;
        let value = format!(
            "FIRST_VALUE({}) OVER ({window})",
            block.column(&leader.value)?
        );
        let flag = format!("(ROW_NUMBER() OVER ({window}) = 1)");
        for (name, sql) in [(&leader.value_name, value), (&leader.flag_name, flag)] {
            block
                .columns
                .insert(name.clone(), Column { sql, costly: true });
        }
        block.windowed = true;
        Ok(block)
    }

    fn window(
        &self,
        block: &Block,
        input: &Relation,
        keys: &[String],
        order: &[String],
        first: &str,
    ) -> Result<String> {
        let keys = keys
            .iter()
            .map(|name| block.column(name))
            .collect::<Result<Vec<_>>>()?;
        Ok(format!(
            "PARTITION BY {} ORDER BY {first}{}",
            keys.join(", "),
            self.ordered(block, input, order)?
        ))
    }

    /// The order within a group of rows of `input`.
    fn ordered(&self, block: &Block, input: &Relation, names: &[String]) -> Result<String> {
        let columns = names
            .iter()
            .map(|name| {
                let data_type = input.schema().field_with_name(name)?.data_type();
                let column = self.dialect.ordering(&block.column(name)?, data_type);
                Ok(format!("{column} ASC NULLS FIRST"))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(columns.join(", "))
    }

    fn count(&mut self, input: &Relation, by: &[String], schema: &SchemaRef) -> Result<Block> {
        let mut block = self.closed(input)?;
        let mut list = Vec::new();
        for (i, name) in by.iter().enumerate() {
            list.push(format!("{} AS {}", block.column(name)?, column_at(i)));
        }
        list.push(format!("COUNT(*) AS {}", column_at(by.len())));
        block.columns.clear();
        let alias = self.alias();
        let mut sql = format!("SELECT {} FROM {}", list.join(", "), block.from);
        if !by.is_empty() {
            let _ = write!(sql, " GROUP BY {}", positions(by.len()));
        }
        Ok(over(format!("({sql}) AS {alias}"), &alias, schema, placed))
    }
}

/// Whether there is a full join in a relation, for an engine that has none.
fn is_in_two_arms(relation: &Relation) -> bool {
    let is_full = matches!(
        relation.node(),
        Node::Join {
            kind: JoinKind::Full,
            ..
        }
    );
    is_full || relation.inputs().into_iter().any(is_in_two_arms)
}

/// The first columns of a SELECT, to group by.
fn positions(columns: usize) -> String {
    let positions: Vec<String> = (1..=columns).map(|i| i.to_string()).collect();
    positions.join(", ")
}

fn stamp(alias: &str) -> String {
    format!(
        "COALESCE({alias}.{}, {alias}.{})",
        quote(columns::DELETED_AT),
        quote(columns::UPDATED_AT)
    )
}

fn uses_costly(scalar: &Scalar, block: &Block) -> bool {
    let costly = |name: &str| block.columns.get(name).is_some_and(|c| c.costly);
    match scalar {
        // A column that is only passed on is not computed a second time.
        Scalar::Column(_) | Scalar::Text(_) => false,
        Scalar::Member { column, .. } | Scalar::Converted { column, .. } => costly(column),
        Scalar::Test(filter) => filter.columns().into_iter().any(costly),
        Scalar::Hash { parts, .. } => parts.iter().any(|part| match part {
            HashPart::Text(_) => false,
            HashPart::Value(Scalar::Column(name), _) => costly(name),
            HashPart::Value(value, _) => uses_costly(value, block),
        }),
    }
}

/// Whether the plan itself says that no row of one side has a partner on the other: a column on which they are joined has other texts there.
fn never_meet(left: &Relation, right: &Relation, on: &[String]) -> bool {
    on.iter()
        .any(|name| match (texts(left, name), texts(right, name)) {
            (Some(left), Some(right)) => left.iter().all(|text| !right.contains(text)),
            _ => false,
        })
}

/// The texts that a column may have, where the plan tells them.
fn texts<'r>(relation: &'r Relation, name: &str) -> Option<Vec<&'r str>> {
    match relation.node() {
        Node::Project { columns, .. } => {
            match columns.iter().find(|(column, _)| column == name)? {
                (_, Scalar::Text(text)) => Some(vec![text]),
                _ => None,
            }
        }
        Node::Join {
            left,
            right,
            on,
            kind: JoinKind::Full,
        } if on.iter().any(|column| column == name) => {
            let (left, right) = (texts(left, name)?, texts(right, name)?);
            Some([left, right].concat())
        }
        _ => None,
    }
}
