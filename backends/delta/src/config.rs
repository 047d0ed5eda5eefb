//! What can be configured.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metaxy_core::Result;
use metaxy_core::backend::registry::OpenRequest;
use metaxy_core::backend::{Access, Backend};
use metaxy_core::error::nearest;
use metaxy_core::options::{OptionDoc, REQUIRED, StoreOptions, Synchronous};
use object_store::ObjectStore;

use crate::DeltaBackend;
use crate::disk::Keep;
use crate::root::{missing_feature, with_feature};

/// Where the folders of tables are, below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Layout {
    /// `{root}/{part}/{part}.delta`
    #[default]
    Nested,
    /// `{root}/{table name}.delta`
    Flat,
}

/// How the Parquet files of tables are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy: quick.
    #[default]
    Snappy,
    /// Zstandard of this level, 1 to 22: small.
    Zstd(i32),
}

/// How tables are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Bytes after which a new Parquet file is begun, and up to which small ones are merged. 100 MB.
    pub target_file_size: u64,
    /// The most rows of one row group. 65,536: who reads a table holds some groups of each column, whatever its size.
    pub row_group_rows: usize,
    /// How files are compressed.
    pub compression: Compression,
    /// Table properties of tables that are made, such as `delta.checkpointInterval`.
    pub configuration: BTreeMap<String, String>,
    /// The name of tables that are made.
    pub name: Option<String>,
    /// The description of tables that are made.
    pub description: Option<String>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            target_file_size: 100 * 1024 * 1024,
            row_group_rows: 65_536,
            compression: Compression::default(),
            configuration: BTreeMap::new(),
            name: None,
            description: None,
        }
    }
}

impl WriteOptions {
    /// Bytes after which a new Parquet file is begun.
    #[must_use]
    pub fn with_target_file_size(mut self, bytes: u64) -> Self {
        self.target_file_size = bytes;
        self
    }

    /// The most rows of one row group.
    #[must_use]
    pub fn with_row_group_rows(mut self, rows: usize) -> Self {
        self.row_group_rows = rows;
        self
    }

    /// How files are compressed.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets a property of tables that are made.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configuration.insert(name.into(), value.into());
        self
    }
}

/// Where a Delta store is, and how it is used. Its storage options are never shown.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeltaConfig {
    /// The folder or the address that all tables lie below: a path, `file://…`, `s3://…`, `s3a://…`, `az://…`, `abfss://…` or `gs://…`.
    pub root: String,
    /// Where tables are below the root.
    pub layout: Layout,
    /// What the client of the object store needs, such as `AWS_REGION`.
    pub storage_options: BTreeMap<String, String>,
    /// How tables are written.
    pub write: WriteOptions,
    /// How long requests that fail for reasons that may pass are repeated, and commits that others come before.
    pub retry_timeout: Duration,
    /// When a write to a disk of this machine is on it. Object stores keep what they have answered for. With [`Synchronous::Normal`] a power
    /// failure may lose or damage what was written last: for stores that are thrown away.
    pub synchronous: Synchronous,
    /// What syncs files, in place of the system's way.
    pub(crate) keep: Option<Keep>,
    pub(crate) object_store: Option<Arc<dyn ObjectStore>>,
}

impl DeltaConfig {
    /// The store below `root`; the other options as documented at the fields: nested, no storage options, 60 seconds, synced.
    pub fn new(root: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            layout: Layout::default(),
            storage_options: BTreeMap::new(),
            write: WriteOptions::default(),
            retry_timeout: Duration::from_secs(60),
            synchronous: Synchronous::default(),
            keep: None,
            object_store: None,
        }
    }

    /// Where tables are below the root.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// What the client of the object store needs.
    #[must_use]
    pub fn with_storage_options(
        mut self,
        options: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let options = options.into_iter();
        self.storage_options = options.map(|(k, v)| (k.into(), v.into())).collect();
        self
    }

    /// How tables are written.
    #[must_use]
    pub fn with_write_options(mut self, options: WriteOptions) -> Self {
        self.write = options;
        self
    }

    /// How long requests that fail for reasons that may pass are repeated.
    #[must_use]
    pub fn with_retry_timeout(mut self, timeout: Duration) -> Self {
        self.retry_timeout = timeout;
        self
    }

    /// When a write to a disk of this machine is on it.
    #[must_use]
    pub fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// The object store that all tables lie in, below its own root; the root of the configuration is then a name for messages only.
    #[must_use]
    pub fn with_object_store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.object_store = Some(store);
        self
    }

    /// The store itself. Nothing is looked at until it is first needed.
    #[must_use]
    pub fn open(self, access: Access) -> DeltaBackend {
        DeltaBackend::new(self, access)
    }
}

