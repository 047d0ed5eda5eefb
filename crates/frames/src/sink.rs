//! Where the bytes of a written frame go: [`Sink`].

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metaxy_core::Result;
use tempfile::{NamedTempFile, TempPath};

use crate::terminal::Shown;
use crate::{io_error, is_dash};

/// Writes a file as a whole: who looks for it finds what was there before, or all of it. A pipe or device is written directly.
///
/// # Errors
/// [`Io`](metaxy_core::ErrorKind::Io) that names the file.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let (sink, mut out) = Sink::open(path)?;
    out.write_all(content)
        .map_err(|e| io_error(&sink.name, "write", e))?;
    sink.commit(out).map(drop)
}

/// A destination that shows nothing half-written.
pub(crate) struct Sink {
    pub(crate) name: String,
    /// Set once the reader of a pipe went away.
    closed: Arc<AtomicBool>,
    /// For a regular file: what was written so far, and where it is to be.
    pending: Option<(TempPath, PathBuf)>,
}

impl Sink {
    /// Prepares to write `path`, or standard output for `-`. A regular file is written beside its place and moved there by
    /// [`Sink::commit`]; a device or pipe is written directly.
    pub(crate) fn open(path: &Path) -> Result<(Self, Out)> {
        if is_dash(path) {
            let out: Box<dyn Write + Send> = match io::stdout().is_terminal() {
                true => Box::new(Shown::new(io::stdout())),
                false => Box::new(io::stdout()),
            };
            return Ok(Self::direct("standard output", out));
        }
        let name = format!("'{}'", path.display());
        // Through a symbolic link, so that the link stays one.
        let target = match std::fs::canonicalize(path) {
            Ok(target) => target,
            Err(error) if path.is_symlink() => {
                return Err(io_error(&name, "write", error).with_hint(
                    "it is a link to what does not exist: make that first, or remove the link",
                ));
            }
            Err(_) => path.to_owned(),
        };
        let special = std::fs::metadata(&target).is_ok_and(|m| !m.is_file() && !m.is_dir());
        if special {
            let file = File::options()
                .write(true)
                .open(&target)
                .map_err(|e| io_error(&name, "write", e))?;
            return Ok(Self::direct(name, Box::new(file)));
        }
        let temporary = beside(&target).map_err(|e| {
            io_error(&name, "write", e).with_hint("the folder must exist and be writable")
        })?;
        let (file, pending) = temporary.into_parts();
        let (mut sink, out) = Self::direct(name, Box::new(file));
        sink.pending = Some((pending, target));
        Ok((sink, out))
    }

    /// Writes to `to` without a temporary file.
    pub(crate) fn direct(name: impl Into<String>, to: Box<dyn Write + Send>) -> (Self, Out) {
        let closed = Arc::new(AtomicBool::new(false));
        let sink = Self {
            name: name.into(),
            closed: closed.clone(),
            pending: None,
        };
        let out = Out(BufWriter::with_capacity(128 * 1024, Quiet { to, closed }));
        (sink, out)
    }

    /// Whether the reader at the other end of a pipe went away.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Makes what was written visible, all at once. Returns whether the reader of a pipe went away.
    pub(crate) fn commit(self, out: Out) -> Result<bool> {
        let name = &self.name;
        out.flush_all().map_err(|e| io_error(name, "write", e))?;
        if let Some((temporary, target)) = self.pending {
            File::open(&temporary)
                .and_then(|file| file.sync_all())
                .map_err(|e| io_error(name, "write", e))?;
            temporary
                .persist(target)
                .map_err(|e| io_error(name, "write", e.error))?;
        }
        Ok(self.closed.load(Ordering::Relaxed))
    }
}

/// Buffered output. After its reader went away it swallows everything: the caller looks at [`Sink::is_closed`].
pub(crate) struct Out(BufWriter<Quiet>);

impl Out {
    /// Hands on everything that is buffered.
    fn flush_all(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Does nothing: encoders flush after each batch, and Arrow's CSV writer panics when a flush fails as it is taken apart.
    /// [`Sink::commit`] flushes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Quiet {
    to: Box<dyn Write + Send>,
    closed: Arc<AtomicBool>,
}

impl Quiet {
    fn or_closed<T>(&self, result: io::Result<T>, swallowed: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(swallowed)
            }
            other => other,
        }
    }
}

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let written = self.to.write(bytes);
        self.or_closed(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.or_closed(flushed, ())
    }
}

/// A new hidden file in the folder of `target`, with the permissions that a file created there would have.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    if target.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a folder",
        ));
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = target
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask takes its share, as for any new file; an existing file keeps its permissions.
        let mode = std::fs::metadata(target).map_or(0o666, |m| m.permissions().mode() & 0o777);
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    builder.tempfile_in(folder)
}
