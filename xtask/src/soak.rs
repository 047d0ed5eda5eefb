//! `cargo xtask soak`: what is worth hours. `cargo xtask test` does a little of each; this goes on until its time is over.

use std::hash::{BuildHasher, RandomState};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use crate::outcomes::Tests;
use crate::programs::Built;
use crate::stages::{TESTS, cargo, own_command, target_directory, words};
use crate::together::Log;
use crate::{fuzz, rebuild};

#[derive(Args)]
pub(crate) struct Arguments {
    /// What to do, such as `laws` or `asan` [default: all of it].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long it may take in all, in minutes, after everything is built. What is begun is ended.
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// List what there is, and do nothing.
    #[arg(long)]
    list: bool,
}

/// Something to do for a while.
struct Soak {
    name: &'static str,
    about: &'static str,
    run: fn(Duration) -> Result<Told, String>,
}

/// What was done.
struct Told {
    passed: bool,
    words: String,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "suites",
        about: "the whole suite on the set-ups of a store of which the check runs a part",
        run: suites,
    },
    Soak {
        name: "laws",
        about: "the laws over other random histories each time, on every store",
        run: laws,
    },
    Soak {
        name: "processes",
        about: "many processes on one store, with more and larger writes, faults, kills and crashes",
        run: processes,
    },
    Soak {
        name: "readers",
        about: "Parquet files of PyArrow, Polars, DuckDB and pandas through the command, and read by them again",
        run: readers,
    },
    Soak {
        name: "fuzz",
        about: "every fuzz target under AddressSanitizer",
        run: fuzz_under_address_sanitizer,
    },
    Soak {
        name: "hostile",
        about: "stores that an enemy has changed, with checksums made anew, under AddressSanitizer; builds every embedded store for it",
        run: fuzz_stores,
    },
    Soak {
        name: "asan",
        about: "the hash lanes, and what crosses the C interfaces of Arrow and DuckDB, under AddressSanitizer",
        run: address_sanitizer,
    },
    Soak {
        name: "miri",
        about: "the hash kernels under Miri, where that is installed",
        run: miri,
    },
];

/// Runs what is asked for, says of each what was run, and whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    if arguments.list {
        for soak in SOAKS {
            println!("{:<10} {}", soak.name, soak.about);
        }
        return Ok(true);
    }
    let known = || SOAKS.iter().map(|soak| soak.name);
    if let Some(unknown) = arguments
        .names
        .iter()
        .find(|name| known().all(|known| known != *name))
    {
        let known: Vec<&str> = known().collect();
        return Err(format!(
            "nothing is called {unknown:?}; there are {}",
            known.join(", ")
        ));
    }
    let names = &arguments.names;
    let chosen = SOAKS
        .iter()
        .filter(|soak| names.is_empty() || names.iter().any(|name| name == soak.name));
    let chosen: Vec<&Soak> = chosen.collect();
    let share =
        Duration::from_secs(60 * arguments.minutes) / u32::try_from(chosen.len()).unwrap_or(1);
    let mut lines = Vec::new();
    let mut well = 0;
    for soak in &chosen {
        println!("\n=== {}: {}", soak.name, soak.about);
        let start = Instant::now();
        let told = (soak.run)(share).unwrap_or_else(|words| Told {
            passed: false,
            words,
        });
        let word = if told.passed { "passed" } else { "FAILED" };
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        let line = format!("{word} {minutes:>7.1} min  {}: {}", soak.name, told.words);
        println!("=== {line}");
        lines.push(line);
        well += usize::from(told.passed);
    }
    println!("\n{}", lines.join("\n"));
    println!("{well} passed, {} failed", chosen.len() - well);
    Ok(well == chosen.len())
}

/// The programs of tests of the workspace.
fn tests() -> Result<Built, String> {
    let selection = words("--workspace --all-features");
    let built = Built::new(TESTS, &selection)?;
    built.ok_or_else(|| "the tests cannot be built".into())
}

/// Runs these programs of tests again and again until the time is over, with a variable for each of `sizes`.
fn again(
    programs: &[&str],
    filters: &[&str],
    sizes: &[(&str, &str)],
    time: Duration,
) -> Result<Told, String> {
    let built = tests()?;
    let start = Instant::now();
    let mut sum = Tests::default();
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < time && sum.failed == 0 && !sum.broken {
        for program in programs {
            let mut log = Log::create(&format!("soak {program}"))?;
            let tests = built.run(program, filters, sizes, &mut log)?;
            let (passed, failed) = (tests.passed, tests.failed);
            println!(
                "round {}, {program}: {passed} passed, {failed} failed",
                rounds + 1
            );
            if failed > 0 || tests.broken {
                println!("{}", log.text());
            }
            sum.passed += passed;
            sum.failed += failed;
            sum.broken |= tests.broken;
        }
        rounds += 1;
    }
    Ok(Told {
        passed: sum.failed == 0 && !sum.broken && sum.passed > 0,
        words: format!(
            "{rounds} rounds of {} programs, {} tests passed, {} failed",
            programs.len(),
            sum.passed,
            sum.failed
        ),
    })
}

