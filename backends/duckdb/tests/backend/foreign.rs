//! Tables that other programs made: their types are read, ENUMs are appended to, and by-field columns may be MAPs, as the
//! Python package makes them with `enable_map_datatype`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::util::display::array_value_to_string;
use futures::executor::block_on;
use metaxy_duckdb::DuckDbConfig;
use metaxy_store::expr::Expr;
use metaxy_store::spec::{FieldDep, Lineage};
use metaxy_store::{
    Access, Backend, ErrorKind, FeatureDefinition, FeatureDep, FeatureGraph, FeatureKey,
    FeatureSpec, FieldSpec, MetadataStore, ReadOptions, ResolveOptions, Rows,
};

use crate::common::{append_of, open, read, read_where, sql, stored_rows};

/// The columns that the Python package gives a table.
const SYSTEM: &str = "
    metaxy_provenance_by_field STRUCT(content VARCHAR), metaxy_provenance VARCHAR,
    metaxy_data_version_by_field STRUCT(content VARCHAR), metaxy_data_version VARCHAR,
    metaxy_feature_version VARCHAR, metaxy_project_version VARCHAR,
    metaxy_created_at TIMESTAMPTZ, metaxy_updated_at TIMESTAMPTZ, metaxy_deleted_at TIMESTAMPTZ,
    metaxy_materialization_id VARCHAR";

