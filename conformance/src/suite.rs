//! Running the cases against a backend.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use metaxy_store::{Error, ErrorKind, HashAlgorithm, Result};

use crate::bed::TestBed;
use crate::cases;
use crate::factory::{Availability, StoreFactory};
use crate::outcome::{Outcome, Stop};

/// Set to `1`, a case fails whose server is missing: for CI, where everything has to be there.
pub const REQUIRED: &str = "CONFORMANCE_REQUIRED";

/// Set to `1`, [`Suite::with_part`] leaves nothing out.
pub const ALL: &str = "CONFORMANCE_ALL";

/// How long a case may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A behaviour that every backend has.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, such as `write::overwrites_same_key`: the path of its function in [`cases`].
    pub name: &'static str,
    run: for<'a> fn(&'a TestBed) -> BoxFuture<'a, Outcome>,
}

impl Case {
    /// The case `name`, which does `run`.
    #[must_use]
    pub const fn new(
        name: &'static str,
        run: for<'a> fn(&'a TestBed) -> BoxFuture<'a, Outcome>,
    ) -> Self {
        Self { name, run }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

/// The cases, and the stores that they run on.
#[derive(Clone)]
pub struct Suite {
    stores: Arc<dyn StoreFactory>,
    cases: Vec<Case>,
    threads: usize,
    required: bool,
    failures: usize,
    algorithm: Option<HashAlgorithm>,
    /// How many cases are of another part.
    left_out: usize,
}

/// What a second way to set up a store can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Where and how tables are kept: writing, deleting, copying, maintenance, several writers, graphs in the store.
    Storage,
    /// What is computed from rows: joins, hashes, comparisons.
    Resolving,
}

impl Part {
    /// What the names of its cases begin with.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Storage => &[
                "backend::",
                "capabilities::",
                "concurrency::",
                "copy::",
                "delete::",
                "display::",
                "fallback::",
                "maintain::",
                "push::",
                "registration::",
                "sync::",
                "write::",
            ],
            Self::Resolving => &[
                "backend::",
                "childless::",
                "increments::",
                "joins::",
                "laws::",
                "lineage::",
                "multi::",
                "optional::",
                "progress::",
                "provenance::",
                "rebase::",
                "samples::",
                "staleness::",
                "status::",
                "versions::",
            ],
        }
    }
}

impl Suite {
    /// All cases on stores from `stores`.
    #[must_use]
    pub fn new(stores: Arc<dyn StoreFactory>) -> Self {
        let threads = std::thread::available_parallelism();
        Self {
            stores,
            cases: cases::all(),
            threads: threads.map_or(1, usize::from),
            required: std::env::var(REQUIRED).is_ok_and(|value| value == "1"),
            failures: usize::MAX,
            algorithm: None,
            left_out: 0,
        }
    }

    /// With this algorithm in the stores of all cases that do not choose one: for a backend that computes some in another way.
    #[must_use]
    pub fn with_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Only the cases whose name starts with one of these.
    #[must_use]
    pub fn with_only(mut self, prefixes: &[&str]) -> Self {
        self.cases
            .retain(|case| prefixes.iter().any(|prefix| case.name.starts_with(prefix)));
        self
    }

    /// Only a part of the cases, unless [`ALL`] asks for all: for a second way to set up a store on which all have run.
    /// [`run_as_main`](Self::run_as_main) says how many are left out.
    #[must_use]
    pub fn with_part(self, part: Part) -> Self {
        if std::env::var(ALL).is_ok_and(|value| value == "1") {
            return self;
        }
        let all = self.cases.len();
        let mut suite = self.with_only(part.prefixes());
        suite.left_out += all - suite.cases.len();
        suite
    }

    /// Without the cases whose name starts with one of these.
    #[must_use]
    pub fn without(mut self, prefixes: &[&str]) -> Self {
        self.cases
            .retain(|case| !prefixes.iter().any(|prefix| case.name.starts_with(prefix)));
        self
    }

    /// Whether a case fails whose server is missing; otherwise as [`REQUIRED`] says.
    #[must_use]
    pub fn with_required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// [`run`](Self::run) starts no more cases once so many have failed; those are not in the report.
    #[must_use]
    pub fn with_failures_at_most(mut self, failures: usize) -> Self {
        self.failures = failures;
        self
    }

    /// These cases as well: a backend's own.
    #[must_use]
    pub fn with_cases(mut self, cases: impl IntoIterator<Item = Case>) -> Self {
        self.cases.extend(cases);
        self
    }

