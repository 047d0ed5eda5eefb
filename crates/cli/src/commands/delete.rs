//! `metaxy delete`.

mod orphans;

use std::io::{IsTerminal, stdin};

use metaxy_store::store::Reach;
use metaxy_store::{
    Access, DeleteOptions, Error, ErrorKind, FeatureKey, MetadataStore, Result, Rows,
};
use serde_json::json;

use crate::args::{Delete, ShareLimit, View};
use crate::progress::{Progress, Total};
use crate::project::{Project, feature, filters};
use crate::screen::{Screen, confirmed, count};

pub(super) async fn run(project: &Project, args: Delete, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Write).await?;
    let feature = feature(&store, &args.feature)?;
    let work = if args.orphaned {
        let samples = args.samples.as_deref();
        let samples = super::resolve::samples_of(&store, &feature, samples, &args.reading);
        orphans::find(&store, &feature, samples.await?, args.hard).await?
    } else {
        let options = match args.hard {
            true => DeleteOptions::hard(),
            false => DeleteOptions::soft(),
        };
        let options = options
            .with_filters(filters(&args.filters)?)
            .with_sample_history(args.with_sample_history);
        Work {
            reach: store.reach(&feature, &options).await?,
            target: Target::Matching(vec![options]),
        }
    };
    let reach = work.reach;
    let samples = count(reach.samples, "sample");
    let told = |deleted: u64, words: String| match args.format.view {
        View::Plain => screen.line(words),
        View::Json => screen.document(&json!({
            "feature": feature.as_str(),
            "store": store.name(),
            "hard": args.hard,
            "matched": reach.samples,
            "share": reach.share(),
            "deleted": deleted,
        })),
    };
    if reach.samples == 0 {
        return told(
            0,
            format!("{feature}: {samples} match; nothing was deleted"),
        );
    }
    let name = store.name();
    let what = match args.hard {
        true => format!("remove {samples} of {feature} from store {name} for good"),
        false => format!("mark {samples} of {feature} in store {name} as deleted"),
    };
    if !agreed(&what, &[(&feature, reach)], args.limit, args.yes).await? {
        return told(0, "Nothing was deleted.".to_owned());
    }
    let progress = Progress::new(format!("deleting of {feature}"), Total::Unknown);
    let deleted = work.target.delete(&store, &feature).await?;
    drop(progress);
    told(
        deleted,
        match (args.hard, args.with_sample_history) {
            (true, _) => format!("{feature}: {} removed for good", count(deleted, "row")),
            (false, true) => format!("{feature}: {} deleted", count(deleted, "row")),
            (false, false) => format!("{feature}: {} deleted", count(deleted, "sample")),
        },
    )
}

/// How much of a feature is deleted without being asked for.
const HALF: f64 = 0.5;

/// Whether to do `what`, a delete that reaches so far into each of these features.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if it takes more of a feature than was asked for, or if nobody can be asked.
pub(super) async fn agreed(
    what: &str,
    reaches: &[(&FeatureKey, Reach)],
    limit: ShareLimit,
    yes: bool,
) -> Result<bool> {
    let far = too_far(reaches, limit);
    if far.is_empty() {
        return Ok(yes || confirmed(what).await?);
    }
    let far = far.join(", ");
    if limit.max_share.is_none() && stdin().is_terminal() {
        return confirmed(&format!("{what}, which is {far}")).await;
    }
    let most = match limit.max_share {
        Some(share) => format!("the share {share}"),
        None => "half".to_owned(),
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("this would {what}, which is {far}: more than {most}; nothing was deleted"),
    )
    .with_hint(match yes {
        true => "look at what was compared or filtered; if it is meant, add --max-share 1",
        false => "look at what was compared or filtered; if it is meant, add --yes --max-share 1",
    }))
}

/// What a delete takes of the features of which it takes too much.
pub(super) fn too_far(reaches: &[(&FeatureKey, Reach)], limit: ShareLimit) -> Vec<String> {
    let most = limit.max_share.unwrap_or(HALF);
    let far = reaches.iter().filter(|(_, reach)| reach.share() > most);
    far.map(|(feature, Reach { living, of, .. })| {
        format!("{living} of {} of {feature}", count(*of, "sample"))
    })
    .collect()
}

/// What is to be deleted.
struct Work {
    reach: Reach,
    target: Target,
}

enum Target {
    /// These rows, as they are stored: all at once.
    Rows(Rows),
    /// What each of these deletes meets.
    Matching(Vec<DeleteOptions>),
}

impl Target {
    /// Deletes; returns how many rows were marked or removed.
    async fn delete(self, store: &MetadataStore, feature: &FeatureKey) -> Result<u64> {
        let deletes = match self {
            Self::Rows(rows) => return store.delete_rows(feature, rows).await,
            Self::Matching(deletes) => deletes,
        };
        let mut deleted = 0;
        for options in deletes {
            deleted += store.delete(feature, options).await?;
        }
        Ok(deleted)
    }
}
