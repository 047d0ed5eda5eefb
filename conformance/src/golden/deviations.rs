//! Where this library differs from the reference on purpose: one list, and what is expected instead.
//!
//! An entry is recognised by a marker of the file (`ref_bug`, `quirk`, a tag) or by the shape of the case; never by names of one
//! set. What it covers is still replayed and compared with what it says. An entry that was met but made no difference is stale,
//! and fails the replay.

pub(super) mod filters;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use metaxy_store::json::Json;
use metaxy_store::{Expr, columns};

use super::file::{Outcome, flag, list, opt_list, opt_text};
use super::increments::{Part, VERSION_COLUMNS};
use super::report::Report;
use super::rows::{Difference, Row, canonical};

/// One deliberate difference.
#[derive(Debug)]
pub struct Deviation {
    /// A short name; that of the `ref_bug` where there is one.
    pub name: &'static str,
    /// The row of `semantics.md` §10.
    pub reason: &'static str,
    pub(super) when: When,
    pub(super) instead: Instead,
}

/// How a step is recognised.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// It carries this `ref_bug`.
    RefBug(&'static str),
    /// The scenario and the step have this shape, which makes a difference.
    Shape(fn(&Case<'_>, &Json) -> bool),
    /// The scenario and the step have this shape, which may make a difference.
    MayShape(fn(&Case<'_>, &Json) -> bool),
    /// By code elsewhere.
    Code,
}

/// What happens here where the reference does something else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instead {
    /// The step succeeds; the reference fails.
    Succeeds,
    /// The step fails; the reference succeeds.
    Refuses,
    /// The rows are the same apart from these columns.
    Without(&'static [&'static str]),
    /// The rows differ, as this says.
    Rows(fn(&[Part]) -> Outcome),
}

/// How a write that is refused here says the same in an accepted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// Without this column.
    DropColumn(&'static str),
    /// Without the rows that have a null in one of these columns.
    DropRowsWithNull(Vec<String>),
}

/// Deliberate differences of steps of `increments.json`.
static STEPS: [Deviation; 12] = [
    Deviation {
        name: "deleted_at_join",
        reason: "joining three upstreams fails there (1); here it works",
        when: When::RefBug("deleted_at_join"),
        instead: Instead::Succeeds,
    },
    Deviation {
        name: "optional_unwritten",
        reason: "an optional upstream never written is an error there (13); here it counts as empty",
        when: When::RefBug("optional_unwritten"),
        instead: Instead::Succeeds,
    },
    Deviation {
        name: "read_columns_without_id",
        reason: "reading some columns without the ID columns fails there (35); here it works",
        when: When::RefBug("read_columns_without_id"),
        instead: Instead::Succeeds,
    },
    Deviation {
        name: "temp_column_collision",
        reason: "two parents whose names collide after joining parts overwrite each other there (2); here they are never mixed up",
        when: When::Shape(parents_collide),
        instead: Instead::Rows(versions_differ),
    },
    Deviation {
        name: "struct_key_collision",
        reason: "equal struct keys in one feature are merged there (3); here they are an error",
        when: When::Shape(struct_keys_collide),
        instead: Instead::Refuses,
    },
    Deviation {
        name: "table_name_collision",
        reason: "features with equal table names share a table, or their columns collide, there (2, 3); here the second is an error",
        when: When::Shape(tables_collide),
        instead: Instead::Refuses,
    },
    Deviation {
        name: "invalid_definition",
        reason: "some definitions fail late or never there (14, 15, 44, 45); here they are errors when the feature is added",
        when: When::Shape(definition_is_invalid),
        instead: Instead::Refuses,
    },
    Deviation {
        name: "partial_join",
        reason: "deps with different ID columns are compared crosswise there (4); here rows are identified by the union",
        when: When::RefBug("partial_join"),
        instead: Instead::Rows(no_false_stale),
    },
    Deviation {
        name: "null_provenance",
        reason: "null provenance is stale for ever, or never, there (17); here null is compared like a value",
        when: When::MayShape(null_provenance),
        instead: Instead::Rows(only_null_provenance),
    },
    Deviation {
        name: "data_version_null_fallback",
        reason: "a null metaxy_data_version beside an overridden by-field is the provenance there (28); here it is hashed from the by-field column",
        when: When::RefBug("data_version_null_fallback"),
        instead: Instead::Without(&[columns::DATA_VERSION]),
    },
    Deviation {
        name: "samples_data_version_missing",
        reason: "samples with a by-field but without metaxy_data_version come back without it there (22); here it is hashed from the by-field column",
        when: When::RefBug("samples_data_version_missing"),
        instead: Instead::Without(&[columns::DATA_VERSION]),
    },
    Deviation {
        name: "soft_delete_feature_history",
        reason: "a soft delete over all feature versions re-versions the rows there (31); here each tombstone keeps its row's feature version",
        when: When::RefBug("soft_delete_feature_history"),
        instead: Instead::Rows(tombstones_keep_versions),
    },
];

static NULL_ID: Deviation = Deviation {
    name: "null_id",
    reason: "null IDs are accepted there (18, 19); here such a write is an error (the scenario goes on without those rows)",
    when: When::Code,
    instead: Instead::Refuses,
};

static DATA_VERSION_DISCARDED: Deviation = Deviation {
    name: "data_version_discarded",
    reason: "metaxy_data_version without its by-field column is discarded there (27); here it is an error (the scenario goes on without it)",
    when: When::Code,
    instead: Instead::Refuses,
};

/// Met where our orphaned rows are the reference's once repeated ones are dropped.
pub(super) static EXPANSION_ORPHANS: Deviation = Deviation {
    name: "expansion_orphans",
    reason: "under expansion one child of an orphaned parent is shown there (7); here all are",
    when: When::Code,
    instead: Instead::Succeeds,
};

impl Deviation {
    /// Whether a step that shows it must differ from the reference.
    pub(super) fn is_certain(&self, step: &Json) -> bool {
        match self.when {
            When::MayShape(_) => opt_text(step, "ref_bug") == Some(self.name),
            When::RefBug(_) | When::Shape(_) | When::Code => true,
        }
    }
}

/// What the steps of a scenario are judged by: its tags, the graph of the moment, and what was repaired so far.
pub(super) struct Case<'a> {
    tags: Vec<&'a str>,
    specs: &'a [Json],
    /// ID columns of which rows with nulls were left out of a write.
    null_ids: BTreeSet<String>,
}

impl<'a> Case<'a> {
    pub(super) fn new(tags: Vec<&'a str>, specs: &'a [Json]) -> Self {
        Self {
            tags,
            specs,
            null_ids: BTreeSet::new(),
        }
    }

    pub(super) fn specs(&self) -> &'a [Json] {
        self.specs
    }

    pub(super) fn redefine(&mut self, specs: &'a [Json]) {
        self.specs = specs;
    }

    /// The deviations that a step shows. Where the definition is refused, nothing else can show.
    pub(super) fn deviations(&self, step: &Json) -> Vec<&'static Deviation> {
        let failed_there = flag(step, "expect_error");
        let shows = |deviation: &&'static Deviation| match deviation.when {
            When::RefBug(name) => opt_text(step, "ref_bug") == Some(name),
            When::Shape(test) | When::MayShape(test) => test(self, step),
            When::Code => false,
        };
        let fits = |deviation: &&'static Deviation| match deviation.instead {
            Instead::Succeeds => failed_there,
            Instead::Refuses | Instead::Without(_) | Instead::Rows(_) => !failed_there,
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
    pub(super) fn repairs(&self, step: &Json) -> Vec<(&'static Deviation, Repair)> {
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

    pub(super) fn repaired(&mut self, repair: Repair) {
        if let Repair::DropRowsWithNull(ids) = repair {
            self.null_ids.extend(ids);
        }
    }

    /// What the reference has, without rows that could not be written here.
    pub(super) fn expected(&self, step: &Json, mut rows: Vec<Row>) -> Vec<Row> {
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

    fn spec(&self, feature: &str) -> Option<&'a Json> {
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

    fn of_step(&self, step: &Json) -> Vec<&'a Json> {
        self.lineage(opt_text(step, "feature").unwrap_or_default())
    }
}

