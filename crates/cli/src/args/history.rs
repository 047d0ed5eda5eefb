//! What can be typed after `metaxy graph-diff` and `metaxy history`.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::format::ViewFormat;
use super::graph::{Drawing, Picture};
use crate::commands::Direction;

#[derive(Debug, Args)]
pub(crate) struct GraphDiff {
    /// The earlier graph: a pushed version, `latest`, or `current`.
    #[arg(value_name = "FROM", default_value = "latest")]
    pub(crate) from: String,
    /// The later graph.
    #[arg(value_name = "TO", default_value = "current")]
    pub(crate) to: String,
    /// Do not count the samples that the changes make new: this needs no rows of the store.
    #[arg(long)]
    pub(crate) no_counts: bool,
    /// What to show it as: text, one JSON document, or both graphs as one drawing. [default: by the extension of the file, else
    /// plain]
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<DiffFormat>,
    /// The file for it; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// What a difference is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiffFormat {
    /// One part for each feature, as text.
    Plain,
    /// One JSON document, or both graphs as one drawing.
    Drawn(Picture),
}

impl ValueEnum for DiffFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Plain,
            Self::Drawn(Picture::Json),
            Self::Drawn(Picture::Terminal),
            Self::Drawn(Picture::Mermaid),
            Self::Drawn(Picture::Dot),
            Self::Drawn(Picture::Svg),
            Self::Drawn(Picture::Html),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Plain => {
                Some(PossibleValue::new("plain").help("One part for each feature, as text"))
            }
            Self::Drawn(picture) => picture.to_possible_value(),
        }
    }
}

impl GraphDiff {
    pub(crate) fn format(&self) -> DiffFormat {
        self.format
            .unwrap_or_else(|| match self.drawing(None).picture() {
                Picture::Terminal => DiffFormat::Plain,
                picture => DiffFormat::Drawn(picture),
            })
    }

    /// How a drawing of it is made.
    pub(crate) fn drawing(&self, format: Option<Picture>) -> Drawing {
        Drawing {
            format,
            output: self.output.clone(),
            no_fields: false,
            direction: Some(Direction::Lr),
            width: None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The versions of this feature, instead of the pushed graphs.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: Option<String>,
    /// At most the newest N.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}
