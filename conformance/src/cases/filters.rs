//! Filters: of reads, of increments and of dependencies (`semantics.md` §2, §5, §6, §10).

mod pairs;
mod patterns;

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array};
use metaxy_store::expr::Value;
use metaxy_store::store::{FeatureState, StatusOptions};
use metaxy_store::{
    DeleteOptions, ErrorKind, Expr, FeatureDep, FeatureSpec, MetadataStore, ReadOptions,
    ResolveOptions, Result, col, lit,
};

use crate::bed::TestBed;
use crate::bed::frames::{
    bools, floats, ints, read, samples, stored, texts, times, videos, with_column,
};
use crate::bed::graphs::{feature, graph, key, pair, video};
use crate::bed::increments::{Parts, compute, resolve, resolve_with};
use crate::outcome::{Outcome, check_eq, names, refused, report};
use crate::suite::Case;

pub use pairs::{
    compare_columns_of_any_two_types_of_numbers, compare_columns_of_any_two_types_of_times,
    compare_numbers_of_any_type_with_literals, compare_texts_and_truth_values_of_any_layout,
    compare_times_of_any_type_with_literals, compare_times_of_different_units,
};
pub use patterns::{
    like_patterns_as_defined, like_patterns_of_text, like_patterns_of_text_without_regard_to_case,
    patterns_of_other_columns_are_refused,
};

cases! {
    "filters":
    see_what_a_feature_has_of_its_own,
    are_seen_after_deduplication,
    may_name_a_column_that_is_not_returned,
    all_hold,
    of_the_target_leave_upstream_alone,
    of_every_feature_hold_on_both_sides,
    of_one_feature_leave_the_others_alone,
    of_a_dependency_choose_upstream_rows,
    of_dependencies_see_new_names,
    treat_null_as_sql_does,
    compare_numbers_of_different_types,
    compare_dates_and_times,
    compare_times_of_different_units,
    like_patterns_of_text,
    like_patterns_of_text_without_regard_to_case,
    like_patterns_as_defined,
    patterns_of_other_columns_are_refused,
    take_text_as_it_is,
    take_names_as_they_are,
    mean_the_same_parsed_and_built,
    on_ids_commute_with_resolving,
    outside_the_language_are_refused,
    that_do_not_fit_are_refused,
    of_a_dependency_that_do_not_fit_are_refused,
    a_great_many_are_no_problem,
}

/// The cases that take long, for the end.
pub(super) const LONG: &[Case] = pairs::CASES;

/// A column that only the feature itself has can be filtered by, although its dependency selects few columns (§5).
pub async fn see_what_a_feature_has_of_its_own(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    let good = || [col("score").ge(2)];
    let rows = read(&store, "b", ReadOptions::default().with_filters(good())).await?;
    check_eq(rows.ids()?, [2, 3], "samples that are read")?;
    let gone = DeleteOptions::soft().with_filters(good());
    check_eq(store.delete(&key("b")?, gone).await?, 2, "deleted")?;
    let rows = read(&store, "b", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1], "samples that are left")
}

/// A filter sees the latest row of a sample: an older one that would pass does not come back (§5).
pub async fn are_seen_after_deduplication(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    for size in [1, 2] {
        let rows = samples(&[(1, "x"), (2, "x")])?;
        let rows = with_column(&rows, "size", ints([size, 1]))?;
        store.write(&a, rows).await?;
    }
    let small = || [col("size").eq(1)];
    let rows = read(&store, "a", ReadOptions::default().with_filters(small())).await?;
    check_eq(rows.ids()?, [2], "samples that are read")?;
    let options = ResolveOptions::default().with_filters(a, small());
    resolve_with(&store, "b", options)
        .await?
        .are(&[2], &[], &[])
}

