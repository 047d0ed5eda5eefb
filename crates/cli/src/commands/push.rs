//! `metaxy push`.

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
    // What a sync loads is not the project's to push: `push_graph` syncs for the versions only.
    let store = project.open_unsynced(Access::Write).await?;
    if project.config.locked() == Some(true) {
        store.sync_from_config(&project.config).await?;
    }
    let tagged = !args.tags.is_empty();
    let tags = args.tags.into_iter().collect();
    let pushed = store.push_graph(None, &tags).await?;
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
