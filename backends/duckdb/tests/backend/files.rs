//! What can be wrong with the file: every case is a clear error and leaves nothing half-made.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use futures::executor::block_on;
use futures::{FutureExt, StreamExt};
use metaxy_duckdb::DuckDbConfig;
use metaxy_store::backend::append::{Append, Times, stamp_type};
use metaxy_store::hash::HashAlgorithm;
use metaxy_store::plan::{HashPart, HashSpec, JoinKind, Nulls, Plan, Relation, Scalar, Scan};
use metaxy_store::{Access, Backend, Error, ErrorKind, Frame};

use crate::common::{
    append, append_of, batch, column, memory, number, open, query, read, scan, sql, stored_rows,
    table, write,
};

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "these are notes, not samples ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    for access in [Access::Read, Access::Write] {
        let error = block_on(open(&path, access).schema(&table())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
        let (message, hint) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(message.contains("notes.txt"), "{error}");
        assert!(hint.contains("not touched"), "{hint}");
    }
    let error = write(&open(&path, Access::Write), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotOpen, "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_a_missing_folder_and_no_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&open(folder.path(), Access::Write), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotOpen);
    assert!(error.to_string().contains("is a folder"), "{error}");

    let nowhere = folder.path().join("missing/store.duckdb");
    for access in [Access::Read, Access::Write] {
        let error = block_on(open(&nowhere, access).tables()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen);
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }
    assert!(!nowhere.parent().unwrap().exists());

    // DuckDB would take it for a database in memory, and the rows would be lost.
    for access in [Access::Read, Access::Write] {
        let error = block_on(open(Path::new(""), access).tables()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotOpen);
        assert!(error.hint().unwrap().contains("`database`"), "{error}");
    }
}

/// Not even an administrator can make files there.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let path = Path::new("/sys/kernel/store.duckdb");
    let error = write(&open(path, Access::Write), 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
    let (message, hint) = (error.to_string(), error.hint().unwrap_or_default());
    assert!(message.contains("/sys/kernel/store.duckdb"), "{error}");
    assert!(hint.contains("folder"), "{hint}");
    assert!(!block_on(open(path, Access::Read).has_rows(&table())).unwrap());
}

#[test]
fn reading_what_does_not_exist_yet_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let reader = open(&path, Access::Read);
    assert_eq!(block_on(reader.schema(&table())).unwrap(), None);
    assert!(!block_on(reader.has_rows(&table())).unwrap());
    assert_eq!(block_on(reader.tables()).unwrap(), Vec::<String>::new());
    // A plan over frames needs no file.
    let plan = Plan {
        relation: Relation::frame(0, batch(0).schema()),
        frames: vec![batch(3).into()],
    };
    assert_eq!(query(&reader, plan).unwrap().num_rows(), 3);
    assert_eq!(write(&reader, 1).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    write(&open(&path, Access::Write), 3).unwrap();
    assert_eq!(stored_rows(&reader), 3, "it is there now");
    for error in [
        write(&reader, 1).unwrap_err(),
        block_on(reader.delete(&table(), None)).unwrap_err(),
        block_on(reader.drop_table(&table())).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
        assert!(error.to_string().contains("store.duckdb"), "{error}");
    }
}

#[test]
fn a_table_of_somebody_else_is_left_alone() {
    for object in [
        "CREATE TABLE a__b (x INTEGER); INSERT INTO a__b VALUES (1)",
        "CREATE TABLE a__b (id BIGINT, v VARCHAR); INSERT INTO a__b VALUES (1, 'x')",
        "CREATE TABLE other (id BIGINT); INSERT INTO other VALUES (1); CREATE VIEW a__b AS SELECT * FROM other",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.duckdb");
        sql(&path, object);
        let columns = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'a__b'";
        let before = number(&path, columns);
        let other = open(&path, Access::Write);
        for error in [
            write(&other, 1).unwrap_err(),
            block_on(other.delete(&table(), None)).unwrap_err(),
            block_on(other.drop_table(&table())).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{object}: {error}");
            assert!(error.to_string().contains("a__b"), "{object}: {error}");
            let hint = error.hint().unwrap_or_default();
            assert!(hint.contains("table_prefix"), "{object}: {hint}");
        }
        drop(other);

        let prefixed = DuckDbConfig::new(&path)
            .with_table_prefix("m_")
            .open(Access::Write);
        write(&prefixed, 2).unwrap();
        assert_eq!(stored_rows(&prefixed), 2);
        drop(prefixed);
        assert_eq!(number(&path, "SELECT count(*) FROM a__b"), 1);
        assert_eq!(number(&path, columns), before, "{object}");
    }
}