/// The column of a filter need not be among those that are asked for (§5).
pub async fn may_name_a_column_that_is_not_returned(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = videos(&[(1, "a", "f"), (2, "a", "f"), (3, "a", "f")])?;
    store.write(&key("video/raw")?, rows).await?;
    let options = ReadOptions::default()
        .with_columns(["path"])
        .with_filters([col("id").gt(1), col("metaxy_provenance").is_not_null()]);
    let rows = read(&store, "video/raw", options).await?;
    check_eq(rows.columns(), ["path"], "columns")?;
    check_eq(rows.lines(&["path"])?, ["2.mp4", "3.mp4"], "paths")
}

/// Of several filters all hold, in reads and in resolves (§5, §6).
pub async fn all_hold(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    let options = ReadOptions::default().with_filters([
        col("score").ge(2),
        col("id").lt(3),
        col("score").lt(9),
    ]);
    let rows = read(&store, "b", options).await?;
    check_eq(rows.ids()?, [2], "samples that are read")?;
    let options = ResolveOptions::default()
        .with_skip_comparison(true)
        .with_filters(key("a")?, [col("id").gt(1)])
        .with_filters(key("a")?, [col("id").ne(4)])
        .with_global_filters([col("id").lt(5), col("id").ne(3)]);
    resolve_with(&store, "b", options)
        .await?
        .are(&[2], &[], &[])
}

/// A filter on a column that only the target has hides its stored rows: what upstream asks for stays, and so they are new (§6).
pub async fn of_the_target_leave_upstream_alone(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    let options = ResolveOptions::default().with_target_filters([col("score").ge(2)]);
    resolve_with(&store, "b", options)
        .await?
        .are(&[1, 4], &[], &[])?;
    let gone = DeleteOptions::soft().with_filters([col("id").le(2)]);
    store.delete(&key("a")?, gone).await?;
    let options = ResolveOptions::default().with_target_filters([col("score").ge(2)]);
    resolve_with(&store, "b", options)
        .await?
        .are(&[4], &[], &[2])
}

/// A global filter holds for upstream rows and stored ones: samples outside of it are in no part (§6).
pub async fn of_every_feature_hold_on_both_sides(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    store
        .write(&key("a")?, samples(&[(1, "new"), (3, "new"), (6, "x")])?)
        .await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    store.delete(&key("a")?, gone).await?;
    resolve(&store, "b").await?.are(&[4, 6], &[1, 3], &[2])?;
    let few = |id: Expr| ResolveOptions::default().with_global_filters([id]);
    resolve_with(&store, "b", few(col("id").le(2)))
        .await?
        .are(&[], &[1], &[2])?;
    resolve_with(&store, "b", few(col("id").ge(3)))
        .await?
        .are(&[4, 6], &[3], &[])
}

/// A filter for one feature holds for that feature alone (§6).
pub async fn of_one_feature_leave_the_others_alone(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?,
        feature("c", &["default"], &["a", "b"])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    for name in ["a", "b"] {
        let rows = samples(&[(1, "x"), (2, "x"), (3, "x")])?;
        let rows = with_column(&rows, &format!("of_{name}"), ints([10, 20, 30]))?;
        store.write(&key(name)?, rows).await?;
    }
    compute(&store, "c").await?;
    let on = |name: &str, filter: Expr| {
        Ok::<_, metaxy_store::Error>(ResolveOptions::default().with_filters(key(name)?, [filter]))
    };
    resolve_with(&store, "c", on("a", col("of_a").gt(10))?)
        .await?
        .are(&[], &[], &[1])?;
    let both = on("a", col("of_a").gt(10))?.with_filters(key("b")?, [col("of_b").lt(30)]);
    resolve_with(&store, "c", both)
        .await?
        .are(&[], &[], &[1, 3])?;
    resolve_with(&store, "c", on("c", col("of_b").gt(10))?)
        .await?
        .are(&[1], &[], &[])
}

