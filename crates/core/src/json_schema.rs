//! What the JSON schemas of text files share.

use serde_json::{Map, Value};

/// A schema as a document of its own.
#[must_use]
pub fn draft(title: &str, members: Map<String, Value>) -> Value {
    let mut schema = Map::new();
    let draft = "http://json-schema.org/draft-07/schema#";
    schema.insert("$schema".into(), draft.into());
    schema.insert("title".into(), title.into());
    schema.extend(members);
    schema.into()
}

/// Markdown without links: where an editor shows it, there is nothing that they lead to.
#[must_use]
pub fn without_links(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        result.push_str(before);
        let words = link.split_once("](").and_then(|(words, after)| {
            let (_, after) = after.split_once(')')?;
            (!words.contains('[')).then_some((words, after))
        });
        rest = match words {
            Some((words, after)) => {
                result.push_str(words);
                after
            }
            None => {
                result.push('[');
                link
            }
        };
    }
    result + rest
}

/// A default that stands in a reference as it would be written. None: it is words, or nothing.
#[must_use]
pub fn written(default: &str) -> Option<Value> {
    let table: toml::Table = format!("x = {default}").parse().ok()?;
    serde_json::to_value(table.get("x")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_words() {
        assert_eq!(
            without_links("[a b](#c), `[x]` [d](e::f)."),
            "a b, `[x]` d."
        );
        assert_eq!(without_links("list [`a`] (b)"), "list [`a`] (b)");
    }
}
