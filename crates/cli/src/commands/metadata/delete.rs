//! `metaxy metadata delete`.

use metaxy_core::{Access, DeleteOptions, ErrorKind, Result};
use serde_json::json;

use super::{agreed, selected};
use crate::args::{DeleteMany, View};
use crate::commands::delete::affected;
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
        let rows = match affected(&store, &feature, &options).await {
            // Of all features some may never have been written.
            Err(error)
                if error.kind() == ErrorKind::FeatureNotFound && args.selection.all_features =>
            {
                0
            }
            counted => counted?,
        };
        matched.push((feature, rows));
    }
    let rows: u64 = matched.iter().map(|(_, rows)| rows).sum();
    let noun = if args.hard { "row" } else { "sample" };
    let place = format!(
        "of {} in store {}",
        count(
            matched.iter().filter(|(_, rows)| *rows > 0).count() as u64,
            "feature"
        ),
        store.name()
    );
    let what = match args.hard {
        true => format!("remove {} {place} for good", count(rows, noun)),
        false => format!("mark {} {place} as deleted", count(rows, noun)),
    };
    let agreed = rows > 0 && agreed(args.consent, &what).await?;
    let mut deleted = Vec::with_capacity(matched.len());
    let progress = Progress::new("deleting", Total::Rows(rows));
    for (feature, rows) in &matched {
        progress.now(format!("deleting {feature}"));
        deleted.push(match agreed && *rows > 0 {
            true => store.delete(feature, options.clone()).await?,
            false => 0,
        });
        progress.add(*rows);
    }
    drop(progress);
    let all: u64 = deleted.iter().sum();
    if args.format.view == View::Json {
        let features = matched.iter().zip(&deleted).map(|((feature, rows), deleted)| {
            json!({"feature": feature.as_str(), "matched": rows, "deleted": deleted})
        });
        return screen.document(&json!({
            "store": store.name(),
            "hard": args.hard,
            "dry_run": args.consent.dry_run,
            "matched": rows,
            "deleted": all,
            "features": features.collect::<Vec<_>>(),
        }));
    }
    Listing::default()
        .text(
            "feature",
            matched.iter().map(|(feature, _)| feature.as_str()),
        )
        .number("matched", matched.iter().map(|(_, rows)| *rows))
        .number("deleted", deleted.iter().copied())
        .show(screen, None)?;
    screen.blank()?;
    screen.line(match (args.consent.dry_run, args.hard) {
        (true, true) => format!("{} would be removed for good.", count(rows, noun)),
        (true, false) => format!("{} would be marked as deleted.", count(rows, noun)),
        (false, true) => format!("{} removed for good.", count(all, noun)),
        (false, false) => format!("{} deleted.", count(all, noun)),
    })
}
