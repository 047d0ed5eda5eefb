//! Checks `stores/`: directories that the reference wrote. Each is copied, opened by the `metaxy.toml` in it, whose type path is
//! the reference's, and asked for everything that `expect.json` holds.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use indexmap::IndexMap;
use metaxy_store::config::{ConfigLoader, Environment};
use metaxy_store::json::Json;
use metaxy_store::system::PushedFeature;
use metaxy_store::{
    Access, Clock, Config, FeatureDefinition, FeatureGraph, FeatureKey, FeatureSpec, MetadataStore,
    ResolveOptions, columns,
};

use super::arguments::{self, instant, shown};
use super::factory::{StoreFactory, StoreRequest};
use super::file::{Outcome, flag, list, members, opt_list, opt_text, size, text, texts};
use super::report::Report;
use super::rows::{Difference, Row, Shown, distinct, golden, rows, time, without};

/// The parts of an increment, as in the file.
const PARTS: [&str; 3] = ["new", "stale", "orphaned"];

/// The tag that says which program pushed.
const PROGRAM_TAG: &str = "metaxy";

/// Whether stores of this kind can open what the reference wrote.
pub(super) fn apply_to(factory: &dyn StoreFactory) -> bool {
    factory.name() == "delta"
}

/// Checks the directories below `dir` that `content`, its `expect.json`, names.
pub(super) async fn replay(
    factory: &dyn StoreFactory,
    content: &Json,
    dir: &Path,
    report: &mut Report,
) -> Outcome {
    for expect in list(content, "stores")? {
        let path = text(expect, "path")?;
        let name = format!("stores/{path}");
        let written = AssertUnwindSafe(Written::open(dir, expect)).catch_unwind();
        match written.await {
            Ok(Ok(written)) => written.check(factory, &name, report).await,
            Ok(Err(why)) => report.fail(name, vec![why]),
            Err(_) => report.fail(name, vec!["panicked".into()]),
        }
    }
    Ok(())
}

/// A directory that the reference wrote, open with the graph that was deployed last.
struct Written<'a> {
    expect: &'a Json,
    /// The copy; it goes with this.
    copy: tempfile::TempDir,
    /// Every file of it, with its size.
    files: BTreeSet<(PathBuf, u64)>,
    config: Config,
    graphs: Vec<FeatureGraph>,
    store: MetadataStore,
}

impl<'a> Written<'a> {
    async fn open(dir: &Path, expect: &'a Json) -> Outcome<Self> {
        let path = text(expect, "path")?;
        let copy = tempfile::tempdir().map_err(|e| e.to_string())?;
        copy_folder(&dir.join(path), &copy.path().join(path))?;
        let files = files(copy.path())?;
        let config = ConfigLoader::new()
            .with_file(copy.path().join(text(expect, "config_file")?))
            .with_environment(Environment::empty())
            .load()
            .map_err(shown)?;
        let deployments = list(expect, "graphs")?.iter();
        let graphs: Vec<FeatureGraph> = deployments
            .map(|deployment| graph(deployment, &config))
            .collect::<Outcome<_>>()?;
        let last = graphs.last().ok_or("there is no graph")?;
        let name = text(expect, "store_name")?;
        let store = MetadataStore::from_config(&config, Some(name), Access::Read, last);
        Ok(Self {
            expect,
            copy,
            files,
            config,
            graphs,
            store: store.map_err(shown)?,
        })
    }

    async fn check(&self, factory: &dyn StoreFactory, name: &str, report: &mut Report) {
        let of = |what: &str| format!("{name}/{what}");
        check(report, of("configuration"), async { self.configuration() }).await;
        check(report, of("graphs"), async { self.versions() }).await;
        check(report, of("tables"), self.tables()).await;
        for (index, read) in self.list("reads").iter().enumerate() {
            let feature = opt_text(read, "feature").unwrap_or("?");
            check(
                report,
                of(&format!("read-{index} {feature}")),
                self.read(read),
            )
            .await;
        }
        for resolve in self.list("resolves") {
            let feature = opt_text(resolve, "feature").unwrap_or("?");
            check(
                report,
                of(&format!("resolve {feature}")),
                self.resolve(resolve),
            )
            .await;
        }
        check(report, of("snapshots"), self.snapshots()).await;
        for (version, snapshot) in members(self.expect, "snapshot_features") {
            let features = self.features(version, snapshot);
            check(report, of(&format!("features of {version}")), features).await;
            let loaded = self.loaded(version, snapshot);
            check(report, of(&format!("graph of {version}")), loaded).await;
        }
        check(report, of("latest version"), self.latest_version()).await;
        check(report, of("pushes"), self.pushes()).await;
        check(report, of("pushes again"), self.pushed_again(factory, name)).await;
        // It was open for reading only.
        check(report, of("files"), async { self.is_unchanged() }).await;
    }

