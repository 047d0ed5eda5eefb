//! A table at one version: its columns and its files, as the log tells.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use metaxy_core::clock::Micros;
use metaxy_core::{Error, ErrorKind, FeatureKey, Result, columns};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checksum::{self, Checksums, TAG};
use crate::convert::logical_schema;
use crate::disk::Stray;
use crate::error;
use crate::stats::{ColumnStat, Stats};
use crate::types::{self, StoredColumn};

/// The table property of a table that was dropped.
pub(crate) const DROPPED: &str = "metaxy.dropped";

/// The table property: how many columns get statistics.
pub(crate) const INDEXED: &str = "delta.dataSkippingNumIndexedCols";

/// What readers must know that this backend knows.
const READER_FEATURES: [&str; 5] = [
    "timestampNtz",
    "vacuumProtocolCheck",
    "v2Checkpoint",
    // Known as long as nothing uses them: see `Meta::require_readable` and the files themselves.
    "columnMapping",
    "deletionVectors",
];

/// A table at one version. It does not change.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The version of the table's log.
    pub(crate) version: u64,
    /// The columns as they were appended.
    pub(crate) schema: SchemaRef,
    /// The same columns, and how they are stored.
    pub(crate) columns: Arc<Vec<StoredColumn>>,
    /// The files in storage order: rows that were stored later come later.
    pub(crate) files: Vec<DataFile>,
    /// Protocol and properties.
    pub(crate) meta: Arc<Meta>,
    /// The greatest modification time of all files that were seen, in milliseconds since 1970.
    pub(crate) greatest_modified: i64,
    /// The file of the last commit, which tells whether this is still the same log.
    pub(crate) mark: Option<ObjectMeta>,
}

impl Snapshot {
    /// Whether the table was dropped, and nobody has written to it since.
    pub(crate) fn is_dropped(&self) -> bool {
        self.is_marked() && self.files.is_empty()
    }

    /// Whether the table was dropped once.
    pub(crate) fn is_marked(&self) -> bool {
        self.meta.property(DROPPED) == Some("true")
    }

    /// Whether a program like this one made the table: it has a column of the system.
    pub(crate) fn is_ours(&self) -> bool {
        let system =
            |column: &StoredColumn| column.field.name().starts_with(columns::SYSTEM_PREFIX);
        self.columns.iter().any(system)
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] for a table of somebody else.
    pub(crate) fn require_ours(&self, feature: &FeatureKey, location: &str) -> Result<()> {
        if self.is_ours() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the Delta table {location}, where feature {feature} would be kept, is not metaxy's"
            ),
        )
        .with_hint("use another `root_path`; nothing was changed"))
    }

    /// The rows of all files, if all files tell.
    pub(crate) fn rows(&self) -> Option<u64> {
        let mut rows = self.files.iter().map(|file| file.rows);
        rows.try_fold(0_u64, |all, rows| all.checked_add(rows?))
    }
}

/// One Parquet file of a table.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    /// Where it is in the table's object store.
    pub(crate) path: String,
    /// The absolute path on this machine, or the full address.
    pub(crate) location: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Its rows, if the log tells.
    pub(crate) rows: Option<u64>,
    /// Columns that the file itself lacks, and their values as text.
    pub(crate) partition: Vec<(String, Option<String>)>,
    /// When it was stored, in milliseconds since 1970: what decides its place in storage order.
    pub(crate) modified: i64,
    /// Its number among the files that were stored at that time.
    pub(crate) part: u64,
    /// The path as the log writes it.
    pub(crate) raw_path: String,
    /// What its bytes are verified with, if its writer said.
    pub(crate) checksums: Option<Arc<Checksums>>,
    stats: Arc<Stats>,
    columns: Arc<Vec<StoredColumn>>,
    /// The greatest stamp of its rows, once somebody has looked.
    latest: Arc<OnceLock<Option<Micros>>>,
}

impl DataFile {
    /// What the log tells of a column's values; `None` if nothing is known.
    pub(crate) fn stat(&self, column: &str) -> Option<ColumnStat> {
        let column = self.columns.iter().find(|c| c.field.name() == column)?;
        self.stats.of(column)
    }

    /// Where the greatest stamp of the rows is remembered.
    pub(crate) fn latest(&self) -> &OnceLock<Option<Micros>> {
        &self.latest
    }
}

