//! The hash function of the engine and the kernels of the library give the same hashes, whatever is hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use metaxy_duckdb::DuckDbBackend;
use metaxy_store::hash::{HashAlgorithm, Hasher};
use metaxy_store::plan::{Fold, HashPart, HashSpec, Nulls, Plan, Relation, Scalar};

use crate::common::{append, memory, query, scan};

/// More rows than the engine hashes in one go.
const ROWS: usize = 5_000;

/// Texts of 0 to 5,000 bytes: such as DuckDB keeps in place (up to 12), others, nulls, and what SQL or a recipe could trip over.
fn texts(seed: usize) -> StringArray {
    let odd = [
        "\0",
        "a\0b",
        "'",
        "''",
        "\"",
        "|",
        "a0:",
        "t5:",
        "日本語",
        "日本語日本",
        "%s",
        "\\",
        "NULL",
        "\n",
    ];
    StringArray::from_iter((0..ROWS).map(|row| {
        match (row + seed) % 7 {
            0 => None,
            1 => Some(odd[row % odd.len()].to_owned()),
            2 => Some(format!(
                "{}{}",
                "x".repeat(row % 14),
                odd[(row / 7) % odd.len()]
            )),
            3 => Some("y".repeat((row + seed * 3) % 14)),
            4 => Some("é".repeat(row % 70)),
            _ => Some(
                (0..row % 97)
                    .map(|i| char::from(b'a' + ((i * seed + row) % 26) as u8))
                    .collect(),
            ),
        }
    }))
}

/// Texts of each length from 0 to 400 bytes, and of some up to 5,000.
fn lengths() -> StringArray {
    StringArray::from_iter_values((0..ROWS).map(|row| {
        let length = match row {
            0..=400 => row,
            _ if row % 60 == 0 || row + 1 == ROWS => row + 1,
            _ => row % 40,
        };
        let text = (0..length).map(|i| char::from(b' ' + ((i * 7 + row) % 90) as u8));
        text.collect::<String>()
    }))
}

fn frame() -> RecordBatch {
    let (first, second) = (texts(1), texts(2));
    let member = Arc::new(Field::new("a 'member'", DataType::Utf8, true));
    let members = StructArray::from(vec![(member, Arc::new(texts(3)) as ArrayRef)]);
    RecordBatch::try_from_iter([
        (
            "row",
            Arc::new(Int64Array::from_iter_values(0..ROWS as i64)) as ArrayRef,
        ),
        ("a", Arc::new(first)),
        ("b \"'", Arc::new(second)),
        ("length", Arc::new(lengths())),
        ("s", Arc::new(members)),
    ])
    .unwrap()
}

/// What is hashed of each row, with the algorithms to choose from.
fn recipes() -> Vec<Vec<HashPart>> {
    let text = |text: &str| HashPart::Text(text.into());
    let value = |name: &str, nulls| HashPart::Value(Scalar::column(name), nulls);
    let (whole, empty) = (Nulls::Propagate, Nulls::Empty);
    vec![
        vec![value("length", whole)],
        vec![value("a", whole)],
        vec![value("a", empty)],
        vec![text("")],
        vec![text("only 'text' \0 and \"quotes\" | : a0: t3:abc 日本")],
        vec![
            text("key|code\0'|"),
            value("a", whole),
            text("|"),
            value("b \"'", empty),
            text("|日本:|"),
            HashPart::Value(Scalar::member("s", "a 'member'"), empty),
            text(""),
            value("length", whole),
        ],
        // The same value twice, with nulls meaning two things.
        vec![
            value("a", empty),
            text("|"),
            value("a", whole),
            value("a", whole),
        ],
        vec![HashPart::Value(Scalar::member("s", "a 'member'"), whole)],
        vec![
            HashPart::Value(Scalar::Text("a constant '\0".into()), whole),
            value("length", whole),
        ],
    ]
}

