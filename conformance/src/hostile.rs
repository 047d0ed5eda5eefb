//! Stores that an enemy has changed: whoever uses one gets an answer or an error, and nothing worse.
//!
//! A corpus is a TOML file with a table `[[change]]` for each change: its `name`, what is done to the store, and what becomes of it. How it
//! is done is the backend's matter: SQL that another program runs, or lines in a log.
//!
//! | `then` | meaning |
//! |---|---|
//! | `fine` | everything works as before |
//! | `survived` | it works or is refused |
//! | `corrupt`, `unsupported`, `cannot open` | whoever reads the changed table gets an error of that kind, whose message holds `names` |
//!
//! Whatever it is, nothing panics, no error is internal or a dump, and what stands in [`secret`] comes out nowhere. The corpora of this
//! project are in `conformance/hostile`.
//!
//! Everything here panics where something is wrong: it is for tests only.

#![allow(clippy::unwrap_used, clippy::panic)] // as said above

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use futures::executor::block_on;
use metaxy_store::backend::Backend;
use metaxy_store::backend::maintain::Maintenance;
use metaxy_store::store::StatusOptions;
use metaxy_store::{
    Access, DeleteOptions, Error, ErrorKind, MetadataStore, ReadOptions, ResolveOptions, Result,
    col, lit,
};

use crate::processes::{Open, derived, raw, samples, store};

/// What the file of [`secret`] holds.
pub const SECRET: &str = "the-secret-of-somebody-else";

/// So many bytes a message has at most: what is longer is a dump.
const LONGEST: usize = 2_000;

/// How many rows each of the three writes of [`fill`] has.
pub const ROWS: i64 = 40;

/// A change of a corpus.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its name, such as `row_numbers_are_huge`.
    pub name: String,
    /// What becomes of the store.
    pub then: Then,
    table: toml::Table,
}

/// What becomes of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// It is read as before.
    Fine,
    /// Whoever looks at the table gets an error of this kind; its message holds this.
    Refused(ErrorKind, String),
    /// One or the other, but nothing worse.
    Survived,
}

impl Change {
    /// A text of the change, such as `does`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.table.get(key)?.as_str()
    }

    /// Two texts, such as what is replaced and by what.
    #[must_use]
    pub fn pair(&self, key: &str) -> Option<(&str, &str)> {
        match self.table.get(key)?.as_array()?.as_slice() {
            [from, to] => Some((from.as_str()?, to.as_str()?)),
            _ => None,
        }
    }

    fn new(table: &toml::Table) -> Option<Self> {
        let text = |key: &str| table.get(key)?.as_str();
        let refused = |kind| Some(Then::Refused(kind, text("names")?.to_owned()));
        Some(Self {
            name: text("name")?.to_owned(),
            then: match text("then")? {
                "fine" => Then::Fine,
                "survived" => Then::Survived,
                "corrupt" => refused(ErrorKind::Corrupt)?,
                "unsupported" => refused(ErrorKind::Unsupported)?,
                "cannot open" => refused(ErrorKind::CannotOpen)?,
                _ => return None,
            },
            table: table.clone(),
        })
    }
}

/// The changes of a corpus.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn changes(corpus: &str) -> Vec<Change> {
    let corpus: toml::Table = corpus.parse().unwrap();
    let all = corpus["change"].as_array().unwrap();
    all.iter()
        .map(|change| {
            let table = change.as_table().unwrap();
            Change::new(table).unwrap_or_else(|| panic!("no change: {table}"))
        })
        .collect()
}

/// A file beside the folder of a store, which nothing that reads the store may read.
#[must_use]
pub fn secret(folder: &Path) -> PathBuf {
    folder.with_file_name("secret.txt")
}

/// Makes a store in `folder`: three writes of a feature, and the one downstream computed.
///
/// # Panics
/// If it cannot be made.
pub fn fill(folder: &Path, open: Open) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(secret(folder), SECRET).unwrap();
    let store = store(open(folder, Access::Write), Access::Write);
    for batch in 0..3 {
        block_on(store.write(&raw(), samples((1, batch), ROWS, Vec::new()))).unwrap();
    }
    compute(&store).unwrap();
}

/// Rows of the feature downstream, as they are resolved.
fn compute(store: &MetadataStore) -> Result<()> {
    let increment = block_on(store.resolve_update(&derived(), ResolveOptions::default()))?;
    let rows = increment.new.to_batch()?;
    block_on(store.write(&derived(), rows)).map(drop)
}

/// What is done with a store, by name.
type Step = (&'static str, fn(&Visitor<'_>) -> Result<Vec<RecordBatch>>);

struct Visitor<'a> {
    folder: &'a Path,
    open: Open,
}

impl Visitor<'_> {
    fn backend(&self, access: Access) -> Arc<dyn Backend> {
        (self.open)(self.folder, access)
    }

    fn store(&self, access: Access) -> MetadataStore {
        store(self.backend(access), access)
    }

    fn read(&self, options: ReadOptions) -> Result<Vec<RecordBatch>> {
        let store = self.store(Access::Read);
        let rows = block_on(async { store.read(&raw(), options).await?.collect().await })?;
        Ok(rows.batches().to_vec())
    }
}

