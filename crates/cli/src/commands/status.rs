//! `metaxy status`.

mod preview;

use metaxy_store::store::{Awaited, FeatureState, FeatureStatus, StatusCategory, StatusOptions};
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, Result};

use self::preview::Preview;
use super::Outcome;
use crate::args::Status;
use crate::listing::Listing;
use crate::project::{Project, feature, filters};
use crate::report::note;
use crate::screen::{Screen, shell_word, short};
use metaxy_frames::Format;

pub(super) async fn run(project: &Project, args: &Status, screen: &Screen) -> Result<Outcome> {
    let store = project.open(Access::Read).await?;
    let mut options = StatusOptions::default()
        .with_global_filters(filters(&args.filters)?)
        .with_target_filters(filters(&args.target_filters)?)
        .with_staleness_predicates(filters(&args.stale_if)?)
        .with_use_fallback(!args.no_fallback)
        .with_progress(args.progress);
    options.compare_with_fallback = args.comparison.asked();
    let format = args.format.frame();
    if args.preview.is_some() {
        preview::require_lists(format)?;
    }
    let features = match args.features.as_slice() {
        [] => store.graph().topological(),
        names => names
            .iter()
            .map(|name| feature(&store, name))
            .collect::<Result<_>>()?,
    };
    let mut statuses = Vec::with_capacity(features.len());
    let mut previews = Vec::new();
    let mut survey = store.survey(features.iter().cloned(), options.clone());
    for feature in &features {
        let status = match features.len() {
            // Its error, with its hint, is all there is to say.
            1 => survey.status(feature).await?,
            _ => survey.status_or_failure(feature).await?,
        };
        if let Some(most) = args.preview
            && status.failure.is_none()
        {
            let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
            previews.push(Preview::of(&store, &status, &options, most).await?);
        }
        statuses.push(status);
    }
    let listing = listing(&statuses, store.name(), args.progress);
    match format {
        Some(format @ (Format::Json | Format::Ndjson)) if args.preview.is_some() => {
            preview::print(&listing, &previews, format, screen)?;
        }
        _ => listing.show(screen, format)?,
    }
    if format.is_none() {
        previews
            .iter()
            .try_for_each(|preview| preview.show(screen))?;
    }
    if screen.terminal
        && format.is_none()
        && let Some(command) = statuses
            .iter()
            .find_map(|status| next(status, &project.command()))
    {
        screen.blank()?;
        screen.next([command])?;
    }
    let in_sync = !args.assert_in_sync || told_in_sync(&statuses);
    let failed = statuses.iter().filter(|status| status.failure.is_some());
    let failed: Vec<&str> = failed.map(|status| status.feature.as_str()).collect();
    if !failed.is_empty() {
        let message = format!("features cannot be compared: {}", failed.join(", "));
        let error = Error::new(ErrorKind::Storage, message).with_context("store", store.name());
        return Err(
            error.with_hint("their reasons are in the list; those that depend on them wait")
        );
    }
    Ok(match in_sync {
        true => Outcome::Done,
        false => Outcome::NotInSync,
    })
}

/// Whether nothing is to be done; what is to be done is told to standard error.
fn told_in_sync(statuses: &[FeatureStatus]) -> bool {
    let behind: Vec<String> = statuses
        .iter()
        .filter(|status| !in_sync(status))
        .map(|status| format!("{} ({})", status.feature, why(status)))
        .collect();
    if !behind.is_empty() {
        note(format_args!("not in sync: {}", behind.join(", ")));
    }
    behind.is_empty()
}

fn in_sync(status: &FeatureStatus) -> bool {
    status.state == FeatureState::UpToDate
}

fn why(status: &FeatureStatus) -> String {
    match (status.category, status.counts) {
        (StatusCategory::Failed, _) => "cannot be compared".to_owned(),
        (StatusCategory::UpstreamMissing, _) => "its upstream was never written".to_owned(),
        (_, Some(counts)) if !counts.is_empty() => format!(
            "{} new, {} stale, {} orphaned",
            counts.new, counts.stale, counts.orphaned
        ),
        _ if status.state == FeatureState::Waits => waits(status),
        _ if status.other_versions.is_some() => "written under other versions only".to_owned(),
        _ => "never written".to_owned(),
    }
}

/// `waits for video/raw (3 to compute)`.
pub(crate) fn waits(status: &FeatureStatus) -> String {
    let Some(first) = status.waits_for.first() else {
        return "waits for what is upstream".to_owned();
    };
    let more = match status.waits_for.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("waits for {} ({}){more}", first.feature, work(first))
}

fn work(awaited: &Awaited) -> String {
    match (awaited.to_compute, awaited.to_delete) {
        _ if awaited.has_failed => "cannot be compared".to_owned(),
        (0, 0) if !awaited.is_written => "never written".to_owned(),
        (0, 0) => "no rows of its version".to_owned(),
        (0, delete) => format!("{delete} to delete"),
        (compute, _) => format!("{compute} to compute"),
    }
}

