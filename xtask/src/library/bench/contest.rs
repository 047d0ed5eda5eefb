//! Who works on a directory, and in which order.

use super::directory::Directory;
use super::measured::Measured;
use super::process::output;
use super::reference::Reference;
use super::{floor, text};

/// How directories are measured.
pub(super) struct Contest<'a> {
    /// Rounds that count.
    pub(super) rounds: usize,
    /// Whether the store's time is split into phases.
    pub(super) phases: bool,
    /// Whether the hand-written query is measured as well.
    pub(super) floor: bool,
    /// The reference, to be measured as well.
    pub(super) reference: Option<&'a Reference>,
}

/// What was measured on one directory.
pub(super) struct Cell {
    pub(super) directory: Directory,
    pub(super) ours: Measured,
    pub(super) reference: Option<Measured>,
    pub(super) floor: Option<Measured>,
}

impl Cell {
    /// Whether all contestants found the same.
    pub(super) fn agrees(&self) -> bool {
        let found = |measured: &Measured| (measured.counts, measured.checksum.clone());
        let others = self.reference.iter().chain(&self.floor);
        others
            .map(found)
            .all(|outcome| outcome == found(&self.ours))
    }

    /// How many times faster than the reference the store is.
    pub(super) fn speed_up(&self) -> Option<f64> {
        Some(self.reference.as_ref()?.median() / self.ours.median())
    }

    /// The store's peak of memory as a share of the reference's.
    pub(super) fn memory(&self) -> Option<f64> {
        Some(self.ours.peak_mib? / self.reference.as_ref()?.peak_mib?)
    }

    /// How many times the time of the hand-written query the store takes.
    pub(super) fn of_floor(&self) -> Option<f64> {
        Some(self.ours.median() / self.floor.as_ref()?.median())
    }
}

impl Contest<'_> {
    /// Measures one directory.
    ///
    /// The store alone does its rounds in one process. Where there are others, they take turns, each in a new process: the first turn of each
    /// shows its peak of memory, and its time does not count; in the following ones a round that does not count goes before the one that does,
    /// so that nobody pays for what an interpreter loads when it is first used.
    pub(super) fn measure(&self, directory: Directory) -> Result<Cell, String> {
        let reference = self
            .reference
            .filter(|_| Reference::knows(&directory.backend));
        let floor = self.floor && floor::exists(&directory.backend);
        if reference.is_none() && !floor {
            let ours = self.turn(&directory, "store", self.rounds)?;
            return Ok(Cell {
                directory,
                ours,
                reference: None,
                floor: None,
            });
        }
        let mut cell: Option<Cell> = None;
        for turn in 0..=self.rounds {
            let rounds = match turn {
                0 => 1,
                _ => 2,
            };
            // In every turn the first round does not count.
            let counted = |measured: Result<Measured, String>| {
                measured.map(|mut measured| {
                    measured.forget(1);
                    measured
                })
            };
            let ours = counted(self.turn(&directory, "store", rounds))?;
            let theirs = reference.map(|reference| counted(reference.resolve(&directory, rounds)));
            let theirs = theirs.transpose()?;
            let query = floor.then(|| counted(self.turn(&directory, "floor", rounds)));
            let query = query.transpose()?;
            match &mut cell {
                None => {
                    cell = Some(Cell {
                        directory: directory.clone(),
                        ours,
                        reference: theirs,
                        floor: query,
                    });
                }
                Some(cell) => {
                    cell.ours.join(ours)?;
                    join(&mut cell.reference, theirs)?;
                    join(&mut cell.floor, query)?;
                }
            }
        }
        cell.ok_or_else(|| "no rounds were asked for".to_owned())
    }

    /// A turn of this program, in a process of its own.
    fn turn(&self, directory: &Directory, by: &str, rounds: usize) -> Result<Measured, String> {
        let program = std::env::current_exe().map_err(text)?;
        let mut command = std::process::Command::new(program);
        command
            .args(["bench-turn", "--by", by, "--rounds", &rounds.to_string()])
            .arg("--dir")
            .arg(&directory.path);
        if self.phases && by == "store" {
            command.arg("--phases");
        }
        Measured::parse(&output(&mut command)?)
    }
}

fn join(all: &mut Option<Measured>, turn: Option<Measured>) -> Result<(), String> {
    match (all, turn) {
        (Some(all), Some(turn)) => all.join(turn),
        _ => Ok(()),
    }
}
