//! Patterns of text.

use std::fmt;

use super::Value;
use crate::error::{Error, ErrorKind, Result};

/// What `LIKE` compares text with: `%` stands for any characters, also none, and `_` for one. A character is a code point.
///
/// Nothing else is special, not even a backslash, unless it is [escaped with](Self::with_escape). A pattern that
/// [ignores case](Self::ignoring_case) takes the letters A to Z as a to z, in the text as well; other letters stay as they are, `É` as `É`.
/// That is what all stores give alike.
///
/// ```
/// use metaxy_core::expr::Pattern;
/// assert!(Pattern::new("%.mp_").matches("a/b.mp4"));
/// assert!(!Pattern::new("%.MP_").matches("a/b.mp4"));
/// assert!(Pattern::new("%.MP_").ignoring_case().matches("a/b.mp4"));
/// assert!(Pattern::new("100!%").with_escape('!')?.matches("100%"));
/// # Ok::<(), metaxy_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    escape: Option<char>,
    ignores_case: bool,
}

/// One place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// This character.
    Is(char),
    /// Any character.
    One,
    /// Any characters, also none.
    Any,
}

impl Pattern {
    /// A pattern without an escape character.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            escape: None,
            ignores_case: false,
        }
    }

    /// The same text, in which `escape` before `%`, `_` or itself means that character.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilter`] if it stands before anything else, or at the end.
    pub fn with_escape(mut self, escape: char) -> Result<Self> {
        let mut rest = self.text.chars();
        while let Some(c) = rest.next() {
            if c != escape {
                continue;
            }
            let next = rest.next();
            if next.is_none_or(|next| !matches!(next, '%' | '_') && next != escape) {
                return Err(Error::new(
                    ErrorKind::InvalidFilter,
                    format!(
                        "in the pattern {}, the escape character {escape:?} stands before {}",
                        Value::from(self.text.as_str()),
                        next.map_or("the end".to_owned(), |next| format!("{next:?}"))
                    ),
                )
                .with_hint(format!(
                    "write it before %, _ or {escape} only; {escape}{escape} means {escape}"
                )));
            }
        }
        self.escape = Some(escape);
        Ok(self)
    }

    /// The same pattern, for which A to Z are a to z.
    #[must_use]
    pub fn ignoring_case(mut self) -> Self {
        self.ignores_case = true;
        self
    }

    /// Whether A to Z are a to z.
    #[must_use]
    pub const fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// Whether a text is like the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.places().matches(text)
    }

    /// What many texts are matched with.
    pub(super) fn places(&self) -> Places {
        let mut places = Vec::new();
        let mut rest = self.text.chars();
        while let Some(c) = rest.next() {
            let place = match c {
                _ if Some(c) == self.escape => rest.next().map(|next| self.is(next)),
                '%' => Some(Place::Any),
                '_' => Some(Place::One),
                _ => Some(self.is(c)),
            };
            places.extend(place);
        }
        Places {
            places,
            ignores_case: self.ignores_case,
        }
    }

    fn is(&self, c: char) -> Place {
        Place::Is(folded(c, self.ignores_case))
    }

    /// The pattern as text in which `!` is the escape character; in lower case where case is ignored.
    #[must_use]
    pub fn escaped(&self) -> String {
        let mut text = String::new();
        for place in self.places().places {
            match place {
                Place::Any => text.push('%'),
                Place::One => text.push('_'),
                Place::Is(c) => {
                    if matches!(c, '%' | '_' | '!') {
                        text.push('!');
                    }
                    text.push(c);
                }
            }
        }
        text
    }

    /// What every text that is like the pattern begins with; empty if nothing is known.
    #[must_use]
    pub fn prefix(&self) -> String {
        if self.ignores_case {
            return String::new();
        }
        let places = self.places().places;
        let known = places.iter().map_while(|place| match place {
            Place::Is(c) => Some(*c),
            Place::One | Place::Any => None,
        });
        known.collect()
    }
}

/// The places of a pattern, one after the other.
pub(super) struct Places {
    places: Vec<Place>,
    ignores_case: bool,
}

impl Places {
    /// Takes as few characters as it can for each `%`, and more where that does not do. Only the last one can need more.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (mut at, mut rest) = (0, text.chars());
        let mut last_any = None;
        loop {
            let taken = match self.places.get(at) {
                Some(Place::Any) => {
                    at += 1;
                    last_any = Some((at, rest.clone()));
                    continue;
                }
                Some(place) => rest.clone().next().is_some_and(|c| match place {
                    Place::Is(is) => folded(c, self.ignores_case) == *is,
                    Place::One | Place::Any => true,
                }),
                None if rest.as_str().is_empty() => return true,
                None => false,
            };
            if taken {
                rest.next();
                at += 1;
                continue;
            }
            let Some((after, from)) = &mut last_any else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (at, rest) = (*after, from.clone());
        }
    }
}

fn folded(c: char, ignores_case: bool) -> char {
    if ignores_case {
        c.to_ascii_lowercase()
    } else {
        c
    }
}

/// The pattern in quotes, and its escape character if it has one.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::from(self.text.as_str()).fmt(f)?;
        match self.escape {
            Some(escape) => write!(f, " ESCAPE {}", Value::from(escape.to_string())),
            None => Ok(()),
        }
    }
}

impl<T: Into<String>> From<T> for Pattern {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}
