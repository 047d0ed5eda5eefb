//! `${NAME}` and `${NAME:-default}` in the strings of configuration files (`semantics.md §9`).

use super::env::Environment;

/// `text` with every `${NAME}` replaced by that environment variable and every `${NAME:-default}` by the variable or,
/// when it is not set, the default. A variable that is set to the empty string counts as set. What does not have one of
/// these two forms (`$NAME`, `${}`, `${NAME:?x}`) stays as it is, as in the reference; what a variable holds is not
/// looked at again.
///
/// The error is the name of the first variable that is not set and has no default.
pub(super) fn interpolate(text: &str, environment: &Environment) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        result.push_str(before);
        let Some((name, default, after)) = parse(reference) else {
            result.push_str("${");
            rest = &reference[2..];
            continue;
        };
        match (environment.get(name), default) {
            (Some(value), _) => result.push_str(value),
            (None, Some(default)) => result.push_str(default),
            (None, None) => return Err(name.to_owned()),
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// The names of the environment variables that `text` refers to, in order.
///
/// ```
/// use metaxy_core::config::references;
/// let names: Vec<&str> = references("${HOME}/${SUB:-x}/$NONE").collect();
/// assert_eq!(names, ["HOME", "SUB"]);
/// ```
pub fn references(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, reference) = rest.split_at(rest.find("${")?);
            match parse(reference) {
                Some((name, _, after)) => {
                    rest = after;
                    return Some(name);
                }
                None => rest = &reference[2..],
            }
        }
    })
}

/// Splits text that starts with `${` into the name, the default and what follows the closing brace.
fn parse(reference: &str) -> Option<(&str, Option<&str>, &str)> {
    let inner = reference.strip_prefix("${")?;
    let (content, after) = inner.split_once('}')?;
    let (name, default) = match content.split_once(':') {
        Some((name, default)) => (name, Some(default.strip_prefix('-')?)),
        None => (content, None),
    };
    (!name.is_empty() && !name.contains("${")).then_some((name, default, after))
}
