//! Reading text formats.

use super::*;

#[test]
fn formats_come_from_extensions_or_names() {
    for (path, format) in [
        ("a.parquet", Format::Parquet),
        ("a.PQ", Format::Parquet),
        ("a.csv", Format::Csv),
        ("a.tsv", Format::Tsv),
        ("a.jsonl", Format::Ndjson),
        ("x/a.b.json", Format::Json),
    ] {
        assert_eq!(Format::of_path(Path::new(path)), Some(format));
    }
    for format in Format::ALL {
        assert_eq!(format.name().parse::<Format>().unwrap(), format);
    }
    assert!(
        "yaml"
            .parse::<Format>()
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("ndjson")
    );
    let error = open_reader("-", None, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.hint().unwrap().contains("--samples-format"));
    assert_eq!(
        open_reader("absent.csv", None, None).unwrap_err().kind(),
        ErrorKind::Io
    );
}

#[test]
fn ndjson_infers_types_and_merges_structs() {
    let batch = read(
        Format::Ndjson,
        concat!(
            "\u{feff}{\"id\": 1, \"w\": 1, \"u\": 18446744073709551615, \"m\": {\"a\": 1}, \"t\": [1, 2.5]}\n\n",
            "{\"w\": 0.5, \"id\": 2, \"m\": {\"b\": \"x\"}, \"late\": true, \"none\": null}\n",
        ),
    )
    .unwrap();
    let names: Vec<_> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["id", "w", "u", "m", "t", "late", "none"]);
    assert_eq!(type_of(&batch, "id"), DataType::Int64);
    assert_eq!(type_of(&batch, "w"), DataType::Float64);
    assert_eq!(type_of(&batch, "u"), DataType::UInt64);
    assert_eq!(type_of(&batch, "none"), DataType::Null);
    assert_eq!(column(&batch, "u"), [Some(u64::MAX.to_string()), None]);
    let m = batch.column_by_name("m").unwrap().as_struct();
    assert_eq!(m.column_names(), ["a", "b"]);
    assert!(
        m.column_by_name("b").unwrap().is_null(0) && m.column_by_name("b").unwrap().is_valid(1)
    );
}

#[test]
fn by_field_members_are_text_whatever_json_says() {
    let text = format!(
        "{{\"id\":1,\"{BY_FIELD}\":{{\"audio\":18446744073709551615,\"ok\":true}}}}\n\
         {{\"id\":2,\"{BY_FIELD}\":{{\"frames\":\"007\"}}}}\n{{\"id\":3,\"{BY_FIELD}\":null}}\n"
    );
    let batch = read(Format::Ndjson, &text).unwrap();
    assert_eq!(
        member(&batch, "audio"),
        [Some(u64::MAX.to_string()), None, None]
    );
    assert_eq!(member(&batch, "ok"), [Some("true".into()), None, None]);
    assert_eq!(member(&batch, "frames"), [None, Some("007".into()), None]);
    assert!(batch.column_by_name(BY_FIELD).unwrap().is_null(2));

    // Digits are kept as they are written.
    let huge =
        format!("{{\"{BY_FIELD}\":{{\"audio\":123456789012345678901234567890,\"v\":1.10}}}}");
    let batch = read(Format::Ndjson, &huge).unwrap();
    assert_eq!(
        member(&batch, "audio"),
        some(&["123456789012345678901234567890"])
    );
    assert_eq!(member(&batch, "v"), some(&["1.10"]));
    let nested = format!("{{\"{BY_FIELD}\":{{\"audio\":[1]}}}}");
    assert!(
        refusal(
            Format::Json,
            &format!("[{nested}]"),
            &ReadOptions::default()
        )
        .contains("is no text")
    );
    // A hint's members come first and do not limit what a new definition adds.
    let known = DataType::Struct(vec![Field::new("old", DataType::Utf8, true)].into());
    let batch = read_as(
        Format::Ndjson,
        &text,
        &hint(vec![Field::new(BY_FIELD, known, true)]),
    )
    .unwrap();
    assert_eq!(member(&batch, "old"), [None, None, None]);
    assert_eq!(member(&batch, "frames")[1], Some("007".into()));
}

