//! `--small-appends`: what many appends of one row leave behind, and what maintenance makes of it.
//!
//! A root is appended to row by row, with one store. Before and after maintenance the rows of the root are read and the leaf, which was
//! never written, is resolved: each time with a store that is opened for it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::backend::maintain::Footprint;
use metaxy_store::json::Json;
use metaxy_store::prelude::*;
use metaxy_store::store::MaintainOptions;

use super::backends::Known;
use super::directory::Directory;
use super::graphs::{Graph, Phase};
use super::measured::median;
use super::report::{grouped, seconds, table};
use super::seed::configure;
use super::text;

/// What is to be appended, and how it is measured.
pub(super) struct SmallAppends<'a> {
    pub(super) backend: &'static Known,
    pub(super) count: u64,
    /// How often a state is read and resolved; the median counts.
    pub(super) rounds: usize,
    /// Another hash algorithm than that of the benchmark.
    pub(super) hash: Option<&'a str>,
}

/// What was measured on one store.
pub(super) struct Appended {
    store: &'static str,
    /// The seconds of each append, in order.
    appends: Vec<f64>,
    /// As appended, then after each maintenance.
    states: Vec<State>,
}

/// A store at one time.
struct State {
    name: &'static str,
    /// The seconds of the maintenance before it.
    maintained: Option<f64>,
    /// What that did.
    actions: Vec<String>,
    footprint: Footprint,
    /// Rows of the root, and new rows of the leaf.
    rows: (usize, usize),
    /// The seconds of each round.
    read: Vec<f64>,
    resolve: Vec<f64>,
}

impl SmallAppends<'_> {
    /// Appends, measures, maintains and measures again, in a directory below `folder`.
    pub(super) fn measure(&self, folder: &Path) -> Result<Appended, String> {
        let path = folder.join(format!("{}-appends-{}", self.backend.name, self.count));
        if path.exists() {
            return Err(format!("{} exists: remove it", path.display()));
        }
        std::fs::create_dir_all(&path).map_err(text)?;
        let path = path.canonicalize().map_err(text)?;
        let hash = self.hash.unwrap_or(self.backend.hash);
        configure(self.backend, hash, &path)?;
        let appended = Directory {
            path,
            backend: self.backend.name.into(),
            graph: Graph::Simple.to_string(),
            phase: Phase::New.to_string(),
            rows: self.count,
            hash: hash.into(),
            leaf: Graph::Simple.leaf().map_err(text)?.to_string(),
        };
        let graph = Graph::Simple.build().map_err(text)?;
        let appends = self.append(&appended, &graph)?;
        let mut states = vec![self.state("appended", &appended, &graph)?];
        for (name, retention) in [
            ("maintained", None),
            // What the first leaves for reads that began before it.
            ("with no retention", Some(Duration::ZERO)),
        ] {
            let mut options = MaintainOptions::default();
            options.retention = retention;
            let store = open(&appended, &graph, Access::Write)?;
            let start = Instant::now();
            let report = block_on(store.maintain(options)).map_err(text)?;
            let took = start.elapsed().as_secs_f64();
            drop(store);
            let actions = report.actions.iter().map(ToString::to_string).collect();
            states.push(State {
                maintained: Some(took),
                actions,
                ..self.state(name, &appended, &graph)?
            });
        }
        Ok(Appended {
            store: self.backend.name,
            appends,
            states,
        })
    }

    /// The seconds of each append.
    fn append(&self, directory: &Directory, graph: &FeatureGraph) -> Result<Vec<f64>, String> {
        let roots = Graph::Simple.roots().map_err(text)?;
        let root = roots.first().ok_or("the graph has no root")?;
        let store = open(directory, graph, Access::Write)?;
        let mut appends = Vec::new();
        for sample in 0..self.count {
            let row = root.row(sample).map_err(text)?;
            let start = Instant::now();
            block_on(store.write(&root.key, row)).map_err(text)?;
            appends.push(start.elapsed().as_secs_f64());
        }
        Ok(appends)
    }

    fn state(
        &self,
        name: &'static str,
        directory: &Directory,
        graph: &FeatureGraph,
    ) -> Result<State, String> {
        let roots = Graph::Simple.roots().map_err(text)?;
        let root = roots.first().ok_or("the graph has no root")?;
        let leaf = directory.leaf()?;
        let mut state = State {
            name,
            maintained: None,
            actions: Vec::new(),
            // What a server takes is told by its own actions.
            footprint: match self.backend.file {
                Some(file) => footprint(&directory.path, file)?,
                None => Footprint::default(),
            },
            rows: (0, 0),
            read: Vec::new(),
            resolve: Vec::new(),
        };
        for _ in 0..self.rounds {
            let start = Instant::now();
            let store = open(directory, graph, Access::Read)?;
            let rows = block_on(async {
                let rows = store.read(&root.key, ReadOptions::default()).await?;
                rows.collect().await
            });
            let rows = rows.map_err(text)?.num_rows();
            drop(store);
            state.read.push(start.elapsed().as_secs_f64());

            let start = Instant::now();
            let store = open(directory, graph, Access::Read)?;
            let increment = store.resolve_update(&leaf, ResolveOptions::default());
            let new = block_on(increment).map_err(text)?.new.num_rows();
            drop(store);
            state.resolve.push(start.elapsed().as_secs_f64());
            state.rows = (rows, new);
        }
        Ok(state)
    }
}

