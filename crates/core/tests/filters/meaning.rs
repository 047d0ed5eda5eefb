//! Binding, and what filters mean.

use arrow::datatypes::{DataType, Field, Schema};
use metaxy_core::expr::{CompareOp, Decimal, Expr, Pattern, Value, col, lit};

use crate::table::{NOON, batch, marks, refused, values};

#[test]
fn numbers_compare_exactly() {
    for (filter, expected) in [
        ("i > 1.5", "FFTTT-"),
        ("i = 2.0", "FFTFF-"),
        ("i = 2.5", "FFFFF-"),
        ("i <> 2.5", "TTTTT-"),
        ("i >= 2e0", "FFTTT-"),
        ("i >= 9223372036854775807", "FFFFT-"),
        ("i < 9223372036854775808", "TTTTT-"),
        ("i = 99999999999999999999", "FFFFF-"),
        (
            "i > -99999999999999999999999999999999999999999999999999",
            "TTTTT-",
        ),
        ("NOT i >= 1e300", "TTTTT-"),
        ("i IN (2, 2.5, 99999999999999999999)", "FFTFF-"),
        ("i NOT IN (2.5)", "TTTTT-"),
        ("i IN (2.5)", "FFFFF-"),
        ("tiny <= 1000", "TTTTT-"),
        ("tiny > -128.5", "TTTTT-"),
        ("u = 18446744073709551615", "FFFFT-"),
        ("u > -1", "TTTTT-"),
        ("u > 9223372036854775807", "FFFTT-"),
        // NaN is greater than every number; 2^53 + 1 has no double.
        ("f > 9007199254740992", "FFFFT-"),
        ("f >= 9007199254740993", "FFFFT-"),
        ("f < 9007199254740993", "TTTTF-"),
        ("f = 9007199254740993", "FFFFF-"),
        ("f = 0", "FTFFF-"),
        ("f = 0.1", "FFTFF-"),
        ("f IN (0.1, 0, 9007199254740993)", "FTTFF-"),
        ("f = f", "TTTTT-"),
        ("i > f", "TFTTF-"),
        ("i = f", "FFFFF-"),
        ("f32 = 0.1", "FFTFF-"),
        ("f32 >= 16777217", "FFFFT-"),
        ("price > 1.495", "FFFTT-"),
        ("price >= 1.5", "FFFTT-"),
        ("price = 1e-1", "FFTFF-"),
        ("price < 1000", "TTTTT-"),
        ("price = 0.101", "FFFFF-"),
        ("price < tiny", "FFFFF-"),
        ("price > tiny", "TTTTT-"),
        ("price = f32", "TTFFF-"),
    ] {
        assert_eq!(values(filter), expected, "{filter}");
    }
}

#[test]
fn logic_has_three_values() {
    for (filter, expected) in [
        ("i < NULL", "------"),
        ("i = NULL", "FFFFFT"),
        ("NULL != i", "TTTTTF"),
        ("i IS NOT NULL", "TTTTTF"),
        ("by_field IS NULL", "FFFFFT"),
        ("by_field != NULL", "TTTTTF"),
        ("b", "TFTFT-"),
        ("NOT b", "FTFTF-"),
        ("! b", "FTFTF-"),
        ("b IS TRUE", "TFTFTF"),
        ("b IS NOT TRUE", "FTFTFT"),
        ("b IS FALSE", "FTFTFF"),
        ("b IS NOT FALSE", "TFTFTT"),
        ("b = TRUE", "TFTFT-"),
        ("b < TRUE", "FTFTF-"),
        ("b OR NULL", "T-T-T-"),
        ("b AND NULL", "-F-F--"),
        ("b OR 1 = 1", "TTTTTT"),
        ("b AND '1' = '1'", "TFTFT-"),
        ("b OR NULL IS NULL", "TTTTTT"),
        ("i IN (2, NULL)", "--T---"),
        ("i NOT IN (2, NULL)", "--F---"),
        ("s IN (NULL)", "------"),
        ("i IN ()", "FFFFFF"),
        ("i NOT IN ()", "TTTTTT"),
        ("nothing = 1 OR b", "T-T-T-"),
        ("nothing IS NULL", "TTTTTT"),
        ("NOT i = 2 AND b", "TFFFT-"),
        ("b OR i = 2 AND FALSE", "TFTFT-"),
        ("(b OR i = 2) AND FALSE", "FFFFFF"),
    ] {
        assert_eq!(values(filter), expected, "{filter}");
    }
}