impl fmt::Debug for DeltaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeltaConfig")
            .field("root", &crate::root::shown(&self.root))
            .field("layout", &self.layout)
            .field("storage_options", &self.storage_options.keys())
            .field("write", &self.write)
            .field("retry_timeout", &self.retry_timeout)
            .field("synchronous", &self.synchronous)
            .finish_non_exhaustive()
    }
}

/// The options that [`open`] takes, in words.
pub(crate) const OPTIONS: &[OptionDoc] = &[
    OptionDoc::new(
        "root_path",
        "path or address",
        REQUIRED,
        "The folder that all tables lie below, relative to the configuration file; or `file://…`, `s3://…`, `az://…`, `abfss://…`, `gs://…`, as far as the build has the Cargo features. `~` is the home directory.",
    ),
    OptionDoc::new(
        "layout",
        "`nested` or `flat`",
        "\"nested\"",
        "Whether the table of `video/raw` is `video/raw.delta` or `video__raw.delta` below the root.",
    ),
    OptionDoc::new(
        "storage_options",
        "table of texts",
        "{}",
        "What the client of the object store needs, such as `AWS_REGION` and `AWS_ENDPOINT_URL`. They are never shown.",
    ),
    OptionDoc::new(
        "delta_write_options",
        "table",
        "{}",
        "How tables are written: `target_file_size` (bytes; 104857600), `writer_properties` (`compression` as `SNAPPY`, `ZSTD` or `UNCOMPRESSED`, `compression_level`, `max_row_group_size`), and for tables that are made `configuration` (table properties), `name` and `description`.",
    ),
    OptionDoc::new(
        "retry_timeout",
        "duration",
        "\"60s\"",
        "How long requests that fail for reasons that may pass are repeated, and commits that others come before.",
    ),
    OptionDoc::new(
        "synchronous",
        "`full` or `normal`",
        "\"full\"",
        "When a write to a folder of this machine is on its disk: before it is acknowledged, or when the system sees fit. With `normal` a power failure may lose or damage what was written last: for stores that are thrown away.",
    ),
];

/// Opens the store that a configuration describes.
pub(crate) fn open(request: OpenRequest) -> Result<Arc<dyn Backend>> {
    let access = request.access;
    let mut options = request.options;
    let root = options.string("root_path")?;
    if let Some((scheme, feature)) = missing_feature(&root) {
        let problem = format!("names `{scheme}://…`, for which this build lacks the Cargo feature");
        let error = options.invalid("root_path", format!("{problem} `delta-{feature}`"));
        return Err(error.with_hint(with_feature(feature)));
    }
    let mut config = DeltaConfig::new(resolved(&root, request.base_dir.as_deref()));
    config.storage_options = options
        .opt_string_map("storage_options")?
        .unwrap_or_default();
    if let Some(layout) = options.opt_choice("layout", &["nested", "flat"])? {
        config.layout = match layout {
            "flat" => Layout::Flat,
            _ => Layout::Nested,
        };
    }
    if let Some(table) = options.opt_table("delta_write_options")? {
        config.write = write_options(&options, table)?;
    }
    if let Some(timeout) = options.opt_duration("retry_timeout")? {
        config.retry_timeout = timeout;
    }
    if let Some(synchronous) = options.opt_synchronous()? {
        config.synchronous = synchronous;
    }
    options.finish()?;
    Ok(Arc::new(config.open(access)))
}

/// Paths are relative to the folder of the configuration file, but for `~` and absolute ones.
fn resolved(root: &str, base: Option<&Path>) -> String {
    if root.contains("://") || root == "~" || root.starts_with("~/") {
        return root.to_owned();
    }
    let path = base.map_or_else(|| PathBuf::from(root), |base| base.join(root));
    path.to_string_lossy().into_owned()
}

/// The options of the Python package's `write_deltalake` that have a meaning here.
const WRITE_OPTIONS: [&str; 12] = [
    "target_file_size",
    "writer_properties",
    "configuration",
    "name",
    "description",
    "mode",
    "schema_mode",
    "partition_by",
    "predicate",
    "storage_options",
    "commit_properties",
    "post_commithook_properties",
];

/// The options of its `WriterProperties` that have a meaning here.
const WRITER_PROPERTIES: [&str; 3] = ["compression", "compression_level", "max_row_group_size"];

