//! A commit of a Delta table that is whatever comes in: whoever reads the store gets an answer or an error. The first byte chooses the commit,
//! one of those that there are or the next. `{file}` and `{size}` stand for the table's last file, `{secret}` for one that nobody may read.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use metaxy_fuzz::stores::{Site, without_checksums};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::delta::{DeltaConfig, Synchronous};

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = DeltaConfig::new(folder.to_string_lossy());
    Arc::new(config.with_synchronous(Synchronous::Normal).open(access))
}

static SITE: LazyLock<Site> = LazyLock::new(|| Site::new(open, without_checksums));

const LOG: &str = "shared/raw.delta/_delta_log";

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let is_commit = |(name, _): &(&Path, &[u8])| name.starts_with(LOG);
    let commits = SITE.ending(".json").into_iter().filter(is_commit).count();
    let files = SITE.ending(".parquet").into_iter();
    let raw = files.filter(|(name, _)| name.starts_with("shared/raw.delta"));
    let (file, bytes) = raw.last().expect("the table has files");
    let file = file.file_name().expect("it is a file").to_string_lossy();
    let text = text
        .replace("{file}", &file)
        .replace("{size}", &bytes.len().to_string())
        .replace("{secret}", "../../../secret.txt");
    let version = commits - usize::from(*first) % (commits + 1);
    let name = PathBuf::from(format!("{LOG}/{version:020}.json"));
    SITE.look(&name, text.as_bytes());
});
