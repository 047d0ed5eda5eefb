//! What can be typed.

mod config;
mod describe;
mod explain;
mod format;
mod graph;
mod history;
mod mcp;
mod metadata;
mod question;
mod reading;
mod schema;
mod shell;
mod status;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use metaxy_store::clock::Micros;

use metaxy_frames::Compression;

pub(crate) use config::{ConfigArgs, ConfigCommand, ConfigPrint};
pub(crate) use describe::{Describe, DescribeFeature, DescribeGraph, Described};
pub(crate) use explain::Explain;
pub(crate) use format::{Layout, ListFormat, View, ViewFormat};
use format::{compression, view_of_written};
pub(crate) use graph::{Drawing, Graph, GraphCommand, GraphRender, Picture};
pub(crate) use history::{DiffFormat, GraphDiff, History};
pub(crate) use mcp::Mcp;
pub(crate) use metadata::{
    Consent, Copy, DeleteMany, Drop, Metadata, MetadataCommand, Rebase, Selection,
};
pub(crate) use question::{Comparison, Question};
pub(crate) use reading::Reading;
pub(crate) use schema::{Schema, SchemaOf};
pub(crate) use shell::{Completions, ManPages};
pub(crate) use status::Status;

/// Which samples of a data pipeline are new, stale or orphaned, before anything is computed.
#[derive(Debug, Parser)]
#[command(name = "metaxy", version, long_version = crate::build::version(), arg_required_else_help = true)]
#[command(after_help = "Try `metaxy demo` in any folder with source code, then `metaxy init`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which project and store a command works on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub(crate) struct Global {
    /// The store, as named in the configuration, instead of its default store.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) store: Option<String>,
    /// The configuration, instead of the metaxy.toml found in this folder or one above.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// The project, instead of the configured one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) project: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a project: write metaxy.toml and an example of features.
    Init(Init),
    /// Show on the files of a folder what Metaxy saves. The folder is only read.
    Demo(Demo),
    /// List the features or the stores of the project, or the types of stores.
    List(List),
    /// Show how features stand and what is to be done.
    Status(Status),
    /// Find the samples of a feature that are new, stale or orphaned.
    Resolve(Resolve),
    /// Write samples of a feature.
    Write(Write),
    /// Read samples of a feature.
    Read(Read),
    /// Delete samples of a feature.
    Delete(Delete),
    /// Put the storage of the store in order, and remove the history of samples.
    Maintain(Maintain),
    /// Record the features of the project in the store.
    Push(Push),
    /// Write a lock file: the features of other projects that this one depends on, as the store has them now.
    Lock(Lock),
    /// Draw the graph of features.
    Graph(Graph),
    /// Show what has changed between two graphs: the one pushed last and the current one, or any two that were pushed.
    GraphDiff(GraphDiff),
    /// Show the graphs that were pushed to the store, or the versions of a feature.
    History(History),
    /// Describe a feature, or the graph as a whole.
    Describe(Describe),
    /// Copy, delete, rebase or drop what stores have of whole features.
    Metadata(Metadata),
    /// Show the configuration.
    Config(ConfigArgs),
    /// Print the JSON schema of feature files or of metaxy.toml, by which editors complete and check them.
    Schema(Schema),
    /// Show the plan of a resolve, and what it becomes in the store's engine.
    Explain(Explain),
    /// Print a script with which a shell completes what is typed.
    Completions(Completions),
    /// Write the man pages.
    Man(ManPages),
    /// Answer the questions of language models about the store, over the Model Context Protocol on standard input and output.
    Mcp(Mcp),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder of the project.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder whose files are taken.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Where to work: a new folder, or one of an earlier demonstration, to see what your own edits there make stale.
    /// [default: a new temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
    /// The most files taken.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) max_files: usize,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to list.
    pub(crate) what: Listed,
    #[command(flatten)]
    pub(crate) format: ListFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Listed {
    /// Features, their versions and dependencies.
    Features,
    /// Stores, their types and fallbacks.
    Stores,
    /// Types of stores: those of this build, and those that it lacks.
    Backends,
}