/// What only reads.
const READS: &[Step] = &[
    ("read", |v| v.read(ReadOptions::default())),
    ("read all", |v| {
        v.read(ReadOptions::default().with_sample_history(true))
    }),
    ("read one", |v| {
        let some = ReadOptions::default().with_filters([col("id").ge(lit(0))]);
        v.read(some.with_limit(1))
    }),
    ("resolve", |v| {
        let store = v.store(Access::Read);
        let increment = block_on(store.resolve_update(&derived(), ResolveOptions::default()))?;
        Ok(increment.new.batches().to_vec())
    }),
    ("status", |v| {
        let store = v.store(Access::Read);
        none(block_on(store.status(&derived(), StatusOptions::default())))
    }),
    ("tables", |v| {
        none(block_on(v.backend(Access::Write).tables()))
    }),
    ("rows", |v| {
        none(block_on(v.backend(Access::Write).has_rows(&raw())))
    }),
    ("schema", |v| {
        none(block_on(v.backend(Access::Write).schema(&raw())))
    }),
];

/// What also writes.
const WRITES: &[Step] = &[
    ("write", |v| {
        let rows = samples((2, 0), ROWS, Vec::new());
        none(block_on(v.store(Access::Write).write(&raw(), rows)))
    }),
    ("compute", |v| none(compute(&v.store(Access::Write)))),
    ("delete", |v| {
        let some = DeleteOptions::hard().with_filters([col("id").lt(lit(5))]);
        none(block_on(v.store(Access::Write).delete(&raw(), some)))
    }),
    ("maintain", |v| {
        let backend = v.backend(Access::Write);
        none(block_on(backend.maintain(&Maintenance::default())))
    }),
    ("verify", |v| {
        none(block_on(v.store(Access::Write).verify(None)))
    }),
    ("drop", |v| {
        none(block_on(v.backend(Access::Write).drop_table(&derived())))
    }),
];

fn none<T>(done: Result<T>) -> Result<Vec<RecordBatch>> {
    done.map(|_| Vec::new())
}

/// What each step said, by its name.
pub type Said = Vec<(&'static str, Result<()>)>;

/// Does everything with the store in `folder`, and returns what each said.
///
/// # Panics
/// If something panics, an error is one that nobody should see, or a secret comes out.
pub fn visit(folder: &Path, open: Open) -> Said {
    let mut said = look(folder, open);
    said.extend(take(WRITES, folder, open));
    said
}

/// Reads the store in `folder` in every way, and returns what each said.
///
/// # Panics
/// As [`visit`].
pub fn look(folder: &Path, open: Open) -> Said {
    take(READS, folder, open)
}

fn take(steps: &[Step], folder: &Path, open: Open) -> Said {
    let visitor = Visitor { folder, open };
    let steps = steps.iter().map(|(name, step)| {
        let done = catch_unwind(AssertUnwindSafe(|| step(&visitor)));
        let done = done.unwrap_or_else(|_| panic!("{name} panicked"));
        if let Err(error) = &done {
            require_told_well(name, error);
        }
        let said = done.map(|rows| {
            let shown = rows.iter().any(shows_the_secret);
            assert!(!shown, "{name} shows a secret");
        });
        (*name, said)
    });
    steps.collect()
}

fn shows_the_secret(rows: &RecordBatch) -> bool {
    let cells = |row| {
        rows.columns()
            .iter()
            .map(move |c| array_value_to_string(c, row))
    };
    (0..rows.num_rows())
        .flat_map(cells)
        .any(|text| text.is_ok_and(|text| text.contains(SECRET)))
}

/// Requires an error that somebody can act on, and that shows nothing of others.
///
/// # Panics
/// If it is none.
pub fn require_told_well(step: &str, error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Internal, "{step}: {error:?}");
    let text = format!("{error}: {:?}", std::error::Error::source(error));
    let length = text.len();
    assert!(length < LONGEST, "{step}: {length} bytes: {text}");
    assert!(
        !text.contains(SECRET),
        "{step}: a secret is shown: {error:?}"
    );
}

/// Makes a store for each change of the corpus, changes it, does everything with it, and compares with what should become of it.
///
/// # Panics
/// If something else becomes of it.
pub fn check(corpus: &str, open: Open, change: impl Fn(&Path, &Change)) {
    let changes = changes(corpus);
    assert!(!changes.is_empty(), "nothing is changed");
    let wrong = changes.iter().filter(|it| {
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let beside = tempfile::tempdir().unwrap();
            let folder = beside.path().join("store");
            fill(&folder, open);
            change(&folder, it);
            for (step, outcome) in visit(&folder, open) {
                require(it, step, outcome.err().as_ref());
            }
        }));
        tried.is_err()
    });
    let wrong: Vec<&str> = wrong.map(|it| it.name.as_str()).collect();
    assert!(wrong.is_empty(), "see above: {}", wrong.join(", "));
}

fn require(change: &Change, step: &str, error: Option<&Error>) {
    let name = &change.name;
    match (&change.then, error) {
        (Then::Fine, Some(error)) => panic!("{name}: {step}: {error:?}"),
        (Then::Refused(kind, names), Some(error)) if ["read", "resolve"].contains(&step) => {
            assert_eq!(error.kind(), *kind, "{name}: {step}: {error:?}");
            let text = error.to_string();
            let is_named = step != "read" || text.contains(names);
            assert!(is_named, "{name}: {step} does not name {names}: {text}");
        }
        (Then::Refused(..), None) if step == "read" => panic!("{name}: {step} went well"),
        _ => {}
    }
}
