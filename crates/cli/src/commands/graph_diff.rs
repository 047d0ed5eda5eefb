//! `metaxy graph-diff`.

mod changes;
mod document;
mod drawing;
mod plain;
mod sides;

use std::collections::HashMap;
use std::path::Path;

use metaxy_store::graph::GraphDiff;
use metaxy_store::{Access, FeatureGraph, FeatureKey, MetadataStore, Result};

use super::graph::show;
use crate::args::{DiffFormat, GraphDiff as Arguments, Picture};
use crate::project::Project;
use crate::screen::{Screen, Style, count};
use changes::{Change, Kind};
use metaxy_frames::write_whole;
use sides::Side;

/// Two graphs and what has changed from one to the other.
pub(super) struct Difference {
    /// The store that the pushed ones and the rows are in.
    store: String,
    from: Side,
    to: Side,
    changes: Vec<Change>,
    unchanged: usize,
    /// Whether samples were counted.
    counted: bool,
}

pub(super) async fn run(project: &Project, args: &Arguments, screen: &Screen) -> Result<()> {
    let store = project.open_bare(Access::Read)?;
    let (from, to) = sides::both(project, &store, &args.from, &args.to).await?;
    let diff = GraphDiff::between(&from.graph, &to.graph)
        .map_err(|e| e.with_context("store", store.name()))?;
    let mut changes: Vec<Change> = diff
        .nodes()
        .filter_map(|node| Change::of(node, &from.graph, &to.graph))
        .collect();
    changes.sort_by_key(by_dependence(&from.graph, &to.graph));
    if !args.no_counts {
        count_samples(&store, &mut changes).await?;
    }
    let difference = Difference {
        store: store.name().to_owned(),
        unchanged: diff.nodes().len() - changes.len(),
        from,
        to,
        changes,
        counted: !args.no_counts,
    };
    let picture = match args.format() {
        DiffFormat::Plain => {
            return put(args, screen, |style| plain::text(&difference, style));
        }
        DiffFormat::Drawn(Picture::Json) => {
            return put(args, screen, |_| {
                format!("{:#}\n", document::document(&difference))
            });
        }
        DiffFormat::Drawn(picture) => picture,
    };
    let view = drawing::view(&difference)?;
    show(&view, &args.drawing(Some(picture)), screen)
}

/// Prints the text, or writes it to the file that is asked for.
fn put(args: &Arguments, screen: &Screen, text: impl Fn(Style) -> String) -> Result<()> {
    match args
        .output
        .as_deref()
        .filter(|file| *file != Path::new("-"))
    {
        None => screen.text(&text(screen.style)),
        Some(file) => {
            write_whole(file, text(Style::new(false)).as_bytes())?;
            screen.line(format_args!("{}: written", file.display()))
        }
    }
}

/// Each feature after what it depends on; what was removed comes last.
fn by_dependence(from: &FeatureGraph, to: &FeatureGraph) -> impl Fn(&Change) -> usize + use<> {
    let mut places: HashMap<FeatureKey, usize> = HashMap::new();
    for key in to.topological().into_iter().chain(from.topological()) {
        let next = places.len();
        places.entry(key).or_insert(next);
    }
    move |change| places.get(&change.key).copied().unwrap_or(usize::MAX)
}

/// Counts what is stored under the old version of each feature, and of changed ones not under the new one.
async fn count_samples(store: &MetadataStore, changes: &mut [Change]) -> Result<()> {
    for change in changes {
        let (Some(from), to) = (&change.version.0, &change.version.1) else {
            continue;
        };
        if change.kind != Kind::Removed && to.as_ref() == Some(from) {
            change.samples = Some(0);
            continue;
        }
        let (ids, but_not) = match (&change.id_columns.0, &change.id_columns.1) {
            // Samples that are identified otherwise are none of the new version's.
            (Some(old), Some(new)) if old != new => (old, None),
            (Some(old), _) => (old, to.as_deref()),
            (None, _) => continue,
        };
        let owner = store.find_store_of(&change.key, Some(from)).await?;
        let owner = owner.as_ref().unwrap_or(store);
        let stored = owner.samples_of_version(&change.key, ids, from, but_not);
        change.samples = Some(stored.await?);
    }
    Ok(())
}

impl Difference {
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(move |change| change.kind == kind)
    }

    /// How many samples become new, and how many belong to features that are gone.
    fn samples(&self) -> (u64, u64) {
        let sum = |removed: bool| {
            let those = self.changes.iter();
            let those = those.filter(|change| (change.kind == Kind::Removed) == removed);
            those.filter_map(|change| change.samples).sum()
        };
        (sum(false), sum(true))
    }

    /// The changes in a line.
    fn summary(&self) -> String {
        let kinds = [Kind::Added, Kind::Removed, Kind::Changed, Kind::Affected];
        let counted = kinds
            .into_iter()
            .map(|kind| (self.of_kind(kind).count(), kind.as_str()));
        let counted = counted.chain([(self.unchanged, "unchanged")]);
        let counted = counted.filter(|(number, _)| *number > 0);
        let mut words: Vec<String> = counted
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        let (new, removed) = self.samples();
        if self.counted {
            words.push(format!("{} new", count(new, "sample")));
        }
        if removed > 0 {
            words.push(format!("{} of removed features", count(removed, "sample")));
        }
        words.join(", ")
    }
}