/// Fields of two upstreams of the feature, or of one upstream of it, that share `table name + struct key` (2).
fn parents_collide(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        opt_list(spec, "deps")
            .iter()
            .filter_map(|dep| opt_text(dep, "feature"))
            .any(|upstream| {
                let fields = case
                    .spec(upstream)
                    .map(|spec| opt_list(spec, "fields"))
                    .unwrap_or_default();
                fields
                    .iter()
                    .filter_map(|field| opt_text(field, "key"))
                    .any(|field| {
                        let name = format!("{}_{}", table_name(upstream), field.replace('/', "_"));
                        let whole = format!("{upstream}.{field}");
                        names
                            .insert(name, whole.clone())
                            .is_some_and(|other| other != whole)
                    })
            })
    })
}

/// The feature, or one upstream of it, has two fields with equal struct keys (3).
fn struct_keys_collide(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let fields = opt_list(spec, "fields");
        let keys: HashSet<String> = fields
            .iter()
            .filter_map(|field| opt_text(field, "key"))
            .map(|key| key.replace('/', "_"))
            .collect();
        keys.len() < fields.len()
    })
}

/// The feature, or one upstream of it, has the table name of a feature that was added before.
fn tables_collide(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let key = opt_text(spec, "key").unwrap_or_default();
        let before = case
            .specs
            .iter()
            .filter_map(|spec| opt_text(spec, "key"))
            .take_while(|other| *other != key);
        before
            .into_iter()
            .any(|other| table_name(other) == table_name(key))
    })
}

