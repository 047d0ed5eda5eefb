//! Engines: one per file and process, which holds the file only while it is used.
//!
//! DuckDB must not open a file twice in one process, and no other process can write to a file that is open. So all stores of a
//! process share the engine of a file ([`Engine::of`]); an operation takes a [`Lease`]; and the file is let go shortly after the
//! last one. Files are attached to a [`Host`] and detached from it, which takes a fraction of a millisecond.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use duckdb::Connection;
use metaxy_core::backend::Access;
use metaxy_core::backend::blocking;
use metaxy_core::{Error, ErrorKind, Result};

use crate::backend::ENGINE;
use crate::catalog::{Cache, Session};
use crate::config::{DuckDbConfig, MEMORY};
use crate::error;
use crate::exit;
use crate::host::{Attached, Host};
use crate::stamp;

/// How long an engine that nobody uses keeps its file: the next operation may follow at once.
const LINGER: Duration = Duration::from_millis(50);

/// After so long an engine lets its file go at the first moment that nobody uses it, so that others have their turn.
const TURN: Duration = Duration::from_secs(1);

/// A file is made in less than this.
const MAKING: Duration = Duration::from_millis(500);

/// The headers of a DuckDB file have so many bytes.
const HEADERS: u64 = 3 * 4096;

/// The first and the longest pause between two attempts to open a file that another process holds.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// How long an engine whose turn is over leaves the file to others: longer than they pause.
const REST: Duration = Duration::from_millis(25);

/// What an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A look at what is there.
    Read,
    /// To change it, one after the other.
    Write,
}

/// The engine of one file.
pub(crate) struct Engine {
    path: PathBuf,
    in_memory: bool,
    /// Under which name it is attached.
    name: String,
    state: Mutex<Shared>,
    changed: Condvar,
}

#[derive(Default)]
struct Shared {
    open: Option<Open>,
    users: usize,
    writing: bool,
    /// Others may have the file until then.
    rest: Option<Instant>,
}

struct Open {
    database: Attached,
    /// What was read of the catalog, until the next write.
    cache: Arc<Cache>,
    access: Access,
    since: Instant,
    /// When the last user left.
    idle: Instant,
    /// It can only be closed.
    broken: bool,
}

/// What a database holds, as a number: it holds the same as long as the number is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u64);

/// A connection for one operation.
pub(crate) struct Lease {
    engine: Arc<Engine>,
    /// Gone only while it is dropped.
    connection: Option<Connection>,
    host: Arc<Host>,
    cache: Arc<Cache>,
    need: Need,
}

impl Engine {
    /// The engine of this file, or a new database in memory.
    pub(crate) fn of(config: &DuckDbConfig) -> Arc<Self> {
        static ENGINES: Mutex<Option<HashMap<PathBuf, Weak<Engine>>>> = Mutex::new(None);
        let new = |path: &Path| {
            Arc::new(Self {
                path: path.to_owned(),
                in_memory: config.in_memory(),
                name: random_name(),
                state: Mutex::default(),
                changed: Condvar::new(),
            })
        };
        if config.in_memory() {
            return new(Path::new(MEMORY));
        }
        let path = canonical(&config.database);
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        let engines = engines.get_or_insert_default();
        engines.retain(|_, engine| engine.strong_count() > 0);
        if let Some(engine) = engines.get(&path).and_then(Weak::upgrade) {
            return engine;
        }
        let engine = new(&path);
        engines.insert(path, Arc::downgrade(&engine));
        engine
    }

