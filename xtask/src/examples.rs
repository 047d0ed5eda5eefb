//! `cargo xtask examples`: every example, as its reader would run it.

mod readme;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;

use crate::stages::{target_directory, without_package};
use crate::{command, root};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Run these examples only, such as `video`.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The command that they use, instead of building it.
    #[arg(long, value_name = "PROGRAM")]
    metaxy: Option<PathBuf>,
    /// Write what they print into their README.md, instead of comparing.
    #[arg(long)]
    update: bool,
}

/// Runs the examples, prints each with its duration, and says whether all is well.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let examples = examples(&root().join("examples"), &arguments.names)?;
    let target = target_directory()?;
    let metaxy = match &arguments.metaxy {
        Some(program) => std::path::absolute(program).map_err(|e| about(program, &e))?,
        None => command::build(false)?,
    };
    let mut failed = 0;
    for example in &examples {
        let start = Instant::now();
        let outcome = example.run(&metaxy, &target, arguments.update);
        let word = if outcome.is_ok() { "passed" } else { "FAILED" };
        println!(
            "{word} {:>8.1} s  {}",
            start.elapsed().as_secs_f64(),
            example.name
        );
        if let Err(why) = outcome {
            failed += 1;
            println!("{}", why.trim_end());
        }
    }
    println!("{} passed, {failed} failed", examples.len() - failed);
    Ok(failed == 0)
}

struct Example {
    name: String,
    folder: PathBuf,
}

/// The examples of a folder, all of them or those that are asked for, in the order of their names.
fn examples(folder: &Path, only: &[String]) -> Result<Vec<Example>, String> {
    let mut known = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| about(folder, &e))? {
        let path = entry.map_err(|e| about(folder, &e))?.path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            known.push(Example {
                name: name.to_string_lossy().into_owned(),
                folder: path,
            });
        }
    }
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let is_known = |name: &&String| known.iter().any(|example| example.name == **name);
    if let Some(unknown) = only.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = known.iter().map(|example| example.name.as_str()).collect();
        let known = known.join(", ");
        return Err(format!("no example {unknown:?}; there are {known}"));
    }
    known.retain(|example| only.is_empty() || only.contains(&example.name));
    match known.is_empty() {
        true => Err(format!("there is no example in {}", folder.display())),
        false => Ok(known),
    }
}

impl Example {
    /// Runs the script, and holds its README to what it prints. The error says what is wrong.
    fn run(&self, metaxy: &Path, target: &Path, update: bool) -> Result<(), String> {
        let script = self.folder.join("run.sh");
        let mut command = Command::new("sh");
        without_package(&mut command);
        let output = command
            .arg(&script)
            .env("METAXY", metaxy)
            .env("CARGO_TARGET_DIR", target)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("sh cannot be started: {e}"))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let script = script.display();
            return Err(format!(
                "{printed}\n{errors}\n{script} failed: {}",
                output.status
            ));
        }
        let path = self.folder.join("README.md");
        let text = fs::read_to_string(&path).map_err(|e| about(&path, &e))?;
        let there = readme::Readme::parse(&text).map_err(|why| about(&path, &why))?;
        if update {
            return fs::write(&path, there.with_output(&printed)).map_err(|e| about(&path, &e));
        }
        let compared = there.compare(&printed);
        compared.map_err(|difference| {
            format!(
                "{}: {difference}\n`cargo xtask examples {} --update` writes what it prints now",
                path.display(),
                self.name
            )
        })
    }
}

fn about(path: &Path, why: &impl std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one example, whose script prints something and ends with a code.
    fn folder(code: u8, readme: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let example = folder.path().join("one");
        fs::create_dir(&example).unwrap();
        let script = format!("echo \"# with $METAXY\"; echo sorry >&2; exit {code}");
        fs::write(example.join("run.sh"), script).unwrap();
        fs::write(example.join("README.md"), readme).unwrap();
        folder
    }

    fn run_one(folder: &tempfile::TempDir, update: bool) -> Result<(), String> {
        let one = examples(folder.path(), &["one".to_owned()])?;
        one[0].run(Path::new("/m"), Path::new("/t"), update)
    }

    const README: &str =
        "# One\n\n## What it prints\n\n```console\n# with /m\n```\n\nThat is all.\n";

    #[test]
    fn an_example_passes_that_prints_what_its_readme_says() {
        let folder = folder(0, README);
        assert_eq!(run_one(&folder, false), Ok(()));
    }

    #[test]
    fn a_readme_that_says_otherwise_fails_until_it_is_updated() {
        let folder = folder(0, &README.replace("/m", "/n"));
        let why = run_one(&folder, false).unwrap_err();
        assert!(
            why.contains("# with /n") && why.contains("# with /m"),
            "{why}"
        );
        assert!(why.contains("cargo xtask examples one --update"), "{why}");
        run_one(&folder, true).unwrap();
        let now = fs::read_to_string(folder.path().join("one/README.md")).unwrap();
        assert_eq!(now, README);
    }

    #[test]
    fn a_script_that_fails_is_told_with_all_it_said() {
        let folder = folder(3, README);
        let why = run_one(&folder, true).unwrap_err();
        assert!(why.contains("# with /m") && why.contains("sorry"), "{why}");
        assert!(why.contains("exit status: 3"), "{why}");
    }

    #[test]
    fn unknown_names_are_told() {
        let folder = folder(0, README);
        let why = examples(folder.path(), &["two".to_owned()]).err();
        assert_eq!(why.as_deref(), Some("no example \"two\"; there are one"));
    }
}
