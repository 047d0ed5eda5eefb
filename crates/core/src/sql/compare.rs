//! Expected rows against stored ones, as SQL: one full join, or a left join that marks what it meets.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;

use super::block::{Block, Column, equal};
use super::dialect::{Marks, Matching};
use super::render::Renderer;
use crate::columns;
use crate::error::Result;
use crate::plan::{Compare, LABEL, Label, Node, STORED_PREFIX, is_internal};

impl Renderer<'_> {
    pub(super) fn compare(&mut self, compare: &Compare, schema: &SchemaRef) -> Result<Block> {
        if matches!(compare.stored.node(), Node::Empty) {
            return self.all_new(compare);
        }
        let marks = match self.dialect.matching() {
            Matching::Marks(marks) => Some(marks),
            Matching::FullJoin => None,
        };
        // Where rows are not marked, a constant tells a row without a partner from one with nulls.
        let present = |block: &mut Block| {
            if marks.is_none() {
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
        let (word, label) = if let Some(marks) = marks {
            ("LEFT JOIN", marks.label(&row, &changed, leads.as_deref()))
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
        // Of several rows that match one, some are orphaned.
        let spared = match self.dialect.nulls_matched_columns()
            && marks.is_none()
            && compare.leader.is_none()
        {
            true => e.row.clone(),
            false => None,
        };
        for field in compare.stored.schema().fields() {
            let column = s.column(field.name())?;
            let versions = [compare.stored_version.as_str(), columns::FEATURE_VERSION];
            let wanted = versions.contains(&field.name().as_str()) || is_internal(field.name());
            let column = match &spared {
                Some(here) if !wanted => format!("CASE WHEN {here} IS NULL THEN {column} END"),
                _ => column,
            };
            columns.insert(
                format!("{STORED_PREFIX}{}", field.name()),
                Column::cheap(column),
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
            tables: 1,
        };
        let mut arms = vec![matched.arm(schema)?];
        if let Some(marks) = marks.filter(|_| s.row.is_some()) {
            arms.push(self.unmarked(compare, marks)?.arm(schema)?);
        }
        Ok(self.union(&arms, schema))
    }

    /// Nothing is stored: there is nothing to join.
    fn all_new(&mut self, compare: &Compare) -> Result<Block> {
        let mut block = self.relation(&compare.expected)?;
        for field in compare.stored.schema().fields() {
            let null = self.dialect.null(field.data_type());
            let name = format!("{STORED_PREFIX}{}", field.name());
            block.columns.insert(name, Column::cheap(null));
        }
        let new = Column::cheap((Label::New as i8).to_string());
        block.columns.insert(LABEL.into(), new);
        Ok(block)
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
    fn unmarked(&mut self, compare: &Compare, marks: &dyn Marks) -> Result<Block> {
        let mut rest = self.closed(&compare.stored)?;
        let row = rest.row.clone().unwrap_or_else(|| "NULL".into());
        rest.conditions
            .push(format!("NOT {}", marks.is_marked(&row)));
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
