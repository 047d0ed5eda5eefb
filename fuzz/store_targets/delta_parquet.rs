//! A Parquet file of a Delta table of which some bytes are others: whoever reads the store gets an answer or an error. The log has no checksums,
//! as if whoever changed the file had made them anew.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use metaxy_fuzz::stores::{Original, Site, without_checksums};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::delta::{DeltaConfig, Synchronous};

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = DeltaConfig::new(folder.to_string_lossy());
    Arc::new(config.with_synchronous(Synchronous::Normal).open(access))
}

static MADE: LazyLock<(Site, PathBuf, Original)> = LazyLock::new(|| {
    let site = Site::new(open, without_checksums);
    let files = site.ending(".parquet").into_iter();
    let mut raw = files.filter(|(name, _)| name.starts_with("shared/raw.delta"));
    let (name, bytes) = raw.next().expect("the table has files");
    let (name, original) = (name.to_owned(), Original::new(bytes));
    (site, name, original)
});

fuzz_target!(|input: &[u8]| {
    let (site, name, original) = &*MADE;
    site.look(name, &original.changed(input));
});
