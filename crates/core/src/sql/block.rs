//! A SELECT in the making: columns over a FROM clause, with conditions.

use std::collections::HashMap;
use std::fmt::Write;

use arrow::datatypes::SchemaRef;

use super::dialect::quote;
use crate::error::Result;
use crate::plan::internal;

/// The hidden column that carries a stored row's storage order to where rows are marked.
pub(super) const ROW: &str = "r";

/// The name of a column of a subquery, and of the table of a frame, by its position.
#[must_use]
pub fn column_at(position: usize) -> String {
    format!("c{position}")
}

/// A SELECT in the making.
pub(super) struct Block {
    pub(super) from: String,
    pub(super) conditions: Vec<String>,
    /// The SQL of each column, and whether it is worth computing only once.
    pub(super) columns: HashMap<String, Column>,
    /// The storage order of the one table that the rows come from.
    pub(super) row: Option<String>,
    pub(super) tail: String,
    /// Some column is computed over all rows, so conditions must not leave rows out before that.
    pub(super) windowed: bool,
    /// How many tables an engine joins for it that looks through subqueries.
    pub(super) tables: usize,
}

#[derive(Clone)]
pub(super) struct Column {
    pub(super) sql: String,
    pub(super) costly: bool,
}

impl Column {
    pub(super) const fn cheap(sql: String) -> Self {
        Self { sql, costly: false }
    }
}

impl Block {
    pub(super) fn column(&self, name: &str) -> Result<String> {
        self.columns
            .get(name)
            .map(|column| column.sql.clone())
            .ok_or_else(|| internal(format!("no column {name:?} to render")))
    }

    /// As a subquery.
    pub(super) fn inner(&self, schema: &SchemaRef) -> Result<String> {
        self.select(schema, |position, _| column_at(position), true)
    }

    /// As an arm of a union.
    pub(super) fn arm(&self, schema: &SchemaRef) -> Result<String> {
        self.select(schema, |position, _| column_at(position), false)
    }

    pub(super) fn select(
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

/// Plain columns of `alias`, whose names are those that `name` gives.
pub(super) fn over(
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
        tables: 1,
    }
}

/// A table's column.
pub(super) fn named(_: usize, name: &str) -> String {
    quote(name)
}

/// A subquery's column.
pub(super) fn placed(position: usize, _: &str) -> String {
    column_at(position)
}

pub(super) fn equal(left: &Block, right: &Block, on: &[String]) -> Result<String> {
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
