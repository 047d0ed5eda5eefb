//! A throw-away PostgreSQL server: for the suite and the tests of a store that lives on one.
//!
//! [`Cluster::start`] makes a cluster in a temporary folder from the installed server, and runs it on a free port of this machine. It is
//! gone with the value, and with the process, however that ends. [`Cluster::shared`] is one for all tests of a process; there the variable
//! `DATABASE_URL` names another server, in which each test has a database or a schema of its own.

mod stores;

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use stores::Schemas;

/// The variable that names a server to be used instead of a throw-away one.
pub const DATABASE_URL: &str = "DATABASE_URL";

/// How long a server may take to start, also after a crash.
const PATIENCE: Duration = Duration::from_secs(60);

/// The password of the throw-away server's user: nothing may show it.
const PASSWORD: &str = "correct-horse-battery";

/// A server.
#[derive(Debug)]
pub struct Cluster {
    /// The address of a database, with the name of the database at its end.
    url: String,
    /// `None` for a server that was there before.
    own: Option<Own>,
}

/// A throw-away server.
#[derive(Debug)]
struct Own {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    server: Mutex<Option<Child>>,
    /// Ends the server and removes the folder when this process ends.
    cleaner: Mutex<Child>,
}

impl Cluster {
    /// A server of its own.
    ///
    /// # Errors
    /// In words, if no server is installed, or if it does not start.
    pub fn start() -> Result<Self, String> {
        let binaries = binaries()?;
        let user = user()?;
        let folder = tempfile::Builder::new()
            .prefix("metaxy-postgres-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.map_err(|e| format!("no temporary folder: {e}"))?;
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid))
                .map_err(|e| told("give the folder away", &e))?;
        }
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).map_err(|e| told("write the password", &e))?;
        let mut initdb = as_user(&binaries.join("initdb"), user);
        initdb
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .args([
                "--username=postgres",
                "--auth=password",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ])
            .arg("--pwfile")
            .arg(&password);
        finished(&mut initdb, "initdb")?;
        let port = free_port().map_err(|e| told("find a free port", &e))?;
        let cleaner = cleaner(folder.path()).map_err(|e| told("start what cleans up", &e))?;
        let own = Own {
            binaries,
            port,
            user,
            server: Mutex::new(None),
            cleaner: Mutex::new(cleaner),
            folder,
        };
        own.run()?;
        Ok(Self {
            url: format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"),
            own: Some(own),
        })
    }

    /// The server of this process: that of [`DATABASE_URL`], or else a throw-away one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn shared() -> Result<&'static Self, String> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let made = SHARED.get_or_init(Self::given_or_started);
        made.as_ref().map_err(String::clone)
    }

    /// The server of [`DATABASE_URL`], or else a throw-away one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn given_or_started() -> Result<Self, String> {
        match std::env::var(DATABASE_URL) {
            Ok(url) if !url.is_empty() => Ok(Self { url, own: None }),
            _ => Self::start(),
        }
    }

    /// The address of its first database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of its first database through a socket of this machine's file system, where it has one: nothing waits there for
    /// the network's acknowledgements, which cost 40 ms for each small `COPY` through TCP.
    #[must_use]
    pub fn nearby_url(&self) -> String {
        match &self.own {
            Some(own) => format!("{}?host={}", self.url, own.folder.path().display()),
            None => self.url.clone(),
        }
    }

    /// The address of another of its databases.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let (address, query) = match self.url.split_once('?') {
            Some((address, query)) => (address, format!("?{query}")),
            None => (self.url.as_str(), String::new()),
        };
        let server = address
            .rsplit_once('/')
            .map_or(address, |(server, _)| server);
        format!("{server}/{database}{query}")
    }

    /// Texts that nothing may show.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let address = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let user = address.rsplit_once('@').map_or("", |(user, _)| user);
        let password = user
            .split_once(':')
            .map(|(_, password)| password.to_owned());
        password.into_iter().collect()
    }

    /// A new database, whose name tells of this process; returns its address.
    ///
    /// # Errors
    /// In words, if it cannot be made.
    pub fn database(&self, about: &str) -> Result<String, String> {
        let name = format!("metaxy_{}_{}_{about}", std::process::id(), next());
        self.sql(&self.url, &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url_of(&name))
    }

    /// Runs statements in the database of an address, and returns what they gave: a line per row, values with `|` between them.
    ///
    /// # Errors
    /// The server's words.
    pub fn sql(&self, url: &str, statements: &str) -> Result<String, String> {
        let psql = match &self.own {
            Some(own) => own.binaries.join("psql"),
            None => binaries().map_or_else(|_| PathBuf::from("psql"), |folder| folder.join("psql")),
        };
        let output = Command::new(psql)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
            ])
            .arg("--dbname")
            .arg(url)
            .args(["--command", statements])
            .output();
        let output = output.map_err(|e| told("run psql", &e))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The file in which the server writes what it logs; `None` for a server that was there before.
    #[must_use]
    pub fn log(&self) -> Option<PathBuf> {
        self.own.as_ref().map(Own::log)
    }

    /// Ends the server at once, as a crash does, and starts it again. Not for a server that was there before.
    ///
    /// # Errors
    /// In words, if it does not come back.
    pub fn crash(&self) -> Result<(), String> {
        let own = self
            .own
            .as_ref()
            .ok_or("a server that was there before is not ended")?;
        own.kill();
        own.run()
    }
}

