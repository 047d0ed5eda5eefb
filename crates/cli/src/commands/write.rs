//! `metaxy write`.

use std::path::Path;

use metaxy_frames::END;
use metaxy_store::spec::Lineage;
use metaxy_store::{Access, Error, ErrorKind, FeatureKey, MetadataStore, Result, WriteOptions};
use serde_json::json;

use crate::args::{View, Write};
use crate::progress::Progress;
use crate::project::{Project, feature};
use crate::rows::{Incoming, Repeated, WithoutChildren};
use crate::screen::{Screen, count, shell_word};

pub(super) async fn run(project: &Project, args: Write, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Write).await?;
    let feature = feature(&store, &args.feature)?;
    let incoming = Incoming::open(&store, &feature, &args.samples, &args.reading).await?;
    if !incoming.ended && needs_end(&store, &feature, &args)? {
        return Err(without_end(&feature, &args));
    }
    let mut missed = store.missed_columns(&feature, incoming.rows.schema())?;
    let orphaned = incoming.orphaned();
    let mut options = WriteOptions::default()
        .with_preserve_times(args.keep_times)
        .with_preserve_feature_version(args.keep_versions)
        .with_require_versions(!args.allow_null_versions);
    if let Some(id) = args.materialization_id {
        options = options.with_materialization_id(id);
    }
    let progress = Progress::new(format!("writing {feature}"), incoming.total.clone());
    let ids = store.graph().require(&feature)?.spec.id_columns();
    let (rows, repeated) = Repeated::watch(progress.watch(incoming.rows), ids)?;
    let (rows, without_children) = WithoutChildren::watch(rows);
    let written = store.write_with(&feature, rows, options).await?;
    drop(progress);
    let repeated = repeated.count();
    let without_children = without_children.count();
    if without_children == written.rows {
        // Nobody takes columns of no samples.
        missed.clear();
    }
    if args.format == View::Json {
        return screen.document(&json!({
            "feature": feature.as_str(),
            "store": store.name(),
            "rows": written.rows,
            "repeated": repeated,
            "without_children": without_children,
            "orphaned_left_out": orphaned(),
            "missed_columns": missed.iter().map(|(column, by)| json!({
                "column": column,
                "features": by.iter().map(FeatureKey::as_str).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        }));
    }
    let rows = count(written.rows, "row");
    screen.line(format_args!(
        "{feature}: {rows} written to store {}",
        store.name()
    ))?;
    match without_children {
        0 => {}
        1 => screen.line("1 of them says that a parent has no children")?,
        many => screen.line(format_args!(
            "{many} of them say that a parent has no children"
        ))?,
    }
    if orphaned() > 0 {
        screen.line(format_args!(
            "{} left out; `metaxy delete {} --orphaned` deletes what upstream no longer has",
            count(orphaned(), "orphaned row"),
            shell_word(feature.as_str())
        ))?;
    }
    if let Some(repeated @ 1..) = repeated {
        screen.line(format_args!(
            "{} the ID of an earlier one: of each sample the last row counts",
            match repeated {
                1 => "1 row has".to_owned(),
                many => format!("{many} rows have"),
            }
        ))?;
    }
    for (column, by) in &missed {
        let by: Vec<&str> = by.iter().map(FeatureKey::as_str).collect();
        screen.line(format_args!(
            "the rows have no column {column:?}, which {} of {feature}",
            match by.as_slice() {
                [one] => format!("{one} takes"),
                several => format!("{} take", several.join(", ")),
            }
        ))?;
    }
    Ok(())
}

/// Whether samples have to say that they are all: a parent of which only some children are written would count as done.
fn needs_end(store: &MetadataStore, feature: &FeatureKey, args: &Write) -> Result<bool> {
    if args.require_end || args.no_require_end {
        return Ok(args.require_end);
    }
    let deps = store.graph().require(feature)?.spec.deps();
    let expands = deps
        .iter()
        .any(|dep| matches!(dep.lineage, Lineage::Expansion { .. }));
    Ok(expands && is_pipe(&args.samples))
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    let path = match path == Path::new("-") {
        true => Path::new("/dev/stdin"),
        false => path,
    };
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(path: &Path) -> bool {
    path == Path::new("-")
}

fn without_end(feature: &FeatureKey, args: &Write) -> Error {
    let why = match args.require_end {
        true => String::new(),
        false => format!(", and {feature} makes several samples of one"),
    };
    Error::new(
        ErrorKind::InvalidFrame,
        format!("nothing says that these are all samples of feature {feature}{why}: the step before may have died; nothing was written"),
    )
    .with_hint(format!(
        "resolve with --end, have the step pass the last object on ({{\"{END}\": …}}; Parquet and JSON say it themselves), or write with --no-require-end"
    ))
}
