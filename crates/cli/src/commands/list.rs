//! `metaxy list`.

use metaxy_core::config::StoreConfig;
use metaxy_core::registry::Registry;
use metaxy_core::{Access, Error, Result};

use crate::args::{List, Listed};
use crate::listing::Listing;
use crate::project::Project;
use crate::screen::{Screen, short};

pub(super) async fn run(project: &Project, args: &List, screen: &Screen) -> Result<()> {
    match args.what {
        Listed::Features => features(project).await?,
        Listed::Stores => stores(project)?,
    }
    .show(screen, args.format.format)
}

async fn features(project: &Project) -> Result<Listing> {
    // A graph that files define needs no store.
    let graph = match project.locked_graph()? {
        Some(graph) => graph,
        None => project.open(Access::Read).await?.graph().clone(),
    };
    let mut definitions = Vec::new();
    for key in graph.topological() {
        definitions.push(graph.require(&key)?.clone());
    }
    let all = || definitions.iter();
    let versions: Vec<Option<&str>> = all().map(|d| graph.feature_version(d.key()).ok()).collect();
    let listing = Listing::default()
        .text("feature", all().map(|d| d.key().as_str()))
        .maybe_text("version", versions.iter().map(|version| version.map(short)))
        .for_people()
        .maybe_text("version", versions)
        .for_scripts()
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
        .text("project", all().map(|d| d.project.as_str()));
    // People need not read one project's name again and again.
    let several =
        all().any(|d| Some(&d.project) != definitions.first().map(|first| &first.project));
    Ok(if several {
        listing
    } else {
        listing.for_scripts()
    })
}

fn stores(project: &Project) -> Result<Listing> {
    let config = &project.config;
    let registry = Registry::linked()?;
    let stores: Vec<&StoreConfig> = config.stores().collect();
    if stores.is_empty() {
        // The error says what there is to do.
        config.store(project.store_name())?;
    }
    let all = || stores.iter();
    let (mut types, mut places) = (Vec::new(), Vec::new());
    for store in all() {
        let descriptor = registry.resolve_store(store);
        types.push(match &descriptor {
            Ok(descriptor) => descriptor.name,
            Err(_) => store.type_path(),
        });
        // Opening a store touches nothing yet.
        let opened = descriptor.and_then(|descriptor| {
            store.check()?;
            (descriptor.open)(config.open_request(store, Access::Read)?)
        });
        places.push(match opened {
            Ok(backend) => backend.describe().location,
            Err(error) => refusal(&error),
        });
    }
    let is_default = |store: &&&StoreConfig| store.name() == project.store_name();
    Ok(Listing::default()
        .text("store", all().map(|store| store.name()))
        .text(
            "default",
            all().map(|s| if is_default(&s) { "yes" } else { "" }),
        )
        .text("type", types)
        .text("where", places)
        .text(
            "falls back to",
            all().map(|s| s.fallback_stores().join(", ")),
        ))
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
