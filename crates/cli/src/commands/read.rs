//! `metaxy read`.

use metaxy_store::{Access, FeatureKey, MetadataStore, ReadOptions, Result, columns};

use crate::args::Read;
use crate::preview::Preview;
use crate::project::{Project, feature, filters};
use crate::report::note;
use crate::rows::{Destination, first, save};
use crate::screen::{Screen, count, short};
use crate::versions::version;

/// How many rows a terminal shows, unless it is asked for more.
const SHOWN: u64 = 20;

pub(super) async fn run(project: &Project, args: Read, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Read).await?;
    let feature = feature(&store, &args.feature)?;
    let destination = Destination::choose(args.output, screen)?;
    let mut options = ReadOptions::default()
        .with_filters(filters(&args.filters)?)
        .with_feature_history(args.with_feature_history || args.feature_version.is_some())
        .with_sample_history(args.with_sample_history)
        .with_soft_deleted(args.include_deleted);
    options.feature_version = match &args.feature_version {
        Some(given) => Some(known_version(&store, &feature, given).await?),
        None => None,
    };
    options.as_of = args.as_of;
    let asked_for = args.columns.is_some();
    let any_version = options.with_feature_history;
    let mut apart = Vec::new();
    if any_version {
        apart.push(columns::FEATURE_VERSION);
    }
    if args.with_sample_history {
        apart.push(columns::UPDATED_AT);
        if args.include_deleted {
            apart.push(columns::DELETED_AT);
        }
        apart.extend([columns::PROVENANCE, columns::DATA_VERSION]);
    }
    if asked_for {
        apart.clear();
    }
    options.columns = args.columns;
    options.limit = match destination {
        // One more tells whether there is more.
        Destination::Screen => Some(args.limit.unwrap_or(SHOWN + 1)),
        Destination::File(..) => args.limit,
    };
    let (rows, owner) = store.read_with_store(&feature, options).await?;
    let (path, how) = match destination {
        Destination::File(path, how) => (path, how),
        Destination::Screen => {
            let schema = rows.schema().clone();
            let most = args.limit.unwrap_or(SHOWN);
            let (rows, more) = first(rows, usize::try_from(most).unwrap_or(usize::MAX)).await?;
            let ids = store.graph().require(&feature)?.spec.id_columns();
            let preview = Preview {
                ids,
                apart: &apart,
                system: asked_for,
            };
            preview.show(screen, &schema, &rows)?;
            if rows.is_empty() {
                screen.line("No samples.")?;
            } else if more {
                screen.note(format_args!(
                    "the first {most}; --limit N shows more, --output FILE writes all"
                ))?;
            }
            if owner.name() != store.name() {
                screen.note(format_args!("from store {}", owner.name()))?;
            }
            if rows.is_empty() && !any_version {
                tell_other_versions(&owner, &feature).await?;
            }
            return Ok(());
        }
    };
    let finished = save(rows, &path, how).await?;
    if finished.rows == 0 && !any_version {
        tell_other_versions(&owner, &feature).await?;
    }
    if let Some(name) = Destination::file_name(&path) {
        screen.line(format_args!("{name}: {}", count(finished.rows, "row")))?;
    }
    Ok(())
}

/// Says to standard error under which versions there are rows, if there are none under the current one.
async fn tell_other_versions(store: &MetadataStore, feature: &FeatureKey) -> Result<()> {
    let current = store.graph().feature_version(feature)?;
    let versions = store.rows_by_version(feature).await?;
    let is_current = |version: &Option<String>| version.as_deref() == Some(current);
    if versions.is_empty() || versions.iter().any(|(version, _)| is_current(version)) {
        return Ok(());
    }
    let listed: Vec<String> = versions
        .iter()
        .map(|(version, rows)| {
            let version = version.as_deref().map_or("no version", short);
            format!("{version} ({})", count(*rows, "row"))
        })
        .collect();
    note(format_args!(
        "{feature} has no rows under its version {} in store {}, but under {}; --feature-version VERSION reads them",
        short(current),
        store.name(),
        listed.join(", ")
    ));
    Ok(())
}

/// The version of the feature that `given` is or starts: the current one, or one that is stored.
async fn known_version(store: &MetadataStore, feature: &FeatureKey, given: &str) -> Result<String> {
    let owner = store.find_store(feature).await?;
    let owner = owner.as_ref().unwrap_or(store);
    let mut known: Vec<String> = owner
        .rows_by_version(feature)
        .await?
        .into_iter()
        .filter_map(|(version, _)| version)
        .collect();
    known.push(store.graph().feature_version(feature)?.to_owned());
    let what = format!("feature {feature} in store {}", owner.name());
    Ok(version(given, &what, known.iter().map(String::as_str))?.to_owned())
}
