//! A checksum for each page: a layer between SQLite and its files.
//!
//! The last eight bytes of a page of a checksummed file are the XXH3 (64 bit, little-endian) of the bytes before them, with the page's number
//! as the seed; SQLite keeps them free (`SQLITE_FCNTL_RESERVE_BYTES`, byte 20 of the file's header). They are computed when a page is
//! written to the file, and verified when it is read from it. A page in the write-ahead log has a checksum of SQLite's own in the header
//! of its frame, which SQLite looks at after a crash only: here it is verified whenever the page is read.
//!
//! Which files are checksummed their first page says; the layer reads all others as they are. SQLite calls it on the thread that reads, so a
//! page that does not match is noted for that thread ([`take_fault`]); SQLite itself is told `SQLITE_IOERR_DATA`.

#![allow(unsafe_code)] // SQLite's interface to file systems is one of C

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{offset_of, size_of};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::{Connection, ffi};
use twox_hash::XxHash3_64;

/// Bytes of a checksum.
pub(crate) const RESERVED: u8 = 8;

/// The bytes of a database's header that say how many are reserved in each page, and how large pages are.
const RESERVED_AT: usize = 20;
const PAGE_SIZE_AT: usize = 16;

/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Bytes of the log's own header, and of that of a frame.
const LOG_HEADER: i64 = 32;
const FRAME_HEADER: i64 = 24;

/// Where the checksum is in both.
const LOG_HEADER_SUM: usize = 24;
const FRAME_HEADER_SUM: usize = 16;

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// A page that did not match its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A page of the file, counted from 1.
    Page(u64),
    /// A page in the log, which stands in the frame at this offset.
    Log(u64),
}

/// The last fault that was found on this thread. It is forgotten.
pub(crate) fn take_fault() -> Option<Fault> {
    FAULT.take()
}

/// The name of the layer, for a connection that verifies and one that does not. It is registered with SQLite when it is first asked for.
pub(crate) fn layer(verifies: bool) -> rusqlite::Result<&'static CStr> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    let code = *REGISTERED.get_or_init(|| {
        let codes = [true, false].map(register);
        codes
            .into_iter()
            .find(|code| *code != ffi::SQLITE_OK)
            .unwrap_or(ffi::SQLITE_OK)
    });
    match code {
        ffi::SQLITE_OK => Ok(name(verifies)),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

const fn name(verifies: bool) -> &'static CStr {
    match verifies {
        true => c"metaxy-verifying",
        false => c"metaxy-not-verifying",
    }
}

/// Asks for room for checksums in the file's pages: it is there once the file is made, or written anew by `VACUUM`.
pub(crate) fn reserve(connection: &Connection) -> rusqlite::Result<()> {
    let mut bytes = c_int::from(RESERVED);
    // SAFETY: the handle is open as long as the connection is borrowed, and SQLite writes an int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            ptr::from_mut(&mut bytes).cast(),
        )
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// Whether a file or folder can be written to by this process, as far as the system says.
pub(crate) fn is_writable(path: &CStr) -> bool {
    // SAFETY: SQLite's own layer lives as long as the process, and `path` ends with a zero.
    unsafe {
        let base = ffi::sqlite3_vfs_find(ptr::null());
        let mut yes: c_int = 0;
        let access = base.as_ref().and_then(|base| base.xAccess);
        access.is_some_and(|access| {
            access(
                base,
                path.as_ptr(),
                ffi::SQLITE_ACCESS_READWRITE,
                &raw mut yes,
            ) == ffi::SQLITE_OK
        }) && yes != 0
    }
}

/// What a page says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Stamp {
    Matches,
    Differs,
    /// The file is not checksummed. Only its first page says that.
    None,
}

fn sum(number: u64, page: &[u8]) -> [u8; RESERVED as usize] {
    XxHash3_64::oneshot_with_seed(number, page).to_le_bytes()
}

