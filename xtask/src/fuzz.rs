//! `cargo xtask fuzz`: every fuzz target for a while, from its seeds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::{Args, ValueEnum};

use crate::stages::target_directory;
use crate::{root, tools};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run these targets only, such as `filter,config`.
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    only: Vec<String>,
    /// How long each target runs, in seconds.
    #[arg(long, value_name = "N", default_value_t = SECONDS)]
    seconds: u64,
    /// Run each target so many times, however long that takes.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    runs: Option<u64>,
    /// The targets of stores in place of those of texts and files. They take DuckDB, Delta and Polars, which are long to build.
    #[arg(long)]
    stores: bool,
    /// Build everything optimised, which takes minutes and runs many times as fast: for long runs.
    #[arg(long)]
    optimize: bool,
    /// What watches over memory meanwhile.
    #[arg(long, value_enum, default_value = "none")]
    sanitizer: Sanitizer,
}

/// How long each target runs where nobody says otherwise.
const SECONDS: u64 = 5;

/// By itself the tool builds in one unit per crate, which takes longer than a short run gains by it.
const UNITS: &[&str] = &["--codegen-units", "16"];

/// One input may take so many seconds, and so many megabytes. Both are far beyond what any takes.
const LIMITS: &[&str] = &["-timeout=10", "-rss_limit_mb=2048"];

impl Arguments {
    /// Every target of stores, or every other, for so many seconds.
    pub(crate) fn under_address_sanitizer(seconds: u64, stores: bool) -> Self {
        Self {
            only: Vec::new(),
            seconds,
            runs: None,
            stores,
            optimize: true,
            sanitizer: Sanitizer::Address,
        }
    }
}

/// What watches over memory while a target runs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sanitizer {
    /// Nothing: quick to build and to run.
    None,
    /// AddressSanitizer, which a stable compiler brings, too, and uses if asked so.
    Address,
}

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Address => "address",
        }
    }
}

/// Builds the targets, runs each, prints what came of it, and says whether none crashed.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let targets = targets(&arguments.only, arguments.stores)?;
    let tool = Tool::find_or_install(arguments)?;
    let limit = match arguments.runs {
        Some(runs) => format!("-runs={runs}"),
        None => format!("-max_total_time={}", arguments.seconds),
    };
    tool.build(&targets)?;
    let mut all_well = true;
    for target in &targets {
        println!("fuzzing {target}, {limit}");
        let outcome = tool.fuzz(target, &limit)?;
        println!("{target}: {outcome}");
        if let Some(crash) = &outcome.crash {
            all_well = false;
            println!("{}", tool.advice(target, crash));
        }
    }
    Ok(all_well)
}

