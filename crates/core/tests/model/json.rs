use metaxy_core::json::{Json, MAX_DEPTH};

#[test]
fn floats_are_written_as_python_does() {
    let cases = [
        ("0.1", "0.1"),
        ("1.0", "1.0"),
        ("1e15", "1000000000000000.0"),
        ("1e16", "1e+16"),
        ("123456789012345678.0", "1.2345678901234568e+17"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("2.5e-300", "2.5e-300"),
        ("1E100", "1e+100"),
        ("-0.0", "-0.0"),
        ("5e-324", "5e-324"),
        ("9007199254740993.0", "9007199254740992.0"),
    ];
    for (text, expected) in cases {
        assert_eq!(
            Json::parse(text).unwrap().to_python_dumps(false),
            expected,
            "{text}"
        );
    }
}

#[test]
fn integers_are_exact_whatever_their_size() {
    let big = "-123456789012345678901234567890";
    let value = Json::parse(&format!(
        r#"{{"a": [{big}, -0, 18446744073709551615, 9007199254740993]}}"#
    ))
    .unwrap();
    let expected = format!(r#"{{"a":[{big},0,18446744073709551615,9007199254740993]}}"#);
    assert_eq!(value.to_compact(), expected);
    assert_eq!(serde_json::to_string(&value).unwrap(), expected);
    assert_eq!(Json::parse(&expected).unwrap(), value);
}

#[test]
fn everything_but_printable_ascii_is_escaped() {
    let value = Json::parse(
        "\"\\u00e9 \\ud83d\\ude00 \\u007f \\u2028 \\b\\f\\n\\r\\t\\u0001 \\\" \\\\ /\"",
    )
    .unwrap();
    assert_eq!(
        value.to_python_dumps(false),
        r#""\u00e9 \ud83d\ude00 \u007f \u2028 \b\f\n\r\t\u0001 \" \\ /""#
    );
    assert_eq!(Json::parse(&value.to_compact()).unwrap(), value);
    assert!(value.to_compact().contains("é 😀"));
}

#[test]
fn keys_are_sorted_by_code_point_at_every_level() {
    let value = Json::parse(
        r#"{"b": {"😀": 1, "\uffee": 2, "é": 3}, "a": null, "b": {"z": 1, "B": 2}, "Z": true}"#,
    )
    .unwrap();
    assert_eq!(
        value.to_python_dumps(true),
        r#"{"Z": true, "a": null, "b": {"B": 2, "z": 1}}"#
    );
    assert_eq!(
        value.to_python_dumps(false),
        r#"{"b": {"z": 1, "B": 2}, "a": null, "Z": true}"#
    );
    let astral = Json::parse(r#"{"😀": 1, "\uffee": 2}"#).unwrap();
    assert_eq!(
        astral.to_python_dumps(true),
        r#"{"\uffee": 2, "\ud83d\ude00": 1}"#
    );
}

#[test]
fn what_is_not_json_is_an_error() {
    for bad in [
        "",
        "{",
        "[1,]",
        "01",
        "+1",
        "NaN",
        "1e400",
        "\"\\ud800\"",
        "{1: 2}",
        "nul",
        "1 2",
        "\"a\nb\"",
    ] {
        assert!(Json::parse(bad).is_err(), "{bad:?}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(Json::parse(&nested(MAX_DEPTH + 1)).is_err());
    assert!(Json::parse(&nested(200_000)).is_err());
    assert!(Json::parse(&"{\"a\":".repeat(200_000)).is_err());
}

#[test]
fn converts_from_and_to_other_values() {
    let table: toml::Table = "a = 1\nb = [1.5, true]\nc = 2024-05-01\nd = { e = \"x\" }"
        .parse()
        .unwrap();
    let value = Json::from_toml(toml::Value::Table(table)).unwrap();
    assert_eq!(
        value.to_python_dumps(true),
        r#"{"a": 1, "b": [1.5, true], "c": "2024-05-01", "d": {"e": "x"}}"#
    );
    assert!(Json::from_toml(toml::Value::Float(f64::NAN)).is_err());

    let text = r#"{"a":[1,-2.0,18446744073709551615,null,"x"]}"#;
    let other: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(Json::from(other.clone()), Json::parse(text).unwrap());
    assert_eq!(serde_json::Value::from(Json::parse(text).unwrap()), other);
}