/// The feature, or one upstream of it, breaks a rule that the reference does not have, or checks late.
fn definition_is_invalid(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let ids: Vec<&str> = opt_list(spec, "id_columns")
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let deps = opt_list(spec, "deps");
        let upstreams: Vec<&str> = deps
            .iter()
            .filter_map(|dep| opt_text(dep, "feature"))
            .collect();
        let repeated = |names: &[&str]| names.iter().collect::<HashSet<_>>().len() < names.len();
        let filters = deps
            .iter()
            .flat_map(|dep| opt_list(dep, "sql_filters"))
            .filter_map(Json::as_str);
        opt_list(spec, "fields").is_empty()
            || repeated(&ids)
            || ids
                .iter()
                .any(|id| id.is_empty() || id.starts_with(columns::SYSTEM_PREFIX))
            || repeated(&upstreams)
            || filters
                .into_iter()
                .any(|filter| Expr::parse(filter).is_err())
            || !share_an_id(case, spec, &ids)
    })
}

/// Whether all upstreams of a feature have an ID column in common, after lineage.
fn share_an_id(case: &Case<'_>, spec: &Json, own: &[&str]) -> bool {
    let mut common: Option<HashSet<String>> = None;
    for dep in opt_list(spec, "deps") {
        let Some(upstream) = case.spec(opt_text(dep, "feature").unwrap_or_default()) else {
            continue;
        };
        let relationship = dep
            .get("lineage")
            .and_then(|lineage| lineage.get("relationship"))
            .unwrap_or(&Json::Null);
        let on: Vec<&str> = opt_list(relationship, "on")
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let renamed = |id: &str| {
            dep.get("rename")
                .and_then(|names| opt_text(names, id))
                .unwrap_or(id)
                .to_owned()
        };
        let ids: HashSet<String> = match opt_text(relationship, "type") {
            Some("1:1") => opt_list(upstream, "id_columns")
                .iter()
                .filter_map(Json::as_str)
                .map(renamed)
                .collect(),
            _ if on.is_empty() => own.iter().map(|id| (*id).to_owned()).collect(),
            _ => on.into_iter().map(str::to_owned).collect(),
        };
        common = Some(match common {
            Some(common) => common.intersection(&ids).cloned().collect(),
            None => ids,
        });
    }
    common.is_none_or(|common| !common.is_empty())
}

