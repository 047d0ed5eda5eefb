//! `metaxy push`.

use metaxy_store::system::{PushOptions, PushReport, SyncOptions};
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, MetadataStore, Result};
use serde_json::{Map, Value, json};

use crate::args::{Push, View};
use crate::project::Project;
use crate::screen::{Screen, count};

pub(super) async fn run(project: &Project, args: Push, screen: &Screen) -> Result<()> {
    if project.defined_graph()?.is_none() {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "there is nothing to push: the configuration names no feature files",
        )
        .with_hint("name them, as in features = [\"features/*.toml\"]"));
    }
    // What a sync loads is not the project's to push: a push syncs for the versions only, even if `sync` is off.
    let store = project.open_unsynced(Access::Write).await?;
    let tagged = !args.tags.is_empty();
    let locked = project.config.locked().unwrap_or(false);
    let mut options = PushOptions::default().with_sync(SyncOptions::default().with_locked(locked));
    options.tags = args.tags.into_iter().collect();
    let pushed = store.push_graph_with(&options).await?;
    if args.format.view == View::Json {
        return screen.document(&document(&store, &pushed, &options));
    }
    let (name, version) = (&pushed.project, &pushed.project_version);
    let to = store.name();
    if pushed.already_pushed {
        let noted = if tagged { ", and has these tags" } else { "" };
        return screen.line(format_args!(
            "{name} {version} is what store {to} has already{noted}"
        ));
    }
    let features = count(features_of(&store, name), "feature");
    screen.line(format_args!(
        "{name} {version} pushed to store {to}: {features}"
    ))?;
    for feature in &pushed.changed_features {
        screen.line(format_args!("  changed: {feature}"))?;
    }
    Ok(())
}

/// How many features of the project are pushed.
fn features_of(store: &MetadataStore, project: &str) -> u64 {
    let own = store
        .graph()
        .definitions()
        .filter(|d| d.project == project && !d.is_external());
    own.count() as u64
}

fn document(store: &MetadataStore, pushed: &PushReport, options: &PushOptions) -> Value {
    let names = |features: &[FeatureKey]| -> Vec<String> {
        features.iter().map(ToString::to_string).collect()
    };
    let tags: Map<String, Value> = options
        .tags
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    json!({
        "project": pushed.project,
        "project_version": pushed.project_version,
        "store": store.name(),
        "already_pushed": pushed.already_pushed,
        "features": features_of(store, &pushed.project),
        "changed_features": names(&pushed.changed_features),
        "tags": tags,
    })
}