#[test]
fn text_compares_by_code_points() {
    for column in ["s", "view", "dict"] {
        for (test, expected) in [
            ("< 'a'", "FTFTF-"),
            (">= 'a'", "TFTFT-"),
            ("= 'it''s'", "FFFFT-"),
            ("= ''", "FFFTF-"),
            ("IN ('a', 'é')", "TFTFF-"),
            ("= s", "TTTTT-"),
        ] {
            let filter = format!("{column} {test}");
            assert_eq!(values(&filter), expected, "{filter}");
        }
    }
    assert_eq!(values(r"s = 'a\'"), "FFFFF-");
}

#[test]
fn text_beside_dates_and_times_is_one() {
    for (filter, expected) in [
        ("day = '2024-01-31'", "FFFTF-"),
        ("day > '2024-01-31'", "FFFFT-"),
        ("day > '2024-01-31 00:00:00.000001'", "FFFFT-"),
        ("day >= '2024-01-31T23:59'", "FFFFT-"),
        ("day <= '2024-01-31T23:59'", "TTTTF-"),
        ("day < '1970-01-01'", "TFFFF-"),
        ("day IN ('1970-01-01', '2024-02-01 00:00')", "FTFFT-"),
        ("at = '2024-01-31 12:00:00'", "FFFTF-"),
        ("at = '2024-01-31T14:00:00+02:00'", "FFFTF-"),
        ("at = '2024-01-31 07:30-0430'", "FFFTF-"),
        ("at > '2024-01-31 12:00:00Z'", "FFFFT-"),
        ("at < '2024-01-31 12:00:00.000001'", "TTTTF-"),
        ("at >= '2024-01-31'", "FFTTT-"),
        ("'1970-01-01' > at", "TFFFF-"),
        ("at_ms = '2024-01-31 12:00:00'", "FFFTF-"),
        ("at_ms = at", "FTFTF-"),
        ("at < day", "FFFFT-"),
    ] {
        assert_eq!(values(filter), expected, "{filter}");
    }
    for bad in [
        "'yesterday'",
        "'2024-02-30'",
        "'2024-1-31'",
        "'2024-01-31 25:00'",
        "'2024-01-31 12'",
        "''",
        "'2024-01-31 12:00:00.0000001'",
        "'2024-01-31 12:00 +25'",
        "'2024-01-31Z'",
        "'é2024-01-3'",
        // In UTC these are of the years -1 and 10000.
        "'0000-01-01 00:00:00+23:59'",
        "'9999-12-31 23:59:59-00:01'",
    ] {
        let message = refused(&format!("at = {bad}"));
        assert!(
            message.contains("timestamps") && message.contains("'2024-01-31'"),
            "{message}"
        );
    }
    refused("day = 19753");
}

#[test]
fn types_that_do_not_fit_are_named() {
    for (filter, names) in [
        ("b = 1", ["\"b\"", "booleans", "integer 1", "TRUE"]),
        ("b = 'true'", ["\"b\"", "booleans", "text 'true'", "TRUE"]),
        (
            "i = TRUE",
            ["\"i\"", "integers (Int64)", "boolean TRUE", "number"],
        ),
        (
            "i = '2'",
            ["\"i\"", "integers", "text '2'", "write 2 without"],
        ),
        ("s = 2", ["\"s\"", "text (Utf8)", "integer 2", "write '2'"]),
        (
            "i IN ('1', 2)",
            ["\"i\"", "integers", "text '1'", "without quotes"],
        ),
        ("i", ["\"i\"", "integers", "condition", "IS NOT NULL"]),
        ("b AND i", ["\"i\"", "integers", "condition", "boolean"]),
        ("i IS TRUE", ["\"i\"", "integers", "boolean TRUE", "number"]),
        ("s = i", ["\"s\"", "text", "\"i\"", "integers"]),
        (
            "by_field = 'x'",
            ["\"by_field\"", "Struct", "text 'x'", "IS NULL"],
        ),
        (
            "b OR 1",
            ["integer 1", "not a condition", "compare", "column"],
        ),
        (
            "b OR 'x' = 1",
            ["text 'x'", "integer 1", "compares", "filter"],
        ),
        (
            "I = 1",
            ["\"I\"", "does not exist", "\"i\"", "case-sensitive"],
        ),
        (
            "prise = 1",
            ["\"prise\"", "does not exist", "did you mean", "price"],
        ),
        (
            "s = \"zzz\"",
            [
                "\"zzz\"",
                "does not exist",
                "single quotes",
                "the columns are",
            ],
        ),
    ] {
        let message = refused(filter);
        for name in names {
            assert!(message.contains(name), "{filter}: {message} lacks {name}");
        }
    }
    let not_a_number = col("f").gt(f64::NAN).bind(&batch().schema()).unwrap_err();
    assert!(not_a_number.hint().unwrap().contains("finite"));
}

