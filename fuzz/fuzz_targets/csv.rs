//! CSV: whatever comes in, what is read is written and read again as the same. The first byte chooses the dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metaxy_frames::{Format, ReadOptions};
use metaxy_fuzz::{hint, round};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let known = (first & 1 != 0).then(hint);
    let delimiter = (first & 2 != 0).then_some(b';');
    let options = ReadOptions::default()
        .with_schema_hint(known)
        .with_delimiter(delimiter)
        .with_quotes(first & 4 == 0);
    round(
        text,
        if first & 8 == 0 {
            Format::Csv
        } else {
            Format::Tsv
        },
        &options,
    );
});
