//! `docs/command.md` and the documents that commands print.

use std::collections::BTreeMap;

use serde_json::Value;

/// The page.
fn page() -> &'static str {
    include_str!("../../../../docs/command.md")
}

/// The section of a command, such as `metaxy list stores`.
pub(crate) fn section(command: &str) -> &'static str {
    let title = format!("\n## `{command}`\n");
    let page = page();
    let start = page
        .find(&title)
        .unwrap_or_else(|| panic!("docs/command.md has no section `{command}`"));
    let rest = &page[start + title.len()..];
    rest.split("\n## ").next().unwrap()
}

/// Asserts that a document has the shape of the `nth` example in the section of its command.
pub(crate) fn assert_shape(command: &str, nth: usize, document: &Value) {
    let example = section(command)
        .split("```json\n")
        .nth(nth + 1)
        .and_then(|rest| rest.split("\n```").next())
        .unwrap_or_else(|| panic!("`{command}` has no example {nth}"));
    let example: Value = serde_json::from_str(example)
        .unwrap_or_else(|e| panic!("the example {nth} of `{command}`: {e}"));
    let (documented, actual) = (shape(&example), shape(document));
    if let Err(why) = fits(&documented, &actual, "") {
        panic!("`{command}`: {why}\n{document:#}");
    }
}

/// What a document is made of, whatever its values.
#[derive(Debug)]
enum Shape {
    /// A null says nothing of its type.
    Unknown,
    Scalar(&'static str),
    Object(BTreeMap<String, Shape>),
    /// Names that are not the document's but the user's, such as features and tags.
    Named(Box<Shape>),
    Array(Box<Shape>),
}

fn shape(value: &Value) -> Shape {
    match value {
        Value::Null => Shape::Unknown,
        Value::Bool(_) => Shape::Scalar("true or false"),
        Value::Number(_) => Shape::Scalar("a number"),
        Value::String(_) => Shape::Scalar("text"),
        Value::Array(items) => Shape::Array(Box::new(together(items.iter().map(shape)))),
        Value::Object(members) => Shape::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let below = match (name.as_str(), value) {
                        (
                            "tags" | "computed_by_feature" | "rename" | "metadata",
                            Value::Object(members),
                        ) => Shape::Named(Box::new(together(members.values().map(shape)))),
                        // Settings, and members of a spec, are of any type.
                        ("value" | "members", _) => Shape::Unknown,
                        // Rows have the user's columns.
                        ("new" | "stale" | "orphaned" | "rows", Value::Array(_)) => {
                            Shape::Array(Box::new(Shape::Unknown))
                        }
                        _ => shape(value),
                    };
                    (name.clone(), below)
                })
                .collect(),
        ),
    }
}

/// The shape of all: members that only some objects have count as well.
fn together(shapes: impl Iterator<Item = Shape>) -> Shape {
    shapes.fold(Shape::Unknown, merge)
}

fn merge(a: Shape, b: Shape) -> Shape {
    match (a, b) {
        (Shape::Unknown, other) | (other, Shape::Unknown) => other,
        (Shape::Object(mut a), Shape::Object(b)) => {
            for (name, below) in b {
                let known = a.remove(&name).unwrap_or(Shape::Unknown);
                a.insert(name, merge(known, below));
            }
            Shape::Object(a)
        }
        (Shape::Array(a), Shape::Array(b)) => Shape::Array(Box::new(merge(*a, *b))),
        (Shape::Named(a), Shape::Named(b)) => Shape::Named(Box::new(merge(*a, *b))),
        (a, _) => a,
    }
}

fn fits(documented: &Shape, actual: &Shape, path: &str) -> Result<(), String> {
    match (documented, actual) {
        (_, Shape::Unknown) | (Shape::Unknown, _) => Ok(()),
        (Shape::Scalar(a), Shape::Scalar(b)) if a == b => Ok(()),
        (Shape::Array(a), Shape::Array(b)) => fits(a, b, &format!("{path}[]")),
        (Shape::Named(a), Shape::Named(b)) => fits(a, b, &format!("{path}.*")),
        (Shape::Object(a), Shape::Object(b)) => {
            let names = |shape: &BTreeMap<String, Shape>| -> Vec<String> {
                shape.keys().cloned().collect()
            };
            if names(a) != names(b) {
                return Err(format!(
                    "documented at {path:?}: {:?}; printed: {:?}",
                    names(a),
                    names(b)
                ));
            }
            a.iter()
                .try_for_each(|(name, shape)| fits(shape, &b[name], &format!("{path}.{name}")))
        }
        (a, b) => Err(format!("documented at {path:?}: {a:?}; printed: {b:?}")),
    }
}