#[test]
fn patterns_are_text_with_wildcards() {
    for column in ["s", "view", "dict"] {
        for (test, expected) in [
            ("LIKE 'a'", "TFFFF-"),
            ("LIKE '%'", "TTTTT-"),
            ("LIKE '_'", "TTTFF-"),
            ("LIKE 'b'", "FFFFF-"),
            ("ILIKE 'b'", "FTFFF-"),
            ("ILIKE 'É'", "FFFFF-"),
            ("LIKE 'it''%'", "FFFFT-"),
            ("NOT LIKE '%t%'", "TTTTF-"),
            ("LIKE ''", "FFFTF-"),
            ("LIKE 'it_s'", "FFFFT-"),
            ("LIKE 'it!_s' ESCAPE '!'", "FFFFF-"),
        ] {
            let filter = format!("{column} {test}");
            assert_eq!(values(&filter), expected, "{filter}");
        }
    }
    assert_eq!(values("nothing LIKE '%' OR b"), "T-T-T-");
    for (filter, word) in [
        ("i LIKE '1%'", "integers (Int64)"),
        ("at LIKE '2024%'", "timestamps"),
        ("b ILIKE 't%'", "booleans"),
        ("by_field LIKE 'x'", "Struct"),
    ] {
        let message = refused(filter);
        assert!(
            message.contains(word) && message.contains("pattern"),
            "{message}"
        );
    }
}

/// Against the meaning of patterns as it is told: every way to share out the text.
#[test]
fn patterns_match_as_they_are_told() {
    fn told(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|end| told(rest, &text[end..])),
            [place, rest @ ..] => match text {
                [c, after @ ..] => (*place == '_' || place == c) && told(rest, after),
                [] => false,
            },
        }
    }
    let words = |letters: &[char], length: u32| -> Vec<Vec<char>> {
        let all = (0..=length).flat_map(|n| {
            (0..letters.len().pow(n)).map(move |mut word| {
                (0..n)
                    .map(|_| {
                        let letter = word % letters.len();
                        word /= letters.len();
                        letter
                    })
                    .collect::<Vec<_>>()
            })
        });
        all.map(|word| word.into_iter().map(|at| letters[at]).collect())
            .collect()
    };
    let texts = words(&['a', 'é', '日'], 4);
    for pattern in words(&['a', 'é', '%', '_'], 4) {
        let written = Pattern::new(pattern.iter().collect::<String>());
        let escaped = Pattern::new(written.escaped()).with_escape('!').unwrap();
        for text in &texts {
            let expected = told(&pattern, text);
            let text: String = text.iter().collect();
            assert_eq!(written.matches(&text), expected, "{written} and {text}");
            assert_eq!(escaped.matches(&text), expected, "{escaped} and {text}");
            assert!(
                !expected || text.starts_with(&written.prefix()),
                "{written}"
            );
        }
    }
    // Long ones take their time once for each `%`, not for every way to share it out.
    let text = "a".repeat(2_000);
    assert!(!Pattern::new(format!("{}b", "%a".repeat(200))).matches(&text));
}

