//! `metaxy write`.

use metaxy_core::{Access, Result, WriteOptions};
use serde_json::json;

use crate::args::{View, Write};
use crate::progress::Progress;
use crate::project::{Project, feature};
use crate::rows::Incoming;
use crate::screen::{Screen, count, shell_word};

pub(super) async fn run(project: &Project, args: Write, screen: &Screen) -> Result<()> {
    let store = project.open(Access::Write).await?;
    let feature = feature(&store, &args.feature)?;
    let incoming = Incoming::open(&store, &feature, &args.samples, &args.reading).await?;
    let orphaned = incoming.orphaned();
    let mut options = WriteOptions::default()
        .with_preserve_times(args.keep_times)
        .with_preserve_feature_version(args.keep_versions);
    if let Some(id) = args.materialization_id {
        options = options.with_materialization_id(id);
    }
    let progress = Progress::new(format!("writing {feature}"), incoming.total.clone());
    let rows = progress.watch(incoming.rows);
    let written = store.write_with(&feature, rows, options).await?;
    drop(progress);
    if args.format == View::Json {
        return screen.document(&json!({
            "feature": feature.as_str(),
            "store": store.name(),
            "rows": written.rows,
            "orphaned_left_out": orphaned(),
        }));
    }
    let rows = count(written.rows, "row");
    screen.line(format_args!(
        "{feature}: {rows} written to store {}",
        store.name()
    ))?;
    if orphaned() > 0 {
        screen.line(format_args!(
            "{} left out; `metaxy delete {} --orphaned` deletes what upstream no longer has",
            count(orphaned(), "orphaned row"),
            shell_word(feature.as_str())
        ))?;
    }
    Ok(())
}
