//! Programs of tests: cargo builds them, and they run here, several at a time. Each does its tests one after the other, so that the time
//! between two lines of its output is that of a test.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_json::Value;

use crate::outcomes::Tests;
use crate::stages::{cargo, target_directory};
use crate::together::{Job, Log};
use crate::tools;

/// Names the `metaxy` that the tests of the command run, in place of the one that cargo has built last: every build puts its own into
/// one place.
const COMMAND: &str = "METAXY_TEST_COMMAND";

/// Names a Python with pandas, Polars and PyArrow for the tests that run steps in it.
const PYTHON: &str = "METAXY_TEST_PYTHON";

/// What a build has made.
pub(crate) struct Built {
    tests: Vec<Arc<Program>>,
    /// Copies of its programs that are no tests, which no later build replaces.
    folder: PathBuf,
}

/// A program of tests.
struct Program {
    /// Its package and its own name, such as `metaxy-delta conformance`.
    name: String,
    path: PathBuf,
    package: Package,
}

/// What cargo tells a program of its package.
#[derive(Clone)]
struct Package {
    name: String,
    version: String,
    folder: PathBuf,
}

impl Built {
    /// Builds the tests of a selection of packages and features; `name` is what this build is called. `None` if that failed, which
    /// cargo has told then.
    pub(crate) fn new(name: &str, selection: &[String]) -> Result<Option<Self>, String> {
        let mut command = cargo();
        command.args(["test", "--no-run"]).args(selection);
        println!("$ cargo test --no-run {}", selection.join(" "));
        command.arg("--message-format=json-render-diagnostics");
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| format!("cargo cannot be started: {e}"))?;
        let mut built = Self {
            tests: Vec::new(),
            folder: target_directory()?.join("check").join(name),
        };
        let mut others = Vec::new();
        let lines = child.stdout.take().map(BufReader::new);
        for line in lines.into_iter().flat_map(BufRead::lines) {
            let line = line.map_err(|e| format!("cargo cannot be read: {e}"))?;
            // Whatever else a build script prints is no message.
            let Ok(message) = serde_json::from_str(&line) else {
                continue;
            };
            let Some(artifact) = Artifact::of(&message) else {
                continue;
            };
            if artifact.is_test {
                built.tests.push(Arc::new(artifact.program()?));
            } else {
                others.push(artifact.path);
            }
        }
        let status = child.wait().map_err(|e| e.to_string())?;
        if !status.success() {
            return Ok(None);
        }
        if built.tests.is_empty() {
            return Err(format!("no tests were built for {}", selection.join(" ")));
        }
        built.keep(&others)?;
        println!("{} programs of tests", built.tests.len());
        Ok(Some(built))
    }

    /// Copies programs into the folder of this build, as links where that can be done.
    fn keep(&self, programs: &[PathBuf]) -> Result<(), String> {
        let about = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        fs::create_dir_all(&self.folder).map_err(|e| about(&self.folder, e))?;
        for program in programs {
            let Some(name) = program.file_name() else {
                continue;
            };
            let copy = self.folder.join(name);
            match fs::remove_file(&copy) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(about(&copy, e)),
                _ => {}
            }
            let linked = fs::hard_link(program, &copy);
            linked
                .or_else(|_| fs::copy(program, &copy).map(drop))
                .map_err(|e| about(&copy, e))?;
        }
        Ok(())
    }

    /// Where this build's program of this name is.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.folder.join(file)
    }

    /// A job for each program of tests whose name `wanted` accepts; `prefix` stands before the names. They run with a server, if there is an
    /// `xtask` given that starts one.
    pub(crate) fn jobs(
        &self,
        prefix: &str,
        server: Option<&Path>,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<Job> {
        let programs = self.tests.iter().filter(|program| wanted(&program.name));
        programs
            .map(|program| {
                let name = format!("{prefix} {}", program.name);
                let run = Run {
                    metaxy: self.program("metaxy"),
                    server: server.map(Path::to_owned),
                    variables: variables_of(&name),
                    ..Run::default()
                };
                let program = program.clone();
                Job::new(name, move |log| program.run(&run, log))
            })
            .collect()
    }

    /// Runs one program of tests, only those that `filters` name if there are any, with these variables.
    pub(crate) fn run(
        &self,
        name: &str,
        filters: &[&str],
        variables: &[(&str, &str)],
        log: &mut Log,
    ) -> Result<Tests, String> {
        let program = self.tests.iter().find(|program| program.name == name);
        let program = program.ok_or_else(|| format!("there is no program of tests {name:?}"))?;
        let run = Run {
            metaxy: self.program("metaxy"),
            server: None,
            filters: filters.iter().map(|word| (*word).to_owned()).collect(),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        program.run(&run, log)
    }
}

/// Programs that run the laws on a store on which another program runs them, too: on a second engine, with another hash, in the third party's
/// folder. They go through other histories than the others, and fewer.
const LAWS_AGAIN: &[&str] = &["second_opinion", "xxhash32", "third party"];
const OTHER_HISTORIES: [(&str, &str); 2] = [
    ("METAXY_LAWS_SEED", "0x6d6574617900"),
    ("METAXY_LAWS_CASES", "8"),
];

/// What the environment of a program has beside what cargo would give it.
fn variables_of(program: &str) -> Vec<(String, String)> {
    if !LAWS_AGAIN.iter().any(|again| program.contains(again)) {
        return Vec::new();
    }
    let set = OTHER_HISTORIES.iter();
    set.filter(|(name, _)| std::env::var_os(name).is_none())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// How a program of tests is run.
#[derive(Default)]
struct Run {
    /// The command that is tested.
    metaxy: PathBuf,
    /// The program that starts a server for it.
    server: Option<PathBuf>,
    /// The tests; none for all of them.
    filters: Vec<String>,
    /// What the environment has beside what cargo would give it.
    variables: Vec<(String, String)>,
}

impl Program {
    /// Runs its tests, in the environment that cargo would give it.
    fn run(&self, run: &Run, log: &mut Log) -> Result<Tests, String> {
        let mut command = match &run.server {
            Some(server) => {
                let mut command = Command::new(server);
                command.args(["server", "--"]).arg(&self.path);
                command
            }
            None => Command::new(&self.path),
        };
        command
            .args(["--test-threads", "1"])
            .args(&run.filters)
            .envs(run.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.package.folder)
            .env("CARGO_MANIFEST_DIR", &self.package.folder)
            .env("CARGO_PKG_NAME", &self.package.name)
            .env("CARGO_PKG_VERSION", &self.package.version)
            .env(COMMAND, &run.metaxy)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.stdio()?);
        if std::env::var_os(PYTHON).is_none()
            && let Some(python) = tools::python()
        {
            command.env(PYTHON, python);
        }
        if let Some(folder) = compiler_libraries() {
            command.env("LD_LIBRARY_PATH", folder);
        }
        let about = |e: std::io::Error| format!("{}: {e}", self.path.display());
        let mut child = command.spawn().map_err(about)?;
        let mut tests = Tests::default();
        let mut last = Instant::now();
        let lines = child.stdout.take().map(BufReader::new);
        for line in lines.into_iter().flat_map(|lines| lines.split(b'\n')) {
            let line = line.map_err(about)?;
            log.file.write_all(&line).map_err(about)?;
            log.file.write_all(b"\n").map_err(about)?;
            read_line(&String::from_utf8_lossy(&line), &mut last, &mut tests);
        }
        let status = child.wait().map_err(about)?;
        if !status.success() {
            tests.broken = true;
            log.line(&format!("{}: {status}", self.name))?;
        }
        Ok(tests)
    }
}

/// What a line of a program of tests says.
fn read_line(line: &str, last: &mut Instant, tests: &mut Tests) {
    if let Some(sums) = line.strip_prefix("test result: ") {
        let number = |word: &str| -> usize {
            let before = sums.split(word).next().unwrap_or_default();
            let number = before.trim_end().rsplit([' ', '.']).next();
            number.and_then(|n| n.parse().ok()).unwrap_or_default()
        };
        tests.passed += number(" passed");
        tests.failed += number(" failed");
        tests.ignored += number(" ignored");
    } else if let Some((name, _)) = line
        .strip_prefix("test ")
        .and_then(|rest| rest.split_once(" ... "))
    {
        let now = Instant::now();
        let took = now.duration_since(*last);
        tests.durations.push((name.trim_end().to_owned(), took));
        *last = now;
    } else if line.starts_with("running ") {
        *last = Instant::now();
    }
}

/// Where the compiler's own libraries are, with which tests of macros are linked.
fn compiler_libraries() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .args(["--print", "target-libdir"])
            .output();
        let folder = String::from_utf8(output.ok()?.stdout).ok()?;
        Some(PathBuf::from(folder.trim()))
    };
    FOLDER.get_or_init(find).clone()
}

