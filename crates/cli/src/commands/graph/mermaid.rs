//! A drawing as Mermaid.

use std::fmt::Write as _;

use metaxy_store::spec::INITIAL_CODE_VERSION;

use super::card::cut;
use super::scene::Direction;
use super::view::{Tone, View};

/// At most so many characters of a code version are shown.
const CODE: usize = 20;

/// The view as a flowchart.
pub(crate) fn flowchart(view: &View, with_fields: bool, direction: Direction) -> String {
    let to = match direction {
        Direction::Lr => "LR",
        Direction::Tb => "TB",
    };
    let mut text = format!("flowchart {to}\n");
    let several = view.several_projects();
    for (at, feature) in view.features.iter().enumerate() {
        let mut lines = vec![format!("<b>{}</b>", escaped(feature.key.as_str()))];
        let note = super::text::note(feature, several);
        if !note.is_empty() {
            lines.push(format!("<small>{}</small>", escaped(&note)));
        }
        let words: Vec<String> = feature
            .standing
            .iter()
            .flat_map(super::view::Standing::words)
            .map(|(_, word)| escaped(&word))
            .collect();
        if !words.is_empty() {
            lines.push(words.join(" · "));
        }
        if with_fields {
            lines.extend(
                feature
                    .fields
                    .iter()
                    .map(|field| match field.code_version.as_str() {
                        INITIAL_CODE_VERSION => escaped(&field.key),
                        code => format!("{} ({})", escaped(&field.key), escaped(&cut(code, CODE))),
                    }),
            );
        }
        let _ = writeln!(text, "    f{at}[\"{}\"]", lines.join("<br/>"));
    }
    for edge in &view.edges {
        let line = if edge.optional { "-.->" } else { "-->" };
        let _ = writeln!(text, "    f{} {line} f{}", edge.from, edge.to);
    }
    for (tone, style) in STYLES {
        let of: Vec<String> = (0..view.features.len())
            .filter(|&at| view.features[at].tone() == tone)
            .map(|at| format!("f{at}"))
            .collect();
        if !of.is_empty() {
            let name = tone.as_str();
            let _ = writeln!(text, "    classDef {name} {style}");
            let _ = writeln!(text, "    class {} {name}", of.join(","));
        }
    }
    text
}

/// Colours that can be read on light and dark pages.
const STYLES: [(Tone, &str); 5] = [
    (Tone::Good, "stroke:#2c8a5b,stroke-width:2px"),
    (Tone::New, "stroke:#2f6bd8,stroke-width:2px"),
    (Tone::Stale, "stroke:#b96a00,stroke-width:2px"),
    (Tone::Orphaned, "stroke:#9b4a97,stroke-width:2px"),
    (
        Tone::Missing,
        "stroke:#7d8796,stroke-width:2px,stroke-dasharray:4 4",
    ),
];

/// Text in a label: what has a meaning there is written as a number.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() || " /_-.·,:".contains(c) => safe.push(c),
            c if c.is_control() => safe.push(' '),
            c => {
                let _ = write!(safe, "#{};", u32::from(c));
            }
        }
    }
    safe
}
