//! Checkpoints: what a table was at one version, in one file or several.
//!
//! They are read as commits are: the rows of a Parquet file become lines. So nothing that a checkpoint names is looked at before it is known to be
//! in the table's folder.

use arrow_json::LineDelimitedWriter;
use bytes::Bytes;
use deltalake::DeltaTable;
use metaxy_core::Result;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde_json::{Value, json};

use crate::backend::THREADS;
use crate::checksum::{Checksums, TAG};
use crate::error;
use crate::snapshot::{Replay, located};
use crate::table::{LOG, Table};

/// Where the files are that a checkpoint points to.
const SIDECARS: &str = "_sidecars";

/// What a file of a checkpoint is: one of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    of: u32,
    number: u32,
}

impl Part {
    /// By what follows `.checkpoint.` in its name; `None` if it is no such file.
    pub(crate) fn named(rest: &str) -> Option<Self> {
        const WHOLE: Part = Part { of: 1, number: 1 };
        let (name, kind) = rest.rsplit_once('.').unwrap_or(("", rest));
        match (name.split_once('.'), kind) {
            (None, "parquet" | "json") => (kind == "parquet" || !name.is_empty()).then_some(WHOLE),
            (Some((number, of)), "parquet") => Some(Self {
                of: of.parse().ok()?,
                number: number.parse().ok()?,
            }),
            _ => None,
        }
    }
}

/// A checkpoint that is there as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) version: u64,
    /// The names of its files.
    files: Vec<String>,
}

impl Checkpoint {
    /// The last one of which all files are there.
    pub(crate) fn last(mut found: Vec<(u64, Part, String)>) -> Option<Self> {
        found.sort_unstable_by(|a, b| {
            (b.0, a.1.of, a.1.number, &a.2).cmp(&(a.0, b.1.of, b.1.number, &b.2))
        });
        let groups = found.chunk_by(|a, b| (a.0, a.1.of) == (b.0, b.1.of));
        groups.into_iter().find_map(|files| {
            let (version, Part { of, .. }, _) = files.first()?;
            // Several programs may each have written one.
            let files = if *of == 1 { files.get(..1)? } else { files };
            let numbers = files.iter().map(|(_, part, _)| part.number);
            numbers.eq(1..=*of).then(|| Self {
                version: *version,
                files: files.iter().map(|(_, _, name)| name.clone()).collect(),
            })
        })
    }

    /// Reads it. `hint`: what `_last_checkpoint` says, perhaps of another one.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](metaxy_core::ErrorKind::Corrupt) if a file cannot be read or is not as it was written.
    pub(crate) async fn read(
        &self,
        table: &Table,
        hint: Option<&Value>,
        replay: &mut Replay<'_>,
    ) -> Result<()> {
        let mut names: Vec<String> = self.files.clone();
        let mut read = 0;
        replay.start_at(self.version);
        while let Some(name) = names.get(read).cloned() {
            read += 1;
            let bytes = table.log_file(&name).await?;
            let known = hint.and_then(|hint| hint.get("tags")?.get(tag(&name))?.as_str());
            let known = known.and_then(Checksums::parsed);
            if known.is_some_and(|known| !known.holds(&bytes)) {
                return Err(damaged(table, &name, "it is not what was written"));
            }
            let mut sidecars = Vec::new();
            if name.ends_with(".json") {
                sidecars = replay.lines(&name, &bytes)?;
            } else {
                let batches = lines(bytes).map_err(|e| damaged(table, &name, &e))?;
                for lines in batches {
                    let lines = lines.map_err(|e| damaged(table, &name, &e))?;
                    sidecars.extend(replay.lines(&name, &lines)?);
                }
            }
            if name.starts_with(SIDECARS) && !sidecars.is_empty() {
                return Err(damaged(table, &name, "it points to files of its own"));
            }
            for sidecar in sidecars {
                let file = located(&sidecar).map_err(|why| table.stray(&sidecar, why))?;
                if file.parts_count() != 1 {
                    return Err(table.stray(&sidecar, "is in another folder than its checkpoint"));
                }
                names.push(format!("{SIDECARS}/{file}"));
            }
        }
        Ok(())
    }
}

fn damaged(table: &Table, name: &str, problem: &str) -> metaxy_core::Error {
    error::damaged(&table.location, &format!("{LOG}/{name}"), problem).with_hint(
        "if the log still has all commits since an earlier checkpoint, or since the first, remove this file: they say the same; otherwise put it back from a copy",
    )
}

