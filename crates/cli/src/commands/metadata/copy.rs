//! `metaxy metadata copy`.

use metaxy_store::store::{CopyReport, RowWatcher};
use metaxy_store::{Access, CopyOptions, FeatureKey, Result};
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
        .with_features(features)
        .with_global_filters(filters(&args.filters)?)
        .with_feature_history(!args.no_with_feature_history)
        .with_sample_history(args.with_sample_history)
        .with_append(args.append)
        .with_graphs(args.with_graphs);
    let dry = options.clone().with_dry_run(true);
    let found = to.copy_from(&from, dry).await?;
    let (here, there) = (to.name(), from.name());
    let what = format!("copy {} from store {there} to {here}", things(&found));
    let any = found.rows_copied + found.graphs_copied > 0;
    let copied = match any && agreed(args.consent, &what).await? {
        true => {
            let progress = Progress::new("copying", Total::Rows(found.rows_copied));
            let counting = progress.clone();
            let options = options.with_watcher(RowWatcher::new(move |feature, rows| {
                counting.now(format!("copying {feature}"));
                counting.add(rows);
            }));
            // What has nothing to be copied is not read again.
            let some = found.features.iter().map(|(feature, _)| feature.clone());
            let mut copied = to.copy_from(&from, options.with_features(some)).await?;
            copied.rows_present = found.rows_present;
            Some(copied)
        }
        false => None,
    };
    // What was copied, or in a dry run would be; what was refused was not.
    let nothing = CopyReport::default();
    let told = match &copied {
        Some(report) => report,
        None if args.consent.dry_run => &found,
        None => &nothing,
    };
    let skipped: Vec<&str> = found.skipped.iter().map(FeatureKey::as_str).collect();
    let present = |feature: &FeatureKey| {
        let known = found.present.iter().find(|(known, _)| known == feature);
        known.map_or(0, |(_, rows)| *rows)
    };
    if args.format.view == View::Json {
        let features = told.features.iter().map(|(feature, rows)| {
            json!({"feature": feature.as_str(), "rows": rows, "present": present(feature)})
        });
        return screen.document(&json!({
            "from": there,
            "to": here,
            "dry_run": args.consent.dry_run,
            "rows": told.rows_copied,
            "present": found.rows_present,
            "graphs": told.graphs_copied,
            "features": features.collect::<Vec<_>>(),
            "skipped": skipped,
        }));
    }
    if !told.features.is_empty() {
        let all = || told.features.iter();
        let listing = Listing::default()
            .text("feature", all().map(|(feature, _)| feature.as_str()))
            .number("rows", all().map(|(_, rows)| *rows));
        let listing = match all().any(|(feature, _)| present(feature) > 0) {
            true => listing.number("there already", all().map(|(feature, _)| present(feature))),
            false => listing,
        };
        listing.show(screen, None)?;
        screen.blank()?;
    }
    let verb = match args.consent.dry_run {
        true => "would be copied",
        false => "copied",
    };
    let already = match found.rows_present {
        0 => String::new(),
        1 => "; 1 row was there already".to_owned(),
        rows => format!("; {} were there already", count(rows, "row")),
    };
    screen.line(format_args!(
        "{} {verb} from store {there} to {here}{already}.",
        things(told)
    ))?;
    if !skipped.is_empty() {
        screen.note(format_args!(
            "store {there} has no such rows of {}",
            skipped.join(", ")
        ))?;
    }
    Ok(())
}

/// How many rows and graphs.
fn things(report: &CopyReport) -> String {
    let rows = count(report.rows_copied, "row");
    match report.graphs_copied {
        0 => rows,
        graphs => format!("{rows} and {}", count(graphs, "pushed graph")),
    }
}
