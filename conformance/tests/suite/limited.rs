//! A backend that can do next to nothing passes the suite, and one that says what is not true fails exactly where it lies.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use metaxy_conformance::{Embedded, Suite, SuiteReport};
use metaxy_store::backend::append::Append;
use metaxy_store::backend::maintain::{Maintenance, MaintenanceReport, Prune};
use metaxy_store::backend::{Access, Appended, Backend, Capabilities, Description};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::{HashPart, Node, Plan, Relation, Scalar};
use metaxy_store::sqlite::{SqliteBackend, SqliteConfig, Synchronous};
use metaxy_store::{Error, ErrorKind, Expr, FeatureKey, Frame, HashAlgorithm, Result};

const ALL: Capabilities = Capabilities::all();

const NONE: Capabilities = Capabilities::all()
    .with_hash_algorithms(FEW)
    .with_transactions(false)
    .with_concurrent_writers(false)
    .with_hard_delete(false)
    .with_as_of(false);

/// The hash algorithms of [`NONE`].
const FEW: &[HashAlgorithm] = &[HashAlgorithm::Xxhash64, HashAlgorithm::Md5];

#[test]
fn a_backend_that_refuses_nearly_everything_passes() {
    let report = Suite::new(stores("limited", NONE, NONE)).run();
    println!("{report}");
    assert_eq!(report.failures().collect::<Vec<_>>(), []);
    assert!(report.is_success());
    let cases = capabilities(NONE, NONE);
    assert_eq!(cases.passed(), cases.outcomes.len(), "none is ignored");
    let cases = capabilities(ALL, ALL);
    assert_eq!(cases.passed(), cases.outcomes.len(), "none is ignored");
}

#[test]
fn the_laws_are_ignored_without_the_hash_of_their_model() {
    let without = NONE.with_hash_algorithms(&[HashAlgorithm::Xxhash64]);
    let stores = stores("without-md5", without.clone(), without);
    let report = Suite::new(stores).with_only(&["laws::"]).run();
    assert_eq!(report.failures().collect::<Vec<_>>(), []);
    assert!(!report.outcomes.is_empty());
    // That of tables has no model.
    assert_eq!(report.passed(), 1, "{report}");
    assert_eq!(
        report.ignored().count() + 1,
        report.outcomes.len(),
        "{report}"
    );
}

#[test]
fn a_flag_that_promises_too_much_is_found() {
    let lies = [
        ("hash_algorithms", ALL.with_hash_algorithms(FEW)),
        ("transactions", ALL.with_transactions(false)),
        ("concurrent_writers", ALL.with_concurrent_writers(false)),
        ("hard_delete", ALL.with_hard_delete(false)),
        ("as_of", ALL.with_as_of(false)),
    ];
    for (flag, does) in lies {
        only_fails(&capabilities(ALL, does), flag);
    }
}

/// Two flags are no lie that a test could tell from luck. Where `transactions` is not set, a store writes the features one by one
/// itself; where `concurrent_writers` is not, handles of one process may still share an engine that takes turns.
#[test]
fn a_flag_that_hides_what_is_done_is_found() {
    let lies = [
        (
            "hash_algorithms",
            NONE.with_hash_algorithms(&HashAlgorithm::ALL),
        ),
        ("hard_delete", NONE.with_hard_delete(true)),
        ("as_of", NONE.with_as_of(true)),
    ];
    for (flag, does) in lies {
        only_fails(&capabilities(NONE, does), flag);
    }
}

fn only_fails(report: &SuiteReport, flag: &str) {
    let failed: Vec<&str> = report.failures().map(|(case, _)| case).collect();
    assert_eq!(failed, [format!("capabilities::{flag}")], "{report}");
    assert_eq!(report.passed(), report.outcomes.len() - 1, "{report}");
}

/// The cases of the flags, on a backend that says one thing and does another.
fn capabilities(says: Capabilities, does: Capabilities) -> SuiteReport {
    Suite::new(stores("liar", says, does))
        .with_only(&["capabilities::"])
        .run()
}

fn stores(name: &'static str, says: Capabilities, does: Capabilities) -> Arc<Embedded> {
    let stores = Embedded::new(name, move |directory, request| {
        Ok(Arc::new(Limited::new(
            directory,
            request.access,
            says.clone(),
            does.clone(),
        )))
    });
    Arc::new(stores.expect("there is room for temporary files"))
}

