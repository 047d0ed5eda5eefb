//! What is written to logs, and what becomes of it when others write or requests fail.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::common::{NOON, add, at, batch, commits, key, lines, live, notes, stamps};
use arrow::array::{AsArray, Int64Array, StringArray, TimestampMicrosecondArray, UInt8Array};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use async_trait::async_trait;
use bytes::Bytes;
use futures::executor::block_on;
use futures::stream::BoxStream;
use metaxy_delta::{DeltaBackend, DeltaConfig, Layout, WriteOptions};
use metaxy_store::backend::Access;
use metaxy_store::backend::append::Stamp;
use metaxy_store::backend::maintain::{Maintenance, Prune};
use metaxy_store::{Backend, ErrorKind, Frame, col};
use object_store::memory::InMemory;
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

fn open(folder: &Path) -> DeltaBackend {
    DeltaConfig::new(folder.to_string_lossy()).open(Access::Write)
}

#[test]
fn tables_lie_where_the_python_package_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let nested = open(folder.path());
    add(&nested, "video/face-crop", notes(&[(1, "x")])).unwrap();
    assert!(
        folder
            .path()
            .join("video/face-crop.delta/_delta_log")
            .is_dir()
    );
    let flat = DeltaConfig::new(folder.path().join("flat").to_string_lossy())
        .with_layout(Layout::Flat)
        .open(Access::Write);
    add(&flat, "video/face-crop", notes(&[(1, "x")])).unwrap();
    assert!(
        folder
            .path()
            .join("flat/video__face_crop.delta/_delta_log")
            .is_dir()
    );
    assert_eq!(block_on(flat.tables()).unwrap(), ["video__face_crop"]);
    assert_eq!(block_on(nested.tables()).unwrap(), ["video__face_crop"]);
}

#[test]
fn an_append_is_one_commit_and_later_rows_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    for (id, note) in [(1, "x"), (2, "y"), (3, "z")] {
        add(&backend, "a", notes(&[(id, note)])).unwrap();
    }
    let table = folder.path().join("a.delta");
    assert_eq!(commits(&table).len(), 3);
    assert_eq!(lines(&table), ["1 x", "2 y", "3 z"]);
    let times: Vec<i64> = live(&table)
        .iter()
        .map(|file| file["modificationTime"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    // Each stamp is just after the latest one: the clock stands still.
    assert_eq!(stamps(&table), [NOON, NOON + 1, NOON + 2]);
}

#[test]
fn stamps_come_after_those_of_deleted_and_tombstones() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    let later = at("a", notes(&[(1, "x")]), Stamp::Exactly(NOON + 1_234_567));
    block_on(backend.append(vec![later])).unwrap();
    // Another backend knows nothing of what this one has looked at.
    add(&open(folder.path()), "a", notes(&[(2, "y")])).unwrap();
    let table = folder.path().join("a.delta");
    assert_eq!(stamps(&table), [NOON + 1_234_567, NOON + 1_234_568]);
}

#[test]
fn many_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4_i64 {
            let folder = folder.path();
            scope.spawn(move || {
                let backend = open(folder);
                for n in 0..6 {
                    let column = format!("c{writer}");
                    let rows = batch(vec![
                        ("id", Arc::new(Int64Array::from(vec![writer * 100 + n]))),
                        ("note", Arc::new(StringArray::from(vec!["x"]))),
                        (&column, Arc::new(Int64Array::from(vec![n]))),
                    ]);
                    add(&backend, "a", rows).unwrap();
                }
            });
        }
    });
    let table = folder.path().join("a.delta");
    // Each writer adds its column once, but for the one that makes the table with it.
    assert_eq!(commits(&table).len(), 24 + 3);
    assert_eq!(lines(&table).len(), 24);
    let stamps = stamps(&table);
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    let schema = block_on(open(folder.path()).schema(&key("a")))
        .unwrap()
        .unwrap();
    for column in ["c0", "c1", "c2", "c3"] {
        assert!(schema.field_with_name(column).is_ok(), "{column}");
    }
}

