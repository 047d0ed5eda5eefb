//! The manifest: which files hold which table. Replacing it is what makes a change happen, all of it at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use metaxy_store::clock::Micros;
use metaxy_store::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

const NAME: &str = "manifest.json";

/// Every table of a store, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The number of the next file.
    next_file: u64,
    /// By the name of the table.
    pub(crate) tables: BTreeMap<String, Table>,
}

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// The greatest stamp that it has ever seen, also of rows that are gone.
    pub(crate) latest: Option<Micros>,
    /// Its files, in the order in which they were written. The last one has all columns.
    pub(crate) files: Vec<DataFile>,
}

/// One file of batches, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    /// Its name in the store's folder.
    pub(crate) name: String,
    /// How many rows it holds.
    pub(crate) rows: u64,
}

impl DataFile {
    /// A file whose rows are yet to come.
    pub(crate) fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rows: 0,
        }
    }
}

impl Table {
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

impl Manifest {
    /// The manifest in `folder`; an empty one if there is none.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(failed(&path, "cannot be read", e)),
        };
        serde_json::from_slice(&text).map_err(|e| {
            let message = format!("{} is not the manifest of a store", path.display());
            Error::new(ErrorKind::Corrupt, message).with_source(e)
        })
    }

    /// Makes this the manifest in `folder`: before, the old one counts, afterwards this one, also after a power failure.
    pub(crate) fn commit(&self, folder: &Path) -> Result<()> {
        let (path, new) = (folder.join(NAME), folder.join("manifest.new"));
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let written = text.and_then(|text| {
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        });
        // From here on the change is there; the folder's entry survives a power failure once it is on disk, too.
        if written.is_ok() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        written.map_err(|e| failed(&path, "cannot be written", e))
    }

    /// A name that no manifest has given to a file.
    pub(crate) fn new_file(&mut self) -> String {
        self.next_file += 1;
        format!("{:08}.arrow", self.next_file)
    }

    /// The files that `newer` does not name any more.
    pub(crate) fn dropped<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = &'a str> {
        let kept = |name: &str| newer.files().any(|file| file.name == name);
        self.files()
            .filter(move |file| !kept(&file.name))
            .map(|file| file.name.as_str())
    }

    fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.tables.values().flat_map(|table| &table.files)
    }
}

/// A failure of the medium.
pub(crate) fn failed(path: &Path, what: &str, source: impl Into<io::Error>) -> Error {
    let message = format!("{} {what}", path.display());
    Error::new(ErrorKind::Storage, message).with_source(source.into())
}
