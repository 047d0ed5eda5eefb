//! The checks themselves, without the reference: this implementation on both sides of a store of its own.

use std::path::Path;

use metaxy_store::Access;
use metaxy_store::json::Json;

use super::metaxy::Metaxy;
use super::scenario::Scenario;
use super::stores::Kind;
use super::{Checks, Outcome, Report, Request, Side};

const SQLITE: Kind = Kind {
    name: "sqlite",
    cargo_feature: "sqlite",
    type_path: "sqlite",
    options: |directory| {
        vec![
            ("database", directory.join("store.db").display().to_string()),
            ("hash_algorithm", "md5".to_owned()),
        ]
    },
    // It keeps integers up to that of 64 bits with a sign.
    lacks: &["u64"],
    made_here: &[],
    evolves: true,
};

/// This implementation in the part of the reference, with answers that `change` may spoil.
struct Twin(fn(&Json, Json) -> Json);

impl Side for Twin {
    fn name(&self) -> &'static str {
        "twin"
    }

    fn run(&self, request: &Request<'_>) -> Outcome<Vec<Json>> {
        let answers = Metaxy.run(request)?;
        let changed = |(step, answer)| match request.access {
            Access::Read => (self.0)(step, answer),
            _ => answer,
        };
        Ok(request.steps.iter().zip(answers).map(changed).collect())
    }
}

fn checked(twin: &Twin, scenario: &Scenario, directory: &Path) -> Outcome<Report> {
    let mut report = Report::default();
    let checks = Checks {
        kind: &SQLITE,
        scenario,
        directory,
        reference: twin,
        ours: &Metaxy,
    };
    checks.run(&mut report)?;
    Ok(report)
}

#[test]
fn two_of_a_kind_agree_on_the_whole_scenario() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = Scenario::read().unwrap().without(SQLITE.lacks);
    let report = checked(&Twin(|_, answer| answer), &scenario, directory.path()).unwrap();
    let evolution = &scenario.evolution;
    let questions = 2 * scenario.ask.len()
        + scenario.turns.len() * scenario.ask_in_turns.len()
        + evolution.turns.len() * evolution.ask.len();
    assert_eq!((report.passed, report.failed), (questions, 0));
}

/// Most questions have an answer that is not empty, or the checks would prove little.
#[test]
fn the_scenario_has_something_of_everything() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = Scenario::read().unwrap().without(SQLITE.lacks);
    let config = SQLITE
        .configure(directory.path(), &scenario.project)
        .unwrap();
    let request = |access, steps| Request {
        kind: SQLITE.name,
        config: &config,
        access,
        scenario: &scenario,
        steps,
        directory: directory.path(),
    };
    Metaxy
        .run(&request(Access::Write, &scenario.write))
        .unwrap();
    let answers = Metaxy.run(&request(Access::Read, &scenario.ask)).unwrap();
    let rows = |answer: &Json| {
        answer
            .get("rows")
            .and_then(Json::as_array)
            .map(<[Json]>::len)
    };
    for part in ["new", "stale", "orphaned"] {
        let filled = answers.iter().filter_map(|answer| rows(answer.get(part)?));
        assert!(filled.filter(|rows| *rows > 0).count() >= 4, "{part}");
    }
    let reads: Vec<usize> = answers.iter().filter_map(rows).collect();
    assert!(reads.iter().filter(|rows| **rows > 0).count() * 10 >= reads.len() * 9);
}

#[test]
fn an_answer_that_differs_fails_its_check_only() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = Scenario::read().unwrap().without(SQLITE.lacks);
    let spoiled = Twin(|step, answer| match step.get("op").and_then(Json::as_str) {
        Some("history") => Json::Null,
        _ => answer,
    });
    let report = checked(&spoiled, &scenario, directory.path()).unwrap();
    assert_eq!(report.failed, 2 + scenario.evolution.turns.len());
    assert!(report.passed > 50);
}
