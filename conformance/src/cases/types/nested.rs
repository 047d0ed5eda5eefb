//! Lists, structs, maps and dictionaries.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeListArray, Float64Array, Int8Array, Int32Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, ListArray, ListBuilder, MapBuilder, StringBuilder, StringViewArray,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float32Type, Float64Type, Int32Type, Int64Type};
use metaxy_store::{Error, Result};

use super::{column, found_or_refused, same, survive, survive_or_are_refused, write};
use crate::bed::TestBed;
use crate::bed::frames::{ints, texts, times};
use crate::bed::graphs::pair;
use crate::outcome::Outcome;

/// Lists of texts and numbers: empty ones, null ones, nulls inside (§5).
pub async fn lists_survive(bed: &TestBed) -> Outcome {
    let mut words = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("x"), None, Some(""), Some("say \"hi\"")]);
    words.append_value([] as [Option<&str>; 0]);
    words.append_null();
    words.append_value([None::<&str>]);
    let numbers = [
        Some(vec![Some(i64::MIN), None, Some(i64::MAX)]),
        Some(vec![]),
        None,
        Some(vec![Some(9_007_199_254_740_993)]),
    ];
    let vectors = [
        Some(vec![Some(0.1_f32), Some(-1.5e-30), Some(f32::MAX)]),
        Some(vec![]),
        None,
    ];
    survive(
        bed,
        vec![
            ("words", Arc::new(words.finish())),
            (
                "numbers",
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(numbers)),
            ),
            (
                "vector",
                Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(vectors)),
            ),
        ],
    )
    .await
}

/// Lists of lists, of structs, of moments, of bytes, of numbers that are none, and of a fixed length (contract).
pub async fn unusual_lists_survive_or_are_refused(bed: &TestBed) -> Outcome {
    let floats = [Some(vec![
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(-0.0),
        None,
    ])];
    let floats = ListArray::from_iter_primitive::<Float64Type, _, _>(floats);
    let inner = [Some(vec![Some(1), None]), None, Some(vec![])];
    let inner: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(inner));
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"\0\xff"), None, Some(b"")];
    let structs = StructArray::from(vec![(
        Arc::new(Field::new("label", DataType::Utf8, true)),
        texts([Some("x"), None, Some("")]),
    )]);
    let decimals = Decimal128Array::from_iter([Some(1), None, Some(-250)]);
    let decimals = decimals
        .with_precision_and_scale(10, 2)
        .map_err(Error::from)?;
    let fixed = [Some(vec![Some(1.0_f32), Some(2.0)]), None];
    let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(fixed, 2);
    survive_or_are_refused(
        bed,
        vec![
            ("floats", Arc::new(floats)),
            ("lists", list_of(inner)?),
            ("structs", list_of(Arc::new(structs))?),
            (
                "moments",
                list_of(times([Some(0), None, Some(1_767_225_600_123_456)]))?,
            ),
            (
                "days",
                list_of(Arc::new(Date32Array::from_iter([Some(0), None, Some(-1)])))?,
            ),
            ("bytes", list_of(Arc::new(BinaryArray::from(bytes)))?),
            ("decimals", list_of(Arc::new(decimals))?),
            ("fixed", Arc::new(fixed)),
        ],
    )
    .await
}

/// Structs in structs, with null members, null structs, and names that need quotes (§5).
pub async fn structs_survive(bed: &TestBed) -> Outcome {
    let inner = StructArray::try_new(
        Fields::from(vec![Field::new("flag", DataType::Boolean, true)]),
        vec![Arc::new(BooleanArray::from(vec![
            Some(true),
            None,
            None,
            Some(false),
        ]))],
        Some(NullBuffer::from(vec![true, false, true, true])),
    );
    let inner = inner.map_err(Error::from)?;
    let fields = Fields::from(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("a label", DataType::Utf8, true),
        Field::new("inner", inner.data_type().clone(), true),
    ]);
    let outer = StructArray::try_new(
        fields,
        vec![
            ints([Some(i64::MAX), None, Some(0), Some(-1)]),
            texts([Some("it's"), None, Some(""), Some("\"x\"")]),
            Arc::new(inner),
        ],
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let words = StructArray::from(vec![
        (
            Arc::new(Field::new("b", DataType::Utf8, true)),
            texts([Some("1"), None, Some("{}")]),
        ),
        (
            Arc::new(Field::new("a", DataType::Utf8, true)),
            texts([None, None, Some("null")]),
        ),
    ]);
    survive(
        bed,
        vec![
            ("nested", Arc::new(outer.map_err(Error::from)?)),
            ("words", Arc::new(words)),
        ],
    )
    .await
}

