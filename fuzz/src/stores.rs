//! What the targets of stores share: a store that is made once, and of which a file is another in each run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use metaxy_conformance::hostile;
use metaxy_conformance::processes::Open;
use tempfile::TempDir;

/// The files of a store, and room for copies of it.
pub struct Site {
    files: Vec<(PathBuf, Vec<u8>)>,
    open: Open,
    rooms: TempDir,
    next: AtomicU64,
}

impl Site {
    /// A store with some rows, as [`hostile::fill`] makes it, to which `change` is done.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(open: Open, change: impl FnOnce(&Path)) -> Self {
        let rooms = tempfile::tempdir().expect("there is room");
        let folder = rooms.path().join("first").join("store");
        hostile::fill(&folder, open);
        change(&folder);
        let mut files = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(inner) = folders.pop() {
            for entry in fs::read_dir(inner).expect("it is there") {
                let path = entry.expect("it is there").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&folder).expect("it is below").to_owned();
                files.push((name, fs::read(&path).expect("it is there")));
            }
        }
        files.sort();
        Self {
            files,
            open,
            rooms,
            next: AtomicU64::new(0),
        }
    }

    /// The files whose name ends so, in the order of their names.
    #[must_use]
    pub fn ending(&self, end: &str) -> Vec<(&Path, &[u8])> {
        let files = self.files.iter();
        let named = files.filter(|(name, _)| name.to_string_lossy().ends_with(end));
        named
            .map(|(name, bytes)| (name.as_path(), bytes.as_slice()))
            .collect()
    }

    /// Reads a copy of the store in which a file is another, or is there beside the others.
    ///
    /// # Panics
    /// If something panics, is not told well, or shows a secret; see [`hostile::look`].
    pub fn look(&self, name: &Path, bytes: &[u8]) {
        // A place of its own: nothing is known of it.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let room = self.rooms.path().join(number.to_string());
        let folder = room.join("store");
        let others = self.files.iter().filter(|(other, _)| other != name);
        let others = others.map(|(name, bytes)| (name.as_path(), bytes.as_slice()));
        for (name, bytes) in others.chain([(name, bytes)]) {
            let path = folder.join(name);
            let parent = path.parent().expect("it is in the folder");
            fs::create_dir_all(parent).expect("there is room");
            fs::write(path, bytes).expect("there is room");
        }
        fs::write(hostile::secret(&folder), hostile::SECRET).expect("there is room");
        let _ = hostile::look(&folder, self.open);
        fs::remove_dir_all(room).expect("nobody else has removed it");
    }
}

/// A file that is changed here and there.
pub struct Original {
    bytes: Vec<u8>,
    /// Where something stands: changes are made there, or just after.
    places: Vec<usize>,
}

impl Original {
    /// The file as it is at first.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let is_near = |at: usize| bytes[at.saturating_sub(3)..=at].iter().any(|b| *b != 0);
        Self {
            places: (0..bytes.len()).filter(|at| is_near(*at)).collect(),
            bytes: bytes.to_vec(),
        }
    }

    /// The file after the changes of an input: five bytes each, three for the place, one for what is done there, one for a number.
    #[must_use]
    pub fn changed(&self, input: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for change in input.as_chunks::<5>().0 {
            let [a, b, c, what, number] = *change;
            let place = u32::from_le_bytes([a, b, c, 0]) as usize % self.places.len();
            let at = self.places[place];
            match what % 4 {
                0 => bytes[at] = number,
                1 => bytes[at] = bytes[at].wrapping_add(number),
                2 => bytes[at] ^= number,
                // From elsewhere: what is sound in itself stands where it does not belong.
                _ => {
                    let length = usize::from(number) % 16 + 1;
                    let from = self.places[(place * 31 + usize::from(what)) % self.places.len()];
                    let end = (from + length).min(self.bytes.len());
                    let piece = &self.bytes[from..end];
                    let end = (at + piece.len()).min(bytes.len());
                    bytes[at..end].copy_from_slice(&piece[..end - at]);
                }
            }
        }
        bytes
    }
}

/// Takes the checksums out of the commits of a Delta table: a stranger's have none.
///
/// # Panics
/// If it is no table of a store.
pub fn without_checksums(folder: &Path) {
    let log = folder.join("shared/raw.delta/_delta_log");
    for entry in fs::read_dir(log).expect("it is a table") {
        let path = entry.expect("it is a table").path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it is a commit");
        let actions = text.lines().map(|line| {
            let mut action: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            for (kind, member) in [("add", "tags"), ("commitInfo", "metaxyChecksum")] {
                let kind = action.get_mut(kind).and_then(|kind| kind.as_object_mut());
                kind.map(|kind| kind.remove(member));
            }
            action.to_string()
        });
        let text: Vec<String> = actions.collect();
        fs::write(&path, text.join("\n") + "\n").expect("there is room");
    }
}
