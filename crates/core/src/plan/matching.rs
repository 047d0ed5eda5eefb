//! On which types rows of two sides agree.
//!
//! Steps of a pipeline may write the IDs of one sample in different types: a library makes 64 bits of 32, or a dictionary of texts. Such
//! columns are matched by what they say:
//!
//! | one side | the other | matched as |
//! |---|---|---|
//! | integers | of another width or sign | the narrowest integer type that holds both; their digits for `UInt64` and a signed one |
//! | text | of another layout, or a dictionary | text |
//! | seconds, milliseconds, microseconds | another of these, both with a zone or both without | the finer unit |
//! | a zoned time | of the same unit and another zone | the first one's zone: the moments are the same |
//!
//! What none of these rules names does not match, such as text and numbers, or nanoseconds and coarser times, which do not reach as far.
//!
//! A joined column has the type that it was matched as. `UInt64` and a signed type are the exception, as no integer type holds both: an inner
//! or left join keeps the left type, and a full join gives `Int64` and refuses greater numbers.

use arrow::datatypes::{DataType, TimeUnit};

use super::JoinKind;

/// As which integers are matched that no integer type holds: text, which is the same where the number is. Not every engine joins on decimals.
const DIGITS: DataType = DataType::Utf8;

/// The type that values of `a` and `b` are compared as; `None` if none of one can be one of the other.
pub fn matching_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (T::Dictionary(_, value), other) | (other, T::Dictionary(_, value)) => {
            matching_type(value, other)
        }
        _ if is_text(a) && is_text(b) => Some(T::Utf8),
        _ if is_binary(a) && is_binary(b) => Some(T::Binary),
        (T::Timestamp(one, zone), T::Timestamp(other, its))
            if zone.is_some() == its.is_some() && (one == other || are_coarse(*one, *other)) =>
        {
            Some(T::Timestamp(*one.max(other), zone.clone()))
        }
        _ => common_integer(integer(a)?, integer(b)?),
    }
}

/// The type of a joined column whose sides have the types `left` and `right`, and are matched as `matched`.
pub(super) fn joined_type(left: &DataType, matched: &DataType, kind: JoinKind) -> DataType {
    match kind {
        _ if *matched != DIGITS || integer(left).is_none() => matched.clone(),
        JoinKind::Inner | JoinKind::Left => left.clone(),
        JoinKind::Full => DataType::Int64,
    }
}

fn is_text(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(data_type, T::Utf8 | T::LargeUtf8 | T::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(data_type, T::Binary | T::LargeBinary | T::BinaryView)
}

fn are_coarse(one: TimeUnit, other: TimeUnit) -> bool {
    one != TimeUnit::Nanosecond && other != TimeUnit::Nanosecond
}

/// Whether an integer type is signed, and its bits.
fn integer(data_type: &DataType) -> Option<(bool, u32)> {
    use DataType as T;
    Some(match data_type {
        T::Int8 => (true, 8),
        T::Int16 => (true, 16),
        T::Int32 => (true, 32),
        T::Int64 => (true, 64),
        T::UInt8 => (false, 8),
        T::UInt16 => (false, 16),
        T::UInt32 => (false, 32),
        T::UInt64 => (false, 64),
        _ => return None,
    })
}

fn common_integer(a: (bool, u32), b: (bool, u32)) -> Option<DataType> {
    use DataType as T;
    let is_signed = a.0 || b.0;
    // A signed type needs twice the bits to hold an unsigned one.
    let bits = |(signed, bits): (bool, u32)| match is_signed && !signed {
        true => 2 * bits,
        false => bits,
    };
    Some(match (is_signed, bits(a).max(bits(b))) {
        (true, 8) => T::Int8,
        (true, 16) => T::Int16,
        (true, 32) => T::Int32,
        (true, 64) => T::Int64,
        (false, 8) => T::UInt8,
        (false, 16) => T::UInt16,
        (false, 32) => T::UInt32,
        (false, 64) => T::UInt64,
        (true, 128) => DIGITS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_the_same_matches() {
        use DataType as T;
        let zoned = |unit, zone: &str| T::Timestamp(unit, Some(zone.into()));
        let words = || T::Dictionary(Box::new(T::Int32), Box::new(T::Utf8));
        for (a, b, matched) in [
            (T::Int32, T::Int64, Some(T::Int64)),
            (T::UInt32, T::Int32, Some(T::Int64)),
            (T::UInt8, T::Int8, Some(T::Int16)),
            (T::UInt16, T::UInt64, Some(T::UInt64)),
            (T::UInt64, T::Int8, Some(DIGITS)),
            (words(), T::Utf8, Some(T::Utf8)),
            (T::LargeUtf8, words(), Some(T::Utf8)),
            (T::Utf8, T::Int64, None),
            (T::Float64, T::Int64, None),
            (T::Boolean, T::Int8, None),
            (
                zoned(TimeUnit::Second, "UTC"),
                zoned(TimeUnit::Microsecond, "+02:00"),
                Some(zoned(TimeUnit::Microsecond, "UTC")),
            ),
            (
                zoned(TimeUnit::Second, "UTC"),
                T::Timestamp(TimeUnit::Second, None),
                None,
            ),
            (
                T::Timestamp(TimeUnit::Nanosecond, None),
                T::Timestamp(TimeUnit::Second, None),
                None,
            ),
        ] {
            assert_eq!(matching_type(&a, &b), matched, "{a} and {b}");
            let turned = matching_type(&b, &a);
            assert_eq!(turned.is_some(), matched.is_some(), "{b} and {a}");
        }
    }
}
