//! What a step gave, and what the reference says it should.

use metaxy_store::json::Json;

use super::super::file::{Outcome, flag, list, opt_text};
use super::super::rows::{Difference, Row, golden, without};

/// The parts of an increment, as in the file.
pub(super) const PARTS: [&str; 3] = ["new", "stale", "orphaned"];

/// What a step gave: a value, rows, or both.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) value: Option<Json>,
    pub(super) parts: Vec<(&'static str, Vec<Row>)>,
}

impl Answer {
    pub(super) fn value(value: impl Into<Json>) -> Self {
        Self {
            value: Some(value.into()),
            parts: Vec::new(),
        }
    }

    pub(super) fn rows(rows: Vec<Row>) -> Self {
        Self {
            value: None,
            parts: vec![("rows", rows)],
        }
    }

    /// The rows of an answer that has one part.
    pub(super) fn only(&self) -> &[Row] {
        self.parts
            .first()
            .map(|(_, rows)| rows.as_slice())
            .unwrap_or_default()
    }

    /// What the reference says.
    pub(super) fn expected(step: &Json) -> Outcome<Self> {
        if flag(step, "expect_error") {
            return Err(format!(
                "the reference fails ({})",
                opt_text(step, "error_type").unwrap_or("?")
            ));
        }
        let Some(expect) = step.get("expect") else {
            return Ok(Self::default());
        };
        match opt_text(step, "op").unwrap_or_default() {
            "resolve" => {
                let part = |name| Ok((name, golden(list(expect, name)?)?));
                let parts: Outcome<Vec<_>> = PARTS.into_iter().map(part).collect();
                Ok(Self {
                    value: None,
                    parts: parts?,
                })
            }
            // How a lock file is laid out does not matter.
            "lock" => {
                let part = |name| (name, Json::from(expect.get(name).cloned()));
                let parts = ["result", "parsed"].map(part);
                Ok(Self::value(Json::object(parts)))
            }
            "read" | "rebase" | "compute_provenance" | "features" => match expect {
                Json::Array(rows) => Ok(Self::rows(golden(rows)?)),
                _ => Ok(Self {
                    value: Some(Json::object([(
                        "store",
                        Json::from(expect.get("store").cloned()),
                    )])),
                    ..Self::rows(golden(list(expect, "rows")?)?)
                }),
            },
            _ => Ok(Self::value(expect.clone())),
        }
    }

    /// The same without these columns.
    pub(super) fn without(mut self, dropped: &[&str]) -> Self {
        for (_, rows) in &mut self.parts {
            *rows = without(std::mem::take(rows), dropped);
        }
        self
    }

    /// Whether what was found is this.
    pub(super) fn check(&self, found: &Self) -> Outcome {
        let mut wrong = Vec::new();
        if !same(
            self.value.as_ref().unwrap_or(&Json::Null),
            found.value.as_ref().unwrap_or(&Json::Null),
        ) {
            let show =
                |value: &Option<Json>| value.as_ref().map_or_else(String::new, Json::to_compact);
            wrong.push(format!(
                "expected {}, found {}",
                show(&self.value),
                show(&found.value)
            ));
        }
        for (name, rows) in &self.parts {
            let here = found.parts.iter().find(|(other, _)| other == name);
            let here = here.map(|(_, rows)| rows.as_slice()).unwrap_or_default();
            let difference = Difference::between(rows, here);
            if !difference.is_empty() {
                wrong.push(format!("{name}:{difference}"));
            }
        }
        match wrong.as_slice() {
            [] => Ok(()),
            wrong => Err(wrong.join("; ")),
        }
    }
}

/// Whether a step is as the reference has it.
pub(super) fn compare(step: &Json, found: &Outcome<Answer>) -> Outcome {
    match (Answer::expected(step), found) {
        (Err(_), Err(_)) => Ok(()),
        (Err(why), Ok(_)) => Err(format!("succeeds where {why}")),
        (Ok(_), Err(error)) => Err(format!("fails: {error}")),
        (Ok(expected), Ok(found)) => expected.check(found),
    }
}

/// Equal values; floats nearly.
fn same(expected: &Json, found: &Json) -> bool {
    match (expected, found) {
        (Json::Object(expected), Json::Object(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|other| same(value, other)))
        }
        (Json::Array(expected), Json::Array(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(one, other)| same(one, other))
        }
        _ => match (number(expected), number(found)) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
            _ => expected == found,
        },
    }
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Int(digits) => digits.parse().ok(),
        Json::Float(value) => Some(*value),
        _ => None,
    }
}
