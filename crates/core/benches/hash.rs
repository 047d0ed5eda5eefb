//! Nanoseconds per row for rows of 17 parts: `cargo bench -p metaxy-core --bench hash`.
//!
//! A row is what a feature with eight upstream fields hashes: names that are the same in every row, and versions that differ.

use std::hint::black_box;
use std::time::Instant;

use arrow::array::{Array, StringArray};
use metaxy_core::hash::{HashAlgorithm, HashPart, Nulls, RowHasher, hash_rows, joined};

const ROWS: usize = 100_000;
const ROUNDS: usize = 5;

fn main() {
    let names: Vec<String> = (0..9)
        .map(|i| format!("project/feature-{i}.field/of/feature-{i}"))
        .collect();
    println!("ns per row: 17 parts, best of {ROUNDS} rounds of {ROWS} rows");
    println!(
        "{:<12}{:>14}{:>14}{:>14}",
        "", "20 chars", "64 chars", "SQL scalar"
    );
    for algorithm in HashAlgorithm::ALL {
        let rows = |length| {
            let versions = columns(length);
            let parts = parts(&names, &versions);
            best(|| {
                black_box(hash_rows(algorithm, 64, &parts, ROWS).map(|hashes| hashes.len())).ok();
            })
        };
        println!(
            "{:<12}{:>14.0}{:>14.0}{:>14.0}",
            algorithm,
            rows(20),
            rows(64),
            scalar(algorithm, &names)
        );
    }
}

/// Part by part through [`RowHasher`], as a scalar function does.
fn scalar(algorithm: HashAlgorithm, names: &[String]) -> f64 {
    let versions = columns(20);
    let mut hasher = RowHasher::new(algorithm, 64);
    let mut text = String::new();
    best(|| {
        for row in 0..ROWS {
            for (i, name) in names.iter().enumerate() {
                hasher.part(name);
                if let Some(column) = versions.get(i) {
                    hasher.part(column.value(row));
                }
            }
            text.clear();
            hasher.finish(&mut text);
            black_box(&text);
        }
    })
}

fn columns(length: usize) -> Vec<StringArray> {
    (0..8_usize)
        .map(|column| {
            (0..ROWS)
                .map(|row| Some(format!("{:0>length$}", row * 7919 + column)))
                .collect()
        })
        .collect()
}

/// A name, a version, a name, …: nine and eight.
fn parts<'a>(names: &[String], versions: &'a [StringArray]) -> Vec<HashPart<&'a dyn Array>> {
    let mut parts = Vec::new();
    for (i, name) in names.iter().enumerate() {
        parts.push(HashPart::Text(name.clone()));
        if let Some(column) = versions.get(i) {
            parts.push(HashPart::Value(column as &dyn Array, Nulls::Propagate));
        }
    }
    joined(parts)
}

fn best(mut round: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / ROWS as f64
        })
        .fold(f64::INFINITY, f64::min)
}
