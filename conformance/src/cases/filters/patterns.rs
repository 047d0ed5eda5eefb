//! Patterns of text: `LIKE` and `ILIKE` (`semantics.md` §10, beyond the reference).

use arrow::compute::cast;
use arrow::datatypes::DataType;
use metaxy_store::expr::Pattern;
use metaxy_store::{DeleteOptions, ErrorKind, Expr, ReadOptions, col};

use crate::bed::TestBed;
use crate::bed::frames::{ints, read, samples, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, check_eq, names, refused};

const TEXTS: [Option<&str>; 12] = [
    Some("video/a.mp4"),
    Some("VIDEO/A.MP4"),
    Some("100%"),
    Some("a_b"),
    Some("axb"),
    Some("é"),
    Some("É"),
    Some("日本語"),
    Some("a\\b"),
    Some("two\nlines"),
    Some(""),
    None,
];

/// `%` is any characters, `_` is one, whatever it is; case counts, and a backslash means nothing.
pub async fn like_patterns_of_text(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows: Vec<(i64, &str)> = (1..).zip(["x"; 12]).collect();
    let rows = with_column(&samples(&rows)?, "name", texts(TEXTS))?;
    let rows = with_column(&rows, "size", ints(1..=12))?;
    store.write(&key("a")?, rows).await?;
    super::passing(
        &store,
        &[
            ("name LIKE 'video/%'", &[1]),
            ("name LIKE '%.mp4'", &[1]),
            ("name LIKE 'video/a.mp4'", &[1]),
            ("name LIKE 'VIDEO%'", &[2]),
            ("name LIKE '%/%.%4'", &[1, 2]),
            ("name LIKE 'a_b'", &[4, 5, 9]),
            ("name LIKE 'a!_b' ESCAPE '!'", &[4]),
            ("name LIKE 'a\\b'", &[9]),
            ("name LIKE 'a\\_b'", &[]),
            ("name LIKE '%!%' ESCAPE '!'", &[3]),
            ("name LIKE '_'", &[6, 7]),
            ("name LIKE '___'", &[4, 5, 8, 9]),
            ("name LIKE '日%'", &[8]),
            ("name LIKE 'two%lines'", &[10]),
            ("name LIKE 'two_lines'", &[10]),
            ("name LIKE ''", &[11]),
            ("name LIKE '%'", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            ("name NOT LIKE '%a%'", &[2, 3, 6, 7, 8, 10, 11]),
            ("NOT name LIKE '%a%'", &[2, 3, 6, 7, 8, 10, 11]),
            ("name LIKE '%b' AND size > 4", &[5, 9]),
            ("name LIKE 'x%' OR name IS NULL", &[12]),
        ],
    )
    .await
}

/// Without regard to case, the letters A to Z are a to z, and no others: `É` is not `é`.
pub async fn like_patterns_of_text_without_regard_to_case(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows: Vec<(i64, &str)> = (1..).zip(["x"; 12]).collect();
    let rows = with_column(&samples(&rows)?, "name", texts(TEXTS))?;
    store.write(&key("a")?, rows).await?;
    super::passing(
        &store,
        &[
            ("name ILIKE 'Video/%'", &[1, 2]),
            ("name ILIKE '%.mP_'", &[1, 2]),
            ("name ILIKE 'A!_B' ESCAPE '!'", &[4]),
            ("name ILIKE 'A__'", &[4, 5, 9]),
            ("name ILIKE 'é'", &[6]),
            ("name ILIKE 'É'", &[7]),
            ("name ILIKE 'TWO%'", &[10]),
            ("name NOT ILIKE '%A%'", &[3, 6, 7, 8, 10, 11]),
        ],
    )
    .await?;
    // What is deleted is what is read.
    let gone = DeleteOptions::soft().with_filters([Expr::parse("name ILIKE 'VIDEO%'")?]);
    check_eq(store.delete(&key("a")?, gone).await?, 2, "deleted")
}

/// However text is laid out, and whatever a pattern holds, what passes is what [`Expr::evaluate`] says.
pub async fn like_patterns_as_defined(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let ids: Vec<(i64, &str)> = (1..).zip(["x"; 12]).collect();
    let mut rows = samples(&ids)?;
    let words = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for (name, data_type) in [
        ("utf8", DataType::Utf8),
        ("large", DataType::LargeUtf8),
        ("view", DataType::Utf8View),
        ("words", words),
    ] {
        rows = with_column(&rows, name, cast(&texts(TEXTS), &data_type)?)?;
    }
    store.write(&key("a")?, rows).await?;
    let all = read(&store, "a", ReadOptions::default()).await?;
    let escaped = Pattern::new("%!_%").with_escape('!')?;
    // How text is kept and what a pattern means have nothing to do with each other.
    let patterns = [
        "a%", "%a%b%", "A_B", "é%", "%", "_", "__", "%a", "%!%", "100%%", "'%", "\\%", "%\\%",
        "%\n%", "[a]%", "*", "?", "%%%_%", "a%b%c",
    ];
    for (name, patterns) in [
        ("utf8", patterns.as_slice()),
        ("large", &patterns[..4]),
        ("view", &patterns[..4]),
        ("words", &patterns[..4]),
    ] {
        let patterns = patterns.iter().map(|pattern| Pattern::new(*pattern));
        for pattern in patterns.chain([escaped.clone()]) {
            for filter in [
                col(name).like(pattern.clone()),
                col(name).not_like(pattern.clone()),
                col(name).ilike(pattern.clone()),
                col(name).not_ilike(pattern),
            ] {
                let what = filter.to_string();
                let bound = filter.bind(&all.batch().schema())?;
                let passes = bound.evaluate(all.batch())?;
                let expected = (1..).zip(passes.iter()).filter(|(_, p)| *p == Some(true));
                let expected: Vec<i64> = expected.map(|(id, _)| id).collect();
                let options = ReadOptions::default().with_filters([filter]);
                check_eq(read(&store, "a", options).await?.ids()?, expected, what)?;
            }
        }
    }
    Ok(())
}

/// Only text has patterns: of other columns they are refused, with the column and what it holds.
pub async fn patterns_of_other_columns_are_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "x")])?, "size", ints([1]))?;
    store.write(&key("a")?, rows).await?;
    for (filter, column) in [
        ("size LIKE '1%'", "size"),
        ("metaxy_updated_at ILIKE '2024%'", "metaxy_updated_at"),
        (
            "metaxy_provenance_by_field NOT LIKE 'x'",
            "metaxy_provenance_by_field",
        ),
    ] {
        let options = ReadOptions::default().with_filters([Expr::parse(filter)?]);
        let read = store.read(&key("a")?, options).await;
        names(
            &refused(read, ErrorKind::InvalidFilter)?,
            &[column, "pattern", "feature: a"],
        )?;
    }
    for text in [
        "size LIKE 1",
        "size LIKE note",
        "'a' LIKE 'a'",
        "size LIKE 'a' ESCAPE 'ab'",
        "size LIKE 'a!b' ESCAPE '!'",
        "size LIKE 'a!' ESCAPE '!'",
    ] {
        let error = refused(Expr::parse(text), ErrorKind::InvalidFilter)?;
        check_eq(error.hint().is_some(), true, text)?;
    }
    Ok(())
}
