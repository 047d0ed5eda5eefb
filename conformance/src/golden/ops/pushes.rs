//! What the pushes of a scenario should have recorded, told from the steps alone.

use std::collections::{BTreeSet, HashMap};

use metaxy_store::columns;
use metaxy_store::json::Json;

use super::super::arguments::{at, shown};
use super::super::file::{Outcome, flag, opt_list, opt_text, text};
use super::super::rows::Row;
use super::answer::Answer;
use super::expectations::with;
use super::world::World;

/// A push that was recorded.
struct Recorded {
    store: String,
    version: String,
    at: String,
    tags: Json,
    /// Whether the reference recorded it, too.
    there: bool,
    /// The feature versions of the graph at that time.
    versions: HashMap<String, String>,
}

/// The pushes of a scenario so far.
#[derive(Default)]
pub(super) struct Pushes(Vec<Recorded>);

impl Pushes {
    /// Takes note of a push and the reference's answer to it. New tags of what was pushed last are recorded here (83); `here`: so is
    /// this push, whose versions alone are new (81).
    pub(super) fn note(&mut self, step: &Json, here: bool, versions: HashMap<String, String>) {
        let Some(expect) = step.get("expect") else {
            return;
        };
        let (store, at) = (opt_text(step, "store"), opt_text(step, "at"));
        let (Some(version), Some(store), Some(at)) =
            (opt_text(expect, "project_version"), store, at)
        else {
            return;
        };
        let none = || Json::Object(indexmap::IndexMap::new());
        let tags = step.get("tags").cloned().unwrap_or_else(none);
        let there = !flag(expect, "already_pushed");
        let given = tags.as_object().is_some_and(|tags| !tags.is_empty());
        let last = self.last(store, version).map(|last| &last.tags);
        if there || here || (given && last != Some(&tags)) {
            self.0.push(Recorded {
                store: store.to_owned(),
                version: version.to_owned(),
                at: at.to_owned(),
                tags,
                there,
                versions,
            });
        }
    }

    fn last(&self, store: &str, version: &str) -> Option<&Recorded> {
        self.0
            .iter()
            .rfind(|push| push.store == store && push.version == version)
    }

    /// Whether a version was recorded more than once, so that the reference shows it otherwise.
    pub(super) fn repeated(&self, store: &str) -> bool {
        self.0.iter().any(|push| {
            let same = |other: &&Recorded| other.version == push.version && other.store == store;
            push.store == store && self.0.iter().filter(same).count() > 1
        })
    }

    /// The reference's list of snapshots with the time of the last push of each, and features counted once.
    pub(super) fn snapshots(&self, step: &Json) -> Json {
        let store = opt_text(step, "store").unwrap_or_default();
        let mut snapshots: Vec<Json> = opt_list(step, "expect").to_vec();
        for snapshot in &mut snapshots {
            let version = opt_text(snapshot, "project_version").unwrap_or_default();
            let of =
                |push: &&Recorded| push.store == store && push.version == version && push.there;
            let times = self.0.iter().filter(of).count().max(1);
            let last = self.last(store, version).map(|push| push.at.clone());
            if let Json::Object(members) = snapshot {
                if let Some(Json::Int(count)) = members.get("feature_count") {
                    let count: usize = count.parse().unwrap_or_default();
                    members.insert("feature_count".into(), Json::from(count / times));
                }
                if let Some(last) = last {
                    members.insert("recorded_at".into(), Json::from(last));
                }
            }
        }
        let recorded = |s: &Json| opt_text(s, "recorded_at").unwrap_or_default().to_owned();
        snapshots.sort_by_key(|s| std::cmp::Reverse(recorded(s)));
        Json::Array(snapshots)
    }

    /// The reference's rows of pushed features, each feature once, as the last push recorded it.
    pub(super) fn features(&self, step: &Json) -> Json {
        let store = opt_text(step, "store").unwrap_or_default();
        let mut seen = std::collections::HashSet::new();
        let mut features = Vec::new();
        for feature in opt_list(step, "expect") {
            let mut feature = feature.clone();
            let version = opt_text(&feature, "metaxy_project_version").map(str::to_owned);
            let last = self.last(store, &version.unwrap_or_default());
            if let (Json::Object(members), Some(last)) = (&mut feature, last) {
                members.insert("recorded_at".into(), Json::from(last.at.as_str()));
                members.insert("tags".into(), last.tags.clone());
                let key = members.get("feature_key").and_then(Json::as_str);
                if let Some(version) = key.and_then(|key| last.versions.get(key)) {
                    let version = Json::from(version.as_str());
                    members.insert("metaxy_feature_version".into(), version);
                }
            }
            if seen.insert(feature.to_compact()) {
                features.push(feature);
            }
        }
        Json::Array(features)
    }
}

impl World<'_> {
    /// The features of the graph whose versions are not those of the push before this one.
    pub(super) async fn updated(&self, step: &Json, found: &Answer) -> Outcome {
        let store = self.store(text(step, "store")?)?;
        let now = at(step)?;
        let project = opt_text(step, "project").or(store.project());
        let mut before = store.pushed_features().await.map_err(shown)?;
        before.retain(|f| f.recorded_at < now && project.is_none_or(|p| p == f.project));
        let last = before.iter().map(|f| f.recorded_at).max();
        before.retain(|f| Some(f.recorded_at) == last);
        let mut updated = Vec::new();
        for definition in self.graph.definitions().filter(|d| !d.is_external()) {
            let key = definition.key();
            let version = self.as_pushed().feature_version(key).ok();
            let recorded = self.graph.definition_version(key).ok();
            let unchanged = before.iter().any(|f| {
                f.feature_key == *key
                    && Some(f.feature_version.as_str()) == version
                    && Some(f.definition_version.as_str()) == recorded
            });
            if !unchanged && project.is_none_or(|project| project == definition.project) {
                updated.push(key.as_str());
            }
        }
        updated.sort_unstable();
        if before.is_empty() {
            return Err("nothing of the project was pushed before".into());
        }
        let expect = step.get("expect").unwrap_or(&Json::Null);
        Answer::value(with(expect, [("updated_features", Json::from(updated))])).check(found)
    }

    /// The rows are the features of the configured project as the graph has them.
    pub(super) fn of_project(&self, found: &Answer) -> Outcome {
        let project = self.project.as_deref().ok_or("no project is configured")?;
        let own = self
            .graph
            .definitions()
            .filter(|d| d.project == project && !d.is_external());
        let own: BTreeSet<&str> = own.map(|definition| definition.key().as_str()).collect();
        let version = self.graph.project_version(project);
        let cell = |row: &Row, name: &str| row.get(name).and_then(Json::as_str).map(str::to_owned);
        let mut keys = BTreeSet::new();
        for row in found.only() {
            if cell(row, columns::PROJECT_VERSION).as_deref() != Some(version) {
                return Err(format!("a row is not of project version {version}"));
            }
            keys.extend(cell(row, "feature_key"));
        }
        match keys.iter().map(String::as_str).collect::<BTreeSet<_>>() == own {
            true => Ok(()),
            false => Err(format!("found {keys:?}, not {own:?}")),
        }
    }
}
