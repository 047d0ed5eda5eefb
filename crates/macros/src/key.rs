//! The rules of keys (`semantics.md` §1), the same as those of `metaxy_core::key`, and names that are nearly right.

use syn::LitStr;

/// A key that was written in an attribute, or an error at it.
pub(crate) fn check(key: &LitStr, what: &str) -> syn::Result<()> {
    match refusal(&key.value()) {
        None => Ok(()),
        Some(why) => Err(syn::Error::new(
            key.span(),
            format!(
                "{:?} is not a {what}: {why}\nhint: a key is parts joined with `/`; a part has lower-case letters, digits, `_` and `-`, and the first part starts with a letter or `_`",
                key.value()
            ),
        )),
    }
}

/// Why `text` is not a key.
fn refusal(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".into());
    }
    for (i, part) in text.split('/').enumerate() {
        let Some(first) = part.chars().next() else {
            return Some("it has an empty part".into());
        };
        if !(first.is_ascii_lowercase() || first == '_' || (i > 0 && first.is_ascii_digit())) {
            return Some(format!("part {part:?} starts with {first:?}"));
        }
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if let Some(bad) = part.chars().find(|c| !allowed(*c)) {
            return Some(format!("part {part:?} contains {bad:?}"));
        }
        if part.contains("__") {
            return Some(format!("part {part:?} contains a double underscore"));
        }
    }
    None
}

/// A `hint:` line: the known name nearest to `name`, or all of them.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, near)) => format!("\nhint: did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => format!("\nhint: there are `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lists are those of the test in `metaxy_core::key`.
    #[test]
    fn refuses_what_core_refuses() {
        for bad in [
            "", "/", "a/", "/a", "A", "1a", "a__b", "a\n", "a b", "-a", "a/-b", "é", "a/b__c",
            "a.b",
        ] {
            assert!(refusal(bad).is_some(), "{bad:?}");
        }
        for good in ["a", "_", "a-b/0c", "_a/_b", "a_", "a/0"] {
            assert!(refusal(good).is_none(), "{good:?}");
        }
    }
}