fn write_options(options: &StoreOptions, table: toml::Table) -> Result<WriteOptions> {
    let invalid = |problem: String| options.invalid("delta_write_options", problem);
    let mut write = WriteOptions::default();
    for (name, value) in table {
        match (name.as_str(), &value) {
            ("target_file_size", _) => match positive(&value) {
                Some(bytes) => write.target_file_size = bytes,
                None => {
                    return Err(invalid(format!(
                        "has `{name}`, which is no number of bytes"
                    )));
                }
            },
            ("writer_properties", toml::Value::Table(properties)) => {
                writer_properties(&mut write, properties).map_err(invalid)?;
            }
            ("configuration", toml::Value::Table(properties)) => {
                for (property, value) in properties {
                    let text = text(value).ok_or_else(|| {
                        invalid(format!(
                            "has the table property `{property}`, which is no text"
                        ))
                    })?;
                    write.configuration.insert(property.clone(), text);
                }
            }
            ("name", toml::Value::String(text)) => write.name = Some(text.clone()),
            ("description", toml::Value::String(text)) => write.description = Some(text.clone()),
            // What is always done.
            ("mode", toml::Value::String(mode)) if mode == "append" => {}
            ("schema_mode", toml::Value::String(mode)) if mode == "merge" => {}
            ("mode" | "schema_mode", _) => {
                let problem = format!(
                    "has `{name} = {value}`, but tables are only appended to, and their columns merged"
                );
                return Err(invalid(problem));
            }
            (
                "partition_by" | "predicate" | "commit_properties" | "post_commithook_properties",
                _,
            ) => {
                return Err(invalid(format!(
                    "has `{name}`, which this store cannot honour"
                )));
            }
            ("storage_options", _) => {
                let problem = "has `storage_options`, which is an option of the store itself";
                return Err(invalid(problem.into()));
            }
            (known, _) if WRITE_OPTIONS.contains(&known) => {
                return Err(invalid(format!("has `{name}` of the wrong type")));
            }
            (unknown, _) => return Err(invalid(unknown_name(unknown, &WRITE_OPTIONS))),
        }
    }
    Ok(write)
}

fn writer_properties(write: &mut WriteOptions, table: &toml::Table) -> Result<(), String> {
    let level = match table.get("compression_level") {
        None => None,
        Some(level) => match positive(level).and_then(|level| i32::try_from(level).ok()) {
            Some(level @ 1..=22) => Some(level),
            _ => return Err("has a `compression_level` that is not 1 to 22".into()),
        },
    };
    for (name, value) in table {
        match name.as_str() {
            "compression" => {
                let name = value.as_str().unwrap_or_default().to_ascii_uppercase();
                write.compression = match name.as_str() {
                    "ZSTD" => Compression::Zstd(level.unwrap_or(3)),
                    "SNAPPY" => Compression::Snappy,
                    "UNCOMPRESSED" => Compression::None,
                    _ => {
                        return Err(format!(
                            "has the compression {value}; it can be ZSTD, SNAPPY or UNCOMPRESSED"
                        ));
                    }
                };
            }
            "compression_level" => {}
            "max_row_group_size" => match positive(value)
                .and_then(|rows| usize::try_from(rows).ok())
            {
                Some(rows) => write.row_group_rows = rows,
                None => return Err("has a `max_row_group_size` that is no number of rows".into()),
            },
            unknown => return Err(unknown_name(unknown, &WRITER_PROPERTIES)),
        }
    }
    Ok(())
}

fn unknown_name(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("has the unknown option `{name}`; did you mean `{near}`?"),
        None => format!(
            "has the unknown option `{name}`; known are {}",
            known.join(", ")
        ),
    }
}

fn positive(value: &toml::Value) -> Option<u64> {
    let number = match value {
        toml::Value::Integer(number) => u64::try_from(*number).ok(),
        toml::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| *number > 0)
}

fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
            Some(value.to_string())
        }
        _ => None,
    }
}

impl DeltaConfig {
    /// The storage options as deltalake takes them.
    pub(crate) fn raw_options(&self) -> HashMap<String, String> {
        self.storage_options.clone().into_iter().collect()
    }

    /// What syncs files, if they are synced.
    pub(crate) fn keep(&self) -> Option<Keep> {
        let keep = || -> Keep { Arc::new(std::fs::File::sync_all) };
        (self.synchronous == Synchronous::Full).then(|| self.keep.clone().unwrap_or_else(keep))
    }
}
