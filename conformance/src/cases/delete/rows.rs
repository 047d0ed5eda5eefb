//! Samples of a table, as a backend removes them (contract of `Backend`; `semantics.md` §15).

use metaxy_store::backend::SharedBackend;
use metaxy_store::backend::append::{Append, Times};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::{Relation, Scan};
use metaxy_store::{Access, Expr, Result, col};

use crate::bed::TestBed;
use crate::bed::frames::{Table, frame, ints, texts, times};
use crate::bed::graphs::key;
use crate::outcome::{Outcome, Stop, check_eq};

/// Of rows with equal stamps the one that was stored later is the one that the condition sees.
pub async fn deletes_of_samples_see_equal_stamps(bed: &TestBed) -> Outcome {
    let backend = removing(bed).await?;
    for notes in [["m", "k"], ["k", "z"], ["a", "m"]] {
        let rows = frame([
            ("id", ints([1, 2])),
            ("note", texts(notes)),
            ("metaxy_feature_version", texts(["v"; 2])),
            ("metaxy_updated_at", times([Some(7); 2])),
        ])?;
        backend.append(vec![kept(rows)?]).await?;
    }
    let k = col("note").eq("k");
    check_eq(removed(&backend, &k, None).await?, 0, "by an earlier row")?;
    let z = col("note").eq("z").or(col("note").eq("a"));
    check_eq(removed(&backend, &z, None).await?, 3, "rows of sample 1")?;
    check_eq(left(&backend).await?, ["2 k", "2 m", "2 z"], "what is left")
}

/// A row without a stamp or an ID is a sample of its own; a condition that is null removes none; rows of another version neither count
/// nor go.
pub async fn deletes_of_samples_see_lone_rows(bed: &TestBed) -> Outcome {
    let backend = removing(bed).await?;
    let rows = frame([
        (
            "id",
            ints([Some(1), Some(1), Some(1), None, None, Some(2), Some(2)]),
        ),
        (
            "note",
            texts([
                Some("x"),
                Some("y"),
                Some("x"),
                Some("x"),
                Some("y"),
                Some("x"),
                None,
            ]),
        ),
        (
            "metaxy_feature_version",
            texts(["v", "v", "v", "v", "v", "v", "w"]),
        ),
        (
            "metaxy_updated_at",
            times([Some(5), Some(7), None, Some(5), Some(9), Some(5), Some(6)]),
        ),
    ])?;
    backend.append(vec![kept(rows)?]).await?;
    let x = col("note").eq("x");
    // The latest row of sample 2 over all versions has no note.
    check_eq(removed(&backend, &x, None).await?, 2, "of all versions")?;
    let expected = ["- y", "1 x", "1 y", "2 -", "2 x"];
    check_eq(left(&backend).await?, expected, "what is left")?;
    let v = col("metaxy_feature_version").eq("v");
    check_eq(removed(&backend, &x, Some(&v)).await?, 1, "of one version")?;
    check_eq(left(&backend).await?, ["- y", "1 x", "1 y", "2 -"], "then")?;
    let y = col("note").eq("y");
    check_eq(
        removed(&backend, &y, Some(&v)).await?,
        3,
        "the lone one too",
    )?;
    check_eq(left(&backend).await?, ["2 -"], "in the end")
}

/// Every row of a table that lacks the time of a row, or an ID, is a sample of its own; without a table there are none.
pub async fn deletes_of_samples_without_columns(bed: &TestBed) -> Outcome {
    let backend = removing(bed).await?;
    let whole = DeleteSamples::new(["id"], col("note").eq("x"));
    let none = backend.delete_samples(&key("never")?, &whole).await?;
    check_eq(none, 0, "rows of no table")?;
    let (ids, notes) = (|| ints([1, 1, 2]), || texts(["x", "y", "x"]));
    let stamps = || times([Some(5), Some(7), Some(3)]);
    let version = || texts(["v"; 3]);
    let tables = [
        (
            "timeless",
            vec![("id", ids()), ("metaxy_feature_version", version())],
            2,
        ),
        (
            "idless",
            vec![
                ("metaxy_feature_version", version()),
                ("metaxy_updated_at", stamps()),
            ],
            2,
        ),
        (
            "only-deleted",
            vec![("id", ids()), ("metaxy_deleted_at", stamps())],
            1,
        ),
    ];
    for (name, mut columns, expected) in tables {
        columns.push(("note", notes()));
        let table = key(name)?;
        let mut append = kept(frame(columns)?)?;
        append.table = table.clone();
        backend.append(vec![append]).await?;
        let schema = backend.schema(&table).await?;
        let schema = schema.ok_or_else(|| Stop::failed("no table"))?;
        let samples = DeleteSamples::new(["id"], col("note").eq("x").bind(&schema)?);
        let rows = backend.delete_samples(&table, &samples).await?;
        check_eq(rows, expected, format!("rows of {name}"))?;
    }
    Ok(())
}

/// A backend that can remove rows.
async fn removing(bed: &TestBed) -> Outcome<SharedBackend> {
    let backend = bed.backend("main", Access::Write).await?;
    match backend.capabilities().hard_delete {
        true => Ok(backend),
        false => Err(Stop::ignored("the backend cannot remove rows")),
    }
}

/// How many rows of `a` went.
async fn removed(backend: &SharedBackend, condition: &Expr, among: Option<&Expr>) -> Outcome<u64> {
    let schema = backend.schema(&key("a")?).await?;
    let schema = schema.ok_or_else(|| Stop::failed("the table is gone"))?;
    let mut samples = DeleteSamples::new(["id"], condition.bind(&schema)?);
    if let Some(among) = among {
        samples = samples.with_among(among.bind(&schema)?);
    }
    Ok(backend.delete_samples(&key("a")?, &samples).await?)
}

/// All rows of `a`.
async fn left(backend: &SharedBackend) -> Outcome<Vec<String>> {
    let schema = backend.schema(&key("a")?).await?;
    let schema = schema.ok_or_else(|| Stop::failed("the table is gone"))?;
    let scan = Scan::all(key("a")?);
    let rows = backend.query(Relation::scan(scan, schema).into()).await?;
    Table::of(rows).await?.lines(&["id", "note"])
}

/// Rows of `a` that come with their times.
fn kept(rows: impl Into<metaxy_store::Frame>) -> Result<Append> {
    Ok(Append {
        table: key("a")?,
        id_columns: Vec::new(),
        rows: rows.into(),
        times: Times::Keep,
        create: true,
    })
}