/// A program, from one of cargo's messages.
struct Artifact {
    path: PathBuf,
    is_test: bool,
    manifest: PathBuf,
    package: String,
    target: String,
    kind: String,
}

impl Artifact {
    fn of(message: &Value) -> Option<Self> {
        let text = |json: &Value, name: &str| Some(json.get(name)?.as_str()?.to_owned());
        let target = message.get("target")?;
        let profile = message.get("profile")?;
        Some(Self {
            path: text(message, "executable")?.into(),
            is_test: profile.get("test")?.as_bool()?,
            manifest: text(message, "manifest_path")?.into(),
            package: text(message, "package_id")?,
            target: text(target, "name")?,
            kind: target
                .get("kind")?
                .as_array()?
                .first()?
                .as_str()?
                .to_owned(),
        })
    }

    fn program(self) -> Result<Program, String> {
        let package = self.package()?;
        let own = match self.kind.as_str() {
            "test" | "bench" | "example" => self.target,
            "bin" => format!("{} (program)", self.target),
            _ => "(units)".to_owned(),
        };
        Ok(Program {
            name: format!("{} {own}", package.name),
            path: self.path,
            package,
        })
    }

    /// The package's ID ends with `folder#name@version`, or with `name#version` where the folder is called as the package is.
    fn package(&self) -> Result<Package, String> {
        let (folder, rest) = self
            .package
            .rsplit_once('#')
            .ok_or_else(|| format!("cargo calls a package {:?}", self.package))?;
        let in_folder = folder.rsplit('/').next().unwrap_or_default();
        let (name, version) = rest.split_once('@').unwrap_or((in_folder, rest));
        Ok(Package {
            name: name.to_owned(),
            version: version.to_owned(),
            folder: self.manifest.parent().unwrap_or(Path::new(".")).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_are_counted_and_timed() {
        let mut tests = Tests::default();
        let mut last = Instant::now() - Duration::from_secs(5);
        for line in [
            "test write::once ... ok",
            "test write::more - should panic ... ok",
            "test read::all ... ignored",
            "what a test prints",
            "test result: FAILED. 2 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ] {
            read_line(line, &mut last, &mut tests);
        }
        assert_eq!((tests.passed, tests.failed, tests.ignored), (2, 1, 3));
        let (name, took) = &tests.durations[0];
        assert_eq!(name, "write::once");
        assert!(*took >= Duration::from_secs(5));
        assert_eq!(tests.durations[2].0, "read::all");
    }

    #[test]
    fn messages_of_cargo_name_programs() {
        let message = r#"{"reason":"compiler-artifact","package_id":"path+file:///x/crates/core#metaxy-core@0.1.0",
            "manifest_path":"/x/crates/core/Cargo.toml","target":{"kind":["test"],"name":"config"},
            "profile":{"test":true},"executable":"/t/config-1"}"#;
        let program = Artifact::of(&serde_json::from_str(message).unwrap()).unwrap();
        let program = program.program().unwrap();
        assert_eq!(program.name, "metaxy-core config");
        assert_eq!(program.package.folder, Path::new("/x/crates/core"));
        assert_eq!(program.package.version, "0.1.0");
        let own = message
            .replace("crates/core#metaxy-core@0.1.0", "xtask#0.1.0")
            .replace(r#"["test"]"#, r#"["lib"]"#);
        let program = Artifact::of(&serde_json::from_str(&own).unwrap()).unwrap();
        assert_eq!(program.program().unwrap().name, "xtask (units)");
        let library = message.replace(r#""/t/config-1""#, "null");
        assert!(Artifact::of(&serde_json::from_str(&library).unwrap()).is_none());
    }
}
