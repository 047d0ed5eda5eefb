//! Deliberate differences of steps of `ops.json`.

use metaxy_store::json::Json;

use super::externals::{Ahead, EXTERNALS, External};
use super::{Deviation, Instead, When};
use crate::golden::file::{flag, opt_text};

/// What is known of a step of `ops.json` and its stores.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::golden) struct Scene {
    /// The store cannot be made, because its chain mixes hash algorithms.
    pub(in crate::golden) mixed: bool,
    /// Source and destination of a copy hash otherwise.
    pub(in crate::golden) other_algorithm: bool,
    /// A copy names a feature that is not in the graph.
    pub(in crate::golden) unknown: bool,
    /// A version was recorded more often here than the reference shows.
    pub(in crate::golden) pushed_again: bool,
    /// Nothing was pushed to the store, but to one that it falls back to.
    pub(in crate::golden) pushed_elsewhere: bool,
    /// No project is configured, and the graph has several.
    pub(in crate::golden) projects: bool,
    /// No project is configured, and the features of the graph are not of one.
    pub(in crate::golden) versionless: bool,
    /// The graph does not know the feature, nor does any of its features name it.
    pub(in crate::golden) stranger: bool,
    /// A soft delete of the feature, or of one that it needs, was refused before.
    pub(in crate::golden) undeleted: bool,
    /// The feature, or one that it needs, has lost all rows of a table.
    pub(in crate::golden) emptied: bool,
    /// The reference's graph has features that ours has not.
    pub(in crate::golden) ahead: Option<Ahead>,
    /// The reference syncs external features.
    pub(in crate::golden) syncs: bool,
    /// A sync or a lock names keys or projects that were not pushed.
    pub(in crate::golden) unselected: bool,
    /// A sync or a lock needs features that were removed from their project.
    pub(in crate::golden) removed: bool,
    /// A sync or a lock needs features that were pushed to a fallback store only.
    pub(in crate::golden) far: bool,
    /// A feature of the lock file has the same definition, but another version than before.
    pub(in crate::golden) relocked: bool,
}

/// What is expected of a step where the reference is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::golden) enum Expect {
    /// What one store without fallback stores gives that holds each feature as its owner in the chain has it.
    Chain,
    /// Whether a store keeps a row of the feature, and which.
    Holds,
    /// That a table without rows is no table.
    NoTable,
    /// Success, as if everything were open.
    Opened,
    /// A refusal; nothing is changed.
    Refused,
    /// A refusal; the scenario goes on with rows that were read and written one feature after the other.
    RefusedThenByHand,
    /// A refusal; the scenario goes on without the unknown features.
    RefusedThenKnown,
    /// A refusal that leaves nothing; the scenario goes on with single writes up to the one that fails.
    RefusedWhole,
    /// Success with the project of the feature; the scenario goes on without these rows.
    ProjectOfFeature,
    /// Copied rows keep their times, and tombstones are copied.
    History,
    /// The reference's rows, each once.
    Distinct,
    /// Every row keeps its ID and has the provenance that a resolve gives its parent.
    OfParent,
    /// Every row of the frame that has its upstream.
    Rebased,
    /// Each feature comes before those that it depends on.
    DependentsFirst,
    /// Samples are counted, not rows.
    Samples,
    /// The upstream is said to be missing.
    UpstreamMissing,
    /// What the last push recorded.
    LastPush,
    /// What was pushed to the first store of the chain that has something.
    PushedInChain,
    /// A new record of the same project version, with those features.
    PushedHere,
    /// What was pushed of the configured project.
    OfProject,
    /// That of external features.
    External(External),
    /// A description of a graph without a version of the whole.
    Described,
}

impl Expect {
    /// Whether the steps that follow need it even if both sides agree on this one.
    pub(in crate::golden) fn leaves_other_state(self) -> bool {
        self == Self::RefusedWhole
    }

    /// Whether a step that shows it must differ from the reference.
    pub(in crate::golden) fn is_certain(self) -> bool {
        !matches!(self, Self::NoTable | Self::LastPush)
    }
}