    fn list(&self, name: &str) -> &'a [Json] {
        opt_list(self.expect, name)
    }

    fn configuration(&self) -> Outcome {
        let given = self.expect.get("config").unwrap_or(&Json::Null);
        let hash = self.store.hash();
        same(
            "project",
            &Json::from(opt_text(given, "project")),
            &Json::from(self.config.project()),
        )?;
        same(
            "hash algorithm",
            &Json::from(text(given, "hash_algorithm")?),
            &Json::from(hash.algorithm.to_string()),
        )?;
        same(
            "truncation length",
            &Json::from(size(given, "hash_truncation_length")?),
            &Json::from(hash.length),
        )
    }

    /// The versions of the graphs, as this library computes them.
    fn versions(&self) -> Outcome {
        for (deployment, graph) in self.list("graphs").iter().zip(&self.graphs) {
            let found = feature_versions(graph)?;
            same(
                "feature versions",
                member(deployment, "feature_versions")?,
                &found,
            )?;
            let project = self.config.project().ok_or("no project is configured")?;
            same(
                "project version",
                member(deployment, "project_version")?,
                &Json::from(graph.project_version(project)),
            )?;
        }
        Ok(())
    }

    /// Each table is where it is expected, and is seen there; there are no others.
    async fn tables(&self) -> Outcome {
        let folder = self.copy.path().join(text(self.expect, "path")?);
        let mut existing = 0;
        for (key, table) in members(self.expect, "tables") {
            let expected = flag(table, "exists");
            let there = folder.join(text(table, "uri")?).is_dir();
            let key = FeatureKey::new(key).map_err(shown)?;
            let seen = self.store.feature_schema(&key).await.map_err(shown)?;
            if (there, seen.is_some()) != (expected, expected) {
                return Err(format!(
                    "{key}: expected {expected}, in the folder {there}, seen {}",
                    seen.is_some()
                ));
            }
            existing += usize::from(expected);
        }
        let tables = self.store.backend().tables().await.map_err(shown)?;
        match tables.len() == existing {
            true => Ok(()),
            false => Err(format!("expected {existing} tables, found {tables:?}")),
        }
    }

    /// A read gives exactly these rows, with all their columns.
    async fn read(&self, read: &Json) -> Outcome {
        let key = FeatureKey::new(text(read, "feature")?).map_err(shown)?;
        let given = read.get("options").unwrap_or(&Json::Null);
        let (options, _) = arguments::read(given)?;
        let found = self.store.read(&key, options).await.map_err(shown)?;
        let found = rows(&found.collect().await.map_err(shown)?, Shown::Asked)?;
        let difference = Difference::between(&golden(list(read, "rows")?)?, &found);
        match difference.is_empty() {
            true => Ok(()),
            false => Err(format!("{}:{difference}", given.to_compact())),
        }
    }

    async fn resolve(&self, resolve: &Json) -> Outcome {
        let key = FeatureKey::new(text(resolve, "feature")?).map_err(shown)?;
        let found = self.store.resolve_update(&key, ResolveOptions::default());
        let found = found.await.map_err(shown)?;
        let ignored = resolve.get("ignore_columns").unwrap_or(&Json::Null);
        let expect = member(resolve, "expect")?;
        let mut wrong = Vec::new();
        for (name, part) in PARTS
            .into_iter()
            .zip([&found.new, &found.stale, &found.orphaned])
        {
            let dropped = texts(ignored, name);
            let mut expected = without(golden(list(expect, name)?)?, &dropped);
            let mut found = without(rows(part, Shown::Increment)?, &dropped);
            // Under expansion the reference shows one child of an orphaned parent.
            if name == "orphaned" && !dropped.is_empty() {
                (expected, found) = (distinct(expected), distinct(found));
            }
            let difference = Difference::between(&expected, &found);
            if !difference.is_empty() {
                wrong.push(format!("{name}:{difference}"));
            }
        }
        match wrong.as_slice() {
            [] => Ok(()),
            wrong => Err(wrong.join("; ")),
        }
    }

    async fn snapshots(&self) -> Outcome {
        let found = self.store.snapshots(self.config.project()).await;
        let found = found.map_err(shown)?.into_iter().map(|snapshot| {
            Json::object([
                (
                    columns::PROJECT_VERSION,
                    Json::from(snapshot.project_version),
                ),
                ("recorded_at", Json::from(time(snapshot.recorded_at))),
                ("feature_count", Json::from(snapshot.features)),
            ])
        });
        same(
            "snapshots",
            member(self.expect, "snapshots")?,
            &found.collect(),
        )
    }

    /// What was pushed of a project version, texts of JSON as they were written.
    async fn features(&self, version: &str, snapshot: &Json) -> Outcome {
        let pushed = self.store.pushed_features().await.map_err(shown)?;
        let of_version = pushed.iter().filter(|row| row.project_version == version);
        let found: Vec<Row> = of_version.map(as_written).collect();
        let expected = golden(list(snapshot, "features")?)?;
        let difference = Difference::between(&expected, &found);
        match difference.is_empty() {
            true => Ok(()),
            false => Err(format!("features:{difference}")),
        }
    }

    async fn loaded(&self, version: &str, snapshot: &Json) -> Outcome {
        let loaded = self.store.load_graph(Some(version), self.config.project());
        let loaded = loaded.await.map_err(shown)?;
        let loaded = loaded.ok_or("there is no such version")?;
        let expected = member(snapshot, "loaded_feature_versions")?;
        same("feature versions", expected, &feature_versions(&loaded)?)
    }

    async fn latest_version(&self) -> Outcome {
        let latest = self.store.latest_project_version(self.config.project());
        let latest = Json::from(latest.await.map_err(shown)?);
        let expected = member(self.expect, "latest_project_version")?;
        same("latest version", expected, &latest)
    }

    /// The pushes that recorded something are those that are found, with their times and tags.
    async fn pushes(&self) -> Outcome {
        let mut expected = Vec::new();
        for push in self.list("pushes") {
            if !flag(push, "already_pushed") {
                let tags = push.get("tags").cloned().unwrap_or_default();
                expected.push((
                    text(push, "project_version")?.to_owned(),
                    text(push, "recorded_at")?.to_owned(),
                    tags.to_python_dumps(true),
                ));
            }
        }
        let mut found = Vec::new();
        for row in self.store.pushed_features().await.map_err(shown)? {
            let tags = Json::Object(tags(&row)?).to_python_dumps(true);
            let push = (row.project_version, time(row.recorded_at), tags);
            if !found.contains(&push) {
                found.push(push);
            }
        }
        match expected == found {
            true => Ok(()),
            false => Err(format!("expected {expected:?}, found {found:?}")),
        }
    }

    /// The same pushes to an empty store give the same results, and record the same.
    async fn pushed_again(&self, factory: &dyn StoreFactory, name: &str) -> Outcome {
        let hash = self.store.hash();
        let layout = self.expect.get("config").unwrap_or(&Json::Null);
        let request = StoreRequest::new(format!("{name}/pushes"), hash.algorithm, hash.length)
            .with_layout(opt_text(layout, "layout").unwrap_or("nested"));
        let clock = Arc::new(AtomicI64::default());
        let now = clock.clone();
        let store = MetadataStore::builder(factory.open(&request).await.map_err(shown)?)
            .with_name("again")
            .with_hash_algorithm(hash.algorithm)
            .with_project(self.config.project())
            .with_clock(Clock::from_fn(move || now.load(Ordering::Relaxed)))
            .build()
            .map_err(shown)?;
        let project = self.config.project().unwrap_or_default();
        for (index, push) in self.list("pushes").iter().enumerate() {
            let version = text(push, "project_version")?;
            let mut graphs = self.graphs.iter();
            let graph = graphs.find(|graph| graph.project_version(project) == version);
            let graph = graph.ok_or_else(|| format!("no graph has version {version}"))?;
            clock.store(instant(push, "recorded_at")?, Ordering::Relaxed);
            let tags: IndexMap<String, String> = members(push, "tags")
                .filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())))
                .collect();
            let pushed = store
                .with_graph(graph.clone())
                .push_graph(None, &tags)
                .await;
            let pushed = pushed.map_err(shown)?;
            let updated = pushed.updated_features.iter().map(FeatureKey::as_str);
            let found = Json::object([
                ("project_version", Json::from(pushed.project_version)),
                ("already_pushed", Json::from(pushed.already_pushed)),
                ("updated_features", updated.collect()),
            ]);
            for (what, found) in found.as_object().into_iter().flatten() {
                same(&format!("push {index}: {what}"), member(push, what)?, found)?;
            }
        }
        let recorded = async |store: &MetadataStore| -> Outcome<Vec<Row>> {
            let features = store.pushed_features().await.map_err(shown)?;
            features.iter().map(in_content).collect()
        };
        let difference =
            Difference::between(&recorded(&self.store).await?, &recorded(&store).await?);
        match difference.is_empty() {
            true => Ok(()),
            false => Err(format!("recorded:{difference}")),
        }
    }

    fn is_unchanged(&self) -> Outcome {
        let now = files(self.copy.path())?;
        let changed: Vec<_> = self.files.symmetric_difference(&now).collect();
        match changed.as_slice() {
            [] => Ok(()),
            changed => Err(format!("reading changed files: {changed:?}")),
        }
    }
}

