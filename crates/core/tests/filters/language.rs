//! Parsing and printing.

use metaxy_core::ErrorKind;
use metaxy_core::expr::{Decimal, Expr, Value, col, lit};

use crate::table::{batch, values};

#[test]
fn what_is_not_in_the_language_does_not_parse() {
    for filter in [
        "",
        " \n",
        "-- only a comment",
        ";",
        "i",
        "TRUE",
        "1 = 1",
        "NULL",
        "'x'",
        "NOT NULL",
        "NULL IS NULL",
        "i =",
        "= 1",
        "i 1",
        "(i = 1",
        "i = 1)",
        "()",
        "i = 1 AND",
        "OR i = 1",
        "i = 1 b",
        "i = 'a",
        "i = \"a",
        "WHERE i = 1",
        "SELECT 1",
        "SELECT * FROM t WHERE i = 1",
        "DROP TABLE t",
        "i = 1; DROP TABLE t",
        "i = 1;;",
        "i = 1; b",
        "i = 1 UNION SELECT 1",
        "i = 1 LIMIT 1",
        "i BETWEEN 1 AND 3",
        "i NOT BETWEEN 1 AND 3",
        "s SIMILAR TO 'a'",
        "s NOT SIMILAR TO 'a'",
        "s LIKE",
        "s LIKE s",
        "s LIKE NULL",
        "s LIKE 1",
        "'a' LIKE 'a'",
        "s NOT LIKE",
        "s LIKE 'a' LIKE 'a'",
        "s LIKE 'a' ESCAPE",
        "s LIKE 'a' ESCAPE ''",
        "s LIKE 'a' ESCAPE '!!'",
        "s LIKE 'a!' ESCAPE '!'",
        "s LIKE 'a!b' ESCAPE '!'",
        "s ILIKE 'a' = TRUE",
        "s ~ 'a'",
        "s !~ 'a'",
        "lower(s) = 'a'",
        "COUNT(*) > 1",
        "i + 1 = 2",
        "i % 2 = 0",
        "s || 'x' = 'ax'",
        "-i = 5",
        "i = -'a'",
        "CAST(i AS TEXT) = '2'",
        "i::int = 2",
        "CASE WHEN i = 1 THEN TRUE END",
        "EXISTS (SELECT 1)",
        "i = (SELECT 1)",
        "i IN (SELECT 1)",
        "i NOT IN (SELECT i FROM t)",
        "i IN 1",
        "i IN (f)",
        "i IN (1, 1 + 1)",
        "i IN (1,)",
        "i IN (,1)",
        "1 IN (1, 2)",
        "(i, f) = (1, 2)",
        "i = ANY(1, 2)",
        "i <=> 2",
        "i IS DISTINCT FROM 2",
        "(i = 1) = (f = 2)",
        "(i = 1) IS TRUE",
        "i = 1 IS TRUE",
        "i IS NULL IS NULL",
        "i > 1 > 0",
        "i IS 2",
        "i IS NOT 's'",
        "i IS f",
        "b IS UNKNOWN",
        "day = DATE '2024-01-01'",
        "day < CURRENT_DATE",
        "i = ?",
        "i = :p",
        "i = @p",
        "i = $1",
        "* = 1",
        "b XOR b",
        "b && b",
        "a.b.c.d.e = 1",
        "a. = 1",
        ".a = 1",
        "\"\" = 1",
        "i = --5",
        "i = NOT b",
        "b NOT = TRUE",
        "s = 'a' 'b'",
        "s = N'a'",
        "s = E'a'",
        "s = x'61'",
        "i = 0x2",
        "i = 1_000",
        "i = 2L",
        "f < 1e400",
        "f > 1e-400",
        "`i` = 1",
        "[i] = 1",
        "i = {1}",
        "i = 1 /* open",
        "i = #1",
        "i = \\1",
        "i =! 1",
        "i = 1 \u{200b}",
    ] {
        let Err(error) = Expr::parse(filter).and_then(|filter| filter.bind(&batch().schema()))
        else {
            panic!("{filter} is accepted");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidFilter);
        assert!(error.hint().is_some(), "{error}");
        // Only names that a schema could have may wait for it.
        assert!(Expr::parse(filter).is_err() || filter == "i", "{filter}");
    }
    let error = Expr::parse("size > 1\n AND LIKE 'a'").unwrap_err();
    assert!(error.message().contains("line 2, column 11"), "{error}");
}