/// The names of the targets of stores or of the others, all of them or those that are asked for.
pub(crate) fn targets(only: &[String], stores: bool) -> Result<Vec<String>, String> {
    let folder = if stores {
        "store_targets"
    } else {
        "fuzz_targets"
    };
    let directory = root().join("fuzz").join(folder);
    let mut known = Vec::new();
    for entry in fs::read_dir(&directory).map_err(|e| about(&directory, &e))? {
        let path = entry.map_err(|e| about(&directory, &e))?.path();
        known.extend(
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    known.sort();
    if let Some(unknown) = only.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(format!("no fuzz target {unknown:?}; known are {known}"));
    }
    known.retain(|name| only.is_empty() || only.contains(name));
    Ok(known)
}

/// The program `cargo-fuzz`, and where it builds.
struct Tool {
    program: PathBuf,
    sanitizer: Sanitizer,
    stores: bool,
    optimize: bool,
    target_directory: PathBuf,
}

impl Tool {
    fn find_or_install(arguments: &Arguments) -> Result<Self, String> {
        let Arguments {
            sanitizer,
            stores,
            optimize,
            ..
        } = *arguments;
        let folder = match (sanitizer, optimize) {
            (Sanitizer::None, false) => "fuzz",
            (Sanitizer::None, true) => "fuzz-optimized",
            (Sanitizer::Address, false) => "fuzz-address",
            (Sanitizer::Address, true) => "fuzz-address-optimized",
        };
        Ok(Self {
            program: tools::find_or_install("fuzz", "^0.13.2")?,
            sanitizer,
            stores,
            optimize,
            target_directory: target_directory()?.join(folder),
        })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(root()).arg(verb).args(UNITS);
        command.args(["--sanitizer", self.sanitizer.name()]);
        if self.sanitizer != Sanitizer::None {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        if self.stores {
            command.args(["--features", "stores"]);
        }
        if self.optimize {
            // The last one counts, whatever the profile says.
            command.env("RUSTFLAGS", "-Copt-level=3");
        }
        command.arg("--target-dir").arg(&self.target_directory);
        command
    }

    /// Builds the target, or all when there are several.
    fn build(&self, targets: &[String]) -> Result<(), String> {
        let mut command = self.command("build");
        if let [only] = targets {
            command.arg(only);
        }
        println!("building the fuzz targets: {}", targets.join(", "));
        let status = command.status().map_err(|e| about(&self.program, &e))?;
        match status.success() {
            true => Ok(()),
            false => Err("the fuzz targets cannot be built".into()),
        }
    }

    /// Runs one target. What it finds interesting is not kept, so that every run starts from the seeds.
    fn fuzz(&self, target: &str, limit: &str) -> Result<Outcome, String> {
        let found = self.target_directory.join("found").join(target);
        if found.exists() {
            fs::remove_dir_all(&found).map_err(|e| about(&found, &e))?;
        }
        fs::create_dir_all(&found).map_err(|e| about(&found, &e))?;
        let fuzz = root().join("fuzz");
        let dictionary = fuzz.join("dictionaries").join(format!("{target}.dict"));
        // Inputs that are numbers have no words.
        let dictionary = dictionary
            .exists()
            .then(|| format!("-dict={}", dictionary.display()));
        let output = self
            .command("run")
            .arg(target)
            .args([found, fuzz.join("seeds").join(target)])
            .arg("--")
            .arg(limit)
            .args(dictionary)
            .args(LIMITS)
            .arg("-print_final_stats=1")
            .output()
            .map_err(|e| about(&self.program, &e))?;
        Outcome::read(&output)
    }

    /// What to do about a crash.
    fn advice(&self, target: &str, crash: &Crash) -> String {
        let program = self.program.display();
        match &crash.input {
            Some(input) => format!(
                "{}\nTo see it again: {program} run {} --sanitizer {} --target-dir {} {target} {input}",
                crash.log,
                UNITS.join(" "),
                self.sanitizer.name(),
                self.target_directory.display()
            ),
            // Nothing can be written when the stack is used up; the sanitizer has a stack of its own for that.
            None => format!(
                "{}\nNo input was written, as when the stack is used up. To find it: \
                 RUSTC_BOOTSTRAP=1 {program} run {target} fuzz/corpus/{target} fuzz/seeds/{target}",
                crash.log
            ),
        }
    }
}

/// What came of running one target.
struct Outcome {
    executions: u64,
    /// The edges of the program that were reached: by the seeds, and in all.
    coverage: (u64, u64),
    crash: Option<Crash>,
}

struct Crash {
    /// The file with the input.
    input: Option<String>,
    /// The end of what the target printed.
    log: String,
}

impl Outcome {
    fn read(output: &Output) -> Result<Self, String> {
        let log = String::from_utf8_lossy(&output.stderr);
        // Lines such as `#1024	NEW    cov: 823 ft: 1204 corp: 40/2kb …`.
        let coverage = |line: &str| -> Option<u64> {
            let (_, rest) = line.strip_prefix('#')?.split_once("cov: ")?;
            rest.split(' ').next()?.parse().ok()
        };
        let from_seeds = log
            .lines()
            .find(|line| line.contains("\tINITED "))
            .and_then(coverage);
        let executions = log
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
            .and_then(|number| number.trim().parse().ok());
        let crash = (!output.status.success()).then(|| Crash {
            input: log
                .lines()
                .find_map(|line| line.split_once("Test unit written to "))
                .map(|(_, path)| path.trim().to_owned()),
            log: told(&log),
        });
        if crash.is_none() && (executions.is_none() || from_seeds.is_none()) {
            return Err(format!(
                "the fuzz target did nothing:\n{}",
                last_lines(&log, 40)
            ));
        }
        let seeds = from_seeds.unwrap_or_default();
        let all = log.lines().filter_map(coverage).fold(seeds, u64::max);
        Ok(Self {
            executions: executions.unwrap_or_default(),
            coverage: (seeds, all),
            crash,
        })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seeds, all) = self.coverage;
        write!(
            f,
            "{} executions, {} new edges beyond the {seeds} of its seeds, {}",
            self.executions,
            all - seeds,
            match &self.crash {
                Some(_) => "CRASHED",
                None => "no crash",
            }
        )
    }
}

/// What a target and the tool say about a crash, without progress and statistics.
fn told(log: &str) -> String {
    // Below a rule the tool says what to do, and fails with a backtrace of its own.
    let is_rule = |line: &&str| line.starts_with('─');
    let is_progress = |line: &&str| {
        let beginnings = ["#", "INFO:", "stat::", "\tNEW_FUNC"];
        beginnings
            .iter()
            .any(|beginning| line.starts_with(beginning))
    };
    let lines = log.lines().take_while(|line| !is_rule(line));
    let target: Vec<&str> = lines.filter(|line| !is_progress(line)).collect();
    let tool = log.lines().find(|line| line.starts_with("Error: "));
    last_lines(&target.join("\n"), 40) + "\n" + tool.unwrap_or_default()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn about(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
