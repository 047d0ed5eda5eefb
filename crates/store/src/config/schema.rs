//! A JSON schema of `metaxy.toml`, for editors.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::reference::SETTINGS;
use super::selection::MEMBERS;
use super::settings::IGNORED_KEYS;
use super::{CommonStoreOptions, OptionDoc, REQUIRED};
use crate::backend::registry::{Descriptor, Registry};
use crate::json_schema::{draft, without_links, written};

/// What text has that refers to an environment variable.
const REFERENCE: &str = r"\$\{";

/// A path of the Python package may have a colon before the class.
const WITH_COLON: &str = r"^[\w.]+:\w+$";

/// The JSON schema of a configuration file, draft 7, which the language servers for TOML read.
///
/// It knows the settings, and the options of each store of `registry` by its types. Of this project's stores that `registry` lacks it
/// knows the types alone, and takes any options. Wherever a value may be text, because `${NAME}` stands for a variable, the schema takes text.
///
/// ```
/// use metaxy_store::config::json_schema;
/// use metaxy_store::backend::registry::Registry;
/// let schema = json_schema(&Registry::empty());
/// assert_eq!(schema["properties"]["project"]["type"], "string");
/// assert_eq!(schema["additionalProperties"], false);
/// ```
#[must_use]
pub fn json_schema(registry: &Registry) -> Value {
    let mut properties = Map::new();
    for setting in SETTINGS {
        let mut schema = of_option(setting);
        if setting.name == "stores" {
            schema.insert("additionalProperties".into(), store(registry));
        }
        properties.insert(setting.name.to_owned(), schema.into());
    }
    for key in IGNORED_KEYS {
        let description = "Of the Python package: accepted and ignored.";
        properties.insert((*key).to_owned(), json!({ "description": description }));
    }
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    schema.insert("additionalProperties".into(), false.into());
    // A file that goes on from another may add to the stores of that one.
    // That others are allowed is said, for servers that take no word about it for no.
    let typed = json!({
        "properties": {
            "stores": { "additionalProperties": { "required": ["type"], "additionalProperties": true } },
        },
        "additionalProperties": true,
    });
    schema.insert("if".into(), json!({ "required": ["extend"] }));
    schema.insert("then".into(), true.into());
    schema.insert("else".into(), typed);
    draft("The configuration of Metaxy: metaxy.toml", schema)
}

/// One store of any type.
fn store(registry: &Registry) -> Value {
    let mut kinds: Vec<&str> = Vec::new();
    // Editors complete and explain what stands here; what is right for a type follows below.
    let mut properties = Map::new();
    properties.insert("type".into(), Value::Null);
    properties.insert("config".into(), json!({ "type": ["object", "string"] }));
    let mut described: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut of_types = Vec::new();
    for option in CommonStoreOptions::DOCS {
        properties.insert(option.name.to_owned(), of_option(option).into());
    }
    for backend in registry.iter() {
        let names = names(backend.name, backend.type_path, backend.aliases);
        kinds.extend(&names);
        for option in backend.options {
            let said = described.entry(option.name).or_default();
            if !said.contains(&option.summary) {
                said.push(option.summary);
            }
        }
        of_types.push(json!({
            "if": {
                "properties": { "type": { "enum": names } },
                "required": ["type"],
                "additionalProperties": true,
            },
            "then": of_backend(backend),
        }));
    }
    for known in registry.absent() {
        kinds.extend(names(known.name, known.type_path, known.aliases));
    }
    for (name, said) in described {
        let either = properties.entry(name).or_insert_with(|| json!({}));
        if let Value::Object(either) = either {
            either.insert("description".into(), said.join("\n\n").into());
        }
    }
    let description =
        "What kind of store it is. `metaxy list backends` shows the kinds of this build.";
    let kind = json!({
        "description": description,
        "anyOf": [{ "enum": kinds }, { "type": "string", "pattern": format!("{REFERENCE}|{WITH_COLON}") }],
    });
    properties.insert("type".into(), kind);
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": true,
        "allOf": of_types,
    })
}

/// The names that a type goes by.
fn names<'a>(name: &'a str, type_path: &'a str, aliases: &[&'a str]) -> Vec<&'a str> {
    let mut names = vec![name, type_path];
    names.extend(aliases);
    names
}