    /// [`run_as_main`](Self::run_as_main) of all cases on these stores.
    pub fn main<F: StoreFactory + 'static>(stores: Result<F>) -> ExitCode {
        match stores {
            Ok(stores) => Self::new(Arc::new(stores)).run_as_main(),
            Err(error) => {
                eprintln!("the stores cannot be made: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Runs the suite as the `main` of a test without harness: `cargo test` shows each case, takes filters, `--list` and
    /// `--test-threads`, and tells failure by the exit code.
    #[must_use]
    pub fn run_as_main(&self) -> ExitCode {
        let arguments = Arguments::from_args();
        if self.left_out > 0 && !arguments.list {
            println!(
                "\n{} cases that do not depend on this are left out; {ALL}=1 runs them too",
                self.left_out
            );
        }
        let trials = self.cases.iter().map(|case| {
            let (suite, case) = (self.clone(), *case);
            Trial::ignorable_test(case.name, move || match suite.outcome(case) {
                Ok(()) => Ok(Completion::Completed),
                Err(Stop::Ignored(why) | Stop::Missing(why)) => Ok(Completion::ignored_with(why)),
                Err(Stop::Failed(why)) => Err(Failed::from(why)),
            })
        });
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }

    /// Runs the cases, several at a time, and reports on all of them.
    #[must_use]
    pub fn run(&self) -> SuiteReport {
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; self.cases.len()]);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while failed.load(Ordering::Relaxed) < self.failures {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(case) = self.cases.get(at) else {
                            break;
                        };
                        let outcome = self.outcome(*case);
                        if matches!(outcome, Err(Stop::Failed(_))) {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                        let mut all = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Some(slot) = all.get_mut(at) {
                            *slot = Some(outcome);
                        }
                    }
                });
            }
        });
        let outcomes = outcomes
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let run = self.cases.iter().zip(outcomes);
        let named = run.filter_map(|(case, outcome)| Some((case.name, outcome?)));
        SuiteReport {
            store: self.stores.name().to_owned(),
            outcomes: named.collect(),
        }
    }

    /// Runs one case on stores and a runtime of its own. A panic is a failure.
    fn outcome(&self, case: Case) -> Outcome {
        let outcome = blocking(async {
            if let Availability::Missing(what) = self.stores.availability().await {
                return Err(Stop::Missing(what));
            }
            let bed = TestBed::new(self.stores.clone(), case.name).with_algorithm(self.algorithm);
            let run = tokio::time::timeout(PATIENCE, (case.run)(&bed));
            match AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(Stop::failed(format!("not done after {PATIENCE:?}"))),
                Err(panic) => Err(Stop::failed(format!("panicked: {}", said(&*panic)))),
            }
        });
        match outcome.unwrap_or_else(|error| Err(error.into())) {
            Err(Stop::Missing(what)) if self.required => {
                Err(Stop::Failed(format!("{what}, and {REQUIRED}=1")))
            }
            outcome => outcome,
        }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("stores", &self.stores.name())
            .field("cases", &self.cases.len())
            .finish_non_exhaustive()
    }
}

/// What became of each case.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SuiteReport {
    /// The kind of store.
    pub store: String,
    /// Each case's name and outcome, in the order of the suite.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl SuiteReport {
    /// Whether cases were run, and none failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.passed() > 0 && self.failures().next().is_none()
    }

    /// How many passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.outcomes.iter().filter(|(_, o)| o.is_ok()).count()
    }

    /// The cases that failed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes
            .iter()
            .filter_map(|(name, outcome)| match outcome {
                Err(Stop::Failed(why)) => Some((*name, why.as_str())),
                _ => None,
            })
    }

    /// The cases that do not apply, and why.
    pub fn ignored(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.outcomes
            .iter()
            .filter_map(|(name, outcome)| match outcome {
                Err(Stop::Ignored(why) | Stop::Missing(why)) => Some((*name, why.as_str())),
                _ => None,
            })
    }
}

/// One line per case, and the sums.
impl fmt::Display for SuiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.outcomes {
            match outcome {
                Ok(()) => writeln!(f, "pass     {name}")?,
                Err(Stop::Failed(why)) => writeln!(f, "FAIL     {name}: {why}")?,
                Err(Stop::Ignored(why) | Stop::Missing(why)) => {
                    writeln!(f, "ignored  {name}: {why}")?;
                }
            }
        }
        write!(
            f,
            "{}: {} cases, {} passed, {} failed, {} ignored",
            self.store,
            self.outcomes.len(),
            self.passed(),
            self.failures().count(),
            self.ignored().count()
        )
    }
}

/// Runs a future on a runtime of its own: connections of one case do not outlive it.
fn blocking<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, "no runtime can be made").with_source(e))?;
    let done = runtime.block_on(future);
    // A thread that an engine blocks for ever must not hold up the other cases.
    runtime.shutdown_background();
    Ok(done)
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
