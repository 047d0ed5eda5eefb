//! A table on a disk of this machine: what was acknowledged outlives a power cut, and nothing outside of the table's folder is touched.
//!
//! A file is written under another name, synced, and then given its own name at once; so no name ever stands for a part of a file. Files of the
//! log are what others read first: the folder is synced as well before the write is acknowledged. The names of files with rows are synced
//! together, once, before the commit that names them ([`Disk::keep_files`]).
//!
//! A file that cannot be synced is an error, and so is a folder. Then the system may have given up what it had to write, and forget that it
//! failed; so nothing is tried again.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use futures::{FutureExt, TryFutureExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};

use crate::table::LOG;

/// What makes the disk keep a file or a folder: [`File::sync_all`].
pub(crate) type Keep = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// The files in one folder of this machine.
#[derive(Clone)]
pub(crate) struct Disk {
    files: LocalFileSystem,
    /// The folder that nothing leads out of.
    folder: PathBuf,
    /// The folder of the store, which it is part of.
    root: PathBuf,
    /// `None`: a power cut may cost what was written last.
    keep: Option<Keep>,
}

impl Disk {
    pub(crate) fn new(folder: PathBuf, root: PathBuf, keep: Option<Keep>) -> Self {
        Self {
            files: LocalFileSystem::new(),
            folder,
            root,
            keep,
        }
    }

    /// Makes the disk keep the names of all files in the folder that were put there.
    pub(crate) async fn keep_files(&self) -> Result<()> {
        let this = self.clone();
        blocking(move || this.keep_folder(&this.folder).map_err(failed)).await
    }

    /// Where a file is.
    ///
    /// # Errors
    /// [`Stray`] if it is outside of the folder, or no file.
    fn place(&self, location: &StorePath) -> Result<PathBuf> {
        let path = self.files.path_to_filesystem(location)?;
        self.require_inside(&path)?;
        Ok(path)
    }

    /// # Errors
    /// [`Stray`] if the path leads out of the folder, or what is there is no file and no folder. What is not there is no error.
    pub(crate) fn require_inside(&self, path: &Path) -> Result<()> {
        require_inside(&self.folder, path).map_err(failed)
    }

    fn put(&self, path: &Path, payload: &PutPayload, mode: &PutMode) -> Result<()> {
        let (file, staged) = self.staged(path).map_err(failed)?;
        let named = self.named(file, &staged, path, payload, mode);
        if named.is_err() || *mode == PutMode::Create {
            let _ = std::fs::remove_file(&staged);
        }
        match named {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists && *mode == PutMode::Create => {
                return Err(Error::AlreadyExists {
                    path: path.to_string_lossy().into_owned(),
                    source: e.into(),
                });
            }
            Err(e) => return Err(failed(e)),
        }
        self.keep_name(path).map_err(|e| failed(NotKept(e)))
    }

    /// Writes a file, and gives it its name.
    fn named(
        &self,
        mut file: File,
        staged: &Path,
        path: &Path,
        payload: &PutPayload,
        mode: &PutMode,
    ) -> io::Result<()> {
        for bytes in payload {
            file.write_all(bytes)?;
        }
        if let Some(keep) = &self.keep {
            keep(&file)?;
        }
        // Some file systems store a file when it is closed.
        drop(file);
        match mode {
            PutMode::Create => std::fs::hard_link(staged, path),
            _ => std::fs::rename(staged, path),
        }
    }

    /// A new file that nobody lists, next to `path`.
    fn staged(&self, path: &Path) -> io::Result<(File, PathBuf)> {
        loop {
            let mut staged = path.to_owned().into_os_string();
            // What object_store calls a file that is being written, and leaves out of its lists.
            staged.push(format!("#{}", fastrand::u32(..)));
            match File::create_new(&staged) {
                Ok(file) => return Ok((file, staged.into())),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == ErrorKind::NotFound => self.make_parents(path)?,
                Err(e) => return Err(e),
            }
        }
    }

    fn make_parents(&self, path: &Path) -> io::Result<()> {
        let Some(folder) = path.parent() else {
            return Ok(());
        };
        let missing: Vec<&Path> = folder.ancestors().take_while(|at| !at.exists()).collect();
        std::fs::create_dir_all(folder)?;
        let mut parents = missing.iter().rev().filter_map(|made| made.parent());
        parents.try_for_each(|parent| self.keep_folder(parent))
    }

    /// Makes the disk keep the name of a file of the log; those of other files wait for [`keep_files`](Self::keep_files).
    fn keep_name(&self, path: &Path) -> io::Result<()> {
        let (log, first) = (self.folder.join(LOG), self.folder.join(FIRST));
        let Some(folder) = path.parent().filter(|folder| folder.starts_with(&log)) else {
            return Ok(());
        };
        self.keep_folder(folder)?;
        if path != first {
            return Ok(());
        }
        // Whoever made the folders may have ended before they were synced.
        let above = self.folder.ancestors();
        above
            .take_while(|at| at.starts_with(&self.root))
            .try_for_each(|folder| self.keep_folder(folder))
    }