#[test]
fn system_columns_have_their_types_without_a_hint() {
    let csv = "id,metaxy_data_version,metaxy_created_at\n1,123,2024-05-01T12:00:00.000001+02:00\n";
    let batch = read(Format::Csv, csv).unwrap();
    assert_eq!(type_of(&batch, "metaxy_data_version"), DataType::Utf8);
    assert_eq!(type_of(&batch, "metaxy_created_at"), utc());
    let times = batch
        .column(2)
        .as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(times.value(0), 1_714_557_600_000_001);
}

#[test]
fn hints_win_and_misfits_name_row_and_column() {
    let options = hint(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("n", DataType::Int32, true),
        Field::new("at", utc(), true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new(
            "k",
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            true,
        ),
        Field::new("b", DataType::Binary, true),
        Field::new("day", DataType::Date32, true),
    ]);
    let good = r#"{"id":"a","n":2.0,"at":"2024-05-01T00:00:00Z","d":1.25,"k":"x","b":"00ff","day":"2024-05-01"}"#;
    let batch = read_as(Format::Ndjson, good, &options).unwrap();
    assert_eq!(column(&batch, "n"), some(&["2"]));
    assert_eq!(column(&batch, "d"), some(&["1.25"]));
    assert_eq!(column(&batch, "k"), some(&["x"]));
    assert_eq!(
        batch
            .column_by_name("b")
            .unwrap()
            .as_binary::<i32>()
            .value(0),
        [0, 255]
    );
    assert_eq!(type_of(&batch, "at"), utc());
    assert!(matches!(type_of(&batch, "k"), DataType::Dictionary(..)));

    for bad in [
        r#"{"n":1.5}"#,
        r#"{"n":3000000000}"#,
        r#"{"n":"7"}"#,
        r#"{"n":true}"#,
        r#"{"n":[1]}"#,
        r#"{"id":7}"#,
        r#"{"at":"yesterday"}"#,
        r#"{"at":1714521600}"#,
        r#"{"at":"2024-05-01T00:00:00.000000001Z"}"#,
        r#"{"d":1.255}"#,
        r#"{"d":123456789.25}"#,
        r#"{"b":"zz"}"#,
        r#"{"day":"2024-13-01"}"#,
    ] {
        let name = &bad[2..bad[2..].find('"').unwrap() + 2];
        let message = refusal(Format::Ndjson, &format!("{good}\n\n{bad}\n"), &options);
        assert!(
            message.contains("line 3") && message.contains(name),
            "{bad}: {message}"
        );
        let message = refusal(Format::Json, &format!("[{good},\n{bad}]"), &options);
        assert!(message.contains("item 2"), "{bad}: {message}");
    }
    for (bad, name) in [
        ("1.5", "n"),
        ("x", "n"),
        ("3000000000", "n"),
        ("soon", "at"),
        ("1.255", "d"),
        ("zz", "b"),
    ] {
        let message = refusal(Format::Csv, &format!("{name}\n{bad}\n"), &options);
        assert!(
            message.contains("row 1") && message.contains(&format!("'{name}")),
            "{bad}: {message}"
        );
    }
}

#[test]
fn types_come_from_all_rows() {
    let many = |first: &str, last: &str| {
        let mut text = format!("{first}\n");
        (0..20_000).for_each(|i| text.push_str(&format!("{{\"a\":{i}}}\n")));
        text.push_str(last);
        read(Format::Ndjson, &text)
    };
    // A key that comes late, a fraction, a number beyond 64 bits, a member.
    let batch = many("{\"a\":1}", "{\"a\":2,\"b\":3}").unwrap();
    assert_eq!((batch.num_rows(), batch.num_columns()), (20_002, 2));
    assert_eq!(column(&batch, "b").last().unwrap().as_deref(), Some("3"));
    assert_eq!(
        type_of(&many("{\"a\":null}", "{\"a\":0.5}").unwrap(), "a"),
        DataType::Float64
    );
    let big = many("{}", "{\"a\":18446744073709551616}").unwrap();
    assert_eq!(type_of(&big, "a"), DataType::Decimal128(20, 0));
    let batch = many("{\"m\":{\"x\":1}}", "{\"m\":{\"y\":1}}").unwrap();
    assert_eq!(
        batch
            .column_by_name("m")
            .unwrap()
            .as_struct()
            .column_names(),
        ["x", "y"]
    );
    let message = refusal(
        Format::Ndjson,
        "{\"a\":{\"x\":1}}\n{\"a\":{\"x\":\"1\"}}\n",
        &ReadOptions::default(),
    );
    assert!(message.contains("line 2, column 'a.x'"), "{message}");
    // A later row may lack keys.
    let batch = read(Format::Ndjson, "{\"a\":1,\"b\":2}\n{\"a\":3}\n").unwrap();
    assert_eq!(column(&batch, "b"), [Some("2".into()), None]);
}

