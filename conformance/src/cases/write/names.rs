//! IDs and names of columns are taken as they are (§5).

use arrow::array::ArrayRef;
use metaxy_store::spec::FeatureSpec;
use metaxy_store::{ErrorKind, FieldSpec, ReadOptions};

use super::{refused_rows, visit, visits};
use crate::bed::TestBed;
use crate::bed::frames::{by_field, everything, frame, ints, read, samples, texts, with_column};
use crate::bed::graphs::{graph, key, pair};
use crate::outcome::{Outcome, check, check_eq, names};

/// Names that the library uses inside plans are refused as columns (§5).
pub async fn refuses_reserved_column_names(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "a")])?, "__mx.d0", texts(["x"]))?;
    refused_rows(&store, "a", rows, &["\"__mx.d0\"", "feature: a", "main"]).await
}

/// Two columns of one name are refused (§5).
pub async fn refuses_two_columns_of_one_name(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "a")])?;
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let mut columns: Vec<(&str, ArrayRef)> = columns
        .map(|(field, array)| (field.name().as_str(), array.clone()))
        .collect();
    columns.push(("path", texts(["x"])));
    columns.push(("path", texts(["y"])));
    refused_rows(
        &store,
        "a",
        frame(columns)?,
        &["\"path\"", "feature: a", "main"],
    )
    .await
}

/// Of a feature with two ID columns, rows are one sample if both agree (§5).
pub async fn composite_ids_identify_together(bed: &TestBed) -> Outcome {
    let store = bed.store(visits()?).await?;
    let write = async |who: &[&str], day: &[i64]| -> Outcome {
        store.write(&key("visit")?, visit(who, day)?).await?;
        Ok(())
    };
    write(&["ann", "ann", "bob"], &[1, 2, 1]).await?;
    // Texts and numbers that would be equal if joined without a separator.
    write(&["a", "a1"], &[11, 1]).await?;
    write(&["ann", "bob"], &[2, 3]).await?;
    let rows = read(&store, "visit", ReadOptions::default()).await?;
    let expected = ["a 11", "a1 1", "ann 1", "ann 2", "bob 1", "bob 3"];
    check_eq(rows.lines(&["who", "day"])?, expected, "the samples")?;
    check_eq(
        read(&store, "visit", everything()).await?.len(),
        7,
        "all rows",
    )
}

/// IDs of text are compared as they are: case, blanks, accents and characters that mean something elsewhere (§5).
pub async fn text_ids_are_taken_literally(bed: &TestBed) -> Outcome {
    let spec = FeatureSpec::new("doc", ["id"])?.with_field(FieldSpec::new("default")?);
    let store = bed.store(graph([spec])?).await?;
    let long = "x".repeat(20_000);
    let ids = [
        "",
        " ",
        "a",
        "A",
        "a ",
        " a",
        "a\t",
        "1",
        "01",
        "1.0",
        "null",
        "NULL",
        "it's",
        "say \"hi\"",
        "back\\slash",
        "%",
        "_",
        "'; DROP TABLE doc; --",
        "line\nbreak",
        "日本語",
        "é",
        "e\u{301}",
        "😀",
        "ß",
        "ss",
        &long,
    ];
    let write = async |version: &str| -> Outcome {
        let versions = vec![version; ids.len()];
        let rows = frame([
            ("id", texts(ids)),
            ("label", texts(ids)),
            (
                "metaxy_provenance_by_field",
                by_field(&[("default", &versions)])?,
            ),
        ])?;
        store.write(&key("doc")?, rows).await?;
        Ok(())
    };
    write("v1").await?;
    write("v2").await?;
    let rows = read(&store, "doc", ReadOptions::default()).await?;
    let mut expected = ids.to_vec();
    expected.sort_unstable();
    let mut found = rows.words("id")?;
    found.sort_unstable();
    check_eq(found, expected, "the samples")?;
    check_eq(rows.words("label")?, rows.words("id")?, "other columns")?;
    let versions = rows.words("metaxy_provenance_by_field.default")?;
    check(
        versions.iter().all(|version| version == "v2"),
        "an older row counts",
    )
}