/// What a table is, apart from its rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) protocol: Protocol,
    pub(crate) metadata: Metadata,
    /// The columns as the log has them.
    pub(crate) delta_schema: Value,
}

impl Meta {
    fn property(&self, name: &str) -> Option<&str> {
        self.metadata.configuration.get(name)?.as_deref()
    }

    /// A table property as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.property(name)?.trim().parse().ok()
    }

    /// How many columns get statistics, if the table says.
    pub(crate) fn indexed(&self) -> Option<i64> {
        self.number(INDEXED)
    }

    /// Whether a table property is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.property(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn require_readable(&self, location: &str) -> Result<()> {
        let unknown = self
            .protocol
            .reader_features
            .iter()
            .flatten()
            .find(|feature| !READER_FEATURES.contains(&feature.as_str()));
        let mapped = self
            .property("delta.columnMapping.mode")
            .is_some_and(|mode| mode != "none");
        let version = self.protocol.min_reader_version;
        let lacking = match unknown {
            Some(feature) => feature.clone(),
            None if mapped => "columnMapping".to_owned(),
            None if version > 3 => format!("version {version} of what readers must know"),
            None => return Ok(()),
        };
        Err(unreadable(location, &lacking))
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] for a table whose writers must do what this backend does not. `removing`: rows are taken away.
    pub(crate) fn require_writable(&self, feature: &FeatureKey, removing: bool) -> Result<()> {
        let features = self.protocol.writer_features.iter().flatten();
        let known = [
            "appendOnly",
            "invariants",
            "checkConstraints",
            "changeDataFeed",
            "generatedColumns",
            "columnMapping",
            "deletionVectors",
            "domainMetadata",
            "inCommitTimestamp",
            "timestampNtz",
            "v2Checkpoint",
            "vacuumProtocolCheck",
        ];
        let unknown = features
            .map(String::as_str)
            .find(|feature| !known.contains(feature));
        let schema = self.delta_schema.to_string();
        let constrained = |key: &&String| key.starts_with("delta.constraints.");
        let version = self.protocol.min_writer_version;
        let newer = format!("version {version} of what writers must know");
        let lacking = if let Some(unknown) = unknown {
            unknown
        } else if version > 7 {
            &newer
        } else if self
            .metadata
            .configuration
            .keys()
            .any(|key| constrained(&key))
        {
            "constraints"
        } else if schema.contains("\"delta.invariants\"") {
            "invariants"
        } else if schema.contains("\"delta.generationExpression\"") {
            "generated columns"
        } else if self.flag("delta.enableInCommitTimestamps") {
            "in-commit timestamps"
        } else if !self.metadata.partition_columns.is_empty() {
            "partitions"
        } else if removing && self.flag("delta.enableChangeDataFeed") {
            "a change data feed"
        } else if removing && self.flag("delta.appendOnly") {
            "`delta.appendOnly`"
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("the Delta table of feature {feature} uses {lacking}, which a metaxy store cannot write with"),
        )
        .with_hint("write to it with another program, or use another `root_path`; nothing was changed"))
    }
}

fn unreadable(location: &str, feature: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the Delta table {location} uses {feature}, which a metaxy store cannot read"),
    )
    .with_hint("remove the feature from the table with the program that set it")
}

/// The action `protocol`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer_features: Option<Vec<String>>,
}

/// The action `metaData`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) format: Value,
    pub(crate) schema_string: String,
    #[serde(default)]
    pub(crate) partition_columns: Vec<String>,
    #[serde(default)]
    pub(crate) created_time: Option<i64>,
    #[serde(default)]
    pub(crate) configuration: BTreeMap<String, Option<String>>,
}

