//! Replays `increments.json`: scenarios of writes, resolves, reads and deletes on one store each.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use metaxy_store::json::Json;

use super::deviations::{Case, Instead, Repair, Tally};
use super::factory::{StoreFactory, StoreRequest};
use super::file::{Outcome, cases, flag, list, opt_list, opt_text, size, text, texts};
use super::report::Report;
use super::rows::{Difference, Row, distinct, golden, without};
use session::{Found, Session};

mod session;

/// The parts of an increment, as in the file.
const PARTS: [&str; 3] = ["new", "stale", "orphaned"];

pub(super) async fn replay(
    factory: &dyn StoreFactory,
    content: &Json,
    report: &mut Report,
    tally: &mut Tally,
) -> Outcome {
    for scenario in cases(content)? {
        let name = format!("increments/{}", opt_text(scenario, "name").unwrap_or("?"));
        let mut wrong = Vec::new();
        let mut differs = false;
        let steps = AssertUnwindSafe(run(
            factory,
            &name,
            scenario,
            tally,
            &mut wrong,
            &mut differs,
        ))
        .catch_unwind();
        match steps.await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => wrong.push(why),
            Err(_) => wrong.push("panicked".into()),
        }
        report.count(name, wrong, differs);
    }
    Ok(())
}

async fn run(
    factory: &dyn StoreFactory,
    name: &str,
    scenario: &Json,
    tally: &mut Tally,
    wrong: &mut Vec<String>,
    differs: &mut bool,
) -> Outcome {
    let config = scenario.get("config").unwrap_or(&Json::Null);
    let algorithm = text(config, "hash_algorithm")?
        .parse()
        .map_err(|e| format!("{e}"))?;
    let request = StoreRequest::new(name, algorithm, size(config, "hash_truncation_length")?)
        .with_layout(opt_text(config, "layout").unwrap_or("nested"));
    let backend = factory.open(&request).await.map_err(|e| e.to_string())?;
    let mut session = Session::new(backend, &request, text(config, "project")?)?;
    let mut case = Case::new(texts(scenario, "tags"), list(scenario, "features")?);
    session.define(case.specs())?;

    for (index, step) in list(scenario, "steps")?.iter().enumerate() {
        let label = || {
            let feature = opt_text(step, "feature").unwrap_or_default();
            format!(
                "step {index} ({} {feature})",
                opt_text(step, "op").unwrap_or("?")
            )
        };
        if opt_text(step, "op") == Some("redefine") {
            case.redefine(list(step, "features")?);
            session.define(case.specs())?;
            continue;
        }
        // What is refused here and accepted there is done again in the form that says the same in our terms.
        let mut found = session.step(index, step).await;
        for (deviation, repair) in case.repairs(step) {
            let refused = found.is_err();
            tally.met(deviation, name, refused);
            if refused {
                *differs = true;
                found = session.step(index, &repaired(step, &repair)).await;
                case.repaired(repair);
            } else {
                wrong.push(format!("{}: not refused ({})", label(), deviation.name));
            }
        }
        case.done(step);
        match judge(&case, step, found.as_ref()) {
            Judged::Same => {}
            Judged::Wrong(why) => wrong.push(format!("{}: {why}", label())),
            Judged::OnPurpose(met) => {
                for (deviation, differed) in met {
                    tally.met(deviation, name, differed);
                    *differs |= differed;
                }
            }
        }
    }
    Ok(())
}

