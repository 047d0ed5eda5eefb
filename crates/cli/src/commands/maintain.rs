//! `metaxy maintain`.

use std::io::{IsTerminal, stdin};

use metaxy_core::maintain::{Footprint, MaintainAction};
use metaxy_core::{Access, MaintainOptions, MaintainReport, Result};

use crate::args::Maintain;
use crate::listing::Listing;
use crate::progress::{Progress, Total};
use crate::project::{Project, feature};
use crate::screen::{Screen, confirmed, count};

pub(super) async fn run(project: &Project, args: Maintain, screen: &Screen) -> Result<()> {
    let access = match args.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let store = project.open(access).await?;
    let mut options = MaintainOptions::default().with_dry_run(true);
    if !args.features.is_empty() {
        let features = args.features.iter().map(|name| feature(&store, name));
        options = options.with_features(features.collect::<Result<Vec<_>>>()?);
    }
    options.keep = args.keep;
    options.older_than = args.older_than;
    options.retention = args.retention;
    let format = args.format.frame();
    let show = |report: &MaintainReport, tense: Tense| match format {
        Some(_) => listing(report).show(screen, format),
        None => tell(report, tense, screen),
    };
    if args.dry_run || !args.yes {
        let expected = store.maintain(options.clone()).await?;
        if args.dry_run {
            return show(&expected, Tense::Would);
        }
        // A frame must be all that is printed, and an error has nothing before it.
        if format.is_none() && stdin().is_terminal() {
            tell(&expected, Tense::Would, screen)?;
        }
        let rows = match expected.rows_pruned() {
            0 => String::new(),
            rows => format!("remove {} and ", count(rows, "superseded row")),
        };
        if !confirmed(&format!("{rows}put store {} in order", store.name())).await? {
            return screen.line("Nothing was done.");
        }
    }
    let progress = Progress::new(
        format!("putting store {} in order", store.name()),
        Total::Unknown,
    );
    let report = store.maintain(options.with_dry_run(false)).await?;
    drop(progress);
    show(&report, Tense::Did)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Tense {
    Would,
    Did,
}

/// One line for each feature that loses rows, and for each action.
fn tell(report: &MaintainReport, tense: Tense, screen: &Screen) -> Result<()> {
    let removed = match tense {
        Tense::Would => "would be removed",
        Tense::Did => "removed",
    };
    for (feature, rows) in &report.pruned {
        let rows = count(*rows, "superseded row");
        screen.line(format_args!("prune {feature}: {rows} {removed}"))?;
    }
    for action in &report.actions {
        match action.removes() && action.before != Footprint::default() {
            true => screen.line(format_args!(
                "{}: {} {removed}",
                named(action),
                action.before
            ))?,
            false => screen.line(action)?,
        }
    }
    match report.pruned.is_empty() && report.actions.is_empty() {
        true => screen.line("There is nothing to do."),
        false => Ok(()),
    }
}

/// The action's name, and its table.
fn named(action: &MaintainAction) -> String {
    match &action.table {
        Some(table) => format!("{} {table}", action.name),
        None => action.name.to_owned(),
    }
}

/// One row for each feature that was searched, and for each action.
fn listing(report: &MaintainReport) -> Listing {
    let pruned = || report.pruned.iter();
    let actions = || report.actions.iter();
    let names = pruned().map(|_| "prune");
    let tables = pruned().map(|(feature, _)| Some(feature.as_str()));
    let rows = pruned().map(|(_, rows)| Some(*rows));
    let number = |of: fn(&MaintainAction) -> Option<u64>| {
        let pruned = pruned().map(|_| None);
        pruned.chain(actions().map(of)).collect::<Vec<_>>()
    };
    Listing::default()
        .text("action", names.chain(actions().map(|action| action.name)))
        .maybe_text(
            "table",
            tables.chain(actions().map(|action| action.table.as_deref())),
        )
        .number("rows removed", rows.chain(actions().map(|_| None)))
        .number("files before", number(|action| action.before.files))
        .number("files after", number(|action| action.after.files))
        .number("bytes before", number(|action| action.before.bytes))
        .number("bytes after", number(|action| action.after.bytes))
}
