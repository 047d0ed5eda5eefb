//! Parquet: whatever comes in, nothing panics, and what is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metaxy_frames::{Format, ReadOptions};
use metaxy_fuzz::{hint, round};

fuzz_target!(|bytes: &[u8]| {
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
