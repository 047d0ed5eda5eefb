//! Where the bytes of a frame come from.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metaxy_core::{Error, ErrorKind, Result};

use super::{invalid, io_error, is_dash};

/// An opened file or stream and the name that messages call it by.
pub(super) struct Source {
    pub(super) name: String,
    bytes: Bytes,
    /// How many bytes of text have been read.
    counter: Option<Arc<AtomicU64>>,
}

enum Bytes {
    /// A regular file: it can be read from anywhere, more than once.
    File(File),
    /// Standard input, a named pipe and the like: it passes by once.
    Stream(Box<dyn Read + Send>),
}

impl Source {
    /// Opens `path`, or standard input for `-`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be opened or is a folder.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if is_dash(path) {
            return Ok(Self::stream("standard input", Box::new(io::stdin())));
        }
        let name = format!("'{}'", path.display());
        let file = File::open(path).map_err(|e| {
            let missing = e.kind() == io::ErrorKind::NotFound;
            let error = io_error(&name, "open", e);
            match missing {
                true => error.with_hint("check the path; `-` reads standard input"),
                false => error,
            }
        })?;
        let kind = file
            .metadata()
            .map_err(|e| io_error(&name, "open", e))?
            .file_type();
        if kind.is_dir() {
            return Err(
                Error::new(ErrorKind::Io, format!("cannot read {name}: it is a folder"))
                    .with_hint("name one file; several are read one at a time"),
            );
        }
        Ok(match kind.is_file() {
            true => Self {
                name,
                bytes: Bytes::File(file),
                counter: None,
            },
            false => Self::stream(name, Box::new(file)),
        })
    }

    /// Bytes that pass by once.
    pub(super) fn stream(name: impl Into<String>, bytes: Box<dyn Read + Send>) -> Self {
        Self {
            name: name.into(),
            bytes: Bytes::Stream(bytes),
            counter: None,
        }
    }

    /// The same source, whose bytes are counted as they are read as text.
    pub(super) fn counted(self, counter: Option<Arc<AtomicU64>>) -> Self {
        Self { counter, ..self }
    }

    /// The text of the source from its start, without a byte order mark.
    pub(super) fn into_text(self) -> Result<(String, Text)> {
        let bytes: Box<dyn Read + Send> = match self.bytes {
            Bytes::File(file) => Box::new(file),
            Bytes::Stream(stream) => stream,
        };
        let bytes: Box<dyn Read + Send> = match self.counter {
            Some(counter) => Box::new(Counted { bytes, counter }),
            None => bytes,
        };
        let mut text: Text = BufReader::with_capacity(128 * 1024, bytes);
        let start = text
            .fill_buf()
            .map_err(|e| io_error(&self.name, "read", e))?;
        if start.starts_with(b"\xEF\xBB\xBF") {
            text.consume(3);
        } else if start.starts_with(b"PAR1") {
            return Err(invalid(&self.name, "this is a Parquet file, not text")
                .with_hint("use --samples-format parquet"));
        } else if start.starts_with(&[0x1f, 0x8b]) {
            return Err(invalid(&self.name, "the file is compressed")
                .with_hint("unpack it on the way, such as `gzip -dc FILE | metaxy … -`"));
        }
        Ok((self.name, text))
    }

    /// The source as a file that can be read from anywhere. A stream is written to an unnamed temporary file first, so
    /// that it need not fit into memory.
    pub(super) fn into_file(self) -> Result<(String, File)> {
        match self.bytes {
            Bytes::File(file) => Ok((self.name, file)),
            Bytes::Stream(mut stream) => {
                let mut spool = || -> io::Result<File> {
                    let mut file = tempfile::tempfile()?;
                    io::copy(&mut stream, &mut file)?;
                    file.rewind()?;
                    Ok(file)
                };
                let file = spool().map_err(|e| io_error(&self.name, "read", e))?;
                Ok((self.name, file))
            }
        }
    }
}

/// Bytes that are counted.
struct Counted {
    bytes: Box<dyn Read + Send>,
    counter: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Buffered text of a file or stream.
pub(super) type Text = BufReader<Box<dyn Read + Send>>;
