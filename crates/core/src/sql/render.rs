//! One statement for one relation.
//!
//! Each node becomes a query block: columns over a FROM clause, with conditions. Filters and projections
//! extend the block of their input where that computes nothing twice; everything else closes it into
//! a subquery. The columns of subqueries are `c0`, `c1`, …: most engines ignore case in names, and two upstreams may have
//! columns that differ in nothing else.

use std::collections::HashMap;
use std::fmt::Write;

use arrow::datatypes::{DataType, SchemaRef};

use super::condition::condition;
use super::dialect::{Dialect, HashArg, Matching, quote};
use crate::clock::Micros;
use crate::columns;
use crate::error::Result;
use crate::expr::Value;
use crate::plan::{
    Compare, Fold, HashPart, JoinKind, LABEL, Label, Leader, Node, Relation, STORED_PREFIX, Scalar,
    Scan, internal,
};

/// The hidden column that carries a stored row's storage order to where rows are marked.
const ROW: &str = "r";

/// The statement that computes `relation`: its columns have the names and the order of the relation's
/// schema.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the engine cannot compare what a filter compares.
pub fn render(relation: &Relation, dialect: &dyn Dialect) -> Result<String> {
    let mut renderer = Renderer {
        dialect,
        aliases: 0,
    };
    let block = renderer.relation(relation)?;
    block.select(relation.schema(), |_, name| quote(name), false)
}

/// The name of a column of a subquery, and of the table of a frame, by its position.
#[must_use]
pub fn column_at(position: usize) -> String {
    format!("c{position}")
}

struct Renderer<'a> {
    dialect: &'a dyn Dialect,
    aliases: usize,
}

/// A SELECT in the making.
struct Block {
    from: String,
    conditions: Vec<String>,
    /// The SQL of each column, and whether it is worth computing only once.
    columns: HashMap<String, Column>,
    /// The storage order of the one table that the rows come from.
    row: Option<String>,
    tail: String,
    /// Some column is computed over all rows, so conditions must not leave rows out before that.
    windowed: bool,
}

#[derive(Clone)]
struct Column {
    sql: String,
    costly: bool,
}

impl Column {
    const fn cheap(sql: String) -> Self {
        Self { sql, costly: false }
    }
}

impl Block {
    fn column(&self, name: &str) -> Result<String> {
        self.columns
            .get(name)
            .map(|column| column.sql.clone())
            .ok_or_else(|| internal(format!("no column {name:?} to render")))
    }

    /// As a subquery.
    fn inner(&self, schema: &SchemaRef) -> Result<String> {
        self.select(schema, |position, _| column_at(position), true)
    }

    /// As an arm of a union.
    fn arm(&self, schema: &SchemaRef) -> Result<String> {
        self.select(schema, |position, _| column_at(position), false)
    }

    fn select(
        &self,
        schema: &SchemaRef,
        name: impl Fn(usize, &str) -> String,
        with_row: bool,
    ) -> Result<String> {
        let mut list: Vec<String> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| {
                let column = self.column(field.name())?;
                Ok(format!("{column} AS {}", name(i, field.name())))
            })
            .collect::<Result<_>>()?;
        if let (true, Some(row)) = (with_row, &self.row) {
            list.push(format!("{row} AS {ROW}"));
        }
        if list.is_empty() {
            list.push("1".into());
        }
        let mut sql = format!("SELECT {} FROM {}", list.join(", "), self.from);
        if !self.conditions.is_empty() {
            let _ = write!(sql, " WHERE {}", self.conditions.join(" AND "));
        }
        sql.push_str(&self.tail);
        Ok(sql)
    }
}