#[test]
fn a_prefix_separates_stores_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let with = |prefix: &str| {
        DuckDbConfig::new(&path)
            .with_table_prefix(prefix)
            .open(Access::Write)
    };
    let (plain, quoted) = (with(""), with("m \"x\"."));
    write(&plain, 1).unwrap();
    assert_eq!(stored_rows(&quoted), 0);
    write(&quoted, 2).unwrap();
    assert_eq!((stored_rows(&plain), stored_rows(&quoted)), (1, 2));
    let tables = block_on(quoted.tables()).unwrap();
    assert_eq!(tables, ["m \"x\".a__b"]);
    assert!(block_on(quoted.drop_table(&table())).unwrap());
    assert_eq!((stored_rows(&plain), stored_rows(&quoted)), (1, 0));
}

#[test]
fn names_that_differ_in_case_only_are_refused() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let backend = memory();
    let rows =
        RecordBatch::try_from_iter([("Path", texts.clone()), ("path", texts.clone())]).unwrap();
    let error = append(&backend, rows).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    let message = error.to_string();
    assert!(message.contains("\"Path\" and \"path\""), "{error}");

    append(&backend, column("Path", texts.clone())).unwrap();
    assert!(append(&backend, column("path", texts.clone())).is_err());
    assert_eq!(read(&backend).unwrap().num_columns(), 1);

    let member = |name| {
        (
            Arc::new(Field::new(name, DataType::Utf8, true)),
            texts.clone(),
        )
    };
    let members: ArrayRef = Arc::new(StructArray::from(vec![member("Ä"), member("ä")]));
    let lists = arrow::array::ListArray::new(
        Arc::new(Field::new("item", members.data_type().clone(), true)),
        arrow::buffer::OffsetBuffer::from_lengths([1]),
        members.clone(),
        None,
    );
    for values in [members, Arc::new(lists)] {
        let error = append(&memory(), column("s", values)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame);
        assert!(
            error.to_string().contains("members \"Ä\" and \"ä\""),
            "{error}"
        );
    }

    // The table of another program, whose name differs in case from that of the feature.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    sql(&path, "CREATE TABLE \"A__b\" (id BIGINT)");
    let error = write(&open(&path, Access::Write), 1).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("\"a__b\"") && message.contains("\"A__b\""),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("table_prefix"));
}