fn table_name(key: &str) -> String {
    key.replace('/', "__").replace('-', "_")
}

/// A resolve of a scenario about null provenance (17).
fn null_provenance(case: &Case<'_>, step: &Json) -> bool {
    opt_text(step, "op") == Some("resolve")
        && (case.tags.contains(&"null-provenance")
            || opt_text(step, "ref_bug") == Some("null_provenance"))
        && step
            .get("expect")
            .is_some_and(|expect| list(expect, "stale").is_ok())
}

/// The differences are rows whose provenance is null, in what is stale.
fn only_null_provenance(parts: &[Part]) -> Outcome {
    for part in parts {
        let with_provenance = |rows: &[Row]| -> Vec<Row> {
            let known = |row: &&Row| row.get(columns::PROVENANCE).is_none_or(|p| !p.is_null());
            rows.iter().filter(known).cloned().collect()
        };
        let difference = match part.name {
            "stale" => Difference::between(
                &with_provenance(&part.expected),
                &with_provenance(&part.found),
            ),
            _ => Difference::between(&part.expected, &part.found),
        };
        if !difference.is_empty() {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// Here stale is less, and orphaned more, than there.
fn no_false_stale(parts: &[Part]) -> Outcome {
    for part in parts {
        let difference = Difference::between(&part.expected, &part.found);
        let extra = match part.name {
            "stale" => difference.unexpected.is_empty(),
            "orphaned" => difference.missing.is_empty(),
            _ => difference.is_empty(),
        };
        if !extra {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// The same samples, with other versions; what is stale here may be unnoticed there.
fn versions_differ(parts: &[Part]) -> Outcome {
    for part in parts {
        let plain = |rows: &[Row]| super::rows::without(rows.to_vec(), VERSION_COLUMNS);
        let difference = Difference::between(&plain(&part.expected), &plain(&part.found));
        if !difference.missing.is_empty()
            || (part.name != "stale" && !difference.unexpected.is_empty())
        {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// Apart from feature versions, here are the same rows or fewer.
fn tombstones_keep_versions(parts: &[Part]) -> Outcome {
    for part in parts {
        let plain = |rows: &[Row]| super::rows::without(rows.to_vec(), &[columns::FEATURE_VERSION]);
        let there: HashSet<String> = plain(&part.expected).iter().map(canonical).collect();
        if let Some(row) = plain(&part.found)
            .iter()
            .map(canonical)
            .find(|row| !there.contains(row))
        {
            return Err(format!("{}: unexpected {row}", part.name));
        }
    }
    Ok(())
}

/// How often each deviation was met, and whether it made a difference.
#[derive(Debug, Default)]
pub(super) struct Tally {
    met: BTreeMap<&'static str, Met>,
}

#[derive(Debug)]
struct Met {
    reason: &'static str,
    /// Cases in which it made a difference.
    differed: BTreeSet<String>,
}

impl Tally {
    /// A case shows a deviation; `differed`: it is not as in the reference.
    pub(super) fn met(&mut self, deviation: &'static Deviation, case: &str, differed: bool) {
        let met = self.met.entry(deviation.name).or_insert_with(|| Met {
            reason: deviation.reason,
            differed: BTreeSet::new(),
        });
        if differed {
            met.differed.insert(case.to_owned());
        }
    }

    /// Puts the summary into the report; an entry that made no difference anywhere fails.
    pub(super) fn settle(self, report: &mut Report) {
        for (name, met) in self.met {
            if met.differed.is_empty() {
                let why =
                    "stale entry: it was met, but everything is as in the reference".to_owned();
                report.fail(format!("deviations/{name}"), vec![why]);
            }
            report
                .deviations
                .push((name, met.differed.len(), met.reason));
        }
    }
}
