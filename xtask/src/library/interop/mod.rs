//! `cargo xtask interop`: the reference and this implementation read what the other wrote.
//!
//! A [scenario] of steps is run by two [sides](Side) on one store. Three parts: the reference writes and both answer; this
//! implementation writes and both answer; they write in turns and both answer after each. Where the reference can add columns to
//! tables, further turns do. An answer is JSON of one form, and two answers have to be equal.

mod compare;
pub(super) mod environment;
mod metaxy;
mod reference;
mod scenario;
mod stores;
mod values;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use metaxy_store::Access;
use metaxy_store::json::Json;

use crate::rebuild::Build;
use crate::stages::target_directory;
use compare::{Names, differences};
use metaxy::Metaxy;
use reference::{Reference, about};
use scenario::Scenario;
use stores::{KINDS, Kind};

#[derive(Args, Default)]
pub(crate) struct Arguments {
    /// Check these stores only, such as `duckdb` or `delta-flat` [default: all that both programs have].
    #[arg(long, value_name = "STORE", value_delimiter = ',')]
    store: Vec<String>,
    /// A Python interpreter that has the reference, instead of one that is installed below the target directory.
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Keep the stores when all is well. They are kept when something differs.
    #[arg(long)]
    keep: bool,
}

/// What an operation gives, or why it failed in words.
type Outcome<T = ()> = Result<T, String>;

/// Runs every check, prints each, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let kinds: Vec<&Kind> = match arguments.store.as_slice() {
        [] => KINDS.iter().collect(),
        names => {
            let named: Outcome<Vec<Vec<&Kind>>> =
                names.iter().map(|name| Kind::named(name)).collect();
            named?.concat()
        }
    };
    let features: Vec<&str> = kinds.iter().map(|kind| kind.cargo_feature).collect();
    let build = Build {
        release: false,
        stores: &features,
    };
    if !build.is_this() {
        return build.run_again();
    }
    let target = target_directory()?;
    let python = match &arguments.python {
        Some(python) => python.clone(),
        None => environment::python(&target)?,
    };
    environment::check(&python)?;
    let reference = Reference::start(&python)?;
    let start = Instant::now();
    let mut report = Report::default();
    for kind in kinds {
        let directory = target.join("interop").join(kind.name);
        let scenario = Scenario::read()?.without(kind.lacks);
        let before = report.failed;
        Checks {
            kind,
            scenario: &scenario,
            directory: &directory,
            reference: &reference,
            ours: &Metaxy,
        }
        .run(&mut report)?;
        if report.failed > before {
            println!(
                "{}: the stores are kept in {}",
                kind.name,
                directory.display()
            );
        } else if !arguments.keep {
            fs::remove_dir_all(&directory).map_err(|e| about(&directory, &e))?;
        }
    }
    println!(
        "{} passed, {} failed ({:.1} s)",
        report.passed,
        report.failed,
        start.elapsed().as_secs_f64()
    );
    Ok(report.passed > 0 && report.failed == 0)
}

/// A program that runs steps on a store.
trait Side {
    /// What it is called in the report.
    fn name(&self) -> &'static str;

    /// Opens the store, runs the steps in order, closes it, and gives one answer per step.
    fn run(&self, request: &Request<'_>) -> Outcome<Vec<Json>>;
}

/// Steps to be run on a store.
struct Request<'a> {
    /// The kind of the store.
    kind: &'a str,
    /// Its `metaxy.toml`.
    config: &'a Path,
    access: Access,
    scenario: &'a Scenario,
    steps: &'a [Json],
    /// Where files may be put.
    directory: &'a Path,
}

/// The checks of one kind of store.
struct Checks<'a> {
    kind: &'a Kind,
    scenario: &'a Scenario,
    directory: &'a Path,
    reference: &'a dyn Side,
    ours: &'a dyn Side,
}

#[derive(Default)]
struct Report {
    passed: usize,
    failed: usize,
}