#[test]
fn new_columns_come_in_a_commit_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    add(&backend, "a", notes(&[(1, "x")])).unwrap();
    let more = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![2]))),
        ("more", Arc::new(Int64Array::from(vec![5]))),
    ]);
    add(&backend, "a", more.clone()).unwrap();
    add(&backend, "a", more).unwrap();
    let commits = commits(&folder.path().join("a.delta"));
    let kinds = |commit: &Vec<serde_json::Value>| -> Vec<String> {
        let names = commit
            .iter()
            .flat_map(|line| line.as_object().unwrap().keys());
        names.cloned().collect()
    };
    let found: Vec<_> = commits.iter().map(kinds).collect();
    assert_eq!(
        found,
        [
            vec!["commitInfo", "protocol", "metaData", "add"],
            vec!["commitInfo", "metaData"],
            vec!["commitInfo", "add"],
            vec!["commitInfo", "add"],
        ]
    );
    let info = &commits[1][0]["commitInfo"];
    assert_eq!(info["operation"], "ADD COLUMN");
    assert_eq!(info["isBlindAppend"], false);
    let fields = info["operationParameters"]["fields"].as_str().unwrap();
    assert!(
        fields.contains("more") && !fields.contains("note"),
        "{fields}"
    );
    assert_eq!(commits[2][0]["commitInfo"]["isBlindAppend"], true);
}

#[test]
fn a_write_that_was_overtaken_gets_a_later_stamp() {
    // Files that stay in memory, and files that do not.
    for rows in [1, 40_000] {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), open(folder.path()));
        add(&one, "a", notes(&[(0, "first")])).unwrap();
        // Such a text is hardly compressed.
        let text = |id| format!("{:x}", scattered(id));
        let given: Vec<(i64, String)> = (1..=rows).map(|id| (id, text(id))).collect();
        let given: Vec<(i64, &str)> = given.iter().map(|(id, s)| (*id, s.as_str())).collect();
        let batch = notes(&given);
        let created = TimestampMicrosecondArray::from_iter(
            (1..=rows).map(|id| (id % 2 == 0).then_some(NOON - 5)),
        );
        let created = created.with_timezone("UTC");
        let batch = crate::common::batch(vec![
            ("id", batch.column(0).clone()),
            ("note", batch.column(1).clone()),
            ("metaxy_created_at", Arc::new(created)),
        ]);
        let schema = batch.schema();
        let overtaken = futures::stream::once(async move {
            // Its stamp is known by now.
            let faster = at("a", notes(&[(-1, "faster")]), Stamp::AfterAll(NOON));
            other.append(vec![faster]).await?;
            Ok(batch)
        });
        add(&one, "a", Frame::new(schema, overtaken)).unwrap();
        let table = folder.path().join("a.delta");
        let stamps = stamps(&table);
        assert_eq!(stamps[..2], [NOON, NOON + 1]);
        assert!(stamps[2..].iter().all(|stamp| *stamp == NOON + 2));
        assert_eq!(stamps.len() as i64, 2 + rows);
        let last = crate::common::rows(&table).pop().unwrap();
        let created = last.column_by_name("metaxy_created_at").unwrap();
        let created = created.as_primitive::<TimestampMicrosecondType>();
        let ids = last
            .column_by_name("id")
            .unwrap()
            .as_primitive::<Int64Type>();
        for (id, created) in ids.values().iter().zip(created.values()) {
            let expected = if id % 2 == 0 { NOON - 5 } else { NOON + 2 };
            assert_eq!(*created, expected, "{id}");
        }
        // What was stored first is gone.
        let files = std::fs::read_dir(&table).unwrap().filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.extension().is_some_and(|e| e == "parquet")
        });
        assert_eq!(files.count(), live(&table).len());
    }
}

fn scattered(id: i64) -> u128 {
    let mut state = id as u128 + 1;
    for _ in 0..4 {
        state = state.wrapping_mul(0xda942042e4dd58b5_u128 << 32 | 0x9e3779b97f4a7c15);
        state ^= state >> 61;
    }
    state
}