#[test]
fn spellings() {
    for (filter, meaning) in [
        ("i == 1", col("i").eq(1)),
        ("i <> 1", col("i").ne(1)),
        ("1 <= i", lit(1).le(col("i"))),
        ("i = -(-(5))", col("i").eq(5)),
        ("i = - +5", col("i").eq(-5)),
        ("i=-5", col("i").eq(-5)),
        ("(i) = ((5))", col("i").eq(5)),
        ("i > .50", col("i").gt(Decimal::new(50, 2).unwrap())),
        ("i > 1.", col("i").gt(Decimal::new(1, 0).unwrap())),
        ("i > 5E-1", col("i").gt(0.5)),
        ("i = null", col("i").is_null()),
        ("null <> i", col("i").is_not_null()),
        ("i isnull", col("i").is_null()),
        ("i NOTNULL", col("i").is_not_null()),
        ("i NOT NULL", col("i").is_not_null()),
        ("i\u{a0}= 2", col("i").eq(2)),
        ("i = 2 -- end", col("i").eq(2)),
        ("i /* a /* b */ c */ = 2 ; -- end", col("i").eq(2)),
        ("!!b", !!col("b")),
        ("! b", !col("b")),
        ("not not b", !!col("b")),
        ("!i = 2", !col("i").eq(2)),
        ("a.b = 1", col("a.b").eq(1)),
        ("\"a\" . \"b c\" = 1", col("a.b c").eq(1)),
        ("\"x\"\"y\" = 1", col("x\"y").eq(1)),
        ("\"TRUE\" = TRUE", col("TRUE").eq(true)),
        (
            "merge = 1 AND set = 2 OR show",
            col("merge").eq(1).and(col("set").eq(2)).or(col("show")),
        ),
        ("group >= 2", col("group").ge(2)),
        ("order = user", col("order").eq(col("user"))),
        ("日本 = '日本'", col("日本").eq("日本")),
        ("s = 'x'' OR ''1''=''1'", col("s").eq("x' OR '1'='1")),
        (
            "s IN ('a', -1, NULL)",
            col("s").is_in([lit_value("a"), lit_value(-1), Value::Null]),
        ),
        ("s NOT IN (TRUE)", col("s").not_in([true])),
        ("a AND b AND c", col("a").and(col("b")).and(col("c"))),
        ("a AND (b AND c)", col("a").and(col("b").and(col("c")))),
        ("NOT a OR b AND c", (!col("a")).or(col("b").and(col("c")))),
    ] {
        assert_eq!(Expr::parse(filter).unwrap(), meaning, "{filter}");
        assert_eq!(
            Expr::parse(&meaning.to_string()).unwrap(),
            meaning,
            "{meaning}"
        );
    }
}

#[test]
fn names_can_be_listed_and_changed() {
    let filter =
        Expr::parse("a = 1 AND (\"b.c\" < d OR NOT e IN (1)) AND a IS NULL AND f").unwrap();
    assert_eq!(
        filter.columns().into_iter().collect::<Vec<_>>(),
        ["a", "b.c", "d", "e", "f"]
    );
    let names = [
        ("a".to_owned(), "A".to_owned()),
        ("d".to_owned(), "a".to_owned()),
    ];
    let renamed = filter.rename(&names.into_iter().collect());
    assert_eq!(
        renamed.to_string(),
        "A = 1 AND (\"b.c\" < a OR NOT (e IN (1))) AND A IS NULL AND f"
    );
    assert_eq!(Expr::and_all([]), None);
    assert_eq!(Expr::and_all([renamed.clone()]), Some(renamed));
}

#[test]
fn what_is_nested_as_deeply_as_may_be_is_shown_as_text_that_parses() {
    for (open, close) in [("NOT ", ""), ("!", ""), ("!!", ""), ("NOT (", ")")] {
        for condition in ["i = 1", "b", "i IN (1)", "(i = 1 OR b)", "(i) = (1)"] {
            let mut deepest = 0;
            for depth in 1..=101 {
                let text = format!("{}{condition}{}", open.repeat(depth), close.repeat(depth));
                let Ok(filter) = Expr::parse(&text) else {
                    continue;
                };
                deepest = depth;
                let shown = filter.to_string();
                let again = Expr::parse(&shown).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert_eq!(again, filter, "{text}");
            }
            assert!((49..=99).contains(&deepest), "{open}{condition}: {deepest}");
        }
    }
}

#[test]
fn depth_is_bounded_and_length_is_not() {
    let nested = |depth: usize| format!("{}i = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expr::parse(&nested(100)).is_ok());
    for deep in [
        nested(101),
        nested(100_000),
        format!("{}b", "NOT ".repeat(100_000)),
        format!("{}b", "!".repeat(100_000)),
        format!("i = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("i IN ({}1{})", "(".repeat(100_000), ")".repeat(100_000)),
        "(".repeat(100_000),
    ] {
        let error = Expr::parse(&deep).unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
    }
    assert!(Expr::parse(&format!("i = {}1", "- ".repeat(100_000))).is_ok());
    assert!(
        Expr::parse(&format!(
            "i = -{}1{}",
            "(".repeat(100_000),
            ")".repeat(100_000)
        ))
        .is_ok()
    );

    for (word, expected) in [(" AND ", "FFTFF-"), (" OR ", "FFTFF-")] {
        let long = vec!["i = 2"; 10_000].join(word);
        assert_eq!(values(&long), expected);
    }
    let list: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    assert_eq!(values(&format!("i IN ({})", list.join(", "))), "FFTFF-");

    let mut built = col("b").is_true();
    for _ in 0..150 {
        built = !built;
    }
    assert!(built.bind(&batch().schema()).is_ok());
    for _ in 0..100 {
        built = !built;
    }
    assert!(
        built
            .bind(&batch().schema())
            .unwrap_err()
            .message()
            .contains("200 levels")
    );
    assert!(built.evaluate(&batch()).is_err());
}

fn lit_value(value: impl Into<Value>) -> Value {
    value.into()
}
