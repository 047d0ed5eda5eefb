//! What can be typed after `metaxy graph`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::commands::Direction;

#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(subcommand)]
    pub(crate) command: GraphCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GraphCommand {
    /// Draw the features and what depends on what.
    Render(GraphRender),
}

#[derive(Debug, Args)]
pub(crate) struct GraphRender {
    /// Draw these features and what is up- and downstream of them. [default: all]
    #[arg(value_name = "FEATURE")]
    pub(crate) features: Vec<String>,
    /// At most N steps upstream of the given features. [default: all]
    #[arg(long, value_name = "N", requires = "features")]
    pub(crate) upstream: Option<usize>,
    /// At most N steps downstream of the given features. [default: all]
    #[arg(long, value_name = "N", requires = "features")]
    pub(crate) downstream: Option<usize>,
    /// Draw a graph that was pushed to the store instead of the current one: its version, or `latest`.
    #[arg(long, value_name = "VERSION")]
    pub(crate) snapshot: Option<String>,
    /// Say how each feature stands: how many samples it has, and how many are new, stale or orphaned.
    #[arg(long)]
    pub(crate) status: bool,
    #[command(flatten)]
    pub(crate) drawing: Drawing,
}

/// How a graph is drawn.
#[derive(Debug, Args)]
#[command(next_help_heading = "Drawing")]
pub(crate) struct Drawing {
    /// What to draw it as. [default: by the extension of the file, else terminal]
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Picture>,
    /// The file for it; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out the fields.
    #[arg(long)]
    pub(crate) no_fields: bool,
    /// Where upstream leads to: from left to right, or from top to bottom. In a terminal always the latter. [default: lr]
    #[arg(long, value_name = "DIRECTION", value_enum, ignore_case = true)]
    pub(crate) direction: Option<Direction>,
    /// How many characters wide a drawing for the terminal may be. [default: as wide as the terminal, or 100]
    #[arg(long, value_name = "N")]
    pub(crate) width: Option<usize>,
}

/// What a graph is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    /// Boxes and lines of characters.
    #[value(alias = "plain")]
    Terminal,
    /// A Mermaid flowchart, as many sites show in Markdown.
    Mermaid,
    /// Graphviz's language.
    #[value(alias = "graphviz")]
    Dot,
    /// A picture.
    Svg,
    /// A page to look around in: one file that needs no network.
    Html,
    /// One JSON document with all that is known.
    Json,
}

impl Drawing {
    /// The format, or the one that the file's extension says.
    pub(crate) fn picture(&self) -> Picture {
        if let Some(format) = self.format {
            return format;
        }
        let extension = self.output.as_deref().and_then(|file| file.extension());
        match extension.and_then(|extension| extension.to_str()) {
            Some("mmd" | "mermaid") => Picture::Mermaid,
            Some("dot" | "gv") => Picture::Dot,
            Some("svg") => Picture::Svg,
            Some("html" | "htm") => Picture::Html,
            Some("json") => Picture::Json,
            _ => Picture::Terminal,
        }
    }
}