#[test]
fn a_table_that_is_deleted_and_made_anew_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()), open(folder.path()));
    for id in 0..3 {
        add(&one, "a", notes(&[(id, "x")])).unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("a.delta")).unwrap();
    assert!(block_on(one.schema(&key("a"))).unwrap().is_none());
    let rows = batch(vec![("id", Arc::new(UInt8Array::from(vec![1])))]);
    for _ in 0..5 {
        add(&other, "a", rows.clone()).unwrap();
    }
    let schema = block_on(one.schema(&key("a"))).unwrap().unwrap();
    assert_eq!(schema, block_on(other.schema(&key("a"))).unwrap().unwrap());
    assert!(schema.field_with_name("note").is_err());
}

#[test]
fn deletes_keep_the_order_and_touch_only_what_matches() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    for from in [0, 10, 20] {
        add(&backend, "a", notes(&[(from, "x"), (from + 1, "y")])).unwrap();
    }
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let some = col("id").eq(0).or(col("id").ge(20)).bind(&schema).unwrap();
    assert_eq!(block_on(backend.delete(&key("a"), Some(&some))).unwrap(), 3);
    let table = folder.path().join("a.delta");
    assert_eq!(lines(&table), ["1 y", "10 x", "11 y"]);
    assert_eq!(commits(&table).len(), 4);
    assert_eq!(block_on(backend.delete(&key("a"), Some(&some))).unwrap(), 0);
    assert_eq!(commits(&table).len(), 4, "nothing to commit");
    assert_eq!(block_on(backend.delete(&key("a"), None)).unwrap(), 3);
    assert!(!block_on(backend.has_rows(&key("a"))).unwrap());
    assert!(block_on(backend.schema(&key("a"))).unwrap().is_some());
}

#[test]
fn a_dropped_table_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    add(&backend, "a", notes(&[(1, "x")])).unwrap();
    assert!(block_on(backend.drop_table(&key("a"))).unwrap());
    assert!(!block_on(backend.drop_table(&key("a"))).unwrap());
    assert!(block_on(backend.schema(&key("a"))).unwrap().is_none());
    assert!(block_on(backend.tables()).unwrap().is_empty());
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![2]))),
        ("note", Arc::new(Int64Array::from(vec![5]))),
    ]);
    add(&backend, "a", rows).unwrap();
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let note = schema.field_with_name("note").unwrap();
    assert_eq!(note.data_type(), &arrow::datatypes::DataType::Int64);
    // Emptied, it is still there.
    block_on(backend.delete(&key("a"), None)).unwrap();
    assert!(block_on(backend.schema(&key("a"))).unwrap().is_some());
}

#[test]
fn a_failing_append_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::default().with_target_file_size(1);
    let backend = DeltaConfig::new(folder.path().to_string_lossy())
        .with_write_options(options)
        .open(Access::Write);
    let rows = notes(&[(1, "x")]);
    let schema = rows.schema();
    let broken = [
        Ok(rows),
        Err(metaxy_store::Error::new(ErrorKind::Io, "on purpose")),
    ];
    let frame = Frame::new(schema, futures::stream::iter(broken));
    let error = add(&backend, "a", frame).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let left = std::fs::read_dir(folder.path().join("a.delta")).map(|d| d.count());
    assert_eq!(left.unwrap_or(0), 0, "no file is left");
    assert!(block_on(backend.schema(&key("a"))).unwrap().is_none());
}

#[test]
fn somebody_elses_table_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.delta/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let commit = concat!(
        r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
        "\n",
        r#"{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}"#
    );
    std::fs::write(log.join("00000000000000000000.json"), commit).unwrap();
    let backend = open(folder.path());
    let appended = add(&backend, "a", notes(&[(1, "x")])).map(|_| ());
    let deleted = block_on(backend.delete(&key("a"), None)).map(|_| ());
    let dropped = block_on(backend.drop_table(&key("a"))).map(|_| ());
    for outcome in [appended, deleted, dropped] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("feature a"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&log).unwrap().count(), 1);
}

