//! `metaxy maintain`.

use std::io::{IsTerminal, stdin};

use metaxy_store::backend::maintain::{Damage, Footprint, MaintainAction};
use metaxy_store::store::{OldVersion, VerifiedTable, VerifyReport, VersionsLeft};
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, MaintainOptions, MaintainReport, Result};

use crate::args::Maintain;
use crate::listing::Listing;
use crate::progress::{Progress, Total};
use crate::project::{Project, feature};
use crate::screen::{Screen, confirmed, count};

pub(super) async fn run(project: &Project, args: Maintain, screen: &Screen) -> Result<()> {
    if args.verify {
        return verify(project, &args, screen).await;
    }
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
    options.old_versions = args.old_versions;
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
        let rows = [
            (expected.rows_pruned(), "superseded row", ""),
            (expected.rows_of_old_versions(), "row", " of old versions"),
        ];
        let rows = rows.into_iter().filter(|(rows, ..)| *rows > 0);
        let rows: String = rows
            .map(|(rows, what, more)| format!("remove {}{more} and ", count(rows, what)))
            .collect();
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

/// Reads everything, and fails if something is broken, after all was told.
async fn verify(project: &Project, args: &Maintain, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Read).await?;
    let names = args.features.iter().map(|name| feature(&store, name));
    let features = names.collect::<Result<Vec<_>>>()?;
    let what = format!("reading all of store {}", store.name());
    let progress = Progress::new(what, Total::Unknown);
    let report = store.verify((!features.is_empty()).then_some(features));
    let report = report.await?;
    drop(progress);
    match args.format.frame() {
        Some(format) => verified(&report).show(screen, Some(format))?,
        None => tell_verified(&report, screen)?,
    }
    let damaged = report
        .tables
        .iter()
        .filter(|table| !table.damage.is_empty());
    let damaged: Vec<&str> = damaged.map(|table| table.feature.as_str()).collect();
    if damaged.is_empty() {
        return Ok(());
    }
    let message = format!("tables are damaged: {}", damaged.join(", "));
    Err(Error::new(ErrorKind::Corrupt, message)
        .with_context("store", store.name())
        .with_hint("bring the store back from a copy, or delete the damaged features for good and compute them again"))
}

fn tell_verified(report: &VerifyReport, screen: &Screen) -> Result<()> {
    for table in &report.tables {
        let VerifiedTable {
            feature,
            rows,
            damage,
            ..
        } = table;
        let rows = count(*rows, "row");
        match damage.as_slice() {
            [] => screen.line(format_args!("sound {feature}: {rows}"))?,
            _ => screen.line(format_args!("DAMAGED {feature}: {rows} could be read"))?,
        }
        for damage in damage {
            screen.line(format_args!("  {damage}"))?;
        }
    }
    for table in &report.unread {
        screen.line(format_args!("not read {table}: it belongs to no feature"))?;
    }
    match report.tables.is_empty() && report.unread.is_empty() {
        true => screen.line("There is nothing to verify."),
        false => Ok(()),
    }
}

/// One row for each damage, and for each table without any.
fn verified(report: &VerifyReport) -> Listing {
    struct Row<'a> {
        table: &'a str,
        state: &'a str,
        rows: Option<u64>,
        damage: Option<&'a Damage>,
    }
    let mut rows = Vec::new();
    for VerifiedTable {
        feature,
        rows: read,
        damage,
        ..
    } in &report.tables
    {
        let row = |damage| Row {
            table: feature.as_str(),
            state: if Option::is_some(&damage) {
                "damaged"
            } else {
                "sound"
            },
            rows: Some(*read),
            damage,
        };
        match damage.as_slice() {
            [] => rows.push(row(None)),
            all => rows.extend(all.iter().map(|damage| row(Some(damage)))),
        }
    }
    rows.extend(report.unread.iter().map(|table| Row {
        table,
        state: "unread",
        rows: None,
        damage: None,
    }));
    let place = |row: &Row<'_>| row.damage.and_then(|damage| damage.place.clone());
    let problem = |row: &Row<'_>| row.damage.map(|damage| damage.problem.clone());
    Listing::default()
        .text("table", rows.iter().map(|row| row.table))
        .text("state", rows.iter().map(|row| row.state))
        .number("rows", rows.iter().map(|row| row.rows))
        .maybe_text("place", rows.iter().map(place))
        .maybe_text("problem", rows.iter().map(problem))
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
    for OldVersion {
        feature,
        version,
        rows,
        ..
    } in &report.old_versions
    {
        let rows = count(*rows, "row");
        screen.line(format_args!(
            "prune {feature}: {rows} of version {version} {removed}"
        ))?;
    }
    for (feature, why) in &report.versions_left {
        let why = match why {
            VersionsLeft::NeverPushed => "no pushed graph has the feature",
            VersionsLeft::NotComputed => "the current one has no rows yet",
            _ => "they may be needed",
        };
        screen.line(format_args!("keep {feature}: all versions, as {why}"))?;
    }
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
    let told = report.old_versions.len() + report.versions_left.len() + report.pruned.len();
    match told == 0 && report.actions.is_empty() {
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

/// One row for each old version, for each feature that keeps all of them or was searched for superseded rows, and for each action.
fn listing(report: &MaintainReport) -> Listing {
    struct Row<'a> {
        action: &'a str,
        table: Option<&'a str>,
        version: Option<&'a str>,
        rows: Option<u64>,
        before: Footprint,
        after: Footprint,
    }
    fn about<'a>(action: &'a str, feature: &'a FeatureKey) -> Row<'a> {
        Row {
            action,
            table: Some(feature.as_str()),
            version: None,
            rows: None,
            before: Footprint::default(),
            after: Footprint::default(),
        }
    }
    let old = report.old_versions.iter();
    let old = old.map(|old| Row {
        version: Some(&old.version),
        rows: Some(old.rows),
        ..about("prune", &old.feature)
    });
    let kept = report.versions_left.iter();
    let kept = kept.map(|(feature, _)| about("keep", feature));
    let pruned = report.pruned.iter().map(|(feature, rows)| Row {
        rows: Some(*rows),
        ..about("prune", feature)
    });
    let actions = report.actions.iter().map(|action| Row {
        action: action.name,
        table: action.table.as_deref(),
        version: None,
        rows: None,
        before: action.before,
        after: action.after,
    });
    let rows: Vec<Row<'_>> = old.chain(kept).chain(pruned).chain(actions).collect();
    let number = |of: fn(&Row<'_>) -> Option<u64>| rows.iter().map(of).collect::<Vec<_>>();
    Listing::default()
        .text("action", rows.iter().map(|row| row.action))
        .maybe_text("table", rows.iter().map(|row| row.table))
        .maybe_text("version", rows.iter().map(|row| row.version))
        .number("rows removed", number(|row| row.rows))
        .number("files before", number(|row| row.before.files))
        .number("files after", number(|row| row.after.files))
        .number("bytes before", number(|row| row.before.bytes))
        .number("bytes after", number(|row| row.after.bytes))
}
