//! The one error type of the workspace.
//!
//! An [`Error`] says what happened ([`ErrorKind`] and message), to what (context pairs: feature, store,
//! column …), why (its [source](std::error::Error::source)) and what to do next ([`Error::hint`]).

use std::fmt;

use crate::plan::INTERNAL;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was, for callers that act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A feature, field or spec is not well-formed, or clashes with another of its graph.
    InvalidDefinition,
    /// A feature is in no graph, or in no store that was asked.
    FeatureNotFound,
    /// A table that an operation needs does not exist.
    TableNotFound,
    /// What is upstream has no rows of its current version yet, so the answer is not known.
    UpstreamNotReady,
    /// A filter's text does not parse, or does not fit the columns it is applied to.
    InvalidFilter,
    /// A frame handed in lacks a column, has a misfitting type, or holds a value that is not allowed.
    InvalidFrame,
    /// A configuration file or option is wrong.
    InvalidConfig,
    /// An argument of a call is wrong.
    InvalidArgument,
    /// A type path or backend that this build does not have.
    UnknownBackend,
    /// The stores of a fallback chain use different hash algorithms or truncation lengths.
    HashMismatch,
    /// Another writer changed the same thing at the same time; trying again may succeed.
    Conflict,
    /// Somebody else holds the store; trying again later may succeed.
    Locked,
    /// The store was opened for reading, or lies on a medium or under a role that cannot write.
    ReadOnly,
    /// The backend cannot do this.
    Unsupported,
    /// What lies at the store's location cannot be opened as a store.
    CannotOpen,
    /// The store's medium failed: disk full, connection lost, file damaged.
    Storage,
    /// What was stored cannot be read back as what it should be.
    Corrupt,
    /// The operation was cancelled by its caller.
    Cancelled,
    /// Reading or writing a file that is not the store failed.
    Io,
    /// A rule of this library was broken by its own code.
    Internal,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidDefinition => "invalid definition",
            Self::FeatureNotFound => "feature not found",
            Self::TableNotFound => "table not found",
            Self::UpstreamNotReady => "upstream not ready",
            Self::InvalidFilter => "invalid filter",
            Self::InvalidFrame => "invalid frame",
            Self::InvalidConfig => "invalid configuration",
            Self::InvalidArgument => "invalid argument",
            Self::UnknownBackend => "unknown backend",
            Self::HashMismatch => "hash mismatch",
            Self::Conflict => "conflict",
            Self::Locked => "locked",
            Self::ReadOnly => "read-only",
            Self::Unsupported => "unsupported",
            Self::CannotOpen => "cannot open",
            Self::Storage => "storage failure",
            Self::Corrupt => "corrupt data",
            Self::Cancelled => "cancelled",
            Self::Io => "input/output",
            Self::Internal => "internal error",
        })
    }
}

