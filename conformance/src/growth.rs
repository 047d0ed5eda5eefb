//! How work grows with what there is: ten times the rows, filters or features take about ten times the work, on every engine.
//!
//! Work is what counters say, never a clock: bytes asked of the allocator, steps of an engine's machine, rows that a server has read.
//! Which counters there are is the backend's matter; [`count_allocations`](crate::count_allocations) gives a program the first.
//!
//! Everything here panics where something is wrong: it is for tests only.

#![allow(clippy::unwrap_used, clippy::panic)] // as said above

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use indexmap::IndexMap;
use metaxy_store::backend::Backend;
use metaxy_store::backend::maintain::Maintenance;
use metaxy_store::store::StatusOptions;
use metaxy_store::{
    Access, DeleteOptions, FeatureDefinition, FeatureDep, FeatureGraph, FeatureSpec, FieldSpec,
    MetadataStore, ReadOptions, ResolveOptions, col, lit,
};

use crate::processes::{OVERWRITING, derived, raw, samples, store};

/// How much more the second size is than the first.
const TIMES: i64 = 10;

/// How many times the work may be for [`TIMES`] as much: what grows with the square takes a hundred times. What sorts takes somewhat more than
/// ten, and what no longer fits into an engine's cache (writes to SQLite) twenty-four.
const AT_MOST: u64 = 30;

/// So many rows a table has at first.
const ROWS: i64 = 1_000;

/// So many filters and features there are at first.
const FILTERS: i64 = 20;
const FEATURES: i64 = 20;

/// Something that only grows: what has been done since the program began.
pub struct Counter {
    name: &'static str,
    read: Box<dyn Fn() -> u64>,
}

impl Counter {
    /// A counter that `read` reads.
    pub fn new(name: &'static str, read: impl Fn() -> u64 + 'static) -> Self {
        Self {
            name,
            read: Box::new(read),
        }
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counter({} = {})", self.name, (self.read)())
    }
}

/// Opens the store of a folder.
pub type Open<'a> = &'a dyn Fn(&Path, Access) -> Arc<dyn Backend>;

/// What each operation took, of each counter.
type Taken = Vec<(&'static str, Vec<u64>)>;

/// Does everything with little and with ten times as much, and compares what it took. Returns a table of it.
///
/// # Panics
/// If something takes more than thirty times as much.
#[must_use]
pub fn check(open: Open<'_>, counters: &[Counter]) -> String {
    let watch = Watch { open, counters };
    // Once for what is made once: engines, functions, threads.
    let _ = watch.rows(TIMES, true);
    let mut table = String::new();
    let mut too_much = Vec::new();
    let mut compare = |what: &str, few: Taken, many: Taken| {
        for ((operation, few), (_, many)) in few.into_iter().zip(many) {
            for ((counter, few), many) in counters.iter().zip(few).zip(many) {
                let line = format!(
                    "{what:<13} {operation:<15} {:<22} {few:>13} {many:>13}",
                    counter.name
                );
                if many > AT_MOST * few.max(1_000) {
                    too_much.push(line.clone());
                }
                let _ = writeln!(table, "{line}");
            }
        }
    };
    for (what, again) in [("rows", false), ("rows, again", true)] {
        compare(
            what,
            watch.rows(ROWS, again),
            watch.rows(TIMES * ROWS, again),
        );
    }
    compare(
        "filters",
        watch.filters(FILTERS),
        watch.filters(TIMES * FILTERS),
    );
    compare(
        "features",
        watch.features(FEATURES),
        watch.features(TIMES * FEATURES),
    );
    let too_much = too_much.join("\n");
    assert!(
        too_much.is_empty(),
        "more than {AT_MOST} times for {TIMES} times as much:\n{too_much}\nof\n{table}"
    );
    table
}

struct Watch<'a> {
    open: Open<'a>,
    counters: &'a [Counter],
}