/// One line of a commit, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Line {
    add: Option<AddLine>,
    remove: Option<PathLine>,
    #[serde(rename = "metaData")]
    metadata: Option<Metadata>,
    protocol: Option<Protocol>,
    sidecar: Option<PathLine>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddLine {
    path: String,
    #[serde(default)]
    partition_values: BTreeMap<String, Option<String>>,
    size: i64,
    modification_time: i64,
    stats: Option<String>,
    /// What some checkpoints have instead.
    #[serde(rename = "stats_parsed")]
    parsed: Option<Value>,
    #[serde(default)]
    tags: Option<BTreeMap<String, Option<String>>>,
    deletion_vector: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct PathLine {
    path: String,
}

/// Makes a snapshot out of an earlier one and the commits that follow.
pub(crate) struct Replay<'a> {
    /// What the addresses of the files begin with.
    location: &'a str,
    version: Option<u64>,
    meta: Option<Arc<Meta>>,
    columns: Arc<Vec<StoredColumn>>,
    files: Vec<DataFile>,
    /// What the commits did, by path in the table's object store: the last word counts.
    changes: HashMap<String, Option<DataFile>>,
    metadata: Option<Metadata>,
    protocol: Option<Protocol>,
    greatest_modified: i64,
}

impl<'a> Replay<'a> {
    /// From nothing.
    pub(crate) fn new(location: &'a str) -> Self {
        Self {
            location,
            version: None,
            meta: None,
            columns: Arc::default(),
            files: Vec::new(),
            changes: HashMap::new(),
            metadata: None,
            protocol: None,
            greatest_modified: 0,
        }
    }

    /// From an earlier version.
    pub(crate) fn after(location: &'a str, earlier: &Snapshot) -> Self {
        Self {
            version: Some(earlier.version),
            meta: Some(earlier.meta.clone()),
            columns: earlier.columns.clone(),
            files: earlier.files.clone(),
            greatest_modified: earlier.greatest_modified,
            ..Self::new(location)
        }
    }

    /// The version that a checkpoint is of, whose [`lines`](Self::lines) follow.
    pub(crate) fn start_at(&mut self, version: u64) {
        self.version = Some(version);
    }

    /// The next commit.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it cannot be read, [`ErrorKind::Unsupported`] if it names files outside of the table's folder, or if rows of its
    /// files are marked as deleted.
    pub(crate) fn commit(&mut self, version: u64, bytes: &[u8]) -> Result<()> {
        let name = format!("{version:020}.json");
        let next = self.version.map_or(0, |version| version + 1);
        if version != next {
            return Err(error::damaged(
                self.location,
                &format!("_delta_log/{next:020}.json"),
                "it is missing, and there are later ones",
            ));
        }
        if bytes.trim_ascii().is_empty() {
            return Err(self.damaged(&name, "it is empty"));
        }
        if !checksum::is_whole(bytes) {
            return Err(self.damaged(&name, "it is not what was written"));
        }
        self.lines(&name, bytes)?;
        self.version = Some(version);
        Ok(())
    }