#[test]
fn checkpoints_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::default().with_property("delta.checkpointInterval", "4");
    let backend = DeltaConfig::new(folder.path().to_string_lossy())
        .with_write_options(options)
        .open(Access::Write);
    for id in 0..10 {
        add(&backend, "a", notes(&[(id, "x")])).unwrap();
    }
    let log = folder.path().join("a.delta/_delta_log");
    assert!(
        log.join("00000000000000000007.checkpoint.parquet")
            .is_file()
    );
    // Without the commits that the checkpoint covers.
    for version in 0..7 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let again = open(folder.path());
    assert_eq!(
        block_on(again.schema(&key("a"))).unwrap(),
        block_on(backend.schema(&key("a"))).unwrap()
    );
    let appended = at("a", notes(&[(10, "x")]), Stamp::AfterAll(NOON));
    let appended = block_on(again.append(vec![appended])).unwrap();
    assert_eq!(appended.table_rows, Some(11));
}

#[test]
fn superseded_rows_are_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    add(&backend, "a", notes(&[(1, "old"), (2, "only")])).unwrap();
    add(&backend, "a", notes(&[(1, "newer")])).unwrap();
    add(&backend, "a", notes(&[(1, "row"), (1, "newest")])).unwrap();
    let prune = Prune::default().with_id_columns(["id"]);
    let dry = prune.clone().with_dry_run(true);
    assert_eq!(block_on(backend.prune(&key("a"), &dry)).unwrap(), 3);
    assert_eq!(block_on(backend.prune(&key("a"), &prune)).unwrap(), 3);
    assert_eq!(
        lines(&folder.path().join("a.delta")),
        ["2 only", "1 newest"]
    );
    assert_eq!(block_on(backend.prune(&key("a"), &prune)).unwrap(), 0);
}

#[test]
fn maintenance_merges_in_order_and_removes_what_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path());
    for id in 0..12 {
        add(&backend, "a", notes(&[(id, "x")])).unwrap();
    }
    let table = folder.path().join("a.delta");
    let before = lines(&table);
    let dry = Maintenance::default().with_dry_run(true);
    let would = block_on(backend.maintain(&dry)).unwrap();
    assert!(would.actions.iter().any(|action| action.name == "compact"));
    assert_eq!(live(&table).len(), 12);
    let now = Maintenance::default().with_retention(Duration::ZERO);
    let done = block_on(backend.maintain(&now)).unwrap();
    let names: Vec<&str> = done.actions.iter().map(|action| action.name).collect();
    assert_eq!(names, ["compact", "checkpoint", "vacuum"]);
    assert_eq!(live(&table).len(), 1);
    assert_eq!(lines(&table), before);
    let parquet = std::fs::read_dir(&table).unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|e| e == "parquet")
    });
    assert_eq!(parquet.count(), 1);
    add(&backend, "a", notes(&[(12, "late")])).unwrap();
    assert_eq!(lines(&table).last().unwrap(), "12 late");
}

/// Fails requests: every so many, and commits after they have succeeded.
#[derive(Debug)]
struct Failing {
    inner: InMemory,
    requests: AtomicU64,
    each: u64,
}

