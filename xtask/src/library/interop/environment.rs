//! A Python that has the reference: a virtual environment below the target directory, made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Outcome;
use super::reference::{about, last_lines};
use crate::root;
use crate::tools::{Environment, REQUIREMENTS};

/// The interpreter of the environment, which is made if it is not there.
pub(in crate::library) fn python(target_directory: &Path) -> Outcome<PathBuf> {
    let environment = Environment::below(target_directory);
    let (python, complete) = (environment.python(), environment.complete());
    if !complete.is_file() {
        let start = Instant::now();
        let system = if cfg!(windows) { "python" } else { "python3" };
        make(&environment.0, system)?;
        install(&python)?;
        fs::write(&complete, REQUIREMENTS).map_err(|e| about(&complete, &e))?;
        println!(
            "the reference is installed after {:.0} s",
            start.elapsed().as_secs_f64()
        );
    }
    Ok(python)
}

/// Whether an interpreter has the reference in the version that is wanted.
pub(super) fn check(python: &Path) -> Outcome {
    let wanted = REQUIREMENTS
        .lines()
        .find_map(|line| line.strip_prefix("metaxy")?.split_once("=="));
    let wanted = wanted.map_or("", |(_, version)| version.trim());
    let script = "from importlib.metadata import version; import deltalake, duckdb, ibis; print(version('metaxy'))";
    let output = Command::new(python).args(["-c", script]).output();
    let output = output.map_err(|e| format!("{} cannot be started: {e}", python.display()))?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let hint = "leave --python out to have the reference installed below the target directory";
    match output.status.success() {
        true if found == wanted => Ok(()),
        true => Err(format!(
            "{} has metaxy {found}, not {wanted}; {hint}",
            python.display()
        )),
        false => Err(format!(
            "{} does not have the reference: {}; {hint}",
            python.display(),
            last_lines(&String::from_utf8_lossy(&output.stderr), 1)
        )),
    }
}

/// An environment without packages.
fn make(environment: &Path, system: &str) -> Outcome {
    if environment.exists() {
        fs::remove_dir_all(environment).map_err(|e| about(environment, &e))?;
    }
    println!("making a Python environment in {}", environment.display());
    let output = Command::new(system)
        .args(["-m", "venv"])
        .arg(environment)
        .output();
    let output = output.map_err(|e| {
        format!(
            "{system} cannot be started: {e}. The reference needs Python 3.10 or later with its venv module: install it \
             (Debian and Ubuntu: apt-get install python3 python3-venv), or name an interpreter that has the reference with --python"
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    // Debian explains on the standard output that the module is a package of its own.
    let log = [output.stdout, output.stderr].concat();
    Err(format!(
        "{system} cannot make an environment. Its venv module is needed (Debian and Ubuntu: apt-get install python3-venv):\n{}",
        last_lines(&String::from_utf8_lossy(&log), 10)
    ))
}

fn install(python: &Path) -> Outcome {
    println!(
        "installing the reference: {}",
        REQUIREMENTS
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(", ")
    );
    let requirements = root()
        .join("xtask")
        .join("interop")
        .join("requirements.txt");
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--requirement",
    ]);
    let status = command.arg(&requirements).stdin(Stdio::null()).status();
    match status.map_err(|e| about(python, &e))?.success() {
        true => Ok(()),
        false => Err("pip cannot install the reference; what it says is above. It needs the package index once".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_python_an_error_says_what_to_install() {
        let directory = tempfile::tempdir().unwrap();
        let error = make(&directory.path().join("environment"), "no-such-python").unwrap_err();
        assert!(
            error.contains("no-such-python cannot be started"),
            "{error}"
        );
        assert!(
            error.contains("apt-get install python3 python3-venv"),
            "{error}"
        );
        assert!(error.contains("--python"), "{error}");
    }

    #[test]
    fn an_interpreter_without_the_reference_is_refused() {
        let error = check(Path::new("no-such-python")).unwrap_err();
        assert!(
            error.contains("no-such-python cannot be started"),
            "{error}"
        );
    }

    /// The versions that are named are exact, so that what is compared with does not change by itself.
    #[test]
    fn the_reference_is_pinned() {
        assert!(REQUIREMENTS.contains("metaxy[delta,duckdb]==0.1.11"));
        assert!(REQUIREMENTS.contains("duckdb==1.4.3"));
    }
}
