//! `metaxy metadata rebase`.

use std::collections::BTreeSet;

use metaxy_store::store::RebaseCounts;
use metaxy_store::{
    Access, Error, ErrorKind, Expr, FeatureKey, MetadataStore, ReadOptions, RebaseOptions, Result,
    WriteOptions,
};
use serde_json::json;

use super::agreed;
use crate::args::{Consent, Rebase, View};
use crate::progress::{Progress, Total};
use crate::project::{Project, feature, filters};
use crate::screen::{Screen, count, short};
use crate::versions::version;

pub(super) async fn run(project: &Project, args: Rebase, screen: &Screen) -> Result<()> {
    let access = match args.consent.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let store = project.open(access).await?;
    let first = feature(&store, &args.feature)?;
    let versions = Versions::choose(&store, &first, &args).await?;
    let filters = filters(&args.filters)?;
    let Some(done) = carry(&store, &first, &versions, filters, args.consent).await? else {
        return Ok(());
    };
    let mut all = vec![done];
    if args.downstream {
        for follows in store.graph().downstream(std::slice::from_ref(&first)) {
            // Samples of others are theirs to change.
            if store.graph().require(&follows)?.is_external() {
                continue;
            }
            let Some(versions) = Versions::last(&store, &follows).await? else {
                continue;
            };
            match carry(&store, &follows, &versions, Vec::new(), args.consent).await? {
                Some(done) => all.push(done),
                None => break,
            }
        }
    }
    tell(&args, &store, &all, screen)
}

/// What became of the samples of a feature.
struct Done {
    feature: FeatureKey,
    versions: Versions,
    samples: u64,
    counts: RebaseCounts,
    /// Samples that the target had before.
    there: u64,
}

/// Carries the samples of a feature over; nothing if somebody does not agree.
async fn carry(
    store: &MetadataStore,
    feature: &FeatureKey,
    versions: &Versions,
    filters: Vec<Expr>,
    consent: Consent,
) -> Result<Option<Done>> {
    let of = |version: &str| {
        ReadOptions::default()
            .with_local_only(true)
            .with_feature_history(true)
            .with_feature_version(version)
    };
    let old = of(&versions.from)
        .with_filters(filters)
        .with_childless(true);
    let there = store.count(feature, of(&versions.to)).await?;
    let old = store.read(feature, old).await?.collect().await?;
    let samples = old.num_rows() as u64;
    let options = RebaseOptions::default().with_to_feature_version(&versions.to);
    let rebased = store.rebase(feature, old, options).await?;
    let carried = rebased.counts.carried();
    if !consent.dry_run && carried > 0 {
        let what = versions.question(feature, rebased.counts, there, store);
        if !agreed(consent, &what).await? {
            return Ok(None);
        }
        let progress = Progress::new(format!("rebasing {feature}"), Total::Rows(carried));
        let rows = progress.watch(rebased.rows.into());
        let keep = WriteOptions::default().with_preserve_feature_version(true);
        store.write_with(feature, rows, keep).await?;
    }
    Ok(Some(Done {
        feature: feature.clone(),
        versions: versions.clone(),
        samples,
        counts: rebased.counts,
        there,
    }))
}

/// From which version to which.
#[derive(Clone)]
struct Versions {
    from: String,
    to: String,
}

impl Versions {
    async fn choose(store: &MetadataStore, feature: &FeatureKey, args: &Rebase) -> Result<Self> {
        let stored = store.rows_by_version(feature).await?;
        let stored: Vec<String> = stored
            .into_iter()
            .filter_map(|(version, _)| version)
            .collect();
        let what = format!("feature {feature} in store {}", store.name());
        let from = version(&args.from, &what, stored.iter().map(String::as_str))?.to_owned();
        let current = store.graph().feature_version(feature)?;
        let to = match &args.to {
            None => current.to_owned(),
            Some(given) => {
                let pushed = store.pushed_features().await?;
                let pushed = pushed.iter().filter(|one| one.feature_key == *feature);
                let mut known: BTreeSet<&str> =
                    pushed.map(|one| one.feature_version.as_str()).collect();
                known.insert(current);
                version(given, &format!("feature {feature} that was pushed"), known)?.to_owned()
            }
        };
        if from == to {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("the samples of feature {feature} have version {to} already"),
            )
            .with_hint("name another version with --from or --to"));
        }
        Ok(Self { from, to })
    }

    /// From the version that samples were written with last, before the current one.
    async fn last(store: &MetadataStore, feature: &FeatureKey) -> Result<Option<Self>> {
        let to = store.graph().feature_version(feature)?.to_owned();
        let mut times = store.times_of_writes(feature).await?;
        times.retain(|(_, version)| version.as_ref().is_some_and(|version| *version != to));
        let last = times.pop().and_then(|(_, version)| version);
        Ok(last.map(|from| Self { from, to }))
    }

    fn question(
        &self,
        feature: &FeatureKey,
        counts: RebaseCounts,
        there: u64,
        store: &MetadataStore,
    ) -> String {
        let mut what = format!(
            "carry {} of {feature} in store {} over from version {} to {}: {}",
            count(counts.carried(), "sample"),
            store.name(),
            short(&self.from),
            short(&self.to),
            parts(counts),
        );
        if there > 0 {
            what.push_str(&format!(
                "; the new version has {} already that may be replaced",
                count(there, "sample")
            ));
        }
        what
    }
}

fn parts(counts: RebaseCounts) -> String {
    format!(
        "{} current, {} stale, {} orphaned",
        counts.current, counts.stale, counts.orphaned
    )
}

fn tell(args: &Rebase, store: &MetadataStore, all: &[Done], screen: &Screen) -> Result<()> {
    let dry_run = args.consent.dry_run;
    if args.format.view == View::Json {
        let mut documents = all.iter().map(|done| {
            let Done {
                feature,
                versions,
                samples,
                counts,
                there,
            } = done;
            json!({
                "feature": feature.as_str(),
                "store": store.name(),
                "from_version": versions.from,
                "to_version": versions.to,
                "dry_run": dry_run,
                "samples": samples,
                "rebased": counts.carried(),
                "current": counts.current,
                "stale": counts.stale,
                "orphaned": counts.orphaned,
                "left_out": counts.left_out,
                "samples_of_target_before": there,
            })
        });
        let mut document = documents.next().unwrap_or_default();
        if args.downstream {
            document["downstream"] = documents.collect();
        }
        return screen.document(&document);
    }
    let verb = match dry_run {
        true => "would be carried over",
        false => "carried over",
    };
    for done in all {
        screen.line(format_args!(
            "{}: {} of {} {verb} from version {} to {}: {}",
            done.feature,
            done.counts.carried(),
            count(done.samples, "sample"),
            short(&done.versions.from),
            short(&done.versions.to),
            parts(done.counts),
        ))?;
        if done.counts.left_out > 0 {
            screen.note(format_args!(
                "{} of {} left out: what a sample was computed from is not stored any more, or other children of its parent are newer.",
                count(done.counts.left_out, "sample"),
                done.feature
            ))?;
        }
        if done.there > 0 {
            screen.note(format_args!(
                "The new version of {} had {} before.",
                done.feature,
                count(done.there, "sample")
            ))?;
        }
    }
    Ok(())
}
