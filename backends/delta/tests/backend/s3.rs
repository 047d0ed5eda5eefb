//! What only object stores do wrong: stores without conditional puts, and credentials that end in the middle of something.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::s3::{Answer, SECRET_KEY, Server};
use crate::common::{add, batch, key, notes};
use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use futures::executor::block_on;
use metaxy_delta::{Compression, DeltaBackend, DeltaConfig, WriteOptions};
use metaxy_store::backend::Access;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Backend, Error, ErrorKind};

fn open(server: &Server) -> DeltaBackend {
    patient(server, Duration::from_millis(300))
}

fn patient(server: &Server, patience: Duration) -> DeltaBackend {
    let plain = WriteOptions::default().with_compression(Compression::None);
    DeltaConfig::new(server.root("store"))
        .with_storage_options(server.options())
        .with_write_options(plain)
        .with_retry_timeout(patience)
        .open(Access::Write)
}

fn shown(error: &Error) -> String {
    let text = format!("{error} {}", error.hint().unwrap_or_default());
    assert!(!text.contains(SECRET_KEY), "{text}");
    text
}

#[test]
fn a_store_that_puts_over_what_is_there_is_refused_before_anything_is_written() {
    let server = Server::start();
    server.be_careless();
    let error = add(&open(&server), "a", notes(&[(1, "x")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(shown(&error).contains("If-None-Match"), "{error}");
    assert!(
        server.keys("store").is_empty(),
        "{:?}",
        server.keys("store")
    );
    let server = Server::start();
    add(&open(&server), "a", notes(&[(1, "x")])).unwrap();
    let keys = server.keys("store");
    assert_eq!(keys.len(), 2, "a commit and a file: {keys:?}");
}

#[test]
fn credentials_that_end_in_the_middle_of_an_upload_leave_nothing_visible() {
    let server = Server::start();
    add(&open(&server), "a", notes(&[(1, "x")])).unwrap();
    let before = server.keys("store");
    let parts = AtomicUsize::new(0);
    server.answer_with(move |method, address| {
        let ends = method == "PUT"
            && address.contains("partNumber")
            && parts.fetch_add(1, Ordering::Relaxed) >= 1;
        ends.then_some(Answer::Instead(403, "ExpiredToken"))
    });
    // More than one put takes.
    let rows = 300_000_i64;
    let texts = (0..rows).map(|id| format!("{:064}", id.wrapping_mul(0x9E37_79B9_7F4A)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("note", Arc::new(StringArray::from_iter_values(texts))),
    ];
    let error = add(&open(&server), "a", batch(columns)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(shown(&error).contains("credentials"), "{error}");
    server.answer_with(|_, _| None);
    assert_eq!(server.keys("store"), before);
    add(&open(&server), "a", notes(&[(2, "y")])).unwrap();
}

#[test]
fn a_commit_that_is_lost_and_may_not_be_looked_at_keeps_its_files() {
    let server = Server::start();
    add(&open(&server), "a", notes(&[(1, "x")])).unwrap();
    // Access ends after the commit was put.
    let puts = Arc::new(AtomicUsize::new(0));
    let counted = puts.clone();
    server.answer_with(move |method, address| {
        let is_commit = address.contains("00000000000000000001.json");
        match method {
            "PUT" if is_commit => {
                counted.fetch_add(1, Ordering::SeqCst);
                Some(Answer::Lost)
            }
            "GET" if is_commit && counted.load(Ordering::SeqCst) > 0 => {
                Some(Answer::Instead(403, "AccessDenied"))
            }
            _ => None,
        }
    });
    let error = add(&open(&server), "a", notes(&[(2, "y")])).unwrap_err();
    assert!(puts.load(Ordering::SeqCst) > 0);
    assert!(shown(&error).contains("is not known"), "{}", shown(&error));
    // It was done, and it is whole.
    server.answer_with(|_, _| None);
    let backend = open(&server);
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let some = metaxy_store::col("note").eq("y").bind(&schema).unwrap();
    assert_eq!(block_on(backend.delete(&key("a"), Some(&some))).unwrap(), 1);
}

/// The IDs of all rows of the table `a`, in order.
fn ids(backend: &DeltaBackend) -> Vec<i64> {
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let plan = Plan::from(Relation::scan(Scan::all(key("a")), schema));
    let rows = block_on(async { backend.query(plan).await?.collect().await });
    let rows = rows.unwrap().to_batch().unwrap();
    let ids = rows.column_by_name("id").unwrap();
    let mut ids = ids.as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids
}

/// Nothing is answered for a while but that there is too much to do. `METAXY_THROTTLED` is for how many seconds.
#[test]
fn who_is_told_to_slow_down_waits_and_loses_nothing() {
    let seconds = std::env::var("METAXY_THROTTLED").map_or(2, |n| n.parse().unwrap());
    let server = Server::start();
    let throttle = || {
        let end = Instant::now() + Duration::from_secs(seconds);
        server.answer_with(move |_, _| {
            let is_over = Instant::now() >= end;
            (!is_over).then_some(Answer::Instead(503, "SlowDown"))
        });
    };
    let open = || patient(&server, Duration::from_secs(seconds + 60));
    add(&open(), "a", notes(&[(1, "x")])).unwrap();
    throttle();
    add(&open(), "a", notes(&[(2, "y")])).unwrap();
    throttle();
    assert_eq!(ids(&open()), [1, 2]);
    // What is opened at once is held up later.
    let backend = open();
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let some = metaxy_store::col("note").eq("y").bind(&schema).unwrap();
    throttle();
    assert_eq!(block_on(backend.delete(&key("a"), Some(&some))).unwrap(), 1);
    throttle();
    assert_eq!(ids(&open()), [1]);
}
