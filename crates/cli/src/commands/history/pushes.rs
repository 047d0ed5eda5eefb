//! The graphs that were pushed, push by push.

use std::collections::BTreeMap;

use metaxy_store::clock::Micros;
use metaxy_store::json::Json;
use metaxy_store::system::PushedFeature;
use metaxy_store::{FeatureKey, MetadataStore, Result};
use serde_json::{Value, json};

use super::super::graph::plain;
use super::super::pushed::minute;
use crate::args::{History, View};
use crate::listing::Listing;
use crate::project::Project;
use crate::screen::{Screen, moment, short};

/// The tag under which a push records what made it.
const PROGRAM_TAG: &str = "metaxy";

/// A push of a project's features.
#[derive(Debug)]
struct Push {
    project: String,
    /// The store that it was pushed to.
    store: String,
    version: String,
    at: Micros,
    tags: String,
    /// Of each feature its version and that of its definition.
    features: BTreeMap<FeatureKey, (String, String)>,
    changes: Option<Changes>,
}

/// What a push changed, compared with the one before.
#[derive(Debug, Default)]
struct Changes {
    added: Vec<FeatureKey>,
    removed: Vec<FeatureKey>,
    changed: Vec<FeatureKey>,
    /// Another version, with the same definition.
    affected: Vec<FeatureKey>,
}

pub(super) async fn run(
    project: &Project,
    store: &MetadataStore,
    args: &History,
    screen: &Screen,
) -> Result<()> {
    let wanted = project.config.project();
    if args.format.view == View::Json {
        return screen.document(&document(store, wanted, args.limit).await?);
    }
    let (pushes, total) = newest(store, wanted, args.limit).await?;
    if total == 0 {
        let of = wanted.map_or_else(String::new, |project| format!(" of project {project}"));
        return screen.line(format_args!(
            "No graph{of} was pushed to store {} yet. `{} push` does so.",
            store.name(),
            project.command()
        ));
    }
    listing(&pushes, store.name()).show(screen, None)?;
    match total - pushes.len() {
        0 => Ok(()),
        more => screen.note(format_args!("and {more} more before")),
    }
}

/// The document of the pushes.
pub(crate) async fn document(
    store: &MetadataStore,
    project: Option<&str>,
    limit: Option<usize>,
) -> Result<Value> {
    let (pushes, total) = newest(store, project, limit).await?;
    Ok(json!({
        "store": store.name(),
        "project": project,
        "total": total,
        "pushes": pushes.iter().map(Push::document).collect::<Vec<_>>(),
    }))
}

/// The newest pushes to the stores of the chain, and how many there are in all.
async fn newest(
    store: &MetadataStore,
    project: Option<&str>,
    limit: Option<usize>,
) -> Result<(Vec<Push>, usize)> {
    let mut pushes: Vec<Push> = Vec::new();
    for (owner, history) in store.pushed_in_chain().await? {
        pushes.extend(pushes_of(&history, project, owner.name()));
    }
    pushes.sort_by_key(|push| push.at);
    let total = pushes.len();
    pushes.reverse();
    pushes.truncate(limit.unwrap_or(usize::MAX));
    Ok((pushes, total))
}

/// The pushes of one project, or of all, oldest first. `history` is in the order of time.
fn pushes_of(history: &[PushedFeature], project: Option<&str>, store: &str) -> Vec<Push> {
    let mut pushes: Vec<Push> = Vec::new();
    // Of each project the position of its last push.
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for row in history {
        if project.is_some_and(|project| project != row.project) {
            continue;
        }
        // The reference stamps each row of a push anew: a push ends where another version starts, or a feature comes again.
        let same = last.get(row.project.as_str()).copied().filter(|&at| {
            pushes[at].version == row.project_version
                && !pushes[at].features.contains_key(&row.feature_key)
        });
        let at = same.unwrap_or(pushes.len());
        if same.is_none() {
            pushes.push(Push {
                project: row.project.clone(),
                store: store.to_owned(),
                version: row.project_version.clone(),
                at: row.recorded_at,
                tags: row.tags.clone(),
                features: BTreeMap::new(),
                changes: None,
            });
            last.insert(&row.project, at);
        }
        let push = &mut pushes[at];
        push.at = push.at.max(row.recorded_at);
        if row.deleted_at.is_none() {
            let versions = (row.feature_version.clone(), row.definition_version.clone());
            push.features.insert(row.feature_key.clone(), versions);
        }
    }
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for at in 0..pushes.len() {
        if let Some(before) = last.insert(pushes[at].project.clone(), at) {
            pushes[at].changes = Some(Changes::between(&pushes[before], &pushes[at]));
        }
    }
    pushes
}

