//! The clock that stamps writes. It is a value, so that a test can turn it back.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};

/// An instant in microseconds since 1970, UTC: the unit of every system timestamp.
pub type Micros = i64;

/// The last instant of a system timestamp: later ones are in no year that a calendar shows in every zone.
pub const LAST: Micros = (NaiveDateTime::MAX.and_utc().timestamp() - 86_400) * 1_000_000 + 999_999;

/// The instant after another; [`LAST`] has none.
pub fn after(instant: Micros) -> Micros {
    match instant {
        LAST => LAST,
        _ => instant.saturating_add(1),
    }
}

/// What tells the time of a write. A stamp is never earlier than what a table has already seen
/// (`semantics.md` §5), whatever the clock says.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Micros + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| Utc::now().timestamp_micros())
    }

    /// A clock that asks `now` each time.
    pub fn from_fn(now: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        let at = at.timestamp_micros();
        Self::from_fn(move || at)
    }

    /// What the clock says now.
    #[must_use]
    pub fn now(&self) -> Micros {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