/// A store of one type: it has its own options and those of every store, beside its `type` or below `config`.
fn of_backend(backend: &Descriptor) -> Value {
    let options = || CommonStoreOptions::DOCS.iter().chain(backend.options);
    let properties: Map<String, Value> = options()
        .map(|option| (option.name.to_owned(), of_option(option).into()))
        .collect();
    let mut beside = properties.clone();
    beside.insert("type".into(), json!({}));
    // Where the engine's own settings are called `config`, they stand below it too.
    let engine = backend.options.iter().any(|option| option.name == "config");
    let below = match engine {
        true => json!({ "type": "object", "properties": properties, "additionalProperties": true }),
        false => {
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
    };
    let text = text_that(r"^\s*\{");
    beside.insert("config".into(), json!({ "anyOf": [below, text] }));
    json!({ "properties": beside, "additionalProperties": false })
}

/// One setting or option. What it is comes from the words that the reference has for it; where those are unknown, it may be anything.
fn of_option(option: &OptionDoc) -> Map<String, Value> {
    let mut schema = of_kind(option.kind);
    schema.insert("description".into(), without_links(option.summary).into());
    if let Some(default) = written(option.default).filter(|_| option.default != REQUIRED) {
        schema.insert("default".into(), default);
    }
    schema
}

/// What the words for a kind of value mean, as the readers of [`StoreOptions`](super::StoreOptions) take it.
fn of_kind(kind: &str) -> Map<String, Value> {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let either = |schema: Value, text: &str| json!({ "anyOf": [schema, text_that(text)] });
    let schema = match kind {
        "text" | "path" | "path or address" | "one of libpq's words" => json!({ "type": "string" }),
        "truth value" => either(
            json!({ "type": "boolean" }),
            r"^\s*([Tt]([Rr][Uu][Ee])?|[Yy]([Ee][Ss])?|[Oo][Nn]|[Ff]([Aa][Ll][Ss][Ee])?|[Nn][Oo]?|[Oo][Ff][Ff]|[01])\s*$",
        ),
        "whole number" => either(
            json!({ "type": "integer", "minimum": 0 }),
            r"^\s*\+?[0-9]+\s*$",
        ),
        "duration" => either(
            json!({ "type": "number", "minimum": 0 }),
            r"^\s*[0-9.]+\s*(us|ms|s|m|h|d)?\s*$",
        ),
        "list" => either(json!({ "type": "array" }), r"^\s*\["),
        // One text is a list of one.
        "list of names" | "list of globs" => json!({ "anyOf": [texts(), { "type": "string" }] }),
        "list of selections" => either(json!({ "type": "array", "items": selection() }), r"^\s*\["),
        "table" => either(
            json!({ "type": "object", "additionalProperties": true }),
            r"^\s*\{",
        ),
        "table of texts" => {
            let scalar = json!({ "type": ["string", "number", "boolean"] });
            either(
                json!({ "type": "object", "additionalProperties": scalar }),
                r"^\s*\{",
            )
        }
        words => match choices(words) {
            Some(words) => {
                json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": REFERENCE }] })
            }
            None => json!({}),
        },
    };
    match schema {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Text of this form, or with a reference to a variable.
fn text_that(form: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{form}|{REFERENCE}") })
}

/// The words of "`a`, `b` or `c`".
fn choices(kind: &str) -> Option<Vec<&str>> {
    let words = kind
        .split([',', ' '])
        .filter(|word| !matches!(*word, "" | "or"));
    let words = words.map(|word| word.strip_prefix('`')?.strip_suffix('`'));
    words
        .collect::<Option<Vec<_>>>()
        .filter(|words| !words.is_empty())
}

/// An entry of `extra_features`.
fn selection() -> Value {
    let properties: Map<String, Value> = MEMBERS
        .iter()
        .map(|member| {
            let schema = match *member {
                "all" => of_kind("truth value"),
                // A key may be the list of its parts.
                "keys" => of_kind("list"),
                _ => of_kind("list of names"),
            };
            ((*member).to_owned(), schema.into())
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_known() {
        for option in SETTINGS.iter().chain(CommonStoreOptions::DOCS) {
            assert!(!of_kind(option.kind).is_empty(), "{}", option.name);
        }
    }

    #[test]
    fn words_are_choices() {
        assert_eq!(choices("`a`, `b` or `c-d`").unwrap(), ["a", "b", "c-d"]);
        assert_eq!(choices("`a` or text"), None);
        assert_eq!(choices(""), None);
    }
}
