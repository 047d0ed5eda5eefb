//! A SQLite file of which some bytes are others: whoever reads the store gets an answer or an error. Its pages have no checksums here, as if
//! whoever changed it had made them anew.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use metaxy_fuzz::stores::{Original, Site};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::sqlite::SqliteConfig;

const FILE: &str = "store.db";

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = SqliteConfig::new(folder.join(FILE)).with_checksums(false);
    Arc::new(config.open(access))
}

static MADE: LazyLock<(Site, Original)> = LazyLock::new(|| {
    let site = Site::new(open, |folder| {
        let file = rusqlite::Connection::open(folder.join(FILE)).expect("it is a database");
        let whole = "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE";
        file.execute_batch(whole).expect("it is a database");
    });
    let original = Original::new(site.ending(FILE)[0].1);
    (site, original)
});

fuzz_target!(|input: &[u8]| {
    let (site, original) = &*MADE;
    site.look(Path::new(FILE), &original.changed(input));
});
