//! `${NAME}` and `${NAME:-default}` in the strings of configuration files (`semantics.md §9`).

use super::env::Environment;

/// `text` with every `${NAME}` replaced by that environment variable and every `${NAME:-default}` by the variable or,
/// when it is not set, the default, which may have references itself: `${A:-${B:-c}}`. A variable that is set to the empty string counts
/// as set. What does not have one of these two forms (`$NAME`, `${}`, `${NAME:?x}`) stays as it is, as in the reference; what a variable
/// holds is not looked at again.
///
/// The error is the first variable that is not set and has no default, or that is set to what is no text.
pub(super) fn interpolate(text: &str, environment: &Environment) -> Result<String, Missing> {
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
        let unreadable = environment.is_unreadable(name);
        match (environment.get(name), default) {
            (Some(value), _) => result.push_str(value),
            (None, Some(default)) if !unreadable => {
                result.push_str(&interpolate(default, environment)?);
            }
            (None, _) => {
                return Err(Missing {
                    name: name.to_owned(),
                    unreadable,
                });
            }
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// A variable that a text needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) name: String,
    /// Whether it has a value that is not valid Unicode.
    pub(super) unreadable: bool,
}

/// The names of the environment variables that `text` refers to, in order.
///
/// ```
/// use metaxy_store::config::references;
/// let names: Vec<&str> = references("${HOME}/${SUB:-x}/$NONE").collect();
/// assert_eq!(names, ["HOME", "SUB"]);
/// ```
pub fn references(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, reference) = rest.split_at(rest.find("${")?);
            match parse(reference) {
                Some((name, default, after)) => {
                    // A default may have references of its own.
                    rest = if default.is_some() {
                        &reference[2..]
                    } else {
                        after
                    };
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
    let end = closing_brace(inner)?;
    let (content, after) = (&inner[..end], &inner[end + 1..]);
    let (name, default) = match content.split_once(':') {
        Some((name, default)) => (name, Some(default.strip_prefix('-')?)),
        None => (content, None),
    };
    (!name.is_empty() && !name.contains("${")).then_some((name, default, after))
}

/// Where the brace is that closes a reference, behind those within it.
fn closing_brace(inner: &str) -> Option<usize> {
    let bytes = inner.as_bytes();
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_may_have_references() {
        let of = |text: &str, variables: &[(&str, &str)]| {
            interpolate(text, &Environment::from_iter(variables.iter().copied()))
        };
        let text = "${A:-${B:-c}}/x";
        assert_eq!(of(text, &[]).as_deref(), Ok("c/x"));
        assert_eq!(of(text, &[("B", "b")]).as_deref(), Ok("b/x"));
        assert_eq!(of(text, &[("A", "a")]).as_deref(), Ok("a/x"));
        assert_eq!(of("${A:-${B}}", &[]).unwrap_err().name, "B");
        assert_eq!(of("${A:-{}}", &[]).as_deref(), Ok("{}"));
        assert_eq!(of("${A:-", &[]).as_deref(), Ok("${A:-"));
        let names: Vec<&str> = references(text).collect();
        assert_eq!(names, ["A", "B"]);
    }
}
