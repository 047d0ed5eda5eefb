//! Lines split into code and comment.

use super::language::{Kind, Language};

/// The lines of a file, each split in two.
#[derive(Debug)]
pub(super) struct Parts(pub(super) Vec<Line>);

/// A line's code and the comment on it, either possibly empty.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) code: String,
    pub(super) comment: String,
}

impl Parts {
    /// The lines of code, trimmed, none blank.
    pub(super) fn code(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .map(|line| line.code.trim())
            .filter(|code| !code.is_empty())
    }

    /// The words of the comments in lower case.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|line| {
            line.comment
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect::<Vec<_>>()
        })
    }
}

/// Splits the lines of `text`.
pub(super) fn split(text: &str, language: &Language) -> Parts {
    Parts(match language.kind {
        Kind::Prose => split_prose(text),
        Kind::Data => text
            .lines()
            .map(|line| Line {
                code: line.to_owned(),
                comment: String::new(),
            })
            .collect(),
        Kind::Code | Kind::Settings => {
            let mut state = State::Code;
            text.lines()
                .map(|line| split_line(line, language, &mut state))
                .collect()
        }
    })
}

/// Fenced blocks are code, the rest is prose.
fn split_prose(text: &str) -> Vec<Line> {
    let mut fence: Option<&str> = None;
    text.lines()
        .map(|line| {
            let mark = ["```", "~~~"]
                .into_iter()
                .find(|mark| line.trim_start().starts_with(mark));
            let is_code = fence.is_some() || mark.is_some();
            fence = match (fence, mark) {
                (None, mark) => mark,
                (Some(open), Some(mark)) if open == mark => None,
                (open, _) => open,
            };
            let mut parts = Line::default();
            match is_code {
                true => parts.code = line.to_owned(),
                false => parts.comment = line.to_owned(),
            }
            parts
        })
        .collect()
}

/// What a line starts in.
enum State {
    Code,
    /// A comment that goes on to this mark.
    Comment(&'static str),
    /// A text that goes on to this mark.
    Text(&'static str),
}

fn split_line(line: &str, language: &Language, state: &mut State) -> Line {
    let mut parts = Line::default();
    let mut rest = line;
    while !rest.is_empty() {
        match *state {
            State::Comment(close) => {
                let (inside, after) = rest.split_once(close).unwrap_or((rest, ""));
                parts.comment.push_str(inside);
                parts.comment.push(' ');
                if inside.len() < rest.len() {
                    *state = State::Code;
                }
                rest = after;
            }
            State::Text(close) => {
                let end = end_of_text(rest, close);
                let (inside, after) = rest.split_at(end.unwrap_or(rest.len()));
                parts.code.push_str(inside);
                if end.is_some() {
                    *state = State::Code;
                }
                rest = after;
            }
            State::Code => rest = step(rest, language, &mut parts, state),
        }
    }
    parts
}

/// Takes the next piece of code off `rest`.
fn step<'a>(rest: &'a str, language: &Language, parts: &mut Line, state: &mut State) -> &'a str {
    // `$#` and `a#b` are no comments.
    let after_space = parts.code.is_empty() || parts.code.ends_with(char::is_whitespace);
    let starts = |mark: &&&'static str| rest.starts_with(**mark) && (**mark != "#" || after_space);
    if let Some(mark) = language.line.iter().find(starts) {
        parts.comment.push_str(&rest[mark.len()..]);
        return "";
    }
    if let Some((open, close)) = language
        .block
        .iter()
        .find(|(open, _)| rest.starts_with(open))
    {
        *state = State::Comment(close);
        return &rest[open.len()..];
    }
    if let Some((open, close)) = language
        .long
        .iter()
        .find(|(open, _)| rest.starts_with(open))
    {
        if language.docstrings && parts.code.trim().is_empty() {
            *state = State::Comment(close);
        } else {
            parts.code.push_str(open);
            *state = State::Text(close);
        }
        return &rest[open.len()..];
    }
    let Some(first) = rest.chars().next() else {
        return "";
    };
    let inner = &rest[first.len_utf8()..];
    if language.quotes.contains(&first) {
        let mut mark = [0; 4];
        // Without a second quote on the line it is an apostrophe.
        if let Some(end) = end_of_text(inner, first.encode_utf8(&mut mark)) {
            parts.code.push_str(&rest[..first.len_utf8() + end]);
            return &inner[end..];
        }
    }
    // `'"'` in languages whose quotes are lifetimes too.
    if first == '\'' && language.quotes.is_empty() && inner.starts_with("\"'") {
        parts.code.push_str("'\"'");
        return &inner[2..];
    }
    parts.code.push(first);
    inner
}

/// Where `close` ends in `text`, backslashes escaping.
fn end_of_text(text: &str, close: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        if !escaped && text[i..].starts_with(close) {
            return Some(i + close.len());
        }
        escaped = !escaped && c == '\\';
    }
    None
}
