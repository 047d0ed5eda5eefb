//! `metaxy metadata copy`.

use metaxy_core::store::RowWatcher;
use metaxy_core::{Access, CopyOptions, ErrorKind, FeatureKey, MetadataStore, ReadOptions, Result};
use serde_json::json;

use super::{agreed, selected};
use crate::args::{Copy, View};
use crate::listing::Listing;
use crate::progress::{Progress, Total};
use crate::project::{Project, filters};
use crate::screen::{Screen, count};

pub(super) async fn run(project: &Project, args: Copy, screen: &Screen) -> Result<()> {
    let access = match args.consent.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let to = project.open_named(args.to.as_deref(), access).await?;
    let from = project.sibling(&args.from, &to)?;
    to.can_copy_from(&from)?;
    let features = selected(project, &to, &args.selection)?;
    let options = CopyOptions::default()
        .with_global_filters(filters(&args.filters)?)
        .with_feature_history(!args.no_with_feature_history)
        .with_sample_history(args.with_sample_history);
    let mut found = Vec::with_capacity(features.len());
    for feature in features {
        let rows = found_in(&from, &feature, &options).await?;
        found.push((feature, rows));
    }
    let rows: u64 = found.iter().map(|(_, rows)| rows).sum();
    let (here, there) = (to.name(), from.name());
    let what = format!("copy {} from store {there} to {here}", count(rows, "row"));
    let copied = match rows > 0 && agreed(args.consent, &what).await? {
        true => {
            let progress = Progress::new("copying", Total::Rows(rows));
            let counting = progress.clone();
            let options = options.with_watcher(RowWatcher::new(move |feature, rows| {
                counting.now(format!("copying {feature}"));
                counting.add(rows);
            }));
            let present = found.iter().filter(|(_, rows)| *rows > 0);
            let options = options.with_features(present.map(|(feature, _)| feature.clone()));
            Some(to.copy_from(&from, options).await?)
        }
        false => None,
    };
    // What was copied, or in a dry run would be; what was refused was not.
    let told = match &copied {
        Some(report) => &report.features,
        None if args.consent.dry_run => &found,
        None => &Vec::new(),
    };
    let told: Vec<_> = told.iter().filter(|(_, rows)| *rows > 0).collect();
    let rows: u64 = told.iter().map(|(_, rows)| rows).sum();
    let lacking = found.iter().filter(|(_, rows)| *rows == 0);
    let skipped: Vec<&str> = lacking.map(|(feature, _)| feature.as_str()).collect();
    if args.format.view == View::Json {
        let features = told
            .iter()
            .map(|(feature, rows)| json!({"feature": feature.as_str(), "rows": rows}));
        return screen.document(&json!({
            "from": there,
            "to": here,
            "dry_run": args.consent.dry_run,
            "rows": rows,
            "features": features.collect::<Vec<_>>(),
            "skipped": skipped,
        }));
    }
    if !told.is_empty() {
        Listing::default()
            .text("feature", told.iter().map(|(feature, _)| feature.as_str()))
            .number("rows", told.iter().map(|(_, rows)| *rows))
            .show(screen, None)?;
        screen.blank()?;
    }
    let verb = match args.consent.dry_run {
        true => "would be copied",
        false => "copied",
    };
    screen.line(format_args!(
        "{} {verb} from store {there} to {here}.",
        count(rows, "row")
    ))?;
    if !skipped.is_empty() {
        screen.note(format_args!(
            "store {there} has no such rows of {}",
            skipped.join(", ")
        ))?;
    }
    Ok(())
}

/// How many rows a copy takes of a feature.
async fn found_in(
    from: &MetadataStore,
    feature: &FeatureKey,
    options: &CopyOptions,
) -> Result<u64> {
    let read = ReadOptions::default()
        .with_local_only(true)
        .with_filters(options.global_filters.iter().cloned())
        .with_feature_history(options.with_feature_history)
        .with_sample_history(options.with_sample_history)
        .with_soft_deleted(options.with_sample_history);
    match from.count(feature, read).await {
        Err(error) if error.kind() == ErrorKind::FeatureNotFound => Ok(0),
        counted => counted,
    }
}
