//! Power cuts: what was acknowledged is there when the power is back, and nothing is there in part.
//!
//! A store is kept on a file system of its own, in an image: a file that is mounted. Whatever the store has not synced is in the memory of the
//! machine, and not in the image. So a copy of the image is what a disk holds after a power cut at that moment. It is mounted elsewhere, which
//! replays the journal of the file system, and the store in it is opened, read, and written to.
//!
//! The image is cut at each acknowledgement of a scripted workload, and once between every two, at a random moment. In a second trial
//! the disk below the image fills up, so that syncs fail: then whoever writes is told so, and what was acknowledged before is still there.
//!
//! What is not tried: a disk that loses what it has confirmed, or that writes half of a sector.
//!
//! A backend's crate runs it in a test of its own, with `harness = false` in its manifest:
//!
//! ```no_run
//! use std::path::Path;
//! use std::process::ExitCode;
//! use std::sync::Arc;
//! use metaxy_conformance::power::PowerCuts;
//! use metaxy_store::Access;
//! use metaxy_store::backend::Backend;
//! use metaxy_store::sqlite::SqliteConfig;
//!
//! fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
//!     Arc::new(SqliteConfig::new(folder.join("store.db")).open(access))
//! }
//!
//! fn main() -> ExitCode {
//!     PowerCuts::new("sqlite", open).run_as_main()
//! }
//! ```
//!
//! It takes Linux, root, loop devices and `mkfs.ext4`. Where one is missing the trials are ignored with the reason, or fail with
//! [`CONFORMANCE_REQUIRED=1`](crate::suite::REQUIRED). `METAXY_POWER_WRITES` says how many writes there are.
//!
//! Everything here panics where something is wrong with the machine: it is for tests only.

#![allow(clippy::unwrap_used, clippy::panic)] // as said above

mod image;
mod worker;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tempfile::TempDir;

use crate::outcome::Stop;
use crate::processes::{Mark, Open};
use crate::suite::REQUIRED;
use image::{Disk, Image};
use worker::{Said, Worker};

/// How many writes there are, if somebody wants others than a test does.
pub const WRITES: &str = "METAXY_POWER_WRITES";

/// The image is so large, and mostly empty.
const IMAGE: u64 = 48 << 20;

/// A store, and how often it is cut off.
#[derive(Debug, Clone, Copy)]
pub struct PowerCuts {
    name: &'static str,
    open: Open,
    writes: i64,
    rows: i64,
}

/// What became of a store that was cut off again and again.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Cuts {
    /// How many copies of the image were looked at.
    pub cuts: usize,
    /// How many writes were acknowledged.
    pub acknowledged: usize,
    /// What was wrong, and after which cut: writes that are gone or there in part, a store that cannot be opened, read or written to.
    pub wrong: Vec<String>,
}

impl PowerCuts {
    /// The store that `open` opens in a folder. The name tells it from others of the same test program.
    #[must_use]
    pub fn new(name: &'static str, open: Open) -> Self {
        let writes = std::env::var(WRITES)
            .ok()
            .and_then(|writes| writes.parse().ok());
        Self {
            name,
            open,
            writes: writes.unwrap_or(12),
            rows: 100,
        }
    }

    /// So many writes, whatever [`WRITES`] says.
    #[must_use]
    pub fn with_writes(mut self, writes: i64) -> Self {
        self.writes = writes;
        self
    }

