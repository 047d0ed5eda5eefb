//! A difference as a drawing: the features of both graphs, in the colours of what became of them.

use metaxy_store::Result;

use super::Difference;
use super::changes::{Change, Kind};
use crate::commands::graph::view::{Focus, Standing, Tone, View, grouped};
use crate::screen::short;

/// The later graph, and what only the earlier one has.
pub(super) fn view(difference: &Difference) -> Result<View> {
    let all = Focus::default();
    let (from, to) = (&difference.from, &difference.to);
    let what = format!("{} → {}", from.words(), to.words());
    let mut view = View::new(&to.graph, &all, what)?;
    let before = View::new(&from.graph, &all, String::new())?;
    view.add(before.features);
    // The words say both versions.
    view.version = None;
    view.store = difference.counted.then(|| difference.store.clone());
    for feature in &mut view.features {
        let change = difference
            .changes
            .iter()
            .find(|change| change.key == feature.key);
        feature.standing = change.map(|change| Standing::Change {
            tone: tone(change.kind),
            words: words(change),
        });
    }
    Ok(view)
}

pub(super) const fn tone(kind: Kind) -> Tone {
    match kind {
        Kind::Added => Tone::Good,
        Kind::Removed => Tone::Orphaned,
        Kind::Changed => Tone::Stale,
        Kind::Affected => Tone::New,
    }
}

fn words(change: &Change) -> String {
    let mut words = change.kind.as_str().to_owned();
    if let (Some(from), Some(to)) = (&change.version.0, &change.version.1)
        && from != to
    {
        words.push_str(&format!(" · was {}", short(from)));
    }
    match (change.kind, change.samples.unwrap_or_default()) {
        (_, 0) => {}
        (Kind::Removed, left) => words.push_str(&format!(" · {} left", grouped(left))),
        (_, new) => words.push_str(&format!(" · {} new", grouped(new))),
    }
    words
}