/// A dependency's filter chooses the upstream's rows, by a column that is then left out too; the upstream stays as it is (§2).
pub async fn of_a_dependency_choose_upstream_rows(bed: &TestBed) -> Outcome {
    let dep = FeatureDep::new("a")?
        .with_filter("size > 10 AND kind = 'film'")
        .with_filter("size < 40")
        .with_select(["kind"]);
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?.with_dep(dep),
    ];
    let store = bed.store(graph(specs)?).await?;
    let write = async |sizes: [Option<i64>; 5]| -> Outcome {
        let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x"), (5, "x")])?;
        let rows = with_column(&rows, "size", ints(sizes))?;
        let kinds = texts(["film", "film", "song", "film", "film"]);
        let rows = with_column(&rows, "kind", kinds)?;
        store.write(&key("a")?, rows).await?;
        Ok(())
    };
    write([Some(10), Some(20), Some(30), Some(40), None]).await?;
    let parts = resolve(&store, "b").await?;
    parts.are(&[2], &[], &[])?;
    let columns = parts.new.columns();
    check_eq(
        columns.iter().filter(|c| !c.starts_with("metaxy_")).count(),
        2,
        "user columns",
    )?;
    check_eq(parts.new.lines(&["id", "kind"])?, ["2 film"], "the row")?;
    compute(&store, "b").await?;
    write([Some(15), Some(10), Some(30), Some(39), Some(40)]).await?;
    resolve(&store, "b").await?.are(&[1, 4], &[], &[2])?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.len(), 5, "samples of the upstream")
}

/// Filters of several dependencies each see the rows of theirs, under the new names of its columns (§2).
pub async fn of_dependencies_see_new_names(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?,
        feature("c", &["default"], &[])?
            .with_dep(
                FeatureDep::new("a")?
                    .with_rename("size", "width")
                    .with_filter("width > 10"),
            )
            .with_dep(
                FeatureDep::new("b")?
                    .with_rename("size", "height")
                    .with_filter("height < 30")
                    .with_select(Vec::<String>::new()),
            ),
    ];
    let store = bed.store(graph(specs)?).await?;
    for name in ["a", "b"] {
        let rows = samples(&[(1, "x"), (2, "x"), (3, "x")])?;
        let rows = with_column(&rows, "size", ints([10, 20, 30]))?;
        store.write(&key(name)?, rows).await?;
    }
    let parts = resolve(&store, "c").await?;
    check_eq(parts.new.lines(&["id", "width"])?, ["2 20"], "the row")?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()
}

/// Logic has three values, and a row passes only where its condition is true (§10).
pub async fn treat_null_as_sql_does(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    let rows = with_column(&rows, "size", ints([Some(1), Some(2), None, None]))?;
    let seen = bools([Some(true), Some(false), None, Some(true)]);
    let rows = with_column(&rows, "seen", seen)?;
    store.write(&key("a")?, rows).await?;
    let expectations: [(&str, &[i64]); 26] = [
        ("size = 1", &[1]),
        ("size <> 1", &[2]),
        ("NOT size = 1", &[2]),
        ("size < 5", &[1, 2]),
        ("NOT size < 5", &[]),
        ("size = size", &[1, 2]),
        ("size IS NULL", &[3, 4]),
        ("size IS NOT NULL", &[1, 2]),
        ("size IN (1, 7)", &[1]),
        ("size NOT IN (1, 7)", &[2]),
        ("size IN (1, NULL)", &[1]),
        ("size NOT IN (1, NULL)", &[]),
        ("NOT (size IN (1, NULL))", &[]),
        ("seen", &[1, 4]),
        ("NOT seen", &[2]),
        ("seen = FALSE", &[2]),
        ("seen IS TRUE", &[1, 4]),
        ("seen IS NOT TRUE", &[2, 3]),
        ("seen IS FALSE", &[2]),
        ("seen IS NOT FALSE", &[1, 3, 4]),
        ("seen AND size = 1", &[1]),
        ("seen OR size = 2", &[1, 2, 4]),
        ("NOT (seen AND size = 1)", &[2]),
        ("NOT (seen OR size = 7)", &[2]),
        ("seen IS NULL OR size IS NULL AND seen", &[3, 4]),
        ("(seen IS NULL OR size IS NULL) AND NOT seen IS NULL", &[4]),
    ];
    passing(&store, &expectations).await
}

