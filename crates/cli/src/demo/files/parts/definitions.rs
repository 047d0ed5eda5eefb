//! Lines that define an item or head a section.

use super::language::{Kind, Language};
use super::split::Parts;

/// A definition or heading.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// What is defined: an identifier, the text of a heading, the name of a section.
    pub name: String,
    /// The line as it counts for the outline: trimmed, white space joined.
    pub line: String,
    /// The line's number in the file, from zero.
    pub number: usize,
}

/// Words that may stand before a keyword.
const MODIFIERS: [&str; 24] = [
    "pub",
    "async",
    "unsafe",
    "extern",
    "export",
    "default",
    "public",
    "private",
    "protected",
    "internal",
    "static",
    "final",
    "abstract",
    "inline",
    "override",
    "open",
    "virtual",
    "sealed",
    "data",
    "declare",
    "partial",
    "CREATE",
    "create",
    "local",
];
/// Words that a name follows.
const KEYWORDS: [&str; 38] = [
    "fn",
    "def",
    "class",
    "struct",
    "enum",
    "trait",
    "impl",
    "mod",
    "module",
    "type",
    "interface",
    "func",
    "function",
    "fun",
    "macro_rules!",
    "const",
    "namespace",
    "protocol",
    "extension",
    "union",
    "record",
    "object",
    "package",
    "proc",
    "sub",
    "message",
    "service",
    "rpc",
    "defmodule",
    "defp",
    "TABLE",
    "VIEW",
    "INDEX",
    "FUNCTION",
    "table",
    "view",
    "index",
    "typedef",
];
/// Words that look like the name of a function.
const CONTROL: [&str; 14] = [
    "if", "for", "while", "switch", "return", "else", "do", "catch", "match", "sizeof", "try",
    "with", "using", "await",
];

/// The definitions of a file in their order.
pub(super) fn find(text: &str, parts: &Parts, language: &Language) -> Vec<Definition> {
    let mut found = Vec::new();
    let mut before = "";
    for (number, (raw, line)) in text.lines().zip(&parts.0).enumerate() {
        let name = match language.kind {
            Kind::Data => None,
            Kind::Code => defined(&line.code, language),
            Kind::Settings => section(&line.code),
            Kind::Prose if line.code.is_empty() => heading(raw).map(str::to_owned),
            Kind::Prose => None,
        };
        if let Some(name) = name {
            let shown = if language.kind == Kind::Prose {
                raw
            } else {
                &line.code
            };
            found.push(definition(name, shown, number));
        } else if language.kind == Kind::Prose
            && is_underline(raw)
            && !before.trim().is_empty()
            && number > 0
        {
            found.push(definition(before.trim().to_owned(), before, number - 1));
        }
        before = raw;
    }
    found
}

fn definition(name: String, line: &str, number: usize) -> Definition {
    Definition {
        name,
        line: line.split_whitespace().collect::<Vec<_>>().join(" "),
        number,
    }
}

/// The name that a line of code defines.
fn defined(code: &str, language: &Language) -> Option<String> {
    let mut rest = code.trim_start();
    loop {
        let (word, after) = word(rest);
        if MODIFIERS.contains(&word) {
            rest = after.trim_start();
            // `pub(crate)`, `extern "C"`
            for (open, close) in [('(', ')'), ('"', '"')] {
                if let Some(inside) = rest.strip_prefix(open) {
                    rest = inside.split_once(close)?.1.trim_start();
                }
            }
            continue;
        }
        if !KEYWORDS.contains(&word) || !after.starts_with([' ', '\t', '<']) {
            return bare(code, language);
        }
        // `const fn`
        let next = self::word(after.trim_start());
        if KEYWORDS.contains(&next.0) && next.1.starts_with([' ', '\t']) {
            rest = after.trim_start();
            continue;
        }
        let named = match word {
            "impl" => after.split('{').next().unwrap_or(after).trim(),
            // `func (receiver Type) Name`
            "func" if after.trim_start().starts_with('(') => {
                identifier(after.split_once(')')?.1.trim_start())
            }
            _ => identifier(after.trim_start()),
        };
        return (!named.is_empty()).then(|| named.to_owned());
    }
}

/// `int main(void) {`: a function without a keyword.
fn bare(code: &str, language: &Language) -> Option<String> {
    let line = code.trim();
    let top = !code.starts_with(char::is_whitespace);
    let opens = line.ends_with('{') || (top && line.ends_with(')'));
    if !language.bare_functions || !opens || line.contains('=') {
        return None;
    }
    let (head, _) = line.split_once('(')?;
    let name = head.trim_end().rsplit(|c: char| !is_identifier(c)).next()?;
    let first = word(line).0;
    let ordinary = name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !first.is_empty();
    (ordinary && !CONTROL.contains(&name) && !CONTROL.contains(&first)).then(|| name.to_owned())
}

/// `[section]`, or `key:` at the start of a line.
fn section(code: &str) -> Option<String> {
    if code.starts_with('[') {
        let name = code.trim().trim_matches(['[', ']']).trim();
        return (code.trim_end().ends_with(']') && !name.is_empty()).then(|| name.to_owned());
    }
    let (key, after) = code.split_once(':')?;
    let plain = !key.is_empty() && key.chars().all(|c| is_identifier(c) || c == '-');
    (plain && (after.is_empty() || after.starts_with(' '))).then(|| key.to_owned())
}

/// `## Title`
fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    let title = title.strip_prefix(' ')?.trim();
    ((1..=6).contains(&level) && !title.is_empty()).then_some(title)
}

/// `=====` under a title.
fn is_underline(line: &str) -> bool {
    let line = line.trim_end();
    line.len() >= 3
        && ['=', '-', '~', '^']
            .iter()
            .any(|mark| line.chars().all(|c| c == *mark))
}

/// The word that `text` starts with, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !is_identifier(c) && c != '!')
        .unwrap_or(text.len());
    text.split_at(end)
}

fn identifier(text: &str) -> &str {
    &text[..text.find(|c: char| !is_identifier(c)).unwrap_or(text.len())]
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