fn judge(number: u64, page: &[u8]) -> Stamp {
    let Some((content, stored)) = page.split_last_chunk::<{ RESERVED as usize }>() else {
        return Stamp::None;
    };
    if number != 1 || content.get(RESERVED_AT) == Some(&RESERVED) {
        return match sum(number, content) == *stored {
            true => Stamp::Matches,
            false => Stamp::Differs,
        };
    }
    // The byte that says so may be the one that is broken.
    let mut mended = content.to_vec();
    if let Some(byte) = mended.get_mut(RESERVED_AT) {
        *byte = RESERVED;
    }
    match sum(number, &mended) == *stored {
        true => Stamp::Differs,
        false => Stamp::None,
    }
}

fn page_size(header: &[u8]) -> usize {
    match header.get(PAGE_SIZE_AT..PAGE_SIZE_AT + 2) {
        Some([0, 1]) => 65_536,
        Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

/// SQLite's checksum of its log, over words of the writer's byte order, from where the frame before ended.
fn log_sum(big_endian: bool, mut sum: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |bytes: &[u8; 4]| match big_endian {
        true => u32::from_be_bytes(*bytes),
        false => u32::from_le_bytes(*bytes),
    };
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    for [first, second] in pairs {
        sum.0 = sum.0.wrapping_add(word(first)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(second)).wrapping_add(sum.0);
    }
    sum
}

/// The two halves of a checksum at this place of a header.
fn stored_sum(header: &[u8], at: usize) -> Option<(u32, u32)> {
    let half = |at: usize| {
        header
            .get(at..at + 4)?
            .try_into()
            .ok()
            .map(u32::from_be_bytes)
    };
    Some((half(at)?, half(at + 4)?))
}

/// The layer below, and whether this one verifies.
struct Layer {
    below: *mut ffi::sqlite3_vfs,
    verifies: bool,
}

/// A file as SQLite sees it. That of the layer below follows it in memory.
#[repr(C)]
struct File {
    head: ffi::sqlite3_file,
    state: *mut State,
}

struct State {
    verifies: bool,
    part: Part,
}

enum Part {
    Database(Database),
    Log(Log),
}

#[derive(Default)]
struct Database {
    /// Whether its pages have checksums, as its first page says.
    stamped: bool,
    /// During a checkpoint: the same of the pages that are written, as soon as it is known.
    written_back: Option<Option<bool>>,
    page: Vec<u8>,
}

struct Log {
    /// The file of the database.
    database: *mut File,
    /// Where the header of a frame was just written.
    header: Option<i64>,
    /// Bytes of the frame that was written last, and where it ended.
    frame: i64,
    end: i64,
    /// From this frame on pages were written again, but not their checksums: SQLite does that when it commits.
    unsummed: Option<i64>,
}

/// Registers the layer.
fn register(verifies: bool) -> c_int {
    // SAFETY: the layer and its name live for ever. SQLite's own layer does, too.
    unsafe {
        let below = ffi::sqlite3_vfs_find(ptr::null());
        let Some(base) = below.as_ref() else {
            return ffi::SQLITE_ERROR;
        };
        let layer = Box::into_raw(Box::new(Layer { below, verifies }));
        let vfs = Box::new(ffi::sqlite3_vfs {
            szOsFile: base.szOsFile + size_of::<File>() as c_int,
            pNext: ptr::null_mut(),
            zName: name(verifies).as_ptr(),
            pAppData: layer.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: base.xCurrentTimeInt64.map(|_| current_time_int64 as _),
            iVersion: base.iVersion.min(2),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
            mxPathname: base.mxPathname,
        });
        ffi::sqlite3_vfs_register(Box::into_raw(vfs), 0)
    }
}

/// Calls a function of the layer below.
///
/// # Safety
/// `vfs` is one that [`register`] made.
macro_rules! below {
    ($vfs:ident, $function:ident ( $($argument:expr),* )) => {{
        let below = (*(*$vfs).pAppData.cast::<Layer>()).below;
        match (*below).$function {
            Some(function) => function(below, $($argument),*),
            None => ffi::SQLITE_ERROR,
        }
    }};
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    unsafe { below!(vfs, xDelete(name, sync)) }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    unsafe { below!(vfs, xAccess(name, flags, result)) }
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    bytes: c_int,
    full: *mut c_char,
) -> c_int {
    unsafe { below!(vfs, xFullPathname(name, bytes, full)) }
}

unsafe extern "C" fn randomness(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    to: *mut c_char,
) -> c_int {
    unsafe { below!(vfs, xRandomness(bytes, to)) }
}

unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    unsafe { below!(vfs, xSleep(microseconds)) }
}

unsafe extern "C" fn current_time(vfs: *mut ffi::sqlite3_vfs, days: *mut f64) -> c_int {
    unsafe { below!(vfs, xCurrentTime(days)) }
}

unsafe extern "C" fn current_time_int64(
    vfs: *mut ffi::sqlite3_vfs,
    milliseconds: *mut ffi::sqlite3_int64,
) -> c_int {
    unsafe { below!(vfs, xCurrentTimeInt64(milliseconds)) }
}

unsafe extern "C" fn last_error(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    to: *mut c_char,
) -> c_int {
    unsafe { below!(vfs, xGetLastError(bytes, to)) }
}

/// Opens a file. Journals and temporary files are those of the layer below.
///
/// # Safety
/// As SQLite calls it: `file` has room for `szOsFile` bytes.
unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    if flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) == 0 {
        return unsafe { below!(vfs, xOpen(name, file, flags, out_flags)) };
    }
    unsafe {
        let mut flags = flags;
        let mut part = Part::Database(Database::default());
        if flags & ffi::SQLITE_OPEN_WAL != 0 {
            // Who may not write makes no log either.
            if ffi::sqlite3_uri_boolean(name, c"readonly_shm".as_ptr(), 0) != 0 {
                flags = flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE)
                    | ffi::SQLITE_OPEN_READONLY;
            }
            part = Part::Log(Log {
                database: ffi::sqlite3_database_file_object(name).cast(),
                header: None,
                frame: 0,
                end: 0,
                unsummed: None,
            });
        }
        let whole = file.cast::<File>();
        (*whole).head.pMethods = ptr::null();
        (*whole).state = ptr::null_mut();
        let lower = under(file);
        (*lower).pMethods = ptr::null();
        let code = below!(vfs, xOpen(name, lower, flags, out_flags));
        if code != ffi::SQLITE_OK {
            if let Some(methods) = (*lower).pMethods.as_ref()
                && let Some(close) = methods.xClose
            {
                close(lower);
            }
            return code;
        }
        let verifies = (*(*vfs).pAppData.cast::<Layer>()).verifies;
        (*whole).state = Box::into_raw(Box::new(State { verifies, part }));
        (*whole).head.pMethods = &METHODS;
        ffi::SQLITE_OK
    }
}

