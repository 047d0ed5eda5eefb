//! Standard output, as a person or a script sees it.

use std::borrow::Cow;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{LazyLock, OnceLock};

use chrono::{DateTime, SecondsFormat};
use metaxy_frames::terminal::shown;
use metaxy_store::backend::blocking;
use metaxy_store::clock::Micros;
use metaxy_store::{Config, Error, ErrorKind, Result};
use serde_json::Value;

use crate::args::View;

/// Whether the user's environment lets a terminal show colours (<https://no-color.org>).
pub(crate) fn colours_wanted() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !unwanted && !dumb
}

/// Standard output. A reader that goes away, as `| head` does, is no error: what follows is dropped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Whether a person looks at it.
    pub(crate) terminal: bool,
    /// How many characters a line of the terminal has; `None` where lines may be of any length.
    pub(crate) width: Option<usize>,
    pub(crate) style: Style,
    /// Words for people are left out, because a document follows.
    pub(crate) quiet: bool,
}

impl Screen {
    pub(crate) fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        Self {
            terminal,
            width: terminal.then_some(width.max(40)),
            style: Style::new(terminal && colours_wanted()),
            quiet: false,
        }
    }

    /// The same screen as `view` has it: of a document nothing but the document is shown.
    pub(crate) fn viewed(self, view: View) -> Self {
        Self {
            quiet: view == View::Json,
            ..self
        }
    }

    /// One JSON document, even on a quiet screen.
    pub(crate) fn document(&self, document: &Value) -> Result<()> {
        print(&format!("{document:#}\n"))
    }

    pub(crate) fn line(&self, text: impl Display) -> Result<()> {
        self.text(&format!("{text}\n"))
    }

    pub(crate) fn blank(&self) -> Result<()> {
        self.text("\n")
    }

    /// A line in bold.
    pub(crate) fn heading(&self, text: impl Display) -> Result<()> {
        self.line(self.style.bold(text))
    }

    /// A line that matters less.
    pub(crate) fn note(&self, text: impl Display) -> Result<()> {
        self.line(self.style.dim(text))
    }

    /// Commands to be typed next.
    pub(crate) fn next<T: Display>(&self, commands: impl IntoIterator<Item = T>) -> Result<()> {
        self.line("Next:")?;
        for command in commands {
            self.line(format_args!("  {}", self.style.cyan(command)))?;
        }
        Ok(())
    }

    pub(crate) fn text(&self, text: &str) -> Result<()> {
        match self.quiet {
            true => Ok(()),
            false => print(text),
        }
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let text = told_to(&out, text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The text as `out` gets it: what steers a terminal is shown as text there, apart from our own colours.
fn told_to<'t>(out: &impl IsTerminal, text: &'t str) -> Cow<'t, str> {
    match out.is_terminal() {
        true => Cow::Owned(on_terminal(text)),
        false => Cow::Borrowed(text),
    }
}

fn on_terminal(text: &str) -> String {
    let parts: Vec<Cow<'_, str>> = text.split(ESCAPE.as_str()).map(shown).collect();
    parts.join("\x1b")
}

/// Whose secrets messages may not tell.
static SECRETS: OnceLock<Config> = OnceLock::new();

/// From now on no message tells a secret of this configuration.
pub(crate) fn hide_secrets_of(config: &Config) {
    // A program has one configuration; the first stays.
    let _ = SECRETS.set(config.clone());
}

/// The text without secrets.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    match SECRETS.get() {
        Some(config) => config.hide(text),
        None => Cow::Borrowed(text),
    }
}

/// A line of the log, told as other messages are once it is whole.
#[derive(Default)]
pub(crate) struct LogLine(Vec<u8>);

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        tell(&String::from_utf8_lossy(&self.0));
    }
}

/// Writes text to standard error, for whoever is there, without secrets.
pub(crate) fn tell(text: &str) {
    let mut out = io::stderr().lock();
    let text = without_secrets(text);
    let text = told_to(&out, &text);
    // Nobody is left to be told if this fails.
    let _ = out.write_all(text.as_bytes());
}

/// Stands for the escape of our own colours until text meets the terminal. Nobody can know it, so nothing that comes out of a store can
/// hold one.
static ESCAPE: LazyLock<String> = LazyLock::new(|| {
    let number = RandomState::new().hash_one(std::process::id());
    let digits = (0..4).map(|at| u32::try_from(number >> (16 * at) & 0xfff).unwrap_or(0));
    // Characters for private use.
    digits
        .filter_map(|digit| char::from_u32(0xe000 + digit))
        .collect()
});

/// Text in colours, or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    pub(crate) fn new(colours: bool) -> Self {
        Self { colours }
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn cyan(self, text: impl Display) -> String {
        self.paint("36", text)
    }

    /// Text with the attributes of an SGR code, such as `32`.
    pub(crate) fn paint(self, code: &str, text: impl Display) -> String {
        match self.colours {
            true => format!("{0}[{code}m{text}{0}[0m", *ESCAPE),
            false => text.to_string(),
        }
    }
}

/// Asks whether to do `what`.
pub(crate) async fn confirmed(what: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("this would {what}, and nobody is there to agree"),
        )
        .with_hint("add --yes to do it"));
    }
    tell(&format!("This will {what}. Go on? [y/N] "));
    // On a thread of its own, so that an interrupt is heard meanwhile.
    let answer = blocking::run("terminal", || {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(answer)
    });
    Ok(matches!(
        answer.await?.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// `1 sample`, `2 samples`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A moment as RFC 3339 in UTC.
pub(crate) fn moment(at: Micros) -> String {
    match DateTime::from_timestamp_micros(at) {
        Some(moment) => moment.to_rfc3339_opts(SecondsFormat::Micros, true),
        None => at.to_string(),
    }
}

/// The start of a version, which is enough to tell it from others by eye.
pub(crate) fn short(version: &str) -> &str {
    version.get(..8).unwrap_or(version)
}

/// What to type to run this program again: its name if the shell finds it under that, else its path.
pub(crate) fn program() -> String {
    let Ok(own) = std::env::current_exe().and_then(|path| path.canonicalize()) else {
        return "metaxy".to_owned();
    };
    let name = own.file_name().unwrap_or_default();
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .and_then(|path| path.canonicalize().ok());
    match found.as_ref() == Some(&own) {
        true => shell_word(&name.to_string_lossy()),
        false => shell_word(&own.to_string_lossy()),
    }
}

/// Text as one word of a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_our_colours_and_no_others() {
        let text = Style::new(true).bold("a\u{1b}[31mb");
        assert_eq!(on_terminal(&text), "\u{1b}[1ma\\u{1b}[31mb\u{1b}[0m");
        assert_eq!(Style::new(false).bold("\u{1b}"), "\u{1b}");
    }
}