/// Moments between two values of a column, or beyond all of them.
#[test]
fn literals_are_moved_to_the_units_of_times() {
    use arrow::datatypes::TimeUnit;
    let fields = [
        ("s", DataType::Timestamp(TimeUnit::Second, None)),
        (
            "ms",
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ),
        ("ns", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("d64", DataType::Date64),
    ];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    let schema = Schema::new(fields.to_vec());
    for (filter, bound) in [
        (
            "s > '2024-01-31 12:00:00.5'",
            "s > '2024-01-31 12:00:00.000000'",
        ),
        (
            "s < '1969-12-31 23:59:59.5'",
            "s <= '1969-12-31 23:59:59.000000'",
        ),
        ("s = '2024-01-31 12:00:00.5'", "s <> s"),
        ("ms <> '2024-01-31 12:00:00.0005'", "ms = ms"),
        (
            "ms >= '2024-01-31 12:00:00.5'",
            "ms >= '2024-01-31 12:00:00.500000'",
        ),
        ("ns < '9999-12-31'", "ns = ns"),
        ("ns > '9999-12-31'", "ns <> ns"),
        ("ns > '0001-01-01'", "ns = ns"),
        (
            "d64 < '2024-01-31 12:00:00'",
            "d64 < '2024-01-31 12:00:00.000000'",
        ),
    ] {
        let found = Expr::parse(filter).unwrap().bind(&schema).unwrap();
        assert_eq!(found.to_string(), bound, "{filter}");
    }
}

/// Binding moves literals to the column's grid; the meaning must stay that of the exact numbers.
#[test]
fn binding_keeps_the_meaning() {
    let batch = batch();
    let near = |value: i128| [value - 1, value, value + 1].map(Value::Int);
    let mut literals: Vec<Value> = [
        0,
        2,
        127,
        -128,
        1 << 24,
        1 << 53,
        -(1 << 53),
        1 << 63,
        -(1 << 63),
        1 << 64,
    ]
    .into_iter()
    .flat_map(near)
    .collect();
    literals.extend([i128::MAX, i128::MIN].map(Value::Int));
    for (unscaled, scale) in [
        (15, 1),
        (-15, 1),
        (5, 38),
        (-5, 38),
        (99_999, 2),
        (999_991, 3),
        (i128::MAX, 0),
        (i128::MIN, 0),
        (i128::MAX, 38),
    ] {
        literals.push(Decimal::new(unscaled, scale).unwrap().into());
    }
    let floats = [
        0.5, -0.5, 1e18, 9.3e18, -9.3e18, 1e300, -1e300, 5e-324, 127.0, 128.5,
    ]
    .map(Value::Float);
    for (columns, literals) in [
        (
            &["i", "tiny", "u", "f"][..],
            [&literals[..], &floats[..]].concat(),
        ),
        (&["price"], literals.clone()),
        (
            &["f32"],
            literals
                .into_iter()
                .filter(|value| matches!(value, Value::Int(_)))
                .collect(),
        ),
    ] {
        for column in columns {
            for literal in &literals {
                for op in [
                    CompareOp::Eq,
                    CompareOp::Ne,
                    CompareOp::Lt,
                    CompareOp::Le,
                    CompareOp::Gt,
                    CompareOp::Ge,
                ] {
                    let plain = Expr::Compare {
                        left: col(*column),
                        op,
                        right: lit(literal.clone()),
                    };
                    let bound = plain.bind(&batch.schema()).unwrap();
                    let exact = marks(&plain.evaluate(&batch).unwrap());
                    assert_eq!(
                        marks(&bound.evaluate(&batch).unwrap()),
                        exact,
                        "{plain} became {bound}"
                    );
                    assert_eq!(bound.bind(&batch.schema()).unwrap(), bound);
                    let flipped = Expr::Compare {
                        left: lit(literal.clone()),
                        op: op.flipped(),
                        right: col(*column),
                    };
                    assert_eq!(flipped.bind(&batch.schema()).unwrap(), bound);
                }
                let within = col(*column).is_in([literal.clone(), Value::Null]);
                let equal = col(*column).eq(literal.clone()).or(lit(Value::Null));
                assert_eq!(
                    marks(
                        &within
                            .bind(&batch.schema())
                            .unwrap()
                            .evaluate(&batch)
                            .unwrap()
                    ),
                    marks(&equal.evaluate(&batch).unwrap()),
                    "{within}"
                );
            }
        }
    }
}

#[test]
fn dates_print_as_text_that_binds_to_them() {
    let schema = batch().schema();
    for filter in [
        col("day").ge(Value::Date(19_753)),
        col("at").lt(Value::Timestamp(NOON + 1)),
        col("at").is_in([Value::Timestamp(-1), Value::Null]),
        Expr::parse("day < '0000-01-01 00:00:00-00:01' AND at > '9999-12-31 23:59:59+23:59'")
            .unwrap(),
    ] {
        let bound = filter.bind(&schema).unwrap();
        assert_eq!(
            Expr::parse(&filter.to_string())
                .unwrap()
                .bind(&schema)
                .unwrap(),
            bound
        );
        assert_eq!(
            Expr::parse(&bound.to_string())
                .unwrap()
                .bind(&schema)
                .unwrap(),
            bound
        );
    }
}

#[test]
fn a_filter_without_columns_does_not_bind() {
    let schema = Schema::new(vec![Field::new("i", DataType::Int64, true)]);
    for filter in [lit(true).into(), lit(1).eq(1), Expr::And(Vec::new())] {
        assert!(
            filter
                .bind(&schema)
                .unwrap_err()
                .message()
                .contains("names no column")
        );
    }
}
