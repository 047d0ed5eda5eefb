//! Where a store is: the root of its tables, the addresses of the tables, and their logs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use deltalake::logstore::{
    LogStoreRef, StorageConfig, default_logstore, logstore_with, object_store_factories,
};
use metaxy_core::{Error, ErrorKind, FeatureKey, Result};
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::config::{DeltaConfig, Layout};
use crate::disk::{Disk, Keep};
use crate::error::{self, Secrets};
use crate::retry::Retrying;

/// The Cargo feature that brings each kind of address.
const SCHEMES: [(&str, &str, bool); 9] = [
    ("s3", "s3", cfg!(feature = "s3")),
    ("s3a", "s3", cfg!(feature = "s3")),
    ("az", "azure", cfg!(feature = "azure")),
    ("adl", "azure", cfg!(feature = "azure")),
    ("azure", "azure", cfg!(feature = "azure")),
    ("abfs", "azure", cfg!(feature = "azure")),
    ("abfss", "azure", cfg!(feature = "azure")),
    ("gs", "gcs", cfg!(feature = "gcs")),
    ("gcs", "gcs", cfg!(feature = "gcs")),
];

/// The root of a store.
pub(crate) struct Root {
    /// The store that all tables lie in.
    store: Arc<dyn ObjectStore>,
    /// The root in it.
    prefix: StorePath,
    /// The address of the root, with `/` at its end.
    url: Url,
    /// The folder, if it is one of this machine.
    folder: Option<PathBuf>,
    keep: Option<Keep>,
    options: StorageConfig,
    /// Whether deltalake's own log store for this kind of address is used.
    cloud: bool,
}

impl Root {
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for an address that this build cannot open.
    pub(crate) fn open(config: &DeltaConfig, secrets: &Secrets) -> Result<Self> {
        let options = StorageConfig::parse_options(config.raw_options())
            .map_err(|e| error::delta(&e, "read the storage options", secrets))?;
        if let Some(store) = &config.object_store {
            return Ok(Self {
                store: Arc::new(Retrying::new(store.clone(), config.retry_timeout)),
                prefix: StorePath::default(),
                url: parsed("memory:///")?,
                folder: None,
                keep: None,
                options,
                cloud: false,
            });
        }
        match local(&config.root)? {
            Some(folder) => {
                let prefix = StorePath::from_absolute_path(&folder);
                let prefix = prefix.map_err(|e| unusable(&config.root, &e.to_string()))?;
                let url = Url::from_directory_path(&folder);
                let url = url.map_err(|()| unusable(&config.root, "it is no absolute path"))?;
                // Local requests are not repeated: what the file system refuses, it refuses again.
                Ok(Self {
                    store: Arc::new(Disk::new(folder.clone(), folder.clone(), None)),
                    prefix,
                    url,
                    folder: Some(folder),
                    keep: config.keep(),
                    options,
                    cloud: false,
                })
            }
            None => Self::remote(config, options, secrets),
        }
    }

    fn remote(config: &DeltaConfig, options: StorageConfig, secrets: &Secrets) -> Result<Self> {
        register();
        if let Some((_, feature)) = missing_feature(&config.root) {
            let problem = format!(
                "this build cannot reach such an address: it lacks the Cargo feature `delta-{feature}`"
            );
            return Err(about(&config.root, &problem).with_hint(with_feature(feature)));
        }
        refuse_lock(config)?;
        let url = parsed(&format!("{}/", config.root.trim_end_matches('/')))?;
        let scheme = parsed(&format!("{}://", url.scheme()))?;
        let factories = object_store_factories();
        let Some(factory) = factories.get(&scheme) else {
            return Err(unusable(&config.root, "this kind of address is not known"));
        };
        let (store, _) = factory
            .parse_url_opts(&url, &options)
            .map_err(|e| error::delta(&e, "make a client for its address", secrets))?;
        let prefix = StorePath::from_url_path(url.path());
        Ok(Self {
            store: Arc::new(Retrying::new(store, config.retry_timeout)),
            prefix: prefix.map_err(|e| unusable(&config.root, &e.to_string()))?,
            url,
            folder: None,
            keep: None,
            options,
            cloud: true,
        })
    }

