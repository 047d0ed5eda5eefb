//! What can be configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metaxy_core::Result;
use metaxy_core::backend::registry::OpenRequest;
use metaxy_core::backend::{Access, Backend};
use metaxy_core::options::{LOCK_TIMEOUT, OptionDoc, REQUIRED, Synchronous, TABLE_PREFIX};

use crate::SqliteBackend;

/// Where a SQLite store is, and how it is used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The file; in a configuration file relative to its folder, otherwise to the working directory. `:memory:` is a temporary file that is gone with the store.
    pub database: PathBuf,
    /// What the names of feature tables start with.
    pub table_prefix: String,
    /// How long a writer waits for another.
    pub lock_timeout: Duration,
    /// When a commit is on disk. With [`Synchronous::Normal`] a power failure may lose the last writes, but never part of one.
    pub synchronous: Synchronous,
    /// Whether pages have checksums, which are verified at every read. See [`with_checksums`](Self::with_checksums).
    pub checksums: bool,
    /// The most pages (of 16 KiB) that the file may have; a write beyond fails as on a full disk.
    pub max_pages: Option<u32>,
}

impl SqliteConfig {
    /// The store in the file `database`; the other options as documented at the fields: no prefix, 30 seconds, full, checksums.
    pub fn new(database: impl AsRef<Path>) -> Self {
        Self {
            database: database.as_ref().to_owned(),
            table_prefix: String::new(),
            lock_timeout: Duration::from_secs(30),
            synchronous: Synchronous::default(),
            checksums: true,
            max_pages: None,
        }
    }

    /// What the names of feature tables start with.
    #[must_use]
    pub fn with_table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.table_prefix = prefix.into();
        self
    }

    /// How long a writer waits for another.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// When a commit is on disk.
    #[must_use]
    pub fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Whether pages have checksums, which are verified at every read, those of the log as well.
    ///
    /// With `true` a new file gets them, and one without gets them with the next `maintain`. With `false` a new file gets none, and
    /// nothing is verified; those of a file that has them are kept up. They take 8 bytes of each page of 16 KiB. Programs that do not
    /// know them read the file as any other. If such a program writes to it, the pages that it wrote do not match any more: `maintain` with
    /// `false` computes all of them anew.
    #[must_use]
    pub fn with_checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// The most pages (of 16 KiB) that the file may have.
    #[must_use]
    pub fn with_max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }

    /// The store itself. The file is opened when it is first needed.
    #[must_use]
    pub fn open(self, access: Access) -> SqliteBackend {
        SqliteBackend::new(self, access)
    }
}

/// The options that [`open`] takes, in words.
pub(crate) const OPTIONS: &[OptionDoc] = &[
    OptionDoc::new(
        "database",
        "path",
        REQUIRED,
        "The file, relative to the configuration file. `:memory:` is a temporary file that is gone with the store.",
    ),
    TABLE_PREFIX,
    LOCK_TIMEOUT,
    OptionDoc::new(
        "synchronous",
        "`full` or `normal`",
        "\"full\"",
        "When a commit is on disk: before the write is acknowledged, or soon after. With `normal` a power failure may lose the last writes, but never a part of one.",
    ),
    OptionDoc::new(
        "checksums",
        "truth value",
        "true",
        "Whether each page has a checksum that is verified whenever it is read: what a disk has changed is an error, and no wrong answer. A file without gets them with `metaxy maintain`. With `false` nothing is verified, and a new file gets none.",
    ),
    OptionDoc::new(
        "max_pages",
        "whole number",
        "",
        "The most pages (of 16 KiB) that the file may have; a write beyond fails as on a full disk.",
    ),
];

/// Opens the store that a configuration describes.
pub(crate) fn open(request: OpenRequest) -> Result<Arc<dyn Backend>> {
    let access = request.access;
    let mut options = request.options;
    let mut config = SqliteConfig::new(options.string("database")?);
    if config.database != Path::new(":memory:")
        && let Some(folder) = &request.base_dir
    {
        // An absolute path stays as it is.
        config.database = folder.join(&config.database);
    }
    if let Some(prefix) = options.opt_string("table_prefix")? {
        config.table_prefix = prefix;
    }
    if let Some(timeout) = options.opt_duration("lock_timeout")? {
        config.lock_timeout = timeout;
    }
    if let Some(synchronous) = options.opt_synchronous()? {
        config.synchronous = synchronous;
    }
    if let Some(checksums) = options.opt_bool("checksums")? {
        config.checksums = checksums;
    }
    if let Some(pages) = options.opt_u64("max_pages")? {
        let pages = u32::try_from(pages)
            .map_err(|_| options.invalid("max_pages", "it is more than 4294967295"))?;
        config.max_pages = Some(pages);
    }
    options.finish()?;
    Ok(Arc::new(config.open(access)))
}
