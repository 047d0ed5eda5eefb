//! Where the bytes of a frame come from.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metaxy_core::{Error, ErrorKind, Result};

use crate::{invalid, io_error, is_dash};

/// An opened file or stream and the name that messages call it by.
pub(crate) struct Source {
    pub(crate) name: String,
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
    pub(crate) fn open(path: &Path) -> Result<Self> {
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
    pub(crate) fn stream(name: impl Into<String>, bytes: Box<dyn Read + Send>) -> Self {
        Self {
            name: name.into(),
            bytes: Bytes::Stream(bytes),
            counter: None,
        }
    }

    /// The same source, whose bytes are counted as they are read as text.
    pub(crate) fn counted(self, counter: Option<Arc<AtomicU64>>) -> Self {
        Self { counter, ..self }
    }

    /// The text of the source, which can be read more than once.
    pub(crate) fn into_text(mut self) -> Result<TextFile> {
        let counter = self.counter.take();
        let (name, file) = self.into_file()?;
        let mut text = TextFile {
            name,
            file,
            skip: 0,
            counter,
        };
        text.look()?;
        Ok(text)
    }

    /// The source as a file that can be read from anywhere. A stream is written to an unnamed temporary file first, so
    /// that it need not fit into memory.
    pub(crate) fn into_file(self) -> Result<(String, File)> {
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

/// A file of text.
pub(crate) struct TextFile {
    pub(crate) name: String,
    file: File,
    /// How long the byte order mark is.
    skip: u64,
    counter: Option<Arc<AtomicU64>>,
}

impl TextFile {
    /// Looks at the first bytes: what no text begins with has a better name than a row that cannot be read.
    fn look(&mut self) -> Result<()> {
        let mut text = self.first_pass()?;
        let start = text
            .fill_buf()
            .map_err(|e| io_error(&self.name, "read", e))?;
        let is_wide = |even: usize| {
            start.len() >= 4
                && start[..4]
                    .iter()
                    .skip(even)
                    .step_by(2)
                    .all(|byte| *byte == 0)
        };
        let wide = start.starts_with(&[0xff, 0xfe])
            || start.starts_with(&[0xfe, 0xff])
            || is_wide(0)
            || is_wide(1);
        if wide {
            return Err(invalid(&self.name, "the text is UTF-16 or UTF-32")
                .with_hint("write it as UTF-8, such as `iconv -f UTF-16 -t UTF-8 FILE`"));
        }
        // A column may have that name; no text goes on as the first page of a file does.
        let is_parquet = start.strip_prefix(b"PAR1").is_some_and(|rest| {
            rest.first()
                .is_none_or(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace())
        });
        if is_parquet {
            return Err(invalid(&self.name, "this is a Parquet file")
                .with_hint("use --samples-format parquet"));
        }
        if start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Err(invalid(&self.name, "the file is compressed")
                .with_hint("unpack it on the way, such as `gzip -dc FILE | metaxy … -`"));
        }
        self.skip = if start.starts_with(&[0xef, 0xbb, 0xbf]) {
            3
        } else {
            0
        };
        Ok(())
    }

    /// The text from its start.
    pub(crate) fn first_pass(&self) -> Result<Text> {
        let open = || -> io::Result<Text> {
            let mut file = self.file.try_clone()?;
            file.seek(SeekFrom::Start(self.skip))?;
            let bytes: Box<dyn Read + Send> = Box::new(file);
            Ok(BufReader::with_capacity(128 * 1024, bytes))
        };
        open().map_err(|e| io_error(&self.name, "read", e))
    }

    /// The text from its start, whose bytes are counted as they are read.
    pub(crate) fn last_pass(&self) -> Result<Text> {
        let text = self.first_pass()?;
        Ok(match self.counter.clone() {
            None => text,
            Some(counter) => {
                let bytes: Box<dyn Read + Send> = Box::new(Counted {
                    bytes: text.into_inner(),
                    counter,
                });
                BufReader::with_capacity(128 * 1024, bytes)
            }
        })
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
pub(crate) type Text = BufReader<Box<dyn Read + Send>>;
