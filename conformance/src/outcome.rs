//! How a case ends.

use std::fmt::{self, Debug, Display};
use std::panic::Location;

use arrow::error::ArrowError;
use metaxy_store::{Error, ErrorKind};

/// What a case gives: nothing, or why it stopped.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The backend does not do what the case is about; how.
    Failed(String),
    /// The case does not apply to such a backend; why.
    Ignored(String),
    /// What the case needs is not here, such as a server. It is ignored, or fails where everything is
    /// [required](crate::suite::REQUIRED).
    Missing(String),
}

impl Stop {
    /// A failure.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    /// A case that does not apply.
    pub fn ignored(why: impl Into<String>) -> Self {
        Self::Ignored(why.into())
    }
}

/// A failure that says what it is of.
pub(crate) fn of(stop: Stop, what: &str) -> Stop {
    match stop {
        Stop::Failed(why) => Stop::Failed(format!("{what}: {why}")),
        ignored => ignored,
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Ignored(why) | Self::Missing(why) => write!(f, "ignored: {why}"),
        }
    }
}

/// What the store refused although it should not have.
impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(format!("{} [{}]", report(&error), error.kind()))
    }
}

/// What Arrow refused to do with rows that were read.
impl From<ArrowError> for Stop {
    fn from(error: ArrowError) -> Self {
        Self::Failed(format!("Arrow refused: {error}"))
    }
}

/// Fails, at the place of the caller, unless `condition` holds.
///
/// # Errors
/// With `what` should have been.
#[track_caller]
pub fn check(condition: bool, what: impl Display) -> Outcome {
    if condition {
        return Ok(());
    }
    Err(here(Location::caller(), what))
}

/// Fails, at the place of the caller, unless what was found is what was expected.
///
/// # Errors
/// With both.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is compared is mostly made in the call"
)]
pub fn check_eq<A, B>(found: A, expected: B, what: impl Display) -> Outcome
where
    A: PartialEq<B> + Debug,
    B: Debug,
{
    if found == expected {
        return Ok(());
    }
    let both = format!("{what}: found {found:?}, expected {expected:?}");
    Err(here(Location::caller(), both))
}

/// The error of something that has to be refused in this way.
///
/// # Errors
/// If it was not refused, or as something else.
#[track_caller]
pub fn refused<T>(result: Result<T, Error>, kind: ErrorKind) -> Outcome<Error> {
    let at = Location::caller();
    match result {
        Ok(_) => Err(here(at, format!("accepted; expected an error: {kind}"))),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(here(
            at,
            format!(
                "expected an error: {kind}; found: {}: {}",
                error.kind(),
                report(&error)
            ),
        )),
    }
}

/// Fails unless an error shows all of `words`, wherever: message, context, hint or source.
///
/// A word has at least three characters, since nearly every text shows shorter ones. What is that short is asked for with its
/// surroundings: `feature: a`, `"id"`.
///
/// # Errors
/// With the word that is not there, or that is too short.
#[track_caller]
pub fn names(error: &Error, words: &[&str]) -> Outcome {
    let text = report(error);
    for word in words {
        if word.chars().count() < 3 {
            let what = format!("{word:?} is too short to tell an error that names it by");
            return Err(here(Location::caller(), what));
        }
        if !text.contains(word) {
            let what = format!("the error does not name {word:?}: {text}");
            return Err(here(Location::caller(), what));
        }
    }
    Ok(())
}

/// An error with its causes and its hint, on one line.
#[must_use]
pub fn report(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!("; {source}"));
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("; hint: {hint}"));
    }
    text
}

fn here(at: &Location<'_>, what: impl Display) -> Stop {
    let file = at.file().rsplit('/').next().unwrap_or_default();
    Stop::Failed(format!("{what} ({file}:{})", at.line()))
}
