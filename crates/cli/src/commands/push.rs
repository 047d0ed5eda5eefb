//! `metaxy push`.

use metaxy_core::system::{PushOptions, SyncOptions};
use metaxy_core::{Access, Error, ErrorKind, Result};

use crate::args::Push;
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
    let (name, version) = (&pushed.project, &pushed.project_version);
    let to = store.name();
    if pushed.already_pushed {
        let noted = if tagged { ", and has these tags" } else { "" };
        return screen.line(format_args!(
            "{name} {version} is what store {to} has already{noted}"
        ));
    }
    let features = store
        .graph()
        .definitions()
        .filter(|d| d.project == *name && !d.is_external())
        .count();
    let features = count(features as u64, "feature");
    screen.line(format_args!(
        "{name} {version} pushed to store {to}: {features}"
    ))?;
    for feature in &pushed.changed_features {
        screen.line(format_args!("  changed: {feature}"))?;
    }
    Ok(())
}
