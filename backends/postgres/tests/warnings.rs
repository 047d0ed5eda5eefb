//! What is logged as a warning: what somebody can act on, in the store's own words and once; nothing of the driver.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod support;

use std::fmt;
use std::sync::{Mutex, Once};
use std::time::Duration;

use futures::executor::block_on;
use metaxy_core::Backend;
use metaxy_core::maintain::Maintenance;
use support::{cluster, open, store, write};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings of this process so far, each with where it is from.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().target().to_owned();
        event.record(&mut Line(&mut line));
        WARNINGS.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
}

fn warnings_about(what: &str) -> Vec<String> {
    let all = WARNINGS.lock().unwrap();
    let about = all.iter().filter(|line| line.contains(what));
    about.cloned().collect()
}

#[test]
fn nothing_is_said_of_a_statement_that_waits() {
    listen();
    let (backend, url) = store("waits");
    write(&backend, "a", &[(1, "x")]).unwrap();
    let held = "BEGIN; LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT";
    let holder = std::thread::spawn(move || cluster().sql(&url, held).unwrap());
    std::thread::sleep(Duration::from_millis(500));
    let done = block_on(backend.maintain(&Maintenance::default())).unwrap();
    holder.join().unwrap();
    assert_eq!(done.actions.len(), 1);
    assert_eq!(warnings_about("sqlx"), Vec::<String>::new());
}

#[test]
fn another_version_of_a_collation_is_told_once() {
    listen();
    let version = cluster().sql(cluster().url(), "SHOW server_version_num");
    let version: u32 = version.unwrap().parse().unwrap();
    if version < 150_000 {
        // Such a server does not know it.
        return;
    }
    let (_, url) = store("collation");
    let (_, name) = url.rsplit_once('/').unwrap();
    let other = format!("UPDATE pg_database SET datcollversion = '1' WHERE datname = '{name}'");
    cluster().sql(cluster().url(), &other).unwrap();
    let backend = open(&url);
    for id in 0..3 {
        write(&backend, "a", &[(id, "x")]).unwrap();
    }
    let told = warnings_about(name);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("metaxy_postgres") && told[0].contains("REFRESH COLLATION VERSION"),
        "{told:?}"
    );
}