impl Push {
    fn document(&self) -> Value {
        let keys = |keys: &[FeatureKey]| {
            keys.iter()
                .map(|key| Value::from(key.as_str()))
                .collect::<Value>()
        };
        let changes = self.changes.as_ref().map(|changes| {
            json!({
                "added": keys(&changes.added),
                "removed": keys(&changes.removed),
                "changed": keys(&changes.changed),
                "affected": keys(&changes.affected),
            })
        });
        json!({
            "project": self.project,
            "store": self.store,
            "version": self.version,
            "pushed_at": moment(self.at),
            "tags": Json::parse(&self.tags).map_or(Value::Null, |tags| plain(&tags)),
            "features": self.features.len(),
            "changes": changes,
        })
    }

    /// The tags that a person gave.
    fn tags(&self) -> String {
        let Ok(Json::Object(tags)) = Json::parse(&self.tags) else {
            return String::new();
        };
        let tags = tags.iter().filter(|(name, _)| *name != PROGRAM_TAG);
        let tags = tags.map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        });
        tags.collect::<Vec<_>>().join(", ")
    }
}

impl Changes {
    fn between(before: &Push, after: &Push) -> Self {
        let mut changes = Self::default();
        for (key, (version, definition)) in &after.features {
            match before.features.get(key) {
                None => changes.added.push(key.clone()),
                Some((_, old)) if old != definition => changes.changed.push(key.clone()),
                Some((old, _)) if old != version => changes.affected.push(key.clone()),
                Some(_) => {}
            }
        }
        let removed = before
            .features
            .keys()
            .filter(|key| !after.features.contains_key(*key));
        changes.removed.extend(removed.cloned());
        changes
    }

    fn words(&self) -> String {
        let parts = [
            (&self.added, "added"),
            (&self.removed, "removed"),
            (&self.changed, "changed"),
            (&self.affected, "affected"),
        ];
        let parts = parts.iter().filter(|(keys, _)| !keys.is_empty());
        let parts: Vec<String> = parts
            .map(|(keys, what)| match keys.as_slice() {
                [only] => format!("{only} {what}"),
                several => format!("{} {what}", several.len()),
            })
            .collect();
        match parts.is_empty() {
            true => "only tags".to_owned(),
            false => parts.join(", "),
        }
    }
}

/// The pushes, for whoever asks this store.
fn listing(pushes: &[Push], store: &str) -> Listing {
    let all = || pushes.iter();
    let listing = Listing::default()
        .text("pushed", all().map(|push| minute(push.at)))
        .text("version", all().map(|push| short(&push.version)))
        .number("features", all().map(|push| push.features.len() as u64))
        .text(
            "compared with the push before",
            all().map(|push| {
                push.changes
                    .as_ref()
                    .map_or_else(|| "first".to_owned(), Changes::words)
            }),
        );
    let listing = match all().any(|push| !push.tags().is_empty()) {
        true => listing.text("tags", all().map(Push::tags)),
        false => listing,
    };
    let listing = match all().any(|push| push.project != pushes[0].project) {
        true => listing.text("project", all().map(|push| push.project.as_str())),
        false => listing,
    };
    match all().any(|push| push.store != store) {
        true => listing.text("store", all().map(|push| push.store.as_str())),
        false => listing,
    }
}
