//! Reading Parquet.

use super::*;

fn parquet_of(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn read_parquet(batch: &RecordBatch, options: &ReadOptions) -> Result<RecordBatch> {
    let bytes = Cursor::new(parquet_of(batch));
    let reader = FrameReader::from_read(bytes, "test", Format::Parquet, options)?;
    let schema = reader.schema();
    Ok(concat_batches(
        &schema,
        &reader.collect::<Result<Vec<_>>>()?,
    )?)
}

#[test]
fn parquet_reads_by_field_maps_and_large_text() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("audio");
    map.values().append_value("1");
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.keys().append_value("frames");
    map.values().append_value("2");
    map.append(true).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable([(
        BY_FIELD,
        Arc::new(map.finish()) as ArrayRef,
        true,
    )])
    .unwrap();
    let read = read_parquet(&batch, &ReadOptions::default()).unwrap();
    assert_eq!(member(&read, "audio"), [Some("1".into()), None, None]);
    assert_eq!(member(&read, "frames"), [None, None, Some("2".into())]);
    assert!(read.column(0).is_null(1));

    let large = Arc::new(LargeStringArray::from(vec!["1"])) as ArrayRef;
    let by_field = StructArray::from(vec![(
        Arc::new(Field::new("audio", DataType::LargeUtf8, true)),
        large,
    )]);
    let batch = RecordBatch::try_from_iter([(BY_FIELD, Arc::new(by_field) as ArrayRef)]).unwrap();
    assert_eq!(
        member(
            &read_parquet(&batch, &ReadOptions::default()).unwrap(),
            "audio"
        ),
        some(&["1"])
    );

    let numbers = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([(BY_FIELD, numbers)]).unwrap();
    assert_eq!(
        read_parquet(&batch, &ReadOptions::default())
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidFrame
    );
}

#[test]
fn parquet_columns_take_a_hinted_type_only_exactly() {
    let batch = |array: ArrayRef| RecordBatch::try_from_iter([("x", array)]).unwrap();
    let as_type = |array: ArrayRef, data_type: DataType| {
        read_parquet(&batch(array), &hint(vec![Field::new("x", data_type, true)]))
    };
    let read = as_type(Arc::new(Int32Array::from(vec![1, 2])), DataType::Int64).unwrap();
    assert_eq!(type_of(&read, "x"), DataType::Int64);
    let read = as_type(Arc::new(LargeStringArray::from(vec!["a"])), DataType::Utf8).unwrap();
    assert_eq!(type_of(&read, "x"), DataType::Utf8);
    let whole = TimestampNanosecondArray::from(vec![2_000]);
    assert_eq!(
        type_of(&as_type(Arc::new(whole), utc()).unwrap(), "x"),
        utc()
    );

    let fine = TimestampNanosecondArray::from(vec![2_000, 1]);
    let message = as_type(Arc::new(fine), utc()).unwrap_err().to_string();
    assert!(
        message.contains("row 2") && message.contains("'x'"),
        "{message}"
    );
    let message = as_type(
        Arc::new(Float64Array::from(vec![1.0, 1.5])),
        DataType::Int64,
    )
    .unwrap_err()
    .to_string();
    assert!(message.contains("row 2"), "{message}");
    let message = as_type(Arc::new(StringArray::from(vec!["1"])), DataType::Int64)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("Utf8") && message.contains("Int64"),
        "{message}"
    );
    let broken = FrameReader::from_read(
        Cursor::new(b"PAR1 no".to_vec()),
        "test",
        Format::Parquet,
        &ReadOptions::default(),
    );
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::InvalidFrame);
}