    /// A connection, once the file can be had; `None` if there is no file and none may be made.
    pub(crate) fn lease(
        self: &Arc<Self>,
        config: &DuckDbConfig,
        access: Access,
        need: Need,
    ) -> Result<Option<Lease>> {
        let start = Instant::now();
        let deadline = start + config.lock_timeout;
        let mut pause = PAUSES.0;
        let mut state = self.state();
        loop {
            let free = need == Need::Read || !state.writing;
            match &state.open {
                Some(open)
                    if open.broken || (open.access == Access::Read && access == Access::Write) =>
                {
                    // It has to be opened anew, after those who use it.
                    if state.users == 0 {
                        state.open = None;
                        continue;
                    }
                }
                Some(open) if free => {
                    let connection = open
                        .database
                        .connect()
                        .map_err(|e| error::duckdb(e, "connect", &self.path))?;
                    let host = open.database.host().clone();
                    let cache = open.cache.clone();
                    exit::wait_at_exit();
                    state.users += 1;
                    state.writing |= need == Need::Write;
                    return Ok(Some(Lease {
                        engine: self.clone(),
                        connection: Some(connection),
                        host,
                        cache,
                        need,
                    }));
                }
                Some(_) => {}
                None if !self.in_memory && access == Access::Read && !self.path.exists() => {
                    self.check_path()?;
                    return Ok(None);
                }
                None if state.rest.is_some_and(|until| Instant::now() < until) => {
                    drop(state);
                    std::thread::sleep(REST);
                    state = self.state();
                    continue;
                }
                None => match self.open(config, access) {
                    Ok(database) => {
                        let now = Instant::now();
                        let cache = match self.in_memory {
                            true => Arc::default(),
                            false => stamp::cache_of(&self.path, database.host().number()),
                        };
                        state.open = Some(Open {
                            database,
                            cache,
                            access,
                            since: now,
                            idle: now,
                            broken: false,
                        });
                        continue;
                    }
                    Err(opening) => {
                        let (failure, patience) = match opening {
                            Opening::Held(failure) => (failure, config.lock_timeout),
                            Opening::Unfinished(failure) => (failure, MAKING),
                            Opening::Failed(failure) => (failure, Duration::ZERO),
                        };
                        if start.elapsed() >= patience.min(config.lock_timeout) {
                            return Err(failure);
                        }
                        drop(state);
                        std::thread::sleep(jittered(pause));
                        pause = (pause * 2).min(PAUSES.1);
                        state = self.state();
                        continue;
                    }
                },
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.busy());
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Closes the database if nobody has used it for `idle`.
    fn close_after(&self, idle: Duration) {
        let mut state = self.state();
        let done = |open: &Open| open.broken || open.idle.elapsed() >= idle;
        if state.users == 0 && state.open.as_ref().is_some_and(done) {
            state.open = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> Error {
        Error::new(
            ErrorKind::Locked,
            format!(
                "the store in {} is in use by this process: a write, or a read that is not finished",
                self.path.display()
            ),
        )
        .with_hint("read results to their end, or raise the option `lock_timeout`")
    }

    /// Whether there is, or may be, a file at the path.
    fn check_path(&self) -> Result<()> {
        let path = &self.path;
        let cannot = |why: &str, hint: &str| {
            let problem = format!("the store {} cannot be opened: {why}", path.display());
            Err(Error::new(ErrorKind::CannotOpen, problem).with_hint(hint))
        };
        // DuckDB would make a database in memory.
        if path.as_os_str().is_empty() {
            let hint = "set the option `database` to the path of a file";
            return cannot("no file is named", hint);
        }
        if path.is_dir() {
            return cannot("it is a folder", "the option `database` names a file");
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return cannot(
                &format!("there is no folder {}", folder.display()),
                "create the folder, or correct the option `database`",
            );
        }
        Ok(())
    }

    /// Whether the file has less than the headers of a database, or is not there.
    fn is_short(&self) -> bool {
        !std::fs::metadata(&self.path).is_ok_and(|file| file.len() >= HEADERS)
    }

    fn open(&self, config: &DuckDbConfig, access: Access) -> Result<Attached, Opening> {
        if !self.in_memory {
            self.check_path().map_err(Opening::Failed)?;
        }
        let read_only = access == Access::Read && !self.in_memory;
        let host = Host::of(config, &self.path).map_err(Opening::Failed)?;
        // Looked at before as well: who makes the file may have ended when the failure is looked into.
        let short = self.is_short();
        let attached = host.attach(&self.path, &self.name, config, read_only);
        attached.map_err(|failure| {
            let held = failure.is_locked();
            let unfinished = failure.is_no_database() && (short || self.is_short());
            let failure = failure.explain("open the store", &self.path);
            match (held, unfinished) {
                (true, _) => Opening::Held(failure),
                (false, true) => Opening::Unfinished(failure),
                (false, false) => Opening::Failed(failure),
            }
        })
    }
}

/// Why a database was not opened.
enum Opening {
    /// Another process holds the file.
    Held(Error),
    /// Another process may be making the file.
    Unfinished(Error),
    Failed(Error),
}

impl Lease {
    pub(crate) fn connection(&self) -> &Connection {
        // It is there until the lease is dropped.
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a lease without its connection"),
        }
    }

    /// The connection, and the database that it is for.
    pub(crate) fn session(&self) -> Session<'_> {
        Session {
            connection: self.connection(),
            database: &self.engine.name,
            host: &self.host,
            cache: &self.cache,
        }
    }

    /// What is known of the catalog.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The state of the database, `None` while something is written.
    pub(crate) fn state(&self) -> Option<State> {
        let state = self.engine.state();
        (!state.writing).then(|| State(self.cache.writes()))
    }

    /// The engine cannot go on: it is opened anew for the next operation.
    pub(crate) fn give_up_engine(&self) {
        if let Some(open) = &mut self.engine.state().open {
            open.broken = true;
            open.database.give_up_host();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What was not committed is undone before anybody else has a turn.
        self.connection = None;
        let mut state = self.engine.state();
        state.users -= 1;
        if self.need == Need::Write {
            state.writing = false;
            self.cache.forget();
        }
        let now = Instant::now();
        let alone = state.users == 0;
        if let Some(open) = &mut state.open {
            open.idle = now;
            let turn_is_over = open.broken || now - open.since > TURN;
            if alone && !self.engine.in_memory {
                if turn_is_over {
                    state.open = None;
                    state.rest = Some(Instant::now() + REST);
                } else {
                    close_later(&self.engine);
                }
            }
        }
        drop(state);
        self.engine.changed.notify_all();
    }
}

/// Has the engine closed unless it is used again soon.
fn close_later(engine: &Arc<Engine>) {
    static CLOSER: OnceLock<Option<Sender<Weak<Engine>>>> = OnceLock::new();
    let closer = CLOSER.get_or_init(|| {
        let (sender, idle) = channel::<Weak<Engine>>();
        let close = move || {
            let mut waiting: Vec<(Instant, Weak<Engine>)> = Vec::new();
            loop {
                let inside = blocking::enter(ENGINE);
                let now = Instant::now();
                let (due, later) = waiting.into_iter().partition(|(at, _)| *at <= now);
                waiting = later;
                let due: Vec<(Instant, Weak<Engine>)> = due;
                for engine in due.iter().filter_map(|(_, engine)| engine.upgrade()) {
                    engine.close_after(LINGER);
                }
                drop(inside);
                let next = waiting.iter().map(|(at, _)| *at).min();
                let received = match next {
                    None => idle.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(at) => idle.recv_timeout(at.saturating_duration_since(Instant::now())),
                };
                match received {
                    Ok(engine) => waiting.push((Instant::now() + LINGER, engine)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("metaxy-duckdb-close".into());
        thread.spawn(close).ok().map(|_| sender)
    });
    // Without that thread the file is let go with the store.
    if let Some(sender) = closer {
        let _ = sender.send(Arc::downgrade(engine));
    }
}

/// A name that nobody can know beforehand: what is written in a file cannot name the database that it will be.
fn random_name() -> String {
    let chance = || RandomState::new().build_hasher().finish();
    format!("metaxy.{:016x}{:016x}", chance(), chance())
}

/// The path by which a file is known, also one that does not exist yet.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    if path == Path::new(MEMORY) {
        return path.to_owned();
    }
    if let Ok(known) = path.canonicalize() {
        return known;
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Between half of the pause and all of it, so that processes that wait do not do it in step.
fn jittered(pause: Duration) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let chance = now.map_or(0, |now| now.subsec_nanos()) ^ std::process::id();
    pause / 2 + pause / 2 * (chance % 1000) / 1000
}
