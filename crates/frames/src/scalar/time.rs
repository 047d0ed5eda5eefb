//! Dates, times of day, time stamps and durations as text, over the whole range of their integers.

use std::fmt::Write as _;

use arrow::datatypes::TimeUnit;

const SECONDS_PER_DAY: i64 = 86_400;

/// How many of a unit make a second.
pub(crate) const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// How many digits of a second a unit counts.
const fn digits(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar of all times.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The number of days since 1970.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2024-05-01`. Years beyond four digits have a sign.
pub(crate) fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    let _ = match year {
        0..=9999 => write!(out, "{year:04}"),
        _ => write!(out, "{year:+05}"),
    };
    let _ = write!(out, "-{month:02}-{day:02}");
}

/// `12:30:00`, with a fraction if there is one; `None` if it is no time of a day.
pub(crate) fn push_time_of_day(out: &mut String, count: i64, unit: TimeUnit) -> Option<()> {
    let per = per_second(unit);
    let (seconds, rest) = (count.div_euclid(per), count.rem_euclid(per));
    (0..SECONDS_PER_DAY).contains(&seconds).then_some(())?;
    push_clock(out, seconds);
    if rest != 0 {
        let _ = write!(out, ".{rest:0width$}", width = digits(unit));
    }
    Some(())
}

fn push_clock(out: &mut String, seconds: i64) {
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let _ = write!(out, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
}

/// `2024-05-01T12:30:00.000000Z`: microseconds, or what the unit counts if that is finer.
pub(crate) fn push_stamp(out: &mut String, count: i64, unit: TimeUnit) {
    let per = per_second(unit);
    let (seconds, rest) = (count.div_euclid(per), count.rem_euclid(per));
    push_date(out, seconds.div_euclid(SECONDS_PER_DAY));
    out.push('T');
    push_clock(out, seconds.rem_euclid(SECONDS_PER_DAY));
    let _ = match unit {
        TimeUnit::Nanosecond => write!(out, ".{rest:09}Z"),
        _ => write!(out, ".{:06}Z", rest * (1_000_000 / per)),
    };
}

/// `PT1.5S`, or `-PT1.5S`.
pub(crate) fn push_duration(out: &mut String, count: i64, unit: TimeUnit) {
    if count < 0 {
        out.push('-');
    }
    out.push_str("PT");
    push_seconds(out, count.unsigned_abs(), unit);
    out.push('S');
}

fn push_seconds(out: &mut String, count: u64, unit: TimeUnit) {
    let per = per_second(unit).unsigned_abs();
    let _ = write!(out, "{}", count / per);
    if !count.is_multiple_of(per) {
        let fraction = format!("{:0width$}", count % per, width = digits(unit));
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
}

/// `P2M3DT1.5S`: parts of a calendar interval, each with its own sign.
pub(crate) fn push_interval(out: &mut String, months: i32, days: i32, nanoseconds: i64) {
    let _ = write!(out, "P{months}M{days}DT");
    if nanoseconds < 0 {
        out.push('-');
    }
    push_seconds(out, nanoseconds.unsigned_abs(), TimeUnit::Nanosecond);
    out.push('S');
}

/// What is left to be read of a text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.0.first() == Some(&byte)).then(|| self.0 = &self.0[1..])
    }

    /// So many digits.
    fn number(&mut self, length: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        number.iter().try_fold(0_i64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
    }

    /// All digits that follow: at least one.
    fn digits(&mut self) -> Option<&str> {
        let length = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let digits = std::str::from_utf8(digits).ok()?;
        (!digits.is_empty()).then_some(digits)
    }

    /// The digits behind a point as nanoseconds, none without a point; `None` if they are finer or if there are none.
    fn fraction(&mut self) -> Option<i64> {
        if self.take(b'.').is_none() {
            return Some(0);
        }
        let digits = self.digits()?;
        let (kept, finer) = digits.split_at(digits.len().min(9));
        let fine = finer.bytes().all(|byte| byte == b'0');
        fine.then(|| format!("{kept:0<9}").parse().ok())?
    }

    fn date(&mut self) -> Option<i64> {
        let sign = match self.0.first()? {
            b'+' => Some(1),
            b'-' => Some(-1),
            _ => None,
        };
        let year = match sign {
            None => self.number(4)?,
            Some(sign) => {
                self.0 = &self.0[1..];
                let digits = self.digits()?;
                // More digits would leave the range of all types.
                let sized = (4..=12).contains(&digits.len());
                sized.then(|| digits.parse::<i64>().ok())?? * sign
            }
        };
        self.take(b'-')?;
        let month = self.number(2)?;
        self.take(b'-')?;
        let day = self.number(2)?;
        let days = days_of(year, month, day);
        // A day that a month lacks would be one of the next.
        ((1..=12).contains(&month) && civil(days) == (year, month, day)).then_some(days)
    }

    /// Seconds and nanoseconds of `12:30`, `12:30:15` or `12:30:15.25`.
    fn clock(&mut self) -> Option<(i64, i64)> {
        let hours = self.number(2)?;
        self.take(b':')?;
        let minutes = self.number(2)?;
        let (seconds, nanoseconds) = match self.take(b':') {
            Some(()) => (self.number(2)?, self.fraction()?),
            None => (0, 0),
        };
        let valid = hours < 24 && minutes < 60 && seconds < 60;
        valid.then_some((hours * 3_600 + minutes * 60 + seconds, nanoseconds))
    }

    /// The seconds by which local time is ahead.
    fn zone(&mut self) -> Option<i64> {
        if self.0.first() == Some(&b' ') {
            self.0 = &self.0[1..];
        }
        match self.0 {
            [] => Some(0),
            b"Z" | b"z" | b"UTC" => {
                self.0 = &[];
                Some(0)
            }
            [sign @ (b'+' | b'-'), rest @ ..] => {
                let sign = if *sign == b'+' { 1 } else { -1 };
                self.0 = rest;
                let hours = self.number(2)?;
                let _ = self.take(b':');
                let minutes = if self.0.is_empty() {
                    0
                } else {
                    self.number(2)?
                };
                (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
            }
            _ => None,
        }
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Why a text is no time of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTime {
    /// It does not spell one.
    Spelling,
    /// It is finer than the unit.
    Finer,
    /// The unit's integers do not reach so far.
    Range,
}

fn counted(seconds: i128, nanoseconds: i64, unit: TimeUnit) -> Result<i64, NoTime> {
    let per = per_second(unit);
    let step = 1_000_000_000 / per;
    if nanoseconds % step != 0 {
        return Err(NoTime::Finer);
    }
    let whole = seconds * i128::from(per) + i128::from(nanoseconds / step);
    i64::try_from(whole).map_err(|_| NoTime::Range)
}

/// Days since 1970.
pub(crate) fn date(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let days = rest.date()?;
    rest.end()?;
    Some(days)
}

/// The count of a unit since midnight.
pub(crate) fn time_of_day(text: &str, unit: TimeUnit) -> Result<i64, NoTime> {
    let mut rest = Rest(text.as_bytes());
    let clock = rest.clock().filter(|_| rest.0.is_empty());
    let (seconds, nanoseconds) = clock.ok_or(NoTime::Spelling)?;
    counted(i128::from(seconds), nanoseconds, unit)
}

/// The count of a unit since 1970 in UTC: RFC 3339, also with a space for the `T`, without seconds, or a day alone. A text without a
/// zone is UTC.
pub(crate) fn stamp(text: &str, unit: TimeUnit) -> Result<i64, NoTime> {
    let mut rest = Rest(text.as_bytes());
    let mut parsed = || {
        let days = rest.date()?;
        let (mut seconds, mut nanoseconds) = (0, 0);
        if let [b'T' | b't' | b' ', clock @ ..] = rest.0
            && !clock.is_empty()
        {
            rest.0 = clock;
            (seconds, nanoseconds) = rest.clock()?;
            seconds -= rest.zone()?;
        }
        rest.end()?;
        Some((
            i128::from(days) * i128::from(SECONDS_PER_DAY) + i128::from(seconds),
            nanoseconds,
        ))
    };
    let (seconds, nanoseconds) = parsed().ok_or(NoTime::Spelling)?;
    counted(seconds, nanoseconds, unit)
}

/// The count of a unit in an ISO 8601 duration of weeks, days, hours, minutes and seconds.
pub(crate) fn duration(text: &str, unit: TimeUnit) -> Result<i64, NoTime> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (seconds, nanoseconds) = spelled_duration(text).ok_or(NoTime::Spelling)?;
    let per = i128::from(per_second(unit));
    let step = 1_000_000_000 / per;
    if nanoseconds % step != 0 {
        return Err(NoTime::Finer);
    }
    let count = seconds.checked_mul(per).ok_or(NoTime::Range)? + nanoseconds / step;
    i64::try_from(sign * count).map_err(|_| NoTime::Range)
}

fn spelled_duration(text: &str) -> Option<(i128, i128)> {
    let mut rest = Rest(text.strip_prefix('P')?.as_bytes());
    let (mut seconds, mut nanoseconds) = (0_i128, 0_i128);
    let mut of_day = false;
    let mut parts = 0;
    while !rest.0.is_empty() {
        if !of_day && rest.take(b'T').is_some() {
            of_day = true;
        }
        let digits: i128 = rest.digits()?.parse().ok()?;
        let fraction = rest.fraction()?;
        let [letter, after @ ..] = rest.0 else {
            return None;
        };
        rest.0 = after;
        let size = match (of_day, letter) {
            (false, b'W') => 7 * 86_400,
            (false, b'D') => 86_400,
            (true, b'H') => 3_600,
            (true, b'M') => 60,
            (true, b'S') => 1,
            _ => return None,
        };
        if fraction != 0 && *letter != b'S' {
            return None;
        }
        seconds = seconds.checked_add(digits.checked_mul(size)?)?;
        nanoseconds += i128::from(fraction);
        parts += 1;
    }
    (parts > 0 && seconds < i128::MAX / 10_000_000_000).then_some((seconds, nanoseconds))
}

/// Months, days and nanoseconds of what [`push_interval`] writes; parts that are nothing may be missing.
pub(crate) fn interval(text: &str) -> Option<(i32, i32, i64)> {
    let mut rest = Rest(text.strip_prefix('P')?.as_bytes());
    let (mut months, mut days, mut nanoseconds) = (0_i128, 0_i128, 0_i128);
    let mut of_day = false;
    let mut parts = 0;
    while !rest.0.is_empty() {
        if !of_day && rest.take(b'T').is_some() {
            of_day = true;
        }
        let sign: i128 = if rest.take(b'-').is_some() { -1 } else { 1 };
        let number: i128 = rest.digits()?.parse().ok()?;
        let fraction = rest.fraction()?;
        let [letter, after @ ..] = rest.0 else {
            return None;
        };
        rest.0 = after;
        if fraction != 0 && !(of_day && *letter == b'S') {
            return None;
        }
        let second: i128 = 1_000_000_000;
        let (sum, size) = match (of_day, letter) {
            (false, b'Y') => (&mut months, 12),
            (false, b'M') => (&mut months, 1),
            (false, b'W') => (&mut days, 7),
            (false, b'D') => (&mut days, 1),
            (true, b'H') => (&mut nanoseconds, 3_600 * second),
            (true, b'M') => (&mut nanoseconds, 60 * second),
            (true, b'S') => (&mut nanoseconds, second),
            _ => return None,
        };
        let part = number
            .checked_mul(size)?
            .checked_add(i128::from(fraction))?;
        *sum = sum.checked_add(part.checked_mul(sign)?)?;
        parts += 1;
    }
    if parts == 0 {
        return None;
    }
    Some((
        months.try_into().ok()?,
        days.try_into().ok()?,
        nanoseconds.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_written_and_read() {
        for days in (-3_000_000..3_000_000)
            .step_by(17)
            .chain([i64::from(i32::MIN), i64::from(i32::MAX)])
        {
            let mut text = String::new();
            push_date(&mut text, days);
            assert_eq!(date(&text), Some(days), "{text}");
        }
        for (text, days) in [
            ("1970-01-01", Some(0)),
            ("2024-02-29", Some(19_782)),
            ("2023-02-29", None),
            ("2024-13-01", None),
            ("0001-01-01", Some(-719_162)),
            ("9999-12-31", Some(2_932_896)),
            ("10000-01-01", None),
            ("+10000-01-01", Some(2_932_897)),
            ("2024-5-1", None),
        ] {
            assert_eq!(date(text), days, "{text}");
        }
    }

    #[test]
    fn every_stamp_is_written_and_read() {
        for unit in [
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ] {
            for count in [
                0,
                1,
                -1,
                1_714_557_600_000_001,
                i64::MAX / 1_000,
                i64::MIN / 1_000,
                i64::MAX,
                i64::MIN,
            ] {
                let mut text = String::new();
                push_stamp(&mut text, count, unit);
                assert_eq!(stamp(&text, unit), Ok(count), "{unit:?} {text}");
                text.clear();
                push_duration(&mut text, count, unit);
                assert_eq!(duration(&text, unit), Ok(count), "{unit:?} {text}");
            }
        }
        let micros = TimeUnit::Microsecond;
        for (text, count) in [
            (
                "2024-05-01T12:00:00.000001+02:00",
                Ok(1_714_557_600_000_001),
            ),
            ("2024-05-01 10:00:00.000001", Ok(1_714_557_600_000_001)),
            ("2024-05-01", Ok(1_714_521_600_000_000)),
            ("2024-05-01T10:00Z", Ok(1_714_557_600_000_000)),
            ("2024-05-01T10:00:00.0000010000Z", Ok(1_714_557_600_000_001)),
            ("2024-05-01T10:00:00.0000001Z", Err(NoTime::Finer)),
            ("2024-05-01T23:59:60Z", Err(NoTime::Spelling)),
            ("2024-05-01T24:00:00Z", Err(NoTime::Spelling)),
            ("2024-05-01T", Err(NoTime::Spelling)),
            ("+300000-01-01T00:00:00Z", Err(NoTime::Range)),
            ("yesterday", Err(NoTime::Spelling)),
            ("", Err(NoTime::Spelling)),
        ] {
            assert_eq!(stamp(text, micros), count, "{text}");
        }
    }

    #[test]
    fn times_of_day_stay_in_the_day() {
        let micros = TimeUnit::Microsecond;
        assert_eq!(time_of_day("23:59:59.999999", micros), Ok(86_399_999_999));
        for text in ["23:59:60", "24:00:00", "12:60:00", "7:00", "12:00:00 "] {
            assert_eq!(time_of_day(text, micros), Err(NoTime::Spelling), "{text}");
        }
        let mut text = String::new();
        assert_eq!(push_time_of_day(&mut text, 86_400_000_000, micros), None);
        assert_eq!(push_time_of_day(&mut text, -1, micros), None);
        push_time_of_day(&mut text, 45_000_500_000, micros).unwrap();
        assert_eq!(text, "12:30:00.500000");
    }

    #[test]
    fn durations_and_intervals_come_back() {
        assert_eq!(
            duration("P1DT2H3M4.5S", TimeUnit::Millisecond),
            Ok(93_784_500)
        );
        for text in ["PT", "P", "1S", "PT1.5M", "PT1", "P1Y", "PT1S2"] {
            assert_eq!(
                duration(text, TimeUnit::Second),
                Err(NoTime::Spelling),
                "{text}"
            );
        }
        for parts in [
            (0, 0, 0),
            (14, -3, 1_500_000_000),
            (i32::MIN, i32::MAX, i64::MIN),
            (1, 1, -1),
        ] {
            let mut text = String::new();
            push_interval(&mut text, parts.0, parts.1, parts.2);
            assert_eq!(interval(&text), Some(parts), "{text}");
        }
    }
}