/// How a step compares with the reference.
enum Judged {
    Same,
    Wrong(String),
    /// As some deviations expect, and whether it differs from the reference.
    OnPurpose(Vec<(&'static super::deviations::Deviation, bool)>),
}

fn judge(case: &Case<'_>, step: &Json, found: Result<&Found, &String>) -> Judged {
    let plain = compare(case, step, found, &[]);
    let deviations = case.deviations(step);
    if deviations.is_empty() {
        return match plain {
            Ok(false) => Judged::Same,
            // Under expansion the reference shows one child of an orphaned parent.
            Ok(true) => Judged::OnPurpose(vec![(&super::deviations::EXPANSION_ORPHANS, true)]),
            Err(_) if differs_in_orphans(case, step, found) => {
                Judged::OnPurpose(vec![(&super::deviations::ORPHANED_EARLY, true)])
            }
            Err(why) => Judged::Wrong(why),
        };
    }
    let Err(difference) = plain else {
        let certain = deviations
            .into_iter()
            .filter(|deviation| deviation.is_certain(step));
        return Judged::OnPurpose(certain.map(|deviation| (deviation, false)).collect());
    };
    let mut whys = Vec::new();
    let mut met = Vec::new();
    for deviation in deviations {
        let expected = match deviation.instead {
            Instead::Succeeds => found.map(|_| ()).map_err(|e| format!("fails: {e}")),
            Instead::Refuses => match found {
                Ok(_) => Err("is not refused".into()),
                Err(_) => Ok(()),
            },
            Instead::Without(columns) => compare(case, step, found, columns).map(drop),
            Instead::Rows(check) => rows(case, step, found).and_then(|parts| check(&parts)),
            Instead::As(_) => Err("it is not one of increments".into()),
        };
        match expected {
            Ok(()) => met.push((deviation, true)),
            Err(why) => {
                whys.push(format!("{} does not explain it: {why}", deviation.name));
                met.push((deviation, false));
            }
        }
    }
    if met.iter().any(|(_, differed)| *differed) {
        Judged::OnPurpose(met)
    } else {
        Judged::Wrong(format!("{difference}; {}", whys.join("; ")))
    }
}

/// Whether an upstream has rows of other versions only, and all that differs is that nothing is orphaned here.
fn differs_in_orphans(case: &Case<'_>, step: &Json, found: Result<&Found, &String>) -> bool {
    if !matches!(found, Ok(Found::Increment(_, true))) {
        return false;
    }
    rows(case, step, found).is_ok_and(|parts| {
        parts.iter().all(|part| match part.name {
            "orphaned" => part.found.is_empty(),
            _ => Difference::between(&part.expected, &part.found).is_empty(),
        })
    })
}

/// One part of a result: its name, the rows of the reference, the rows here.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) expected: Vec<Row>,
    pub(super) found: Vec<Row>,
}

/// The parts of a step that both sides completed, as they are compared.
fn rows(case: &Case<'_>, step: &Json, found: Result<&Found, &String>) -> Outcome<Vec<Part>> {
    if flag(step, "expect_error") {
        return Err(format!(
            "the reference fails ({})",
            opt_text(step, "error_type").unwrap_or("?")
        ));
    }
    let found = found.map_err(|error| format!("fails: {error}"))?;
    let mut parts = Vec::new();
    match found {
        Found::Nothing => {}
        Found::Rows(found) => parts.push(Part {
            name: "rows",
            expected: case.expected(step, golden(list(step, "expect")?)?),
            found: found.clone(),
        }),
        Found::Increment(increment, _) => {
            let expect = step.get("expect").unwrap_or(&Json::Null);
            for (name, found) in PARTS.into_iter().zip(increment) {
                parts.push(Part {
                    name,
                    expected: case.expected(step, golden(list(expect, name)?)?),
                    found: found.clone(),
                });
            }
        }
    }
    let ignored = step.get("ignore_columns").unwrap_or(&Json::Null);
    for part in &mut parts {
        let dropped = texts(ignored, part.name);
        part.expected = without(std::mem::take(&mut part.expected), &dropped);
        part.found = without(std::mem::take(&mut part.found), &dropped);
    }
    Ok(parts)
}

/// Whether a step is as the reference has it, apart from the columns `dropped`. `true`: apart from repeated orphaned rows, too.
fn compare(
    case: &Case<'_>,
    step: &Json,
    found: Result<&Found, &String>,
    dropped: &[&str],
) -> Outcome<bool> {
    if flag(step, "expect_error") {
        return match found {
            Err(_) => Ok(false),
            Ok(_) => Err(format!(
                "succeeds where the reference fails ({})",
                opt_text(step, "error_type").unwrap_or("?")
            )),
        };
    }
    let mut collapsed = false;
    let mut wrong = Vec::new();
    for part in rows(case, step, found)? {
        let expected = without(part.expected, dropped);
        let here = without(part.found, dropped);
        let mut difference = Difference::between(&expected, &here);
        let collapses = part.name == "orphaned"
            && step
                .get("ignore_columns")
                .is_some_and(|i| !opt_list(i, part.name).is_empty());
        if !difference.is_empty() && collapses {
            difference = Difference::between(&distinct(expected), &distinct(here));
            collapsed |= difference.is_empty();
        }
        if !difference.is_empty() {
            wrong.push(format!("{}:{difference}", part.name));
        }
    }
    match wrong.as_slice() {
        [] => Ok(collapsed),
        wrong => Err(wrong.join("; ")),
    }
}

/// The step in the form that is accepted here.
fn repaired(step: &Json, repair: &Repair) -> Json {
    let Json::Object(mut members) = step.clone() else {
        return step.clone();
    };
    match repair {
        Repair::DropColumn(name) => {
            let frame = match members.get_mut("samples") {
                Some(Json::Object(samples)) => samples,
                _ => &mut members,
            };
            if let Some(Json::Object(columns)) = frame.get_mut("columns") {
                columns.shift_remove(*name);
            }
        }
        Repair::DropRowsWithNull(ids) => {
            if let Some(Json::Array(rows)) = members.get_mut("rows") {
                rows.retain(|row| {
                    ids.iter()
                        .all(|id| row.get(id).is_some_and(|cell| !cell.is_null()))
                });
            }
        }
    }
    Json::Object(members)
}