/// The text of a part in a row, or `None` if its null makes the hash null.
fn part_of<'a>(part: &'a HashPart, rows: &'a RecordBatch, row: usize) -> Option<&'a str> {
    let (scalar, nulls) = match part {
        HashPart::Text(text) => return Some(text),
        HashPart::Value(Scalar::Text(text), _) => return Some(text),
        HashPart::Value(scalar, nulls) => (scalar, nulls),
    };
    let column = match scalar {
        Scalar::Column(name) => rows.column_by_name(name),
        Scalar::Member { column, member } => {
            let members = rows.column_by_name(column).unwrap().as_struct();
            members.column_by_name(member)
        }
        _ => None,
    };
    let column = column.unwrap().as_string::<i32>();
    match (column.is_null(row), nulls) {
        (false, _) => Some(column.value(row)),
        (true, Nulls::Empty) => Some(""),
        (true, Nulls::Propagate) => None,
    }
}

fn expected(spec: HashSpec, parts: &[HashPart], rows: &RecordBatch, row: usize) -> Option<String> {
    let mut hasher = Hasher::new(spec.algorithm);
    for part in parts {
        hasher.update(part_of(part, rows, row)?.as_bytes());
    }
    Some(hasher.finish().truncated(spec.length).as_str().to_owned())
}

