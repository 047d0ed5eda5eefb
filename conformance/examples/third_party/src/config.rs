//! What can be configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metaxy_store::Result;
use metaxy_store::backend::registry::OpenRequest;
use metaxy_store::backend::{Access, Backend};

use crate::FolderStore;

/// Where a folder store is, and how it is used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FolderConfig {
    /// The folder; in a configuration file relative to the working directory.
    pub path: PathBuf,
    /// How long a writer waits for another.
    pub lock_timeout: Duration,
}

impl FolderConfig {
    /// The store in the folder `path`; a writer waits 30 seconds for another.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            lock_timeout: Duration::from_secs(30),
        }
    }

    /// How long a writer waits for another.
    #[must_use]
    pub fn with_lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The store itself. Nothing is read or made before it is needed.
    #[must_use]
    pub fn open(self, access: Access) -> FolderStore {
        FolderStore::new(self, access)
    }
}

/// Opens the store that a configuration describes.
pub(crate) fn open(request: OpenRequest) -> Result<Arc<dyn Backend>> {
    let access = request.access;
    let mut options = request.options;
    let mut config = FolderConfig::new(options.string("path")?);
    if let Some(timeout) = options.opt_duration("lock_timeout")? {
        config.lock_timeout = timeout;
    }
    // An option that is left is one that this store does not know.
    options.finish()?;
    Ok(Arc::new(config.open(access)))
}