/// Which stores are being written to; stands in for a lock on the store's file.
static WRITING: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// A SQLite store that says that it can do one thing, and does another.
struct Limited {
    inner: SqliteBackend,
    file: PathBuf,
    says: Capabilities,
    does: Capabilities,
    /// Tasks of one handle wait for each other, whatever other handles get.
    turn: futures::lock::Mutex<()>,
}

impl Limited {
    fn new(directory: &Path, access: Access, says: Capabilities, does: Capabilities) -> Self {
        let file = directory.join("store.db");
        let config = SqliteConfig::new(&file).with_synchronous(Synchronous::Normal);
        Self {
            inner: config.open(access),
            file,
            says,
            does,
            turn: futures::lock::Mutex::new(()),
        }
    }

    fn refuse(&self, what: &str) -> Error {
        let message = format!("the limited store cannot {what}");
        Error::new(ErrorKind::Unsupported, message)
    }

    /// Keeps other handles from writing, as a store with one writer does.
    fn lock(&self) -> Result<Option<Writing>> {
        if self.does.concurrent_writers {
            return Ok(None);
        }
        let mut writing = WRITING.lock().expect("nobody panics while holding it");
        if !writing.insert(self.file.clone()) {
            return Err(Error::new(
                ErrorKind::Locked,
                "another process is writing to the limited store",
            ));
        }
        Ok(Some(Writing(self.file.clone())))
    }
}

struct Writing(PathBuf);

impl Drop for Writing {
    fn drop(&mut self) {
        let mut writing = WRITING.lock().expect("nobody panics while holding it");
        writing.remove(&self.0);
    }
}

#[async_trait]
impl Backend for Limited {
    fn capabilities(&self) -> Capabilities {
        self.says.clone()
    }

    fn describe(&self) -> Description {
        Description::new("Limited", self.inner.describe().location)
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        self.inner.schema(table).await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        self.inner.has_rows(table).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.inner.tables().await
    }

    async fn append(&self, appends: Vec<Append>) -> Result<Appended> {
        let _turn = self.turn.lock().await;
        let _writing = self.lock()?;
        if self.does.transactions {
            return self.inner.append(appends).await;
        }
        let mut sum = Appended::default();
        for append in appends {
            let appended = self.inner.append(vec![append]).await?;
            sum.rows += appended.rows;
        }
        Ok(sum)
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        if !self.does.hard_delete {
            return Err(self.refuse("remove rows"));
        }
        self.inner.delete(table, condition).await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        if !self.does.hard_delete {
            return Err(self.refuse("remove rows"));
        }
        self.inner.delete_samples(table, samples).await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.inner.drop_table(table).await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        if !self.does.hard_delete {
            return Err(self.refuse("remove superseded rows"));
        }
        self.inner.prune(table, prune).await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        self.inner.maintain(maintenance).await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        let mut then = false;
        plan.relation
            .scans(&mut |scan, _| then |= scan.as_of.is_some());
        if then && !self.does.as_of {
            return Err(self.refuse("read as of a time"));
        }
        let known = self.does.hash_algorithms;
        if let Some(other) = hashes(&plan.relation).iter().find(|a| !known.contains(a)) {
            return Err(self.refuse(&format!("hash with {other}")));
        }
        self.inner.query(plan).await
    }
}

/// The algorithms that a relation hashes with.
fn hashes(relation: &Relation) -> Vec<HashAlgorithm> {
    let mut found: Vec<HashAlgorithm> = relation.inputs().into_iter().flat_map(hashes).collect();
    match relation.node() {
        Node::Project { columns, .. } => {
            found.extend(columns.iter().flat_map(|(_, value)| hashes_of(value)));
        }
        Node::Fold(fold) => found.push(fold.hash.algorithm),
        _ => {}
    }
    found
}

fn hashes_of(value: &Scalar) -> Vec<HashAlgorithm> {
    let Scalar::Hash { spec, parts } = value else {
        return Vec::new();
    };
    let mut found = vec![spec.algorithm];
    for part in parts {
        if let HashPart::Value(value, _) = part {
            found.extend(hashes_of(value));
        }
    }
    found
}