/// Rows with equal stamps: the one stored later wins, also where a column hides the number by which DuckDB knows that.
#[test]
fn the_later_of_equal_stamps_wins_beside_a_column_called_rowid() {
    // More than DuckDB keeps in one group of rows, so that several threads look at them.
    let rows = 300_000;
    for name in ["v", "rowid", "ROWID"] {
        let backend = memory();
        for write in 0..2 {
            let numbers =
                |value: i64| -> ArrayRef { Arc::new(Int64Array::from_value(value, rows)) };
            let stamps = arrow::compute::cast(&numbers(7), &stamp_type()).unwrap();
            let ids = Int64Array::from_iter_values((0..rows as i64).rev());
            let columns: [(&str, ArrayRef); 4] = [
                ("id", Arc::new(ids)),
                ("metaxy_updated_at", stamps.clone()),
                (
                    "metaxy_deleted_at",
                    arrow::array::new_null_array(&stamp_type(), rows),
                ),
                (name, numbers(1 - write)),
            ];
            append(&backend, RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        }
        let schema = block_on(backend.schema(&table())).unwrap().unwrap();
        let scan = Scan {
            table: table(),
            feature_version: None,
            as_of: None,
            latest_per: Some(vec!["id".into()]),
        };
        let latest = query(&backend, Relation::scan(scan, schema)).unwrap();
        assert_eq!(latest.num_rows(), rows, "{name}");
        let of_first = |batch: &RecordBatch| -> i64 {
            let values = batch.column_by_name(name).unwrap();
            values.as_primitive::<Int64Type>().values().iter().sum()
        };
        let of_first: i64 = latest.batches().iter().map(of_first).sum();
        assert_eq!(of_first, 0, "{name}: rows of the first write won");
    }
}

#[test]
fn rows_that_fail_half_way_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(&folder.path().join("store.duckdb"), Access::Write);
    let broken = Error::new(ErrorKind::Io, "the producer failed");
    let rows = futures::stream::iter([Ok(batch(200_000)), Err(broken)]);
    let failing = append_of(Frame::new(batch(0).schema(), rows));
    let whole = Append {
        table: metaxy_store::FeatureKey::new("first").unwrap(),
        ..append_of(batch(5).into())
    };
    let error = block_on(backend.append(vec![whole, failing])).unwrap_err();
    assert_eq!(error.message(), "the producer failed");
    assert_eq!(block_on(backend.tables()).unwrap(), Vec::<String>::new());

    let null: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let rows = column("id", null);
    let error = block_on(backend.append(vec![append_of(rows.into())])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(error.to_string().contains("\"id\""), "{error}");
    assert_eq!(stored_rows(&backend), 0);

    // New columns of a write that fails are not there either.
    write(&backend, 3).unwrap();
    let more: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let wide = RecordBatch::try_from_iter([("id", more.clone()), ("more", more)]).unwrap();
    let broken = Error::new(ErrorKind::Io, "the producer failed");
    let schema = wide.schema();
    let rows = futures::stream::iter([Ok(wide), Err(broken)]);
    block_on(backend.append(vec![append_of(Frame::new(schema, rows))])).unwrap_err();
    assert!(read(&backend).unwrap().column_by_name("more").is_none());
    assert_eq!(stored_rows(&backend), 3);
}

#[test]
fn a_write_that_nobody_waits_for_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(&folder.path().join("store.duckdb"), Access::Write);
    let (mut sender, receiver) = futures::channel::mpsc::channel(1);
    let append = append_of(Frame::new(batch(0).schema(), receiver));
    let mut pending = backend.append(vec![append]);
    sender.try_send(Ok(batch(200_000))).unwrap();
    assert!((&mut pending).now_or_never().is_none());
    drop(pending);
    // The producer goes on, but there is nobody to acknowledge to.
    drop(sender);
    // The next one waits for the abandoned one.
    write(&backend, 7).unwrap();
    assert_eq!(stored_rows(&backend), 7);
}

/// Pairs of `rows` by `rows`, with so many hashes.
fn slow_plan(rows: usize) -> Plan {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..rows).map(|i| format!("{i}")),
    ));
    let same: ArrayRef = Arc::new(Int64Array::from_value(1, rows));
    let side = |name: &str| {
        RecordBatch::try_from_iter([("k", same.clone()), (name, texts.clone())]).unwrap()
    };
    let (left, right) = (side("a"), side("b"));
    let value = |name: &str| HashPart::Value(Scalar::column(name), Nulls::Propagate);
    let hash = Scalar::Hash {
        spec: HashSpec {
            algorithm: HashAlgorithm::Sha256,
            length: 20,
        },
        parts: vec![value("a"), value("b")],
    };
    let relation = Relation::frame(0, left.schema())
        .join(
            Relation::frame(1, right.schema()),
            vec!["k".into()],
            JoinKind::Inner,
        )
        .and_then(|pairs| pairs.project(vec![("h".into(), hash)]))
        .and_then(|hashes| hashes.count(vec!["h".into()]))
        .unwrap();
    Plan {
        relation,
        frames: vec![left.into(), right.into()],
    }
}

