//! `metaxy demo`: the story, told on real files.

use std::path::Path;
use std::time::Instant;

use metaxy_store::store::StatusOptions;
use metaxy_store::{Access, Result};
use serde_json::{Map, Value, json};

use super::status;
use crate::args::{Demo, View};
use crate::demo::files::work::{ChangeOptions, CopyOptions, WorkCopy};
use crate::demo::folder::DemoFolder;
use crate::demo::pipeline::{DERIVED, Pipeline, Run};
use crate::listing::{Grid, Listing};
use crate::progress::{Progress, Total};
use crate::project::Project;
use crate::screen::{Screen, count, program, shell_word};

/// How many files of a list are named.
const NAMED: usize = 10;

pub(super) async fn run(args: &Demo, screen: &Screen) -> Result<()> {
    let started = Instant::now();
    let view = args.format.view;
    let screen = &screen.viewed(view);
    if let Some(work) = &args.work
        && let Some(folder) = DemoFolder::existing(work)?
    {
        return again(&folder, screen, view).await;
    }
    let options = CopyOptions::default().with_max_files(args.max_files);
    let progress = Progress::new("copying files", Total::Unknown);
    let (mut folder, copy) = DemoFolder::create(&args.folder, args.work.as_deref(), &options)?;
    drop(progress);
    let pipeline = open(&folder).await?;
    introduce(&args.folder, &copy, screen)?;

    let first = busy("computing everything", pipeline.run()).await?;
    screen.heading("The first run: everything is new")?;
    screen.line(format_args!(
        "{} indexed, {} computed and written.",
        count(first.files, "file"),
        count(first.computed(), "result"),
    ))?;
    screen.blank()?;

    screen.heading("Then some files of the copy are edited")?;
    let mut runs = Vec::new();
    for (what, edits) in edits(first.files) {
        let made = copy.change(&edits)?;
        if made.is_empty() {
            continue;
        }
        for change in &made {
            screen.line(format_args!("  {change}"))?;
        }
        let run = busy("computing what is stale", pipeline.run()).await?;
        runs.push((what(made.len()), run));
    }
    screen.blank()?;
    tell(&runs, screen)?;

    let agree = busy("computing everything again", pipeline.check()).await?;
    screen.line(format_args!(
        "Checked: all {agree} results were computed again from scratch, and are what the store has."
    ))?;
    screen.blank()?;
    stand(&pipeline, screen).await?;
    folder.keep();
    let seconds = started.elapsed().as_secs_f64();
    screen.line(format_args!(
        "All of it is in {} ({seconds:.1} s). Delete the folder when you are done.",
        folder.path.display()
    ))?;
    next(&folder, screen)?;
    report(view, screen, || {
        document(&folder, Some(&first), &runs, Some(agree))
    })
}

/// What the user's own edits in the folder of an earlier demonstration made stale.
async fn again(folder: &DemoFolder, screen: &Screen, view: View) -> Result<()> {
    let pipeline = open(folder).await?;
    let run = busy("computing what is stale", pipeline.run()).await?;
    let changed = &run.changed;
    let lists = [
        ("new", &changed.new),
        ("edited", &changed.stale),
        ("gone", &changed.orphaned),
    ];
    let touched: usize = lists.iter().map(|(_, files)| files.len()).sum();
    if touched == 0 {
        screen.line(format_args!(
            "No part of the {} in {} differs from the last run: nothing is to be computed.",
            count(run.files, "file"),
            folder.files().display()
        ))?;
        next(folder, screen)?;
        return report(view, screen, || document(folder, None, &[], None));
    }
    screen.heading("Since the last run")?;
    for (what, files) in lists {
        for file in files.iter().take(NAMED) {
            screen.line(format_args!("  {file}: {what}"))?;
        }
        if files.len() > NAMED {
            screen.line(format_args!("  and {} more {what}", files.len() - NAMED))?;
        }
    }
    screen.blank()?;
    let runs = [("your edits".to_owned(), run)];
    tell(&runs, screen)?;
    stand(&pipeline, screen).await?;
    next(folder, screen)?;
    report(view, screen, || document(folder, None, &runs, None))
}

fn report(view: View, screen: &Screen, document: impl FnOnce() -> Value) -> Result<()> {
    match view {
        View::Plain => Ok(()),
        View::Json => screen.document(&document()),
    }
}

/// `checked`: how many results were computed again from scratch and came out alike.
fn document(
    folder: &DemoFolder,
    first: Option<&Run>,
    runs: &[(String, Run)],
    checked: Option<u64>,
) -> Value {
    let runs = runs.iter().map(|(what, run)| run_document(what, run));
    json!({
        "folder": folder.path.display().to_string(),
        "config_file": folder.config_file().display().to_string(),
        "first_run": first.map(|run| run_document("the copy", run)),
        "runs": runs.collect::<Vec<_>>(),
        "checked_results": checked,
    })
}

fn run_document(after: &str, run: &Run) -> Value {
    let derived = DERIVED.iter().zip(run.derived);
    let by_feature: Map<String, Value> = derived
        .map(|(feature, counts)| ((*feature).to_owned(), (counts.new + counts.stale).into()))
        .collect();
    json!({
        "after": after,
        "files": run.files,
        "computed": run.computed(),
        "computed_by_feature": by_feature,
        "computed_by_file": run.by_file(),
        "computed_from_scratch": run.everything(),
    })
}

/// Does `work`, and meanwhile shows on a terminal that it does.
async fn busy<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let _progress = Progress::new(what, Total::Unknown);
    work.await
}