/// Counts a case. One that panics fails alone.
async fn check(report: &mut Report, name: String, checking: impl Future<Output = Outcome>) {
    let wrong = match AssertUnwindSafe(checking).catch_unwind().await {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(why)) => vec![why],
        Err(_) => vec!["panicked".into()],
    };
    report.count(name, wrong, false);
}

/// A graph that was deployed.
fn graph(deployment: &Json, config: &Config) -> Outcome<FeatureGraph> {
    let project = config.project().ok_or("no project is configured")?;
    let graph = FeatureGraph::new().with_truncation_length(config.hash_truncation_length());
    let mut graph = graph.map_err(shown)?;
    let of = |name: &str, key: &str| deployment.get(name).and_then(|all| all.get(key)).cloned();
    for spec in list(deployment, "features")? {
        let key = text(spec, "key")?;
        let path = of("feature_class_paths", key).unwrap_or_default();
        let spec = FeatureSpec::from_recorded(spec).map_err(shown)?;
        let definition = FeatureDefinition::new(spec, project)
            .with_schema(of("schemas", key).unwrap_or_default())
            .with_class_path(path.as_str().unwrap_or_default());
        graph.add(definition).map_err(shown)?;
    }
    Ok(graph)
}

fn feature_versions(graph: &FeatureGraph) -> Outcome<Json> {
    let mut versions = Vec::new();
    for key in graph.keys() {
        let version = graph.feature_version(key).map_err(shown)?;
        versions.push((key.as_str(), Json::from(version)));
    }
    Ok(Json::object(versions))
}

