//! `cargo xtask test`: every check of the workspace. What needs cargo is done one after the other; the programs that were built run beside it,
//! several at a time.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Args;
use serde_json::Value;

use crate::outcomes::{LastTime, Outcome, Tests, report};
use crate::programs::Built;
use crate::together::{self, Job, Queue};
use crate::{deny, features, packages, rebuild, root};

/// A backend that is not a member of the workspace: an example that has to pass the suite.
const THIRD_PARTY: &str = "conformance/examples/third_party/Cargo.toml";

/// A program with features of its own, which is no member either.
const CUSTOM_BINARY: &str = "examples/custom-binary/Cargo.toml";

/// Features of `metaxy-store` that every other stage builds with more: with those that bring clouds, or with the store.
const NOT_ALONE_ELSEWHERE: &[&str] = &["delta", "polars"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run only the checks whose name starts so, such as `clippy`, `golden` or `tests metaxy-delta`.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    only: Vec<String>,
    /// Stop at the first stage that fails.
    #[arg(long)]
    fail_fast: bool,
    /// How much is done at a time: cargo, and programs of tests [default: one more than there are processors, as some wait].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// List the checks, and run none.
    #[arg(long)]
    list: bool,
}

/// A check that the others wait for: it uses cargo, which does one thing at a time.
struct Stage {
    name: String,
    work: Work,
}

enum Work {
    /// Cargo with these arguments, and one variable of the environment.
    Cargo(Vec<String>, Option<(&'static str, &'static str)>),
    /// A browser for the page of a graph.
    Browser,
    /// Licences and sources of what is depended on.
    Deny,
    /// The Cargo features of what is installed beside those of what is tested.
    Features,
    /// What would be published, without warnings.
    Package,
}

/// A selection of packages and features, whose tests are built together.
struct Selection {
    /// What its tests are called: `tests`, or `installed sqlite`.
    name: String,
    /// What cargo is told.
    arguments: Vec<String>,
}

/// Runs the checks, prints each with its duration, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let start = Instant::now();
    let wanted = |name: &str| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|only| name.starts_with(only.as_str()))
    };
    // A selection is built for one of its programs as well, of which only cargo knows the names.
    let built_for = |name: &str| {
        let only = &arguments.only;
        wanted(name)
            || only
                .iter()
                .any(|only| only.starts_with(&format!("{name} ")))
    };
    let (before, after) = (stages_before()?, stages_after()?);
    if arguments.list {
        for stage in before.iter().chain(&after) {
            println!("{}", stage.name);
        }
        selections()
            .iter()
            .for_each(|selection| println!("{} …", selection.name));
        own().iter().for_each(|own| println!("{}", own.name));
        return Ok(true);
    }
    let mut outcomes = Vec::new();
    let most = arguments.jobs.unwrap_or_else(|| processors() + 1);
    let done = together::run(most, LastTime::read(), |queue| {
        let mut lane = Lane {
            outcomes: &mut outcomes,
            fail_fast: arguments.fail_fast,
            queue,
        };
        let _ = lane.run(before, after, &wanted, &built_for);
    });
    LastTime::read().keep(&done);
    outcomes.extend(done);
    Ok(report(&outcomes, start.elapsed()))
}

/// What is done one after the other.
struct Lane<'l> {
    outcomes: &'l mut Vec<Outcome>,
    fail_fast: bool,
    /// Where the programs that were built wait for somebody to run them.
    queue: &'l Queue,
}

/// That nothing more is to be done, as something failed.
struct Ended;

