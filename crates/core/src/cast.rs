//! Casts in which nothing is lost.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{
    DataType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit,
};
use arrow::error::ArrowError;

/// The values with another type: one that the type cannot hold is an error, not a null.
///
/// Lists that are a part of longer ones may become lists of a fixed length, too: Arrow's own cast takes the items of such a part from the
/// beginning of the whole. Times of day are counted with care: Arrow's own cast also counts what lies under a null, and wraps.
///
/// # Errors
/// Arrow's, for two types of which none becomes the other, and for a value that does not fit.
pub fn cast_checked(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    if array.data_type() != target && has_fixed_lists(target) {
        let rows = UInt64Array::from_iter_values(0..array.len() as u64);
        return cast_with_options(&take(array, &rows, None)?, target, &options);
    }
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    Ok(match (array.data_type(), target) {
        (DataType::Time32(Second), DataType::Time32(Millisecond)) => Arc::new(
            array
                .as_primitive::<Time32SecondType>()
                .try_unary::<_, Time32MillisecondType, ArrowError>(|time| {
                    time.mul_checked(1_000)
                })?,
        ),
        (DataType::Time64(Microsecond), DataType::Time64(Nanosecond)) => Arc::new(
            array
                .as_primitive::<Time64MicrosecondType>()
                .try_unary::<_, Time64NanosecondType, ArrowError>(|time| time.mul_checked(1_000))?,
        ),
        _ => cast_with_options(array, target, &options)?,
    })
}

/// Whether the type, or one that it is made of, is a list of a fixed length.
/// Whether values are texts, however they are laid out.
pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

fn has_fixed_lists(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(..) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => has_fixed_lists(item.data_type()),
        DataType::Struct(members) => members
            .iter()
            .any(|member| has_fixed_lists(member.data_type())),
        DataType::Dictionary(_, values) => has_fixed_lists(values),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        FixedSizeListArray, Int32Array, ListArray, StructArray, Time64MicrosecondArray,
        Time64NanosecondArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn pair() -> DataType {
        DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Int32, true)), 2)
    }

    fn lists() -> ListArray {
        ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![Some(3), None]),
            Some(vec![Some(4), Some(5)]),
        ])
    }

    fn pairs() -> FixedSizeListArray {
        FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
            [
                Some(vec![Some(1), Some(2)]),
                None,
                Some(vec![Some(3), None]),
                Some(vec![Some(4), Some(5)]),
            ],
            2,
        )
    }

    #[test]
    fn parts_of_lists_keep_their_items() {
        for start in 0..4 {
            for length in 0..=4 - start {
                let part: ArrayRef = Arc::new(lists().slice(start, length));
                let cast = cast_checked(&part, &pair()).unwrap();
                let expected: ArrayRef = Arc::new(pairs().slice(start, length));
                assert_eq!(&cast, &expected, "{length} from {start}");
            }
        }
    }

    #[test]
    fn lists_inside_of_others_keep_their_items() {
        let rows = lists().slice(2, 2);
        let outer = Arc::new(Field::new("pairs", rows.data_type().clone(), true));
        let wanted = Arc::new(Field::new("pairs", pair(), true));
        let structs: ArrayRef = Arc::new(StructArray::from(vec![(
            outer,
            Arc::new(rows.clone()) as ArrayRef,
        )]));
        let expected: ArrayRef = Arc::new(StructArray::from(vec![(
            wanted.clone(),
            Arc::new(pairs().slice(2, 2)) as ArrayRef,
        )]));
        let target = DataType::Struct(vec![wanted].into());
        assert_eq!(&cast_checked(&structs, &target).unwrap(), &expected);

        let item = Arc::new(Field::new_list_field(rows.data_type().clone(), true));
        let wanted = Arc::new(Field::new_list_field(pair(), true));
        let offsets = OffsetBuffer::<i32>::from_lengths([1, 1]);
        let nested = ListArray::new(item, offsets.clone(), Arc::new(rows), None);
        let last: ArrayRef = Arc::new(nested.slice(1, 1));
        let pairs = Arc::new(pairs().slice(2, 2));
        let expected = ListArray::new(wanted.clone(), offsets, pairs, None).slice(1, 1);
        let cast = cast_checked(&last, &DataType::List(wanted)).unwrap();
        assert_eq!(cast.as_ref(), &expected as &dyn Array);
    }

    #[test]
    fn what_lies_under_a_null_is_no_time() {
        let times = |second: bool| -> ArrayRef {
            let nulls = NullBuffer::from(vec![true, second]);
            Arc::new(Time64MicrosecondArray::new(
                vec![7, i64::MAX].into(),
                Some(nulls),
            ))
        };
        let target = DataType::Time64(TimeUnit::Nanosecond);
        let expected: ArrayRef = Arc::new(Time64NanosecondArray::from(vec![Some(7_000), None]));
        assert_eq!(&cast_checked(&times(false), &target).unwrap(), &expected);
        assert!(cast_checked(&times(true), &target).is_err());
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 300]));
        assert!(cast_checked(&numbers, &DataType::Int8).is_err());
        let lists: ArrayRef = Arc::new(lists());
        let three =
            DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Int32, true)), 3);
        assert!(cast_checked(&lists, &three).is_err());
    }
}