/// Structs without members, and with members of unusual types (contract).
pub async fn unusual_structs_survive_or_are_refused(bed: &TestBed) -> Outcome {
    let empty = StructArray::new_empty_fields(3, Some(NullBuffer::from(vec![true, false, true])));
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"\0\xff"), None];
    let member = |name: &str, array: ArrayRef| {
        (
            Arc::new(Field::new(name, array.data_type().clone(), true)),
            array,
        )
    };
    let odd = StructArray::from(vec![
        member("at", times([Some(1_767_225_600_123_456), None])),
        member("day", Arc::new(Date32Array::from_iter([Some(-1), None]))),
        member("bytes", Arc::new(BinaryArray::from(bytes))),
        member("small", Arc::new(Int8Array::from_iter([Some(-128), None]))),
    ]);
    let number = StructArray::from(vec![member(
        "x",
        Arc::new(Float64Array::from_iter([Some(f64::NAN), None])),
    )]);
    survive_or_are_refused(
        bed,
        vec![
            ("empty", Arc::new(empty)),
            ("odd", Arc::new(odd)),
            ("number", Arc::new(number)),
        ],
    )
    .await
}

/// Maps: empty ones, null ones, null values (contract).
pub async fn maps_survive_or_are_refused(bed: &TestBed) -> Outcome {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Array::builder(4));
    map.keys().append_value("k");
    map.values().append_value(1);
    map.keys().append_value("say \"hi\"");
    map.values().append_null();
    for valid in [true, true, false] {
        map.append(valid).map_err(Error::from)?;
    }
    survive_or_are_refused(bed, vec![("map", Arc::new(map.finish()))]).await
}

/// A dictionary column holds its words, as a dictionary or as plain text (contract).
pub async fn repeated_words_survive_or_are_refused(bed: &TestBed) -> Outcome {
    let words = [Some("x"), None, Some("y"), Some("x"), Some("")];
    let dictionary: DictionaryArray<Int32Type> = words.into_iter().collect();
    let store = bed.store(pair()?).await?;
    let written = write(&store, "word", Arc::new(dictionary)).await;
    let Some(found) = found_or_refused(&store, "word", written).await? else {
        return Ok(());
    };
    let plain = cast(&found, &DataType::Utf8).map_err(Error::from)?;
    same("word", &plain, &texts(words))?;
    // The next write has other words, and the same column takes plain text.
    let later: DictionaryArray<Int32Type> = ["z", "x"].into_iter().collect();
    write(&store, "word", Arc::new(later)).await?;
    let plain = cast(&column(&store, "word", 2).await?, &DataType::Utf8).map_err(Error::from)?;
    same("word", &plain, &texts(["z", "x"]))?;
    write(&store, "word", texts(["plain", "text"])).await?;
    let plain = cast(&column(&store, "word", 2).await?, &DataType::Utf8).map_err(Error::from)?;
    same("word", &plain, &texts(["plain", "text"]))
}

/// Text, bytes and lists have one layout each in a table, whichever a frame has (§5).
pub async fn other_layouts_of_text_and_binary_are_read_as_text_and_binary(
    bed: &TestBed,
) -> Outcome {
    let words = [Some("x"), None, Some("a longer text than fits a view")];
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"\0"), None, Some(b"")];
    let numbers = [Some(vec![Some(1_i64), None]), None, Some(vec![])];
    let large = LargeListArray::from_iter_primitive::<Int64Type, _, _>(numbers.clone());
    let small: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(numbers));
    let pairs: Vec<(&str, ArrayRef, ArrayRef)> = vec![
        (
            "large",
            Arc::new(LargeStringArray::from_iter(words)),
            texts(words),
        ),
        (
            "view",
            Arc::new(StringViewArray::from_iter(words)),
            texts(words),
        ),
        (
            "bytes",
            Arc::new(LargeBinaryArray::from(bytes.clone())),
            Arc::new(BinaryArray::from(bytes)),
        ),
        ("list", Arc::new(large), small),
    ];
    let store = bed.store(pair()?).await?;
    for (name, given, expected) in pairs {
        let rows = given.len();
        write(&store, name, given).await?;
        same(name, &column(&store, name, rows).await?, &expected)?;
        // What was read fits as well.
        write(&store, name, expected.clone()).await?;
        same(name, &column(&store, name, rows).await?, &expected)?;
    }
    Ok(())
}

/// Three lists: one with all three items, an empty one, and null.
fn list_of(items: ArrayRef) -> Result<ArrayRef> {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([items.len(), 0, 0]);
    let valid = NullBuffer::from(vec![true, true, false]);
    Ok(Arc::new(ListArray::try_new(
        field,
        offsets,
        items,
        Some(valid),
    )?))
}
