//! NDJSON and JSON: whatever comes in, what is read is written and read again as the same. The first byte chooses the form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metaxy_frames::{Format, ReadOptions};
use metaxy_fuzz::{hint, round};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let known = (first & 1 != 0).then(hint);
    let format = if first & 2 == 0 {
        Format::Ndjson
    } else {
        Format::Json
    };
    round(
        text,
        format,
        &ReadOptions::default().with_schema_hint(known),
    );
});
