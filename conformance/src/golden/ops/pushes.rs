//! What the pushes of a scenario should have recorded, told from the steps alone.

use metaxy_store::json::Json;

use super::super::file::{flag, opt_list, opt_text};

/// A push that was recorded.
struct Recorded {
    store: String,
    version: String,
    at: String,
    tags: Json,
    /// Whether the reference recorded it, too.
    there: bool,
}

/// The pushes of a scenario so far.
#[derive(Default)]
pub(super) struct Pushes(Vec<Recorded>);

impl Pushes {
    /// Takes note of a push and the reference's answer to it. New tags of what was pushed last are recorded here (83).
    pub(super) fn note(&mut self, step: &Json) {
        let Some(expect) = step.get("expect") else {
            return;
        };
        let (store, at) = (opt_text(step, "store"), opt_text(step, "at"));
        let (Some(version), Some(store), Some(at)) =
            (opt_text(expect, "project_version"), store, at)
        else {
            return;
        };
        let tags = step.get("tags").cloned().unwrap_or_default();
        let there = !flag(expect, "already_pushed");
        let given = tags.as_object().is_some_and(|tags| !tags.is_empty());
        let last = self.last(store, version).map(|last| &last.tags);
        if there || (given && last != Some(&tags)) {
            self.0.push(Recorded {
                store: store.to_owned(),
                version: version.to_owned(),
                at: at.to_owned(),
                tags,
                there,
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
            let of = |push: &&Recorded| push.store == store && push.version == version && push.there;
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
            let version = opt_text(&feature, "metaxy_project_version").unwrap_or_default();
            let last = self.last(store, &version.to_owned());
            if let (Json::Object(members), Some(last)) = (&mut feature, last) {
                members.insert("recorded_at".into(), Json::from(last.at.as_str()));
                members.insert("tags".into(), last.tags.clone());
            }
            if seen.insert(feature.to_compact()) {
                features.push(feature);
            }
        }
        Json::Array(features)
    }
}
