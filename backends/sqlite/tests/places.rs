//! Where a store may only be read, or by others than its owner: read-only media and folders, two users, a small disk.
//!
//! It takes root, and `mount`: what the machine does not let us is ignored with the reason, or fails with `CONFORMANCE_REQUIRED=1`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::Arc;

use futures::executor::block_on;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use metaxy_conformance::processes::{self, raw, samples};
use metaxy_conformance::suite::REQUIRED;
use metaxy_sqlite::SqliteConfig;
use metaxy_store::{Access, Error, ErrorKind, MetadataStore, ReadOptions};
use tempfile::TempDir;

/// What a process is to do, and where.
const ROLE: &str = "METAXY_PLACES_ROLE";
const FOLDER: &str = "METAXY_PLACES_FOLDER";

const OWNER: u32 = 1;
const STRANGER: u32 = 65_534;
const TEAM: u32 = 100;

const ROWS: i64 = 30;

fn main() -> ExitCode {
    if let (Ok(role), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) {
        play(&role, Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    let trials: [(&str, fn()); 9] = [
        ("a_read_only_folder_is_read", a_read_only_folder_is_read),
        ("a_read_only_medium_is_read", a_read_only_medium_is_read),
        ("it_is_a_fallback", it_is_a_fallback),
        (
            "a_stranger_leaves_nothing_behind",
            a_stranger_leaves_nothing_behind,
        ),
        (
            "a_stranger_reads_beside_the_owner",
            a_stranger_reads_beside_the_owner,
        ),
        (
            "a_log_that_cannot_be_read_is_told",
            a_log_that_cannot_be_read_is_told,
        ),
        (
            "a_member_of_the_team_hinders_nobody",
            a_member_of_the_team_hinders_nobody,
        ),
        (
            "a_closed_folder_is_no_empty_store",
            a_closed_folder_is_no_empty_store,
        ),
        (
            "a_full_disk_leaves_what_was_there",
            a_full_disk_leaves_what_was_there,
        ),
    ];
    let missing = missing();
    let trials = trials.map(|(name, run)| {
        let missing = missing.clone();
        Trial::ignorable_test(name, move || tried(missing, run))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn tried(missing: Option<String>, run: fn()) -> Result<Completion, Failed> {
    match missing {
        None => run(),
        Some(why) if std::env::var(REQUIRED).is_ok_and(|value| value == "1") => {
            return Err(why.into());
        }
        Some(why) => return Ok(Completion::ignored_with(why)),
    }
    Ok(Completion::Completed)
}

/// What the machine does not let us.
fn missing() -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    if folder.path().metadata().unwrap().uid() != 0 {
        return Some("only root plays several users".into());
    }
    match Mounted::new(folder.path(), &["-t", "tmpfs", "tmpfs"]) {
        Ok(_) => None,
        Err(why) => Some(format!("nothing can be mounted here: {why}")),
    }
}

fn config(folder: &Path) -> SqliteConfig {
    SqliteConfig::new(folder.join("store.db"))
}

fn store(folder: &Path, access: Access) -> MetadataStore {
    processes::store(Arc::new(config(folder).open(access)), access)
}

fn write(folder: &Path, batch: i64) -> Result<(), Error> {
    let store = store(folder, Access::Write);
    block_on(store.write(&raw(), samples((1, batch), ROWS, Vec::new()))).map(drop)
}

fn rows(store: &MetadataStore) -> Result<i64, Error> {
    let read = async {
        store
            .read(&raw(), ReadOptions::default())
            .await?
            .collect()
            .await
    };
    block_on(read).map(|rows| rows.num_rows() as i64)
}

/// What another user does, and what comes of it.
fn play(role: &str, folder: &Path) {
    let told = |outcome: Result<String, Error>| match outcome {
        Ok(text) => println!("{text}"),
        Err(error) => println!("{}: {error:?}", error.kind()),
    };
    match role {
        "read" => told(rows(&store(folder, Access::Read)).map(|rows| format!("{rows} rows"))),
        "read for writing" => {
            told(rows(&store(folder, Access::Write)).map(|rows| format!("{rows} rows")));
        }
        "write" => told(write(folder, 1).map(|()| "written".into())),
        // Until it is told to leave.
        "stay" | "stay to write" => {
            let access = match role {
                "stay" => Access::Read,
                _ => Access::Write,
            };
            let store = store(folder, access);
            if access == Access::Write {
                block_on(store.write(&raw(), samples((1, 1), ROWS, Vec::new()))).unwrap();
            }
            told(rows(&store).map(|rows| format!("{rows} rows")));
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        other => panic!("nobody is a {other}"),
    }
}

/// A folder that everybody finds, with this program in it and a folder `data` of the owner.
struct Site(TempDir);

impl Site {
    /// With a store in `data` if there is to be one, all of it the owner's.
    fn new(filled: bool) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(site.0.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(std::env::current_exe().unwrap(), site.program()).unwrap();
        fs::set_permissions(site.program(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(site.data()).unwrap();
        if filled {
            write(&site.data(), 0).unwrap();
            chown(site.file(), Some(OWNER), Some(OWNER)).unwrap();
        }
        chown(site.data(), Some(OWNER), Some(OWNER)).unwrap();
        site
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("program")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.data().join("store.db")
    }

    fn allow(&self, folder: u32, file: u32) {
        fs::set_permissions(self.data(), Permissions::from_mode(folder)).unwrap();
        fs::set_permissions(self.file(), Permissions::from_mode(file)).unwrap();
    }

    fn command(&self, user: u32, role: &str) -> Command {
        let mut command = Command::new("setpriv");
        let user = user.to_string();
        command.args([
            "--reuid",
            &user,
            "--regid",
            &user,
            "--groups",
            &format!("{user},{TEAM}"),
        ]);
        command
            .arg(self.program())
            .env(ROLE, role)
            .env(FOLDER, self.data());
        command
    }

    /// What a user is told who does this.
    fn told(&self, user: u32, role: &str) -> String {
        let Output { stdout, stderr, .. } = self.command(user, role).output().unwrap();
        let said = String::from_utf8(stdout).unwrap().trim().to_owned();
        match said.is_empty() {
            true => String::from_utf8(stderr).unwrap(),
            false => said,
        }
    }

    /// A user who stays until the end of what is returned.
    fn staying(&self, user: u32, role: &str) -> (Staying, String) {
        let mut command = self.command(user, role);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        (Staying(child), said.trim().to_owned())
    }

    fn beside(&self) -> Vec<String> {
        let names = fs::read_dir(self.data()).unwrap();
        let mut names: Vec<String> = names
            .map(|name| name.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

struct Staying(Child);

impl Drop for Staying {
    fn drop(&mut self) {
        if let Some(input) = &mut self.0.stdin {
            let _ = input.write_all(b"leave\n");
        }
        let _ = self.0.wait();
    }
}

/// Something mounted on a folder, until this goes out of scope.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: &Path, arguments: &[&str]) -> Result<Self, String> {
        let output = Command::new("mount").args(arguments).arg(at).output();
        let output = output.map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(Self(at.to_owned())),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// A folder on itself, as a medium that cannot be written to.
    fn read_only(folder: &Path) -> [Self; 2] {
        let itself = Self::new(folder, &["--bind", &folder.to_string_lossy()]);
        [itself, Self::new(folder, &["-o", "remount,bind,ro"])].map(Result::unwrap)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Two of them may be one: then the second finds nothing.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn a_read_only_folder_is_read() {
    let site = Site::new(true);
    site.allow(0o555, 0o444);
    assert_eq!(site.told(STRANGER, "read"), "30 rows");
    assert_eq!(site.told(STRANGER, "read for writing"), "30 rows");
    let refused = site.told(STRANGER, "write");
    assert!(
        refused.starts_with("read-only: ") && refused.contains("store.db"),
        "{refused}"
    );
    assert_eq!(site.beside(), ["store.db"]);
}

fn a_read_only_medium_is_read() {
    let site = Site::new(true);
    let data = site.data();
    let _read_only = Mounted::read_only(&data);
    for access in [Access::Read, Access::Write] {
        assert_eq!(rows(&store(&data, access)).unwrap(), ROWS);
    }
    let error = write(&data, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
    assert_eq!(site.beside(), ["store.db"]);
}

fn it_is_a_fallback() {
    let site = Site::new(true);
    let data = site.data();
    let _read_only = Mounted::read_only(&data);
    let own = tempfile::tempdir().unwrap();
    let graph = store(&data, Access::Read).graph().clone();
    let first = MetadataStore::builder(Arc::new(config(own.path()).open(Access::Write)))
        .with_access(Access::Write)
        .with_graph(graph)
        .with_fallback(store(&data, Access::Read))
        .build()
        .unwrap();
    assert_eq!(rows(&first).unwrap(), ROWS);
}

fn a_stranger_leaves_nothing_behind() {
    let site = Site::new(true);
    site.allow(0o777, 0o644);
    let (stays, said) = site.staying(STRANGER, "stay");
    assert_eq!(said, "30 rows");
    assert_eq!(
        site.told(OWNER, "write"),
        "written",
        "while the other one stays"
    );
    drop(stays);
    assert_eq!(site.told(STRANGER, "read"), "60 rows");
    assert_eq!(site.beside(), ["store.db"]);
    // Who may write takes the log away as well.
    site.allow(0o777, 0o666);
    assert_eq!(site.told(STRANGER, "read"), "60 rows");
    assert_eq!(site.beside(), ["store.db"]);
    let file = fs::metadata(site.file()).unwrap();
    assert_eq!((file.uid(), file.mode() & 0o777), (OWNER, 0o666));
}

fn a_stranger_reads_beside_the_owner() {
    let site = Site::new(true);
    for folder in [0o755, 0o777] {
        site.allow(folder, 0o644);
        let (_stays, said) = site.staying(OWNER, "stay to write");
        assert_eq!(said, "60 rows");
        assert_eq!(
            site.told(STRANGER, "read"),
            "60 rows",
            "what is in the log, too"
        );
        for name in ["store.db-wal", "store.db-shm"] {
            let file = fs::metadata(site.data().join(name)).unwrap();
            assert_eq!((file.uid(), file.mode() & 0o777), (OWNER, 0o644), "{name}");
        }
    }
    assert_eq!(site.beside(), ["store.db"]);
}

fn a_log_that_cannot_be_read_is_told() {
    let site = Site::new(true);
    site.allow(0o755, 0o644);
    let (mut stays, said) = site.staying(OWNER, "stay to write");
    assert_eq!(said, "60 rows");
    stays.0.kill().unwrap();
    stays.0.wait().unwrap();
    assert_eq!(
        site.told(STRANGER, "read"),
        "60 rows",
        "its index is still there"
    );
    fs::remove_file(site.data().join("store.db-shm")).unwrap();
    let told = site.told(STRANGER, "read");
    assert!(
        told.starts_with("cannot open: ") && told.contains("store.db-wal"),
        "{told}"
    );
    assert!(told.contains("metaxy maintain"), "{told}");
    assert_eq!(site.told(OWNER, "read"), "60 rows");
    assert_eq!(site.told(STRANGER, "read"), "60 rows");
}

fn a_member_of_the_team_hinders_nobody() {
    let site = Site::new(true);
    site.allow(0o775, 0o664);
    for path in [site.data(), site.file()] {
        chown(path, Some(OWNER), Some(TEAM)).unwrap();
    }
    let (stays, said) = site.staying(STRANGER, "stay");
    assert_eq!(said, "30 rows");
    for name in ["store.db-wal", "store.db-shm"] {
        let file = fs::metadata(site.data().join(name)).unwrap();
        assert_eq!((file.gid(), file.mode() & 0o777), (TEAM, 0o664), "{name}");
    }
    assert_eq!(
        site.told(OWNER, "write"),
        "written",
        "while the other one stays"
    );
    drop(stays);
    assert_eq!(site.beside(), ["store.db"]);
}

fn a_closed_folder_is_no_empty_store() {
    let site = Site::new(true);
    site.allow(0o700, 0o644);
    let told = site.told(STRANGER, "read");
    assert!(
        told.starts_with("cannot open: ") && told.contains("permissions"),
        "{told}"
    );
    site.allow(0o755, 0o600);
    let told = site.told(STRANGER, "read");
    assert!(
        told.starts_with("cannot open: ") && told.contains("permissions"),
        "{told}"
    );
}

fn a_full_disk_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let _disk = Mounted::new(at, &["-t", "tmpfs", "-o", "size=1500k", "tmpfs"]).unwrap();
    let mut written = 0;
    let error = loop {
        match write(at, written) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk is never full");
    };
    assert!(written > 0);
    assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
    assert!(format!("{error}").contains("full"), "{error:?}");
    assert_eq!(rows(&store(at, Access::Read)).unwrap(), written * ROWS);
    let _larger = Mounted::new(at, &["-o", "remount,size=8m"]).unwrap();
    write(at, written).unwrap();
    assert_eq!(
        rows(&store(at, Access::Read)).unwrap(),
        (written + 1) * ROWS
    );
}