impl Watch<'_> {
    fn taken(&self, taken: &mut Taken, operation: &'static str, work: impl FnOnce()) {
        let read = || self.counters.iter().map(|counter| (counter.read)());
        let before: Vec<u64> = read().collect();
        work();
        let since = read().zip(before).map(|(now, before)| now - before);
        taken.push((operation, since.collect()));
    }

    /// Operations on tables of so many rows, written once or twice.
    fn rows(&self, rows: i64, again: bool) -> Taken {
        let folder = tempfile::tempdir().unwrap();
        let opened = |access| store((self.open)(folder.path(), access), access);
        let (reader, writer) = (|| opened(Access::Read), || opened(Access::Write));
        let write = |batch: i64, rows: i64| {
            let rows = samples((OVERWRITING, batch), rows, Vec::new());
            block_on(writer().write(&raw(), rows)).unwrap();
        };
        let read = |options: ReadOptions| {
            let store = reader();
            let rows = block_on(async { store.read(&raw(), options).await?.collect().await });
            rows.unwrap().num_rows() as i64
        };
        let resolve = || {
            let options = ResolveOptions::default();
            block_on(reader().resolve_update(&derived(), options)).unwrap()
        };
        let compute = || {
            let increment = resolve();
            for part in [increment.new, increment.stale] {
                block_on(writer().write(&derived(), part)).unwrap();
            }
        };
        let delete = |hard: bool, below: i64| {
            let options = match hard {
                true => DeleteOptions::hard(),
                false => DeleteOptions::soft(),
            };
            let options = options.with_filters([col("id").lt(lit(below))]);
            let _ = block_on(writer().delete(&raw(), options)).unwrap();
        };
        let mut taken = Taken::new();
        let mut take = |operation, work: &dyn Fn()| self.taken(&mut taken, operation, work);
        take("write", &|| write(0, rows));
        if again {
            take("write again", &|| write(1, rows));
        }
        take("resolve new", &|| {
            assert_eq!(resolve().new.num_rows() as i64, rows);
        });
        take("compute", &compute);
        if again {
            write(2, rows);
            take("compute again", &compute);
        }
        take("resolve nothing", &|| assert!(resolve().is_empty()));
        write(3, rows / TIMES);
        take("resolve stale", &|| {
            assert_eq!(resolve().stale.num_rows() as i64, rows / TIMES);
        });
        take("read", &|| {
            assert_eq!(read(ReadOptions::default()), rows);
        });
        take("read all", &|| {
            let all = ReadOptions::default().with_sample_history(true);
            assert!(read(all) > rows);
        });
        take("read one", &|| {
            assert_eq!(read(ReadOptions::default().with_limit(1)), 1);
        });
        take("status", &|| {
            let status = block_on(reader().status(&derived(), StatusOptions::default()));
            assert_eq!(status.unwrap().samples, rows as u64);
        });
        take("progress", &|| {
            let done = block_on(reader().progress(&derived(), ResolveOptions::default()));
            assert!(done.unwrap().is_some());
        });
        take("verify", &|| {
            assert!(block_on(writer().verify(None)).unwrap().is_sound());
        });
        take("delete softly", &|| delete(false, -rows / 2));
        take("delete", &|| delete(true, -rows / 4));
        take("maintain", &|| {
            let backend = (self.open)(folder.path(), Access::Write);
            let _ = block_on(backend.maintain(&Maintenance::default())).unwrap();
        });
        take("read what is left", &|| {
            assert!(read(ReadOptions::default()) > 0);
        });
        taken
    }

    /// A read with so many filters, and one with a filter of so many parts.
    fn filters(&self, filters: i64) -> Taken {
        let folder = tempfile::tempdir().unwrap();
        let opened = |access| store((self.open)(folder.path(), access), access);
        let rows = samples((OVERWRITING, 0), ROWS / TIMES, Vec::new());
        block_on(opened(Access::Write).write(&raw(), rows)).unwrap();
        let store = opened(Access::Read);
        let read = |options: ReadOptions| {
            let rows = block_on(async { store.read(&raw(), options).await?.collect().await });
            assert_eq!(rows.unwrap().num_rows() as i64, ROWS / TIMES);
        };
        let each = |number: i64| col("id").ne(lit(number));
        let mut taken = Taken::new();
        self.taken(&mut taken, "read", || {
            read(ReadOptions::default().with_filters((0..filters).map(each)));
        });
        self.taken(&mut taken, "read, one of all", || {
            let one = (0..filters).map(each).reduce(|all, next| all.or(next));
            read(ReadOptions::default().with_filters(one));
        });
        taken
    }

    /// What is done with a graph of so many features, each of which depends on the first and on the one before.
    fn features(&self, features: i64) -> Taken {
        let key = |number: i64| format!("grown/f{number}");
        let spec = |number: i64| {
            let mut spec = FeatureSpec::new(key(number), ["id"]).unwrap();
            spec = spec.with_field(FieldSpec::new("content").unwrap());
            let deps = [0, number - 1].into_iter().take(match number {
                0 => 0,
                1 => 1,
                _ => 2,
            });
            for dep in deps {
                spec = spec.with_dep(FeatureDep::new(key(dep)).unwrap());
            }
            FeatureDefinition::new(spec, "test")
        };
        let graph = || FeatureGraph::from_definitions((0..features).map(spec)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let opened = |access| {
            MetadataStore::builder((self.open)(folder.path(), access))
                .with_access(access)
                .with_graph(graph())
                .build()
                .unwrap()
        };
        let mut taken = Taken::new();
        self.taken(&mut taken, "versions", || {
            let graph = graph();
            for number in 0..features {
                let _ = graph.feature_version(key(number)).unwrap();
            }
            assert_eq!(graph.check_all().len(), 0);
        });
        self.taken(&mut taken, "push", || {
            let _ = block_on(opened(Access::Write).push_graph(None, &IndexMap::default())).unwrap();
        });
        self.taken(&mut taken, "push nothing", || {
            let _ = block_on(opened(Access::Write).push_graph(None, &IndexMap::default())).unwrap();
        });
        self.taken(&mut taken, "status", || {
            let store = opened(Access::Read);
            let keys = store.graph().topological();
            let mut survey = store.survey(keys.clone(), StatusOptions::default());
            for key in keys {
                let _ = block_on(survey.status(&key)).unwrap();
            }
        });
        taken
    }
}

