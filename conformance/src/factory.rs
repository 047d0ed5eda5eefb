//! Where the stores of a replay or of the suite come from.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::{Access, HashAlgorithm, Result};
use tempfile::TempDir;

/// What a case asks of a store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreRequest {
    /// The name of the store, unique in a run: for files, schemas or prefixes. It may hold `/` and `:`. Another request with the
    /// same name is for the same store.
    pub case: String,
    /// What it is opened for.
    pub access: Access,
    /// How a golden replay hashes samples over this store. A backend need not know: a plan says how it hashes.
    pub algorithm: HashAlgorithm,
    /// How many characters of a hash it keeps.
    pub truncation_length: usize,
    /// Where the reference put feature tables: `nested` or `flat`. Matters to stores that have layouts.
    pub layout: String,
}

impl StoreRequest {
    pub(crate) fn new(
        case: impl Into<String>,
        algorithm: HashAlgorithm,
        truncation_length: usize,
    ) -> Self {
        Self {
            case: case.into(),
            access: Access::Write,
            algorithm,
            truncation_length,
            layout: "nested".into(),
        }
    }

    pub(crate) fn with_layout(mut self, layout: &str) -> Self {
        self.layout = layout.into();
        self
    }

    pub(crate) fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }
}

/// Whether stores can be made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// They can.
    Ready,
    /// What they need is not here, such as a server; in words for people.
    Missing(String),
}

/// How `metaxy.toml` describes a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The `type` of the store: the path under which the backend is registered.
    pub type_path: String,
    /// The options that stand beside `type`, as TOML.
    pub options: String,
}

/// Makes stores: each case has its own.
///
/// A store that lives in files is made by [`Embedded`]; one on a server implements this.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The name of the kind of store, such as `sqlite`.
    fn name(&self) -> &str;

    /// Whether stores can be made here. If not, the suite ignores its cases, or fails them if `CONFORMANCE_REQUIRED=1`.
    async fn availability(&self) -> Availability;

    /// The store of the request: a new, empty one for a name that was not asked for before, otherwise the same once more,
    /// as another process would open it. Several may be open at a time. On a server, names of a run begin with something of that run,
    /// names of tables keep at least 60 characters to the features, and each store's description tells where it is.
    ///
    /// # Errors
    /// If the store cannot be made; the case fails then.
    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>>;

    /// The store of the request is not asked for again: what it holds may go. By default it stays.
    ///
    /// # Errors
    /// If it cannot be removed.
    async fn discard(&self, _request: &StoreRequest) -> Result<()> {
        Ok(())
    }

    /// How a configuration describes the store of the request, if stores of this kind can be configured.
    fn settings(&self, request: &StoreRequest) -> Option<Settings>;

    /// Texts that no description, error or `Debug` output may show, such as the password of the server.
    fn secrets(&self) -> Vec<String>;
}

/// How an embedded store is made in a directory.
type Open = Box<dyn Fn(&Path, &StoreRequest) -> Result<Arc<dyn Backend>> + Send + Sync>;

/// The options of an embedded store in a directory, as TOML.
type Options = Box<dyn Fn(&Path) -> String + Send + Sync>;

/// Stores that live in files: each in a directory of its own, all of them gone with the factory.
///
/// ```
/// use std::sync::Arc;
/// use metaxy_conformance::Embedded;
/// use metaxy_store::sqlite::SqliteConfig;
///
/// let stores = Embedded::new("sqlite", |directory, request| {
///     Ok(Arc::new(SqliteConfig::new(directory.join("store.db")).open(request.access)))
/// })?
/// .with_settings("sqlite", |directory| format!("database = '{}/store.db'", directory.display()));
/// # Ok::<(), metaxy_store::Error>(())
/// ```
pub struct Embedded {
    name: &'static str,
    root: TempDir,
    directories: Mutex<HashMap<String, PathBuf>>,
    open: Open,
    settings: Option<(String, Options)>,
}

impl Embedded {
    /// A factory of the stores that `open` makes in a directory, which is empty when a store is new.
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
                .prefix("metaxy-conformance-")
                .tempdir()?,
            directories: Mutex::default(),
            open: Box::new(open),
            settings: None,
        })
    }

    /// Says how a configuration describes the store in a directory: its `type`, and its options as TOML.
    #[must_use]
    pub fn with_settings(
        mut self,
        type_path: impl Into<String>,
        options: impl Fn(&Path) -> String + Send + Sync + 'static,
    ) -> Self {
        self.settings = Some((type_path.into(), Box::new(options)));
        self
    }

    fn directory(&self, request: &StoreRequest) -> PathBuf {
        let mut directories = self
            .directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let next = directories.len().to_string();
        directories
            .entry(request.case.clone())
            .or_insert_with(|| self.root.path().join(next))
            .clone()
    }
}

#[async_trait]
impl StoreFactory for Embedded {
    fn name(&self) -> &str {
        self.name
    }

    async fn availability(&self) -> Availability {
        Availability::Ready
    }

    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>> {
        let directory = self.directory(request);
        std::fs::create_dir_all(&directory)?;
        (self.open)(&directory, request)
    }

    async fn discard(&self, request: &StoreRequest) -> Result<()> {
        let directory = self.directory(request);
        match directory.exists() {
            true => Ok(std::fs::remove_dir_all(directory)?),
            false => Ok(()),
        }
    }

    fn settings(&self, request: &StoreRequest) -> Option<Settings> {
        let (type_path, options) = self.settings.as_ref()?;
        Some(Settings {
            type_path: type_path.clone(),
            options: options(&self.directory(request)),
        })
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
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
