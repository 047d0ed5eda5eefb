//! External features: syncs, lock files, and what is expected where the reference is not followed.
//!
//! What a sync or a lock should find is told from the rows that were pushed, apart from the code that is tested: of each project
//! the features pushed last, from the first store of the chain that has the project.

mod expected;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use metaxy_store::FeatureGraph;
use metaxy_store::config::FeatureSelection;
use metaxy_store::definition::OnVersionMismatch;
use metaxy_store::json::Json;
use metaxy_store::system::{LockFile, LockOptions, PushedFeature, SyncOptions};

use super::super::arguments::shown;
use super::super::deviations::{Ahead, Scene};
use super::super::file::{Outcome, flag, members, opt_text, text, texts};
use super::answer::Answer;
use super::world::World;
use files::{info, parsed, result};

/// The operations before which the reference syncs.
const SYNCED: [&str; 6] = ["read", "resolve", "status", "progress", "copy", "rebase"];

/// The lock files of a scenario, and how far the reference's graph is ahead.
pub(super) struct Externals {
    directory: tempfile::TempDir,
    /// Whether reads and resolves sync first.
    sync: bool,
    locked: bool,
    /// Features that the reference has put into its graph, which is not done here, and why.
    ahead: Option<(Ahead, BTreeSet<String>)>,
    /// The graph before the last sync.
    before_sync: FeatureGraph,
    /// The lock file before the last lock.
    before_lock: Option<String>,
    /// The graph that the last push recorded.
    pushed: Option<FeatureGraph>,
}

impl Externals {
    pub(super) fn new() -> Outcome<Self> {
        Ok(Self {
            directory: tempfile::tempdir().map_err(|e| e.to_string())?,
            sync: true,
            locked: false,
            ahead: None,
            before_sync: FeatureGraph::new(),
            before_lock: None,
            pushed: None,
        })
    }

    /// Takes members of a configuration.
    pub(super) fn configure(&mut self, config: &Json) {
        if let Some(Json::Bool(sync)) = config.get("sync") {
            self.sync = *sync;
        }
        if let Some(Json::Bool(locked)) = config.get("locked") {
            self.locked = *locked;
        }
    }

    /// The graph is a new one, there and here.
    pub(super) fn level(&mut self) {
        self.ahead = None;
    }

    pub(super) fn take_pushed(&mut self) -> Option<FeatureGraph> {
        self.pushed.take()
    }

    fn path(&self, step: &Json) -> Outcome<PathBuf> {
        Ok(self.directory.path().join(text(step, "file")?))
    }

    /// The text of a step's file as the step finds it.
    fn found(&self, step: &Json) -> Option<String> {
        match opt_text(step, "existing").or(opt_text(step, "text")) {
            Some(given) => Some(given.to_owned()),
            None => std::fs::read_to_string(self.path(step).ok()?).ok(),
        }
    }
}

/// What is pushed: the last row of each feature.
#[derive(Default)]
struct PushReport {
    live: BTreeMap<String, PushedFeature>,
    projects: BTreeSet<String>,
}