/// Makes this program count what it asks of the allocator: its own code, and what is linked into it. Gives a function `allocated`, the bytes
/// since it began. For Linux with glibc; once in a program.
#[macro_export]
macro_rules! count_allocations {
    () => {
        static ALLOCATED: ::std::sync::atomic::AtomicU64 = ::std::sync::atomic::AtomicU64::new(0);

        /// The bytes that were asked of the allocator since the program began.
        fn allocated() -> u64 {
            ALLOCATED.load(::std::sync::atomic::Ordering::Relaxed)
        }

        mod counted {
            use ::std::ffi::{c_int, c_void};
            use ::std::sync::atomic::Ordering::Relaxed;

            unsafe extern "C" {
                fn __libc_malloc(size: usize) -> *mut c_void;
                fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
                fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
                fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
            }

            #[unsafe(no_mangle)]
            extern "C" fn malloc(size: usize) -> *mut c_void {
                super::ALLOCATED.fetch_add(size as u64, Relaxed);
                unsafe { __libc_malloc(size) }
            }

            #[unsafe(no_mangle)]
            extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
                super::ALLOCATED.fetch_add(count.saturating_mul(size) as u64, Relaxed);
                unsafe { __libc_calloc(count, size) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
                super::ALLOCATED.fetch_add(size as u64, Relaxed);
                unsafe { __libc_realloc(old, size) }
            }

            #[unsafe(no_mangle)]
            extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
                super::ALLOCATED.fetch_add(size as u64, Relaxed);
                unsafe { __libc_memalign(alignment, size) }
            }

            #[unsafe(no_mangle)]
            extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
                memalign(alignment, size)
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn posix_memalign(
                at: *mut *mut c_void,
                alignment: usize,
                size: usize,
            ) -> c_int {
                const NO_MEMORY: c_int = 12;
                let block = memalign(alignment, size);
                if block.is_null() && size > 0 {
                    return NO_MEMORY;
                }
                unsafe { *at = block };
                0
            }
        }
    };
}
