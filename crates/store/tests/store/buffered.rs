//! The buffered writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array};
use futures::FutureExt;
use futures::executor::block_on;
use metaxy_store::Result;
use metaxy_store::prelude::*;
use metaxy_store::store::{BufferOptions, BufferedWriter};

use crate::fixture::{graph, ids, key, raw, read};
use crate::shapes::{Observed, with_column, without_column};

const RAW: &str = "video/raw";
const FACES: &str = "video/faces";

struct Bench {
    backend: Arc<Observed>,
    store: MetadataStore,
    _folder: tempfile::TempDir,
}

fn bench(transactions: bool) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let backend = Observed::new(folder.path(), transactions);
    let store = MetadataStore::builder(backend.clone())
        .with_graph(graph())
        .build()
        .unwrap();
    Bench {
        backend,
        store,
        _folder: folder,
    }
}

/// Only what a test sets makes it write.
fn never() -> BufferOptions {
    BufferOptions::default()
        .with_max_rows(None)
        .with_max_bytes(None)
        .with_interval(None)
}

fn one(id: i64) -> arrow::array::RecordBatch {
    raw(&[(id, "a", "f")])
}

fn faces(id: i64) -> arrow::array::RecordBatch {
    let boxes = one(id);
    let provenance = boxes
        .column_by_name("metaxy_provenance_by_field")
        .unwrap()
        .clone();
    let member = Arc::new(arrow::datatypes::Field::new(
        "boxes",
        arrow::datatypes::DataType::Utf8,
        true,
    ));
    let values = arrow::array::AsArray::as_struct(&provenance)
        .column(0)
        .clone();
    let by_field: ArrayRef = Arc::new(arrow::array::StructArray::from(vec![(member, values)]));
    with_column(&boxes, "metaxy_provenance_by_field", by_field)
}

fn put(writer: &mut BufferedWriter, feature: &str, rows: arrow::array::RecordBatch) -> Result<()> {
    block_on(writer.put(&key(feature), rows))
}

fn stored(store: &MetadataStore, feature: &str) -> Vec<i64> {
    let all = ReadOptions::default().with_sample_history(true);
    read(store, feature, all).map_or(Vec::new(), |rows| ids(&rows))
}

#[test]
fn it_writes_by_rows_bytes_and_interval_and_on_close() {
    for options in [
        never().with_max_rows(3),
        never().with_max_bytes(1),
        never().with_interval(Duration::ZERO),
    ] {
        let at_once = options.max_rows.is_none();
        let b = bench(true);
        let mut writer = BufferedWriter::new(b.store.clone(), options);
        put(&mut writer, RAW, one(1)).unwrap();
        assert_eq!(writer.unwritten_rows(), usize::from(!at_once));
        put(&mut writer, FACES, faces(1)).unwrap();
        put(&mut writer, RAW, one(2)).unwrap();
        assert_eq!(writer.unwritten_rows(), 0);
        let calls = b.backend.calls();
        match at_once {
            true => assert_eq!(calls, [[RAW], [FACES], [RAW]]),
            false => assert_eq!(calls, [[FACES, RAW]], "one write, dependents first"),
        }
        assert_eq!(writer.written_rows()[&key(RAW)], 2);
    }

    let b = bench(true);
    let mut writer = BufferedWriter::new(b.store.clone(), never());
    put(&mut writer, RAW, one(1)).unwrap();
    block_on(writer.flush_if_due()).unwrap();
    assert!(b.backend.calls().is_empty());
    put(&mut writer, RAW, one(1).slice(0, 0)).unwrap();
    put(&mut writer, RAW, one(2)).unwrap();
    let written = block_on(writer.close()).unwrap();
    assert_eq!(written[&key(RAW)], 2);
    assert_eq!(stored(&b.store, RAW), [1, 2]);
    assert_eq!(b.backend.calls().len(), 1);
    let closed = put(&mut writer, RAW, one(3)).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::InvalidArgument);
    assert_eq!(block_on(writer.close()).unwrap(), written);
}

#[test]
fn rows_that_wait_long_enough_are_written_by_the_next_call() {
    let b = bench(true);
    let options = never().with_interval(Duration::from_millis(30));
    let mut writer = BufferedWriter::new(b.store.clone(), options);
    put(&mut writer, RAW, one(1)).unwrap();
    assert_eq!(writer.unwritten_rows(), 1);
    std::thread::sleep(Duration::from_millis(40));
    block_on(writer.flush_if_due()).unwrap();
    assert_eq!(stored(&b.store, RAW), [1]);
}

#[test]
fn a_put_that_fails_has_taken_nothing() {
    let b = bench(true);
    let mut writer = BufferedWriter::new(b.store.clone(), never());
    let no_id: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    for bad in [
        without_column(&one(1), "metaxy_provenance_by_field"),
        without_column(&one(1), "id"),
        with_column(&one(1), "id", no_id),
    ] {
        let error = put(&mut writer, RAW, bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFrame);
        assert!(error.to_string().contains(RAW), "{error}");
    }
    let unknown = put(&mut writer, "no/such", one(1)).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::FeatureNotFound);
    assert_eq!(writer.unwritten_rows(), 0);
    put(&mut writer, RAW, one(1)).unwrap();
    block_on(writer.close()).unwrap();
    assert_eq!(stored(&b.store, RAW), [1]);
}