#[test]
fn columns_of_every_type_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let time = |unit| DataType::Timestamp(unit, None);
    let item = |t| Arc::new(Field::new("item", t, true));
    let word = DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8));
    let columns = [
        ("ENUM('sad', 'ok')", "'ok'", word.clone(), "ok"),
        (
            "UUID",
            "'00112233-4455-6677-8899-aabbccddeeff'",
            DataType::Utf8,
            "00112233-4455-6677-8899-aabbccddeeff",
        ),
        (
            "HUGEINT",
            "-99999999999999999999999999999999999999",
            DataType::Decimal128(38, 0),
            "-99999999999999999999999999999999999999",
        ),
        (
            "TIME",
            "'23:59:59.999999'",
            DataType::Time64(TimeUnit::Microsecond),
            "23:59:59.999999",
        ),
        (
            "INTERVAL",
            "INTERVAL '14 months -3 days 1 second'",
            DataType::Interval(IntervalUnit::MonthDayNano),
            "14 mons -3 days 1.000000000 secs",
        ),
        ("DATE", "'0001-01-01'", DataType::Date32, "0001-01-01"),
        (
            "TIMESTAMP_S",
            "'1969-12-31 23:59:59'",
            time(TimeUnit::Second),
            "1969-12-31T23:59:59",
        ),
        (
            "TIMESTAMP_MS",
            "'1969-12-31 23:59:59.999'",
            time(TimeUnit::Millisecond),
            "1969-12-31T23:59:59.999",
        ),
        (
            "TIMESTAMP_NS",
            "'1970-01-01 00:00:00.000000001'",
            time(TimeUnit::Nanosecond),
            "1970-01-01T00:00:00.000000001",
        ),
        (
            "TIMESTAMPTZ",
            "'2024-01-01 01:00:00+02'",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "2023-12-31T23:00:00",
        ),
        (
            "DECIMAL(4, 1)",
            "-99.9",
            DataType::Decimal128(4, 1),
            "-99.9",
        ),
        (
            "DECIMAL(38, 38)",
            "0.5",
            DataType::Decimal128(38, 38),
            "0.50000000000000000000000000000000000000",
        ),
        ("BLOB", "'\\x00\\xFF'", DataType::Binary, "00ff"),
        (
            "UBIGINT",
            "18446744073709551615",
            DataType::UInt64,
            "18446744073709551615",
        ),
        ("FLOAT", "0.5", DataType::Float32, "0.5"),
        (
            "BOOLEAN[]",
            "[true, NULL]",
            DataType::List(item(DataType::Boolean)),
            "[true, ]",
        ),
        (
            "INTEGER[2]",
            "[1, 2]",
            DataType::FixedSizeList(item(DataType::Int32), 2),
            "[1, 2]",
        ),
        (
            "STRUCT(w ENUM('a', 'b'), u UUID)[]",
            "[{'w': 'b', 'u': '00112233-4455-6677-8899-aabbccddeeff'}]",
            DataType::List(item(DataType::Struct(Fields::from(vec![
                Field::new("w", word, true),
                Field::new("u", DataType::Utf8, true),
            ])))),
            "[{w: b, u: 00112233-4455-6677-8899-aabbccddeeff}]",
        ),
    ];
    let definitions: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(i, (name, ..))| format!("c{i} {name}"))
        .collect();
    let values: Vec<&str> = columns.iter().map(|(_, value, ..)| *value).collect();
    let nulls = vec!["NULL"; columns.len()];
    let (definitions, values, nulls) =
        (definitions.join(", "), values.join(", "), nulls.join(", "));
    sql(
        &path,
        &format!(
            "CREATE TABLE a__b (id BIGINT, {definitions}, {SYSTEM});
             INSERT INTO a__b SELECT 1, {values}, {} UNION ALL SELECT 2, {nulls}, {}",
            ["NULL"; 10].join(", "),
            ["NULL"; 10].join(", "),
        ),
    );
    let backend = open(&path, Access::Write);
    let rows = read(&backend).unwrap();
    assert_eq!(rows.num_rows(), 2);
    for (i, (name, _, data_type, text)) in columns.iter().enumerate() {
        let column = rows.column_by_name(&format!("c{i}")).unwrap();
        assert_eq!(column.data_type(), data_type, "{name}");
        assert!(column.is_valid(0) && column.is_null(1), "{name}");
        assert_eq!(text_of(column, 0), *text, "{name}");
    }
    let hits = |filter: &str| {
        let filter = Expr::parse(filter).unwrap();
        read_where(&backend, &filter).unwrap().num_rows()
    };
    assert_eq!(hits("c0 = 'ok'"), 1);
    assert_eq!(hits("c0 >= 'sad'"), 0, "compared as text, not as position");
    assert_eq!(hits("c1 = '00112233-4455-6677-8899-aabbccddeeff'"), 1);
    assert_eq!(hits("c2 < 0"), 1);
    assert_eq!(hits("c5 < '1970-01-01'"), 1);

    // What was read is written back, each column in its own type.
    let again = rows
        .project(&(0..=columns.len()).collect::<Vec<_>>())
        .unwrap();
    let again = again.slice(0, 1);
    block_on(backend.append(vec![append_of(again.into())])).unwrap();
    let rows = read(&backend).unwrap();
    assert_eq!(rows.num_rows(), 3);
    for (i, (name, ..)) in columns.iter().enumerate() {
        let [first, last] = [0, 2].map(|row| {
            let column = rows.column_by_name(&format!("c{i}")).unwrap();
            text_of(column, row)
        });
        assert_eq!(first, last, "{name}");
    }
}

#[test]
fn an_enum_takes_its_words_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    sql(
        &path,
        &format!(
            "CREATE TYPE mood AS ENUM ('sad', 'ok');
             CREATE TABLE a__b (id BIGINT, mood mood, {SYSTEM});
             INSERT INTO a__b (id, mood) VALUES (1, 'sad')"
        ),
    );
    let backend = open(&path, Access::Write);
    // As an ENUM of so few words is read.
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8));
    let rows = |words: [Option<&str>; 3], data_type: &DataType| {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![2, 3, 4]));
        let words: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
        let words = cast(&words, data_type).unwrap();
        RecordBatch::try_from_iter([("id", ids), ("mood", words)]).unwrap()
    };
    let write = |batch: RecordBatch| block_on(backend.append(vec![append_of(batch.into())]));
    for data_type in [&DataType::Utf8, &dictionary, &DataType::LargeUtf8] {
        let before = stored_rows(&backend);
        let error = write(rows([Some("ok"), None, Some("angry")], data_type)).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidFrame,
            "{data_type}: {error:?}"
        );
        let message = error.to_string();
        let given = format!("given as {data_type}");
        for part in ["\"mood\"", "a/b", "ENUM('sad', 'ok')", &given] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(stored_rows(&backend), before, "nothing was written");
        write(rows([Some("ok"), None, Some("sad")], data_type)).unwrap();
        assert_eq!(stored_rows(&backend), before + 3);
    }
    let stored = read(&backend).unwrap();
    let words = cast(stored.column_by_name("mood").unwrap(), &DataType::Utf8).unwrap();
    let words: Vec<_> = words.as_string::<i32>().iter().collect();
    let mut expected = vec![Some("sad")];
    expected.extend([Some("ok"), None, Some("sad")].repeat(3));
    assert_eq!(words, expected);
    drop(backend);
    let types = "SELECT count(*) FROM duckdb_columns() WHERE column_name = 'mood' AND data_type LIKE 'ENUM%'";
    assert_eq!(
        crate::common::number(&path, types),
        1,
        "it is still an ENUM"
    );
}