#[test]
fn members_of_known_structs_grow() {
    let point = |members: &[&str]| {
        let fields = members
            .iter()
            .map(|member| Field::new(*member, DataType::Float64, true));
        DataType::Struct(fields.collect())
    };
    let options = hint(vec![
        Field::new("x", point(&["lat", "lon"]), true),
        Field::new("l", DataType::new_list(point(&["lat"]), true), true),
    ]);
    for (format, text) in [
        (
            Format::Ndjson,
            "{\"x\":{\"alt\":\"9m\",\"lon\":1},\"l\":[{\"lon\":2}]}",
        ),
        (
            Format::Csv,
            "x,l\n\"{\"\"alt\"\":\"\"9m\"\",\"\"lon\"\":1}\",\"[{\"\"lon\"\":2}]\"\n",
        ),
    ] {
        let batch = read_as(format, text, &options).unwrap();
        let x = batch.column_by_name("x").unwrap().as_struct();
        assert_eq!(x.column_names(), ["lat", "lon", "alt"], "{format}");
        assert_eq!(
            x.column_by_name("alt").unwrap().data_type(),
            &DataType::Utf8
        );
        assert_eq!(
            x.column_by_name("lon").unwrap().data_type(),
            &DataType::Float64
        );
        let items = batch
            .column_by_name("l")
            .unwrap()
            .as_list::<i32>()
            .values()
            .clone();
        assert_eq!(items.as_struct().column_names(), ["lat", "lon"]);
    }
}

#[test]
fn numbers_that_would_change_are_refused() {
    let options = hint(vec![
        Field::new("f", DataType::Float64, true),
        Field::new("g", DataType::Float32, true),
        Field::new("t", DataType::Time64(TimeUnit::Microsecond), true),
        Field::new("u", DataType::Duration(TimeUnit::Millisecond), true),
    ]);
    for bad in [
        "{\"f\":9007199254740993}",
        "{\"f\":0.10000000000000000555}",
        "{\"g\":16777217}",
        "{\"f\":NaN}",
        "{\"f\":\"many\"}",
        "{\"t\":\"23:59:60\"}",
        "{\"t\":\"24:00:00\"}",
        "{\"u\":\"PT0.0001S\"}",
        "{\"x\":1e300,\"y\":[1]}\n{\"x\":9007199254740993}",
        "{\"a\":1,\"a\":2}",
    ] {
        refusal(Format::Ndjson, bad, &options);
    }
    let good = "{\"f\":\"-Infinity\",\"g\":0.1,\"t\":\"23:59:59.5\",\"u\":\"-PT1.5S\"}";
    let batch = read_as(Format::Ndjson, good, &options).unwrap();
    assert_eq!(
        type_of(&batch, "u"),
        DataType::Duration(TimeUnit::Millisecond)
    );
    // As Python writes them.
    let message = refusal(Format::Ndjson, "{\"f\": NaN}", &options);
    assert!(
        message.contains("line 1") && message.contains("NaN") && message.contains("null"),
        "{message}"
    );
    let euros = hint(vec![Field::new("d", DataType::Decimal128(10, 2), true)]);
    let message = refusal(Format::Csv, "d\n1.5 EUR\n", &euros);
    assert!(
        message.contains("row 1") && message.contains("currency"),
        "{message}"
    );
}