    /// The store that all tables lie in, and the root in it.
    pub(crate) fn store(&self) -> (&Arc<dyn ObjectStore>, &StorePath) {
        (&self.store, &self.prefix)
    }

    /// Whether tables are in an object store that was opened by its address.
    pub(crate) fn is_cloud(&self) -> bool {
        self.cloud
    }

    /// The disk that the table whose folder is `relative` to the root is on, if it is one of this machine.
    pub(crate) fn disk(&self, relative: &str) -> Option<Disk> {
        let root = self.folder.as_ref()?;
        Some(Disk::new(
            root.join(relative),
            root.clone(),
            self.keep.clone(),
        ))
    }

    /// The log of the table whose folder is `relative` to the root.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the address cannot be used.
    pub(crate) fn log_store(&self, relative: &str, secrets: &Secrets) -> Result<LogStoreRef> {
        let url = self.url.join(&format!("{relative}/"));
        let url = url.map_err(|e| unusable(self.url.as_str(), &e.to_string()))?;
        if self.cloud {
            return logstore_with(self.store.clone(), &url, self.options.clone())
                .map_err(|e| error::delta(&e, "open a table", secrets));
        }
        let prefix =
            StorePath::from_iter(self.prefix.parts().chain(StorePath::from(relative).parts()));
        let whole: Arc<dyn ObjectStore> = match self.disk(relative) {
            Some(disk) => Arc::new(disk),
            None => self.store.clone(),
        };
        let table: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(whole.clone(), prefix));
        Ok(default_logstore(table, whole, &url, &self.options))
    }

    /// What the addresses of the files of a table begin with: a folder of this machine, or an address.
    pub(crate) fn location(&self, relative: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(relative).to_string_lossy().into_owned(),
            None => format!("{}{relative}", self.url),
        }
    }
}

/// The folder of a feature's table, relative to the root (`semantics.md` §8).
pub(crate) fn relative(layout: Layout, feature: &FeatureKey) -> String {
    match layout {
        Layout::Nested => format!("{}.delta", feature.as_str()),
        Layout::Flat => format!("{}.delta", feature.table_name()),
    }
}

/// The scheme of an address and the Cargo feature it needs, if this build lacks it.
pub(crate) fn missing_feature(root: &str) -> Option<(&'static str, &'static str)> {
    missing_of(&SCHEMES, root)
}

/// What to do where a Cargo feature is missing.
pub(crate) fn with_feature(feature: &str) -> String {
    format!(
        "build metaxy-cli or metaxy-store again with `--features delta-{feature}`; of metaxy-delta alone it is `{feature}`"
    )
}

fn missing_of(
    schemes: &[(&'static str, &'static str, bool)],
    root: &str,
) -> Option<(&'static str, &'static str)> {
    let (given, _) = root.split_once("://")?;
    let lacks = schemes
        .iter()
        .find(|(scheme, _, has)| given.eq_ignore_ascii_case(scheme) && !has);
    lacks.map(|(scheme, feature, _)| (*scheme, *feature))
}

/// An address as it may be shown: without credentials, and without what follows `?`.
pub(crate) fn shown(root: &str) -> String {
    let root = root.split('?').next().unwrap_or(root);
    match root.split_once("://") {
        // `abfss://container@account…` has no credentials; `user:password@host` has.
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((user, rest)) if user.contains(':') => format!("{scheme}://…@{rest}"),
            _ => root.to_owned(),
        },
        None => root.to_owned(),
    }
}

/// The absolute path of a root on this machine; `None` for other addresses.
fn local(root: &str) -> Result<Option<PathBuf>> {
    let path = match root.split_once("://") {
        Some(("file" | "local", path)) => path,
        Some(_) => return Ok(None),
        None => root,
    };
    let path = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home =
                std::env::home_dir().ok_or_else(|| unusable(root, "there is no home folder"))?;
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    };
    let path = std::path::absolute(path).map_err(|e| unusable(root, &e.to_string()))?;
    Ok(Some(without_dots(&path)))
}