/// Where the stores of a scenario, or their steps, do something else.
pub(super) static OPS: [Deviation; 21] = [
    Deviation {
        name: "hash_mismatch_late",
        reason: "algorithms are compared late and one level deep there (62); here the whole chain is compared when it is built",
        when: When::Scene(|scene, step| scene.mixed && !flag(step, "expect_error")),
        instead: Instead::As(Expect::Refused),
    },
    Deviation {
        name: "fallback_hidden_by_table",
        reason: "an emptied or dropped local table hides the fallback there (60); here it does not",
        when: When::RefBug("fallback_hidden_by_table"),
        instead: Instead::As(Expect::Chain),
    },
    Deviation {
        name: "soft_delete_through_fallback",
        reason: "a soft delete of what only a fallback has hides all of it there (59); here it is an error",
        when: When::Scene(|_, step| is_op(step, "delete", "soft_delete_through_fallback")),
        instead: Instead::As(Expect::Refused),
    },
    Deviation {
        name: "soft_delete_through_fallback",
        reason: "a soft delete of what only a fallback has hides all of it there (59); here it is an error",
        when: When::Scene(|scene, _| scene.undeleted),
        instead: Instead::As(Expect::Chain),
    },
    Deviation {
        name: "has_feature_fallback_closed",
        reason: "has_feature through fallbacks needs them opened there (61); here they are opened when needed",
        when: When::RefBug("has_feature_fallback_closed"),
        instead: Instead::As(Expect::Holds),
    },
    Deviation {
        name: "store_not_open",
        reason: "a store must be opened before it is used there (61); here it is opened when needed",
        when: When::Scene(|_, step| flag(step, "expect_error") && is_closed(step)),
        instead: Instead::As(Expect::Opened),
    },
    Deviation {
        name: "empty_table",
        reason: "an emptied or dropped table is a table there (60, 79); here a store has a feature when it keeps a row of it",
        when: When::Scene(|scene, _| scene.emptied),
        instead: Instead::As(Expect::NoTable),
    },
    Deviation {
        name: "copy_sample_history",
        reason: "copies with sample history make versions tie and revive deleted samples there (64, 65); here times and tombstones are kept",
        when: When::RefBug("copy_sample_history"),
        instead: Instead::As(Expect::History),
    },
    Deviation {
        name: "copy_other_algorithm",
        reason: "copies ignore another hash algorithm there (67); here it is an error",
        when: When::Scene(|scene, _| scene.other_algorithm),
        instead: Instead::As(Expect::RefusedThenByHand),
    },
    Deviation {
        name: "copy_unknown_feature",
        reason: "copies skip unknown features there (68); here they are errors",
        when: When::Scene(|scene, step| scene.unknown && !flag(step, "expect_error")),
        instead: Instead::As(Expect::RefusedThenKnown),
    },
    Deviation {
        name: "rebase_aggregation",
        reason: "a rebase multiplies aggregated rows there (69); here every sample stays one row",
        when: When::RefBug("rebase_aggregation"),
        instead: Instead::As(Expect::Distinct),
    },
    Deviation {
        name: "rebase_expansion",
        reason: "expanded features cannot be rebased there (70); here children get the provenance of their parent",
        when: When::RefBug("rebase_expansion"),
        instead: Instead::As(Expect::OfParent),
    },
    Deviation {
        name: "snapshot_without_foreign_deps",
        reason: "a snapshot lacks the upstreams of other projects there (71); here it resolves them",
        when: When::RefBug("snapshot_without_foreign_deps"),
        instead: Instead::As(Expect::Rebased),
    },
    Deviation {
        name: "write_multi_order",
        reason: "write_multi may write an upstream before its dependent there (73); here the order sees features left out",
        when: When::RefBug("write_multi_order"),
        instead: Instead::As(Expect::DependentsFirst),
    },
    Deviation {
        name: "write_multi_half_way",
        reason: "a failing write_multi stops half-way there (74); here nothing is written",
        when: When::Scene(|_, step| {
            flag(step, "leaves_trace") && opt_text(step, "op") == Some("write_multi")
        }),
        instead: Instead::As(Expect::RefusedWhole),
    },
    Deviation {
        name: "status_counts_rows",
        reason: "status counts upstream rows there (77); here it counts samples",
        when: When::RefBug("status_counts_rows"),
        instead: Instead::As(Expect::Samples),
    },
    Deviation {
        name: "status_without_upstream",
        reason: "status fails without upstream there (78); here it says that the upstream is missing",
        when: When::RefBug("status_without_upstream"),
        instead: Instead::As(Expect::UpstreamMissing),
    },
    Deviation {
        name: "pushed_again",
        reason: "a version pushed again counts twice and looks old, and new tags are lost, there (47, 83, 84); here the last push counts",
        when: When::Scene(|scene, step| {
            scene.pushed_again && matches!(opt_text(step, "op"), Some("snapshots" | "features"))
        }),
        instead: Instead::As(Expect::LastPush),
    },
    Deviation {
        name: "pushed_to_fallback",
        reason: "what was pushed to a fallback is not listed there; here snapshots look through the chain",
        when: When::Scene(|scene, step| {
            scene.pushed_elsewhere && opt_text(step, "op") == Some("snapshots")
        }),
        instead: Instead::As(Expect::PushedInChain),
    },
    Deviation {
        name: "push_ignores_foreign_changes",
        reason: "a push ignores changes of other projects there (81); here it records whenever a feature version changed",
        when: When::Scene(|_, step| is_op(step, "push", "push_ignores_foreign_changes")),
        instead: Instead::As(Expect::PushedHere),
    },
    Deviation {
        name: "features_without_project",
        reason: "reading what was pushed needs a project where the graph has several there (85); here the configured one is taken",
        when: When::RefBug("features_without_project"),
        instead: Instead::As(Expect::OfProject),
    },
];