/// The table of these features, as the store called `store` sees them.
pub(crate) fn listing(statuses: &[FeatureStatus], store: &str, progress: bool) -> Listing {
    let all = || statuses.iter();
    let listing = Listing::default()
        .text("feature", all().map(|s| s.feature.as_str()))
        .text("version", all().map(|s| short(&s.feature_version)))
        .for_people()
        .text("version", all().map(|s| s.feature_version.as_str()))
        .for_scripts()
        .number("samples", all().map(|s| s.samples))
        .number("new", all().map(|s| s.counts.map(|c| c.new)))
        .number("stale", all().map(|s| s.counts.map(|c| c.stale)))
        .number("orphaned", all().map(|s| s.counts.map(|c| c.orphaned)))
        .percent("progress", all().map(|s| s.progress));
    let listing = match progress {
        true => listing,
        false => listing.for_scripts(),
    };
    let missing = all().map(|s| s.missing_upstream.as_ref().map(FeatureKey::as_str));
    let waits_for = all().map(|s| s.waits_for.iter().map(|a| a.feature.as_str()));
    let upstream =
        |work: fn(&Awaited) -> u64| all().map(move |s| s.waits_for.iter().map(work).sum::<u64>());
    listing
        .text("category", all().map(|s| s.category.as_str()))
        .for_scripts()
        .maybe_text("store", all().map(|s| s.store.as_deref()))
        .for_scripts()
        .maybe_text("compared with", all().map(|s| s.compared_with.as_deref()))
        .for_scripts()
        .maybe_text("missing upstream", missing)
        .for_scripts()
        .text("state", all().map(|s| s.state.as_str()))
        .for_scripts()
        .list("waits for", waits_for)
        .for_scripts()
        .number("upstream to compute", upstream(|a| a.to_compute))
        .for_scripts()
        .number("upstream to delete", upstream(|a| a.to_delete))
        .for_scripts()
        .number("other versions", all().map(|s| s.other_versions))
        .for_scripts()
        .maybe_text("failure", all().map(|s| s.failure.as_deref()))
        .for_scripts()
        .text("what to do", all().map(|s| advice(s, store)))
        .for_people()
}

fn advice(status: &FeatureStatus, store: &str) -> String {
    if let Some(why) = &status.failure {
        return format!("cannot be compared: {why}");
    }
    let counts = status.counts.unwrap_or_default();
    let compute = counts.new + counts.stale;
    let mut words = match (status.state, status.category) {
        (FeatureState::Waits, _) => waits(status),
        (FeatureState::NeedsWork, StatusCategory::Root) => match status.other_versions {
            Some(samples) => format!("write {samples} under this version"),
            None => "write the samples".to_owned(),
        },
        (_, StatusCategory::Root) => "root feature".to_owned(),
        (_, StatusCategory::Missing) if status.counts.is_none() => {
            "write the first samples".to_owned()
        }
        (FeatureState::NeedsWork, _) => {
            // What is orphaned for want of an upstream sample may be wanted once that is computed.
            let deletes = counts.orphaned > 0 && status.waits_for.is_empty() || compute == 0;
            let compute = (compute > 0).then(|| format!("compute {compute}"));
            let delete = deletes.then(|| format!("delete {}", counts.orphaned));
            let waits = (!status.waits_for.is_empty() && !deletes).then(|| waits(status));
            let all: Vec<String> = [compute, delete, waits].into_iter().flatten().collect();
            all.join(", ")
        }
        _ => "up to date".to_owned(),
    };
    // Of which store the numbers are, if not all are of the one that is asked.
    if let Some(owner) = status.store.as_deref().filter(|owner| *owner != store) {
        match status.compared_with.as_deref() {
            Some(compared) if compared != owner => words.push_str(&format!(
                " (samples of store {owner}, compared with store {compared})"
            )),
            _ => words.push_str(&format!(" (in store {owner})")),
        }
    }
    words
}

/// What to type to get one step further.
fn next(status: &FeatureStatus, metaxy: &str) -> Option<String> {
    let feature = shell_word(status.feature.as_str());
    let writes = || Some(format!("{metaxy} write {feature} FILE"));
    match (status.state, status.counts) {
        (FeatureState::UpToDate | FeatureState::Failed, _) => None,
        (FeatureState::Waits, _) => {
            let first = shell_word(status.waits_for.first()?.feature.as_str());
            Some(format!("{metaxy} status {first}"))
        }
        (_, None) => writes(),
        (_, Some(counts)) if counts.new + counts.stale > 0 => {
            Some(format!("{metaxy} resolve {feature}"))
        }
        (_, Some(counts)) if counts.orphaned > 0 => {
            Some(format!("{metaxy} delete {feature} --orphaned"))
        }
        _ => None,
    }
}
