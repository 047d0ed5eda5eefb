//! Tables that others have written, perhaps to do harm: nothing outside of a table's folder is read or removed, and odd names are names.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::common::{add, commits, key, live, notes};
use futures::executor::block_on;
use metaxy_conformance::hostile;
use metaxy_delta::{DeltaBackend, DeltaConfig, Synchronous, WriteOptions};
use metaxy_store::backend::Access;
use metaxy_store::backend::maintain::Maintenance;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{Backend, Error, ErrorKind, Result};

fn config(folder: &Path) -> DeltaConfig {
    DeltaConfig::new(folder.to_string_lossy()).with_synchronous(Synchronous::Normal)
}

fn open(folder: &Path) -> DeltaBackend {
    config(folder).open(Access::Write)
}

const CORPUS: &str = include_str!("../../../../conformance/hostile/delta.toml");

fn in_folder(folder: &Path, access: Access) -> Arc<dyn Backend> {
    Arc::new(config(folder).open(access))
}

/// What a change of the corpus does to the table of `shared/raw`.
fn change(folder: &Path, change: &hostile::Change) {
    let table = folder.join("shared/raw.delta");
    if let Some((path, holds)) = change.pair("file") {
        std::fs::write(table.join(path), holds).unwrap();
    }
    let deep = change.pair("deep");
    let deep = deep.map(|(text, times)| text.repeat(times.parse().unwrap()));
    let Some(does) = change.text("does").map(str::to_owned).or(deep) else {
        return;
    };
    let last = live(&table).last().unwrap().clone();
    let does = does
        .replace("{file}", last["path"].as_str().unwrap())
        .replace("{size}", &last["size"].to_string())
        .replace("{secret}", hostile::secret(folder).to_str().unwrap());
    let version = commits(&table).len();
    let commit = table.join(format!("_delta_log/{version:020}.json"));
    std::fs::write(commit, does).unwrap();
}

#[test]
fn a_store_of_an_enemy_is_read_or_refused() {
    hostile::check(CORPUS, in_folder, change);
}

/// The number of latest rows of the table `a`.
fn count(folder: &Path) -> Result<usize> {
    let backend = open(folder);
    let schema = block_on(backend.schema(&key("a")))?.unwrap();
    let scan = Scan {
        latest_per: Some(vec!["id".into()]),
        ..Scan::all(key("a"))
    };
    let rows = block_on(backend.query(Plan::from(Relation::scan(scan, schema))))?;
    Ok(block_on(rows.collect())?.num_rows())
}

fn maintain(folder: &Path) -> Result<Vec<&'static str>> {
    let now = Maintenance::default().with_retention(Duration::ZERO);
    let done = block_on(open(folder).maintain(&now))?;
    Ok(done.actions.iter().map(|action| action.name).collect())
}

/// A store below `inner` with a table of two files; beside `inner` there is room for what nobody may touch.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for id in 0..2 {
            add(&open(&site.store()), "a", notes(&[(id, "x")])).unwrap();
        }
        site
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn table(&self) -> PathBuf {
        self.store().join("a.delta")
    }

    /// The name of the last file, and where it is.
    fn last(&self) -> (String, PathBuf) {
        let path = live(&self.table()).last().unwrap()["path"].clone();
        let path = path.as_str().unwrap().to_owned();
        (path.clone(), self.table().join(path))
    }

    fn commit(&self, version: u64) -> PathBuf {
        self.table().join(format!("_delta_log/{version:020}.json"))
    }

    /// Makes the log say `path` in place of the last file, as a stranger would: without checksums.
    fn say(&self, path: &str) {
        let (name, _) = self.last();
        let text = std::fs::read_to_string(self.commit(1)).unwrap();
        let add = text.lines().find(|line| line.contains("\"add\"")).unwrap();
        let mut add: serde_json::Value = serde_json::from_str(add).unwrap();
        assert_eq!(add["add"]["path"], name);
        add["add"]["path"] = path.into();
        add["add"].as_object_mut().unwrap().remove("tags");
        std::fs::write(self.commit(1), add.to_string()).unwrap();
    }
}

fn is_refused(outcome: Result<impl std::fmt::Debug>, what: &str) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
    let text = error.to_string();
    assert!(text.contains("a.delta"), "{what}: {text}");
    assert!(error.hint().is_some(), "{what}: {text}");
    error
}