/// The file of the layer below.
///
/// # Safety
/// `file` is one that [`open`] made, or is making.
unsafe fn under(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<u8>().add(size_of::<File>()).cast() }
}

// The file of the layer below is aligned as this one.
const _: () = assert!(offset_of!(File, head) == 0 && size_of::<File>().is_multiple_of(8));

/// Calls a method of the file of the layer below, which has it if its version is at least `$version`.
macro_rules! method {
    ($file:ident, $method:ident ( $($argument:expr),* )) => {
        method!($file, 1, $method($($argument),*), ffi::SQLITE_IOERR)
    };
    ($file:ident, $version:literal, $method:ident ( $($argument:expr),* ), $otherwise:expr) => {{
        let lower = under($file);
        let methods = (*lower).pMethods;
        match (*methods).iVersion >= $version {
            true => match (*methods).$method {
                Some(method) => method(lower, $($argument),*),
                None => $otherwise,
            },
            false => $otherwise,
        }
    }};
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let code = method!(file, xClose());
        let whole = file.cast::<File>();
        if !(*whole).state.is_null() {
            drop(Box::from_raw((*whole).state));
            (*whole).state = ptr::null_mut();
        }
        code
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let code = unsafe { method!(file, xRead(to, bytes, at)) };
    if code != ffi::SQLITE_OK {
        return code;
    }
    unsafe {
        let state = &mut *(*file.cast::<File>()).state;
        let Ok(bytes) = usize::try_from(bytes) else {
            return code;
        };
        let page = std::slice::from_raw_parts(to.cast::<u8>(), bytes);
        let fault = match &mut state.part {
            Part::Database(database) => database.was_read(page, at),
            Part::Log(log) => log.was_read(page, at, |to: &mut [u8], at| {
                let bytes = to.len() as c_int;
                method!(file, xRead(to.as_mut_ptr().cast(), bytes, at)) == ffi::SQLITE_OK
            }),
        };
        match fault {
            Some(fault) if state.verifies => {
                FAULT.set(Some(fault));
                ffi::SQLITE_IOERR_DATA
            }
            _ => ffi::SQLITE_OK,
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        let state = &mut *(*file.cast::<File>()).state;
        let length = usize::try_from(bytes).unwrap_or_default();
        match &mut state.part {
            Part::Log(log) => {
                log.is_written(length, at);
                method!(file, xWrite(from, bytes, at))
            }
            Part::Database(database) => {
                let page = std::slice::from_raw_parts(from.cast::<u8>(), length);
                let byte_at = |at: usize| {
                    let mut byte = 0_u8;
                    let read = method!(file, xRead(ptr::from_mut(&mut byte).cast(), 1, at as i64));
                    (read == ffi::SQLITE_OK).then_some(byte)
                };
                match database.stamped(page, at, byte_at) {
                    Some(page) => method!(file, xWrite(page.as_ptr().cast(), bytes, at)),
                    None => method!(file, xWrite(from, bytes, at)),
                }
            }
        }
    }
}

/// The number of a page that is as long as `bytes`, counted from 1; `None` for what is no page.
fn page_number(bytes: usize, at: i64) -> Option<u64> {
    let (at, length) = (u64::try_from(at).ok()?, bytes as u64);
    (bytes >= 512 && bytes.is_power_of_two() && at.is_multiple_of(length)).then(|| at / length + 1)
}

impl Database {
    /// Looks at what was read from the file.
    fn was_read(&mut self, page: &[u8], at: i64) -> Option<Fault> {
        let number = page_number(page.len(), at)?;
        if number > 1 {
            let differs = self.stamped && judge(number, page) == Stamp::Differs;
            return differs.then_some(Fault::Page(number));
        }
        // SQLite asks again as soon as it knows how large pages are.
        if !page.starts_with(MAGIC) || page_size(page) != page.len() {
            return None;
        }
        let stamp = judge(number, page);
        self.stamped = stamp != Stamp::None;
        (stamp == Stamp::Differs).then_some(Fault::Page(number))
    }

    /// The page as it is written, if that is not as it is.
    fn stamped(
        &mut self,
        page: &[u8],
        at: i64,
        byte_at: impl Fn(usize) -> Option<u8>,
    ) -> Option<&[u8]> {
        let number = page_number(page.len(), at)?;
        let stamped = match (number, self.written_back) {
            // It goes before the others, and says what they are.
            (1, _) => {
                let stamped = page.get(RESERVED_AT) == Some(&RESERVED);
                self.stamped = stamped;
                if self.written_back.is_some() {
                    self.written_back = Some(Some(stamped));
                }
                stamped
            }
            (_, None) => self.stamped,
            (_, Some(Some(stamped))) => stamped,
            // The file was written anew by another process, perhaps, since this one read its first page.
            (_, Some(None)) => {
                let stamped = byte_at(RESERVED_AT) == Some(RESERVED);
                self.written_back = Some(Some(stamped));
                stamped
            }
        };
        if !stamped {
            return None;
        }
        let (content, _) = page.split_last_chunk::<{ RESERVED as usize }>()?;
        self.page.clear();
        self.page.extend_from_slice(content);
        self.page.extend_from_slice(&sum(number, content));
        Some(&self.page)
    }
}

impl Log {
    /// Looks at a page that was read from the log. `read` reads more of it.
    fn was_read(
        &mut self,
        page: &[u8],
        at: i64,
        read: impl Fn(&mut [u8], i64) -> bool,
    ) -> Option<Fault> {
        let length = i64::try_from(page.len()).ok()?;
        let frame = at - FRAME_HEADER;
        if page.len() < 512
            || !page.len().is_power_of_two()
            || frame < LOG_HEADER
            || (frame - LOG_HEADER) % (length + FRAME_HEADER) != 0
            || self.unsummed.is_some_and(|from| frame >= from)
        {
            return None;
        }
        let mut first = [0; LOG_HEADER as usize];
        let mut header = [0; FRAME_HEADER as usize];
        if !read(&mut first, 0) || !read(&mut header, frame) {
            return None;
        }
        // Who has just opened the file does not know yet how large pages are, and reads a part of the first.
        let [.., a, b, c, d] = first[..12] else {
            return None;
        };
        if u32::try_from(page.len()) != Ok(u32::from_be_bytes([a, b, c, d])) {
            return None;
        }
        let before = if frame == LOG_HEADER {
            stored_sum(&first, LOG_HEADER_SUM)?
        } else {
            let mut before = [0; FRAME_HEADER as usize];
            if !read(&mut before, frame - length - FRAME_HEADER) {
                return None;
            }
            stored_sum(&before, FRAME_HEADER_SUM)?
        };
        let big_endian = first[3] & 1 == 1;
        let found = log_sum(big_endian, before, &header[..8]);
        let found = log_sum(big_endian, found, page);
        if stored_sum(&header, FRAME_HEADER_SUM) != Some(found) {
            return Some(Fault::Log(frame.unsigned_abs()));
        }
        if header.starts_with(&1_u32.to_be_bytes()) {
            self.tell_database(page);
        }
        None
    }

    /// The newest first page may still be in the log: the file's pages are what it says.
    fn tell_database(&self, page: &[u8]) {
        // SAFETY: SQLite closes the log before the database. It uses both in turns.
        unsafe {
            if let Some(file) = self.database.as_ref()
                && ptr::eq(file.head.pMethods, &METHODS)
                && let Some(State {
                    part: Part::Database(database),
                    ..
                }) = file.state.as_mut()
            {
                database.stamped = page.get(RESERVED_AT) == Some(&RESERVED);
            }
        }
    }

    /// Keeps track of which frames have a checksum that is not that of their page yet.
    fn is_written(&mut self, bytes: usize, at: i64) {
        let length = i64::try_from(bytes).unwrap_or_default();
        if length == FRAME_HEADER {
            self.header = Some(at);
            self.unsummed = match self.unsummed {
                // What had been written was given up.
                Some(from) if at < from => None,
                Some(from) if at == from => Some(from + self.frame).filter(|next| *next < self.end),
                other => other,
            };
        } else if bytes < 512 {
            self.begins_again();
        } else if self.header.take() == Some(at - FRAME_HEADER) {
            self.frame = FRAME_HEADER + length;
            self.end = at + length;
            self.unsummed = self.unsummed.filter(|from| *from < self.end);
        } else {
            let frame = at - FRAME_HEADER;
            self.unsummed = Some(self.unsummed.map_or(frame, |from| from.min(frame)));
        }
    }

    fn begins_again(&mut self) {
        (self.header, self.unsummed) = (None, None);
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    unsafe {
        if let Part::Log(log) = &mut (*(*file.cast::<File>()).state).part {
            log.begins_again();
        }
        method!(file, xTruncate(size))
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    unsafe { method!(file, xSync(flags)) }
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    unsafe { method!(file, xFileSize(size)) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { method!(file, xLock(level)) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { method!(file, xUnlock(level)) }
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    result: *mut c_int,
) -> c_int {
    unsafe { method!(file, xCheckReservedLock(result)) }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    what: c_int,
    argument: *mut c_void,
) -> c_int {
    unsafe {
        if let Part::Database(database) = &mut (*(*file.cast::<File>()).state).part {
            match what {
                ffi::SQLITE_FCNTL_CKPT_START => database.written_back = Some(None),
                ffi::SQLITE_FCNTL_CKPT_DONE => database.written_back = None,
                _ => {}
            }
        }
        method!(file, 1, xFileControl(what, argument), ffi::SQLITE_NOTFOUND)
    }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { method!(file, 1, xSectorSize(), 0) }
}

/// Pages are read whole, or there is nothing to compare.
unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    const SUBPAGE_READ: c_int = ffi::SQLITE_IOCAP_SUBPAGE_READ;
    unsafe { method!(file, 1, xDeviceCharacteristics(), 0) & !SUBPAGE_READ }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    unsafe {
        method!(
            file,
            2,
            xShmMap(region, bytes, extend, to),
            ffi::SQLITE_IOERR_SHMMAP
        )
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    unsafe {
        method!(
            file,
            2,
            xShmLock(offset, count, flags),
            ffi::SQLITE_IOERR_SHMLOCK
        )
    }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe { method!(file, 2, xShmBarrier(), ()) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, remove: c_int) -> c_int {
    unsafe { method!(file, 2, xShmUnmap(remove), ffi::SQLITE_OK) }
}

/// Nothing is mapped into memory: it would be read past the checksums.
unsafe extern "C" fn fetch(
    _: *mut ffi::sqlite3_file,
    _: ffi::sqlite3_int64,
    _: c_int,
    page: *mut *mut c_void,
) -> c_int {
    unsafe { *page = ptr::null_mut() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn unfetch(
    _: *mut ffi::sqlite3_file,
    _: ffi::sqlite3_int64,
    _: *mut c_void,
) -> c_int {
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::OpenFlags;

    use super::*;

    fn open(path: &Path) -> Connection {
        let flags = OpenFlags::default();
        let connection = Connection::open_with_flags_and_vfs(path, flags, layer(true).unwrap());
        let connection = connection.unwrap();
        reserve(&connection).unwrap();
        // A cache of some pages, so that what is not committed yet goes to the log, and is read from there.
        let setup = "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA cache_size = 10;
            PRAGMA wal_autocheckpoint = 50; PRAGMA temp_store = MEMORY";
        connection.execute_batch(setup).unwrap();
        connection
    }

    fn check(connection: &Connection) {
        let found: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(found, "ok");
    }

    /// Transactions that are larger than the cache, given up in part or whole, checkpoints of several connections, and files written anew: no
    /// page is ever found to differ.
    #[test]
    fn whatever_sqlite_does_pages_match() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (first, second) = (open(&path), open(&path));
        first
            .execute_batch(
                "CREATE TABLE t (i INTEGER PRIMARY KEY, v TEXT, w BLOB); CREATE INDEX x ON t (v)",
            )
            .unwrap();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
            INSERT INTO t (v, w) SELECT hex(randomblob(20)), randomblob(i * 7) FROM n";
        let churn = "UPDATE t SET v = hex(randomblob(30)) WHERE i % 3 = 0;
            SELECT sum(length(w)) FROM t; UPDATE t SET w = randomblob(500) WHERE i % 5 = 0;
            SELECT count(*) FROM t WHERE v > 'A'; DELETE FROM t WHERE i % 7 = 0";
        for round in 0..12 {
            for connection in [&first, &second] {
                connection
                    .execute_batch(&format!("BEGIN; {fill}; {churn}; {churn}"))
                    .unwrap();
                connection
                    .execute_batch(&format!(
                        "SAVEPOINT s; {churn}; {fill}; ROLLBACK TO s; {churn}"
                    ))
                    .unwrap();
                check(connection);
                let end = if round % 3 == 1 { "ROLLBACK" } else { "COMMIT" };
                connection.execute_batch(end).unwrap();
                check(connection);
            }
            check(&first);
            if round % 4 == 3 {
                second.execute_batch("VACUUM").unwrap();
                check(&first);
                let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
                first.query_row(checkpoint, [], |_| Ok(())).unwrap();
                check(&second);
            }
        }
        drop(first);
        drop(second);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[RESERVED_AT], RESERVED);
        check(&open(&path));
        assert_eq!(take_fault(), None);
    }

    #[test]
    fn a_page_is_told_from_another_and_from_an_empty_one() {
        let mut page = vec![7; 512];
        let (content, end) = page.split_last_chunk_mut().unwrap();
        *end = sum(5, content);
        assert_eq!(judge(5, &page), Stamp::Matches);
        assert_eq!(judge(6, &page), Stamp::Differs);
        assert_eq!(judge(5, &vec![0; 512]), Stamp::Differs);
    }
}
