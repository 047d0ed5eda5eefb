//! `cargo xtask bench`: how long a resolve takes, and how much memory.
//!
//! Stores are seeded with the graphs of the reference's benchmark, or by it; the leaf is resolved in a process of its own. What is
//! timed is what a user waits for: reading `metaxy.toml`, opening the store, `resolve_update`, all rows of the three parts in memory, and
//! closing the store. The graph is read from the store before.

mod appends;
mod backends;
mod checksum;
mod contest;
mod directory;
mod floor;
mod graphs;
mod measured;
mod process;
mod reference;
mod report;
mod seed;
pub(crate) mod turn;

use std::path::PathBuf;

use clap::Args;
use metaxy_store::json::Json;

use crate::rebuild::Build;
use appends::SmallAppends;
use contest::Contest;
use directory::Directory;
use graphs::{Graph, Phase};
use reference::Reference;
use report::Report;
use seed::Seed;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Measure these stores, such as `sqlite,duckdb` [default: those of this build].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    store: Vec<String>,
    /// Resolve these graphs.
    #[arg(long, value_name = "GRAPH", value_delimiter = ',', default_values = ["simple", "wide"])]
    graph: Vec<Graph>,
    /// What the leaf has to do.
    #[arg(long, value_name = "PHASE", value_delimiter = ',', default_values = ["new", "stale", "same"])]
    phase: Vec<Phase>,
    /// How many samples each root has.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10_000, 1_000_000])]
    rows: Vec<u64>,
    /// The hash algorithm [default: md5 for duckdb, xxhash32 for others].
    #[arg(long, value_name = "NAME")]
    hash: Option<String>,
    /// Seed below this folder; what is there already is measured as it is [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Resolve a directory that `bench.py seed` or this command made, instead of seeding. May be repeated.
    #[arg(long, value_name = "DIR")]
    store_dir: Vec<PathBuf>,
    /// How many rounds count; the median is shown.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// A Python that has the reference: it seeds the stores that it knows, and resolves them in turns with this program.
    #[arg(long, value_name = "PYTHON")]
    reference: Option<PathBuf>,
    /// The reference's script [default: ../shared/reference/bench.py beside this workspace].
    #[arg(long, value_name = "FILE")]
    bench_py: Option<PathBuf>,
    /// Measure the cheapest hand-written query of the same work as well.
    #[arg(long)]
    floor: bool,
    /// Instead of that, append so many rows to a root one by one, and time a read and a resolve before and after maintenance
    /// [default store: delta].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with_all = ["store_dir", "reference", "floor", "phases"])]
    small_appends: Option<u64>,
    /// Split the time into open, plan, execute and collect.
    #[arg(long)]
    phases: bool,
    /// Write what was measured to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure even a build without optimisation.
    #[arg(long, hide = true)]
    unoptimised: bool,
}

/// Measures, prints the table, and says whether all checksums are equal.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let given = arguments.store_dir.iter();
    let given: Vec<Directory> = given
        .map(|dir| Directory::read(dir))
        .collect::<Result<_, _>>()?;
    let backends = match (given.as_slice(), arguments.small_appends) {
        // Where each append leaves a file behind.
        ([], Some(_)) if arguments.store.is_empty() => backends::chosen(&["delta".to_owned()])?,
        ([], _) => backends::chosen(&arguments.store)?,
        _ => Vec::new(),
    };
    let stores: Vec<&str> = match given.as_slice() {
        [] => backends.iter().map(|known| known.name).collect(),
        given => given.iter().map(|dir| dir.backend.as_str()).collect(),
    };
    if stores.is_empty() {
        return Err("this build has no store: name one with --store".to_owned());
    }
    let build = Build {
        release: !arguments.unoptimised,
        stores: &stores,
    };
    if !build.is_this() {
        return build.run_again();
    }

    if let Some(count) = arguments.small_appends {
        return small_appends(count, arguments, &backends);
    }
    let reference = arguments.reference.as_deref();
    let reference = reference.map(|python| Reference::new(python, arguments.bench_py.as_deref()));
    let reference = reference.transpose()?;
    let contest = Contest {
        rounds: arguments.rounds.into(),
        phases: arguments.phases,
        floor: arguments.floor,
        reference: reference.as_ref(),
    };
    for store in &stores {
        warn_of_what_is_missing(store, &contest);
    }
    let mut cells = Vec::new();
    let mut measure = |directory: Directory| -> Result<(), String> {
        eprintln!(
            "measuring {} {} {} {}",
            directory.backend, directory.graph, directory.rows, directory.phase
        );
        let cell = contest.measure(directory)?;
        eprintln!("  {:.4} s", cell.ours.median());
        cells.push(cell);
        Ok(())
    };
    if given.is_empty() {
        let folder = Folder::new(arguments.dir.as_deref())?;
        for seed in seeds(arguments, &backends) {
            measure(seed.directory(folder.path(), reference.as_ref())?)?;
        }
    } else {
        given.into_iter().try_for_each(measure)?;
    }

    let report = Report::new(cells);
    print!("{}", report.markdown());
    arguments.write_json(&report.json())?;
    Ok(report.agrees())
}

/// Measures many appends of one row, prints what came of them, and says whether all rows were there.
fn small_appends(
    count: u64,
    arguments: &Arguments,
    backends: &[&'static backends::Known],
) -> Result<bool, String> {
    let folder = Folder::new(arguments.dir.as_deref())?;
    let mut measured = Vec::new();
    for backend in backends {
        eprintln!("appending {count} rows to {}", backend.name);
        let appends = SmallAppends {
            backend,
            count,
            rounds: arguments.rounds.into(),
            hash: arguments.hash.as_deref(),
        };
        let appended = appends.measure(folder.path())?;
        print!("{}", appended.markdown());
        measured.push(appended);
    }
    arguments.write_json(&measured.iter().map(appends::Appended::json).collect())?;
    Ok(measured.iter().all(appends::Appended::is_whole))
}

impl Arguments {
    /// Writes what was measured, if anybody asked for it.
    fn write_json(&self, json: &Json) -> Result<(), String> {
        let Some(file) = &self.json else {
            return Ok(());
        };
        let written = std::fs::write(file, json.to_compact());
        written.map_err(|e| format!("{}: {e}", file.display()))
    }
}

/// Every combination that is asked for, size by size.
fn seeds<'a>(arguments: &'a Arguments, backends: &[&'static backends::Known]) -> Vec<Seed<'a>> {
    let mut seeds = Vec::new();
    for backend in backends {
        for rows in &arguments.rows {
            for graph in &arguments.graph {
                for phase in &arguments.phase {
                    seeds.push(Seed {
                        backend,
                        graph: *graph,
                        phase: *phase,
                        rows: *rows,
                        hash: arguments.hash.as_deref(),
                    });
                }
            }
        }
    }
    seeds
}

fn warn_of_what_is_missing(store: &str, contest: &Contest<'_>) {
    if contest.floor && !floor::exists(store) {
        eprintln!("there is no floor for {store}");
    }
    if contest.reference.is_some() && !Reference::knows(store) {
        eprintln!("the reference has no store {store}");
    }
}

/// Where stores are seeded.
enum Folder {
    Given(PathBuf),
    /// It is removed in the end.
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn new(given: Option<&std::path::Path>) -> Result<Self, String> {
        let Some(given) = given else {
            return tempfile::tempdir().map(Self::Temporary).map_err(text);
        };
        std::fs::create_dir_all(given).map_err(|e| format!("{}: {e}", given.display()))?;
        Ok(Self::Given(given.to_owned()))
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