#[test]
fn files_outside_of_the_folder_are_not_read_and_not_removed() {
    let site = Site::new();
    let (_, file) = site.last();
    // A real table's file: only its place is wrong.
    let outside = site.folder.path().join("outside.parquet");
    std::fs::copy(&file, &outside).unwrap();
    std::fs::copy(&file, site.store().join("outside.parquet")).unwrap();
    std::fs::copy(&file, site.table().join("..\\outside.parquet")).unwrap();
    let absolute = outside.to_string_lossy().into_owned();
    let paths = [
        "../outside.parquet".to_owned(),
        "x/../../outside.parquet".into(),
        "%2e%2e%2foutside.parquet".into(),
        "%2E%2E/outside.parquet".into(),
        "..%5coutside.parquet".into(),
        "..\\outside.parquet".into(),
        format!("file://{absolute}"),
        format!("s3:/{absolute}"),
        absolute.replace('/', "%2f"),
        absolute,
    ];
    for path in paths {
        site.say(&path);
        let error = is_refused(count(&site.store()), &path);
        let named = path.trim_start_matches(['.', '/']);
        let shown = error.to_string().replace("\\\\", "\\");
        assert!(shown.contains(named), "{path}: {error}");
        is_refused(maintain(&site.store()), &path);
        let some = metaxy_store::col("note").eq("x");
        is_refused(
            block_on(open(&site.store()).delete(&key("a"), Some(&some))),
            &path,
        );
        // Nor is it removed by who only says that it is gone.
        let said = std::fs::read_to_string(site.commit(1)).unwrap();
        let removed = format!(
            r#"{{"remove":{{"path":{},"dataChange":true}}}}"#,
            serde_json::json!(path)
        );
        std::fs::write(site.commit(1), removed).unwrap();
        is_refused(maintain(&site.store()), &path);
        std::fs::write(site.commit(1), said).unwrap();
        let restored = serde_json::json!(site.last().0);
        assert_eq!(restored, serde_json::json!(path));
        assert!(outside.is_file() && site.store().join("outside.parquet").is_file());
        site_again(&site, &file);
    }
}

/// Makes the log say again what it said.
fn site_again(site: &Site, file: &Path) {
    let name = file.file_name().unwrap().to_string_lossy();
    site.say(&name);
    assert_eq!(count(&site.store()).unwrap(), 2);
}

#[test]
fn links_out_of_the_folder_pipes_and_devices_are_not_opened() {
    let site = Site::new();
    let (_, file) = site.last();
    let outside = site.folder.path().join("outside.parquet");
    std::fs::rename(&file, &outside).unwrap();
    let folder = site.folder.path().join("elsewhere");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&outside, folder.join("x.parquet")).unwrap();
    symlink(&folder, site.table().join("folder")).unwrap();
    #[allow(clippy::type_complexity, reason = "it is a table")]
    let stray: [(&str, fn(&Path, &Path)); 4] = [
        ("a link", |file, outside| symlink(outside, file).unwrap()),
        ("a pipe", |file, _| {
            let made = std::process::Command::new("mkfifo").arg(file).status();
            assert!(made.unwrap().success());
        }),
        ("a device", |file, _| symlink("/dev/zero", file).unwrap()),
        ("a folder behind a link", |_, _| {}),
    ];
    for (what, make) in stray {
        make(&file, &outside);
        if what.contains("folder") {
            site.say("folder/x.parquet");
        }
        is_refused(count(&site.store()), what);
        let maintained = block_on(open(&site.store()).maintain(&Maintenance::default()));
        is_refused(maintained, what);
        assert!(outside.is_file() && folder.join("x.parquet").is_file());
        let _ = std::fs::remove_file(&file);
    }
    // A log that is elsewhere is not this table's.
    let site = Site::new();
    let log = site.table().join("_delta_log");
    std::fs::rename(&log, site.folder.path().join("log")).unwrap();
    symlink(site.folder.path().join("log"), &log).unwrap();
    is_refused(count(&site.store()), "a log behind a link");
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(site.folder.path().join("log"), &log).unwrap();
    std::fs::rename(site.commit(1), site.folder.path().join("1.json")).unwrap();
    symlink(site.folder.path().join("1.json"), site.commit(1)).unwrap();
    is_refused(count(&site.store()), "a commit behind a link");
}

#[test]
fn a_table_whose_folder_is_a_link_is_a_table() {
    let site = Site::new();
    let moved = site.folder.path().join("large-disk");
    std::fs::rename(site.table(), &moved).unwrap();
    symlink(&moved, site.table()).unwrap();
    assert_eq!(count(&site.store()).unwrap(), 2);
    add(&open(&site.store()), "a", notes(&[(7, "y")])).unwrap();
    assert_eq!(maintain(&site.store()).unwrap(), ["compact", "vacuum"]);
    assert_eq!(count(&site.store()).unwrap(), 3);
}

#[test]
fn maintenance_removes_nothing_behind_links_and_follows_none() {
    let site = Site::new();
    let outside = site.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious.parquet"), "x").unwrap();
    symlink(&outside, site.table().join("folder")).unwrap();
    symlink(
        outside.join("precious.parquet"),
        site.table().join("link.parquet"),
    )
    .unwrap();
    symlink(site.table(), site.table().join("loop")).unwrap();
    symlink("/", site.table().join("all")).unwrap();
    std::fs::write(site.table().join("left-over.parquet"), "x").unwrap();
    assert_eq!(maintain(&site.store()).unwrap(), ["compact", "vacuum"]);
    assert!(outside.join("precious.parquet").is_file());
    assert!(!site.table().join("left-over.parquet").exists());
    assert_eq!(count(&site.store()).unwrap(), 2);
}