impl Lane<'_> {
    fn run(
        &mut self,
        before: Vec<Stage>,
        after: Vec<Stage>,
        wanted: &impl Fn(&str) -> bool,
        built_for: &impl Fn(&str) -> bool,
    ) -> Result<(), Ended> {
        self.stages(before, wanted)?;
        // The program with every store is needed by its own checks, and starts the server for the command that has PostgreSQL alone.
        let needs_all =
            own().iter().any(|own| wanted(&own.name)) || built_for("installed postgres");
        let mut all = None;
        for selection in selections() {
            let name = selection.name;
            let is_all = name == TESTS;
            if !(built_for(&name) || is_all && needs_all) {
                continue;
            }
            let mut built = None;
            self.timed(&format!("build of {name}"), || {
                built = Built::new(&name, &selection.arguments)?;
                Ok(built.is_some())
            })?;
            let Some(built) = built else {
                continue;
            };
            if is_all {
                // The stores that live on a server need one.
                self.timed("server", || {
                    let server = own_command(&built, "server").status();
                    server
                        .map(|status| status.success())
                        .map_err(|e| e.to_string())
                })?;
                self.queue
                    .add(own_jobs(&built, |own| !own.builds && wanted(&own.name)));
            }
            let server = all.as_ref().map(|all: &Built| all.program("xtask"));
            let server = server.filter(|_| name.ends_with("postgres"));
            let of_it = |program: &str| wanted(&format!("{name} {program}"));
            self.queue.add(built.jobs(&name, server.as_deref(), of_it));
            all = all.or(is_all.then_some(built));
        }
        self.stages(after, wanted)?;
        if let Some(all) = all {
            self.queue
                .add(own_jobs(&all, |own| own.builds && wanted(&own.name)));
        }
        Ok(())
    }

    fn stages(&mut self, stages: Vec<Stage>, wanted: &impl Fn(&str) -> bool) -> Result<(), Ended> {
        for stage in stages.into_iter().filter(|stage| wanted(&stage.name)) {
            self.timed(&stage.name, || stage.work.run())?;
        }
        Ok(())
    }

    /// Does one thing, and adds what came of it.
    fn timed(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<bool, String>,
    ) -> Result<(), Ended> {
        println!("\n=== {name}");
        let start = Instant::now();
        let passed = work().unwrap_or_else(|why| {
            println!("{why}");
            false
        });
        let outcome = Outcome {
            name: name.to_owned(),
            took: start.elapsed(),
            tests: Tests::of_one(passed),
        };
        println!("=== {outcome}");
        self.outcomes.push(outcome);
        if !passed && self.fail_fast {
            self.queue.clear();
            return Err(Ended);
        }
        Ok(())
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What is quickly done, and tells of mistakes that are quickly made.
fn stages_before() -> Result<Vec<Stage>, String> {
    let formatting = "fmt --all -- --check -l";
    let of = |manifest: &str| format!("fmt --manifest-path {manifest} -- --check -l");
    Ok(vec![
        Stage::cargo("formatting", formatting),
        Stage::cargo("formatting of fuzz", &of("fuzz/Cargo.toml")),
        Stage::cargo("formatting of the third party", &of(THIRD_PARTY)),
        Stage::cargo("formatting of the custom binary", &of(CUSTOM_BINARY)),
        Stage::new("browser", Work::Browser),
        Stage::new("features", Work::Features),
        Stage::new("deny", Work::Deny),
        Stage::new("package", Work::Package),
    ])
}

/// What is checked by cargo while the programs run.
fn stages_after() -> Result<Vec<Stage>, String> {
    let mut stages = vec![
        Stage::cargo(
            "clippy",
            "clippy --workspace --all-targets --all-features -- -D warnings",
        ),
        Stage::new(
            "documentation",
            Work::Cargo(
                // With the examples, cargo takes the features of the tests' dependencies as well, and so what clippy has checked; otherwise the
                // engines would be checked once more.
                words("doc --workspace --no-deps --all-features --lib --bins --examples"),
                Some(("RUSTDOCFLAGS", "-D warnings")),
            ),
        ),
    ];
    for package in packages()? {
        let command = format!("check --package {package} --no-default-features");
        stages.push(Stage::cargo(&format!("alone {package}"), &command));
    }
    for feature in NOT_ALONE_ELSEWHERE {
        let command =
            format!("check --package metaxy-store --no-default-features --features {feature}");
        stages.push(Stage::cargo(&format!("alone {feature}"), &command));
    }
    stages.push(Stage::cargo(
        "examples in the documentation",
        "test --workspace --all-features --doc",
    ));
    Ok(stages)
}

/// The tests of the workspace, with everything.
pub(crate) const TESTS: &str = "tests";

/// What is built, and whose tests run. What comes later replaces programs that cargo puts into the same place.
fn selections() -> Vec<Selection> {
    let mut selections = vec![
        Selection::new(TESTS, "--workspace --all-features"),
        Selection::new(
            "third party",
            &format!("--locked --manifest-path {THIRD_PARTY}"),
        ),
    ];
    for build in features::INSTALLED {
        selections.push(Selection::new(
            &format!("installed {}", build.name),
            &format!("--package metaxy-cli {}", build.options),
        ));
    }
    selections
}

/// A command of this program that is a check, in the build with every store: any other selection of packages would build the engines once
/// more, with features that differ a little.
struct Own {
    name: String,
    arguments: String,
    /// Whether it builds something: then it begins when nothing else does.
    builds: bool,
}

fn own() -> Vec<Own> {
    // On SQLite the tests of `metaxy-conformance` do it.
    let stores = rebuild::stores().filter(|store| *store != "sqlite");
    let golden = stores.map(|store| {
        (
            format!("golden {store}"),
            format!("golden --store {store}"),
            false,
        )
    });
    let others = [
        ("reference", false),
        ("interop", false),
        ("readers", false),
        ("fuzz", true),
        ("examples", true),
    ];
    let others = others
        .into_iter()
        .map(|(name, builds)| (name.to_owned(), name.to_owned(), builds));
    golden
        .chain(others)
        .map(|(name, arguments, builds)| Own {
            name,
            arguments,
            builds,
        })
        .collect()
}

fn own_jobs(built: &Built, wanted: impl Fn(&Own) -> bool) -> Vec<Job> {
    let chosen = own().into_iter().filter(wanted);
    chosen
        .map(|own| {
            let mut command = own_command(built, &own.arguments);
            if ["examples", "readers"].contains(&own.name.as_str()) {
                command.arg("--metaxy").arg(built.program("metaxy"));
            }
            Job::command(own.name, command)
        })
        .collect()
}

pub(crate) fn own_command(built: &Built, arguments: &str) -> Command {
    let mut command = Command::new(built.program("xtask"));
    command.args(words(arguments)).current_dir(root());
    command
}

impl Stage {
    fn new(name: &str, work: Work) -> Self {
        Self {
            name: name.into(),
            work,
        }
    }

    fn cargo(name: &str, command: &str) -> Self {
        Self::new(name, Work::Cargo(words(command), None))
    }
}

impl Selection {
    fn new(name: &str, arguments: &str) -> Self {
        Self {
            name: name.into(),
            arguments: words(arguments),
        }
    }
}

impl Work {
    fn run(self) -> Result<bool, String> {
        match self {
            Self::Browser => packages::ensure_browser().map(|()| true),
            Self::Deny => deny::run(),
            Self::Features => features::run(),
            Self::Package => package(),
            Self::Cargo(arguments, variable) => {
                let mut command = cargo();
                command.args(&arguments).envs(variable);
                println!("$ cargo {}", arguments.join(" "));
                let status = command
                    .status()
                    .map_err(|e| format!("cargo cannot be started: {e}"))?;
                Ok(status.success())
            }
        }
    }
}

/// Packs every crate as if it were to be published. What it holds is built by other stages.
fn package() -> Result<bool, String> {
    let mut command = cargo();
    command.args(words("package --workspace --no-verify --allow-dirty"));
    let output = command.output();
    let output = output.map_err(|e| format!("cargo cannot be started: {e}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    print!("{told}");
    Ok(output.status.success() && !told.contains("warning:"))
}

/// Cargo at the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    without_package(&mut command);
    command
}

/// Gives a command the environment of this process but for what `cargo run` told it of its own package: the build scripts of some
/// dependencies look at that, and whoever calls cargo with and without it builds them, and the engines above them, twice.
pub(crate) fn without_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let of_package =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_package) {
            command.env_remove(&name);
        }
    }
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The names of the packages of the workspace.
fn packages() -> Result<Vec<String>, String> {
    let metadata = metadata()?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut names: Vec<String> = packages
        .iter()
        .filter_map(|package| package.get("name")?.as_str())
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

/// Where cargo builds.
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    let metadata = metadata()?;
    let target = metadata.get("target_directory").and_then(Value::as_str);
    let target = target.ok_or("cargo does not say where it builds")?;
    Ok(PathBuf::from(target))
}

/// What cargo says of the workspace.
fn metadata() -> Result<Value, String> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output();
    let output = output.map_err(|e| format!("cargo cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
}
