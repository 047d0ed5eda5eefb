//! `metaxy list`.

use metaxy_store::backend::registry::Registry;
use metaxy_store::config::StoreConfig;
use metaxy_store::{Access, Error, Result};

use crate::args::{List, Listed};
use crate::listing::Listing;
use crate::project::Project;
use crate::screen::{Screen, short, without_secrets};

/// Lists what needs a project.
pub(super) async fn run(project: &Project, args: &List, screen: &Screen) -> Result<()> {
    let listing = match args.what {
        Listed::Features => features(project).await?,
        Listed::Stores => stores(project)?,
        Listed::Backends => backends()?,
    };
    listing.show(screen, args.format.frame())
}

/// The types of stores: those of this build, then the project's own that it lacks.
pub(super) fn backends() -> Result<Listing> {
    let registry = Registry::linked()?;
    let present: Vec<_> = registry.iter().collect();
    let absent: Vec<_> = registry.absent().collect();
    let missing = || absent.iter();
    let all = || present.iter();
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let none = || absent.iter().map(|_| None);
    Ok(Listing::default()
        .text(
            "backend",
            all().map(|d| d.name).chain(missing().map(|k| k.name)),
        )
        .flag(
            "in this build",
            all().map(|_| true).chain(missing().map(|_| false)),
        )
        .maybe_text(
            "cargo feature",
            all()
                .map(|d| some(d.cargo_feature))
                .chain(missing().map(|k| Some(k.cargo_feature))),
        )
        .text(
            "type path",
            all()
                .map(|d| d.type_path)
                .chain(missing().map(|k| k.type_path)),
        )
        .list(
            "aliases",
            all()
                .map(|d| d.aliases)
                .chain(missing().map(|k| k.aliases))
                .map(|aliases| aliases.iter().copied()),
        )
        .for_scripts()
        .maybe_text(
            "engine",
            all()
                .map(|d| Some(d.engine.unwrap_or(d.name)))
                .chain(none()),
        )
        .for_scripts()
        .maybe_text("summary", all().map(|d| some(d.summary)).chain(none())))
}

/// The features of the project.
pub(super) async fn features(project: &Project) -> Result<Listing> {
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
        .list("identified by", all().map(|d| d.spec.id_columns()))
        .list(
            "fields",
            all().map(|d| d.spec.fields().iter().map(|field| field.key.as_str())),
        )
        .list(
            "depends on",
            all().map(|d| d.spec.deps().iter().map(|dep| dep.feature.as_str())),
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
        let descriptor = store.descriptor(registry);
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
        .flag("default", all().map(|store| is_default(&store)))
        .text("type", types)
        .text("where", places.iter().map(|place| without_secrets(place)))
        .list("falls back to", all().map(|s| s.fallback_stores())))
}

fn refusal(error: &Error) -> String {
    match error.hint() {
        Some(hint) if !hint.is_empty() => format!("cannot be opened: {hint}"),
        _ => format!("cannot be opened: {}", error.message()),
    }
}
