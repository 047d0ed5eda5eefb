//! Reading golden files: exact JSON, and members that must be there.

use std::path::Path;

use metaxy_store::json::Json;

/// What stopped a replay or a comparison, for people.
pub(super) type Outcome<T = ()> = Result<T, String>;

/// The file as JSON; integers and floats keep their exact values.
pub(super) fn read(path: &Path) -> Outcome<Json> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Json::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The items of a file that is a list of cases.
pub(super) fn cases(content: &Json) -> Outcome<&[Json]> {
    content
        .as_array()
        .ok_or_else(|| "the file is not a list of cases".to_owned())
}

/// The member `name`, which is text.
pub(super) fn text<'a>(value: &'a Json, name: &str) -> Outcome<&'a str> {
    opt_text(value, name).ok_or_else(|| format!("no text {name:?}"))
}

/// The member `name`, if it is there and text.
pub(super) fn opt_text<'a>(value: &'a Json, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// The member `name`, which is a list.
pub(super) fn list<'a>(value: &'a Json, name: &str) -> Outcome<&'a [Json]> {
    let member = value.get(name).and_then(Json::as_array);
    member.ok_or_else(|| format!("no list {name:?}"))
}

/// The items of the list `name`; none if it is absent or null.
pub(super) fn opt_list<'a>(value: &'a Json, name: &str) -> &'a [Json] {
    value.get(name).and_then(Json::as_array).unwrap_or_default()
}

/// The texts of the list `name`; none if it is absent or null.
pub(super) fn texts<'a>(value: &'a Json, name: &str) -> Vec<&'a str> {
    opt_list(value, name)
        .iter()
        .filter_map(Json::as_str)
        .collect()
}

/// The members of the object `name`; none if it is absent or null.
pub(super) fn members<'a>(
    value: &'a Json,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a Json)> {
    let object = value
        .get(name)
        .and_then(Json::as_object)
        .into_iter()
        .flatten();
    object.map(|(key, member)| (key.as_str(), member))
}

/// Whether the member `name` is `true`.
pub(super) fn flag(value: &Json, name: &str) -> bool {
    value.get(name) == Some(&Json::Bool(true))
}

/// The member `name`, which is a small number.
pub(super) fn size(value: &Json, name: &str) -> Outcome<usize> {
    match value.get(name) {
        Some(Json::Int(digits)) => digits.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| format!("no number {name:?}"))
}