#[test]
fn a_result_that_nobody_reads_stops_the_statement() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    write(&open(&path, Access::Write), 3).unwrap();
    let reader = open(&path, Access::Read);
    // 10^10 hashes take hours.
    let mut frame = block_on(reader.query(slow_plan(100_000))).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let next = frame.next().now_or_never();
        assert!(next.is_none(), "it answered: {next:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The engine is open for reading only, and nobody writes until the statement has ended.
    let hasty = DuckDbConfig::new(&path)
        .with_lock_timeout(Duration::from_millis(50))
        .open(Access::Write);
    let error = write(&hasty, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    drop(frame);
    let start = Instant::now();
    write(&open(&path, Access::Write), 1).unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(stored_rows(&reader), 4);
}

#[test]
fn a_memory_store_lives_as_long_as_its_backend() {
    let first = DuckDbConfig::new(":memory:").open(Access::Write);
    write(&first, 3).unwrap();
    // Longer than a file is kept open that nobody uses.
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(stored_rows(&first), 3);
    let second = DuckDbConfig::new(":memory:").open(Access::Write);
    assert_eq!(stored_rows(&second), 0);
    let same = first.clone();
    drop(first);
    write(&same, 1).unwrap();
    assert_eq!(stored_rows(&same), 4);
    assert!(!Path::new(":memory:").exists());
}

#[test]
fn handles_of_one_process_share_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let (one, two) = (open(&path, Access::Write), open(&path, Access::Write));
    // The same file under another name.
    let elsewhere = folder.path().join(".").join("store.duckdb");
    let reader = open(&elsewhere, Access::Read);
    write(&one, 1).unwrap();
    write(&two, 2).unwrap();
    for backend in [&one, &two, &reader] {
        assert_eq!(stored_rows(backend), 3);
    }
    // The engine is opened for reading first, then for writing.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(stored_rows(&reader), 3);
    write(&one, 4).unwrap();
    assert_eq!(stored_rows(&reader), 7);

    std::thread::scope(|scope| {
        for backend in [&one, &two] {
            scope.spawn(move || {
                for _ in 0..5 {
                    write(backend, 10).unwrap();
                }
            });
        }
        scope.spawn(|| {
            while stored_rows(&reader) < 107 {
                assert_eq!(stored_rows(&reader) % 10, 7, "a part of a write is seen");
            }
        });
    });
    assert_eq!(stored_rows(&two), 107);
}

#[test]
fn a_read_that_is_not_finished_sees_what_was_there_when_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let backend = open(&path, Access::Write);
    let rows = 300_000;
    write(&backend, rows).unwrap();
    let relation = scan(&backend).unwrap().unwrap();
    let mut frame = block_on(backend.query(relation.into())).unwrap();
    let first = block_on(frame.next()).unwrap().unwrap().num_rows();
    // Another handle writes and deletes meanwhile.
    let other = open(&path, Access::Write);
    write(&other, 10).unwrap();
    assert_eq!(
        block_on(other.delete(&table(), None)).unwrap(),
        rows as u64 + 10
    );
    let rest = block_on(frame.collect()).unwrap().num_rows();
    assert_eq!((first + rest) as i64, rows);
    assert_eq!(stored_rows(&backend), 0);
}

#[test]
fn rows_of_a_read_can_be_written_while_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let backend = open(&path, Access::Write);
    write(&backend, 50_000).unwrap();
    let relation = scan(&backend).unwrap().unwrap();
    let relation = relation.select(["id", "v"]).unwrap();
    let rows = block_on(backend.query(relation.into())).unwrap();
    block_on(backend.append(vec![append_of(rows)])).unwrap();
    assert_eq!(stored_rows(&backend), 100_000);
}

#[test]
fn a_panic_of_a_producer_reaches_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(&folder.path().join("store.duckdb"), Access::Write);
    write(&backend, 3).unwrap();
    let schema = batch(0).schema();
    let rows = futures::stream::iter([0])
        .map(|_| -> Result<RecordBatch, Error> { panic!("no rows today") });
    let plan = Plan {
        relation: Relation::frame(0, schema.clone()),
        frames: vec![Frame::new(schema, rows)],
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| query(&backend, plan)));
    assert!(result.is_err());
    assert_eq!(stored_rows(&backend), 3);
}

#[test]
fn a_table_that_was_read_can_be_dropped_and_made_anew() {
    let backend = memory();
    write(&backend, 3).unwrap();
    let relation = scan(&backend).unwrap().unwrap();
    assert!(block_on(backend.drop_table(&table())).unwrap());
    assert!(!block_on(backend.drop_table(&table())).unwrap());
    let error = query(&backend, relation).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound, "{error}");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["now a text"]));
    let rows = column("id", texts);
    let again = Append {
        times: Times::Keep,
        ..append_of(rows.clone().into())
    };
    block_on(backend.append(vec![again])).unwrap();
    assert_eq!(read(&backend).unwrap().columns(), rows.columns());
}
