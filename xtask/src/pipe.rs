//! `cargo xtask pipe`: how long a step of a pipeline takes in a shell, and how much memory its processes.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Args;

use crate::command;
use crate::memory::peak_mib;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many rows go through the pipe; several numbers are measured one after the other.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    rows: Vec<u64>,
    /// The command, instead of an optimised build of it.
    #[arg(long, value_name = "PROGRAM")]
    metaxy: Option<PathBuf>,
}

const CONFIG: &str = r#"
project = "films"
store = "dev"
features = ["features.toml"]
hash_truncation_length = 20

[stores.dev]
type = "sqlite"
database = "dev.db"
hash_algorithm = "xxhash64"
"#;

const FEATURES: &str = r#"
[[feature]]
key = "video/raw"
id_columns = ["video_id"]
fields = ["audio", "frames"]

[[feature]]
key = "video/transcript"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", select = ["path"] }]
fields = { text = { code_version = "1", deps = [{ feature = "video/raw", fields = ["audio"] }] } }
"#;

const RAW: &str = "video/raw";
const SAMPLES: &str = "raw.ndjson";
const TRANSCRIPT: &str = "video/transcript";

/// The step adds a member to each object.
const STEP: &str = r#"{ sub(/}$/, ",\"length\":" length($0) "}"); print }"#;

/// Measures each number of rows, and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let metaxy = match &arguments.metaxy {
        Some(program) => std::path::absolute(program).map_err(|e| about(program, &e))?,
        None => command::build(true)?,
    };
    println!("     rows  what                      seconds  peak memory in MiB");
    for rows in &arguments.rows {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let project = Project::new(&metaxy, folder.path())?;
        project.make_samples(*rows)?;
        let start = Instant::now();
        let peak = project.write_raw(*rows)?;
        report(*rows, "write", start.elapsed(), &[("write", peak)]);
        let start = Instant::now();
        let peaks = project.pipe(*rows)?;
        report(*rows, "resolve | step | write", start.elapsed(), &peaks);
        project.expect_nothing_to_do()?;
    }
    Ok(true)
}

fn report(rows: u64, what: &str, took: Duration, peaks: &[(&str, Option<f64>)]) {
    let peaks: Vec<String> = peaks
        .iter()
        .map(|(name, peak)| match peak {
            Some(mib) => format!("{name} {mib:.1}"),
            None => format!("{name} unknown"),
        })
        .collect();
    let seconds = took.as_secs_f64();
    println!("{rows:>9}  {what:<24} {seconds:>8.1}  {}", peaks.join(", "));
}

/// A project in a folder of its own.
struct Project<'a> {
    metaxy: &'a Path,
    folder: &'a Path,
}

impl<'a> Project<'a> {
    fn new(metaxy: &'a Path, folder: &'a Path) -> Result<Self, String> {
        for (name, text) in [("metaxy.toml", CONFIG), ("features.toml", FEATURES)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|e| about(&path, &e))?;
        }
        Ok(Self { metaxy, folder })
    }

    /// Makes the samples of the root feature.
    fn make_samples(&self, rows: u64) -> Result<(), String> {
        let path = self.folder.join(SAMPLES);
        let made = File::create(&path).and_then(|file| samples(rows, file));
        made.map_err(|e| about(&path, &e))
    }

    /// Writes them.
    fn write_raw(&self, rows: u64) -> Result<Option<f64>, String> {
        let write = self.start(self.metaxy, &["write", RAW, SAMPLES], Stdio::null())?;
        let (said, peak) = write.finish()?;
        expect(&said, &format!("{RAW}: {rows} rows written"))?;
        Ok(peak)
    }

    /// Resolves, works and writes at the same time. Returns the peaks of the processes.
    fn pipe(&self, rows: u64) -> Result<Vec<(&'static str, Option<f64>)>, String> {
        let mut resolve = self.start(self.metaxy, &["resolve", TRANSCRIPT], Stdio::null())?;
        let mut step = self.start(Path::new("awk"), &[STEP], output(&mut resolve)?)?;
        let write = ["write", TRANSCRIPT, "-"];
        let write = self.start(self.metaxy, &write, output(&mut step)?)?;
        let (said, written) = write.finish()?;
        expect(&said, &format!("{TRANSCRIPT}: {rows} rows written"))?;
        Ok(vec![
            ("resolve", resolve.finish()?.1),
            ("step", step.finish()?.1),
            ("write", written),
        ])
    }

    fn expect_nothing_to_do(&self) -> Result<(), String> {
        let resolve = ["resolve", TRANSCRIPT, "--count", "--format", "csv"];
        let (said, _) = self.start(self.metaxy, &resolve, Stdio::null())?.finish()?;
        expect(&said, "part,rows\nnew,0\nstale,0\norphaned,0\n")
    }

    fn start(&self, program: &Path, args: &[&str], input: Stdio) -> Result<Watched, String> {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("METAXY_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(args)
            .current_dir(self.folder)
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn();
        let child = child.map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
        Ok(Watched::new(child, args.join(" ")))
    }
}

