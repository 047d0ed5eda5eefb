//! Deliberate differences of steps of `ops.json` about external features and lock files.

use metaxy_store::json::Json;

use super::ops::{Expect, Scene};
use super::{Deviation, Instead, When};
use crate::golden::file::{flag, opt_text};

/// Why the reference's graph has features that ours has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::golden) enum Ahead {
    /// A sync failed after it had changed the graph.
    FailedSync,
    /// A sync found features that were removed.
    Removed,
    /// A lock file was generated.
    Locked,
}

/// What is expected of external features where the reference is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::golden) enum External {
    /// A refusal; graph and files are as before.
    Refused,
    /// What the stores of the chain have of what the graph needs, each as its project pushed it last.
    Loads,
    /// A lock file of that, and a report that compares it with the file there was.
    Locks,
    /// The reference's graph without what was not put into it.
    Behind,
    /// The rows of a push, with the versions after a sync.
    RecordsSynced,
}

pub(super) static EXTERNALS: [Deviation; 14] = [
    of(
        "sync_error_once",
        FAILED,
        |scene, step| scene.ahead == Some(Ahead::FailedSync) && is(step, "graph"),
        External::Behind,
    ),
    of(
        "sync_error_once",
        FAILED,
        |scene, step| scene.ahead == Some(Ahead::FailedSync) && scene.syncs && succeeds(step),
        External::Refused,
    ),
    of(
        "sync_removed_feature",
        REMOVED,
        |scene, step| scene.removed && is(step, "sync") && succeeds(step),
        External::Loads,
    ),
    of(
        "sync_removed_feature",
        REMOVED,
        |scene, step| scene.removed && is(step, "lock") && succeeds(step),
        External::Refused,
    ),
    of(
        "sync_removed_feature",
        REMOVED,
        |scene, step| scene.ahead == Some(Ahead::Removed) && is(step, "graph"),
        External::Behind,
    ),
    of(
        "sync_through_fallback",
        CHAIN,
        |scene, step| scene.far && is(step, "sync") && succeeds(step),
        External::Loads,
    ),
    of(
        "sync_through_fallback",
        CHAIN,
        |scene, step| scene.far && is(step, "lock") && !succeeds(step),
        External::Locks,
    ),
    of(
        "unknown_selection",
        "unknown keys and projects of a selection pass silently there (93); here they are errors",
        |scene, step| scene.unselected && succeeds(step),
        External::Refused,
    ),
    of(
        "lock_mutates_graph",
        MUTATES,
        |scene, step| scene.ahead == Some(Ahead::Locked) && is(step, "lock"),
        External::Locks,
    ),
    of(
        "lock_mutates_graph",
        MUTATES,
        |scene, step| scene.ahead == Some(Ahead::Locked) && is(step, "graph"),
        External::Behind,
    ),
    of(
        "lock_invalid_form",
        "a file of another form stops a lock there (87); here it is replaced",
        |_, step| is_bug(step, "lock", "lock_invalid_form"),
        External::Locks,
    ),
    of(
        "lock_null_in_metadata",
        "a null in metadata stops a lock there (88); here it is kept",
        |_, step| is_bug(step, "lock", "lock_null_in_metadata"),
        External::Locks,
    ),
    of(
        "lock_upstream",
        "a version that changed through an upstream counts as unchanged there (89); here as updated",
        |scene, _| scene.relocked && scene.ahead != Some(Ahead::Locked),
        External::Locks,
    ),
    of(
        "push_does_not_sync",
        "a push records versions that follow from placeholders there (82); here it syncs first",
        |_, step| is_bug(step, "features", "push_does_not_sync"),
        External::RecordsSynced,
    ),
];

const FAILED: &str =
    "a failing sync has changed the graph already there (91); here it is as before";
const REMOVED: &str = "a removed feature is found for ever there (92); here it is not";
const CHAIN: &str = "what was pushed to a fallback is not seen there (63); here syncs and locks look through the chain";
const MUTATES: &str = "a lock adds what it loads to the graph, so that the next one empties the file, there (86); here it does not";

const fn of(
    name: &'static str,
    reason: &'static str,
    when: fn(Scene, &Json) -> bool,
    expect: External,
) -> Deviation {
    Deviation {
        name,
        reason,
        when: When::Scene(when),
        instead: Instead::As(Expect::External(expect)),
    }
}

fn is(step: &Json, op: &str) -> bool {
    opt_text(step, "op") == Some(op)
}

fn is_bug(step: &Json, op: &str, ref_bug: &str) -> bool {
    is(step, op) && opt_text(step, "ref_bug") == Some(ref_bug)
}

fn succeeds(step: &Json) -> bool {
    !flag(step, "expect_error")
}
