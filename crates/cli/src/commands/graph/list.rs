//! The features of a drawing that is too wide for boxes: one after another, by layers.

use super::canvas::{Ink, width};
use super::layout::{Spacing, arrange};
use super::text::note;
use super::view::View;
use crate::screen::Style;

pub(super) fn list(view: &View, with_fields: bool, columns: usize, style: Style) -> String {
    let spacing = Spacing {
        nodes: 0,
        lines: 0,
        room: None,
        places: usize::MAX,
    };
    let found = arrange(&vec![1; view.features.len()], &view.pairs(), spacing);
    let several = view.several_projects();
    let mut text = String::new();
    for (number, layer) in found.layers.iter().enumerate() {
        let nodes = layer.iter().filter(|&&place| !found.places[place].is_line);
        let mut lines = Lines::new(columns, style);
        for &node in nodes {
            let feature = &view.features[node];
            lines.start("", 2);
            lines.word(Ink::Bold, feature.key.as_str(), "");
            lines.word(Ink::Dim, &note(feature, several), "  ");
            for (tone, word) in feature
                .standing
                .iter()
                .flat_map(super::view::Standing::words)
            {
                lines.word(Ink::Tone(tone), &word, "  ");
            }
            let above = view.edges.iter().filter(|edge| edge.to == node);
            let above: Vec<&str> = above
                .map(|edge| view.features[edge.from].key.as_str())
                .collect();
            if !above.is_empty() {
                lines.start("    ← ", 6);
                lines.words(Ink::Plain, &above);
            }
            if with_fields && !feature.fields.is_empty() {
                let fields: Vec<&str> = feature
                    .fields
                    .iter()
                    .map(|field| field.key.as_str())
                    .collect();
                lines.start("    • ", 6);
                lines.words(Ink::Plain, &fields);
            }
        }
        text.push_str(&style.dim(format_args!("layer {}", number + 1)));
        text.push_str(&lines.text);
        text.push('\n');
    }
    text
}

/// Words in lines that are not wider than they may be.
struct Lines {
    text: String,
    columns: i64,
    style: Style,
    at: i64,
    indent: usize,
}

impl Lines {
    fn new(columns: usize, style: Style) -> Self {
        Self {
            text: String::new(),
            columns: i64::try_from(columns).unwrap_or(i64::MAX),
            style,
            at: 0,
            indent: 0,
        }
    }

    /// Starts a line with `mark`; those that follow from it are indented.
    fn start(&mut self, mark: &str, indent: usize) {
        self.indent = indent;
        self.text.push('\n');
        self.text.push_str(&self.style.dim(mark));
        self.at = width(mark);
    }

    fn words(&mut self, ink: Ink, words: &[&str]) {
        for (at, word) in words.iter().enumerate() {
            let comma = if at + 1 < words.len() { "," } else { "" };
            self.word(
                ink,
                &format!("{word}{comma}"),
                if at > 0 { " " } else { "" },
            );
        }
    }

    fn word(&mut self, ink: Ink, word: &str, gap: &str) {
        if word.is_empty() {
            return;
        }
        let needed = width(gap) + width(word);
        if self.at + needed > self.columns && self.at > i64::try_from(self.indent).unwrap_or(0) {
            self.text.push('\n');
            self.text.push_str(&" ".repeat(self.indent));
            self.at = i64::try_from(self.indent).unwrap_or(0) + width(word);
        } else {
            self.text.push_str(gap);
            self.at += needed;
        }
        self.text.push_str(&ink.paint(self.style, word));
    }
}