/// A row of the table of pushed graphs as it is.
fn as_written(feature: &PushedFeature) -> Row {
    let text = |text: &str| Json::from(text);
    let cells = [
        ("feature_key", text(feature.feature_key.as_str())),
        (columns::FEATURE_VERSION, text(&feature.feature_version)),
        (
            "metaxy_definition_version",
            text(&feature.definition_version),
        ),
        ("feature_class_path", text(&feature.feature_class_path)),
        ("project", text(&feature.project)),
        ("feature_spec", text(&feature.feature_spec)),
        ("feature_schema", text(&feature.feature_schema)),
        ("tags", text(&feature.tags)),
        (columns::PROJECT_VERSION, text(&feature.project_version)),
        ("recorded_at", text(&time(feature.recorded_at))),
        ("deleted_at", Json::from(feature.deleted_at.map(time))),
    ];
    cells.map(|(name, cell)| (name.to_owned(), cell)).into()
}

/// The same with what is JSON read, and without the tag that says which program pushed.
fn in_content(feature: &PushedFeature) -> Outcome<Row> {
    let mut row = as_written(feature);
    for (name, text) in [
        ("feature_spec", &feature.feature_spec),
        ("feature_schema", &feature.feature_schema),
    ] {
        row.insert(name.to_owned(), Json::parse(text).map_err(shown)?);
    }
    row.insert("tags".to_owned(), Json::Object(tags(feature)?));
    Ok(row)
}

/// The tags that somebody gave.
fn tags(feature: &PushedFeature) -> Outcome<IndexMap<String, Json>> {
    match Json::parse(&feature.tags).map_err(shown)? {
        Json::Object(mut tags) => {
            tags.shift_remove(PROGRAM_TAG);
            Ok(tags)
        }
        other => Err(format!("the tags {other} are no object")),
    }
}

fn same(what: &str, expected: &Json, found: &Json) -> Outcome {
    match expected == found {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected}, found {found}")),
    }
}

fn member<'a>(value: &'a Json, name: &str) -> Outcome<&'a Json> {
    value.get(name).ok_or_else(|| format!("no {name:?}"))
}

fn copy_folder(from: &Path, to: &Path) -> Outcome {
    let about = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(to).map_err(|e| about(to, e))?;
    for entry in std::fs::read_dir(from).map_err(|e| about(from, e))? {
        let entry = entry.map_err(|e| about(from, e))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_folder(&path, &target)?,
            false => drop(std::fs::copy(&path, &target).map_err(|e| about(&path, e))?),
        }
    }
    Ok(())
}

/// The files below a folder, with their sizes.
fn files(folder: &Path) -> Outcome<BTreeSet<(PathBuf, u64)>> {
    let about = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(about)? {
        let entry = entry.map_err(about)?;
        let metadata = entry.metadata().map_err(about)?;
        match metadata.is_dir() {
            true => found.append(&mut files(&entry.path())?),
            false => drop(found.insert((entry.path(), metadata.len()))),
        }
    }
    Ok(found)
}
