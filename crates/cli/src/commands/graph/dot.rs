//! A drawing in Graphviz's language.

use std::fmt::Write as _;

use metaxy_store::spec::INITIAL_CODE_VERSION;

use super::scene::Direction;
use super::view::{Tone, View};

/// The view as a digraph. Each node is named by its feature's key.
pub(crate) fn digraph(view: &View, with_fields: bool, direction: Direction) -> String {
    let to = match direction {
        Direction::Lr => "LR",
        Direction::Tb => "TB",
    };
    let mut text = format!(
        "digraph {} {{\n    rankdir={to};\n    node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11, margin=\"0.15,0.08\"];\n    \
         edge [color=\"#8a94a3\", arrowsize=0.7];\n",
        quoted(&view.title())
    );
    let several = view.several_projects();
    for feature in &view.features {
        let mut lines = vec![feature.key.to_string(), super::text::note(feature, several)];
        let words = feature
            .standing
            .iter()
            .flat_map(super::view::Standing::words);
        let words: Vec<String> = words.map(|(_, word)| word).collect();
        lines.push(words.join(" · "));
        if with_fields {
            lines.extend(
                feature
                    .fields
                    .iter()
                    .map(|field| match field.code_version.as_str() {
                        INITIAL_CODE_VERSION => format!("• {}", field.key),
                        code => format!("• {} ({code})", field.key),
                    }),
            );
        }
        lines.retain(|line| !line.is_empty());
        // `\l` ends a line that stands at the left.
        let label: String = lines
            .iter()
            .map(|line| format!("{}\\l", inner(line)))
            .collect();
        let dashed = if feature.is_elsewhere() {
            ", style=\"rounded,dashed\""
        } else {
            ""
        };
        let colour = match feature.tone() {
            Tone::Plain => "",
            Tone::Good => ", color=\"#2c8a5b\"",
            Tone::New => ", color=\"#2f6bd8\"",
            Tone::Stale => ", color=\"#b96a00\"",
            Tone::Orphaned => ", color=\"#9b4a97\"",
            Tone::Missing => ", color=\"#8a94a3\"",
        };
        let _ = writeln!(
            text,
            "    {} [label=\"{label}\"{colour}{dashed}];",
            quoted(feature.key.as_str())
        );
    }
    for edge in &view.edges {
        let [from, to] = [edge.from, edge.to].map(|at| quoted(view.features[at].key.as_str()));
        let dashed = if edge.optional { " [style=dashed]" } else { "" };
        let _ = writeln!(text, "    {from} -> {to}{dashed};");
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", inner(text))
}

/// Text between double quotes. Entities are resolved in labels, so the sign that starts them is written as one.
fn inner(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => safe.push_str("\\\""),
            '\\' => safe.push_str("\\\\"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