#[test]
fn broken_json_says_where() {
    for (format, text, part) in [
        (Format::Ndjson, "{\"a\":1}\n{\"a\":\n", "line 2"),
        (Format::Ndjson, "[{\"a\":1}]", "--samples-format json"),
        (Format::Ndjson, "7", "no JSON object"),
        (
            Format::Json,
            "{\"a\":1}\n{\"a\":2}",
            "--samples-format ndjson",
        ),
        (Format::Json, "[{\"a\":1}", "not closed"),
        (Format::Json, "[{\"a\":1},]", "item 2"),
        (Format::Json, "[{\"a\":1}\n] x", "line 2"),
        (Format::Json, "[{\"a\":1} {\"a\":2}]", "item 1"),
        (Format::Json, "", "[]"),
        (Format::Json, "PAR1", "--samples-format parquet"),
    ] {
        let message = refusal(format, text, &ReadOptions::default());
        assert!(message.contains(part), "{text}: {message}");
    }
    let deep = format!(
        "[{{\"a\":{}1{}}}]",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(refusal(Format::Json, &deep, &ReadOptions::default()).contains("recursion"));
}

#[test]
fn json_arrays_stream_over_strings_and_brackets() {
    let text = " [ {\"a\": \"x,]}\\\"[\\\\\", \"b\": [[1],[2]]}\n,\n{\"a\": \"y\", \"b\": []} ] \n";
    let batch = read(Format::Json, text).unwrap();
    assert_eq!(column(&batch, "a"), some(&["x,]}\"[\\", "y"]));
}

#[test]
fn frames_without_rows() {
    let options = hint(vec![Field::new("id", DataType::Int64, true)]);
    for (format, text) in [
        (Format::Ndjson, "\n"),
        (Format::Json, "[ ]"),
        (Format::Csv, ""),
        (Format::Tsv, "\n"),
    ] {
        let batch = read_as(format, text, &options).unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, 1), "{format}");
    }
    assert_eq!(read(Format::Json, "[]").unwrap().num_columns(), 0);
    for (format, text) in [
        (Format::Ndjson, ""),
        (Format::Csv, ""),
        (Format::Csv, "id\n"),
    ] {
        refusal(format, text, &ReadOptions::default());
    }
    assert_eq!(
        type_of(&read_as(Format::Csv, "id,x\n", &options).unwrap(), "id"),
        DataType::Int64
    );
}

#[test]
fn csv_infers_without_losing_anything() {
    let text = "i,f,b,zero,mixed,big,void,hex,q\n\
                1,1.5,true,007,1,18446744073709551615,,1234567890123456789012,\"a,\"\"b\"\"\nc\"\n\
                -2,2.0,False,1,x,1,,1,\n";
    let batch = read(Format::Csv, text).unwrap();
    for (name, data_type) in [
        ("i", DataType::Int64),
        ("f", DataType::Float64),
        ("b", DataType::Boolean),
        ("zero", DataType::Utf8),
        ("mixed", DataType::Utf8),
        ("big", DataType::UInt64),
        ("void", DataType::Null),
        ("hex", DataType::Utf8),
        ("q", DataType::Utf8),
    ] {
        assert_eq!(type_of(&batch, name), data_type, "{name}");
    }
    assert_eq!(column(&batch, "zero"), some(&["007", "1"]));
    assert_eq!(column(&batch, "q"), [Some("a,\"b\"\nc".into()), None]);
    assert_eq!(
        column(&read(Format::Tsv, "a\tb\n1\tx y\n").unwrap(), "b"),
        some(&["x y"])
    );
}