/// Numbers compare as numbers, whatever the types of column and literal (§10).
pub async fn compare_numbers_of_different_types(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    let large = 9_007_199_254_740_993; // 2^53 + 1, which no float is
    let rows = with_column(&rows, "whole", ints([-1, 2, 10, large]))?;
    let rows = with_column(&rows, "real", floats([-1.0, 2.5, 9.75, 9e15]))?;
    let small: ArrayRef = Arc::new(Int32Array::from(vec![-1, 2, 3, 11]));
    let rows = with_column(&rows, "small", small)?;
    store.write(&key("a")?, rows).await?;
    let expectations: [(&str, &[i64]); 18] = [
        ("whole > 1.5", &[2, 3, 4]),
        ("whole = 2.0", &[2]),
        ("whole = 2.5", &[]),
        ("whole >= 2e0", &[2, 3, 4]),
        ("whole IN (2.5, 10)", &[3]),
        ("whole = 9007199254740993", &[4]),
        ("whole = 9007199254740992", &[]),
        ("whole > 9007199254740992", &[4]),
        ("whole < 99999999999999999999", &[1, 2, 3, 4]),
        ("real > 2", &[2, 3, 4]),
        ("real = 2.5", &[2]),
        ("real >= 9.75", &[3, 4]),
        ("real < -0.5", &[1]),
        ("small > 2.5", &[3, 4]),
        ("small <= 3000000000", &[1, 2, 3, 4]),
        ("small < whole", &[3, 4]),
        ("real > whole", &[2]),
        ("small = whole", &[1, 2]),
    ];
    passing(&store, &expectations).await
}

/// Text beside a date or a time is one, in any way of writing it; system times are times too (§10).
pub async fn compare_dates_and_times(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    // 31 December 1969, 31 January 2024, 1 February 2024.
    let days: ArrayRef = Arc::new(Date32Array::from(vec![
        Some(-1),
        Some(19_753),
        Some(19_754),
        None,
    ]));
    let rows = with_column(&rows, "day", days)?;
    let noon = 1_706_702_400_000_000; // 31 January 2024, 12:00 UTC
    let at = times([Some(-1), Some(noon), Some(noon + 1), None]);
    let rows = with_column(&rows, "at", at)?;
    store.write(&a, rows).await?;
    let expectations: [(&str, &[i64]); 16] = [
        ("day = '2024-01-31'", &[2]),
        ("day > '2024-01-31'", &[3]),
        ("day < '1970-01-01'", &[1]),
        ("day IN ('2024-02-01', '1969-12-31')", &[1, 3]),
        ("day IS NULL", &[4]),
        ("day >= '2024-01-31 00:00:01'", &[3]),
        ("at = '2024-01-31 12:00:00'", &[2]),
        ("at = '2024-01-31T14:00:00+02:00'", &[2]),
        ("at > '2024-01-31 12:00:00Z'", &[3]),
        ("at < '2024-01-31 12:00:00.000001'", &[1, 2]),
        ("at >= '2024-01-31'", &[2, 3]),
        ("at < '1970-01-01'", &[1]),
        ("at <> '2024-01-31 12:00:00'", &[1, 3]),
        ("metaxy_updated_at >= '2026-03-01 12:00:00'", &[1, 2, 3, 4]),
        ("metaxy_updated_at < '2026-03-01 12:00:00'", &[]),
        ("metaxy_updated_at > at", &[1, 2, 3]),
    ];
    passing(&store, &expectations).await
}

