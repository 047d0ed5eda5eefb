//! `cargo xtask test`: every check of the workspace, one stage after the other.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Args;
use metaxy_store::json::Json;

use crate::{command, examples, fuzz, packages, rebuild, root, servers};

/// A backend that is not a member of the workspace: an example that has to pass the suite.
const THIRD_PARTY: &str = "conformance/examples/third_party/Cargo.toml";

/// A program with features of its own, which is no member either.
const CUSTOM_BINARY: &str = "examples/custom-binary/Cargo.toml";

/// Features of `metaxy-store` that every other stage builds with more: with those that bring clouds, or with the store.
const NOT_ALONE_ELSEWHERE: &[&str] = &["delta", "polars"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run only the stages whose name starts so, such as `clippy` or `golden`.
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    only: Vec<String>,
    /// Stop at the first stage that fails.
    #[arg(long)]
    fail_fast: bool,
}

/// One check.
struct Stage {
    name: String,
    work: Work,
}

enum Work {
    /// Cargo with these arguments, and one variable of the environment.
    Cargo(Vec<String>, Option<(&'static str, &'static str)>),
    /// This program with these arguments and every store, as the stage `tests` has built it: any other selection of packages would
    /// build the engines once more, with features that differ a little.
    Own(Vec<String>),
    /// A server for the stores that live on one.
    Server,
    /// A browser for the page of a graph.
    Browser,
    /// Every fuzz target, briefly.
    Fuzz,
    /// Every example, with the command as the stage `tests` has built it.
    Examples,
}

/// Runs the stages, prints each with its duration, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut stages = all()?;
    if !arguments.only.is_empty() {
        stages.retain(|stage| {
            arguments
                .only
                .iter()
                .any(|only| stage.name.starts_with(only.as_str()))
        });
    }
    let total = stages.len();
    let mut outcomes = Vec::new();
    for (index, stage) in stages.into_iter().enumerate() {
        println!("=== {}/{total} {}", index + 1, stage.name);
        let start = Instant::now();
        let passed = match stage.work.run() {
            Ok(passed) => passed,
            Err(why) => {
                println!("{why}");
                false
            }
        };
        let word = if passed { "passed" } else { "FAILED" };
        println!(
            "=== {} {word} after {:.1} s",
            stage.name,
            start.elapsed().as_secs_f64()
        );
        outcomes.push((stage.name, word, passed, start.elapsed()));
        if !passed && arguments.fail_fast {
            break;
        }
    }
    println!();
    for (name, word, _, took) in &outcomes {
        println!("{word} {:>8.1} s  {name}", took.as_secs_f64());
    }
    let passed = outcomes.iter().filter(|(_, _, passed, _)| *passed).count();
    println!("{passed} passed, {} failed", outcomes.len() - passed);
    Ok(passed > 0 && passed == outcomes.len())
}

fn all() -> Result<Vec<Stage>, String> {
    let mut stages = vec![
        Stage::cargo("formatting", "fmt --all -- --check -l"),
        Stage::cargo(
            "formatting of fuzz",
            "fmt --manifest-path fuzz/Cargo.toml -- --check -l",
        ),
        Stage::cargo(
            "formatting of the third party",
            &format!("fmt --manifest-path {THIRD_PARTY} -- --check -l"),
        ),
        Stage::cargo(
            "formatting of the custom binary",
            &format!("fmt --manifest-path {CUSTOM_BINARY} -- --check -l"),
        ),
        Stage {
            name: "server".into(),
            work: Work::Server,
        },
        Stage {
            name: "browser".into(),
            work: Work::Browser,
        },
        Stage::cargo(
            "clippy",
            "clippy --workspace --all-targets --all-features -- -D warnings",
        ),
        Stage::cargo("tests", "test --workspace --all-features --no-fail-fast"),
        Stage::cargo(
            "derive",
            "test --package metaxy-store --features derive --test derive",
        ),
        Stage {
            name: "documentation".into(),
            work: Work::Cargo(
                // With the examples, cargo takes the features of the tests' dependencies as well, and so what clippy has checked; otherwise the
                // engines would be checked once more.
                words("doc --workspace --no-deps --all-features --lib --bins --examples"),
                Some(("RUSTDOCFLAGS", "-D warnings")),
            ),
        },
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
    for store in rebuild::stores() {
        let name = format!("golden {store}");
        stages.push(Stage::own(&name, &format!("golden --store {store}")));
    }
    stages.push(Stage::own("reference", "reference"));
    stages.push(Stage::own("interop", "interop"));
    stages.push(Stage::cargo(
        "third party",
        &format!("test --locked --manifest-path {THIRD_PARTY}"),
    ));
    stages.push(Stage {
        name: "examples".into(),
        work: Work::Examples,
    });
    stages.push(Stage {
        name: "fuzz".into(),
        work: Work::Fuzz,
    });
    Ok(stages)
}

impl Stage {
    fn cargo(name: &str, command: &str) -> Self {
        Self {
            name: name.into(),
            work: Work::Cargo(words(command), None),
        }
    }

    fn own(name: &str, arguments: &str) -> Self {
        Self {
            name: name.into(),
            work: Work::Own(words(arguments)),
        }
    }
}

/// Builds this program as a part of what the stage `tests` builds.
const OWN: &str = "test --quiet --workspace --all-features --test program --no-run";

/// Builds the command as a part of what the stage `tests` builds: its tests run it.
const COMMAND: &str = "test --quiet --workspace --all-features --test command --no-run";

impl Work {
    fn run(self) -> Result<bool, String> {
        match self {
            Self::Own(arguments) => {
                if !Self::Cargo(words(OWN), None).run()? {
                    return Ok(false);
                }
                let program = target_directory()?.join("debug").join("xtask");
                println!("$ xtask {}", arguments.join(" "));
                let status = Command::new(&program)
                    .args(&arguments)
                    .current_dir(root())
                    .status();
                let status =
                    status.map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
                Ok(status.success())
            }
            Self::Server => servers::ensure().map(|()| true),
            Self::Browser => packages::ensure_browser().map(|()| true),
            Self::Fuzz => fuzz::run(&fuzz::Arguments::default()),
            Self::Examples => {
                if !Self::Cargo(words(COMMAND), None).run()? {
                    return Ok(false);
                }
                let metaxy = command::program(false)?;
                examples::run(&examples::Arguments::with(metaxy))
            }
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

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The names of the packages of the workspace.
fn packages() -> Result<Vec<String>, String> {
    let metadata = metadata()?;
    let packages = metadata
        .get("packages")
        .and_then(Json::as_array)
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
    let target = metadata.get("target_directory").and_then(Json::as_str);
    let target = target.ok_or("cargo does not say where it builds")?;
    Ok(PathBuf::from(target))
}

/// What cargo says of the workspace.
fn metadata() -> Result<Json, String> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output();
    let output = output.map_err(|e| format!("cargo cannot be started: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Json::parse(&String::from_utf8_lossy(&output.stdout)).map_err(|e| e.to_string())
}