#[test]
fn a_failed_write_shows_in_the_next_call_and_keeps_its_rows() {
    let b = bench(true);
    let mut writer = BufferedWriter::new(b.store.clone(), never().with_max_rows(2));
    put(&mut writer, RAW, one(1)).unwrap();
    b.backend.failing.store(true, Ordering::Relaxed);
    put(&mut writer, FACES, faces(1)).unwrap();
    assert_eq!(writer.unwritten_rows(), 2, "taken, not written");
    let error = put(&mut writer, RAW, one(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("rows kept: 2"), "{error}");
    assert_eq!(writer.unwritten_rows(), 2, "that put took nothing");
    assert_eq!(
        block_on(writer.close()).unwrap_err().kind(),
        ErrorKind::Storage
    );

    // The writer is still open; what failed is tried again, once.
    b.backend.failing.store(false, Ordering::Relaxed);
    put(&mut writer, RAW, one(2)).unwrap();
    let written = block_on(writer.close()).unwrap();
    assert_eq!((written[&key(RAW)], written[&key(FACES)]), (2, 1));
    assert_eq!(
        (stored(&b.store, RAW), stored(&b.store, FACES)),
        (vec![1, 2], vec![1])
    );
}

#[test]
fn rows_that_cannot_be_written_can_be_taken_back() {
    let b = bench(true);
    block_on(b.store.write(&key(RAW), one(9))).unwrap();
    let mut writer = BufferedWriter::new(b.store.clone(), never());
    // The table has text in this column, which only the table can say.
    let misfit: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    put(&mut writer, RAW, with_column(&one(1), "path", misfit)).unwrap();
    put(&mut writer, FACES, faces(1)).unwrap();
    let error = block_on(writer.flush()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(stored(&b.store, FACES).is_empty(), "all or nothing");
    let back = block_on(writer.take_unwritten());
    let back: Vec<(&str, Vec<i64>)> = back.iter().map(|(f, r)| (f.as_str(), ids(r))).collect();
    assert_eq!(back, [(RAW, vec![1]), (FACES, vec![1])]);
    assert!(block_on(writer.close()).unwrap().is_empty());
    assert_eq!(stored(&b.store, RAW), [9]);
}

#[test]
fn frames_with_other_columns_follow_in_order() {
    let b = bench(true);
    let mut writer = BufferedWriter::new(b.store.clone(), never());
    put(&mut writer, RAW, one(1)).unwrap();
    put(&mut writer, RAW, one(2)).unwrap();
    let wider: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    put(&mut writer, RAW, with_column(&one(1), "size", wider)).unwrap();
    put(&mut writer, FACES, faces(1)).unwrap();
    block_on(writer.close()).unwrap();
    assert_eq!(b.backend.calls(), [vec![FACES, RAW], vec![RAW]]);
    let rows = read(&b.store, RAW, ReadOptions::default()).unwrap();
    assert_eq!(
        crate::fixture::texts(&rows, "size"),
        [Some("7".into()), None]
    );
}

#[test]
fn without_transactions_nothing_is_written_twice_either() {
    let b = bench(false);
    block_on(b.store.write(&key(RAW), one(9))).unwrap();
    let mut writer = BufferedWriter::new(b.store.clone(), never());
    let misfit: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    put(&mut writer, RAW, with_column(&one(1), "path", misfit)).unwrap();
    put(&mut writer, FACES, faces(1)).unwrap();
    for _ in 0..2 {
        assert!(block_on(writer.flush()).is_err());
        assert_eq!(stored(&b.store, FACES), [1]);
        assert_eq!(writer.unwritten_rows(), 1);
    }
    assert_eq!(block_on(writer.take_unwritten()).len(), 1);
}

#[test]
fn a_write_whose_caller_went_away_is_waited_for() {
    let b = bench(true);
    let mut writer = BufferedWriter::new(b.store.clone(), never());
    put(&mut writer, RAW, one(1)).unwrap();
    b.backend.slow.store(true, Ordering::Relaxed);
    // The backend is done when the caller gives up, but has not said so.
    let waker = futures::task::noop_waker();
    let mut context = std::task::Context::from_waker(&waker);
    {
        let mut flush = Box::pin(writer.flush());
        while b.backend.slow.load(Ordering::Relaxed) {
            assert!(flush.poll_unpin(&mut context).is_pending());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(writer.unwritten_rows(), 1, "not known yet");
    block_on(writer.close()).unwrap();
    assert_eq!(b.backend.calls().len(), 1);
    assert_eq!(stored(&b.store, RAW), [1]);
}

#[test]
fn a_writer_that_is_dropped_says_what_is_lost() {
    let b = bench(true);
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let mut writer = BufferedWriter::new(b.store.clone(), never());
        put(&mut writer, RAW, raw(&[(1, "a", "f"), (2, "a", "f")])).unwrap();
        drop(writer);
        let mut closed = BufferedWriter::new(b.store.clone(), never());
        put(&mut closed, RAW, one(3)).unwrap();
        block_on(closed.close()).unwrap();
        drop(closed);
    });
    assert_eq!(*log.lost.lock().unwrap(), [2]);
    assert_eq!(stored(&b.store, RAW), [3]);
}

/// Notes the `rows` of every error.
#[derive(Clone, Default)]
struct Log {
    lost: Arc<Mutex<Vec<u64>>>,
    spans: Arc<AtomicU64>,
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Lost(&self.lost));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

struct Lost<'a>(&'a Mutex<Vec<u64>>);

impl tracing::field::Visit for Lost<'_> {
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        if field.name() == "rows" {
            self.0.lock().unwrap().push(value);
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}