/// Text compares as it is: quotes, wildcards, backslashes, case and accents mean nothing special (§10).
pub async fn take_text_as_it_is(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let all = [
        "it's",
        "\"",
        "%",
        "\\",
        "a'; DROP TABLE a; --",
        "A",
        "é",
        "e\u{301}",
        "",
        " a ",
        "日本|語😀",
        "?",
        "$1 :x @y {}",
    ];
    let rows: Vec<(i64, &str)> = (1..).zip(all.map(|_| "x")).collect();
    let rows = with_column(&samples(&rows)?, "name", texts(all))?;
    store.write(&key("a")?, rows).await?;
    for (id, text) in (1..).zip(all) {
        for filter in [
            col("name").eq(text),
            col("name").is_in([text, "no such text"]),
            Expr::parse(&format!("name = '{}'", text.replace('\'', "''")))?,
        ] {
            let what = filter.to_string();
            let rows = read(&store, "a", ReadOptions::default().with_filters([filter])).await?;
            check_eq(rows.ids()?, [id], what)?;
        }
    }
    // By code points: upper case before lower case, accents after both.
    let expectations: [(&str, &[i64]); 3] = [
        ("name < 'A'", &[2, 3, 9, 10, 12, 13]),
        ("name >= 'é'", &[7, 11]),
        ("name = 'a'", &[]),
    ];
    passing(&store, &expectations).await
}

/// A column's name is taken whole and as it is written: words of SQL, blanks, quotes, dots, other scripts (§10).
pub async fn take_names_as_they_are(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let all = [
        "select",
        "a b",
        "say \"hi\"",
        "Größe",
        "x.y",
        "it's",
        "日本",
    ];
    let mut rows = samples(&[(1, "x"), (2, "x")])?;
    for (i, name) in (0..).zip(all) {
        rows = with_column(&rows, name, ints([i, i + 100]))?;
    }
    store.write(&key("a")?, rows).await?;
    for (i, name) in (0..).zip(all) {
        let built = col(name).eq(i);
        let parsed = Expr::parse(&format!("\"{}\" = {i}", name.replace('"', "\"\"")))?;
        check_eq(&parsed, &built, name)?;
        let rows = read(&store, "a", ReadOptions::default().with_filters([built])).await?;
        check_eq(rows.ids()?, [1], name)?;
        check_eq(rows.ints(name)?, [Some(i)], name)?;
    }
    Ok(())
}

/// A filter from text and the same built in Rust let the same rows through (§10).
pub async fn mean_the_same_parsed_and_built(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    let pairs: [(&str, Expr, &[i64]); 8] = [
        ("score = 2", col("score").eq(2), &[2]),
        ("2 < score", lit(2).lt(col("score")), &[3]),
        ("score != 2", col("score").ne(2), &[1, 3]),
        ("score IN (1, 3)", col("score").is_in([1, 3]), &[1, 3]),
        ("score NOT IN (1)", col("score").not_in([1]), &[2, 3]),
        ("score = NULL", col("score").eq(Value::Null), &[]),
        (
            "NOT (score = 1 OR id = 3)",
            !col("score").eq(1).or(col("id").eq(3)),
            &[2],
        ),
        (
            "score > 1 AND (id < 2 OR id IS NOT NULL)",
            col("score")
                .gt(1)
                .and(col("id").lt(2).or(col("id").is_not_null())),
            &[2, 3],
        ),
    ];
    for (text, built, ids) in pairs {
        for filter in [Expr::parse(text)?, built] {
            let options = ReadOptions::default().with_filters([filter]);
            let rows = read(&store, "b", options).await?;
            check_eq(rows.ids()?, ids, text)?;
        }
    }
    Ok(())
}

/// Resolving under a filter on ID columns gives the part of the increment that the filter lets through (§6).
pub async fn on_ids_commute_with_resolving(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    let rows = samples(&[(1, "new"), (3, "new"), (6, "x"), (7, "x")])?;
    store.write(&key("a")?, rows).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    store.delete(&key("a")?, gone).await?;
    let whole = resolve(&store, "b").await?;
    whole.are(&[4, 6, 7], &[1, 3], &[2])?;
    type Test = fn(i64) -> bool;
    let filters: [(Expr, Test); 4] = [
        (col("id").le(2), |id| id <= 2),
        (col("id").is_in([3, 4, 6]), |id| [3, 4, 6].contains(&id)),
        (!col("id").eq(6), |id| id != 6),
        (col("id").gt(99), |_| false),
    ];
    for (filter, test) in filters {
        let options = ResolveOptions::default().with_global_filters([filter]);
        let part: Parts = resolve_with(&store, "b", options).await?;
        let kept = |ids: Vec<i64>| ids.into_iter().filter(|id| test(*id)).collect::<Vec<_>>();
        part.are(
            &kept(whole.new.ids()?),
            &kept(whole.stale.ids()?),
            &kept(whole.orphaned.ids()?),
        )?;
    }
    Ok(())
}