async fn open(folder: &DemoFolder) -> Result<Pipeline> {
    let project = Project::new(folder.config()?);
    let store = project.open(Access::Write).await?;
    store.push_graph(None, &Default::default()).await?;
    Ok(Pipeline {
        store,
        files: folder.files(),
    })
}

fn introduce(original: &Path, copy: &WorkCopy, screen: &Screen) -> Result<()> {
    let original = original
        .canonicalize()
        .unwrap_or_else(|_| original.to_owned());
    screen.line(format_args!(
        "Copied {} ({}) of {}; the originals are only read.",
        count(copy.files as u64, "file"),
        size(copy.bytes),
        original.display(),
    ))?;
    if copy.capped {
        screen.note("There are more; --max-files N takes more of them.")?;
    }
    if !copy.skipped.is_empty() {
        let skipped = count(copy.skipped.len() as u64, "file");
        screen.note(format_args!(
            "{skipped} left out: empty, unreadable or larger than 256 KiB."
        ))?;
    }
    screen.blank()?;
    screen.line("Each file is a sample of the feature demo/file. Its fields are hashes of parts of the content:")?;
    screen.line(
        "code, outline (definitions, headings) and prose (comments, text). Downstream of it:",
    )?;
    screen.blank()?;
    Listing::default()
        .text("feature", DERIVED)
        .text(
            "depends on",
            [
                "prose of demo/file",
                "outline of demo/file",
                "what the other two found",
            ],
        )
        .text(
            "holds",
            [
                "the most frequent words",
                "names of definitions and headings",
                "a line about the file",
            ],
        )
        .show(screen, None)?;
    screen.blank()
}

type Words = fn(usize) -> String;

/// The edits, one kind after the other, and what to call so many of them.
fn edits(files: u64) -> Vec<(Words, ChangeOptions)> {
    let none = || {
        ChangeOptions::default()
            .with_comments(0)
            .with_definitions(0)
            .with_deletions(0)
            .with_additions(0)
    };
    vec![
        (
            |n| format!("a comment in {}", count(n as u64, "file")),
            none().with_comments(3),
        ),
        (
            |n| format!("{} renamed", count(n as u64, "definition")),
            none().with_definitions(1),
        ),
        (
            |n| format!("{} deleted", count(n as u64, "file")),
            // Something has to be left to look at.
            none().with_deletions(usize::from(files > 1)),
        ),
        (
            |n| format!("{} added", count(n as u64, "file")),
            none().with_additions(1),
        ),
    ]
}

/// What each run computed, and what it would have computed otherwise.
fn tell(runs: &[(String, Run)], screen: &Screen) -> Result<()> {
    let mut table = Grid::default();
    table.text_column("computed after");
    for column in ["keywords", "symbols", "cards", "Metaxy", "by file*", "all"] {
        table.number_column(column);
    }
    let mut sums = [0; 6];
    for (what, run) in runs {
        let [keywords, symbols, cards] = run.derived.map(|counts| counts.new + counts.stale);
        let numbers = [
            keywords,
            symbols,
            cards,
            run.computed(),
            run.by_file(),
            run.everything(),
        ];
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number;
        }
        table.row(std::iter::once(what.clone()).chain(numbers.map(|n| n.to_string())));
    }
    if runs.len() > 1 {
        table.row(std::iter::once("together".to_owned()).chain(sums.map(|n| n.to_string())));
    }
    screen.text(&table.render(screen))?;
    screen.note("* by a tool that looks at files as a whole")?;
    screen.blank()?;

    let [.., computed, by_file, all] = sums;
    let same: u64 = runs.iter().map(|(_, run)| run.same_outcome).sum();
    let found: u64 = runs.iter().map(|(_, run)| run.derived[2].orphaned).sum();
    screen.line(format_args!(
        "{} computed. A tool that looks at whole files computes {by_file}, one that starts over {all}.",
        was(computed, "result")
    ))?;
    if same > 0 {
        screen.line(format_args!(
            "In {} the keywords or symbols came out as before, so the card was left alone.",
            count(same, "file")
        ))?;
    }
    if found > 0 {
        screen.line(format_args!(
            "{} gone; what was computed from it was deleted.",
            is(found, "file")
        ))?;
    }
    Ok(())
}

async fn stand(pipeline: &Pipeline, screen: &Screen) -> Result<()> {
    let store = &pipeline.store;
    let features = store.graph().topological();
    let mut statuses = Vec::new();
    let mut survey = store.survey(features.iter().cloned(), StatusOptions::default());
    for feature in &features {
        statuses.push(survey.status(feature).await?);
    }
    status::listing(&statuses, store.name(), false).show(screen, None)?;
    screen.blank()
}

fn next(folder: &DemoFolder, screen: &Screen) -> Result<()> {
    let metaxy = program();
    let config = shell_word(&folder.config_file().display().to_string());
    let work = shell_word(&folder.path.display().to_string());
    let files = folder.files();
    screen.line(format_args!(
        "After edits of your own in {} the first of these shows what they make stale.",
        files.display()
    ))?;
    screen.next([
        format!("{metaxy} demo --work {work}"),
        format!("{metaxy} --config-file {config} status"),
        format!("{metaxy} --config-file {config} read demo/card --limit 5"),
        format!("{metaxy} init my-project"),
    ])
}

/// `1 file is`, `2 files are`.
fn is(number: u64, what: &str) -> String {
    format!(
        "{} {}",
        count(number, what),
        if number == 1 { "is" } else { "are" }
    )
}

/// `1 file was`, `2 files were`.
fn was(number: u64, what: &str) -> String {
    format!(
        "{} {}",
        count(number, what),
        if number == 1 { "was" } else { "were" }
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
