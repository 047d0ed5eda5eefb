//! Structs of text as JSON: written and read without a tree.

use std::borrow::Cow;

/// Calls `pair` with each member of a JSON object whose values are texts or nulls.
///
/// Returns false if the text is something else; what was seen until then has been passed on.
pub fn for_each_member<'a>(
    text: &'a str,
    mut pair: impl FnMut(Cow<'a, str>, Option<Cow<'a, str>>),
) -> bool {
    let mut rest = Cursor(text.trim_ascii());
    if !rest.eat('{') {
        return false;
    }
    if rest.eat('}') {
        return rest.0.is_empty();
    }
    loop {
        let Some(name) = rest.string() else {
            return false;
        };
        if !rest.eat(':') {
            return false;
        }
        let value = if let Some(after) = rest.0.strip_prefix("null") {
            rest.0 = after.trim_ascii_start();
            None
        } else {
            match rest.string() {
                Some(value) => Some(value),
                None => return false,
            }
        };
        pair(name, value);
        if rest.eat('}') {
            return rest.0.is_empty();
        }
        if !rest.eat(',') {
            return false;
        }
    }
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, expected: char) -> bool {
        match self.0.strip_prefix(expected) {
            Some(rest) => {
                self.0 = rest.trim_ascii_start();
                true
            }
            None => false,
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let body = self.0.strip_prefix('"')?;
        let bytes = body.as_bytes();
        let mut end = 0;
        let mut escaped = false;
        loop {
            match bytes.get(end)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        let raw = &self.0[..end + 2];
        self.0 = body[end + 1..].trim_ascii_start();
        if escaped {
            serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(&body[..end]))
        }
    }
}

/// Appends `text` as a JSON string.
pub fn push_string(json: &mut String, text: &str) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        // A string always serialises.
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Option<Vec<(String, Option<String>)>> {
        let mut all = Vec::new();
        for_each_member(text, |name, value| {
            all.push((name.into_owned(), value.map(Cow::into_owned)));
        })
        .then_some(all)
    }

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "",
            "plain",
            "\"",
            "\\",
            "a\nb",
            "é|日本",
            "\u{1}",
            "\\\"",
            "😀",
        ] {
            let mut json = String::from("{");
            push_string(&mut json, text);
            json.push(':');
            push_string(&mut json, text);
            json.push('}');
            assert_eq!(
                members(&json),
                Some(vec![(text.to_owned(), Some(text.to_owned()))]),
                "{json}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_object_of_texts() {
        for bad in [
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":1}",
            "{\"a\":\"b\"",
            "{\"a\":\"b\"}x",
            "{\"a\":\"\\",
        ] {
            assert_eq!(members(bad), None, "{bad}");
        }
        assert_eq!(members("{}"), Some(vec![]));
        assert_eq!(
            members(" { \"a\" : null , \"b\" : \"\\u00e9\" } "),
            Some(vec![("a".into(), None), ("b".into(), Some("é".into()))])
        );
    }
}