/// Where rows go.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// The file for the rows; `-` is standard output. Without it rows go into a pipe as NDJSON, and a terminal shows the
    /// first of them.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// ndjson, json, csv, tsv or parquet, where the file's extension does not say it; or plain, for people.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Layout>,
    /// How Parquet is compressed: snappy, zstd, gzip, brotli, lz4 or none. [default: snappy]
    #[arg(long, value_name = "CODEC", value_parser = compression)]
    pub(crate) compression: Option<Compression>,
    /// For spreadsheets: put an apostrophe in front of CSV and TSV cells that would be taken for formulas.
    #[arg(long)]
    pub(crate) guard_cells: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) question: Question,
    /// Which rows: new, stale, orphaned, or all. Rows of several parts get a column `metaxy_part`, which `metaxy write`
    /// drops. [default: new,stale; a terminal shows all]
    #[arg(
        long = "part",
        value_name = "PART",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub(crate) parts: Vec<Part>,
    /// Only count.
    #[arg(long, conflicts_with_all = ["output", "compression"])]
    pub(crate) count: bool,
    /// End the rows with an object that says that they are all, which a step passes on and `write --require-end` waits for:
    /// {"metaxy_end": {"rows": 3}}. Parquet and JSON say it themselves.
    #[arg(long, conflicts_with = "count")]
    pub(crate) end: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    New,
    Stale,
    Orphaned,
    All,
}

#[derive(Debug, Args)]
pub(crate) struct Write {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// The samples; `-` is standard input, which is NDJSON by default. What `metaxy resolve` gave can be written as it is, or with
    /// columns added.
    #[arg(value_name = "FILE")]
    pub(crate) samples: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Mark the rows with this run of an orchestrator.
    #[arg(long, value_name = "ID")]
    pub(crate) materialization_id: Option<String>,
    /// Keep the times that the samples have: a copy. Then the later time decides which row of a sample counts, not the order of
    /// writes.
    #[arg(long)]
    pub(crate) keep_times: bool,
    /// Keep the feature and project versions that the samples have.
    #[arg(long)]
    pub(crate) keep_versions: bool,
    /// Take samples in which a field has no version: null is one like any other, and no change of it is seen until there is another.
    #[arg(long)]
    pub(crate) allow_null_versions: bool,
    /// Write nothing unless the samples say that they are all, as `resolve --end` does: a step that died half-way leaves no parent half done.
    /// [default: for features that make several samples of one, where the samples come through a pipe]
    #[arg(long)]
    pub(crate) require_end: bool,
    /// Write what comes through a pipe, whether it is all or not.
    #[arg(long, conflicts_with = "require_end")]
    pub(crate) no_require_end: bool,
    /// plain for people, or json: one document for scripts.
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "plain",
        hide_default_value = true,
        value_parser = view_of_written
    )]
    pub(crate) format: View,
}

#[derive(Debug, Args)]
pub(crate) struct Read {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// Only these columns, in this order.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Only rows for which this holds, such as "size > 3 AND kind IN ('a', 'b')". May be repeated.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// At most this many rows.
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) limit: Option<u64>,
    /// The latest row of each sample over all versions of the feature.
    #[arg(long)]
    pub(crate) with_feature_history: bool,
    /// Every row of each sample.
    #[arg(long)]
    pub(crate) with_sample_history: bool,
    /// Rows of this version of the feature, or of the one that starts like this, instead of the current one.
    #[arg(long, value_name = "VERSION")]
    pub(crate) feature_version: Option<String>,
    /// Soft-deleted samples as well.
    #[arg(long)]
    pub(crate) include_deleted: bool,
    /// The samples as they were then: RFC 3339, or a date.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) as_of: Option<Micros>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["filters", "all", "orphaned"]))]
