//! The committed golden vectors on SQLite.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metaxy_conformance::golden::{StoreFactory, StoreRequest, replay};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};

/// One file per case.
struct Files {
    directory: tempfile::TempDir,
    made: AtomicUsize,
}

#[async_trait::async_trait]
impl StoreFactory for Files {
    fn name(&self) -> &str {
        "sqlite"
    }

    async fn open(&self, _: &StoreRequest) -> metaxy_store::Result<Arc<dyn Backend>> {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let file = self.directory.path().join(format!("{number}.db"));
            let config = SqliteConfig::new(file).with_synchronous(Synchronous::Normal);
            Ok(Arc::new(config.open(Access::Write)) as Arc<dyn Backend>)
    }
}

#[test]
fn golden_vectors_on_sqlite() {
    let factory = Files {
        directory: tempfile::tempdir().unwrap(),
        made: AtomicUsize::new(0),
    };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let report = futures::executor::block_on(replay(&factory, &dir, &[]));
    assert!(report.is_success(), "{report}");
}
