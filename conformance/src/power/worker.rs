//! The processes: one writes step by step, others look at what is left.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use futures::executor::block_on;
use metaxy_store::Access;
use metaxy_store::backend::maintain::Maintenance;

use super::image::Mounted;
use super::{PowerCuts, folder, note};
use crate::processes::{Mark, OVERWRITING, Watch, raw, samples, store};

/// What a process is to do, for which store, and where.
const ROLE: &str = "METAXY_POWER_ROLE";
const STORE: &str = "METAXY_POWER_STORE";
const FOLDER: &str = "METAXY_POWER_FOLDER";
const NOTES: &str = "METAXY_POWER_NOTES";

/// The writer of what comes after a cut.
const AFTERWARDS: i64 = 7;

/// So many writes, and then maintenance.
const BETWEEN_MAINTENANCE: i64 = 4;

/// A process that works on the store, one step at a time.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it said after a step.
#[derive(Debug)]
pub(super) enum Said {
    Acknowledged(Mark),
    MaintenanceReport,
    Done,
    Failed(String),
}

impl Worker {
    /// Starts it. It waits.
    pub(super) fn work(cuts: &PowerCuts, folder: &Path) -> Self {
        let mut child = command(cuts, "work", folder)
            .env(super::WRITES, cuts.writes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Lets it do the next step.
    pub(super) fn go_on(&mut self) {
        // What has failed says so when it is asked.
        let _ = self.orders.write_all(b"\n");
    }

    /// Waits for the end of the step.
    pub(super) fn says(&mut self) -> Said {
        let mut line = String::new();
        let _ = self.answers.read_line(&mut line);
        let mut words = line.trim_end().splitn(2, ' ');
        match (words.next(), words.next().unwrap_or_default()) {
            (Some("acknowledged"), mark) => {
                let numbers: Vec<i64> = mark.split(' ').map(|n| n.parse().unwrap()).collect();
                Said::Acknowledged((numbers[0], numbers[1]))
            }
            (Some("maintained"), _) => Said::MaintenanceReport,
            (Some("done"), _) => Said::Done,
            (Some("failed"), why) => Said::Failed(why.into()),
            _ => Said::Failed(format!("the process ended: {:?}", self.child.wait())),
        }
    }

    /// Stops it where it is, and waits for what it has begun.
    pub(super) fn hold(&self, settled: impl FnOnce()) {
        self.signal("-STOP");
        settled();
    }

    /// Lets it go on from there.
    pub(super) fn release(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.arg(signal)
            .arg(self.child.id().to_string())
            .stderr(Stdio::null());
        let _ = kill.status();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(cuts: &PowerCuts, role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .env(ROLE, role)
        .env(STORE, cuts.name)
        .env(FOLDER, folder);
    command
}

/// Looks at the store in a folder, and writes to it, in a process of its own: whatever happens to it is told.
///
/// # Errors
/// With what is wrong.
pub(super) fn look(
    cuts: &PowerCuts,
    disk: &Mounted,
    acknowledged: &BTreeSet<Mark>,
) -> Result<(), String> {
    let notes = folder();
    note(notes.path(), acknowledged);
    let mut command = command(cuts, "look", disk.path());
    let output = command.env(NOTES, notes.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    match said.trim() {
        "all is well" if output.status.success() => Ok(()),
        said => {
            let also = String::from_utf8_lossy(&output.stderr);
            Err(format!("{}, {said} {}", output.status, also.trim()))
        }
    }
}

/// Does what this process was started for, and ends it.
pub(super) fn play(stores: &[PowerCuts]) {
    let [role, store, folder] = [ROLE, STORE, FOLDER].map(std::env::var_os);
    let (Some(role), Some(store), Some(folder)) = (role, store, folder) else {
        return;
    };
    let cuts = stores.iter().find(|cuts| *cuts.name == *store).unwrap();
    let folder = Path::new(&folder);
    match role.to_str() {
        Some("work") => work(cuts, folder),
        _ => println!("{}", examine(cuts, folder)),
    }
    std::process::exit(0);
}

/// Writes, and puts the store in order now and then. It begins each step when it is told to.
fn work(cuts: &PowerCuts, folder: &Path) {
    let backend = (cuts.open)(folder, Access::Write);
    let store = store(backend.clone(), Access::Write);
    let mut orders = std::io::stdin().lines();
    let mut begin = || orders.next().is_some_and(|order| order.is_ok());
    for number in 0..cuts.writes {
        // Every third write replaces the samples of the one before.
        let mark = match number % 3 {
            2 => (OVERWRITING, number / 3),
            other => (other, number / 3),
        };
        if !begin() {
            return;
        }
        let rows = samples(mark, cuts.rows, Vec::new());
        match block_on(store.write(&raw(), rows)) {
            Ok(_) => println!("acknowledged {} {}", mark.0, mark.1),
            Err(error) => return failed(&error),
        }
        if number % BETWEEN_MAINTENANCE == BETWEEN_MAINTENANCE - 1 {
            if !begin() {
                return;
            }
            match block_on(backend.maintain(&Maintenance::default())) {
                Ok(_) => println!("maintained"),
                Err(error) => return failed(&error),
            }
        }
    }
    begin();
    println!("done");
}

fn failed(error: &metaxy_store::Error) {
    println!(
        "failed {}",
        crate::outcome::report(error).replace('\n', " ")
    );
}

/// Whether all that was acknowledged is there, whole, and more can be written.
fn examine(cuts: &PowerCuts, folder: &Path) -> String {
    let Some(notes) = std::env::var_os(NOTES) else {
        return format!("{NOTES} is not set");
    };
    let notes = Path::new(&notes);
    let mut watch = Watch::new(cuts.rows);
    let reader = store((cuts.open)(folder, Access::Read), Access::Read);
    watch.look(&reader, notes);
    drop(reader);
    if watch.violations().is_empty() {
        let writer = store((cuts.open)(folder, Access::Write), Access::Write);
        let mark = (AFTERWARDS, 0);
        if let Err(error) = block_on(writer.write(&raw(), samples(mark, cuts.rows, Vec::new()))) {
            return format!(
                "it cannot be written to: {}",
                crate::outcome::report(&error)
            );
        }
        note(notes, &BTreeSet::from([mark]));
        watch.look(&writer, notes);
    }
    match watch.violations() {
        [] => "all is well".into(),
        wrong => wrong.join("; "),
    }
}
