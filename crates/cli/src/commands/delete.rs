//! `metaxy delete`.

mod orphans;

use metaxy_core::{
    Access, DeleteOptions, ErrorKind, FeatureKey, MetadataStore, ReadOptions, Result, Rows, col,
};

use serde_json::json;

use crate::args::{Delete, View};
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
            samples: affected(&store, &feature, &options).await?,
            target: Target::Matching(vec![options]),
        }
    };
    let rows = match args.hard {
        true => count(work.samples, "row"),
        false => count(work.samples, "sample"),
    };
    let told = |deleted: u64, words: String| match args.format.view {
        View::Plain => screen.line(words),
        View::Json => screen.document(&json!({
            "feature": feature.as_str(),
            "store": store.name(),
            "hard": args.hard,
            "matched": work.samples,
            "deleted": deleted,
        })),
    };
    if work.samples == 0 {
        return told(0, format!("{feature}: {rows} match; nothing was deleted"));
    }
    if !args.yes {
        let name = store.name();
        let what = match args.hard {
            true => format!("remove {rows} of {feature} from store {name} for good"),
            false => format!("mark {rows} of {feature} in store {name} as deleted"),
        };
        if !confirmed(&what).await? {
            return told(0, "Nothing was deleted.".to_owned());
        }
    }
    let progress = Progress::new(format!("deleting of {feature}"), Total::Unknown);
    let deleted = work.target.delete(&store, &feature).await?;
    drop(progress);
    told(
        deleted,
        match args.hard {
            true => format!("{feature}: {} removed for good", count(deleted, "row")),
            false => format!("{feature}: {} deleted", count(deleted, "sample")),
        },
    )
}

/// What is to be deleted.
struct Work {
    samples: u64,
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

/// How many rows a delete meets.
pub(super) async fn affected(
    store: &MetadataStore,
    feature: &FeatureKey,
    delete: &DeleteOptions,
) -> Result<u64> {
    let options = ReadOptions::default()
        .with_local_only(true)
        .with_filters(delete.filters.iter().cloned())
        .with_feature_history(delete.with_feature_history)
        .with_sample_history(delete.hard || delete.with_sample_history)
        .with_soft_deleted(delete.hard);
    match store.count(feature, options).await {
        Err(error) if error.kind() == ErrorKind::FeatureNotFound && delete.hard => Ok(0),
        // A delete knows best what to say, such as which other store has the feature. This one can meet no sample.
        Err(error)
            if error.kind() == ErrorKind::FeatureNotFound && store.access() == Access::Write =>
        {
            let ids = store.graph().require(feature)?.spec.id_columns();
            let nothing = ids.iter().map(|id| col(id).is_null());
            let options = DeleteOptions::soft().with_filters(nothing);
            Err(store.delete(feature, options).await.err().unwrap_or(error))
        }
        counted => counted,
    }
}