/// What the language of filters does not have is an error, never a surprise (§10).
pub async fn outside_the_language_are_refused(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    for text in [
        "name SIMILAR TO 'a%'",
        "id BETWEEN 1 AND 3",
        "id + 1 = 2",
        "lower(name) = 'a'",
        "id = (SELECT 1)",
        "id = 1 OR",
        "id = 1; DELETE FROM a",
        "",
        "1 = 1",
    ] {
        let error = refused(Expr::parse(text), ErrorKind::InvalidFilter)?;
        check_eq(error.hint().is_some(), true, text)?;
    }
    // Nor does one that is built in Rust pass every row.
    let options = ReadOptions::default().with_filters([lit(1).eq(1)]);
    refused(
        store.read(&key("b")?, options).await,
        ErrorKind::InvalidFilter,
    )?;
    Ok(())
}

/// A filter on a column that is not there, or of another kind, is refused: by reads, resolves and deletes, and nothing is
/// deleted (§5, §10).
pub async fn that_do_not_fit_are_refused(bed: &TestBed) -> Outcome {
    let store = scored(bed).await?;
    let b = key("b")?;
    let before = stored(&store, "b").await?;
    for (filter, column) in [
        (col("scores").eq(1), "scores"),
        (col("Score").eq(1), "Score"),
        (col("score").eq("1"), "score"),
        (col("score").is_true(), "score"),
        (col("id").eq(true), "\"id\""),
        (
            col("metaxy_updated_at").gt("yesterday"),
            "metaxy_updated_at",
        ),
    ] {
        let filter = || [filter.clone()];
        let kind = ErrorKind::InvalidFilter;
        let words = [column, "feature: b", "main"];
        let options = ReadOptions::default().with_filters(filter());
        names(&refused(store.read(&b, options).await, kind)?, &words)?;
        for options in [
            ResolveOptions::default().with_target_filters(filter()),
            ResolveOptions::default().with_filters(b.clone(), filter()),
        ] {
            let resolved = store.resolve_update(&b, options).await;
            names(&refused(resolved, kind)?, &words)?;
        }
        let mut deletes = vec![DeleteOptions::soft()];
        if store.capabilities().hard_delete {
            deletes.push(DeleteOptions::hard());
        }
        for delete in deletes {
            let deleted = store.delete(&b, delete.with_filters(filter())).await;
            names(&refused(deleted, kind)?, &words)?;
        }
    }
    // A global filter has to fit every feature: only `b` has scores.
    let options = ResolveOptions::default().with_global_filters([col("score").eq(1)]);
    let resolved = store.resolve_update(&b, options).await;
    let error = refused(resolved, ErrorKind::InvalidFilter)?;
    names(&error, &["score", "feature: a"])?;
    check_eq(stored(&store, "b").await?, before, "what is stored")
}

