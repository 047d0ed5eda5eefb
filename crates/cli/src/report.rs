//! How an error is told.

use std::error::Error as _;
use std::fmt::Display;
use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};

use metaxy_store::Error;

use crate::screen::{Style, colours_wanted, tell};

/// Writes the error, its causes and its hint to standard error.
pub(crate) fn error(error: &Error) {
    let style = Style::new(stderr().is_terminal() && colours_wanted());
    tell(&text(error, style));
}

/// The error, its causes and its hint, for somebody else than a terminal.
#[cfg(feature = "mcp")]
pub(crate) fn plain(error: &Error) -> String {
    text(error, Style::new(false))
}

/// Writes what is wrong with the arguments to standard error.
pub(crate) fn arguments(error: &clap::Error) {
    let style = Style::new(stderr().is_terminal() && colours_wanted());
    let text = argument_text(&error.render().to_string(), style);
    tell(&text);
}

/// The words of the parser in the form of all other errors: hints last.
fn argument_text(told: &str, style: Style) -> String {
    const HELP: &str = "For more information, try '--help'.";
    let mut text = String::new();
    let mut hints = Vec::new();
    for line in told.trim_end().lines() {
        if let Some(tip) = line.trim_start().strip_prefix("tip: ") {
            hints.push(tip);
        } else if line == HELP {
            hints.push("--help shows what can be typed");
        } else if let Some(problem) = line.strip_prefix("error: ") {
            let _ = writeln!(text, "{} {problem}", style.red("error:"));
        } else if !line.is_empty() || !text.ends_with("\n\n") {
            text.push_str(line);
            text.push('\n');
        }
    }
    let mut text = text.trim_end().to_owned();
    text.push('\n');
    for hint in hints {
        let _ = writeln!(text, "{} {hint}", style.cyan("hint:"));
    }
    text
}

/// Writes a line to standard error that is no error.
pub(crate) fn note(text: impl Display) {
    tell(&format!("{text}\n"));
}

fn text(error: &Error, style: Style) -> String {
    let mut told = error.to_string();
    let mut text = format!("{} {told}\n", style.red("error:"));
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Many messages quote their cause already.
        if !told.contains(&words) {
            let _ = writeln!(text, "  {} {words}", style.dim("caused by:"));
            told.push_str(&words);
        }
        cause = error.source();
    }
    for hint in hints(error) {
        let _ = writeln!(text, "{} {hint}", style.cyan("hint:"));
    }
    text
}

/// The hint of the error, and those of its causes.
fn hints(error: &Error) -> Vec<&str> {
    let mut hints: Vec<&str> = error.hint().into_iter().filter(|h| !h.is_empty()).collect();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(hint) = error.downcast_ref::<Error>().and_then(Error::hint)
            && !hint.is_empty()
            && !hints.contains(&hint)
        {
            hints.push(hint);
        }
        cause = error.source();
    }
    hints
}

#[cfg(test)]
mod tests {
    use metaxy_store::ErrorKind;

    use super::*;

    #[test]
    fn causes_are_told_once_and_hints_last() {
        let cause = std::io::Error::other("disk on fire");
        let inner = Error::new(ErrorKind::Io, "cannot read 'a'")
            .with_source(cause)
            .with_hint("put it out");
        let outer = Error::new(ErrorKind::Storage, "the store failed: cannot read 'a'")
            .with_context("store", "dev")
            .with_hint("look at the disk")
            .with_source(inner);
        assert_eq!(
            text(&outer, Style::new(false)),
            "error: the store failed: cannot read 'a' (store: dev)\n  caused by: disk on fire\nhint: look at the disk\nhint: put it out\n"
        );
    }
}