/// What went wrong, to what, why, and what to do next.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
    retryable: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind`. The message names the feature, store or column it is about.
    ///
    /// Names that plans give to their own columns are taken out of it, as out of [hints](Self::with_hint) and
    /// [causes](Self::with_source): engines put into their messages whatever a statement holds.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::as_written(kind, outer(message.into()))
    }

    /// An error of `kind` whose message stays as it is: about a name that a user gave, and that plans use.
    pub(crate) fn as_written(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            retryable: false,
            source: None,
        }))
    }

    /// Adds where it happened, such as `("store", "dev")`. A key that is already there is kept as it is: the innermost
    /// layer knows best.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        if !self.0.context.iter().any(|(k, _)| *k == key) {
            self.0.context.push((key, value.to_string()));
        }
        self
    }

    /// Says what to do next. The first hint wins.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| outer(hint.into()));
        self
    }

    /// Says whether the same may succeed if it is tried again: the way to the store failed, or there was too much to do at the moment.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Whether the same operation may succeed if it is tried again as it is, because what failed passes: a conflict, a lock, a connection
    /// that was lost, a time-out, a throttled request, a pool without a free connection. Nothing was done by an operation that failed so.
    ///
    /// It is `false` for what stays as it is (a disk that is full, a file that is broken, an argument that is wrong) and for a write of
    /// which nobody knows what became of it: look whether its rows are there before you repeat it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable || matches!(self.0.kind, ErrorKind::Conflict | ErrorKind::Locked)
    }

    /// Names the underlying cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        let source = source.into();
        self.0.source = Some(match has_inner_names(source.as_ref()) {
            true => outer(source.to_string()).into(),
            false => source,
        });
        self
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without context, cause or hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next, if anything is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where it happened: pairs such as `("store", "dev")`.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(k, v)| (*k, v.as_str()))
    }
}

/// The message followed by its context, on one line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (key, value)) in self.0.context.iter().enumerate() {
            f.write_str(if i == 0 { " (" } else { ", " })?;
            write!(f, "{key}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// A text without the names that plans give to their own columns: those that hold a column of a user become that column's name.
fn outer(text: String) -> String {
    if !text.contains(INTERNAL) {
        return text;
    }
    let mut parts = text.split(INTERNAL);
    let mut outer = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.strip_prefix("stored.").or_else(|| of_a_table(part)) {
            Some(rest) => outer.push_str(rest),
            None => {
                let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/');
                outer.push_str("inner column");
                outer.push_str(part.trim_start_matches(is_name));
            }
        }
    }
    outer
}

/// What follows `t0.`, `t1.` …
fn of_a_table(part: &str) -> Option<&str> {
    let (number, rest) = part.strip_prefix('t')?.split_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(rest)
}

/// Whether an error of an engine, or a cause of it, shows such names. Our own have been looked at.
fn has_inner_names(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .take_while(|error| !error.is::<Error>())
        .any(|error| error.to_string().contains(INTERNAL))
}

/// Arrow fails where this library breaks one of its own rules; frames of callers are checked before.
impl From<arrow::error::ArrowError> for Error {
    fn from(source: arrow::error::ArrowError) -> Self {
        Self::new(
            ErrorKind::Internal,
            format!("Arrow refused an operation: {source}"),
        )
        .with_source(source)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, source.to_string()).with_source(source)
    }
}

/// The known name nearest to `name`, if any is near enough to be what was meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine's error, whose cause shows more.
    #[derive(Debug)]
    struct Engine(Option<Box<Engine>>);

    impl fmt::Display for Engine {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self.0 {
                Some(_) => "the engine failed",
                None => "no column \"__mx.f0.default\" in [id, __mx.d0, __mx.stored.path]",
            })
        }
    }

    impl std::error::Error for Engine {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.0.as_deref().map(|cause| cause as _)
        }
    }

    fn all(error: &Error) -> String {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        format!(
            "{} / {}",
            causes.join(" / "),
            error.hint().unwrap_or_default()
        )
    }

    #[test]
    fn names_of_plans_reach_no_message() {
        let text = Engine(None).to_string();
        let told = "no column \"inner column\" in [id, inner column, path]";
        let error = Error::new(ErrorKind::Storage, &text)
            .with_hint("is it __mx.t12.size?")
            .with_source(Engine(None));
        assert_eq!(all(&error), format!("{told} / {told} / is it size?"));
        let deep =
            Error::new(ErrorKind::Storage, "x").with_source(Engine(Some(Engine(None).into())));
        assert!(!all(&deep).contains("__mx"), "{}", all(&deep));
        let arrow = arrow::error::ArrowError::SchemaError(text);
        let arrow = Error::from(arrow).with_context("feature", "a");
        assert!(!all(&arrow).contains("__mx"), "{}", all(&arrow));
        let ours = Error::new(ErrorKind::Io, "x").with_source(Engine(Some(Engine(None).into())));
        let ours = Error::new(ErrorKind::Io, "y").with_source(ours);
        assert!(!all(&ours).contains("__mx"), "{}", all(&ours));
    }

    #[test]
    fn other_errors_keep_their_causes_as_they_are() {
        let error = Error::from(std::io::Error::other("no __mx here"));
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.is::<std::io::Error>());
        assert_eq!(error.message(), "no __mx here");
    }
}
