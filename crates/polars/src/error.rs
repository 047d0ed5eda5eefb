//! What Polars' errors mean.

use metaxy_core::{Error, ErrorKind};
use polars::prelude::PolarsError;

/// An error of Polars while it ran a plan.
pub(crate) fn failed(error: PolarsError) -> Error {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or(&text);
    let described = match &error {
        PolarsError::IO { error, .. } if error.kind() == std::io::ErrorKind::NotFound => Error::new(
            ErrorKind::Conflict,
            format!("a file that the plan reads is gone: {first}"),
        )
        .with_hint("it may have been cleaned up meanwhile: try again, and clean up with a longer retention"),
        PolarsError::IO { .. } => {
            Error::new(ErrorKind::Io, format!("a file cannot be read: {first}"))
        }
        _ => Error::new(
            ErrorKind::Storage,
            format!("Polars could not run the plan: {first}"),
        ),
    };
    described.with_source(error)
}

/// An error of ours, for Polars to carry.
#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what errors are mapped with"
)]
pub(crate) fn carried(error: Error) -> PolarsError {
    PolarsError::ComputeError(error.to_string().into())
}

/// What cannot be.
pub(crate) fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}