impl Own {
    /// Starts the server, and waits until it answers. What was left by a crash may have to end first.
    fn run(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let log = self.log();
        loop {
            let out = fs::File::create(&log).map_err(|e| told("write the log", &e))?;
            let errors = out.try_clone().map_err(|e| told("write the log", &e))?;
            let data = self.folder.path().join("data");
            let mut command = as_user(&self.binaries.join("postgres"), self.user);
            command
                .arg("-D")
                .arg(&data)
                .arg("-p")
                .arg(self.port.to_string());
            let sockets = format!("unix_socket_directories={}", self.folder.path().display());
            let settings = [
                "listen_addresses=127.0.0.1",
                &sockets,
                "fsync=off",
                "max_connections=200",
            ];
            for setting in settings {
                command.args(["-c", setting]);
            }
            command.stdin(Stdio::null()).stdout(out).stderr(errors);
            let mut server = command.spawn().map_err(|e| told("start the server", &e))?;
            while Instant::now() < deadline {
                if server
                    .try_wait()
                    .map_err(|e| told("look at the server", &e))?
                    .is_some()
                {
                    break;
                }
                if self.is_ready() {
                    *self.server() = Some(server);
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            if Instant::now() >= deadline {
                let _ = server.kill();
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the PostgreSQL server does not start: {said}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn is_ready(&self) -> bool {
        let mut command = Command::new(self.binaries.join("pg_isready"));
        command
            .args(["--quiet", "--host=127.0.0.1", "--port"])
            .arg(self.port.to_string());
        command.status().is_ok_and(|status| status.success())
    }

    fn kill(&self) {
        if let Some(mut server) = self.server().take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
        let mut cleaner = self.cleaner.lock().unwrap_or_else(PoisonError::into_inner);
        drop(cleaner.stdin.take());
        let _ = cleaner.wait();
    }
}

/// A number that this process has not used yet.
fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A process that waits for the end of this one, and then ends the server of a folder and removes the folder.
fn cleaner(folder: &Path) -> io::Result<Child> {
    const CLEAN: &str = r#"cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
[ -n "$pid" ] && kill -QUIT "$pid" 2> /dev/null
for try in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null || break
    sleep 0.2
done
rm -rf "$1""#;
    Command::new("sh")
        .args(["-c", CLEAN, "cleaner"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // The signals of a terminal are not for it.
        .process_group(0)
        .spawn()
}

/// The programs of a server that are needed.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "pg_isready", "psql"];

/// The folder of the server's programs: that of the path, or the newest of Debian's.
fn binaries() -> Result<PathBuf, String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&paths).collect();
    let installed = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut installed: Vec<PathBuf> = installed.map(|entry| entry.path().join("bin")).collect();
    let version = |folder: &PathBuf| -> u32 {
        let name = folder.parent().and_then(Path::file_name);
        name.and_then(|name| name.to_str()?.parse().ok())
            .unwrap_or_default()
    };
    installed.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    folders.extend(installed);
    // What is on the path may be a link.
    let real = |folder: PathBuf| {
        Some(
            fs::canonicalize(folder.join("postgres"))
                .ok()?
                .parent()?
                .to_owned(),
        )
    };
    let mut found = folders.into_iter().filter_map(real);
    let found = found.find(|folder| PROGRAMS.iter().all(|name| folder.join(name).is_file()));
    found.ok_or_else(|| {
        format!("no PostgreSQL server is installed: `apt-get install postgresql`, or set {DATABASE_URL} to the address of one")
    })
}

/// The user that runs the server in place of root, which it refuses; `None` for whoever runs this.
fn user() -> Result<Option<(u32, u32)>, String> {
    let number = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if number(&["-u"]) != Some(0) {
        return Ok(None);
    }
    match (number(&["-u", "postgres"]), number(&["-g", "postgres"])) {
        (Some(uid), Some(gid)) => Ok(Some((uid, gid))),
        _ => Err("a PostgreSQL server does not run as root, and there is no user `postgres`: `apt-get install postgresql` brings it".into()),
    }
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid).current_dir("/");
    }
    command
}

fn finished(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|e| told(&format!("run {what}"), &e))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{what} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn told(what: &str, error: &io::Error) -> String {
    format!("could not {what}: {error}")
}