#[test]
fn names_that_are_written_otherwise_are_read_merged_and_removed_like_others() {
    let names = [
        ("a%20b.parquet", "a b.parquet"),
        ("a b.parquet", "a b.parquet"),
        ("a%5Cb.parquet", "a\\b.parquet"),
        ("a\\b.parquet", "a\\b.parquet"),
        ("a%2520b.parquet", "a%20b.parquet"),
        ("x=1%3A2/ä%23%3F%25.parquet", "x=1:2/ä#?%.parquet"),
        ("part%7E%5B1%5D.parquet", "part~[1].parquet"),
        (".hidden.parquet", ".hidden.parquet"),
    ];
    for (said, name) in names {
        let site = Site::new();
        let (_, file) = site.last();
        let place = site.table().join(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::rename(&file, &place).unwrap();
        site.say(said);
        assert_eq!(count(&site.store()).unwrap(), 2, "{said}");
        // A live file stays, whatever its name.
        let alone = config(&site.store())
            .with_write_options(WriteOptions::default().with_target_file_size(1))
            .open(Access::Write);
        let now = Maintenance::default().with_retention(Duration::ZERO);
        block_on(alone.maintain(&now)).unwrap();
        assert!(place.is_file(), "{said} was live");
        assert_eq!(count(&site.store()).unwrap(), 2, "{said}");
        // Merged with the other, it is gone; hidden files are nobody's to remove.
        assert_eq!(
            maintain(&site.store()).unwrap(),
            ["compact", "vacuum"],
            "{said}"
        );
        assert_eq!(place.is_file(), name.starts_with('.'), "{said}");
        assert_eq!(count(&site.store()).unwrap(), 2, "{said}");
    }
}

#[test]
fn names_in_a_checkpoint_are_those_in_commits() {
    let site = Site::new();
    let (_, file) = site.last();
    std::fs::rename(&file, site.table().join("a b.parquet")).unwrap();
    site.say("a%20b.parquet");
    let many = 12;
    for id in 2..many {
        add(&open(&site.store()), "a", notes(&[(id, "x")])).unwrap();
    }
    let whole = config(&site.store())
        .with_write_options(WriteOptions::default().with_target_file_size(1))
        .open(Access::Write);
    block_on(whole.maintain(&Maintenance::default())).unwrap();
    assert!(site.table().join("_delta_log/_last_checkpoint").is_file());
    assert_eq!(count(&site.store()).unwrap(), many as usize);
    // Rows that go after the checkpoint: the name that is removed is the one that was added.
    let backend = open(&site.store());
    let schema = block_on(backend.schema(&key("a"))).unwrap().unwrap();
    let some = metaxy_store::col("id").eq(1).bind(&schema).unwrap();
    assert_eq!(block_on(backend.delete(&key("a"), Some(&some))).unwrap(), 1);
    assert_eq!(count(&site.store()).unwrap(), many as usize - 1);
    let removed = std::fs::read_to_string(site.commit(many as u64)).unwrap();
    assert!(removed.contains("\"path\":\"a%20b.parquet\""), "{removed}");
}

#[test]
fn a_checkpoint_names_no_file_outside_of_the_folder() {
    let site = Site::new();
    let log = site.table().join("_delta_log");
    let outside = site.folder.path().join("secret.json");
    let first = std::fs::read_to_string(site.commit(0)).unwrap();
    let line = |kind: &str| {
        let line = first
            .lines()
            .find(|line| line.contains(&format!("\"{kind}\"")));
        line.unwrap().to_owned()
    };
    let (protocol, metadata) = (line("protocol"), line("metaData"));
    std::fs::write(&outside, &first).unwrap();
    let name = "00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json";
    for path in [
        "../../../secret.json",
        "file:///etc/passwd",
        "/etc/passwd",
        "x/y.parquet",
        "%2e%2e/x",
    ] {
        let sidecar =
            serde_json::json!({"sidecar": {"path": path, "sizeInBytes": 9, "modificationTime": 0}});
        std::fs::write(log.join(name), format!("{protocol}\n{metadata}\n{sidecar}")).unwrap();
        is_refused(count(&site.store()), path);
    }
    let stray = serde_json::json!({"add": {"path": "../x", "partitionValues": {}, "size": 9, "modificationTime": 0}});
    std::fs::write(log.join(name), format!("{protocol}\n{metadata}\n{stray}")).unwrap();
    is_refused(count(&site.store()), "a file of a checkpoint");
    // Files that it holds itself, and files that it points to, are read.
    let adds = |version| {
        let text = std::fs::read_to_string(site.commit(version)).unwrap();
        text.lines()
            .find(|line| line.contains("\"add\""))
            .unwrap()
            .to_owned()
    };
    std::fs::create_dir(log.join("_sidecars")).unwrap();
    std::fs::write(log.join("_sidecars/one.json"), adds(1)).unwrap();
    let sidecar = r#"{"sidecar":{"path":"one.json","sizeInBytes":9,"modificationTime":0}}"#;
    let lines = [protocol, metadata, adds(0), sidecar.into()].join("\n");
    std::fs::write(log.join(name), lines).unwrap();
    assert_eq!(count(&site.store()).unwrap(), 2);
}
