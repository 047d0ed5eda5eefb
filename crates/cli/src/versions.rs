//! Versions as people type them: whole, or only their start, as tables show them.

use std::collections::BTreeSet;

use metaxy_store::error::nearest;
use metaxy_store::{Error, ErrorKind, Result};

/// How many versions an error lists.
const LISTED: usize = 5;

/// The one of `known` that `given` is or starts. `what` says whose they are, such as `feature video/raw`.
///
/// # Errors
/// If `given` starts none of them, or several.
pub(crate) fn version<'a>(
    given: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<&'a str> {
    let known: BTreeSet<&str> = known.into_iter().collect();
    if let Some(exact) = known.get(given) {
        return Ok(exact);
    }
    let meant: Vec<&str> = known
        .iter()
        .copied()
        .filter(|version| !given.is_empty() && version.starts_with(given))
        .collect();
    match meant.as_slice() {
        [one] => Ok(one),
        [] => Err(unknown(given, what, &known)),
        several => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("several versions of {what} start with {given:?}"),
        )
        .with_hint(format!("type more of it: {}", listed(several)))),
    }
}

fn unknown(given: &str, what: &str, known: &BTreeSet<&str>) -> Error {
    let error = Error::new(
        ErrorKind::InvalidArgument,
        format!("there is no version {given:?} of {what}"),
    );
    let all: Vec<&str> = known.iter().copied().collect();
    match (nearest(given, all.iter().copied()), all.is_empty()) {
        (Some(near), _) => error.with_hint(format!("did you mean {near}?")),
        (None, false) => error.with_hint(format!("there are {}", listed(&all))),
        (None, true) => error.with_hint("there is none at all yet"),
    }
}

fn listed(versions: &[&str]) -> String {
    let mut list = versions[..versions.len().min(LISTED)].join(", ");
    if versions.len() > LISTED {
        list.push_str(&format!(" and {} more", versions.len() - LISTED));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["4f1c0d2e", "4f1cffff", "9a000000"];

    #[test]
    fn the_start_of_one_version_is_enough() {
        let meant = |given: &str| version(given, "it", KNOWN);
        assert_eq!(meant("9").unwrap(), "9a000000");
        assert_eq!(meant("4f1c0d2e").unwrap(), "4f1c0d2e");
        let error = meant("4f1c").unwrap_err();
        assert_eq!(error.hint().unwrap(), "type more of it: 4f1c0d2e, 4f1cffff");
        let error = meant("4f1c0d2f").unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean 4f1c0d2e?");
        for nothing in ["", "zz"] {
            let error = meant(nothing).unwrap_err();
            assert!(error.hint().unwrap().starts_with("there are 4f1c0d2e, "));
        }
        assert!(version("a", "it", []).unwrap_err().hint().is_some());
    }
}
