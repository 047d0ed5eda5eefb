//! What is logged as a warning: what somebody can act on, in the store's own words and once; nothing of the driver.

use std::time::Duration;

use crate::support::listener::logged;
use crate::support::{cluster, open, store, write};
use futures::executor::block_on;
use metaxy_store::Backend;
use metaxy_store::backend::maintain::Maintenance;
use tracing::Level;

fn warnings_about(what: &str) -> Vec<String> {
    let all = logged().lock().unwrap();
    let warned = all.iter().filter(|(level, _)| *level <= Level::WARN);
    let about = warned.filter(|(_, line)| line.contains(what));
    about.map(|(_, line)| line.clone()).collect()
}

#[test]
fn nothing_is_said_of_a_statement_that_waits() {
    logged();
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
    logged();
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