impl Failing {
    fn trouble(&self) -> object_store::Result<()> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        match number % self.each == self.each - 1 {
            true => Err(object_store::Error::Generic {
                store: "Failing",
                source: "503 Slow Down".into(),
            }),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        path: &StorePath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let is_commit = options.mode == PutMode::Create;
        if !is_commit {
            self.trouble()?;
        }
        let done = self.inner.put_opts(path, payload, options).await?;
        if is_commit {
            // Done, and reported as failed.
            self.trouble()?;
        }
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        path: &StorePath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.trouble()?;
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(
        &self,
        path: &StorePath,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.trouble()?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(
        &self,
        path: &StorePath,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.trouble()?;
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<StorePath>>,
    ) -> BoxStream<'static, object_store::Result<StorePath>> {
        self.inner.delete_stream(paths)
    }

    fn list(
        &self,
        prefix: Option<&StorePath>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.trouble() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => Box::pin(futures::stream::iter([Err(error)])),
        }
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&StorePath>,
    ) -> object_store::Result<ListResult> {
        self.trouble()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[test]
fn requests_that_fail_lose_and_repeat_nothing() {
    let store = Arc::new(Failing {
        inner: InMemory::new(),
        requests: AtomicU64::new(0),
        each: 3,
    });
    let open = || {
        DeltaConfig::new("memory")
            .with_object_store(store.clone())
            .with_write_options(
                WriteOptions::default().with_property("delta.checkpointInterval", "5"),
            )
            .open(Access::Write)
    };
    std::thread::scope(|scope| {
        for writer in 0..3 {
            scope.spawn(move || {
                let backend = open();
                for n in 0..8 {
                    add(&backend, "a/b", notes(&[(writer * 10 + n, "x")])).unwrap();
                }
            });
        }
    });
    let backend = open();
    assert_eq!(block_on(backend.tables()).unwrap(), ["a__b"]);
    let appended = at("a/b", notes(&[(99, "x")]), Stamp::AfterAll(NOON));
    let appended = block_on(backend.append(vec![appended])).unwrap();
    assert_eq!(appended.table_rows, Some(25));
    let schema = block_on(backend.schema(&key("a/b"))).unwrap().unwrap();
    let some = col("id").lt(10).bind(&schema).unwrap();
    assert_eq!(
        block_on(backend.delete(&key("a/b"), Some(&some))).unwrap(),
        8
    );
    let last = StorePath::from("a/b.delta/_delta_log/00000000000000000025.json");
    assert!(block_on(store.inner.head(&last)).is_ok(), "26 commits");
}

#[test]
fn a_store_that_goes_on_failing_is_an_error_in_time() {
    let store = Arc::new(Failing {
        inner: InMemory::new(),
        requests: AtomicU64::new(0),
        each: 1,
    });
    let backend = DeltaConfig::new("memory")
        .with_object_store(store)
        .with_retry_timeout(Duration::from_millis(100))
        .open(Access::Write);
    let error = add(&backend, "a", notes(&[(1, "x")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("503"), "{error}");
}

#[test]
fn options_are_checked_and_secrets_hidden() {
    use metaxy_store::backend::registry::{OpenRequest, Registry};
    use metaxy_store::options::StoreOptions;
    let registry = Registry::empty().with(metaxy_delta::DESCRIPTOR).unwrap();
    let open = |table: toml::Table| {
        let request = OpenRequest::new(StoreOptions::new("dev", table), Access::Read);
        registry.open("delta", request)
    };
    let wrong = [
        (toml::toml! { root_path = "x" layuot = "flat" }, "layout"),
        (
            toml::toml! { root_path = "x" [delta_write_options] mode = "overwrite" },
            "appended",
        ),
        (
            toml::toml! { root_path = "x" [delta_write_options] partition_by = ["a"] },
            "cannot honour",
        ),
        (
            toml::toml! { root_path = "x" [delta_write_options] target_file_sise = 5 },
            "target_file_size",
        ),
        (
            toml::toml! { root_path = "x" retry_timeout = "soon" },
            "retry_timeout",
        ),
    ];
    for (table, expected) in wrong {
        let error = open(table).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(text.contains(expected), "{text}");
    }
    let right = toml::toml! {
        root_path = "x"
        layout = "flat"
        retry_timeout = 5
        [storage_options]
        AWS_SECRET_ACCESS_KEY = "hush-hush"
        AWS_PORT = 7
        [delta_write_options]
        schema_mode = "merge"
        target_file_size = 1000
        [delta_write_options.writer_properties]
        compression = "ZSTD"
        compression_level = 7
        [delta_write_options.configuration]
        "delta.checkpointInterval" = 7
    };
    let backend = open(right).unwrap();
    assert!(backend.describe().location.ends_with('x'));
    let config = DeltaConfig::new("s3://b").with_storage_options([("key", "hush-hush")]);
    assert!(!format!("{config:?}").contains("hush"));
}