fn text_of(column: &ArrayRef, row: usize) -> String {
    let column = match column.data_type() {
        // The zone is UTC.
        DataType::Timestamp(unit, Some(_)) => {
            let counts = cast(column, &DataType::Int64).unwrap();
            cast(&counts, &DataType::Timestamp(*unit, None)).unwrap()
        }
        _ => column.clone(),
    };
    array_value_to_string(&column, row).unwrap()
}

fn graph() -> FeatureGraph {
    let raw = FeatureSpec::new("raw", ["id"])
        .unwrap()
        .with_field(FieldSpec::new("audio/left").unwrap())
        .with_field(FieldSpec::new("frames").unwrap());
    let derived = FeatureSpec::new("derived", ["id"])
        .unwrap()
        .with_dep(FeatureDep::new("raw").unwrap())
        .with_field(
            FieldSpec::new("text")
                .unwrap()
                .with_dep(FieldDep::new("raw", ["audio/left"]).unwrap()),
        )
        .with_field(FieldSpec::new("both").unwrap());
    let grouped = FeatureSpec::new("grouped", ["group"]).unwrap().with_dep(
        FeatureDep::new("raw")
            .unwrap()
            .with_lineage(Lineage::aggregation(["group"])),
    );
    let definitions = [raw, derived, grouped].map(|spec| FeatureDefinition::new(spec, "test"));
    FeatureGraph::from_definitions(definitions).unwrap()
}

fn store(path: &Path) -> MetadataStore {
    MetadataStore::builder(Arc::new(DuckDbConfig::new(path).open(Access::Write)))
        .with_access(Access::Write)
        .with_graph(graph())
        .build()
        .unwrap()
}

fn key(name: &str) -> FeatureKey {
    FeatureKey::new(name).unwrap()
}

/// Samples of `raw`, as this version of their provenance says.
fn raw(version: &str, ids: std::ops::Range<i64>) -> RecordBatch {
    let text = |member: &str| -> ArrayRef {
        let texts = ids.clone().map(|id| format!("{member} {id} {version}"));
        Arc::new(StringArray::from_iter_values(texts))
    };
    let member = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let by_field = StructArray::from(vec![
        (member("audio_left"), text("audio")),
        (member("frames"), text("frames")),
    ]);
    let groups = ids.clone().map(|id| id % 3);
    RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(ids.clone())) as ArrayRef,
        ),
        ("group", Arc::new(Int64Array::from_iter_values(groups))),
        ("metaxy_provenance_by_field", Arc::new(by_field)),
    ])
    .unwrap()
}

/// Makes the by-field columns MAPs, in all tables.
fn with_maps(path: &Path) {
    for (table, members) in [
        ("raw", ["audio_left", "frames"]),
        ("derived", ["both", "text"]),
    ] {
        let map = |column: &str| {
            let pairs = members.map(|m| format!("'{m}': {column}.\"{m}\""));
            format!("MAP {{{}}} AS {column}", pairs.join(", "))
        };
        let maps = ["metaxy_provenance_by_field", "metaxy_data_version_by_field"].map(map);
        sql(
            path,
            &format!(
                "CREATE OR REPLACE TABLE maps AS SELECT * REPLACE ({}) FROM \"{table}\";
                 DROP TABLE \"{table}\"; ALTER TABLE maps RENAME TO \"{table}\"",
                maps.join(", ")
            ),
        );
    }
}