pub(crate) struct Delete {
    /// The feature.
    #[arg(value_name = "FEATURE")]
    pub(crate) feature: String,
    /// Samples for which this holds. May be repeated: then all must hold.
    #[arg(long = "filter", value_name = "SQL")]
    pub(crate) filters: Vec<String>,
    /// Every sample.
    #[arg(long)]
    pub(crate) all: bool,
    /// Samples that upstream no longer has.
    #[arg(long)]
    pub(crate) orphaned: bool,
    /// With --orphaned: the samples that should be there, for a feature without upstream.
    #[arg(long, value_name = "FILE", requires = "orphaned")]
    pub(crate) samples: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Every row of each sample instead of the latest: all of its history is marked.
    #[arg(long, conflicts_with_all = ["hard", "orphaned"])]
    pub(crate) with_sample_history: bool,
    /// Remove samples for good, with all their rows. Without it they are marked, and writing a sample again brings it back.
    #[arg(long)]
    pub(crate) hard: bool,
    #[command(flatten)]
    pub(crate) limit: ShareLimit,
    /// Do not ask.
    #[arg(long, short, action = ArgAction::SetTrue)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

/// How much of a feature may be deleted.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ShareLimit {
    /// Delete at most this share of the samples of a feature, from 0 to 1. Without it more than half needs an answer to a question, which --yes is
    /// none to.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_share: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Maintain {
    /// The features. [default: the whole store]
    #[arg(value_name = "FEATURE")]
    pub(crate) features: Vec<String>,
    /// Remove all but the latest N rows of each sample and feature version. Samples stay as they are read now.
    #[arg(long, value_name = "N", conflicts_with = "older_than", value_parser = positive)]
    pub(crate) keep: Option<NonZeroU64>,
    /// Remove rows that later ones replaced and that are older than this, such as 30d, 12h or 90m.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Remove the rows of feature versions that none of the last N pushed graphs has. The current version stays.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) old_versions: Option<NonZeroU64>,
    /// Keep files that are no longer part of a table for so long, for reads that need them still. [default: the store's]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) retention: Option<Duration>,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Change nothing, read everything, verify every checksum, and say what is broken; fails if something is.
    #[arg(long, conflicts_with_all = ["keep", "older_than", "old_versions", "retention", "dry_run"])]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) format: ListFormat,
    /// Do not ask.
    #[arg(long, short, action = ArgAction::SetTrue)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Note something with it, such as commit=4f1c. May be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub(crate) tags: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The file. [default: `metaxy_lock_path`, or metaxy.lock beside the configuration]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: ViewFormat,
}

fn moment(text: &str) -> Result<Micros, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.timestamp_micros());
    }
    let midnight = text
        .parse::<NaiveDate>()
        .ok()
        .and_then(|date| date.and_hms_opt(0, 0, 0));
    match midnight {
        Some(midnight) => Ok(midnight.and_utc().timestamp_micros()),
        None => {
            Err("write 2024-01-31T12:00:00Z, or 2024-01-31 for its first moment, UTC".to_owned())
        }
    }
}

fn age(text: &str) -> Result<Duration, String> {
    const HELP: &str = "write a number and a unit: 30d, 12h, 90m or 45s";
    let (number, seconds) = match text.char_indices().last() {
        Some((end, 'd')) => (&text[..end], 86_400),
        Some((end, 'h')) => (&text[..end], 3_600),
        Some((end, 'm')) => (&text[..end], 60),
        Some((end, 's')) => (&text[..end], 1),
        _ => return Err(HELP.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| HELP.to_owned())?;
    let seconds = number.checked_mul(seconds);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "it is longer than any time that can be told".to_owned())
}

fn whole(text: &str) -> Result<u64, String> {
    let number = text.parse();
    number.map_err(|_| "write a whole number".to_owned())
}

fn positive(text: &str) -> Result<NonZeroU64, String> {
    let number = text.parse();
    number.map_err(|_| "write a whole number, 1 or more".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    number.ok_or_else(|| "write a number from 0 to 1, such as 0.8".to_owned())
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command that does something, by the words that call it.
    fn leaves(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        if command.get_subcommands().next().is_none() {
            found.push(name.to_owned());
        }
        for sub in command.get_subcommands() {
            leaves(sub, &format!("{name} {}", sub.get_name()), found);
        }
    }

    #[test]
    fn every_command_has_a_section_in_the_documentation() {
        let page = include_str!("../../../docs/command.md");
        let mut commands = Vec::new();
        leaves(&Cli::command(), "metaxy", &mut commands);
        assert!(commands.len() > 10, "{commands:?}");
        for command in commands {
            let start = format!("\n## `{command}");
            let listed =
                page.contains(&format!("{start}`\n")) || page.contains(&format!("{start} "));
            assert!(listed, "docs/command.md has no section for `{command}`");
        }
    }

    #[test]
    fn moments_are_utc() {
        assert_eq!(moment("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(age("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(age("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        for text in [
            "",
            "d",
            "30",
            "-1d",
            "1.5h",
            "3 d",
            "1w",
            "18446744073709551615d",
        ] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
