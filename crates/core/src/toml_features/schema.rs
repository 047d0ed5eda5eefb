//! A JSON schema of feature files, for editors.

use serde_json::{Map, Value, json};

use super::reference::{FILE, KeyDoc, KeyForm, KeyRule, KeyTable};
use crate::json_schema::{draft, without_links, written};
use crate::options::REQUIRED;

/// The JSON schema of a feature file, draft 7, which the language servers for TOML read.
///
/// It says what the parser says: which keys there are, of what form, and what each is for. It does not look at names: whether a feature
/// that is named exists is seen when the graph is made.
///
/// ```
/// let schema = metaxy_core::toml_features::json_schema();
/// assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
/// let feature = &schema["properties"]["feature"]["items"];
/// assert_eq!(feature["required"], serde_json::json!(["key", "id_columns"]));
/// assert_eq!(feature["additionalProperties"], false);
/// ```
#[must_use]
pub fn json_schema() -> Value {
    draft("Feature files of Metaxy", table(&FILE))
}

/// What holds of a table.
fn table(table: &KeyTable) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    let properties = table
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), of_key(key)));
    schema.insert("properties".into(), properties.collect());
    let required = table.keys.iter().filter(|key| key.default == REQUIRED);
    let required: Vec<&str> = required.map(|key| key.name).collect();
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema.insert("additionalProperties".into(), false.into());
    let mut with = Map::new();
    for rule in table.rules {
        match rule {
            KeyRule::ExactlyOne(keys) => {
                let each = keys.iter().map(|key| json!({ "required": [key] }));
                schema.insert("oneOf".into(), each.collect());
            }
            KeyRule::With(key, other) => {
                with.insert((*key).to_owned(), json!([other]));
            }
            KeyRule::Alone(key) => {
                with.insert((*key).to_owned(), json!({ "maxProperties": 1 }));
            }
        }
    }
    if !with.is_empty() {
        schema.insert("dependencies".into(), with.into());
    }
    schema
}

fn of_key(key: &KeyDoc) -> Value {
    let mut schema = form(&key.form);
    schema.insert("description".into(), without_links(key.summary).into());
    if let Some(default) = written(key.default) {
        schema.insert("default".into(), default);
    }
    schema.into()
}

fn form(form: &KeyForm) -> Map<String, Value> {
    let schema = match form {
        KeyForm::Text => json!({ "type": "string" }),
        KeyForm::Flag => json!({ "type": "boolean" }),
        KeyForm::Key => json!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        }),
        KeyForm::Words(words) => json!({ "enum": words }),
        KeyForm::List(of) => json!({ "type": "array", "items": self::form(of) }),
        KeyForm::Map(of) => json!({ "type": "object", "additionalProperties": self::form(of) }),
        KeyForm::Table(of) => return table(of),
        KeyForm::Anything => json!({ "type": "object", "additionalProperties": true }),
        KeyForm::OneOf(forms) => {
            let forms: Vec<_> = forms.iter().map(self::form).collect();
            json!({ "anyOf": forms })
        }
    };
    match schema {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
