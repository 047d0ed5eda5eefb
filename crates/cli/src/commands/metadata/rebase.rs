//! `metaxy metadata rebase`.

use std::collections::BTreeSet;

use metaxy_core::{
    Access, Error, ErrorKind, FeatureKey, MetadataStore, ReadOptions, RebaseOptions, Result,
    WriteOptions,
};
use serde_json::json;

use super::agreed;
use crate::args::{Rebase, View};
use crate::progress::{Progress, Total};
use crate::project::{Project, feature, filters};
use crate::rows;
use crate::screen::{Screen, count, short};
use crate::versions::version;

pub(super) async fn run(project: &Project, args: Rebase, screen: &Screen) -> Result<()> {
    let access = match args.consent.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let store = project.open(access).await?;
    let feature = feature(&store, &args.feature)?;
    let versions = Versions::choose(&store, &feature, &args).await?;
    let of = |version: &str| {
        ReadOptions::default()
            .with_local_only(true)
            .with_feature_history(true)
            .with_feature_version(version)
    };
    let old = of(&versions.from).with_filters(filters(&args.filters)?);
    let samples = store.count(&feature, old.clone()).await?;
    let there = store.count(&feature, of(&versions.to)).await?;
    let carried = store.read(&feature, old).await?;
    let options = RebaseOptions::default().with_to_feature_version(&versions.to);
    let carried = store.rebase(&feature, carried, options).await?;
    let what = versions.question(&feature, samples, there, &store);
    let rebased = match args.consent.dry_run {
        true => rows::count(carried).await?,
        false if samples > 0 && agreed(args.consent, &what).await? => {
            let progress = Progress::new(format!("rebasing {feature}"), Total::Rows(samples));
            let carried = progress.watch(carried);
            let keep = WriteOptions::default().with_preserve_feature_version(true);
            store.write_with(&feature, carried, keep).await?.rows
        }
        false => {
            return tell(
                &args,
                &store,
                &feature,
                &versions,
                [samples, 0, there],
                screen,
            );
        }
    };
    tell(
        &args,
        &store,
        &feature,
        &versions,
        [samples, rebased, there],
        screen,
    )
}

/// From which version to which.
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

    fn question(
        &self,
        feature: &FeatureKey,
        samples: u64,
        there: u64,
        store: &MetadataStore,
    ) -> String {
        let mut what = format!(
            "carry {} of {feature} in store {} over from version {} to {}",
            count(samples, "sample"),
            store.name(),
            short(&self.from),
            short(&self.to)
        );
        if there > 0 {
            what.push_str(&format!(
                ", which has {} already that may be replaced",
                count(there, "sample")
            ));
        }
        what
    }
}

/// `numbers`: samples of the old version, those carried over, and those that the new version had before.
fn tell(
    args: &Rebase,
    store: &MetadataStore,
    feature: &FeatureKey,
    versions: &Versions,
    numbers: [u64; 3],
    screen: &Screen,
) -> Result<()> {
    let [samples, rebased, there] = numbers;
    if args.format.view == View::Json {
        return screen.document(&json!({
            "feature": feature.as_str(),
            "store": store.name(),
            "from_version": versions.from,
            "to_version": versions.to,
            "dry_run": args.consent.dry_run,
            "samples": samples,
            "rebased": rebased,
            "samples_of_target_before": there,
        }));
    }
    let verb = match args.consent.dry_run {
        true => "would be carried over",
        false => "carried over",
    };
    screen.line(format_args!(
        "{feature}: {rebased} of {} {verb} from version {} to {}",
        count(samples, "sample"),
        versions.from,
        versions.to
    ))?;
    if rebased < samples && (args.consent.dry_run || rebased > 0) {
        screen.note("The upstream of the others is gone.")?;
    }
    if there > 0 {
        screen.note(format_args!(
            "The new version had {} before.",
            count(there, "sample")
        ))?;
    }
    Ok(())
}
