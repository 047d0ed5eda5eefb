//! The committed golden vectors on SQLite.

use std::path::Path;
use std::sync::Arc;

use metaxy_conformance::golden::{Embedded, replay};
use metaxy_store::Access;
use metaxy_store::sqlite::{SqliteConfig, Synchronous};

#[test]
fn golden_vectors_on_sqlite() {
    let factory = Embedded::new("sqlite", |directory, _| {
        let config =
            SqliteConfig::new(directory.join("golden.db")).with_synchronous(Synchronous::Normal);
        Ok(Arc::new(config.open(Access::Write)))
    });
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let report = futures::executor::block_on(replay(&factory.unwrap(), &dir, &[]));
    assert!(report.is_success(), "{report}");
}