fn check(
    backend: &DuckDbBackend,
    relation: &Relation,
    frame: Option<&RecordBatch>,
    rows: &RecordBatch,
) {
    let recipes = recipes();
    let specs =
        HashAlgorithm::ALL.map(|algorithm| [8, 64].map(|length| HashSpec { algorithm, length }));
    for spec in specs.into_iter().flatten() {
        let mut columns = vec![("row".to_owned(), Scalar::column("row"))];
        for (i, parts) in recipes.iter().enumerate() {
            let parts = parts.clone();
            columns.push((format!("h{i}"), Scalar::Hash { spec, parts }));
        }
        let plan = Plan {
            relation: relation.clone().project(columns).unwrap(),
            frames: frame
                .into_iter()
                .map(|frame| frame.clone().into())
                .collect(),
        };
        let hashed = query(backend, plan).unwrap();
        assert_eq!(hashed.num_rows(), ROWS);
        for batch in hashed.batches() {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            for (i, parts) in recipes.iter().enumerate() {
                let hashes = batch.column(i + 1).as_string::<i32>();
                for (hash, id) in hashes.iter().zip(ids.values()) {
                    let expected = expected(spec, parts, rows, *id as usize);
                    assert_eq!(
                        hash,
                        expected.as_deref(),
                        "{spec:?} of {parts:?} in row {id}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_algorithm_hashes_a_frame_as_the_kernels_do() {
    let rows = frame();
    check(
        &memory(),
        &Relation::frame(0, rows.schema()),
        Some(&rows),
        &rows,
    );
}

#[test]
fn every_algorithm_hashes_a_table_as_the_kernels_do() {
    // The engine compresses what it stores, and hands constants and dictionaries to functions.
    let folder = tempfile::tempdir().unwrap();
    let backend = crate::common::open(
        &folder.path().join("store.duckdb"),
        metaxy_store::Access::Write,
    );
    let rows = frame();
    append(&backend, rows.slice(0, 3_000)).unwrap();
    append(&backend, rows.slice(3_000, ROWS - 3_000)).unwrap();
    check(&backend, &scan(&backend).unwrap().unwrap(), None, &rows);
}

#[test]
fn constants_and_repeated_texts_are_hashed_as_others() {
    let same = "the same text in all rows";
    let rows = RecordBatch::try_from_iter([
        (
            "constant",
            Arc::new(StringArray::from_iter_values(vec![same; ROWS])) as ArrayRef,
        ),
        (
            "few",
            Arc::new(StringArray::from_iter(
                (0..ROWS).map(|i| [Some("one"), None, Some("thirteen bytes")][i % 3]),
            )),
        ),
        ("nulls", Arc::new(StringArray::new_null(ROWS))),
    ])
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let backend = crate::common::open(
        &folder.path().join("store.duckdb"),
        metaxy_store::Access::Write,
    );
    append(&backend, rows.clone()).unwrap();
    let spec = HashSpec {
        algorithm: HashAlgorithm::Md5,
        length: 32,
    };
    let value = |name: &str, nulls| HashPart::Value(Scalar::column(name), nulls);
    let (whole, empty) = (Nulls::Propagate, Nulls::Empty);
    let parts = [
        vec![value("constant", whole)],
        vec![
            value("few", whole),
            HashPart::Text("|".into()),
            value("constant", whole),
        ],
        vec![value("few", empty), value("nulls", empty)],
        vec![value("constant", whole), value("nulls", whole)],
    ];
    let columns = parts.iter().enumerate().map(|(i, parts)| {
        let parts = parts.clone();
        (format!("h{i}"), Scalar::Hash { spec, parts })
    });
    let relation = scan(&backend)
        .unwrap()
        .unwrap()
        .project(columns.collect())
        .unwrap();
    let hashed = query(&backend, relation).unwrap().to_batch().unwrap();
    for (i, parts) in parts.iter().enumerate() {
        let sorted = |mut hashes: Vec<Option<String>>| {
            hashes.sort();
            hashes
        };
        let found = hashed.column(i).as_string::<i32>().iter();
        let found = sorted(found.map(|h| h.map(str::to_owned)).collect());
        let expected = (0..ROWS).map(|row| expected(spec, parts, &rows, row));
        assert_eq!(found, sorted(expected.collect()), "{parts:?}");
    }
}

/// A group's values are joined in their order, and hashed; also in groups of more rows than the engine looks at in one go.
#[test]
fn groups_are_folded_as_the_kernels_do() {
    let backend = memory();
    let values = texts(5);
    let groups = Int64Array::from_iter_values(
        (0..ROWS as i64).map(|i| if i % 2 == 0 { 0 } else { i % 400 }),
    );
    // The order is not that of the rows.
    let order = Int64Array::from_iter_values((0..ROWS as i64).map(|i| (i * 7_919) % ROWS as i64));
    let rows = RecordBatch::try_from_iter([
        ("group", Arc::new(groups.clone()) as ArrayRef),
        ("order", Arc::new(order.clone())),
        ("value", Arc::new(values.clone())),
    ])
    .unwrap();
    for algorithm in HashAlgorithm::ALL {
        let hash = HashSpec {
            algorithm,
            length: 20,
        };
        let fold = Fold {
            input: Relation::frame(0, rows.schema()),
            keys: vec!["group".into()],
            order: vec!["order".into()],
            values: vec![("folded".into(), Scalar::column("value"))],
            hash,
        };
        let plan = Plan {
            relation: Relation::fold(fold).unwrap(),
            frames: vec![rows.clone().into()],
        };
        let folded = query(&backend, plan).unwrap().to_batch().unwrap();
        let found = folded
            .column_by_name("group")
            .unwrap()
            .as_primitive::<Int64Type>();
        let hashes = folded.column_by_name("folded").unwrap().as_string::<i32>();
        let mut expected: BTreeMap<i64, String> = BTreeMap::new();
        let mut fold = metaxy_store::hash::Fold::new(algorithm, hash.length);
        for group in groups.values() {
            expected.entry(*group).or_insert_with(|| {
                let mut positions: Vec<usize> = (0..ROWS)
                    .filter(|row| groups.value(*row) == *group)
                    .collect();
                positions.sort_by_key(|row| order.value(*row));
                for row in positions {
                    fold.push(values.is_valid(row).then(|| values.value(row)));
                }
                let mut text = String::new();
                fold.finish_into(&mut text);
                text
            });
        }
        assert_eq!(folded.num_rows(), ROWS, "each row of a group has its hash");
        for (group, hash) in found.values().iter().zip(hashes) {
            assert_eq!(
                hash,
                expected.get(group).map(String::as_str),
                "{algorithm} of group {group}"
            );
        }
        let found: BTreeSet<i64> = found.values().iter().copied().collect();
        assert!(found.iter().eq(expected.keys()), "every group is there");
    }
}