/// The versions of the rows, with their IDs.
fn versions(rows: &Rows, id: &str) -> Vec<String> {
    let batch = rows.to_batch().unwrap();
    if batch.num_rows() == 0 {
        // What was never written has no versions.
        return Vec::new();
    }
    let columns = [id, "metaxy_provenance", "metaxy_data_version"];
    let columns = columns.map(|name| {
        let column = batch.column_by_name(name);
        column.unwrap_or_else(|| panic!("{name} of {:?}", batch.schema()))
    });
    let mut lines: Vec<String> = (0..batch.num_rows())
        .map(|row| {
            columns
                .map(|c| array_value_to_string(c, row).unwrap())
                .join(" ")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn by_field_columns_may_be_maps() {
    let folder = tempfile::tempdir().unwrap();
    let [structs, maps] = ["structs", "maps"].map(|name| folder.path().join(name));
    for path in [&structs, &maps] {
        let store = store(path);
        block_on(store.write(&key("raw"), raw("1", 0..9))).unwrap();
        let derived = key("derived");
        let work = block_on(store.resolve_update(&derived, ResolveOptions::default())).unwrap();
        block_on(store.write(&derived, work.new)).unwrap();
        // Some samples change, some come, and a third of the derived ones has lost its parent.
        block_on(store.write(&key("raw"), raw("2", 0..3))).unwrap();
        block_on(store.write(&key("raw"), raw("1", 9..12))).unwrap();
        let gone = metaxy_store::DeleteOptions::default();
        let gone = gone.with_filters([
            metaxy_store::col("id").gt(metaxy_store::lit(5)),
            metaxy_store::col("id").lt(metaxy_store::lit(9)),
        ]);
        block_on(store.delete(&key("raw"), gone)).unwrap();
    }
    with_maps(&maps);
    let with_maps = store(&maps);
    let schema = block_on(with_maps.backend().schema(&key("raw")))
        .unwrap()
        .unwrap();
    let by_field = schema
        .field_with_name("metaxy_provenance_by_field")
        .unwrap();
    assert!(
        matches!(by_field.data_type(), DataType::Map(..)),
        "{by_field:?}"
    );

    let with_structs = store(&structs);
    for (feature, id) in [("derived", "id"), ("grouped", "group")] {
        let [expected, found] = [&with_structs, &with_maps].map(|store| {
            block_on(store.resolve_update(&key(feature), ResolveOptions::default())).unwrap()
        });
        let sizes = [&found.new, &found.stale, &found.orphaned].map(Rows::num_rows);
        match feature {
            "derived" => assert_eq!(sizes, [3, 3, 3]),
            _ => assert_eq!(sizes, [9, 0, 0]),
        }
        for (name, found, expected) in [
            ("new", &found.new, &expected.new),
            ("stale", &found.stale, &expected.stale),
            ("orphaned", &found.orphaned, &expected.orphaned),
        ] {
            assert_eq!(
                versions(found, id),
                versions(expected, id),
                "{name} of {feature}"
            );
        }
    }
    let read = |store: &MetadataStore| {
        let read = async {
            let rows = store.read(&key("raw"), ReadOptions::default()).await?;
            rows.collect().await
        };
        versions(&block_on(read).unwrap(), "id")
    };
    assert_eq!(read(&with_maps), read(&with_structs));

    // A write of structs does not fit, says so, and changes nothing.
    let error = block_on(with_maps.write(&key("raw"), raw("3", 0..3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame, "{error}");
    assert!(
        error.to_string().contains("metaxy_provenance_by_field"),
        "{error}"
    );
    assert_eq!(read(&with_maps), read(&with_structs));
}
