//! Replays `ops.json`: operations of chains of stores beyond a plain increment.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use metaxy_store::json::Json;

use super::deviations::{Tally, of_step};
use super::factory::StoreFactory;
use super::file::{Outcome, cases, list, opt_list, opt_text};
use super::report::Report;
use answer::compare;
use world::World;

mod answer;
mod copies;
mod expectations;
mod externals;
mod graphs;
mod pushes;
mod rebases;
mod steps;
mod world;

/// The operations that are replayed.
const REPLAYED: &[&str] = &[
    "write",
    "write_increment",
    "write_frame",
    "write_multi",
    "read",
    "resolve",
    "delete",
    "drop",
    "has_feature",
    "find_store",
    "copy",
    "rebase",
    "compute_provenance",
    "progress",
    "status",
    "push",
    "snapshots",
    "features",
    "latest_version",
    "load_graph",
    "redefine",
    "configure",
    "graph",
    "describe",
    "dependencies",
    "dependents",
    "diff",
    "sync",
    "lock",
    "load_lock",
];

pub(super) async fn replay(
    factory: &dyn StoreFactory,
    content: &Json,
    report: &mut Report,
    tally: &mut Tally,
) -> Outcome {
    let mut left_out = 0;
    let mut needed: BTreeMap<String, usize> = BTreeMap::new();
    for scenario in cases(content)? {
        let name = format!("ops/{}", opt_text(scenario, "name").unwrap_or("?"));
        let needs = needs(scenario);
        if !needs.is_empty() {
            left_out += 1;
            for need in needs {
                *needed.entry(need).or_default() += 1;
            }
            continue;
        }
        let mut wrong = Vec::new();
        let mut differs = false;
        let steps = run(factory, &name, scenario, tally, &mut wrong, &mut differs);
        match AssertUnwindSafe(steps).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => wrong.push(why),
            Err(_) => wrong.push("panicked".into()),
        }
        report.count(name, wrong, differs);
    }
    if left_out > 0 {
        report.note(format!("ops: scenarios not replayed yet: {left_out}"));
    }
    for (need, scenarios) in needed {
        report.note(format!("ops: not replayed yet (needs {need}): {scenarios}"));
    }
    Ok(())
}

/// What a scenario needs that is not there. It is replayed completely or not at all.
fn needs(scenario: &Json) -> BTreeSet<String> {
    let mut needs = BTreeSet::new();
    for step in [scenario].into_iter().chain(opt_list(scenario, "steps")) {
        let Some(op) = opt_text(step, "op") else {
            continue;
        };
        if !REPLAYED.contains(&op) {
            needs.insert(op.to_owned());
        }
    }
    needs
}

async fn run(
    factory: &dyn StoreFactory,
    name: &str,
    scenario: &Json,
    tally: &mut Tally,
    wrong: &mut Vec<String>,
    differs: &mut bool,
) -> Outcome {
    let mut world = World::new(factory, name, scenario).await?;
    for (index, step) in list(scenario, "steps")?.iter().enumerate() {
        match opt_text(step, "op") {
            Some("redefine") => {
                world.define(step)?;
                continue;
            }
            Some("configure") => {
                world.configure(step.get("config").unwrap_or(&Json::Null));
                continue;
            }
            _ => {}
        }
        let scene = world.scene(step).await;
        let kept = world.kept_before(step).await;
        let found = world.step(index, step).await;
        let plain = compare(step, &found);
        let mut whys = Vec::new();
        let mut explained = false;
        for (deviation, expect) in of_step(scene, step) {
            // A refusal on both sides may still leave something there.
            if plain.is_ok() && !expect.leaves_other_state() {
                if expect.is_certain() {
                    tally.met(deviation, name, false);
                }
                continue;
            }
            match world.as_expected(expect, step, &found, &kept).await {
                Ok(()) => {
                    tally.met(deviation, name, true);
                    *differs = true;
                    explained = true;
                    break;
                }
                Err(why) => {
                    whys.push(format!("{} does not explain it: {why}", deviation.name));
                }
            }
        }
        world.note(step);
        // As the reference has it, but not as the steps that follow need it.
        let must = plain.is_ok() && !whys.is_empty();
        if let (false, Err(why)) = (explained, &plain) {
            whys.insert(0, why.clone());
        }
        if !explained && (plain.is_err() || must) {
            wrong.push(format!(
                "step {index} ({} {}): {}",
                opt_text(step, "op").unwrap_or("?"),
                opt_text(step, "feature").unwrap_or_default(),
                whys.join("; ")
            ));
        }
    }
    Ok(())
}
