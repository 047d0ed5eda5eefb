//! Starting processes, and how they tell each other things: by files in the folder of the store.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::samples::Mark;

/// The variable that says what a process is to do.
pub const ROLE: &str = "METAXY_TEST_ROLE";
/// The variable that says in which folder.
pub const FOLDER: &str = "METAXY_TEST_FOLDER";

/// The test of a binary that its processes run: it does nothing but [`play`](super::play), and is ignored otherwise.
pub const PROCESS_TEST: &str = "a_process_of_the_others";

/// How long to wait for a sign of another process. Only a test that fails waits as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Another process that runs this binary. It is killed when the test is over before it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    role: String,
    output: PathBuf,
}

impl Process {
    /// Starts a process; `role` is the name of a [role](super::roles) and its numbers, or what the binary knows itself.
    pub fn start(folder: &Path, role: impl Into<String>) -> Self {
        let role = role.into();
        let output = folder.join(format!("output {role}"));
        let file = File::create(&output).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", PROCESS_TEST, "--ignored"])
            .arg("--nocapture")
            .env(ROLE, &role)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap();
        Self {
            child,
            role,
            output,
        }
    }

    /// Waits for its end, which must be a good one; returns what it reported.
    pub fn finish(self) -> String {
        finish_all(vec![self]).remove(0)
    }

    fn report(&self, status: ExitStatus) -> String {
        let output = fs::read_to_string(&self.output).unwrap();
        assert!(
            status.success(),
            "process {:?}: {status}\n{output}",
            self.role
        );
        let reported = output.lines().find_map(|l| l.split_once("report: "));
        let (_, report) = reported.unwrap_or_else(|| panic!("{:?} said: {output}", self.role));
        format!("{}: {report}", self.role)
    }

    /// Ends it at once, whatever it does. On Unix this is SIGKILL.
    pub fn kill(mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nearly always it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of all; the first that fails ends the test, also when others wait for it. Returns what they reported.
pub fn finish_all(mut processes: Vec<Process>) -> Vec<String> {
    let mut reports = Vec::new();
    while !processes.is_empty() {
        processes.retain_mut(|process| match process.child.try_wait().unwrap() {
            Some(status) => {
                reports.push(process.report(status));
                false
            }
            None => true,
        });
        std::thread::sleep(Duration::from_millis(5));
    }
    reports
}

/// Ends this process when the one that started it is gone: then its standard input ends.
pub(super) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}

/// What a process tells at its end.
pub fn report(what: &str) {
    println!("\nreport: {what}");
}

/// Gives a sign to the others.
pub fn signal(folder: &Path, sign: &str) {
    File::create(folder.join(sign)).unwrap();
}

/// Whether this sign was given.
pub fn is_signalled(folder: &Path, sign: &str) -> bool {
    folder.join(sign).exists()
}

/// Waits for a sign.
pub fn await_signal(folder: &Path, sign: &str) {
    wait_until(sign, || is_signalled(folder, sign));
}

/// Waits, almost without sleeping: who waits for one thing shall go on at the same moment.
pub fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Notes that a write was acknowledged.
pub(super) fn acknowledge(folder: &Path, (writer, batch): Mark) {
    let path = folder.join(format!("acknowledged {writer}"));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    // One call, so that a process that is killed leaves no half of a line.
    file.write_all(format!("{batch}\n").as_bytes()).unwrap();
}

/// All writes that were acknowledged until now.
pub fn acknowledged(folder: &Path) -> BTreeSet<Mark> {
    let mut marks = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(writer) = name.strip_prefix("acknowledged ") else {
            continue;
        };
        let writer = writer.parse().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        marks.extend(text.lines().map(|batch| (writer, batch.parse().unwrap())));
    }
    marks
}

/// How many writes of this writer were acknowledged until now.
pub fn acknowledged_of(folder: &Path, writer: i64) -> usize {
    let marks = acknowledged(folder);
    marks.iter().filter(|(w, _)| *w == writer).count()
}