impl World<'_> {
    /// A step about external features.
    pub(super) async fn of_externals(&mut self, step: &Json) -> Option<Outcome<Answer>> {
        match opt_text(step, "op") {
            Some("sync") => Some(self.sync(step).await),
            Some("lock") => Some(self.lock(step).await),
            Some("load_lock") => Some(self.load_lock(step)),
            _ => None,
        }
    }

    /// The sync that the reference does before it reads or resolves.
    pub(super) async fn sync_first(&mut self, step: &Json) -> Outcome {
        let reads = SYNCED.contains(&opt_text(step, "op").unwrap_or_default());
        if !self.externals.sync || !reads || !self.has_externals() {
            return Ok(());
        }
        let store = opt_text(step, "from_store").or(opt_text(step, "store"));
        self.synced(store.unwrap_or_default(), SyncOptions::default())
            .await
            .map(drop)
    }

    /// Takes note of the versions that a push should record.
    pub(super) async fn push_will_sync(&mut self, step: &Json) {
        let Ok(store) = self.store(opt_text(step, "store").unwrap_or_default()) else {
            return;
        };
        let synced = store.sync_external(&SyncOptions::default()).await;
        self.externals.pushed = synced.ok().map(|synced| synced.graph);
    }

    /// The graph whose versions the last push should have recorded.
    pub(super) fn as_pushed(&self) -> &FeatureGraph {
        self.externals.pushed.as_ref().unwrap_or(&self.graph)
    }

    async fn sync(&mut self, step: &Json) -> Outcome<Answer> {
        let mut options = SyncOptions::default();
        if let Some(selection) = selection(step)? {
            options = options.with_selection(selection);
        }
        match opt_text(step, "on_version_mismatch") {
            Some("warn") => options = options.with_on_version_mismatch(OnVersionMismatch::Warn),
            Some("error") => options = options.with_on_version_mismatch(OnVersionMismatch::Error),
            _ => {}
        }
        self.synced(text(step, "store")?, options).await
    }

    async fn synced(&mut self, store: &str, options: SyncOptions) -> Outcome<Answer> {
        let store = self.store(store)?;
        let options = options.with_locked(self.externals.locked);
        self.externals.before_sync = self.graph.clone();
        let synced = match store.sync_external(&options).await {
            Ok(synced) => synced,
            Err(error) => {
                // There the graph has been changed by then.
                let lenient = options
                    .with_locked(false)
                    .with_on_version_mismatch(OnVersionMismatch::Warn);
                if let Ok(would) = store.sync_external(&lenient).await {
                    let keys = would.loaded.iter().map(ToString::to_string).collect();
                    self.externals.ahead = Some((Ahead::FailedSync, keys));
                }
                return Err(shown(error));
            }
        };
        let mut warnings = Vec::new();
        if !synced.mismatches.is_empty() {
            warnings.push("ExternalFeatureVersionMismatchWarning");
        }
        if !synced.unresolved.is_empty() {
            warnings.push("UnresolvedExternalFeatureWarning");
        }
        let loaded: BTreeSet<String> = synced.loaded.iter().map(ToString::to_string).collect();
        self.take_graph(synced.graph);
        Ok(loads(&loaded, &warnings))
    }

    async fn lock(&mut self, step: &Json) -> Outcome<Answer> {
        let path = self.externals.path(step)?;
        self.externals.before_lock = self.externals.found(step);
        if let Some(existing) = opt_text(step, "existing") {
            std::fs::write(&path, existing).map_err(|e| e.to_string())?;
        }
        let mut options = LockOptions::default();
        if let Some(selection) = selection(step)? {
            options = options.with_selection(selection);
        }
        if let Some(project) = opt_text(step, "exclude_project") {
            options = options.with_exclude_project(project);
        }
        let store = self.store(text(step, "store")?)?;
        let report = store.lock(&path, &options).await.map_err(shown)?;
        let after = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let before = self.externals.before_lock.as_ref();
        let was_valid = before.is_some_and(|before| LockFile::parse(before).is_ok());
        if was_valid && !report.changed() && before != Some(&after) {
            return Err("the file was written although nothing has changed".into());
        }
        let parsed = parsed(&after)?;
        let keys: BTreeSet<String> = members(&parsed, "features")
            .map(|(key, _)| key.to_owned())
            .collect();
        if !keys.is_empty() {
            self.externals.ahead = Some((Ahead::Locked, keys));
        }
        Ok(Answer::value(Json::object([
            ("result", result(&report)),
            ("parsed", parsed),
        ])))
    }

    fn load_lock(&mut self, step: &Json) -> Outcome<Answer> {
        let path = self.externals.path(step)?;
        if let Some(given) = opt_text(step, "text") {
            std::fs::write(&path, given).map_err(|e| e.to_string())?;
        }
        let file = LockFile::read(&path).map_err(shown)?.unwrap_or_default();
        self.take_graph(file.add_to(&self.graph).map_err(shown)?);
        let keys = file.features.keys().map(ToString::to_string).collect();
        Ok(loads(&keys, &[]))
    }

    /// What is known of a step about external features before it is done.
    pub(super) async fn scene_of_externals(&self, step: &Json, scene: &mut Scene) {
        scene.ahead = self.externals.ahead.as_ref().map(|(why, _)| *why);
        let op = opt_text(step, "op").unwrap_or_default();
        scene.syncs =
            op == "sync" || (self.externals.sync && SYNCED.contains(&op) && self.has_externals());
        if !matches!(op, "sync" | "lock") {
            return;
        }
        let store = opt_text(step, "store").unwrap_or_default();
        let (chain, own) = (
            self.pushed(store, true, true).await,
            self.pushed(store, false, true).await,
        );
        let ever = self.pushed(store, false, false).await;
        let known = |key: &&str| self.defines(key) || chain.live.contains_key(*key);
        let given = step.get("selection").unwrap_or(&Json::Null);
        scene.unselected = !texts(given, "keys").iter().all(known)
            || !texts(given, "projects")
                .iter()
                .all(|p| chain.projects.contains(*p));
        let here = self.needed(step, &chain);
        let there = self.needed(step, &ever);
        scene.removed = there
            .iter()
            .any(|key| !own.live.contains_key(key) && ever.live.contains_key(key));
        scene.far = !scene.removed && here != there;
        if op == "lock" {
            let old = self
                .externals
                .found(step)
                .and_then(|text| parsed(&text).ok());
            let new = step.get("expect").and_then(|expect| expect.get("parsed"));
            if let (Some(old), Some(new)) = (&old, new) {
                scene.relocked = members(new, "features").any(|(key, new)| {
                    let old = old.get("features").and_then(|old| old.get(key));
                    old.is_some_and(|old| {
                        info(old, "definition_version") == info(new, "definition_version")
                            && info(old, "version") != info(new, "version")
                    })
                });
            }
        }
    }

    fn has_externals(&self) -> bool {
        self.graph.definitions().any(|d| d.is_external())
    }

    fn defines(&self, key: &str) -> bool {
        self.graph.get(key).is_some_and(|d| !d.is_external())
    }

    /// The features that a sync or a lock takes from what is pushed.
    fn needed(&self, step: &Json, pushed: &PushReport) -> BTreeSet<String> {
        let given = step.get("selection").unwrap_or(&Json::Null);
        let excluded = opt_text(step, "exclude_project");
        let mut pending: Vec<String> = texts(given, "keys")
            .into_iter()
            .map(str::to_owned)
            .collect();
        for (key, row) in &pushed.live {
            let chosen =
                flag(given, "all") || texts(given, "projects").contains(&row.project.as_str());
            if chosen {
                pending.push(key.clone());
            }
        }
        for definition in self.graph.definitions() {
            match (opt_text(step, "op"), definition.is_external()) {
                (Some("sync"), true) => pending.push(definition.key().to_string()),
                (Some("lock"), false) => {
                    let deps = definition.spec.deps().iter();
                    pending.extend(deps.map(|dep| dep.feature.to_string()));
                }
                _ => {}
            }
        }
        let mut needed = BTreeSet::new();
        while let Some(key) = pending.pop() {
            if self.defines(&key) || needed.contains(&key) {
                continue;
            }
            let Some(row) = pushed.live.get(&key) else {
                continue;
            };
            if excluded == Some(row.project.as_str()) {
                continue;
            }
            let deps = row.definition().map(|definition| {
                let deps = definition.spec.deps().iter();
                deps.map(|dep| dep.feature.to_string()).collect::<Vec<_>>()
            });
            pending.extend(deps.unwrap_or_default());
            needed.insert(key);
        }
        needed
    }

    /// The features that were pushed to a store or its chain: those of the last push of each project, or `live: false` all that
    /// ever were.
    async fn pushed(&self, store: &str, chain: bool, live: bool) -> PushReport {
        let mut pushed = PushReport::default();
        let stores = match chain {
            true => self.chain(store),
            false => vec![store.to_owned()],
        };
        for store in stores {
            let Ok(store) = self.store(&store) else {
                continue;
            };
            let rows = store.pushed_features().await.unwrap_or_default();
            let mut last: BTreeMap<String, String> = BTreeMap::new();
            for row in &rows {
                last.insert(row.project.clone(), row.project_version.clone());
            }
            let earlier = pushed.projects.clone();
            let mut here = BTreeMap::new();
            for row in rows {
                let newest = last.get(&row.project) == Some(&row.project_version);
                if !earlier.contains(&row.project) && (newest || !live) {
                    here.insert(row.feature_key.to_string(), row);
                }
            }
            for (key, row) in here {
                pushed.live.entry(key).or_insert(row);
            }
            pushed.projects.extend(last.into_keys());
        }
        pushed
    }
}

fn selection(step: &Json) -> Outcome<Option<FeatureSelection>> {
    let Some(given) = step.get("selection").filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let keys: Result<Vec<_>, _> = texts(given, "keys")
        .into_iter()
        .map(metaxy_store::FeatureKey::new)
        .collect();
    let selection = match flag(given, "all") {
        true => FeatureSelection::all(),
        false => FeatureSelection::default(),
    };
    Ok(Some(
        selection
            .with_projects(texts(given, "projects"))
            .with_keys(keys.map_err(shown)?),
    ))
}

fn loads(loaded: &BTreeSet<String>, warnings: &[&str]) -> Answer {
    Answer::value(Json::object([
        ("loaded", loaded.iter().map(String::as_str).collect()),
        ("warnings", warnings.iter().copied().collect::<Json>()),
    ]))
}