/// Names of columns are just names: words of SQL, quotes, dots, blanks, other scripts (§5).
pub async fn column_names_are_taken_literally(bed: &TestBed) -> Outcome {
    let spec = FeatureSpec::new("odd", ["group by"])?.with_field(FieldSpec::new("default")?);
    let store = bed.store(graph([spec])?).await?;
    let odd = [
        "select",
        "order",
        "table",
        "true",
        "rowid",
        "say \"hi\"",
        "it's",
        "a.b",
        "two words",
        "semi;colon",
        "日本",
        "[x]",
        "`y`",
        "$1",
        "?",
        ":p",
        "%s",
        "back\\slash",
    ];
    let mut columns = vec![
        ("group by", ints([1, 2])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &["a", "b"])])?,
        ),
    ];
    let values: Vec<[String; 2]> = odd
        .iter()
        .map(|name| [format!("{name}: one"), format!("{name}: two")])
        .collect();
    for (name, values) in odd.iter().zip(&values) {
        columns.push((name, texts(values.iter().map(String::as_str))));
    }
    let rows = frame(columns)?;
    store.write(&key("odd")?, rows.clone()).await?;
    store.write(&key("odd")?, rows).await?;
    for (name, values) in odd.iter().zip(&values) {
        let options = ReadOptions::default().with_columns([*name]).with_filters([
            metaxy_store::col(*name).eq(values[1].as_str()),
            metaxy_store::col("group by").gt(0),
        ]);
        let rows = read(&store, "odd", options).await?;
        check_eq(rows.columns(), [*name], "the columns")?;
        check_eq(rows.words(name)?, [values[1].as_str()], name)?;
    }
    Ok(())
}

/// Columns whose names differ by case only are two columns, or the write is refused with both names (§5).
pub async fn names_that_differ_by_case_are_told_apart_or_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "a")])?, "path", texts(["small"]))?;
    let rows = with_column(&rows, "Path", texts(["capital"]))?;
    match store.write(&key("a")?, rows).await {
        Ok(_) => {
            let rows = read(&store, "a", ReadOptions::default()).await?;
            check_eq(rows.lines(&["path", "Path"])?, ["small capital"], "both")
        }
        Err(error) => {
            let kinds = [ErrorKind::InvalidFrame, ErrorKind::Unsupported];
            check(
                kinds.contains(&error.kind()),
                format!("refused as {}", error.kind()),
            )?;
            names(&error, &["\"path\"", "\"Path\"", "feature: a", "main"])?;
            let written = store.has_feature(&key("a")?, false).await?;
            check(
                !written,
                "the write was refused, and yet the feature is there",
            )
        }
    }
}

/// Columns whose long names differ only at their end are two columns, or the write is refused with one of the names (§5).
pub async fn long_column_names_are_kept_apart_or_refused(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let [first, second] = ["x", "y"].map(|end| format!("{}{end}", "n".repeat(69)));
    let rows = with_column(&samples(&[(1, "a")])?, &first, texts(["one"]))?;
    let rows = with_column(&rows, &second, texts(["two"]))?;
    match store.write(&key("a")?, rows).await {
        Ok(_) => {
            let rows = read(&store, "a", ReadOptions::default()).await?;
            check_eq(rows.lines(&[&first, &second])?, ["one two"], "both")
        }
        Err(error) => {
            let kinds = [ErrorKind::InvalidFrame, ErrorKind::Unsupported];
            check(
                kinds.contains(&error.kind()),
                format!("refused as {}", error.kind()),
            )?;
            names(&error, &["feature: a", "main"])?;
            if names(&error, &[&first]).is_err() {
                names(&error, &[&second])?;
            }
            let written = store.has_feature(&key("a")?, false).await?;
            check(
                !written,
                "the write was refused, and yet the feature is there",
            )
        }
    }
}
