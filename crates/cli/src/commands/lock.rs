//! `metaxy lock`.

use metaxy_store::system::{LockChange, LockOptions, LockReport, LockUpdate};
use metaxy_store::{Access, Error, ErrorKind, MetadataStore, Result};
use serde_json::{Value, json};

use crate::args::{Lock, View};
use crate::project::Project;
use crate::screen::{Screen, count, short};

pub(super) async fn run(project: &Project, args: Lock, screen: &Screen) -> Result<()> {
    let config = &project.config;
    // What the lock file holds now, and what a sync would load, are not the project's own.
    let graph = project.defined_graph()?.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidConfig,
            "there is nothing to lock for: the configuration names no feature files",
        )
        .with_hint("name them, as in features = [\"features/*.toml\"]")
    })?;
    if config.project().is_none() {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "a lock file is for one project, and none is configured",
        )
        .with_hint("set `project` in metaxy.toml"));
    }
    let path = args.output.or_else(|| config.lock_file()).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidConfig,
            "there is no configuration file, so there is no place for a lock file",
        )
        .with_hint("name the file with --output")
    })?;
    let name = Some(project.store_name());
    let store = MetadataStore::from_config(config, name, Access::Read, &graph)?;
    let options = LockOptions::from_config(config);
    let report = store.lock(&path, &options).await?;

    let path = path.display();
    if args.format.view == View::Json {
        return screen.document(&document(&path.to_string(), store.name(), &report));
    }
    let features = count(locked(&report), "feature");
    if !report.written {
        return screen.line(format_args!("{path} is up to date: {features}"));
    }
    screen.line(format_args!(
        "{path} written from store {}: {features}",
        store.name()
    ))?;
    changes(&report, screen)
}

/// How many features the file has.
fn locked(report: &LockReport) -> u64 {
    (report.added.len() + report.updated.len() + report.unchanged) as u64
}

fn changes(report: &LockReport, screen: &Screen) -> Result<()> {
    for change in &report.added {
        let (feature, version) = (&change.feature, short(&change.version));
        let project = &change.project;
        screen.line(format_args!("  added: {feature} {version} of {project}"))?;
    }
    for update in &report.updated {
        let feature = &update.feature;
        let (old, new) = (short(&update.old_version), short(&update.new_version));
        let project = &update.project;
        match update.metadata_only {
            true => screen.line(format_args!(
                "  updated: {feature} {new} of {project}, in its description only"
            ))?,
            false => screen.line(format_args!(
                "  updated: {feature} {old} -> {new} of {project}"
            ))?,
        }
    }
    for change in &report.removed {
        let (feature, version) = (&change.feature, short(&change.version));
        let project = &change.project;
        screen.line(format_args!("  removed: {feature} {version} of {project}"))?;
    }
    let unchanged = report.unchanged;
    if unchanged > 0 {
        screen.line(format_args!(
            "  unchanged: {}",
            count(unchanged as u64, "feature")
        ))?;
    }
    Ok(())
}

fn document(file: &str, store: &str, report: &LockReport) -> Value {
    let change = |change: &LockChange| {
        json!({
            "feature": change.feature.as_str(),
            "project": change.project,
            "version": change.version,
        })
    };
    let update = |update: &LockUpdate| {
        json!({
            "feature": update.feature.as_str(),
            "project": update.project,
            "old_version": update.old_version,
            "new_version": update.new_version,
            "metadata_only": update.metadata_only,
        })
    };
    json!({
        "file": file,
        "store": store,
        "written": report.written,
        "features": locked(report),
        "added": report.added.iter().map(change).collect::<Vec<_>>(),
        "updated": report.updated.iter().map(update).collect::<Vec<_>>(),
        "removed": report.removed.iter().map(change).collect::<Vec<_>>(),
        "unchanged": report.unchanged,
    })
}
