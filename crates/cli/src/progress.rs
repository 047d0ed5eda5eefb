//! How far long work is, on a terminal: rows, rate, and the time that is left where it is known.
//!
//! It goes to standard error. Where that is no terminal, nothing is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use metaxy_frames::terminal::shown;
use metaxy_store::Frame;

/// How often the line is drawn at most, per second.
const PER_SECOND: u8 = 8;

/// Of how much work something is known.
#[derive(Debug, Clone, Default)]
pub(crate) enum Total {
    /// Nothing.
    #[default]
    Unknown,
    /// How many rows there are.
    Rows(u64),
    /// How many bytes there are, and how many of them have been read.
    Bytes(u64, Arc<AtomicU64>),
}

/// A line that tells how far some work is. It goes away with it.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    total: Total,
    rows: AtomicU64,
}

impl Progress {
    /// Work that is called `what`, such as `writing video/raw`.
    pub(crate) fn new(what: impl Into<String>, total: Total) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(PER_SECOND);
        let (length, template) = match total {
            Total::Unknown => (None, "{spinner} {prefix} {msg}"),
            Total::Rows(length) | Total::Bytes(length, _) => {
                (Some(length), "{spinner} {prefix} [{bar:24}] {msg}")
            }
        };
        let what = shown(&what.into()).into_owned();
        let bar = ProgressBar::with_draw_target(length, target).with_prefix(what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━ "));
        }
        // Engines may be at work for long before the first row.
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        let line = Line {
            bar,
            total,
            rows: AtomicU64::new(0),
        };
        Self {
            line: Arc::new(line),
        }
    }

    /// The same rows, counted as they pass by.
    pub(crate) fn watch(&self, rows: Frame) -> Frame {
        let (progress, schema) = (self.clone(), rows.schema().clone());
        rows.map(schema, move |batch| {
            progress.add(batch.num_rows() as u64);
            Ok(batch)
        })
    }

    /// So many rows are done.
    pub(crate) fn add(&self, rows: u64) {
        let line = &self.line;
        let rows = line.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        if line.bar.is_hidden() {
            return;
        }
        match &line.total {
            Total::Unknown => {}
            Total::Rows(_) => line.bar.set_position(rows),
            Total::Bytes(_, read) => line.bar.set_position(read.load(Ordering::Relaxed)),
        }
        let left = match line.total {
            Total::Unknown => None,
            _ => Some(line.bar.eta()),
        };
        let words = words(rows, line.bar.elapsed(), left);
        line.bar.set_message(words);
    }

    /// What is done now is called `what`.
    pub(crate) fn now(&self, what: impl Into<String>) {
        self.line.bar.set_prefix(what.into());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `1,234,567 rows, 350,000 rows/s, 12 s left`.
fn words(rows: u64, elapsed: Duration, left: Option<Duration>) -> String {
    let mut words = format!("{} rows", thousands(rows));
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    // A rate of less than a second says nothing.
    if milliseconds >= 1000 {
        let rate = rows.saturating_mul(1000) / milliseconds;
        words.push_str(&format!(", {} rows/s", thousands(rate)));
        if let Some(left) = left {
            words.push_str(&format!(", {} left", duration(left)));
        }
    }
    words
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_rate_and_time_left_in_words() {
        let told = |rows, seconds, left: Option<u64>| {
            let left = left.map(Duration::from_secs);
            words(rows, Duration::from_secs(seconds), left)
        };
        assert_eq!(told(999, 0, Some(5)), "999 rows");
        assert_eq!(told(1_234_567, 2, None), "1,234,567 rows, 617,283 rows/s");
        assert_eq!(
            told(100_000, 10, Some(90)),
            "100,000 rows, 10,000 rows/s, 90 s left"
        );
        assert_eq!(told(0, 10, Some(600)), "0 rows, 0 rows/s, 10 min left");
        assert_eq!(told(1, 10, Some(7200)), "1 rows, 0 rows/s, 2 h left");
    }
}
