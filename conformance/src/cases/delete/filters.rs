//! Which rows a filter chooses (§5, §10).

use arrow::array::RecordBatch;
use metaxy_store::{DeleteOptions, ErrorKind, Expr, ReadOptions, Result, col, lit};

use super::{cannot, three};
use crate::bed::TestBed;
use crate::bed::frames::{bools, floats, ints, read, samples, stored, texts, times, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, Stop, check_eq, names, refused};

/// A soft delete marks the samples for which its filter is true, not those for which it is null (§5).
pub async fn filters_choose_what_is_soft_deleted(bed: &TestBed) -> Outcome {
    filters_choose(bed, DeleteOptions::soft()).await
}

/// A hard delete removes the rows for which its filter is true, not those for which it is null (§5).
pub async fn filters_choose_what_is_hard_deleted(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    if !store.capabilities().hard_delete {
        return cannot(&store).await;
    }
    filters_choose(bed, DeleteOptions::hard()).await
}

/// A filter on a column that does not exist, or on a misfitting literal, is refused and deletes nothing (§10).
pub async fn refuses_filters_that_do_not_fit(bed: &TestBed) -> Outcome {
    let store = three(bed).await?;
    let before = stored(&store, "a").await?;
    for text in ["sizze = 1", "id = 'one'", "id = 1 AND \"Id\" = 1"] {
        for base in [DeleteOptions::soft(), DeleteOptions::hard()] {
            if base.hard && !store.capabilities().hard_delete {
                continue;
            }
            let options = base.with_filters([Expr::parse(text)?]);
            let result = store.delete(&key("a")?, options).await;
            let error = refused(result, ErrorKind::InvalidFilter)?;
            names(&error, &["feature: a", "main"])?;
        }
    }
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// Deletes by many filters, one after the other, each from the same five samples.
async fn filters_choose(bed: &TestBed, base: DeleteOptions) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let mut failures = Vec::new();
    for (filter, left) in choices()? {
        store.write(&a, animals()?).await?;
        let shown = filter.to_string();
        let deleted = store
            .delete(&a, base.clone().with_filters([filter]))
            .await?;
        let ids = read(&store, "a", ReadOptions::default()).await?.ids()?;
        if ids != left || deleted != 5 - left.len() as u64 {
            failures.push(format!(
                "{shown}: {deleted} were deleted and {ids:?} are left instead of {left:?}"
            ));
        }
        // Whatever is left goes, so that each filter meets one row of each sample.
        store.delete(&a, base.clone()).await?;
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Stop::failed(failures.join("; "))),
    }
}

/// Five animals; the last has nothing but its ID.
fn animals() -> Result<RecordBatch> {
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x"), (5, "x")])?;
    let size = ints([Some(-1), Some(0), Some(1), Some(2), None]);
    let rows = with_column(&rows, "size", size)?;
    let weight = floats([
        Some(-0.5),
        Some(0.25),
        Some(f64::INFINITY),
        Some(f64::NAN),
        None,
    ]);
    let rows = with_column(&rows, "weight", weight)?;
    let tame = bools([Some(true), Some(false), Some(true), Some(false), None]);
    let rows = with_column(&rows, "tame", tame)?;
    let name = texts([Some("Ann"), Some("ann"), Some("o'neil"), Some(""), None]);
    let rows = with_column(&rows, "name", name)?;
    // 1 January 2026, 00:00 UTC, and half an hour, an hour and a microsecond, and a day later.
    const DAY: i64 = 1_767_225_600_000_000;
    let seen = [0, 1_800_000_000, 3_600_000_001, 86_400_000_000].map(|after| Some(DAY + after));
    let seen: Vec<Option<i64>> = seen.into_iter().chain([None]).collect();
    let rows = with_column(&rows, "seen", times(seen.iter().copied()))?;
    let naive: arrow::array::TimestampMicrosecondArray = seen.into_iter().collect();
    with_column(&rows, "born", std::sync::Arc::new(naive))
}

/// Filters, and the IDs of the animals that they spare.
fn choices() -> Result<Vec<(Expr, Vec<i64>)>> {
    let parsed: [(&str, &[i64]); 37] = [
        ("id = 3", &[1, 2, 4, 5]),
        ("id <> 3", &[3]),
        ("id <= 2", &[3, 4, 5]),
        ("size < 1", &[3, 4, 5]),
        ("size > -1", &[1, 5]),
        ("size >= 0.5", &[1, 2, 5]),
        ("size IN (0, 2)", &[1, 3, 5]),
        ("size NOT IN (0, 2)", &[2, 4, 5]),
        ("size NOT IN (0, NULL)", &[1, 2, 3, 4, 5]),
        ("size IS NULL", &[1, 2, 3, 4]),
        ("size IS NOT NULL", &[5]),
        ("size = NULL", &[1, 2, 3, 4]),
        ("NOT size = 0", &[2, 5]),
        ("size = 0 OR size IS NULL", &[1, 3, 4]),
        ("size > 0 AND tame", &[1, 2, 4, 5]),
        ("size > 0 AND NOT tame", &[1, 2, 3, 5]),
        ("NOT (size > 0 OR tame)", &[1, 3, 4, 5]),
        ("tame", &[2, 4, 5]),
        ("NOT tame", &[1, 3, 5]),
        ("tame = FALSE", &[1, 3, 5]),
        ("tame IS NOT TRUE", &[1, 3]),
        ("weight < 0.3", &[3, 4, 5]),
        ("weight > 1e300", &[1, 2, 5]),
        ("weight = -0.5", &[2, 3, 4, 5]),
        ("name = 'ann'", &[1, 3, 4, 5]),
        ("name = 'o''neil'", &[1, 2, 4, 5]),
        ("name = ''", &[1, 2, 3, 5]),
        ("name < 'a'", &[2, 3, 5]),
        ("name IN ('Ann', 'nobody')", &[2, 3, 4, 5]),
        ("seen < '2026-01-01 01:00:00'", &[3, 4, 5]),
        ("seen >= '2026-01-01T01:30:00+01:00'", &[1, 5]),
        ("seen = '2026-01-01 01:00:00.000001'", &[1, 2, 4, 5]),
        ("seen >= '2026-01-02'", &[1, 2, 3, 5]),
        ("born < '2026-01-01 01:00:00'", &[3, 4, 5]),
        ("born > '2026-01-01'", &[1, 5]),
        ("born = seen", &[5]),
        ("metaxy_provenance_by_field IS NULL", &[1, 2, 3, 4, 5]),
    ];
    let mut choices = Vec::new();
    for (text, left) in parsed {
        choices.push((Expr::parse(text)?, left.to_vec()));
    }
    let built = col("size").lt(0).or(lit("ann").eq(col("name")));
    choices.push((built, vec![3, 4, 5]));
    Ok(choices)
}
