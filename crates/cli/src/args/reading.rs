//! How a file with samples is read.

use clap::{Args, ValueEnum};
use metaxy_frames::{Format, ReadOptions};

use super::format::samples_format;

/// What the file's name does not say.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// The format of the samples (ndjson, json, csv, tsv or parquet), where their file's extension does not say it.
    #[arg(long, value_name = "FORMAT", requires = "samples", value_parser = samples_format)]
    pub(crate) samples_format: Option<Format>,
    /// What stands between the cells of the samples in CSV or TSV, such as ';' or tab.
    #[arg(long, value_name = "CHARACTER", requires = "samples", value_parser = delimiter)]
    samples_delimiter: Option<u8>,
    /// Whether cells of the samples in CSV or TSV may stand in quotes. [default: double]
    #[arg(long, value_name = "QUOTES", requires = "samples")]
    samples_quotes: Option<Quotes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quotes {
    /// Cells may stand in double quotes; two of them are one.
    Double,
    /// Quotes are text.
    None,
}

impl Reading {
    /// The options, with this format where none is given.
    pub(crate) fn options(&self, otherwise: Option<Format>) -> ReadOptions {
        ReadOptions::default()
            .with_format(self.samples_format.or(otherwise))
            .with_delimiter(self.samples_delimiter)
            .with_quotes(self.samples_quotes != Some(Quotes::None))
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
            _ => Err("write one character of ASCII, such as ';', or `tab`".into()),
        },
    }
}
