//! `metaxy metadata delete`.

use metaxy_store::store::Reach;
use metaxy_store::{Access, DeleteOptions, ErrorKind, Result};
use serde_json::json;

use super::selected;
use crate::args::{Consent, DeleteMany, View};
use crate::commands::delete::{agreed, too_far};
use crate::listing::Listing;
use crate::progress::{Progress, Total};
use crate::project::{Project, filters};
use crate::screen::{Screen, count};

pub(super) async fn run(project: &Project, args: DeleteMany, screen: &Screen) -> Result<()> {
    let access = match args.consent.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let store = project.open(access).await?;
    let features = selected(project, &store, &args.selection)?;
    let options = match args.hard {
        true => DeleteOptions::hard(),
        false => DeleteOptions::soft(),
    }
    .with_filters(filters(&args.filters)?)
    .with_feature_history(args.with_feature_history);
    let mut matched = Vec::with_capacity(features.len());
    for feature in features {
        let reach = match store.reach(&feature, &options).await {
            // Of all features some may never have been written.
            Err(error)
                if error.kind() == ErrorKind::FeatureNotFound && args.selection.all_features =>
            {
                Reach::default()
            }
            reach => reach?,
        };
        matched.push((feature, reach));
    }
    let reaches: Vec<_> = matched
        .iter()
        .map(|(feature, reach)| (feature, *reach))
        .collect();
    let samples: u64 = reaches.iter().map(|(_, reach)| reach.samples).sum();
    let place = format!(
        "of {} in store {}",
        count(
            reaches
                .iter()
                .filter(|(_, reach)| reach.samples > 0)
                .count() as u64,
            "feature"
        ),
        store.name()
    );
    let what = match args.hard {
        true => format!("remove {} {place} for good", count(samples, "sample")),
        false => format!("mark {} {place} as deleted", count(samples, "sample")),
    };
    let Consent { dry_run, yes } = args.consent;
    let agreed = samples > 0 && !dry_run && agreed(&what, &reaches, args.limit, yes).await?;
    let mut deleted = Vec::with_capacity(matched.len());
    let progress = Progress::new("deleting", Total::Rows(samples));
    for (feature, reach) in &matched {
        progress.now(format!("deleting {feature}"));
        deleted.push(match agreed && reach.samples > 0 {
            true => store.delete(feature, options.clone()).await?,
            false => 0,
        });
        progress.add(reach.samples);
    }
    drop(progress);
    let all: u64 = deleted.iter().sum();
    if args.format.view == View::Json {
        let features = matched
            .iter()
            .zip(&deleted)
            .map(|((feature, reach), deleted)| {
                json!({
                    "feature": feature.as_str(),
                    "matched": reach.samples,
                    "share": reach.share(),
                    "deleted": deleted,
                })
            });
        return screen.document(&json!({
            "store": store.name(),
            "hard": args.hard,
            "dry_run": dry_run,
            "matched": samples,
            "deleted": all,
            "features": features.collect::<Vec<_>>(),
        }));
    }
    Listing::default()
        .text(
            "feature",
            matched.iter().map(|(feature, _)| feature.as_str()),
        )
        .number("matched", matched.iter().map(|(_, reach)| reach.samples))
        .number("deleted", deleted.iter().copied())
        .show(screen, None)?;
    screen.blank()?;
    if dry_run {
        for far in too_far(&reaches, args.limit) {
            screen.line(format_args!("{far} would need --max-share, or an answer."))?;
        }
    }
    screen.line(match (dry_run, args.hard) {
        (true, true) => format!("{} would be removed for good.", count(samples, "sample")),
        (true, false) => format!("{} would be marked as deleted.", count(samples, "sample")),
        (false, true) => format!("{} removed for good.", count(all, "row")),
        (false, false) => format!("{} deleted.", count(all, "sample")),
    })
}
