//! Hash kernels against the reference's hashes, and against themselves under every way of splitting.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int64Array, LargeStringArray, NullArray, StringArray,
    StringViewArray,
};
use arrow::datatypes::Int32Type;
use metaxy_core::ErrorKind;
use metaxy_core::hash::{
    Fold, HashAlgorithm, HashBatch, HashPart, Hasher, Nulls, RowHasher, hash_rows, joined,
};
use serde_json::Value;

fn golden(file: &str) -> Value {
    let path = format!(
        "{}/../../conformance/golden/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn hash(algorithm: HashAlgorithm, pieces: &[&[u8]]) -> String {
    let mut hasher = Hasher::new(algorithm);
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finish().to_string()
}

/// Bytes without a pattern that a hash could miss.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

#[test]
fn golden_hashes() {
    let golden = golden("hashes.json");
    let strings: Vec<&str> = golden["strings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    let cases = golden["cases"].as_array().unwrap();
    assert!(!strings.is_empty() && !cases.is_empty());
    let column = StringArray::from(strings.clone());
    for case in cases {
        let algorithm: HashAlgorithm = case["algorithm"].as_str().unwrap().parse().unwrap();
        let truncation = case["truncation_length"].as_u64().unwrap() as usize;
        let parts = [value(&column)];
        let hashes = hash_rows(algorithm, truncation, &parts, strings.len()).unwrap();
        let mut row = RowHasher::new(algorithm, truncation);
        for (i, expected) in case["hashes"].as_array().unwrap().iter().enumerate() {
            let expected = expected.as_str().unwrap();
            assert_eq!(hashes.value(i), expected, "{algorithm} of {:?}", strings[i]);
            // A text with the separator inside is the same as its parts.
            let mut text = String::new();
            strings[i].split('|').for_each(|part| row.part(part));
            row.finish(&mut text);
            assert_eq!(
                text, expected,
                "{algorithm} of the parts of {:?}",
                strings[i]
            );
        }
    }
}

#[test]
fn splitting_does_not_matter() {
    let bytes = noise(5000);
    for algorithm in HashAlgorithm::ALL {
        for length in (0..300).chain([1023, 1024, 1025, 2047, 2048, 2049, 3100, 4999]) {
            let input = &bytes[..length];
            let whole = hash(algorithm, &[input]);
            let step = if length < 300 { 1 + length / 40 } else { 331 };
            for cut in (0..=length).step_by(step) {
                let (a, b) = input.split_at(cut);
                let (b, c) = b.split_at(b.len() / 3);
                assert_eq!(
                    hash(algorithm, &[a, b, c]),
                    whole,
                    "{algorithm}, {length} cut at {cut}"
                );
            }
            for size in [1, 7, 32, 100] {
                let pieces: Vec<&[u8]> = input.chunks(size).collect();
                assert_eq!(
                    hash(algorithm, &pieces),
                    whole,
                    "{algorithm}, {length} in pieces of {size}"
                );
            }
        }
    }
}

#[test]
fn long_inputs_equal_the_crates_own() {
    let bytes = noise(5000);
    for length in (0..300).chain((1000..5000).step_by(97)) {
        let input = &bytes[..length];
        let of = |algorithm| hash(algorithm, &[input]);
        assert_eq!(
            of(HashAlgorithm::Wyhash),
            wyhash::wyhash(input, 0).to_string()
        );
        assert_eq!(
            of(HashAlgorithm::Xxhash32),
            twox_hash::XxHash32::oneshot(0, input).to_string()
        );
        assert_eq!(
            of(HashAlgorithm::Xxhash64),
            twox_hash::XxHash64::oneshot(0, input).to_string()
        );
        assert_eq!(
            of(HashAlgorithm::Xxh3_64),
            twox_hash::XxHash3_64::oneshot(input).to_string()
        );
    }
}

#[test]
fn a_hasher_is_fresh_after_finish_and_reset() {
    let long = noise(3000);
    for algorithm in HashAlgorithm::ALL {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&long);
        let first = hasher.finish().to_string();
        hasher.update(&long);
        hasher.reset();
        hasher.update(&long);
        assert_eq!(hasher.finish().to_string(), first, "{algorithm}");
        assert_eq!(
            hasher.finish().to_string(),
            hash(algorithm, &[]),
            "{algorithm}"
        );
    }
}

fn value(column: &dyn Array) -> HashPart<&dyn Array> {
    HashPart::Value(column, Nulls::Propagate)
}

#[test]
fn text_columns_of_every_kind_hash_alike() {
    let texts = [
        Some("a"),
        None,
        Some(""),
        Some("längerer Text, more than twelve"),
    ];
    let columns: [ArrayRef; 4] = [
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(StringViewArray::from(texts.to_vec())),
        Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for column in &columns {
        // Slices have an offset into their buffers.
        for from in 0..texts.len() {
            let slice = column.slice(from, texts.len() - from);
            for null_as in [Nulls::Propagate, Nulls::Empty] {
                let parts = joined([
                    HashPart::Text("f".into()),
                    HashPart::Text("1".into()),
                    HashPart::Value(slice.as_ref(), null_as),
                    HashPart::Value(slice.as_ref(), Nulls::Empty),
                    HashPart::Text("end".into()),
                ]);
                let hashes = hash_rows(HashAlgorithm::Xxhash64, 20, &parts, slice.len()).unwrap();
                for (i, text) in texts[from..].iter().enumerate() {
                    let text_of_row = format!("f|1|{0}|{0}|end", text.unwrap_or_default());
                    let expected = (text.is_some() || null_as == Nulls::Empty)
                        .then(|| hash(HashAlgorithm::Xxhash64, &[text_of_row.as_bytes()]));
                    let got = hashes.is_valid(i).then(|| hashes.value(i).to_owned());
                    assert_eq!(got, expected, "{} {null_as:?} {text:?}", column.data_type());
                }
            }
        }
    }
}

#[test]
fn rows_without_columns_and_columns_without_rows() {
    let literal = hash_rows(HashAlgorithm::Md5, 64, &[HashPart::Text("x".into())], 3).unwrap();
    assert_eq!(literal.value(2), "9dd4e461268c8034f5c8564e155c67a6");
    let nothing = hash_rows(HashAlgorithm::Md5, 64, &[], 1).unwrap();
    assert_eq!(nothing.value(0), "d41d8cd98f00b204e9800998ecf8427e");
    let nulls = NullArray::new(2);
    let null = hash_rows(HashAlgorithm::Md5, 64, &[value(&nulls)], 2).unwrap();
    assert_eq!(null.null_count(), 2);
    let empty = StringArray::new_null(0);
    let none = hash_rows(HashAlgorithm::Md5, 64, &[value(&empty)], 0).unwrap();
    assert!(none.is_empty());
}

#[test]
fn misfitting_columns_are_refused() {
    let numbers = Int64Array::from(vec![1, 2]);
    let parts = joined([HashPart::Text("f".into()), value(&numbers)]);
    let error = hash_rows(HashAlgorithm::Xxhash32, 8, &parts, 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(error.message().contains("part 2") && error.message().contains("Int64"));
    let short = StringArray::from(vec!["a"]);
    let error = hash_rows(HashAlgorithm::Xxhash32, 8, &[value(&short)], 2);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidFrame);
}

#[test]
fn folds_skip_nulls() {
    for algorithm in HashAlgorithm::ALL {
        let mut fold = Fold::new(algorithm, 64);
        let mut folded = |values: &[Option<&str>]| {
            let mut text = String::new();
            values.iter().for_each(|value| fold.push(*value));
            fold.finish_into(&mut text);
            text
        };
        let expected = |joined: &str| hash(algorithm, &[joined.as_bytes()]);
        assert_eq!(folded(&[]), expected(""));
        assert_eq!(folded(&[None, None]), expected(""));
        assert_eq!(folded(&[None, Some("a"), None, Some("b")]), expected("a|b"));
        assert_eq!(folded(&[Some(""), Some("")]), expected("|"));
        assert_eq!(folded(&[Some("a")]), expected("a"));
    }
}

#[test]
fn names_and_bits() {
    for algorithm in HashAlgorithm::ALL {
        assert_eq!(
            algorithm.to_string().parse::<HashAlgorithm>().unwrap(),
            algorithm
        );
    }
    let error = "SHA-256".parse::<HashAlgorithm>().unwrap_err();
    assert!(error.message().contains("wyhash"));
    assert!(error.hint().unwrap().contains("sha256"));
    assert!("farmhash".parse::<HashAlgorithm>().is_err());
    assert_eq!(HashAlgorithm::Xxhash32.bits_after(8), 26);
    assert_eq!(HashAlgorithm::Xxhash64.bits_after(20), 64);
    assert_eq!(HashAlgorithm::Sha256.bits_after(8), 32);
    assert_eq!(HashAlgorithm::Md5.bits_after(usize::MAX), 128);
}

#[test]
fn a_batch_hashes_as_one_after_the_other() {
    let texts: Vec<Vec<u8>> = (0..203_usize)
        .map(|i| (0..i * 11 % 400).map(|j| (i * 7 + j * 13) as u8).collect())
        .collect();
    for algorithm in HashAlgorithm::ALL {
        let mut hasher = Hasher::new(algorithm);
        for length in [64, 8, 5] {
            let mut batch = HashBatch::new(algorithm, length);
            // Whole batches and a part of one, each after another.
            for chunk in texts.chunks(HashBatch::ROWS).chain(texts.chunks(3)) {
                for (row, text) in batch.rows(chunk.len()).iter_mut().zip(chunk) {
                    let (start, end) = text.split_at(text.len() / 3);
                    row.push(start);
                    row.push(end);
                }
                let hashes: Vec<String> = batch.finish().map(|hash| hash.to_string()).collect();
                let alone: Vec<String> = chunk
                    .iter()
                    .map(|text| {
                        hasher.update(text);
                        hasher.finish().truncated(length).to_string()
                    })
                    .collect();
                assert_eq!(hashes, alone, "{algorithm}");
            }
        }
        let mut batch = HashBatch::new(algorithm, 8);
        let rows = batch.rows(HashBatch::ROWS + 1);
        assert_eq!(rows.len(), HashBatch::ROWS, "it takes no more");
        batch.rows(0);
        assert_eq!(
            batch.finish().count(),
            0,
            "what was not hashed is forgotten"
        );
    }
}

#[test]
fn a_hash_is_padded_to_a_length_that_it_fits() {
    for algorithm in HashAlgorithm::ALL {
        for length in 0..=12 {
            let hash = Hasher::new(algorithm).finish().truncated(length);
            let mut padded = [0; 12];
            padded[..hash.as_bytes().len()].copy_from_slice(hash.as_bytes());
            assert_eq!(hash.padded(), Some(padded), "{algorithm}");
        }
    }
    let long = Hasher::new(HashAlgorithm::Md5).finish();
    assert_eq!(long.padded::<12>(), None);
    assert_eq!(
        long.padded().as_ref(),
        Some(b"d41d8cd98f00b204e9800998ecf8427e")
    );
}
