//! A DuckDB file of which some bytes are others, with checksums made anew: whoever reads the store gets an answer or an error.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use metaxy_fuzz::stores::{Original, Site};
use metaxy_store::Access;
use metaxy_store::backend::Backend;
use metaxy_store::duckdb::DuckDbConfig;

const FILE: &str = "store.duckdb";

/// Each of the three headers of a file.
const HEADER: usize = 4096;

/// The smallest blocks that there are: a file is as small as it can be.
const BLOCK: usize = 16_384;

fn open(folder: &Path, access: Access) -> Arc<dyn Backend> {
    let config = DuckDbConfig::new(folder.join(FILE)).with_setting("threads", "1");
    Arc::new(config.open(access))
}

static MADE: LazyLock<(Site, Original)> = LazyLock::new(|| {
    let site = Site::new(open, |folder| {
        let (from, to) = (folder.join(FILE), folder.join("smaller"));
        let engine = duckdb::Connection::open_in_memory().expect("the engine is there");
        let copy = format!(
            "ATTACH '{}' AS large; ATTACH '{}' AS small (BLOCK_SIZE {BLOCK}); \
             COPY FROM DATABASE large TO small; CHECKPOINT small; DETACH small; DETACH large",
            from.display(),
            to.display()
        );
        engine.execute_batch(&copy).expect("it is a database");
        std::fs::rename(to, from).expect("they are in one folder");
    });
    let original = Original::new(site.ending(FILE)[0].1);
    (site, original)
});

/// Each header and each block begins with the checksum of what follows.
fn with_checksums(mut file: Vec<u8>) -> Vec<u8> {
    let (headers, blocks) = file.split_at_mut(3 * HEADER);
    let parts = headers.chunks_exact_mut(HEADER);
    for part in parts.chain(blocks.chunks_exact_mut(BLOCK)) {
        let (sum, content) = part.split_at_mut(8);
        let words = content.as_chunks::<8>().0.iter();
        let words = words.map(|word| u64::from_le_bytes(*word).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        sum.copy_from_slice(&words.fold(5381, |sum, word| sum ^ word).to_le_bytes());
    }
    file
}

fuzz_target!(|input: &[u8]| {
    let (site, original) = &*MADE;
    let changed = original.changed(input);
    site.look(Path::new(FILE), &with_checksums(changed));
});