/// Addresses know no `..`.
fn without_dots(path: &Path) -> PathBuf {
    if !path
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        return path.to_owned();
    }
    // As the file system sees it, as far as it exists: a folder may be a link.
    let mut seen = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                seen = seen.canonicalize().unwrap_or(seen);
                seen.pop();
            }
            part => seen.push(part),
        }
    }
    seen
}

/// The lock by which writers of object stores without put-if-absent agree with each other. Commits here do not ask for it.
const LOCK: &str = "AWS_S3_LOCKING_PROVIDER";

/// # Errors
/// [`ErrorKind::InvalidConfig`] if the tables are written under a lock: a writer that ignores it would overwrite others' commits, or
/// they its own.
fn refuse_lock(config: &DeltaConfig) -> Result<()> {
    let mut options = config.storage_options.keys();
    let has_lock = options.any(|name| name.eq_ignore_ascii_case(LOCK))
        || config.root.starts_with("s3") && std::env::var_os(LOCK).is_some_and(|on| !on.is_empty());
    if !has_lock {
        return Ok(());
    }
    let root = shown(&config.root);
    Err(Error::new(
        ErrorKind::InvalidConfig,
        format!("the Delta store at {root} cannot be opened: {LOCK} asks for a lock that it does not know"),
    )
    .with_hint("leave it out once all writers put a commit only where there is none, as S3 can do itself"))
}

fn parsed(address: &str) -> Result<Url> {
    Url::parse(address).map_err(|e| unusable(address, &e.to_string()))
}

fn unusable(root: &str, problem: &str) -> Error {
    about(root, problem)
        .with_hint("the option `root_path` is a folder, or an address such as s3://bucket/folder")
}

fn about(root: &str, problem: &str) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("a Delta store cannot be at {:?}: {problem}", shown(root)),
    )
}

/// Tells deltalake about the kinds of addresses that this build has.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(feature = "s3")]
        deltalake::aws::register_handlers(None);
        #[cfg(feature = "azure")]
        deltalake::azure::register_handlers(None);
        #[cfg(feature = "gcs")]
        deltalake::gcp::register_handlers(None);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_folders() {
        let key = FeatureKey::new("video/face-crop").unwrap();
        assert_eq!(relative(Layout::Nested, &key), "video/face-crop.delta");
        assert_eq!(relative(Layout::Flat, &key), "video__face_crop.delta");
    }

    #[test]
    fn addresses_of_clouds_that_a_build_lacks_are_told() {
        let built = [("s3", "s3", true), ("gs", "gcs", false)];
        assert_eq!(missing_of(&built, "GS://bucket/x"), Some(("gs", "gcs")));
        assert_eq!(missing_of(&built, "s3://bucket/x"), None);
        assert_eq!(missing_of(&built, "/gs/x"), None);
    }

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(shown("s3://me:secret@bucket/x?sig=1"), "s3://…@bucket/x");
        assert_eq!(shown("abfss://box@me.net/x"), "abfss://box@me.net/x");
    }

    #[test]
    fn a_store_under_a_lock_is_refused() {
        let open = |options: &[(&str, &str)]| {
            let options = options.iter().copied();
            let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
            refuse_lock(&DeltaConfig::new("s3://bucket/x").with_storage_options(options))
        };
        let error = open(&[("aws_s3_locking_provider", "dynamodb")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(LOCK), "{error}");
        assert!(open(&[("AWS_REGION", "eu-central-1")]).is_ok());
    }

    #[test]
    fn local_roots_are_absolute() {
        assert_eq!(local("file:///tmp/x").unwrap(), Some("/tmp/x".into()));
        assert_eq!(local("/tmp/nowhere/../x").unwrap(), Some("/tmp/x".into()));
        assert_eq!(local("s3://bucket").unwrap(), None);
        let home = std::env::home_dir().unwrap();
        assert_eq!(local("~/x").unwrap(), Some(home.join("x")));
    }
}