    fn keep_folder(&self, folder: &Path) -> io::Result<()> {
        let Some(keep) = self.keep.as_ref().filter(|_| cfg!(unix)) else {
            return Ok(());
        };
        match File::open(folder).and_then(|folder| keep(&folder)) {
            // Folders of this file system need no syncing.
            Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                Ok(())
            }
            done => done,
        }
    }

    /// All files below a folder, sorted. Links are not followed; in the log, what leads out is an error, or a commit would be missed.
    fn files_below(&self, prefix: &StorePath) -> Result<Vec<ObjectMeta>> {
        let mut found = Vec::new();
        let top = match prefix.parts_count() {
            0 => PathBuf::from("/"),
            _ => self.files.path_to_filesystem(prefix)?,
        };
        self.require_inside(&top)?;
        let log = self.folder.join(LOG);
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(failed(e)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                if !kind.is_file() {
                    if !folder.starts_with(&log) {
                        continue;
                    }
                    self.require_inside(&entry.path())?;
                }
                // A name that is no text is nobody's that the log could name.
                let Some(location) = StorePath::from_absolute_path(entry.path()).ok() else {
                    continue;
                };
                if self.files.path_to_filesystem(&location).is_err() {
                    continue;
                }
                match entry.path().metadata() {
                    Ok(file) => found.push(ObjectMeta {
                        location,
                        last_modified: file.modified().map_err(failed)?.into(),
                        size: file.len(),
                        e_tag: None,
                        version: None,
                    }),
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(failed(e)),
                }
            }
        }
        found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }
}

/// The commit that makes a table.
const FIRST: &str = "_delta_log/00000000000000000000.json";

