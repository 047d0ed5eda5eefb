//! Numbers as text, and the question whether a binary number is the one that was written.

/// A number that was written in decimal digits, whatever its size: `digits × 10^exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    exponent: i64,
}

impl Written {
    /// Reads `-12.50e3` and the like; `None` if the text is no number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, whole_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let mut digits = String::with_capacity(whole.len() + fraction.len());
        for part in [whole, fraction] {
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            digits.push_str(part);
        }
        let mut exponent = exponent.saturating_sub(i64::try_from(fraction.len()).ok()?);
        let kept = digits.trim_end_matches('0').len();
        exponent = exponent.saturating_add(i64::try_from(digits.len() - kept).ok()?);
        digits.truncate(kept);
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..zeros);
        if digits.is_empty() {
            exponent = 0;
        }
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }

    /// Whether both are the same number; zeros of either sign are.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.digits == other.digits
            && self.exponent == other.exponent
            && (self.negative == other.negative || self.digits.is_empty())
    }

    /// How many digits stand before and after the point when it is written without an exponent.
    pub(crate) fn places(&self) -> (u64, u64) {
        let digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let before = digits.saturating_add(self.exponent).max(0);
        let after = self.exponent.saturating_neg().max(0);
        (before.unsigned_abs(), after.unsigned_abs())
    }

    /// The number times `10^scale` in plain digits, if that is whole and has at most `most` digits.
    pub(crate) fn scaled(&self, scale: i64, most: usize) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".into());
        }
        let zeros = usize::try_from(self.exponent.checked_add(scale)?).ok()?;
        if self.digits.len().checked_add(zeros)? > most {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        Some(format!("{sign}{}{}", self.digits, "0".repeat(zeros)))
    }

    /// The number as an integer, if it is one of at most 38 digits.
    pub(crate) fn whole(&self) -> Option<i128> {
        self.scaled(0, 38)?.parse().ok()
    }
}

fn whole_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // One that does not fit is as good as any that is beyond all types.
    let far = i64::MAX / 4;
    let size = digits.parse::<i64>().map_or(far, |size| size.min(far));
    Some(if text.starts_with('-') { -size } else { size })
}

/// A 64-bit float that is printed back as the number that `text` writes; `None` if there is none.
pub(crate) fn float64(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    // Numbers of so few digits are told apart by every float that is far enough from the ends of the range.
    let sure = significant(text) <= 15 && (value == 0.0 || (1e-280..1e280).contains(&value.abs()));
    (sure || value.is_finite() && same(text, &print64(value))).then_some(value)
}

/// As [`float64`], of 32 bits.
pub(crate) fn float32(text: &str) -> Option<f32> {
    let value: f32 = text.parse().ok()?;
    let sure = significant(text) <= 6 && (value == 0.0 || (1e-30..1e30).contains(&value.abs()));
    (sure || value.is_finite() && same(text, &print32(value))).then_some(value)
}

/// How many digits of the mantissa count, at most: zeros are not left out.
fn significant(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    // A number that is not zero and rounds to it has an exponent.
    match mantissa.len() == text.len() {
        true => mantissa.bytes().filter(u8::is_ascii_digit).count(),
        false => usize::MAX,
    }
}

/// Whether two texts write one number.
pub(crate) fn same(a: &str, b: &str) -> bool {
    match (Written::parse(a), Written::parse(b)) {
        (Some(a), Some(b)) => a.equals(&b),
        _ => false,
    }
}

/// The shortest text that reads back as this float.
pub(crate) fn print64(value: f64) -> String {
    match value {
        _ if value.is_nan() => NAN.into(),
        f64::INFINITY => INFINITY.into(),
        f64::NEG_INFINITY => NEGATIVE_INFINITY.into(),
        _ => format!("{value:?}"),
    }
}

/// As [`print64`], of 32 bits.
pub(crate) fn print32(value: f32) -> String {
    match value.is_finite() {
        true => format!("{value:?}"),
        false => print64(f64::from(value)),
    }
}

pub(crate) const NAN: &str = "NaN";
pub(crate) const INFINITY: &str = "inf";
pub(crate) const NEGATIVE_INFINITY: &str = "-inf";

/// What programs write for floats that are no finite number.
pub(crate) fn special(text: &str) -> Option<f64> {
    Some(match text {
        NAN | "nan" => f64::NAN,
        INFINITY | "+inf" | "Infinity" | "+Infinity" | "Inf" => f64::INFINITY,
        NEGATIVE_INFINITY | "-Infinity" | "-Inf" => f64::NEG_INFINITY,
        _ => return None,
    })
}

/// The digits of a decimal with `scale` of them behind the point.
pub(crate) fn print_decimal(unscaled: &str, scale: i8) -> String {
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    match usize::try_from(scale) {
        Ok(0) => unscaled.to_owned(),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) if digits == "0" => digits.to_owned(),
        Err(_) => format!(
            "{sign}{digits}{}",
            "0".repeat(usize::from(scale.unsigned_abs()))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_what_was_written_or_none() {
        for text in [
            "0.1",
            "-0.0",
            "0",
            "2.50",
            "12e4",
            "1e300",
            "9007199254740992",
            "5e-324",
            "1.7976931348623157e308",
        ] {
            let value = float64(text).unwrap();
            assert!(same(text, &print64(value)), "{text}");
        }
        for text in [
            "0.10000000000000000555",
            "9007199254740993",
            "18446744073709551617",
            "1152921504606846976",
            "1e400",
            "1e-400",
            "x",
            "",
            "-",
            ".",
            "1e",
        ] {
            assert!(float64(text).is_none(), "{text}");
        }
        assert_eq!(float32("0.1"), Some(0.1));
        assert_eq!(float32("16777217"), None);
        assert_eq!(float32("0.30000000000000004"), None);
    }

    #[test]
    fn decimals_keep_every_digit() {
        let scaled = |text: &str, scale| Written::parse(text).unwrap().scaled(scale, 10);
        assert_eq!(scaled("1.25", 2).as_deref(), Some("125"));
        assert_eq!(scaled("-1.250", 2).as_deref(), Some("-125"));
        assert_eq!(scaled("1.255", 2), None);
        assert_eq!(scaled("12e3", -3).as_deref(), Some("12"));
        assert_eq!(scaled("123456789.25", 2), None);
        assert_eq!(scaled("0e99999999999999999999", 2).as_deref(), Some("0"));
        assert_eq!(scaled("1e99999999999999999999", 2), None);
        for (unscaled, scale, text) in [
            ("125", 2, "1.25"),
            ("-5", 2, "-0.05"),
            ("0", 2, "0.00"),
            ("12", -3, "12000"),
            ("-7", 0, "-7"),
        ] {
            assert_eq!(print_decimal(unscaled, scale), text);
        }
    }
}