impl Appended {
    /// Whether every state has every row.
    pub(super) fn is_whole(&self) -> bool {
        let all = self.appends.len();
        self.states.iter().all(|state| state.rows == (all, all))
    }

    /// A table of the states, with the appends above and what maintenance did below.
    pub(super) fn markdown(&self) -> String {
        let tenth = self.appends.len().div_ceil(10);
        let last = self.appends.len() - tenth;
        let millis = |seconds: &[f64]| format!("{:.2}", median(seconds) * 1_000.0);
        let mut shown = format!(
            "{}: {} appends of one row in {} s; median {} ms, of the first tenth {} ms, of the last {} ms\n\n",
            self.store,
            grouped(self.appends.len() as u64),
            seconds(self.appends.iter().sum()),
            millis(&self.appends),
            millis(&self.appends[..tenth]),
            millis(&self.appends[last..]),
        );
        let number = |number: Option<u64>| number.map(grouped).unwrap_or_default();
        let column = |title: &str, of: &dyn Fn(&State) -> String| -> Vec<String> {
            let mut column = vec![title.to_owned()];
            column.extend(self.states.iter().map(of));
            column
        };
        shown += &table(&[
            column("state", &|state| state.name.to_owned()),
            column("maintenance s", &|state| {
                state.maintained.map(seconds).unwrap_or_default()
            }),
            column("files", &|state| number(state.footprint.files)),
            column("bytes", &|state| number(state.footprint.bytes)),
            column("rows read", &|state| grouped(state.rows.0 as u64)),
            column("read s", &|state| seconds(median(&state.read))),
            column("rows resolved", &|state| grouped(state.rows.1 as u64)),
            column("resolve s", &|state| seconds(median(&state.resolve))),
        ]);
        for state in &self.states {
            for action in &state.actions {
                shown += &format!("\n{}: {action}", state.name);
            }
        }
        shown + "\n"
    }

    /// Everything that was measured.
    pub(super) fn json(&self) -> Json {
        let floats = |values: &[f64]| values.iter().copied().map(Json::Float).collect::<Json>();
        let states = self.states.iter().map(|state| {
            Json::object([
                ("state", Json::from(state.name)),
                ("maintenance", state.maintained.map(Json::Float).into()),
                (
                    "actions",
                    state.actions.iter().map(String::as_str).collect(),
                ),
                ("files", Json::from(state.footprint.files)),
                ("bytes", Json::from(state.footprint.bytes)),
                ("rows_read", Json::from(state.rows.0)),
                ("rows_resolved", Json::from(state.rows.1)),
                ("read", floats(&state.read)),
                ("resolve", floats(&state.resolve)),
            ])
        });
        Json::object([
            ("store", Json::from(self.store)),
            ("appends", floats(&self.appends)),
            ("states", states.collect()),
        ])
    }
}

fn open(
    directory: &Directory,
    graph: &FeatureGraph,
    access: Access,
) -> Result<MetadataStore, String> {
    let config = directory.config().map_err(text)?;
    MetadataStore::from_config(&config, None, access, graph).map_err(text)
}

/// What the store takes: every file below `path` whose place begins with `name`, so that those beside a database count.
fn footprint(path: &Path, name: &str) -> Result<Footprint, String> {
    let about = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut pending: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| about(path, e))? {
        let entry = entry.map_err(|e| about(path, e))?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            pending.push(entry.path());
        }
    }
    let (mut files, mut bytes) = (0, 0);
    while let Some(path) = pending.pop() {
        let metadata = path.metadata().map_err(|e| about(&path, e))?;
        if !metadata.is_dir() {
            (files, bytes) = (files + 1, bytes + metadata.len());
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(|e| about(&path, e))? {
            pending.push(entry.map_err(|e| about(&path, e))?.path());
        }
    }
    Ok(Footprint::files(files, bytes))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::super::backends::chosen;
    use super::*;

    #[test]
    fn every_row_is_there_before_and_after() {
        let folder = tempfile::tempdir().unwrap();
        let backends = chosen(&["sqlite".to_owned()]).unwrap();
        let appends = SmallAppends {
            backend: backends[0],
            count: 12,
            rounds: 1,
            hash: None,
        };
        let appended = appends.measure(folder.path()).unwrap();
        assert!(appended.is_whole());
        let shown = appended.markdown();
        assert!(
            shown.starts_with("sqlite: 12 appends of one row"),
            "{shown}"
        );
        assert!(shown.contains("| appended "), "{shown}");
        assert!(appended.json().get("states").is_some());
        let again = appends.measure(folder.path()).err().unwrap();
        assert!(again.contains("remove it"), "{again}");
    }
}
