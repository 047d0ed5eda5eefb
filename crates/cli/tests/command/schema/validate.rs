//! Draft 7 of JSON schemas, as far as the schemas of the command use it: another keyword is a failure of the test.

use regex::Regex;
use serde_json::{Map, Value};

/// What is wrong with a value.
pub(super) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    at(schema, value, "")
}

fn at(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let schema = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Bool(false) => return Err(format!("{path}: not allowed")),
        Value::Object(schema) => schema,
        other => panic!("{other} is no schema"),
    };
    for (keyword, rule) in schema {
        holds(schema, keyword, rule, value, path)?;
    }
    Ok(())
}

fn holds(
    schema: &Map<String, Value>,
    keyword: &str,
    rule: &Value,
    value: &Value,
    path: &str,
) -> Result<(), String> {
    let list = || rule.as_array().unwrap();
    let number = || rule.as_f64().unwrap();
    let fits = |schema: &Value| at(schema, value, path).is_ok();
    let is_met = match keyword {
        "$schema" | "title" | "description" | "default" | "then" | "else" => true,
        "type" => match rule {
            Value::Array(types) => types.iter().any(|of| has_type(of.as_str().unwrap(), value)),
            of => has_type(of.as_str().unwrap(), value),
        },
        "enum" => list().contains(value),
        "const" => rule == value,
        "allOf" => return list().iter().try_for_each(|each| at(each, value, path)),
        "anyOf" => list().iter().any(fits),
        "oneOf" => list().iter().filter(|each| fits(each)).count() == 1,
        "not" => !fits(rule),
        "if" => {
            let branch = if fits(rule) { "then" } else { "else" };
            return schema
                .get(branch)
                .map_or(Ok(()), |then| at(then, value, path));
        }
        "minimum" => value.as_f64().is_none_or(|value| value >= number()),
        "maximum" => value.as_f64().is_none_or(|value| value <= number()),
        "minLength" => value
            .as_str()
            .is_none_or(|text| text.chars().count() as f64 >= number()),
        "pattern" => {
            let pattern = Regex::new(rule.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() as f64 >= number()),
        "items" => {
            let items = value.as_array().into_iter().flatten().enumerate();
            for (place, item) in items {
                at(rule, item, &format!("{path}[{place}]"))?;
            }
            true
        }
        _ => of_object(schema, keyword, rule, value, path)?,
    };
    is_met
        .then_some(())
        .ok_or_else(|| format!("{path}: {value} does not meet {keyword} {rule}"))
}

/// Whether a keyword of objects is met; an error if a member is wrong.
fn of_object(
    schema: &Map<String, Value>,
    keyword: &str,
    rule: &Value,
    value: &Value,
    path: &str,
) -> Result<bool, String> {
    let known = [
        "properties",
        "additionalProperties",
        "required",
        "dependencies",
        "minProperties",
        "maxProperties",
    ];
    assert!(known.contains(&keyword), "unknown keyword {keyword}");
    let Some(members) = value.as_object() else {
        return Ok(true);
    };
    let lacks = |names: &Value| -> bool {
        let mut names = names.as_array().unwrap().iter();
        names.any(|name| !members.contains_key(name.as_str().unwrap()))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let size = members.len() as f64;
    Ok(match keyword {
        "required" => !lacks(rule),
        "minProperties" => size >= rule.as_f64().unwrap(),
        "maxProperties" => size <= rule.as_f64().unwrap(),
        "dependencies" => {
            for (name, rule) in rule.as_object().unwrap() {
                match rule {
                    _ if !members.contains_key(name) => {}
                    Value::Array(_) if lacks(rule) => {
                        return Err(format!("{path}: {name} needs {rule}"));
                    }
                    Value::Array(_) => {}
                    rule => at(rule, value, path)?,
                }
            }
            true
        }
        "properties" => {
            for (name, rule) in rule.as_object().unwrap() {
                if let Some(member) = members.get(name) {
                    at(rule, member, &format!("{path}.{name}"))?;
                }
            }
            true
        }
        _ => {
            for (name, member) in members {
                if properties.is_none_or(|properties| !properties.contains_key(name)) {
                    at(rule, member, &format!("{path}.{name}"))?;
                }
            }
            true
        }
    })
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}