impl Renderer<'_> {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    fn relation(&mut self, relation: &Relation) -> Result<Block> {
        match relation.node() {
            Node::Scan(scan) => Ok(self.scan(scan, relation.schema())),
            Node::Frame(position) => {
                let alias = self.alias();
                let from = format!("{} AS {alias}", self.dialect.frame(*position));
                Ok(over(from, &alias, relation.schema(), placed))
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
    fn close(&mut self, block: Block, schema: &SchemaRef, barrier: &str) -> Result<Block> {
        let alias = self.alias();
        let from = format!("({}{barrier}) AS {alias}", block.inner(schema)?);
        let mut closed = over(from, &alias, schema, placed);
        closed.row = block.row.map(|_| format!("{alias}.{ROW}"));
        Ok(closed)
    }

    fn closed(&mut self, relation: &Relation) -> Result<Block> {
        let block = self.relation(relation)?;
        self.close(block, relation.schema(), "")
    }

    fn scan(&mut self, scan: &Scan, schema: &SchemaRef) -> Block {
        let alias = self.alias();
        let table = self.dialect.table(&scan.table);
        let mut block = over(format!("{table} AS {alias}"), &alias, schema, named);
        block.row = Some(self.dialect.row_order(&alias));
        block.conditions = self.restrictions(scan, &alias);
        if let Some(keys) = scan
            .latest_per
            .as_ref()
            .filter(|_| !self.dialect.nothing_to_replace(scan))
        {
            let later = self.alias();
            let mut conditions: Vec<String> = keys
                .iter()
                .map(|key| format!("{later}.{0} = {alias}.{0}", quote(key)))
                .collect();
            conditions.extend(self.restrictions(scan, &later));
            conditions.push(format!(
                "({}, {}) > ({}, {})",
                stamp(&later),
                self.dialect.row_order(&later),
                stamp(&alias),
                self.dialect.row_order(&alias)
            ));
            block.conditions.push(format!(
                "NOT EXISTS (SELECT 1 FROM {table} AS {later} WHERE {})",
                conditions.join(" AND ")
            ));
        }
        block
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

    fn scalar(&self, scalar: &Scalar, schema: &SchemaRef, block: &Block) -> Result<String> {
        Ok(match scalar {
            Scalar::Column(name) => block.column(name)?,
            Scalar::Text(text) => self.dialect.text(text),
            Scalar::Member { column, member } => {
                let field = schema.field_with_name(column)?;
                self.dialect
                    .member(&block.column(column)?, field.data_type(), member)
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
        if kind == JoinKind::Full && self.dialect.matching() == Matching::Marks {
            return self.full_join_in_two_arms(left, right, on, schema);
        }
        let (l, r) = (self.closed(left)?, self.closed(right)?);
        let word = match kind {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Full => "FULL JOIN",
        };
        let from = format!("{} {word} {} ON {}", l.from, r.from, equal(&l, &r, on)?);
        let mut block = Block {
            from,
            conditions: Vec::new(),
            columns: r.columns.clone(),
            row: None,
            tail: String::new(),
            windowed: false,
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

    fn full_join_in_two_arms(
        &mut self,
        left: &Relation,
        right: &Relation,
        on: &[String],
        schema: &SchemaRef,
    ) -> Result<Block> {
        let first = self.join(left, right, on, JoinKind::Left, schema)?;
        let (l, mut r) = (self.closed(left)?, self.closed(right)?);
        r.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM {} WHERE {})",
            l.from,
            equal(&l, &r, on)?
        ));
        for field in left.schema().fields() {
            if !on.contains(field.name()) {
                let sql = self.dialect.null(field.data_type());
                r.columns.insert(field.name().clone(), Column::cheap(sql));
            }
        }
        let union = format!("{} UNION ALL {}", first.arm(schema)?, r.arm(schema)?);
        let alias = self.alias();
        Ok(over(
            format!("({union}) AS {alias}"),
            &alias,
            schema,
            placed,
        ))
    }

    fn fold(&mut self, fold: &Fold) -> Result<Block> {
        let mut block = self.closed(&fold.input)?;
        let window = self.window(&block, &fold.keys, &fold.order, "")?;
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

    fn leader(&mut self, leader: &Leader) -> Result<Block> {
        let mut block = self.closed(&leader.input)?;
        let latest = format!(
            "COALESCE({}, {}) DESC, ",
            block.column(columns::DELETED_AT)?,
            block.column(columns::UPDATED_AT)?
        );
        let window = self.window(&block, &leader.keys, &leader.order, &latest)?;
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
        keys: &[String],
        order: &[String],
        first: &str,
    ) -> Result<String> {
        let list = |names: &[String], suffix: &str| -> Result<String> {
            Ok(names
                .iter()
                .map(|name| Ok(format!("{}{suffix}", block.column(name)?)))
                .collect::<Result<Vec<_>>>()?
                .join(", "))
        };
        Ok(format!(
            "PARTITION BY {} ORDER BY {first}{}",
            list(keys, "")?,
            list(order, " ASC NULLS FIRST")?
        ))
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
            let positions: Vec<String> = (1..=by.len()).map(|i| i.to_string()).collect();
            let _ = write!(sql, " GROUP BY {}", positions.join(", "));
        }
        Ok(over(format!("({sql}) AS {alias}"), &alias, schema, placed))
    }

    fn compare(&mut self, compare: &Compare, schema: &SchemaRef) -> Result<Block> {
        let marks = self.dialect.matching() == Matching::Marks;
        // Where rows are not marked, a constant tells a row without a partner from one with nulls.
        let present = |block: &mut Block| {
            if !marks {
                block.row = Some("1".into());
            }
        };
        let mut expected = self.relation(&compare.expected)?;
        present(&mut expected);
        let e = self.close(expected, compare.expected.schema(), self.dialect.barrier())?;
        let mut stored = self.relation(&compare.stored)?;
        present(&mut stored);
        let s = self.close(stored, compare.stored.schema(), "")?;

        let changed = self.changed(compare, &e, &s)?;
        let leads = match &compare.leader {
            Some(leader) => Some(s.column(&leader.flag)?),
            None => None,
        };
        let on = equal(&e, &s, &compare.on)?;
        let row = s.row.clone().unwrap_or_else(|| "NULL".into());
        let (word, label) = if marks {
            (
                "LEFT JOIN",
                self.dialect.label(&row, &changed, leads.as_deref()),
            )
        } else {
            let here = e.row.as_deref().unwrap_or("1");
            let other = match leads {
                Some(flag) => format!("WHEN {changed} THEN CASE WHEN {flag} THEN 2 ELSE 3 END"),
                None => format!("WHEN {changed} THEN 2"),
            };
            let label = format!(
                "CASE WHEN {row} IS NULL THEN 1 WHEN {here} IS NULL THEN 3 {other} ELSE 0 END"
            );
            ("FULL JOIN", label)
        };
        let mut columns = e.columns.clone();
        for field in compare.stored.schema().fields() {
            columns.insert(
                format!("{STORED_PREFIX}{}", field.name()),
                Column::cheap(s.column(field.name())?),
            );
        }
        let matched = Block {
            from: format!("{} {word} {} ON {on}", e.from, s.from),
            conditions: vec![format!("({label}) <> {}", Label::Unchanged as i8)],
            columns: {
                columns.insert(LABEL.into(), Column::cheap(label));
                columns
            },
            row: None,
            tail: String::new(),
            windowed: false,
        };
        let mut arms = vec![matched.arm(schema)?];
        if marks && s.row.is_some() {
            arms.push(self.unmarked(compare)?.arm(schema)?);
        }
        let alias = self.alias();
        Ok(over(
            format!("({}) AS {alias}", arms.join(" UNION ALL ")),
            &alias,
            schema,
            placed,
        ))
    }

    /// Whether a stored row differs from the expected one that it matched.
    fn changed(&self, compare: &Compare, e: &Block, s: &Block) -> Result<String> {
        let mut changed = self.dialect.distinct(
            &e.column(&compare.expected_version)?,
            &s.column(&compare.stored_version)?,
        );
        if let Some(stale_if) = &compare.stale_if {
            let stale = self.scalar(stale_if, compare.stored.schema(), s)?;
            let no = self.dialect.boolean(false);
            changed = format!("({changed} OR COALESCE({stale}, {no}))");
        }
        if let Some(leader) = &compare.leader {
            let flag = s.column(&leader.flag)?;
            let other = self
                .dialect
                .distinct(&s.column(&leader.own)?, &s.column(&leader.value)?);
            changed = format!("(CASE WHEN {flag} THEN {changed} ELSE {other} END)");
        }
        Ok(changed)
    }

    /// The stored rows that the first arm has not marked: the orphaned ones. An engine works off the arms of a union in
    /// their order.
    fn unmarked(&mut self, compare: &Compare) -> Result<Block> {
        let mut rest = self.closed(&compare.stored)?;
        let row = rest.row.clone().unwrap_or_else(|| "NULL".into());
        rest.conditions
            .push(format!("NOT {}", self.dialect.is_marked(&row)));
        let mut columns = HashMap::new();
        for field in compare.expected.schema().fields() {
            let null = self.dialect.null(field.data_type());
            columns.insert(field.name().clone(), Column::cheap(null));
        }
        for field in compare.stored.schema().fields() {
            columns.insert(
                format!("{STORED_PREFIX}{}", field.name()),
                Column::cheap(rest.column(field.name())?),
            );
        }
        let orphaned = Label::Orphaned as i8;
        columns.insert(LABEL.into(), Column::cheap(orphaned.to_string()));
        rest.columns = columns;
        Ok(rest)
    }
}

/// Plain columns of `alias`, whose names are those that `name` gives.
fn over(
    from: String,
    alias: &str,
    schema: &SchemaRef,
    name: impl Fn(usize, &str) -> String,
) -> Block {
    Block {
        from,
        conditions: Vec::new(),
        columns: schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| {
                let sql = format!("{alias}.{}", name(i, field.name()));
                (field.name().clone(), Column::cheap(sql))
            })
            .collect(),
        row: None,
        tail: String::new(),
        windowed: false,
    }
}

/// A table's column.
fn named(_: usize, name: &str) -> String {
    quote(name)
}

/// A subquery's column.
fn placed(position: usize, _: &str) -> String {
    column_at(position)
}

fn equal(left: &Block, right: &Block, on: &[String]) -> Result<String> {
    let pairs = on
        .iter()
        .map(|name| Ok(format!("{} = {}", left.column(name)?, right.column(name)?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(if pairs.is_empty() {
        "1 = 1".into()
    } else {
        pairs.join(" AND ")
    })
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
        Scalar::Member { column, .. } => costly(column),
        Scalar::Test(filter) => filter.columns().into_iter().any(costly),
        Scalar::Hash { parts, .. } => parts.iter().any(|part| match part {
            HashPart::Text(_) => false,
            HashPart::Value(Scalar::Column(name), _) => costly(name),
            HashPart::Value(value, _) => uses_costly(value, block),
        }),
    }
}
