//! `metaxy list`.

use metaxy_core::registry::Registry;
use metaxy_core::{Access, Error, Result};

use crate::args::{List, Listed};
use crate::listing::Listing;
use crate::project::Project;
use crate::screen::Screen;

pub(super) async fn run(project: &Project, args: &List, screen: &Screen) -> Result<()> {
    match args.what {
        Listed::Features => features(project).await?,
        Listed::Stores => stores(project)?,
    }
    .show(screen, args.format.format)
}

async fn features(project: &Project) -> Result<Listing> {
    // A graph that files define needs no store.
    let graph = match project.defined_graph()? {
        Some(graph) => graph,
        None => project.open(Access::Read).await?.graph().clone(),
    };
    let mut definitions = Vec::new();
    for key in graph.topological() {
        definitions.push(graph.require(&key)?.clone());
    }
    let all = || definitions.iter();
    let versions = all().map(|d| match graph.feature_version(d.key()) {
        Ok(version) => version.to_owned(),
        Err(error) => format!("none: {error}"),
    });
    Ok(Listing::default()
        .text("feature", all().map(|d| d.key().as_str()))
        .text("version", versions)
        .text(
            "identified by",
            all().map(|d| d.spec.id_columns().join(", ")),
        )
        .text(
            "fields",
            all().map(|d| joined(d.spec.fields().iter().map(|field| field.key.as_str()))),
        )
        .text(
            "depends on",
            all().map(|d| joined(d.spec.deps().iter().map(|dep| dep.feature.as_str()))),
        )
        .text("project", all().map(|d| d.project.as_str())))
}

fn stores(project: &Project) -> Result<Listing> {
    let config = &project.config;
    let registry = Registry::linked()?;
    let mut names = Vec::new();
    let (mut types, mut places, mut fallbacks) = (Vec::new(), Vec::new(), Vec::new());
    for store in config.stores() {
        let opened = registry.resolve_store(store).and_then(|descriptor| {
            types.push(descriptor.name.to_owned());
            let request = config.open_request(config.store(store.name())?, Access::Read)?;
            (descriptor.open)(request)
        });
        if types.len() == names.len() {
            types.push(store.type_path().to_owned());
        }
        names.push(store.name().to_owned());
        places.push(match opened {
            Ok(backend) => backend.describe().location,
            Err(error) => refusal(&error),
        });
        fallbacks.push(store.fallback_stores().join(", "));
    }
    if names.is_empty() {
        // The error says what there is to do.
        config.store(project.store_name())?;
    }
    let default = names.iter().map(|name| {
        if name == project.store_name() {
            "yes"
        } else {
            ""
        }
    });
    let default: Vec<&str> = default.collect();
    Ok(Listing::default()
        .text("store", names)
        .text("default", default)
        .text("type", types)
        .text("where", places)
        .text("falls back to", fallbacks))
}

fn refusal(error: &Error) -> String {
    match error.hint() {
        Some(hint) if !hint.is_empty() => format!("cannot be opened: {hint}"),
        _ => format!("cannot be opened: {}", error.message()),
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