impl Checks<'_> {
    fn run(&self, report: &mut Report) -> Outcome {
        if self.directory.exists() {
            fs::remove_dir_all(self.directory).map_err(|e| about(self.directory, &e))?;
        }
        self.one_writes("reference-wrote", self.reference, self.ours, report)?;
        self.one_writes("metaxy-wrote", self.ours, self.reference, report)?;
        self.in_turns(report)
    }

    /// `writer` writes the project; both are asked, and what the writer says counts.
    fn one_writes(
        &self,
        part: &str,
        writer: &dyn Side,
        reader: &dyn Side,
        report: &mut Report,
    ) -> Outcome {
        let (directory, config) = self.part(part)?;
        let made = match writer.name() == self.ours.name() {
            true => self
                .kind
                .configure_made_here(&directory, &self.scenario.project)?,
            false => config.clone(),
        };
        let what = format!("{}: {} wrote", self.kind.name, writer.name());
        let request = |config, access, steps| self.request(&directory, config, access, steps);
        if !report.did(
            &what,
            writer.run(&request(&made, Access::Write, &self.scenario.write)),
        ) {
            return Ok(());
        }
        let ask = request(&config, Access::Read, &self.scenario.ask);
        self.both_answer(&what, &ask, writer, reader, report);
        Ok(())
    }

    /// The reference writes the project; then this implementation and the reference take turns.
    fn in_turns(&self, report: &mut Report) -> Outcome {
        let (directory, config) = self.part("in-turns")?;
        let request = |access, steps| self.request(&directory, &config, access, steps);
        let what = format!(
            "{}: in turns, {} wrote",
            self.kind.name,
            self.reference.name()
        );
        if !report.did(
            &what,
            self.reference
                .run(&request(Access::Write, &self.scenario.write)),
        ) {
            return Ok(());
        }
        let turns = self.scenario.turns.iter();
        let turns = turns.map(|steps| (steps, &self.scenario.ask_in_turns));
        let evolution = &self.scenario.evolution;
        let more = evolution.turns.iter().filter(|_| self.kind.evolves);
        let turns = turns.chain(more.map(|steps| (steps, &evolution.ask)));
        for (turn, (steps, ask)) in turns.enumerate() {
            let (writer, reader) = match turn % 2 {
                0 => (self.ours, self.reference),
                _ => (self.reference, self.ours),
            };
            let what = format!(
                "{}: turn {}, {} wrote",
                self.kind.name,
                turn + 1,
                writer.name()
            );
            if !report.did(&what, writer.run(&request(Access::Write, steps))) {
                return Ok(());
            }
            let ask = request(Access::Read, ask);
            self.both_answer(&what, &ask, writer, reader, report);
        }
        Ok(())
    }

    /// Asks both sides and compares their answers, one check per question.
    fn both_answer(
        &self,
        what: &str,
        ask: &Request<'_>,
        writer: &dyn Side,
        reader: &dyn Side,
        report: &mut Report,
    ) {
        let answers = writer
            .run(ask)
            .and_then(|expected| Ok((expected, reader.run(ask)?)));
        let (expected, found) = match answers {
            Ok(answers) => answers,
            Err(why) => return report.check(&format!("{what}, both are asked"), &[why]),
        };
        let names = Names {
            expected: writer.name(),
            found: reader.name(),
        };
        let mut graph = String::new();
        for ((step, expected), found) in ask.steps.iter().zip(&expected).zip(&found) {
            let title = scenario::title(step);
            if step.get("op").and_then(Json::as_str) == Some("load") {
                graph = format!(" [{title}]");
            }
            let differences = differences(names, &self.scenario.id_columns(step), expected, found);
            let asked = if graph.contains(&title) {
                ""
            } else {
                graph.as_str()
            };
            report.check(
                &format!("{what}, {} reads: {title}{asked}", reader.name()),
                &differences,
            );
        }
    }

    /// The directory and the configuration of a part's store.
    fn part(&self, name: &str) -> Outcome<(PathBuf, PathBuf)> {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).map_err(|e| about(&directory, &e))?;
        let config = self.kind.configure(&directory, &self.scenario.project)?;
        Ok((directory, config))
    }

    fn request<'a>(
        &'a self,
        directory: &'a Path,
        config: &'a Path,
        access: Access,
        steps: &'a [Json],
    ) -> Request<'a> {
        Request {
            kind: self.kind.name,
            config,
            access,
            scenario: self.scenario,
            steps,
            directory,
        }
    }
}

impl Report {
    /// Notes a check that found these differences.
    fn check(&mut self, what: &str, differences: &[String]) {
        if differences.is_empty() {
            self.passed += 1;
            println!("{what} ... ok");
            return;
        }
        self.failed += 1;
        println!("{what} ... FAILED");
        for difference in differences {
            println!("    {}", difference.replace('\n', "\n    "));
        }
    }

    /// Notes a failure to write; whether there was none.
    fn did(&mut self, what: &str, outcome: Outcome<Vec<Json>>) -> bool {
        match outcome {
            Ok(_) => true,
            Err(why) => {
                self.check(what, &[why]);
                false
            }
        }
    }
}

/// An error of the library in words.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn described(error: metaxy_store::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests;
