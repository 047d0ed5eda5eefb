//! Parquet: whatever comes in, nothing panics, and what is read is written and read again as the same.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use metaxy_frames::{Format, ReadOptions};
use metaxy_fuzz::{hint, round};

/// A panic within the library for Parquet is caught and told as an error; one that nobody catches ends the run all the same.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))));
    let Some((first, file)) = bytes.split_first() else {
        return;
    };
    let known = (first & 1 != 0).then(hint);
    round(
        file,
        Format::Parquet,
        &ReadOptions::default().with_schema_hint(known),
    );
});
