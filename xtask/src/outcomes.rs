//! What came of a check, and the tables of all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::stages::target_directory;

/// How many of the slowest tests are shown.
const SLOWEST: usize = 20;

/// What came of a stage, or of one of the jobs of a stage.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) tests: Tests,
}

/// Tests of a program. A check that is no program of tests counts as none.
#[derive(Default)]
pub(crate) struct Tests {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
    /// Whether the whole of it failed, whatever became of its tests.
    pub(crate) broken: bool,
    /// How long each took, as far as that is known.
    pub(crate) durations: Vec<(String, Duration)>,
}

impl Tests {
    /// A check without tests.
    pub(crate) fn of_one(passed: bool) -> Self {
        Self {
            broken: !passed,
            ..Self::default()
        }
    }

    fn count(&self) -> usize {
        self.passed + self.failed + self.ignored
    }
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        !self.tests.broken && self.tests.failed == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed() { "passed" } else { "FAILED" };
        let Self { name, took, tests } = self;
        write!(f, "{word} {:>8.1} s  {name}", took.as_secs_f64())?;
        if tests.count() > 0 {
            let (passed, failed) = (tests.passed, tests.failed);
            write!(f, ": {passed} passed, {failed} failed")?;
        }
        match tests.ignored {
            0 => Ok(()),
            ignored => write!(f, ", {ignored} ignored"),
        }
    }
}

/// Prints the tables, and says whether all is well.
pub(crate) fn report(outcomes: &[Outcome], took: Duration) -> bool {
    println!();
    for outcome in outcomes {
        println!("{outcome}");
    }
    let mut tests: Vec<(Duration, &str, &str)> = Vec::new();
    for outcome in outcomes {
        let of_program = outcome.tests.durations.iter();
        tests.extend(of_program.map(|(test, took)| (*took, outcome.name.as_str(), test.as_str())));
    }
    tests.sort_unstable_by(|a, b| b.cmp(a));
    if !tests.is_empty() {
        println!("\nThe slowest tests:");
    }
    for (took, program, test) in tests.iter().take(SLOWEST) {
        println!("{:>8.1} s  {program}: {test}", took.as_secs_f64());
    }
    let sum = |of: fn(&Tests) -> usize| outcomes.iter().map(|o| of(&o.tests)).sum::<usize>();
    let (passed, failed) = (sum(|tests| tests.passed), sum(|tests| tests.failed));
    let ignored = sum(|tests| tests.ignored);
    println!("\n{passed} tests passed, {failed} failed, {ignored} ignored");
    let well = outcomes.iter().filter(|outcome| outcome.passed()).count();
    println!(
        "after {} min {} s:",
        took.as_secs() / 60,
        took.as_secs() % 60
    );
    println!("{well} passed, {} failed", outcomes.len() - well);
    well > 0 && well == outcomes.len()
}

/// How long jobs took the last time, in a file below the target directory.
#[derive(Default)]
pub(crate) struct LastTime(BTreeMap<String, Duration>);

impl LastTime {
    /// What is known; nothing on a new machine.
    pub(crate) fn read() -> Self {
        let text = path().ok().and_then(|path| fs::read_to_string(path).ok());
        let known = text.and_then(|text| serde_json::from_str(&text).ok());
        let known: BTreeMap<String, u64> = known.unwrap_or_default();
        let known = known.into_iter();
        Self(
            known
                .map(|(name, ms)| (name, Duration::from_millis(ms)))
                .collect(),
        )
    }

    pub(crate) fn of(&self, job: &str) -> Option<Duration> {
        self.0.get(job).copied()
    }

    /// Remembers these as well. What cannot be kept is no failure: it only decides what begins first.
    pub(crate) fn keep(mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            self.0.insert(outcome.name.clone(), outcome.took);
        }
        let milliseconds = |took: &Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let members = self
            .0
            .iter()
            .map(|(name, took)| (name.clone(), milliseconds(took)));
        let members: serde_json::Map<String, Value> =
            members.map(|(name, ms)| (name, ms.into())).collect();
        if let Ok(path) = path() {
            let _ = fs::write(path, Value::Object(members).to_string());
        }
    }
}

fn path() -> Result<PathBuf, String> {
    Ok(target_directory()?.join("check").join("durations.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(tests: Tests) -> Outcome {
        Outcome {
            name: "golden".into(),
            took: Duration::from_millis(2500),
            tests,
        }
    }

    #[test]
    fn a_program_that_ends_badly_has_failed_although_its_tests_passed() {
        let tests = Tests {
            passed: 2,
            broken: true,
            ..Tests::default()
        };
        let outcome = outcome(tests);
        assert!(!outcome.passed());
        let line = "FAILED      2.5 s  golden: 2 passed, 0 failed";
        assert_eq!(outcome.to_string(), line);
        assert!(!report(&[outcome], Duration::ZERO));
    }

    #[test]
    fn nothing_at_all_is_no_success() {
        assert!(!report(&[], Duration::ZERO));
        let fine = outcome(Tests::of_one(true));
        assert!(report(&[fine], Duration::ZERO));
    }
}