#[test]
fn broken_csv_says_where() {
    for (text, part) in [
        ("a,b\n1,2\n3\n", "row 2"),
        ("a,b\n1,2,3\n", "row 1"),
        ("a,a\n1,2\n", "'a' occurs twice"),
        ("a,\n1,2\n", "column 2 has no name"),
    ] {
        let message = refusal(Format::Csv, text, &ReadOptions::default());
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn dialects_are_not_guessed() {
    let read_csv = |text: &str| read(Format::Csv, text).unwrap();
    // A quote inside a cell is text; line ends are those of any system.
    let batch = read_csv("id,5\" disk\r\n1,\"a,\"\"b\"\"\r\nc\"\r2,x\"y\"\n");
    assert_eq!(
        column(&batch, "5\" disk"),
        some(&["a,\"b\"\r\nc", "x\"y\""])
    );
    assert_eq!(batch.num_rows(), 2);
    for (format, text, parts) in [
        (
            Format::Csv,
            "id;x\n1;2\n",
            &["';'", "--samples-delimiter"][..],
        ),
        (Format::Csv, "id\tx\n1\t2\n", &["tab"]),
        (Format::Tsv, "id,x\n1,2\n", &["','"]),
        (
            Format::Csv,
            "id,x\n1,\"a\\\"b\"\n",
            &["row 1, column 2", "--samples-quotes"],
        ),
        (
            Format::Csv,
            "id,x\n1,\"a\n2,b\n",
            &["row 1, column 2", "never closed"],
        ),
        (
            Format::Csv,
            "id,\"x\n1,2\n",
            &["header, column 2", "never closed"],
        ),
        (Format::Csv, "id,x\n1,\"a\"b\n", &["closing quote"]),
        (Format::Csv, "\u{0}i\u{0}d", &["UTF-16"]),
    ] {
        let message = refusal(format, text, &ReadOptions::default());
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{text}: {message}"
        );
    }
    let semicolons = ReadOptions::default().with_delimiter(b';');
    assert_eq!(
        read_as(Format::Csv, "id;x\n1;2,5\n", &semicolons)
            .unwrap()
            .num_columns(),
        2
    );
    let raw = ReadOptions::default().with_quotes(false);
    let batch = read_as(Format::Csv, "id,x\n1,\"a\\\"b\"\n", &raw).unwrap();
    assert_eq!(column(&batch, "x"), some(&["\"a\\\"b\""]));
    // Blank lines are rows where there is one column.
    assert_eq!(read_csv("x\n1\n\n2").num_rows(), 3);
    assert_eq!(read_csv("x,y\n1,1\n\n2,2\n\n").num_rows(), 2);
    let latin = FrameReader::from_read(
        Cursor::new(b"x,y\n1,\xe9\n".to_vec()),
        "test",
        Format::Csv,
        &ReadOptions::default(),
    );
    assert!(latin.unwrap_err().to_string().contains("row 1"));
    // Two halves of a character are none, although they stand next to each other.
    let halves = b"x,y\n\xc3,\xa4\n".to_vec();
    let halves = FrameReader::from_read(
        Cursor::new(halves),
        "test",
        Format::Csv,
        &ReadOptions::default(),
    );
    assert!(halves.unwrap_err().to_string().contains("row 1"));
}

#[test]
fn empty_text_is_not_null() {
    let text = "a,n\n\"\",1\n,\"\"\nx,\n";
    let batch = read(Format::Csv, text).unwrap();
    assert_eq!(
        column(&batch, "a"),
        [Some(String::new()), None, Some("x".into())]
    );
    assert_eq!(column(&batch, "n"), [Some("1".into()), None, None]);
}

#[test]
fn csv_holds_by_field_columns_flattened_or_as_json() {
    let flat = format!("id,{BY_FIELD}.audio,{BY_FIELD}.frames\n1,12,\n2,,\n");
    let batch = read(Format::Csv, &flat).unwrap();
    assert_eq!(batch.num_columns(), 2);
    assert_eq!(member(&batch, "audio"), [Some("12".into()), None]);
    assert!(batch.column(1).is_null(1));
    let json = format!("id,{BY_FIELD}\n1,\"{{\"\"audio\"\":12}}\"\n2,\n");
    let batch = read(Format::Csv, &json).unwrap();
    assert_eq!(member(&batch, "audio"), [Some("12".into()), None]);
    assert!(batch.column(1).is_null(1));
    refusal(
        Format::Csv,
        &format!("id,{BY_FIELD},{BY_FIELD}.a\n1,,2\n"),
        &ReadOptions::default(),
    );
}

#[test]
fn batches_are_bounded_and_an_error_ends_the_frame() {
    let mut text = String::new();
    (0..2 * BATCH_ROWS + 5).for_each(|i| text.push_str(&format!("{{\"id\":{i}}}\n")));
    let open = |text: String| {
        FrameReader::from_read(
            Cursor::new(text.into_bytes()),
            "test",
            Format::Ndjson,
            &ReadOptions::default(),
        )
        .unwrap()
    };
    let rows: Vec<_> = open(text.clone())
        .map(|batch| batch.unwrap().num_rows())
        .collect();
    assert_eq!(rows, [BATCH_ROWS, BATCH_ROWS, 5]);
    // What cannot be read is told before the first row is given.
    text.push_str("{\n");
    let bytes = Cursor::new(text.into_bytes());
    let reader = FrameReader::from_read(bytes, "test", Format::Ndjson, &ReadOptions::default());
    assert!(
        reader
            .unwrap_err()
            .to_string()
            .contains(&format!("line {}", 2 * BATCH_ROWS + 6))
    );
    let options = hint(vec![Field::new("id", DataType::Int8, true)]);
    let bytes = Cursor::new(b"{\"id\":1}\n{\"id\":1000}\n".to_vec());
    let mut reader = FrameReader::from_read(bytes, "test", Format::Ndjson, &options).unwrap();
    assert!(reader.next().unwrap().is_err() && reader.next().is_none());
}