fn require_inside(folder: &Path, path: &Path) -> io::Result<()> {
    let stray = |why| Err(io::Error::other(Stray::new(path, why)));
    let mut at = folder.to_owned();
    // Where the folder is a link, it goes by the name of what it leads to as well.
    if !path.starts_with(folder)
        && let Ok(real) = folder.canonicalize()
    {
        at = real;
    }
    let Ok(inside) = path.strip_prefix(at.clone()) else {
        return stray("is outside of the table's folder");
    };
    let mut has_link = false;
    for part in inside.components() {
        if !matches!(part, std::path::Component::Normal(_)) {
            return stray("is outside of the table's folder");
        }
        at.push(part);
        match at.symlink_metadata() {
            Ok(found) => has_link |= found.is_symlink(),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        }
    }
    if has_link && !path.canonicalize()?.starts_with(folder.canonicalize()?) {
        return stray("is a link out of the table's folder");
    }
    match path.metadata() {
        Ok(found) if found.is_file() || found.is_dir() => Ok(()),
        Ok(_) => stray("is no file, but a pipe or a device"),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// A path that a table may not name.
#[derive(Debug)]
pub(crate) struct Stray(String);

impl Stray {
    pub(crate) fn new(path: &(impl fmt::Debug + ?Sized), why: &str) -> Self {
        Self(format!("{path:?} {why}"))
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stray {}

/// A file is there, but its folder could not be synced: a power cut may cost it.
#[derive(Debug)]
pub(crate) struct NotKept(io::Error);

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the folder could not be synced: {}", self.0)
    }
}

impl std::error::Error for NotKept {}

/// What the file system failed with, as [`LocalFileSystem`] reports it.
fn failed(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic {
        store: "LocalFileSystem",
        source: Box::new(source),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

#[async_trait]
impl ObjectStore for Disk {
    async fn put_opts(
        &self,
        location: &StorePath,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) || !options.attributes.is_empty() {
            return self.files.put_opts(location, payload, options).await;
        }
        let (this, path) = (self.clone(), self.place(location)?);
        blocking(move || this.put(&path, &payload, &options.mode)).await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Gathered {
            disk: self.clone(),
            location: location.clone(),
            parts: Vec::new(),
        }))
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> Result<GetResult> {
        self.place(location)?;
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &StorePath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.place(location)?;
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<StorePath>>,
    ) -> BoxStream<'static, Result<StorePath>> {
        let this = self.clone();
        let inside = locations.map(move |location| {
            let location = location?;
            this.place(&location)?;
            Ok(location)
        });
        self.files.delete_stream(inside.boxed())
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        blocking(move || this.files_below(&prefix))
            .map_ok(|found| stream::iter(found.into_iter().map(Ok)))
            .try_flatten_stream()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> Result<()> {
        let (_, path) = (self.place(from)?, self.place(to)?);
        self.files.copy_opts(from, to, options).await?;
        self.keep_name(&path).map_err(|e| failed(NotKept(e)))
    }

    async fn rename_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: RenameOptions,
    ) -> Result<()> {
        let (_, path) = (self.place(from)?, self.place(to)?);
        self.files.rename_opts(from, to, options).await?;
        self.keep_name(&path).map_err(|e| failed(NotKept(e)))
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A file that comes in parts, which are in memory anyway.
#[derive(Debug)]
struct Gathered {
    disk: Disk,
    location: StorePath,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Gathered {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.extend(data);
        async { Ok(()) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let payload: PutPayload = std::mem::take(&mut self.parts).into_iter().collect();
        let options = PutOptions::from(PutMode::Overwrite);
        self.disk.put_opts(&self.location, payload, options).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use futures::executor::block_on;
    use metaxy_core::backend::Access;
    use metaxy_core::backend::append::{Append, Stamp, Times};
    use metaxy_core::{Backend, ErrorKind, FeatureKey, Frame, Result};

    use super::*;
    use crate::{DeltaBackend, DeltaConfig, Synchronous, WriteOptions};

    fn config(folder: &Path, keep: Keep) -> DeltaConfig {
        let mut config = DeltaConfig::new(folder.to_string_lossy());
        config.keep = Some(keep);
        config
    }

    fn add(backend: &DeltaBackend, ids: Range<i64>) -> Result<u64> {
        let rows = ids.map(|id| {
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
            RecordBatch::try_from_iter([("id", ids)])
        });
        let rows: Vec<RecordBatch> = rows.collect::<std::result::Result<_, _>>().unwrap();
        let schema = rows[0].schema();
        let append = Append {
            table: FeatureKey::new("a").unwrap(),
            id_columns: vec!["id".into()],
            rows: Frame::new(schema, stream::iter(rows.into_iter().map(Ok))),
            times: Times::Write(Stamp::AfterAll(0)),
            create: true,
        };
        Ok(block_on(backend.append(vec![append]))?.rows)
    }

    /// What was synced, by its name below the folder.
    fn noting(folder: &Path, notes: &Arc<Mutex<Vec<String>>>) -> Keep {
        let (folder, notes) = (folder.to_owned(), notes.clone());
        Arc::new(move |file| {
            let name = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
            let name = name.strip_prefix(folder.parent().unwrap()).unwrap_or(&name);
            let name = name.to_string_lossy();
            let name = name.split_once('/').map_or("", |(_, below)| below);
            notes.lock().unwrap().push(match name.split_once("part-") {
                Some((folder, _)) => format!("{folder}rows"),
                None => name.split('#').next().unwrap().to_owned(),
            });
            file.sync_all()
        })
    }

    #[test]
    fn a_write_syncs_each_file_and_each_folder_once_before_what_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let notes = Arc::new(Mutex::default());
        let small = WriteOptions::default().with_target_file_size(1);
        let config = config(folder.path(), noting(folder.path(), &notes));
        let backend = config.clone().open(Access::Write);
        let taken = || std::mem::take(&mut *notes.lock().unwrap());
        add(&backend, 0..3).unwrap();
        let first = taken();
        for folder in ["", "a.delta", "a.delta/_delta_log"] {
            assert!(first.iter().any(|name| name == folder), "{first:?}");
        }
        add(&backend, 3..6).unwrap();
        let write = |rows: usize, version: u64| {
            let mut names = vec!["a.delta/rows".to_owned(); rows];
            names.push("a.delta".into());
            names.push(format!("a.delta/_delta_log/{version:020}.json"));
            names.push("a.delta/_delta_log".into());
            names
        };
        assert_eq!(taken(), write(1, 1));
        let many = config.with_write_options(small).open(Access::Write);
        add(&many, 6..16).unwrap();
        let found = taken();
        assert!(found.len() > 5, "{found:?}");
        assert_eq!(found, write(found.len() - 3, 2));
    }

    #[test]
    fn a_sync_that_fails_is_an_error_and_the_write_is_not_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let (calls, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, fail) = (calls.clone(), fails.clone());
        let keep: Keep = Arc::new(move |file| {
            match counted.fetch_add(1, Ordering::SeqCst) + 1 == fail.load(Ordering::SeqCst) {
                true => Err(io::Error::from_raw_os_error(5)),
                false => file.sync_all(),
            }
        });
        let backend = config(folder.path(), keep).open(Access::Write);
        add(&backend, 0..1).unwrap();
        let of_a_write = {
            calls.store(0, Ordering::SeqCst);
            add(&backend, 1..2).unwrap();
            calls.load(Ordering::SeqCst)
        };
        let commits = || {
            let log = std::fs::read_dir(folder.path().join("a.delta/_delta_log"));
            log.unwrap().count()
        };
        for call in 1..=of_a_write {
            let before = commits();
            calls.store(0, Ordering::SeqCst);
            fails.store(call, Ordering::SeqCst);
            let error = add(&backend, 2..3).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Storage, "sync {call}: {error}");
            let is_there = commits() > before;
            assert_eq!(is_there, call == of_a_write, "sync {call}: {error}");
            assert_eq!(error.message().contains("it is there"), is_there, "{error}");
        }
        fails.store(0, Ordering::SeqCst);
        assert_eq!(add(&backend, 3..4).unwrap(), 1);
    }

    #[test]
    fn a_store_that_is_thrown_away_is_not_synced() {
        let folder = tempfile::tempdir().unwrap();
        let notes = Arc::new(Mutex::default());
        let config = config(folder.path(), noting(folder.path(), &notes));
        let config = config.with_synchronous(Synchronous::Normal);
        add(&config.open(Access::Write), 0..3).unwrap();
        assert!(notes.lock().unwrap().is_empty());
    }
}
