//! `metaxy resolve`.

use std::path::Path;

use metaxy_store::plan::Part;
use metaxy_store::store::{Counts, LazyIncrement};
use metaxy_store::{
    Access, Error, ErrorKind, Expr, FeatureKey, Frame, MetadataStore, ResolveOptions, Result,
};
use serde_json::{Value, json};

use crate::args::{self, Layout, Question, Reading, Resolve};
use crate::listing::Listing;
use crate::preview::Preview;
use crate::project::{Project, feature, filters};
use crate::report::note;
use crate::rows::{Destination, FirstRows, Incoming, Parts, Tally, save};
use crate::screen::{Screen, count, shell_word};
use metaxy_frames::{Format, WriteOptions};

/// How many rows of each part a terminal shows.
const SHOWN: usize = 5;

pub(super) async fn run(project: &Project, args: Resolve, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Read).await?;
    let format = args.output.format;
    let destination = match (Destination::choose(args.output, screen)?, args.end) {
        (Destination::Screen, true) => Destination::File("-".into(), WriteOptions::default()),
        (destination, _) => destination,
    };
    let (feature, increment) = asked(&store, &args.question).await?;
    if !increment.waits_for().is_empty() {
        let upstreams: Vec<&str> = increment
            .waits_for()
            .iter()
            .map(FeatureKey::as_str)
            .collect();
        note(format_args!(
            "{feature} waits for {}: there are rows of other feature versions only, so nothing is orphaned yet",
            upstreams.join(", ")
        ));
    }
    if args.count {
        let compared_with = increment.compared_with().to_owned();
        let waits_for = increment.waits_for().to_vec();
        let counts = increment.counts().await?;
        return match format {
            Some(Layout::Frame(Format::Json)) => {
                let document =
                    counts_document(&store, &feature, &compared_with, counts, &waits_for);
                screen.document(&document?)
            }
            Some(Layout::Frame(format)) => count_of(counts).show(screen, Some(format)),
            Some(Layout::Plain) | None => count_of(counts).show(screen, None),
        };
    }
    match destination {
        Destination::Screen => {
            let parts = chosen(&args.parts, &[Part::New, Part::Stale, Part::Orphaned]);
            show(project, &store, &feature, increment, &parts, screen).await
        }
        Destination::File(path, options) => {
            let parts = chosen(&args.parts, &[Part::New, Part::Stale]);
            let columns = Parts::new(increment.plan(), &parts)?;
            let tally = Tally::default();
            let counting = tally.clone();
            let rows = columns
                .stream(increment, move |part, batch| {
                    counting.add(part, batch.num_rows());
                })
                .await?;
            let finished = save(rows, &path, options.with_end(args.end)).await?;
            if let Some(name) = Destination::file_name(&path) {
                let rows = count(finished.rows, "row");
                screen.line(format_args!("{name}: {rows} ({})", tally.words(&parts)))?;
            }
            Ok(())
        }
    }
}

/// The feature that is asked about, and what a resolve of it is to compute.
pub(super) async fn asked(
    store: &MetadataStore,
    question: &Question,
) -> Result<(FeatureKey, LazyIncrement)> {
    let feature = feature(store, &question.feature)?;
    let mut options = ResolveOptions::default()
        .with_target_filters(filters(&question.target_filters)?)
        .with_staleness_predicates(filters(&question.stale_if)?)
        .with_skip_comparison(question.skip_comparison);
    options.compare_with_fallback = question.comparison.asked();
    for text in &question.filters {
        options = match of_feature(store, text)? {
            Some((feature, filter)) => options.with_filters(feature, [Expr::parse(filter)?]),
            None => options.with_global_filters([Expr::parse(text)?]),
        };
    }
    let samples = question.samples.as_deref();
    options.samples = samples_of(store, &feature, samples, &question.reading).await?;
    let increment = store.resolve_lazy(&feature, options).await?;
    Ok((feature, increment))
}

