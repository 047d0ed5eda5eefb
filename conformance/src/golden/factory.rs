//! Where the stores of a replay come from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::{HashAlgorithm, Result};
use tempfile::TempDir;

/// What a case asks of its store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreRequest {
    /// The case, unique in a replay: a name for files, schemas or prefixes. It may hold `/`.
    pub case: String,
    /// How samples are hashed.
    pub algorithm: HashAlgorithm,
    /// How many characters of a hash are kept.
    pub truncation_length: usize,
    /// Where the reference put feature tables: `nested` or `flat`. Matters to stores that have layouts.
    pub layout: String,
}

impl StoreRequest {
    pub(super) fn new(
        case: impl Into<String>,
        algorithm: HashAlgorithm,
        truncation_length: usize,
    ) -> Self {
        Self {
            case: case.into(),
            algorithm,
            truncation_length,
            layout: "nested".into(),
        }
    }

    pub(super) fn with_layout(mut self, layout: &str) -> Self {
        self.layout = layout.into();
        self
    }
}

/// Makes empty stores: each case of a replay has one of its own.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The name of the kind of store, such as `sqlite`.
    fn name(&self) -> &str;

    /// A new, empty store, open for writing.
    ///
    /// # Errors
    /// If the store cannot be made; the case fails then.
    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>>;
}

/// How an embedded store is made in an empty directory.
type Open = Box<dyn Fn(&Path, &StoreRequest) -> Result<Arc<dyn Backend>> + Send + Sync>;

/// Stores that live in files: each in a directory of its own, all of them gone with the factory.
pub struct Embedded {
    name: &'static str,
    root: TempDir,
    made: AtomicUsize,
    open: Open,
}

impl Embedded {
    /// A factory of the stores that `open` makes in an empty directory.
    ///
    /// # Errors
    /// If there is no room for temporary files.
    pub fn new(
        name: &'static str,
        open: impl Fn(&Path, &StoreRequest) -> Result<Arc<dyn Backend>> + Send + Sync + 'static,
    ) -> Result<Self> {
        Ok(Self {
            name,
            root: tempfile::Builder::new()
                .prefix("metaxy-golden-")
                .tempdir()?,
            made: AtomicUsize::new(0),
            open: Box::new(open),
        })
    }
}

#[async_trait]
impl StoreFactory for Embedded {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let directory = self.root.path().join(number.to_string());
        std::fs::create_dir(&directory)?;
        (self.open)(&directory, request)
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("name", &self.name)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