/// Of writes whose project the reference cannot tell.
pub(super) static PROJECT_UNDEFINED: Deviation = Deviation {
    name: "project_undefined",
    reason: "a write fails there where the graph has several projects and none is configured (85); here rows carry the project of their feature",
    when: When::Scene(|scene, step| scene.projects && flag(step, "expect_error")),
    instead: Instead::As(Expect::ProjectOfFeature),
};

/// Where facts of graphs are told otherwise.
static GRAPHS: [Deviation; 2] = [
    Deviation {
        name: "describe_without_project",
        reason: "a description fails there where the graph has several projects and none is configured (85); here each project has its version",
        when: When::Scene(|scene, step| {
            scene.versionless
                && opt_text(step, "op") == Some("describe")
                && flag(step, "expect_error")
        }),
        instead: Instead::As(Expect::Described),
    },
    Deviation {
        name: "dependents_of_unknown",
        reason: "a feature that nobody knows has no dependents there; here it is an error, as for dependencies",
        when: When::Scene(|scene, step| {
            scene.stranger
                && opt_text(step, "op") == Some("dependents")
                && !flag(step, "expect_error")
        }),
        instead: Instead::As(Expect::Refused),
    },
];

/// The deviations that a step shows.
pub(in crate::golden) fn of_step(scene: Scene, step: &Json) -> Vec<(&'static Deviation, Expect)> {
    let shown = OPS
        .iter()
        .chain([&PROJECT_UNDEFINED])
        .chain(&EXTERNALS)
        .chain(&GRAPHS)
        .filter(|deviation| match deviation.when {
            When::RefBug(name) => opt_text(step, "ref_bug") == Some(name),
            When::Scene(test) => test(scene, step),
            When::Shape(_) | When::MayShape(_) | When::Code => false,
        });
    let expected = shown.filter_map(|deviation| match deviation.instead {
        Instead::As(expect) => Some((deviation, expect)),
        _ => None,
    });
    expected.collect()
}

fn is_op(step: &Json, op: &str, ref_bug: &str) -> bool {
    opt_text(step, "op") == Some(op) && opt_text(step, "ref_bug") == Some(ref_bug)
}

fn is_closed(step: &Json) -> bool {
    flag(step, "closed") || flag(step, "source_closed")
}
