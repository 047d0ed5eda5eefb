//! `--format`: in what form a command tells what it found or did.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use metaxy_store::Result;

use metaxy_frames::{Compression, Format};

/// Words for people, or one JSON document for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum View {
    /// Words and tables for people.
    #[default]
    Plain,
    /// One JSON document.
    Json,
}

/// The form of a command's answer.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ViewFormat {
    /// plain for people, or json: one document for scripts.
    #[arg(
        long = "format",
        value_name = "FORMAT",
        value_enum,
        default_value = "plain",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub(crate) view: View,
}

/// A table for people, or a frame for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A table, whoever looks.
    Plain,
    /// A frame.
    Frame(Format),
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        if name == "plain" {
            return Ok(Self::Plain);
        }
        match Format::from_str(name) {
            Ok(format) => Ok(Self::Frame(format)),
            Err(_) => Err(format!("choose one of plain, {}", Format::names(", "))),
        }
    }
}

/// The form of a list.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ListFormat {
    /// plain for people; json, ndjson, csv, tsv or parquet for scripts. [default: plain]
    #[arg(long = "format", value_name = "FORMAT")]
    layout: Option<Layout>,
}

impl ListFormat {
    /// The frame that is asked for; `None` for a table.
    pub(crate) fn frame(self) -> Option<Format> {
        match self.layout {
            Some(Layout::Frame(format)) => Some(format),
            Some(Layout::Plain) | None => None,
        }
    }
}

/// The format of samples that a command reads.
pub(crate) fn samples_format(name: &str) -> std::result::Result<Format, String> {
    let format: Result<Format> = name.parse();
    format.map_err(|_| format!("choose one of {}", Format::names(", ")))
}

/// The compression of Parquet.
pub(crate) fn compression(name: &str) -> std::result::Result<Compression, String> {
    let compression: Result<Compression> = name.parse();
    compression.map_err(|_| {
        let known = Compression::ALL.map(Compression::name);
        format!("choose one of {}", known.join(", "))
    })
}

/// The form of an answer about samples that were written: people type the samples' own format there.
pub(crate) fn view_of_written(name: &str) -> std::result::Result<View, String> {
    match View::from_str(name, false) {
        Ok(view) => Ok(view),
        Err(_) if Format::from_str(name).is_ok() => Err(format!(
            "that is the form of the answer, plain or json; the format of the samples is `--samples-format {name}`"
        )),
        Err(_) => Err("choose one of plain, json".to_owned()),
    }
}