    /// Runs both trials as the `main` of a test without harness.
    #[must_use]
    pub fn run_as_main(&self) -> ExitCode {
        play(&[*self]);
        let trials = self.trials();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    /// Both trials, for a `main` that has others. It has to [`play`] first.
    #[must_use]
    pub fn trials(&self) -> Vec<Trial> {
        type Try = fn(&PowerCuts) -> Result<Cuts, Stop>;
        let all: [(&str, Try); 2] = [
            ("writes_survive_power_cuts", Self::cut),
            ("syncs_that_fail_are_errors", Self::fill_up),
        ];
        let trials = all.map(|(name, run)| {
            let cuts = *self;
            Trial::ignorable_test(name, move || cuts.told(run)).with_kind(self.name)
        });
        trials.into()
    }

    fn told(&self, run: fn(&Self) -> Result<Cuts, Stop>) -> Result<Completion, Failed> {
        let required = std::env::var(REQUIRED).is_ok_and(|value| value == "1");
        match run(self) {
            Ok(cuts) if cuts.wrong.is_empty() => {
                println!("{}: {cuts}", self.name);
                Ok(Completion::Completed)
            }
            Ok(cuts) => Err(cuts.to_string().into()),
            Err(Stop::Missing(what) | Stop::Ignored(what)) if !required => {
                Ok(Completion::ignored_with(what))
            }
            Err(stop) => Err(stop.to_string().into()),
        }
    }

    /// Cuts the power at each acknowledgement, and once before each.
    ///
    /// # Errors
    /// [`Stop::Missing`] if the machine does not let us, [`Stop::Failed`] if the store fails while the power is on.
    pub fn cut(&self) -> Result<Cuts, Stop> {
        image::is_possible()?;
        let folder = folder();
        let image = Image::new(folder.path(), IMAGE);
        let disk = image.mount(&folder.path().join("disk"));
        let (mut cuts, mut acknowledged) = (Cuts::default(), BTreeSet::new());
        let mut worker = Worker::work(self, disk.path());
        let mut step = Duration::ZERO;
        let mut dice = dice(self.writes);
        loop {
            let start = Instant::now();
            worker.go_on();
            // Somewhere within what the last step took. The first only shows how long one takes.
            if step > Duration::ZERO {
                std::thread::sleep(step.mul_f64(dice()));
                worker.hold(|| disk.settles());
                self.look(&image, &acknowledged, "within a write", &mut cuts);
                worker.release();
            }
            let said = worker.says();
            if step == Duration::ZERO {
                step = start.elapsed();
            }
            match said {
                Said::Acknowledged(mark) => {
                    acknowledged.insert(mark);
                    self.look(&image, &acknowledged, "at an acknowledgement", &mut cuts);
                }
                Said::MaintenanceReport => {
                    self.look(&image, &acknowledged, "after maintenance", &mut cuts);
                }
                Said::Done => break,
                Said::Failed(why) => return Err(Stop::failed(why)),
            }
        }
        cuts.acknowledged = acknowledged.len();
        Ok(cuts)
    }

    /// Fills up the disk below the image, until a sync fails.
    ///
    /// # Errors
    /// [`Stop::Missing`] if the machine does not let us.
    pub fn fill_up(&self) -> Result<Cuts, Stop> {
        image::is_possible()?;
        let folder = folder();
        let below = Disk::in_memory(&folder.path().join("below"), IMAGE);
        let image = Image::new(below.path(), IMAGE);
        let disk = image.mount(&folder.path().join("disk"));
        let (mut cuts, mut acknowledged) = (Cuts::default(), BTreeSet::new());
        // Many more writes than there is room for.
        let mut worker = Worker::work(&self.with_writes(100_000), disk.path());
        let refused = loop {
            worker.go_on();
            match worker.says() {
                Said::Acknowledged(mark) => acknowledged.insert(mark),
                Said::MaintenanceReport => continue,
                Said::Done => break None,
                Said::Failed(why) => break Some(why),
            };
            if acknowledged.len() == 3 {
                below.leave(512 << 10);
            }
        };
        drop(worker);
        drop(disk);
        match refused {
            None => cuts
                .wrong
                .push("no write failed, although no sync can have succeeded".into()),
            Some(why) => println!("{}: after {} writes: {why}", self.name, acknowledged.len()),
        }
        self.look(&image, &acknowledged, "after a sync that failed", &mut cuts);
        cuts.acknowledged = acknowledged.len();
        Ok(cuts)
    }

    /// Mounts a copy of the image elsewhere, and looks at the store in it.
    fn look(&self, image: &Image, acknowledged: &BTreeSet<Mark>, when: &str, cuts: &mut Cuts) {
        let folder = folder();
        let copy = image.copy(folder.path());
        cuts.cuts += 1;
        let after = format!(
            "cut {} {when}, {} writes acknowledged",
            cuts.cuts,
            acknowledged.len()
        );
        let found = match copy.try_mount(&folder.path().join("disk")) {
            Ok(disk) => worker::look(self, &disk, acknowledged),
            Err(why) => Err(format!("the file system is broken: {why}")),
        };
        if let Err(why) = found {
            cuts.wrong.push(format!("{after}: {why}"));
        }
    }
}

/// One line of sums, and one for each thing that is wrong.
impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cuts, acknowledged, wrong) = (self.cuts, self.acknowledged, self.wrong.len());
        write!(
            f,
            "{cuts} cuts, {acknowledged} acknowledged writes, {wrong} wrong"
        )?;
        // The first ones say enough.
        self.wrong
            .iter()
            .take(10)
            .try_for_each(|wrong| write!(f, "\n{wrong}"))
    }
}

/// Does what this process was started for by a trial of one of `stores`, and ends it; nothing if it was started by somebody else.
pub fn play(stores: &[PowerCuts]) {
    worker::play(stores);
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("metaxy-power-")
        .tempdir()
        .unwrap()
}

/// Parts of one, the same in every run.
fn dice(seed: i64) -> impl FnMut() -> f64 {
    let mut state = seed.unsigned_abs().wrapping_add(0x9e37_79b9_7f4a_7c15);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The writes that were acknowledged, as the processes tell each other.
fn note(folder: &Path, acknowledged: &BTreeSet<Mark>) {
    for (writer, batch) in acknowledged {
        let path = folder.join(format!("acknowledged {writer}"));
        let mut text = fs::read_to_string(&path).unwrap_or_default();
        text.push_str(&format!("{batch}\n"));
        fs::write(path, text).unwrap();
    }
}
