//! How upstream rows map to rows of a feature.

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::spec::read::Reader;

/// How upstream rows map to rows of the feature that depends on them (`semantics.md` §2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lineage {
    /// One row each.
    #[default]
    Identity,
    /// Many upstream rows make one row; their versions are folded per group.
    Aggregation {
        /// The columns, by their new names, that make a group. `None`: the feature's ID columns.
        on: Option<Vec<String>>,
    },
    /// One upstream row makes many rows, which are compared per upstream row.
    Expansion {
        /// The columns, by their new names, that identify the upstream row.
        on: Vec<String>,
        /// How IDs of the rows are made; a note for whoever makes them.
        id_generation_pattern: Option<String>,
    },
}

impl Lineage {
    /// Many upstream rows make one row: those that agree on the columns `on`.
    ///
    /// The feature's own ID columns are `Lineage::Aggregation { on: None }`.
    pub fn aggregation<C: Into<String>>(on: impl IntoIterator<Item = C>) -> Self {
        Self::Aggregation {
            on: Some(on.into_iter().map(Into::into).collect()),
        }
    }

    /// One upstream row, identified by the columns `on`, makes many rows.
    pub fn expansion<C: Into<String>>(on: impl IntoIterator<Item = C>) -> Self {
        Self::Expansion {
            on: on.into_iter().map(Into::into).collect(),
            id_generation_pattern: None,
        }
    }

    /// The columns that the lineage names itself.
    #[must_use]
    pub fn on(&self) -> Option<&[String]> {
        match self {
            Self::Identity => None,
            Self::Aggregation { on } => on.as_deref(),
            Self::Expansion { on, .. } => Some(on),
        }
    }

    pub(super) fn read(value: &Json, dep: &str) -> Result<Self> {
        let place = format!("{dep}, lineage");
        let outer = Reader::new(value, place.as_str(), &["relationship"])?;
        let reader = Reader::new(
            outer.required("relationship")?,
            place.as_str(),
            &["type", "on", "id_generation_pattern"],
        )?;
        match reader.text("type")? {
            Some("1:1") => Ok(Self::Identity),
            Some("N:1") => Ok(Self::Aggregation {
                on: reader.strings("on")?,
            }),
            Some("1:N") => match reader.strings("on")? {
                Some(on) => Ok(Self::Expansion {
                    on,
                    id_generation_pattern: reader.text("id_generation_pattern")?.map(str::to_owned),
                }),
                None => Err(Error::new(
                    ErrorKind::InvalidDefinition,
                    format!("{place}: `on` is missing"),
                )
                .with_hint("an expansion names the columns that identify the upstream row")),
            },
            other => Err(Error::new(
                ErrorKind::InvalidDefinition,
                format!("{place}: the type is {:?}", other.unwrap_or_default()),
            )
            .with_hint("it is \"1:1\", \"N:1\" or \"1:N\"")),
        }
    }

    pub(super) fn to_json(&self) -> Json {
        let relationship = match self {
            Self::Identity => Json::object([("type", Json::from("1:1"))]),
            Self::Aggregation { on } => {
                Json::object([("type", "N:1".into()), ("on", on.clone().into())])
            }
            Self::Expansion {
                on,
                id_generation_pattern,
            } => Json::object([
                ("type", "1:N".into()),
                ("on", on.clone().into()),
                (
                    "id_generation_pattern",
                    id_generation_pattern.clone().into(),
                ),
            ]),
        };
        Json::object([("relationship", relationship)])
    }
}
