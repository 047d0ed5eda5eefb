//! `metaxy status`.

use metaxy_core::store::{FeatureStatus, StatusCategory, StatusOptions};
use metaxy_core::{Access, Result};

use crate::args::Status;
use crate::listing::Listing;
use crate::project::{Project, feature, filters};
use crate::screen::{Screen, shell_word, short};

pub(super) async fn run(project: &Project, args: &Status, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Read).await?;
    let options = StatusOptions::default().with_global_filters(filters(&args.filters)?);
    let features = match args.features.as_slice() {
        [] => store.graph().topological(),
        names => names
            .iter()
            .map(|name| feature(&store, name))
            .collect::<Result<_>>()?,
    };
    let mut statuses = Vec::with_capacity(features.len());
    for feature in &features {
        statuses.push(store.status(feature, options.clone()).await?);
    }
    listing(&statuses, store.name()).show(screen, args.format.frame())?;
    if screen.terminal
        && args.format.frame().is_none()
        && let Some(command) = statuses
            .iter()
            .find_map(|status| next(status, &project.command()))
    {
        screen.blank()?;
        screen.next([command])?;
    }
    Ok(())
}

/// The table of these features, as the store called `store` sees them.
pub(crate) fn listing(statuses: &[FeatureStatus], store: &str) -> Listing {
    let all = || statuses.iter();
    Listing::default()
        .text("feature", all().map(|s| s.feature.as_str()))
        .text("version", all().map(|s| short(&s.feature_version)))
        .for_people()
        .text("version", all().map(|s| s.feature_version.as_str()))
        .for_scripts()
        .number("samples", all().map(|s| s.samples))
        .number("new", all().map(|s| s.counts.map(|c| c.new)))
        .number("stale", all().map(|s| s.counts.map(|c| c.stale)))
        .number("orphaned", all().map(|s| s.counts.map(|c| c.orphaned)))
        .text("category", all().map(|s| s.category.as_str()))
        .for_scripts()
        .maybe_text("store", all().map(|s| s.store.as_deref()))
        .for_scripts()
        .text("what to do", all().map(|s| advice(s, store)))
        .for_people()
}

fn advice(status: &FeatureStatus, store: &str) -> String {
    let counts = status.counts.unwrap_or_default();
    let mut words = match status.category {
        StatusCategory::Root => "root feature".to_owned(),
        StatusCategory::Missing if status.counts.is_none() => "write the first samples".to_owned(),
        StatusCategory::UpstreamMissing => match &status.missing_upstream {
            Some(upstream) => format!("wait for {upstream}"),
            None => "wait for what is upstream".to_owned(),
        },
        _ => {
            let work = counts.new + counts.stale;
            let compute = (work > 0).then(|| format!("compute {work}"));
            let delete = (counts.orphaned > 0).then(|| format!("delete {}", counts.orphaned));
            let both: Vec<String> = [compute, delete].into_iter().flatten().collect();
            match both.is_empty() {
                true => "up to date".to_owned(),
                false => both.join(", "),
            }
        }
    };
    if let Some(owner) = status.store.as_deref().filter(|owner| *owner != store) {
        words.push_str(&format!(" (in store {owner})"));
    }
    words
}

/// What to type to get one step further.
fn next(status: &FeatureStatus, metaxy: &str) -> Option<String> {
    let feature = shell_word(status.feature.as_str());
    match (status.category, status.counts) {
        (StatusCategory::Missing, None) => Some(format!("{metaxy} write {feature} FILE")),
        (_, Some(counts)) if counts.new + counts.stale > 0 => {
            Some(format!("{metaxy} resolve {feature}"))
        }
        (_, Some(counts)) if counts.orphaned > 0 => {
            Some(format!("{metaxy} delete {feature} --orphaned"))
        }
        _ => None,
    }
}
