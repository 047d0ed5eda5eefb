//! Values without secrets.

use toml::Value;

use super::tree::join;
use super::{MASK, is_secret_key, redact};

/// `value` as it may be shown under `key`, with all that stands inside of it; `secrets` are texts that are never shown.
pub(super) fn redact_value(key: &str, value: &Value, secrets: &[String]) -> Value {
    match value {
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| {
                    let shown = redact_value(&join(key, name), value, secrets);
                    (name.clone(), shown)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| redact_value(key, item, secrets))
                .collect(),
        ),
        _ if is_secret_key(key) => Value::String(MASK.to_owned()),
        Value::String(text) => {
            let mut shown = text.clone();
            for secret in secrets {
                shown = shown.replace(secret, MASK);
            }
            Value::String(redact(key, &shown).into_owned())
        }
        other => other.clone(),
    }
}