/// Once: its cases are always the same.
fn suites(_: Duration) -> Result<Told, String> {
    let programs = [
        "metaxy-delta conformance_flat",
        "metaxy-delta conformance_s3",
        "metaxy-postgres conformance_xxhash32",
    ];
    again(&programs, &[], &[("CONFORMANCE_ALL", "1")], Duration::ZERO)
}

fn laws(time: Duration) -> Result<Told, String> {
    let sizes = [("METAXY_LAWS_CASES", "200"), ("METAXY_LAWS_SEED", "random")];
    let suites: Vec<String> = rebuild::stores()
        .map(|store| format!("metaxy-{store} conformance"))
        .collect();
    let suites: Vec<&str> = suites.iter().map(String::as_str).collect();
    again(&suites, &["laws::"], &sizes, time)
}

fn processes(time: Duration) -> Result<Told, String> {
    let sizes = [
        ("METAXY_PROCESSES_WRITES", "200"),
        ("METAXY_PROCESSES_BAD_WRITES", "100"),
        ("METAXY_PROCESSES_KILLS_ON_S3", "50"),
        ("METAXY_PROCESSES_CRASHES", "20"),
    ];
    let programs = [
        "metaxy-sqlite processes",
        "metaxy-duckdb processes",
        "metaxy-delta processes",
        "metaxy-postgres processes",
        "metaxy-postgres crash",
    ];
    again(&programs, &[], &sizes, time)
}

/// How many tables a round of [`readers`] has.
const TABLES: u64 = 200;

fn readers(time: Duration) -> Result<Told, String> {
    let built = tests()?;
    let start = Instant::now();
    // Other tables each time.
    let first = RandomState::new().hash_one(0) >> 32;
    let (mut rounds, mut passed) = (0, true);
    while passed && (rounds == 0 || start.elapsed() < time) {
        let seed = first + rounds * TABLES;
        let arguments = format!("readers --tables {TABLES} --seed {seed}");
        let mut command = own_command(&built, &arguments);
        command.arg("--metaxy").arg(built.program("metaxy"));
        let status = command.status();
        passed = status
            .map_err(|e| format!("it cannot be started: {e}"))?
            .success();
        rounds += 1;
    }
    Ok(Told {
        passed,
        words: format!("{} tables from seed {first}", rounds * TABLES),
    })
}

fn fuzz_under_address_sanitizer(time: Duration) -> Result<Told, String> {
    fuzz_targets(time, false)
}

fn fuzz_stores(time: Duration) -> Result<Told, String> {
    fuzz_targets(time, true)
}

fn fuzz_targets(time: Duration, stores: bool) -> Result<Told, String> {
    let targets = u32::try_from(fuzz::targets(&[], stores)?.len()).unwrap_or(1);
    let seconds = (time / targets.max(1)).as_secs().max(1);
    let arguments = fuzz::Arguments::under_address_sanitizer(seconds, stores);
    Ok(Told {
        passed: fuzz::run(&arguments)?,
        words: format!("{targets} targets, {seconds} s each; their executions are above"),
    })
}

/// What runs under the sanitizer: packages, and the tests in them that go through unsafe code.
const UNSAFE: &[&str] = &[
    "--package metaxy-core --test hash",
    "--package metaxy-core --lib hash::",
    "--package metaxy-polars --lib --test files",
    "--package metaxy-duckdb --lib",
    "--package metaxy-duckdb --test backend -- types:: hashes:: foreign::",
];

/// The compiler's own sanitizer. A stable compiler brings it, and lets it be used if asked so.
fn address_sanitizer(_: Duration) -> Result<Told, String> {
    let target = target_directory()?.join("asan");
    let host = host()?;
    let mut failed = Vec::new();
    for selection in UNSAFE {
        let mut command = cargo();
        command
            .args(["test", "--target", &host, "--target-dir"])
            .arg(&target)
            .args(words(selection))
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "RUSTFLAGS",
                "-Zsanitizer=address -Cforce-frame-pointers=yes",
            )
            // What DuckDB and the runtime keep to the end is no leak of ours.
            .env("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1");
        println!("$ cargo test {selection} (AddressSanitizer)");
        let status = command.stdin(Stdio::null()).status();
        let status = status.map_err(|e| format!("cargo cannot be started: {e}"))?;
        if !status.success() {
            failed.push(*selection);
        }
    }
    Ok(Told {
        passed: failed.is_empty(),
        words: match failed.is_empty() {
            true => format!("{} selections of tests", UNSAFE.len()),
            false => format!("failed: {}", failed.join("; ")),
        },
    })
}

fn miri(_: Duration) -> Result<Told, String> {
    let there = cargo().args(["miri", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return Ok(Told {
            passed: true,
            words: "NOT RUN: this toolchain has no Miri (`rustup +nightly component add miri`, then run it with that toolchain)"
                .into(),
        });
    }
    let mut command = cargo();
    command.args(words("miri test --package metaxy-core --lib hash::"));
    command
        .arg("--target-dir")
        .arg(target_directory()?.join("miri"));
    let status = command
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .status();
    let status = status.map_err(|e| format!("cargo cannot be started: {e}"))?;
    Ok(Told {
        passed: status.success(),
        words: "the unit tests of `hash`".into(),
    })
}

/// The machine that this compiler compiles for.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|e| format!("rustc cannot be started: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say what it compiles for".into())
}
