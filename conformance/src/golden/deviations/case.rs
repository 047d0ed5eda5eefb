//! What the steps of one scenario are judged by.

use std::collections::{BTreeSet, HashSet};

use metaxy_store::json::Json;
use metaxy_store::{Expr, columns};

use super::{DATA_VERSION_DISCARDED, Deviation, Instead, NULL_ID, STEPS, When};
use crate::golden::file::{flag, opt_list, opt_text};
use crate::golden::rows::Row;

/// What the steps of a scenario are judged by: its tags, the graph of the moment, and what was repaired so far.
pub(in crate::golden) struct Case<'a> {
    pub(super) tags: Vec<&'a str>,
    pub(super) specs: &'a [Json],
    /// ID columns of which rows with nulls were left out of a write.
    null_ids: BTreeSet<String>,
    /// Features of which rows were removed for good by what is no ID.
    pub(super) by_value: BTreeSet<String>,
}

impl<'a> Case<'a> {
    pub(in crate::golden) fn new(tags: Vec<&'a str>, specs: &'a [Json]) -> Self {
        Self {
            tags,
            specs,
            null_ids: BTreeSet::new(),
            by_value: BTreeSet::new(),
        }
    }

    /// Notes what a step has done that later ones are judged by.
    pub(in crate::golden) fn done(&mut self, step: &Json) {
        if opt_text(step, "op") != Some("delete") || flag(step, "soft") {
            return;
        }
        let feature = opt_text(step, "feature").unwrap_or_default();
        let ids = self.id_columns(feature);
        let filters = opt_list(step, "filters").iter().filter_map(Json::as_str);
        let mut filters = filters.filter_map(|filter| Expr::parse(filter).ok());
        let is_id = |name: &&str| ids.iter().any(|id| id == name);
        if filters.any(|filter| !filter.columns().iter().all(is_id)) {
            self.by_value.insert(feature.to_owned());
        }
    }

    pub(in crate::golden) fn specs(&self) -> &'a [Json] {
        self.specs
    }

    pub(in crate::golden) fn redefine(&mut self, specs: &'a [Json]) {
        self.specs = specs;
    }

    /// The deviations that a step shows. Where the definition is refused, nothing else can show.
    pub(in crate::golden) fn deviations(&self, step: &Json) -> Vec<&'static Deviation> {
        let failed_there = flag(step, "expect_error");
        let shows = |deviation: &&'static Deviation| match deviation.when {
            When::RefBug(name) => opt_text(step, "ref_bug") == Some(name),
            When::Shape(test) | When::MayShape(test) => test(self, step),
            When::Scene(_) | When::Code => false,
        };
        let fits = |deviation: &&'static Deviation| match deviation.instead {
            Instead::Succeeds => failed_there,
            Instead::Refuses | Instead::Without(_) | Instead::Rows(_) | Instead::As(_) => {
                !failed_there
            }
        };
        let mut shown: Vec<_> = STEPS.iter().filter(fits).filter(shows).collect();
        if shown
            .iter()
            .any(|deviation| matches!(deviation.instead, Instead::Refuses))
        {
            shown.retain(|deviation| matches!(deviation.instead, Instead::Refuses));
        }
        shown
    }

    /// What a write has that is refused here.
    pub(in crate::golden) fn repairs(&self, step: &Json) -> Vec<(&'static Deviation, Repair)> {
        let mut repairs = Vec::new();
        if flag(step, "expect_error") {
            return repairs;
        }
        let frame = match opt_text(step, "op") {
            Some("write") => step,
            Some("resolve") => step.get("samples").unwrap_or(&Json::Null),
            _ => return repairs,
        };
        let given = |name: &str| {
            frame
                .get("columns")
                .is_some_and(|columns| columns.get(name).is_some())
        };
        if given(columns::DATA_VERSION) && !given(columns::DATA_VERSION_BY_FIELD) {
            repairs.push((
                &DATA_VERSION_DISCARDED,
                Repair::DropColumn(columns::DATA_VERSION),
            ));
        }
        let ids = self.id_columns(opt_text(step, "feature").unwrap_or_default());
        let null = |row: &Json| ids.iter().any(|id| row.get(id).is_none_or(Json::is_null));
        if opt_text(step, "op") == Some("write") && opt_list(step, "rows").iter().any(null) {
            repairs.push((&NULL_ID, Repair::DropRowsWithNull(ids)));
        }
        repairs
    }

    pub(in crate::golden) fn repaired(&mut self, repair: Repair) {
        if let Repair::DropRowsWithNull(ids) = repair {
            self.null_ids.extend(ids);
        }
    }

    /// What the reference has, without rows that could not be written here.
    pub(in crate::golden) fn expected(&self, step: &Json, mut rows: Vec<Row>) -> Vec<Row> {
        if !self.null_ids.is_empty() {
            let ids = self.id_columns(opt_text(step, "feature").unwrap_or_default());
            let has_null = |row: &Row| ids.iter().any(|id| row.get(id).is_some_and(Json::is_null));
            rows.retain(|row| !has_null(row));
        }
        rows
    }

    fn id_columns(&self, feature: &str) -> Vec<String> {
        let ids = self
            .spec(feature)
            .map(|spec| opt_list(spec, "id_columns"))
            .unwrap_or_default();
        ids.iter()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn spec(&self, feature: &str) -> Option<&'a Json> {
        self.specs
            .iter()
            .find(|spec| opt_text(spec, "key") == Some(feature))
    }

    /// The feature and everything upstream of it.
    fn lineage(&self, feature: &str) -> Vec<&'a Json> {
        let mut seen = HashSet::new();
        let mut specs = Vec::new();
        let mut pending = vec![feature.to_owned()];
        while let Some(key) = pending.pop() {
            if let Some(spec) = self.spec(&key).filter(|_| seen.insert(key.clone())) {
                specs.push(spec);
                let deps = opt_list(spec, "deps").iter();
                pending.extend(
                    deps.filter_map(|dep| opt_text(dep, "feature"))
                        .map(str::to_owned),
                );
            }
        }
        specs
    }

    pub(super) fn of_step(&self, step: &Json) -> Vec<&'a Json> {
        self.lineage(opt_text(step, "feature").unwrap_or_default())
    }
}

/// How a write that is refused here says the same in an accepted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::golden) enum Repair {
    /// Without this column.
    DropColumn(&'static str),
    /// Without the rows that have a null in one of these columns.
    DropRowsWithNull(Vec<String>),
}
