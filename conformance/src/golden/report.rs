//! What a replay found.

use std::fmt;

/// What a replay found. Its `Display` is what `cargo xtask golden` prints.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Cases that are as the reference has them.
    pub passed: usize,
    /// Cases that differ on purpose, as expected, and are right otherwise.
    pub differ: usize,
    /// Cases that are neither.
    pub failures: Vec<Failure>,
    /// Deliberate differences that were met: name, number of cases, reason.
    pub deviations: Vec<(&'static str, usize, &'static str)>,
    /// What was not replayed, and why.
    pub notes: Vec<String>,
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind and name of the case, such as `increments/017-join`.
    pub case: String,
    /// What differs, one line each.
    pub lines: Vec<String>,
}

impl Report {
    /// Whether something was replayed and nothing failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures.is_empty() && self.passed + self.differ > 0
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn fail(&mut self, case: impl Into<String>, lines: Vec<String>) {
        self.failures.push(Failure {
            case: case.into(),
            lines,
        });
    }

    /// Counts a case: what is wrong with it, and whether it differs on purpose.
    pub(super) fn count(&mut self, case: impl Into<String>, wrong: Vec<String>, differs: bool) {
        if !wrong.is_empty() {
            self.fail(case, wrong);
        } else if differs {
            self.differ += 1;
        } else {
            self.passed += 1;
        }
    }
}

/// Lines of one case that are shown; the rest is counted.
const SHOWN: usize = 4;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            for line in failure.lines.iter().take(SHOWN) {
                writeln!(f, "FAIL {} {line}", failure.case)?;
            }
            if let Some(more @ 1..) = failure.lines.len().checked_sub(SHOWN) {
                writeln!(f, "     {} and {more} more", failure.case)?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note {note}")?;
        }
        writeln!(f, "{} differ on purpose", self.differ)?;
        for (name, count, reason) in &self.deviations {
            writeln!(f, "  {count:>4}  {name}: {reason}")?;
        }
        write!(f, "{} passed, {} failed", self.passed, self.failures.len())
    }
}
