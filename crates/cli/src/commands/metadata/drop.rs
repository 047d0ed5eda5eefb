//! `metaxy metadata drop`.

use metaxy_store::system::feature_versions_key;
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, MetadataStore, Result};
use serde_json::json;

use super::{agreed, selected};
use crate::args::{Drop, Selection, View};
use crate::listing::Listing;
use crate::project::Project;
use crate::screen::{Screen, count};

pub(super) async fn run(project: &Project, args: Drop, screen: &Screen) -> Result<()> {
    let access = match args.consent.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let store = project.open(access).await?;
    let features = to_drop(project, &store, &args.selection).await?;
    let mut tables = Vec::with_capacity(features.len());
    for feature in features {
        if store.feature_schema(&feature).await?.is_none() {
            tables.push((feature, None));
            continue;
        }
        let versions = store.rows_by_version(&feature).await?;
        let rows: u64 = versions.iter().map(|(_, rows)| rows).sum();
        tables.push((feature, Some(rows)));
    }
    let there = tables.iter().filter(|(_, rows)| rows.is_some()).count() as u64;
    let rows: u64 = tables.iter().filter_map(|(_, rows)| *rows).sum();
    let what = format!(
        "remove {} with {} of every version from store {} for good",
        count(there, "feature"),
        count(rows, "row"),
        store.name()
    );
    let agreed = there > 0 && agreed(args.consent, &what).await?;
    let mut dropped = Vec::with_capacity(tables.len());
    for (feature, rows) in &tables {
        dropped.push(agreed && rows.is_some() && store.drop_feature(feature).await?);
    }
    if args.format.view == View::Json {
        let features = tables.iter().zip(&dropped).map(|((feature, rows), dropped)| {
            json!({"feature": feature.as_str(), "rows": rows, "dropped": dropped})
        });
        return screen.document(&json!({
            "store": store.name(),
            "dry_run": args.consent.dry_run,
            "features": features.collect::<Vec<_>>(),
        }));
    }
    Listing::default()
        .text(
            "feature",
            tables.iter().map(|(feature, _)| feature.as_str()),
        )
        .number("rows", tables.iter().map(|(_, rows)| *rows))
        .flag("dropped", dropped.iter().copied())
        .show(screen, None)?;
    screen.blank()?;
    let gone = dropped.iter().filter(|dropped| **dropped).count() as u64;
    screen.line(match args.consent.dry_run {
        true => format!(
            "{} would be removed from store {}.",
            count(there, "feature"),
            store.name()
        ),
        false => format!(
            "{} removed from store {}.",
            count(gone, "feature"),
            store.name()
        ),
    })
}

/// The features that are selected. One that is named may be gone from the graph: its table is what is left of it.
async fn to_drop(
    project: &Project,
    store: &MetadataStore,
    selection: &Selection,
) -> Result<Vec<FeatureKey>> {
    let mut gone = Vec::new();
    let mut known = Vec::new();
    for name in &selection.features {
        let key = FeatureKey::new(name)?;
        let of_the_system = feature_versions_key();
        if key.parts().next() == of_the_system.parts().next() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{key} is a table of the system, and no feature"),
            )
            .with_hint("leave it: it is what the store knows of its features"));
        }
        match store.graph().contains(&key) || store.feature_schema(&key).await?.is_none() {
            true => known.push(name.clone()),
            false => gone.push(key),
        }
    }
    if !selection.all_features && known.is_empty() {
        return Ok(gone);
    }
    let selection = Selection {
        features: known,
        all_features: selection.all_features,
    };
    let mut features = selected(project, store, &selection)?;
    features.extend(gone);
    Ok(features)
}