/// The feature that a filter is of, and the filter, as in `video/raw:size > 3`. No SQL that filters take has a colon outside of texts.
fn of_feature<'t>(store: &MetadataStore, text: &'t str) -> Result<Option<(FeatureKey, &'t str)>> {
    let Some((name, filter)) = text.split_once(':') else {
        return Ok(None);
    };
    if name.contains(['\'', '"', ' ', '(']) {
        return Ok(None);
    }
    Ok(Some((feature(store, name)?, filter)))
}

/// The samples that should be there, from a file.
pub(super) async fn samples_of(
    store: &MetadataStore,
    feature: &FeatureKey,
    file: Option<&Path>,
    reading: &Reading,
) -> Result<Option<Frame>> {
    match file {
        Some(file) => {
            let samples = Incoming::open(store, feature, file, reading).await?;
            Ok(Some(samples.rows))
        }
        None if store.graph().plan(feature)?.is_root() => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("feature {feature} has no upstream that says which samples there should be"),
        )
        .with_hint("name a file that lists them: --samples FILE")),
        None => Ok(None),
    }
}

fn chosen(given: &[args::Part], otherwise: &[Part]) -> Vec<Part> {
    let given = |part, own| {
        given.contains(&args::Part::All)
            || given.contains(&own)
            || given.is_empty() && otherwise.contains(&part)
    };
    [
        (Part::New, args::Part::New),
        (Part::Stale, args::Part::Stale),
        (Part::Orphaned, args::Part::Orphaned),
    ]
    .into_iter()
    .filter(|(part, own)| given(*part, *own))
    .map(|(part, _)| part)
    .collect()
}

/// How many rows of a feature each part has.
pub(super) fn counts_document(
    store: &MetadataStore,
    feature: &FeatureKey,
    compared_with: &str,
    counts: Counts,
    waits_for: &[FeatureKey],
) -> Result<Value> {
    Ok(json!({
        "feature": feature.as_str(),
        "version": store.graph().feature_version(feature)?,
        "store": store.name(),
        "compared_with": compared_with,
        "new": counts.new,
        "stale": counts.stale,
        "orphaned": counts.orphaned,
        "waits_for": waits_for.iter().map(FeatureKey::as_str).collect::<Vec<_>>(),
    }))
}

fn count_of(counts: Counts) -> Listing {
    Listing::default()
        .text("part", ["new", "stale", "orphaned"])
        .number("rows", [counts.new, counts.stale, counts.orphaned])
}

/// Shows how many rows there are and the first of each part, in one pass over all of them.
async fn show(
    project: &Project,
    store: &MetadataStore,
    feature: &FeatureKey,
    increment: LazyIncrement,
    parts: &[Part],
    screen: &Screen,
) -> Result<()> {
    let ids = store.graph().require(feature)?.spec.id_columns().to_vec();
    let tally = Tally::default();
    let first = FirstRows::of(increment, parts, SHOWN, &tally, |_| false).await?;

    screen.heading(format_args!("{feature}: {}", tally.words(parts)))?;
    if first.is_empty() {
        return screen.line("Nothing is to be done.");
    }
    screen.blank()?;
    let preview = Preview {
        ids: &ids,
        apart: &[],
        system: false,
    };
    preview.show(screen, &first.schema, &first.batches())?;
    if first.num_rows() < tally.total() {
        screen.note(format_args!(
            "the first {SHOWN} of each part; --output FILE writes all"
        ))?;
    }
    screen.blank()?;
    let feature = shell_word(feature.as_str());
    let metaxy = project.command();
    let work = tally.of(Part::New) + tally.of(Part::Stale);
    let compute = format!("{metaxy} resolve {feature} --output todo.parquet   # compute, then:");
    let write = format!("{metaxy} write {feature} done.parquet");
    let delete = format!("{metaxy} delete {feature} --orphaned");
    let steps = [
        (work, compute),
        (work, write),
        (tally.of(Part::Orphaned), delete),
    ];
    screen.next(
        steps
            .into_iter()
            .filter(|(rows, _)| *rows > 0)
            .map(|(_, step)| step),
    )
}
