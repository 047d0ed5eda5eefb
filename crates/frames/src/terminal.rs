//! Where text meets a terminal: what could steer it is shown as text.
//!
//! What comes out of a store is data of strangers. A terminal obeys control characters in it: they move the cursor, set the title, or
//! fill the clipboard. Files and pipes get what there is, to the byte.

use std::borrow::Cow;
use std::io::{self, Write};

/// The text without characters that steer a terminal, or the order of what it shows: they are written as `\u{1b}`. Ends of lines and tabs
/// stay.
///
/// ```
/// assert_eq!(metaxy_frames::terminal::shown("caf\u{e9}\tone\n"), "caf\u{e9}\tone\n");
/// assert_eq!(metaxy_frames::terminal::shown("\u{1b}[2Jgone"), "\\u{1b}[2Jgone");
/// ```
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match steers(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn steers(c: char) -> bool {
    let orders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    orders || c.is_control() && !matches!(c, '\n' | '\t')
}

/// Passes text on to a terminal as [`shown`] has it; bytes that are no text are written as `\x9b`.
#[derive(Debug)]
pub struct Shown<W: Write> {
    to: W,
    /// The beginning of a character whose end has not come yet.
    begun: Vec<u8>,
}

impl<W: Write> Shown<W> {
    /// Passes on to `to`.
    pub fn new(to: W) -> Self {
        Self {
            to,
            begun: Vec::new(),
        }
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        for chunk in all.utf8_chunks() {
            text.push_str(&shown(chunk.valid()));
            let broken = chunk.invalid();
            let at_end = std::ptr::eq(broken.as_ptr_range().end, all.as_ptr_range().end);
            match at_end && may_go_on(broken) {
                true => self.begun = broken.to_vec(),
                false => text.extend(broken.iter().map(|byte| format!("\\x{byte:02x}"))),
            }
        }
        self.to.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for Shown<W> {
    fn drop(&mut self) {
        let rest: String = self.begun.iter().map(|b| format!("\\x{b:02x}")).collect();
        // Nobody is left to be told if this fails.
        let _ = self.to.write_all(rest.as_bytes());
    }
}

/// Whether these bytes may be the beginning of a character.
fn may_go_on(bytes: &[u8]) -> bool {
    let error = std::str::from_utf8(bytes).err();
    error.is_some_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(parts: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut to = Shown::new(&mut out);
        for part in parts {
            to.write_all(part).expect("memory takes it");
        }
        drop(to);
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn what_steers_is_shown_as_text() {
        let told = "a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}b\r\n";
        let seen = r"a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}b\u{d}";
        assert_eq!(shown(told), format!("{seen}\n"));
        assert_eq!(passed(&[told.as_bytes()]), format!("{seen}\n"));
    }

    #[test]
    fn characters_may_come_in_parts() {
        let text = "\u{e9}\u{9b}\u{1f600}".as_bytes();
        for at in 0..=text.len() {
            let (a, b) = text.split_at(at);
            assert_eq!(passed(&[a, b]), "\u{e9}\\u{9b}\u{1f600}");
        }
        assert_eq!(passed(&[b"a\x9b", b"b\xc3"]), r"a\x9bb\xc3");
    }
}
