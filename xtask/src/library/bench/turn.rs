//! One turn: the work of one contestant on one directory, in a process of its own so that the peak of memory is its own.
//!
//! A turn prints one line of JSON, as `bench.py resolve` does.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use futures::StreamExt;
use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::plan::Part;
use metaxy_store::prelude::*;

use super::checksum::checksum;
use super::directory::Directory;
use super::measured::{Measured, PHASES};
use super::{floor, text};
use crate::memory::peak_mib;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The seeded directory.
    #[arg(long)]
    dir: PathBuf,
    /// Who does the work.
    #[arg(long, value_enum)]
    by: Contestant,
    /// How often.
    #[arg(long)]
    rounds: usize,
    /// Time the steps of the store's work one by one.
    #[arg(long)]
    phases: bool,
}

/// What does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Contestant {
    /// The store.
    Store,
    /// The cheapest query that a person would write for it.
    Floor,
}

/// The rows of an increment, held in memory.
pub(super) trait Held {
    /// New, stale and orphaned rows.
    fn counts(&self) -> [u64; 3];
    /// As [`checksum`].
    fn checksum(&self) -> Result<u64, String>;
}

/// Works for some rounds, and prints what was measured.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let directory = Directory::read(&arguments.dir)?;
    let graph = directory.pushed_graph()?;
    let mut measured = Measured::default();
    let mut held: Option<Box<dyn Held>> = None;
    for _ in 0..arguments.rounds {
        // The rows of two rounds are never in memory together.
        drop(held.take());
        let start = Instant::now();
        held = Some(match (arguments.by, arguments.phases) {
            (Contestant::Store, false) => Box::new(resolve(&directory, &graph)?),
            (Contestant::Store, true) => {
                let (increment, steps) = resolve_in_steps(&directory, &graph)?;
                measured.add_steps(steps.map(|step| step.as_secs_f64()));
                Box::new(increment)
            }
            (Contestant::Floor, _) => floor::of(&directory.backend)?(&directory, &graph)?,
        });
        measured.seconds.push(start.elapsed().as_secs_f64());
    }
    let held = held.ok_or("no rounds were asked for")?;
    measured.counts = held.counts();
    measured.checksum = format!("{:016x}", held.checksum()?);
    measured.peak_mib = peak_mib("self");
    println!("{}", measured.to_json().to_compact());
    Ok(true)
}

/// Opens the store as its user would, resolves the leaf and closes the store.
fn resolve(directory: &Directory, graph: &FeatureGraph) -> Result<Increment, String> {
    let config = directory.config().map_err(text)?;
    let store = MetadataStore::from_config(&config, None, Access::Read, graph).map_err(text)?;
    let leaf = directory.leaf()?;
    block_on(store.resolve_update(&leaf, ResolveOptions::default())).map_err(text)
}

/// As [`resolve`], with the time of each of [`PHASES`].
fn resolve_in_steps(
    directory: &Directory,
    graph: &FeatureGraph,
) -> Result<(Increment, [Duration; PHASES.len()]), String> {
    let start = Instant::now();
    let config = directory.config().map_err(text)?;
    let store = MetadataStore::from_config(&config, None, Access::Read, graph).map_err(text)?;
    let open = start.elapsed();

    let leaf = directory.leaf()?;
    let lazy = block_on(store.resolve_lazy(&leaf, ResolveOptions::default())).map_err(text)?;
    let [new, stale, orphaned] =
        [Part::New, Part::Stale, Part::Orphaned].map(|part| lazy.plan().schema(part).clone());
    let planned = start.elapsed();

    let mut stream = block_on(lazy.stream()).map_err(text)?;
    let mut splits = Vec::from_iter(block_on(stream.next()));
    let executed = start.elapsed();

    splits.extend(block_on(stream.collect::<Vec<_>>()));
    let mut parts: [Vec<_>; 3] = Default::default();
    for split in splits {
        let split = split.map_err(text)?;
        let batches = [split.new, split.stale, split.orphaned];
        for (part, batch) in parts.iter_mut().zip(batches) {
            if batch.num_rows() > 0 {
                part.push(batch);
            }
        }
    }
    let [new_rows, stale_rows, orphaned_rows] = parts;
    let increment = Increment {
        new: Rows::new(new, new_rows),
        stale: Rows::new(stale, stale_rows),
        orphaned: Rows::new(orphaned, orphaned_rows),
        waits_for: Vec::new(),
    };
    drop(store);
    let total = start.elapsed();
    let steps = [open, planned - open, executed - planned, total - executed];
    Ok((increment, steps))
}

impl Held for Increment {
    fn counts(&self) -> [u64; 3] {
        let counts = Increment::counts(self);
        [counts.new, counts.stale, counts.orphaned]
    }

    fn checksum(&self) -> Result<u64, String> {
        let batches = self.new.batches().iter().chain(self.stale.batches());
        batches.map(checksum).try_fold(0, |sum: u64, batch| {
            Ok(sum.wrapping_add(batch.map_err(text)?))
        })
    }
}