    /// What a file of the log says; returns the paths of the files that it points to.
    pub(crate) fn lines(&mut self, name: &str, bytes: &[u8]) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for line in serde_json::Deserializer::from_slice(bytes).into_iter::<Line>() {
            lines.push(line.map_err(|e| self.damaged(name, &e.to_string()))?);
        }
        let mut sidecars = Vec::new();
        for line in lines {
            if let Some(add) = line.add {
                if add
                    .deletion_vector
                    .as_ref()
                    .is_some_and(|vector| !vector.is_null())
                {
                    return Err(unreadable(self.location, "deletion vectors"));
                }
                self.add(add)?;
            }
            if let Some(remove) = line.remove {
                let path = self.located(&remove.path)?;
                self.changes.insert(path, None);
            }
            self.metadata = line.metadata.or(self.metadata.take());
            self.protocol = line.protocol.or(self.protocol.take());
            sidecars.extend(line.sidecar.map(|sidecar| sidecar.path));
        }
        Ok(sidecars)
    }

    fn damaged(&self, name: &str, problem: &str) -> Error {
        let error = error::damaged(self.location, &format!("_delta_log/{name}"), problem);
        if name.contains("checkpoint") || name.contains('/') {
            return error;
        }
        error.with_hint("if it is the last commit, and a power cut came before, remove it: its write was not acknowledged, and all before it is whole; otherwise put it back from a copy")
    }

    fn located(&self, path: &str) -> Result<String> {
        let found = located(path).map(String::from);
        found.map_err(|why| error::stray(self.location, &Stray::new(path, why)))
    }

    fn add(&mut self, add: AddLine) -> Result<()> {
        let path = self.located(&add.path)?;
        let stats = add
            .stats
            .or_else(|| add.parsed.map(|stats| stats.to_string()));
        let stats = Stats::new(stats);
        let tag = add.tags.as_ref().and_then(|tags| tags.get(TAG)?.as_deref());
        let file = DataFile {
            location: format!("{}/{path}", self.location),
            bytes: u64::try_from(add.size).unwrap_or(0),
            rows: stats.rows(),
            partition: add.partition_values.into_iter().collect(),
            modified: add.modification_time,
            part: part_number(&path),
            raw_path: add.path,
            checksums: tag.and_then(Checksums::parsed).map(Arc::new),
            stats: Arc::new(stats),
            columns: self.columns.clone(),
            latest: Arc::default(),
            path: path.clone(),
        };
        self.greatest_modified = self.greatest_modified.max(file.modified);
        self.changes.insert(path, Some(file));
        Ok(())
    }

    /// The snapshot of the last commit, whose file is `mark`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the log lacks something, [`ErrorKind::Unsupported`] if the table needs what this backend lacks.
    pub(crate) fn finish(mut self, mark: Option<ObjectMeta>) -> Result<Snapshot> {
        let known = self.meta.take();
        let (meta, columns) = match (known, self.metadata.take(), self.protocol.take()) {
            (Some(known), None, None) => (known, self.columns.clone()),
            (known, metadata, protocol) => {
                let known = known.as_deref();
                let lacks = |what: &str| {
                    let problem =
                        format!("the log of the Delta table {} has no {what}", self.location);
                    Error::new(ErrorKind::Corrupt, problem)
                };
                let metadata = metadata.or_else(|| Some(known?.metadata.clone()));
                let protocol = protocol.or_else(|| Some(known?.protocol.clone()));
                let metadata = metadata.ok_or_else(|| lacks("metadata"))?;
                let protocol = protocol.ok_or_else(|| lacks("protocol"))?;
                let delta_schema = serde_json::from_str(&metadata.schema_string);
                let meta = Meta {
                    protocol,
                    metadata,
                    delta_schema: delta_schema
                        .map_err(|e| lacks("schema that can be read").with_source(e))?,
                };
                meta.require_readable(self.location)?;
                let columns = types::columns(&meta.delta_schema)
                    .map_err(|error| error.with_context("table", self.location))?;
                (Arc::new(meta), Arc::new(columns))
            }
        };
        if !self.changes.is_empty() {
            self.files
                .retain(|file| !self.changes.contains_key(&file.path));
            self.files.extend(self.changes.into_values().flatten());
        }
        for file in &mut self.files {
            if !Arc::ptr_eq(&file.columns, &columns) {
                file.columns = columns.clone();
            }
        }
        self.files.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(Snapshot {
            version: self.version.unwrap_or(0),
            schema: logical_schema(&columns),
            columns,
            files: self.files,
            meta,
            greatest_modified: self.greatest_modified,
            mark,
        })
    }
}

/// Where a file is in the table's object store that a log names so. Names of our own have nothing that an address would write otherwise.
///
/// # Errors
/// What is wrong with a path that leads out of the table's folder, or may do so in another program's eyes.
pub(crate) fn located(path: &str) -> std::result::Result<Path, &'static str> {
    const OUTSIDE: &str = "is outside of the table's folder";
    let is_scheme = |text: &str| {
        let rest = text.strip_prefix(|c: char| c.is_ascii_alphabetic());
        rest.is_some_and(|rest| {
            rest.chars()
                .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
        })
    };
    let is_absolute = path.starts_with(['/', '\\'])
        || path
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("%2f"))
        || path
            .split_once(':')
            .is_some_and(|(scheme, _)| is_scheme(scheme));
    let found = Path::from_url_path(path).map_err(|_| OUTSIDE)?;
    let mut parts = found.as_ref().split(['/', '\\']);
    match is_absolute || found.as_ref().is_empty() || parts.any(|part| part == "..") {
        true => Err(OUTSIDE),
        false => Ok(found),
    }
}

/// The place of a file in storage order. Its name decides last, so that the order is the same each time.
fn order(file: &DataFile) -> (i64, u64, &str) {
    (file.modified, file.part, &file.path)
}