/// A dependency's filter that does not parse is refused with the definition; one on a column that upstream lacks, or that the
/// dependency has renamed, when it is resolved (§2, §10, 45).
pub async fn of_a_dependency_that_do_not_fit_are_refused(bed: &TestBed) -> Outcome {
    let with = |dep: FeatureDep| -> Result<_> {
        graph([
            feature("a", &["default"], &[])?,
            feature("b", &["default"], &[])?.with_dep(dep),
        ])
    };
    let bad = with(FeatureDep::new("a")?.with_filter("size SIMILAR TO 'x'"));
    let error = refused(bad, ErrorKind::InvalidDefinition)?;
    names(&error, &["feature `b`", "dependency on `a`"])?;
    for dep in [
        FeatureDep::new("a")?.with_filter("width > 1"),
        FeatureDep::new("a")?
            .with_rename("size", "length")
            .with_filter("size > 1"),
        FeatureDep::new("a")?.with_filter("size > 'x'"),
    ] {
        let store = bed.store(with(dep)?).await?;
        let rows = with_column(&samples(&[(1, "x")])?, "size", ints([1]))?;
        store.write(&key("a")?, rows).await?;
        let resolved = store
            .resolve_update(&key("b")?, ResolveOptions::default())
            .await;
        let error = refused(resolved, ErrorKind::InvalidFilter)?;
        names(&error, &["upstream: a", "feature: b"])?;
        // Nor are columns of the plan among those that there are.
        let told = format!("{} {:?}", report(&error), error.hint());
        check_eq(told.contains("__mx"), false, told)?;
    }
    Ok(())
}

/// A root `a` with the samples 1 to 4, and `b`, which selects none of its columns and has a score of its own for 1 to 3.
async fn scored(bed: &TestBed) -> Outcome<MetadataStore> {
    let dep = FeatureDep::new("a")?.with_select(Vec::<String>::new());
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?.with_dep(dep),
    ];
    let store = bed.store(graph(specs)?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    let rows = with_column(&rows, "note", texts(["n"; 4]))?;
    store.write(&key("a")?, rows).await?;
    let options = ResolveOptions::default().with_filters(key("a")?, [col("id").lt(4)]);
    let parts = resolve_with(&store, "b", options).await?;
    parts.are(&[1, 2, 3], &[], &[])?;
    let rows = with_column(parts.new.batch(), "score", ints([1, 2, 3]))?;
    store.write(&key("b")?, rows).await?;
    Ok(store)
}

/// Fails unless each filter, from text, lets these samples of `a` through.
async fn passing(store: &MetadataStore, expectations: &[(&str, &[i64])]) -> Outcome {
    for (text, ids) in expectations {
        let options = ReadOptions::default().with_filters([Expr::parse(text)?]);
        let rows = read(store, "a", options).await?;
        check_eq(rows.ids()?, *ids, text)?;
    }
    Ok(())
}

/// Thousands of filters are one condition: neither engines nor walks of plans go deeper for them (`semantics.md` §6).
pub async fn a_great_many_are_no_problem(bed: &TestBed) -> Outcome {
    let many = |number: i64| (0..number).map(|i| format!("id < {}", 10 + i));
    let dep = many(1500).fold(FeatureDep::new("a")?, FeatureDep::with_filter);
    let all = graph([
        feature("a", &["default"], &[])?,
        FeatureSpec::new("b", ["id"])?.with_dep(dep),
    ])?;
    let store = bed.store(all).await?;
    let rows = samples(&[(1, "x"), (9, "y"), (10, "z")])?;
    store.write(&key("a")?, rows).await?;
    let filters = many(3000).map(|filter| Expr::parse(&filter));
    let read_by = ReadOptions::default().with_filters(filters.collect::<Result<Vec<_>>>()?);
    check_eq(
        store.count(&key("a")?, read_by.clone()).await?,
        2,
        "samples that all let through",
    )?;
    check_eq(read(&store, "a", read_by).await?.ids()?, [1, 9], "those")?;
    let whole = Expr::parse(&many(3000).collect::<Vec<_>>().join(" AND "))?;
    let read_by = ReadOptions::default().with_filters([whole]);
    check_eq(
        store.count(&key("a")?, read_by).await?,
        2,
        "samples that all parts let through",
    )?;
    compute(&store, "b").await?;
    let status = store.status(&key("b")?, StatusOptions::default()).await?;
    check_eq(
        status.samples,
        2,
        "samples of what the dependency lets through",
    )?;
    check_eq(status.state, FeatureState::UpToDate, "the state")
}