/// The actions in a Parquet file, as lines of JSON.
fn lines(
    bytes: Bytes,
) -> std::result::Result<impl Iterator<Item = std::result::Result<Vec<u8>, String>>, String> {
    if bytes.is_empty() {
        return Err("it is empty".into());
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let opened = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)
        .map_err(|e| e.to_string())?;
    let leaves = opened.parquet_schema().columns();
    let parts = |leaf: usize| leaves.get(leaf).map_or(&[][..], |leaf| leaf.path().parts());
    let is = |leaf: usize, path: &[&str]| {
        let parts = parts(leaf);
        parts.len() >= path.len() && parts.iter().zip(path).all(|(part, name)| part == name)
    };
    let all = 0..leaves.len();
    let has_stats = all.clone().any(|leaf| is(leaf, &["add", "stats"]));
    let wanted = all.filter(|leaf| {
        let known = ["add", "protocol", "metaData", "sidecar"];
        known.iter().any(|action| is(*leaf, &[action]))
            && !is(*leaf, &["add", "partitionValues_parsed"])
            && !(has_stats && is(*leaf, &["add", "stats_parsed"]))
    });
    let mask = ProjectionMask::leaves(opened.parquet_schema(), wanted.collect::<Vec<_>>());
    let rows = opened.with_projection(mask).build();
    let rows = rows.map_err(|e| e.to_string())?;
    Ok(rows.map(|batch| {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        let written = batch.and_then(|batch| {
            writer.write(&batch)?;
            writer.finish()
        });
        written.map_err(|e| e.to_string())?;
        Ok(writer.into_inner())
    }))
}

/// The tag of the hint that has the checksums of a file.
fn tag(name: &str) -> String {
    format!("{TAG}.{name}")
}

/// Writes a checkpoint of a version, or of the last one.
///
/// # Errors
/// [`ErrorKind::Storage`](metaxy_core::ErrorKind::Storage) if that fails.
pub(crate) async fn write(table: &Table, version: u64) -> Result<()> {
    let (log, secrets) = (table.log.clone(), table.secrets().clone());
    let what = format!("write a checkpoint of {}", table.location);
    // deltalake writes it on the thread that asks, and waits for others there.
    THREADS
        .run_blocking(async move {
            let mut delta = DeltaTable::new(log);
            let loaded = delta.load_version(version).await;
            loaded.map_err(|e| error::delta(&e, &what, &secrets))?;
            let written = deltalake::checkpoints::create_checkpoint(&delta, None).await;
            written.map_err(|e| error::delta(&e, &what, &secrets))
        })
        .await?;
    seal(table, version).await
}

/// Adds the checksums of a checkpoint's files to the hint that points to it.
async fn seal(table: &Table, version: u64) -> Result<()> {
    let Some(mut hint) = table.hint().await? else {
        return Ok(());
    };
    let listing = table.listing_from(Some(version)).await?;
    let Some(checkpoint) = listing.checkpoint.filter(|found| found.version == version) else {
        return Ok(());
    };
    if hint.get("version").and_then(Value::as_u64) != Some(version) {
        return Ok(());
    }
    let mut tags = serde_json::Map::new();
    for name in &checkpoint.files {
        let bytes = table.log_file(name).await?;
        tags.insert(tag(name), json!(Checksums::of(&bytes).tag()));
    }
    hint["tags"] = Value::Object(tags);
    let put = table.store.put(&hint_path(), hint.to_string().into()).await;
    put.map(drop)
        .map_err(|e| table.failed(&e, "write the hint to a checkpoint"))
}

/// Where the hint to the last checkpoint is.
pub(crate) fn hint_path() -> Path {
    Path::from(LOG).join("_last_checkpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checkpoint_that_is_whole_is_taken() {
        let last = |names: &[&str]| {
            let found = names.iter().filter_map(|name| {
                let (version, rest) = name.split_once(".checkpoint.")?;
                Some((
                    version.parse().ok()?,
                    Part::named(rest)?,
                    (*name).to_owned(),
                ))
            });
            let last = Checkpoint::last(found.collect());
            last.map_or_else(Vec::new, |last| last.files)
        };
        assert_eq!(last(&["3.checkpoint.parquet"]), ["3.checkpoint.parquet"]);
        let v2 = "4.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json";
        assert_eq!(last(&["3.checkpoint.parquet", v2]), [v2]);
        let (one, two) = ("9.checkpoint.1.2.parquet", "9.checkpoint.2.2.parquet");
        assert_eq!(last(&[two, v2, one]), [one, two]);
        assert_eq!(last(&[two, v2]), [v2]);
        assert!(last(&["3.checkpoint.json", "4.checkpoint.txt"]).is_empty());
    }
}
