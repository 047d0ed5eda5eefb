//! Where this library differs from the reference on purpose: one list, and what is expected instead.
//!
//! An entry is recognised by a marker of the file (`ref_bug`, `quirk`, a tag) or by the shape of the case; never by names of one
//! set. What it covers is still replayed and compared with what it says. An entry that was met but made no difference is stale,
//! and fails the replay.

mod case;
mod externals;
mod ops;
mod shapes;
mod tally;

use metaxy_store::columns;
use metaxy_store::json::Json;

use super::file::{Outcome, opt_text};
use super::increments::Part;
pub(super) use case::{Case, Repair};
pub(super) use externals::{Ahead, External};
pub(super) use ops::{Expect, Scene, of_step};
use shapes::{
    definition_is_invalid, may_be_uncovered, no_false_stale, null_provenance, only_null_provenance,
    parents_collide, samples_are_gone, struct_keys_collide, tables_collide,
    tombstones_keep_versions, versions_differ,
};
pub(super) use tally::Tally;

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
    /// The step of `ops.json` and its stores are like this.
    Scene(fn(Scene, &Json) -> bool),
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
    /// The step of `ops.json` gives this.
    As(Expect),
}

/// Deliberate differences of steps of `increments.json`.
static STEPS: [Deviation; 13] = [
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
    Deviation {
        name: "hard_delete_uncovers",
        reason: "a filter of a hard delete is seen by every row there, and an older row comes back (33); here samples go with all their rows (§15)",
        when: When::MayShape(may_be_uncovered),
        instead: Instead::Rows(samples_are_gone),
    },
];

/// Found by [`Case::repairs`].
static NULL_ID: Deviation = Deviation {
    name: "null_id",
    reason: "null IDs are accepted there (18, 19); here such a write is an error (the scenario goes on without those rows)",
    when: When::Code,
    instead: Instead::Refuses,
};

/// Found by [`Case::repairs`].
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

/// Met where only the reference has orphaned rows, for want of upstream rows of the current version.
pub(super) static ORPHANED_EARLY: Deviation = Deviation {
    name: "orphaned_early",
    reason: "after a change upstream all samples are orphaned there until upstream has rows of its new version; here they wait for these (§15)",
    when: When::Code,
    instead: Instead::Succeeds,
};

/// Quirks that are errors here.
pub(super) const REFUSED_QUIRKS: [&str; 8] = [
    "subquery-ignored",
    "in-without-list",
    "truthy-int",
    "bool-int",
    "bool-string",
    "int-bool",
    "is-literal",
    "is-column",
];

/// Filters of [`REFUSED_QUIRKS`].
pub(super) static REFUSED: Deviation = Deviation {
    name: "filter_refused",
    reason: "subqueries, IN without a list, IS with a value, and comparisons across types have some meaning there (50, 53, 56); here they are errors",
    when: When::Code,
    instead: Instead::Refuses,
};

/// Filters with another quirk that the reference fails on.
pub(super) static NO_RULE: Deviation = Deviation {
    name: "filter_quirk",
    reason: "some filters with a plain meaning fail there for want of a rule (54, 58); here they have SQL's meaning",
    when: When::Code,
    instead: Instead::Succeeds,
};

/// Filters that look for numbers in a numeric column, which the reference fails on when it applies them.
pub(super) static NUMBERS_IN_NUMBERS: Deviation = Deviation {
    name: "filter_in_numbers",
    reason: "IN needs literals of exactly the column's type there (55); here numbers are numbers",
    when: When::Code,
    instead: Instead::Succeeds,
};

/// Filters with patterns, which the reference does not parse.
pub(super) static PATTERNS: Deviation = Deviation {
    name: "filter_patterns",
    reason: "LIKE and ILIKE do not parse there; here they are patterns of text (`semantics.md` §10, beyond the reference)",
    when: When::Code,
    instead: Instead::Succeeds,
};

/// Filters that give the reference's rows once nulls are taken out of their lists.
pub(super) static NULL_IN_LIST: Deviation = Deviation {
    name: "filter_null_in_list",
    reason: "nulls in lists do not count there (51); here they do, as in SQL",
    when: When::Code,
    instead: Instead::Without(&[]),
};

/// Filters that give the reference's rows once `IS TRUE` is read as `= TRUE`.
pub(super) static IS_BOOL: Deviation = Deviation {
    name: "filter_is_bool",
    reason: "IS TRUE of null is null there (52); here it is false, as in SQL",
    when: When::Code,
    instead: Instead::Without(&[]),
};

impl Deviation {
    /// Whether a step that shows it must differ from the reference.
    pub(super) fn is_certain(&self, step: &Json) -> bool {
        match self.when {
            When::MayShape(_) => opt_text(step, "ref_bug") == Some(self.name),
            When::RefBug(_) | When::Shape(_) | When::Scene(_) | When::Code => true,
        }
    }
}
