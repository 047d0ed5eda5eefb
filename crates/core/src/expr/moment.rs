//! Dates and moments in literals.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};

/// What a text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    Timestamp(i64),
}

pub(super) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Reads `2024-01-31`, or `2024-01-31 12:00[:00[.123456]]` with a `T` or a space and optionally a zone: `Z`, `+02`,
/// `+02:00` or `+0200`. Without a zone it is UTC. `None` as well if the moment in UTC has no year of four digits.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    if rest.is_empty() {
        return Some(Moment::Date(date.to_epoch_days()));
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = time.find(['Z', 'z', '+', '-', ' ']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, micros(fraction)?),
        None => (time, 0),
    };
    let [hour, minute, second] = match time.len() {
        // Minutes alone have no fraction.
        5 if fraction == 0 => {
            let [hour, minute] = numbers(time, ':', [2, 2])?;
            [hour, minute, 0]
        }
        _ => numbers(time, ':', [2, 2, 2])?,
    };
    let local = date.and_hms_micro_opt(hour, minute, second, fraction)?;
    let offset = zone_seconds(zone.trim_start_matches(' '))?;
    let moment = local
        .checked_sub_signed(TimeDelta::seconds(offset))?
        .and_utc();
    // Shown in UTC it could not be read back.
    let has_text = (0..=9999).contains(&moment.year());
    has_text.then(|| Moment::Timestamp(moment.timestamp_micros()))
}

/// The date in ISO 8601, or the bare number of days when it is beyond the calendar.
pub(super) fn date_text(days: i32) -> String {
    NaiveDate::from_epoch_days(days).map_or_else(
        || days.to_string(),
        |date| date.format("%Y-%m-%d").to_string(),
    )
}

/// The moment in UTC, or the bare number of microseconds when it is beyond the calendar.
pub(super) fn timestamp_text(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || micros.to_string(),
        |moment| moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
    )
}

/// Numbers of exactly so many digits, with `separator` between them.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u32; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Microseconds of a fraction of a second. Digits beyond the sixth must be zeros.
fn micros(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction:0<6}");
    let (micros, beyond) = padded.split_at(6);
    if beyond.bytes().any(|b| b != b'0') {
        return None;
    }
    micros.parse().ok()
}

/// Seconds east of UTC.
fn zone_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, offset) = match zone.split_at_checked(1)? {
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let [hours, minutes] = match offset.len() {
        2 => [numbers(offset, ':', [2])?[0], 0],
        4 => {
            let (hours, minutes) = offset.split_at_checked(2)?;
            [numbers(hours, ':', [2])?[0], numbers(minutes, ':', [2])?[0]]
        }
        _ => numbers(offset, ':', [2, 2])?,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}