/// The number of a file that is called `part-00012-…`; 0 for other names.
pub(crate) fn part_number(path: &str) -> u64 {
    let name = path.rsplit('/').next().unwrap_or(path);
    let digits = name
        .strip_prefix("part-")
        .and_then(|rest| rest.split('-').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = concat!(
        r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
        "\n",
        r#"{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}"#
    );

    fn add(path: &str, modified: i64) -> String {
        format!(
            r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":7,"modificationTime":{modified},"dataChange":true,"stats":"{{\"numRecords\":3}}"}}}}"#
        )
    }

    fn snapshot(commits: &[String]) -> Result<Snapshot> {
        let mut replay = Replay::new("/t");
        for (version, commit) in commits.iter().enumerate() {
            replay.commit(version as u64, commit.as_bytes())?;
        }
        replay.finish(None)
    }

    #[test]
    fn files_come_in_the_order_in_which_they_were_stored() {
        let many = [add("part-00001-a", 5), add("part-00000-z", 5)].join("\n");
        let commits = [START.to_owned(), add("part-00000-late", 9), many];
        let found = snapshot(&commits).unwrap();
        let paths: Vec<&str> = found.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["part-00000-z", "part-00001-a", "part-00000-late"]);
        assert_eq!(found.rows(), Some(9));
        assert_eq!(found.greatest_modified, 9);
        assert_eq!(found.files[0].location, "/t/part-00000-z");
    }

    #[test]
    fn what_is_removed_is_gone_and_may_come_back() {
        let remove = r#"{"remove":{"path":"a","dataChange":true}}"#.to_owned();
        let commits = [START.to_owned(), add("a", 1), remove.clone()];
        assert!(snapshot(&commits).unwrap().files.is_empty());
        let again = [START.to_owned(), add("a", 1), remove, add("a", 4)];
        assert_eq!(snapshot(&again).unwrap().files.len(), 1);
    }

    #[test]
    fn a_path_is_one_however_it_is_written() {
        let remove = r#"{"remove":{"path":"a b\\c","dataChange":true}}"#.to_owned();
        let commits = [START.to_owned(), add("a%20b%5Cc", 1)];
        let found = snapshot(&commits).unwrap();
        assert_eq!(found.files[0].location, "/t/a b\\c");
        let [start, added] = commits;
        assert!(snapshot(&[start, added, remove]).unwrap().files.is_empty());
    }

    #[test]
    fn what_is_outside_of_the_folder_is_refused() {
        let outside = [
            "../a",
            "x/../../a",
            "%2e%2e/a",
            "%2e%2e%2fa",
            "..%5ca",
            "..\\\\a",
            "/etc/passwd",
            "%2Fetc/passwd",
            "file:///etc/passwd",
            "file:a",
            "s3://b/a",
            "S3://b/a",
            "C:\\\\a",
            "\\\\\\\\host\\\\a",
            "",
            ".",
            "./a",
            "a//b",
            "a\\u0000b",
            "a%00b",
            "%ff",
        ];
        for path in outside {
            for action in ["add", "remove"] {
                let line = add(path, 1).replace("\"add\"", &format!("\"{action}\""));
                let error = snapshot(&[START.to_owned(), line]).unwrap_err();
                assert_eq!(
                    error.kind(),
                    ErrorKind::Unsupported,
                    "{action} {path}: {error}"
                );
                assert!(error.message().contains("/t"), "{error}");
            }
        }
        for path in ["a", "x/a", "..a", "a..", "x=1:2/a", "a%253A"] {
            let found = snapshot(&[START.to_owned(), add(path, 1)]).unwrap();
            assert_eq!(found.files.len(), 1, "{path}");
        }
    }

    #[test]
    fn a_gap_and_rubbish_are_corrupt() {
        let mut replay = Replay::new("/t");
        assert_eq!(
            replay.commit(1, b"").unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert_eq!(
            replay.commit(0, b"{\"add").unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert!(snapshot(&[String::new()]).is_err());
    }

    #[test]
    fn features_that_are_not_known_are_named() {
        let mapped = START.replace(
            r#""configuration":{}"#,
            r#""configuration":{"delta.columnMapping.mode":"name"}"#,
        );
        let error = snapshot(&[mapped]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("columnMapping"));
        let vectors = add("a", 1).replace(
            "\"dataChange\"",
            "\"deletionVector\":{\"storageType\":\"u\"},\"dataChange\"",
        );
        let error = snapshot(&[START.to_owned(), vectors]).unwrap_err();
        assert!(error.message().contains("deletion vectors"));
    }
}