fn samples(rows: u64, file: File) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    for row in 0..rows {
        writeln!(
            file,
            r#"{{"video_id":{row},"path":"videos/{:03}/{row}.mp4","metaxy_provenance_by_field":{{"audio":"a{row:015x}","frames":"f{row:015x}"}}}}"#,
            row % 1_000
        )?;
    }
    file.flush()
}

fn output(of: &mut Watched) -> Result<Stdio, String> {
    let output = of.child.stdout.take();
    output
        .map(Stdio::from)
        .ok_or("a process has no output".into())
}

fn expect(said: &str, beginning: &str) -> Result<(), String> {
    match said.starts_with(beginning) {
        true => Ok(()),
        false => Err(format!("expected {beginning:?}, found {said:?}")),
    }
}

/// A process, and a thread that looks how much memory it has had.
struct Watched {
    child: Child,
    name: String,
    watch: JoinHandle<Option<f64>>,
}

/// How often the peak is looked at. The system keeps it: what matters is only that the last look is close to the end.
const INTERVAL: Duration = Duration::from_millis(5);

impl Watched {
    fn new(child: Child, name: String) -> Self {
        let process = child.id().to_string();
        let watch = thread::spawn(move || {
            let mut last = None;
            // A process that has ended has no memory, and so no peak.
            while let Some(peak) = peak_mib(&process) {
                last = Some(peak);
                thread::sleep(INTERVAL);
            }
            last
        });
        Self { child, name, watch }
    }

    /// Waits until it ends well. Returns what it printed into a pipe that nobody else has taken, and its peak in MiB.
    fn finish(self) -> Result<(String, Option<f64>), String> {
        let ended = self.child.wait_with_output();
        let output = ended.map_err(|e| format!("{}: {e}", self.name))?;
        let peak = self.watch.join().unwrap_or_default();
        check(&self.name, output.status)?;
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), peak))
    }
}

fn check(name: &str, status: ExitStatus) -> Result<(), String> {
    match status.success() {
        true => Ok(()),
        false => Err(format!("{name} failed: {status}")),
    }
}

fn about(path: &Path, why: &std::io::Error) -> String {
    format!("{}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Result<(String, Option<f64>), String> {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::new(Path::new("metaxy"), folder.path()).unwrap();
        let process = project.start(Path::new("sh"), &["-c", script], Stdio::null());
        process.unwrap().finish()
    }

    #[test]
    fn what_a_process_prints_and_its_memory_are_known() {
        let (said, peak) = sh("ls; sleep 0.2").unwrap();
        assert_eq!(said, "features.toml\nmetaxy.toml\n");
        assert_eq!(peak.is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn a_process_that_fails_is_told() {
        let why = sh("exit 3").unwrap_err();
        assert_eq!(why, "-c exit 3 failed: exit status: 3");
    }

    #[test]
    fn samples_are_one_object_per_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SAMPLES);
        samples(3, File::create(&path).unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let ids: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|row| row.get("video_id").unwrap().to_string())
            .collect();
        assert_eq!(ids, ["0", "1", "2"]);
    }
}
