//! Reading samples (`semantics.md` §5, §7).

use std::sync::atomic::{AtomicBool, Ordering};

use metaxy_store::{
    DeleteOptions, ErrorKind, Expr, FeatureGraph, FeatureSpec, FieldSpec, MetadataStore,
    ReadOptions, Result, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{bools, everything, ints, read, samples, texts, videos, with_column};
use crate::bed::graphs::{graph, key, pair, video};
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "read":
    sees_the_current_version_only,
    sees_another_version_when_asked,
    refuses_a_version_without_history,
    sees_the_latest_across_versions,
    sees_the_history_of_samples,
    hides_soft_deletes_unless_asked,
    counts_as_many_rows_as_it_yields,
    yields_columns_in_the_order_asked,
    yields_columns_without_ids,
    refuses_an_unknown_column,
    sees_the_table_as_of_a_time,
    yields_at_most_as_many_as_asked,
    looks_only_here_when_asked,
    refuses_what_was_never_written,
    refuses_what_is_not_in_the_graph,
    tells_whether_it_has_a_feature,
    tells_the_columns_of_a_feature,
    an_emptied_feature_reads_as_empty,
    filters_after_deduplication,
    all_filters_must_hold,
    refuses_filters_that_do_not_fit,
    another_handle_sees_what_was_written,
    sees_whole_writes_of_another_handle,
}

/// Rows of another feature version are not read (§5).
pub async fn sees_the_current_version_only(bed: &TestBed) -> Outcome {
    let [v1, v2] = two_versions(bed).await?;
    let rows = read(&v1, "a", ReadOptions::default()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 one", "2 one"], "under the first")?;
    let rows = read(&v2, "a", ReadOptions::default()).await?;
    check_eq(rows.lines(&SEEN)?, ["2 two", "3 two"], "under the second")?;
    let version = v2.graph().feature_version("a")?;
    let found = rows.words("metaxy_feature_version")?;
    check_eq(found, [version, version], "the version that rows carry")
}

/// With history and a version, the samples of that version are read (§5).
pub async fn sees_another_version_when_asked(bed: &TestBed) -> Outcome {
    let [v1, v2] = two_versions(bed).await?;
    let of = |version: &str| {
        ReadOptions::default()
            .with_feature_history(true)
            .with_feature_version(version)
    };
    let first = of(v1.graph().feature_version("a")?);
    let rows = read(&v2, "a", first).await?;
    check_eq(rows.lines(&SEEN)?, ["1 one", "2 one"], "the first version")?;
    let rows = read(&v2, "a", of("nothing-like-it")).await?;
    check(rows.is_empty(), "rows of a version that never was")
}

/// A version without history is refused, with a word on what to set (§5).
pub async fn refuses_a_version_without_history(bed: &TestBed) -> Outcome {
    let [v1, v2] = two_versions(bed).await?;
    let version = v1.graph().feature_version("a")?;
    let options = ReadOptions::default().with_feature_version(version);
    let error = refused(
        v2.read(&key("a")?, options).await,
        ErrorKind::InvalidArgument,
    )?;
    names(&error, &["feature a", "with_feature_history"])
}

/// Over all feature versions each sample has one row, the latest of all (§5).
pub async fn sees_the_latest_across_versions(bed: &TestBed) -> Outcome {
    let [v1, v2] = two_versions(bed).await?;
    let expected = ["1 one", "2 two", "3 two"];
    for store in [&v1, &v2] {
        let options = ReadOptions::default().with_feature_history(true);
        let rows = read(store, "a", options).await?;
        check_eq(rows.lines(&SEEN)?, expected, "the samples")?;
    }
    Ok(())
}

/// With sample history every row of the version is read, of all versions with both histories (§5).
pub async fn sees_the_history_of_samples(bed: &TestBed) -> Outcome {
    let [v1, v2] = two_versions(bed).await?;
    v2.write(&key("a")?, samples(&[(2, "again")])?).await?;
    let history = || ReadOptions::default().with_sample_history(true);
    let rows = read(&v2, "a", history()).await?;
    check_eq(
        rows.lines(&SEEN)?,
        ["2 again", "2 two", "3 two"],
        "of the current version",
    )?;
    let rows = read(&v1, "a", history().with_feature_history(true)).await?;
    check_eq(
        rows.lines(&SEEN)?,
        ["1 one", "2 again", "2 one", "2 two", "3 two"],
        "of all versions",
    )
}

/// A count is that of the rows that the same read yields, and the rows of each version are all that are stored (§5).
pub async fn counts_as_many_rows_as_it_yields(bed: &TestBed) -> Outcome {
    let [v1, v2] = two_versions(bed).await?;
    let a = key("a")?;
    v2.delete(&a, DeleteOptions::soft().with_filters([col("id").eq(3)]))
        .await?;
    let options = [
        ReadOptions::default(),
        ReadOptions::default().with_soft_deleted(true),
        ReadOptions::default().with_sample_history(true),
        ReadOptions::default().with_filters([col("id").gt(2)]),
        ReadOptions::default().with_feature_history(true),
        ReadOptions::default()
            .with_feature_history(true)
            .with_sample_history(true)
            .with_soft_deleted(true),
    ];
    for options in options {
        let rows = read(&v2, "a", options.clone()).await?;
        let counted = v2.count(&a, options.clone()).await?;
        let what = format!("with {options:?}");
        check_eq(counted, rows.len() as u64, &what)?;
    }
    let mut expected = vec![
        (Some(v1.graph().feature_version("a")?.to_owned()), 2),
        (Some(v2.graph().feature_version("a")?.to_owned()), 3),
    ];
    expected.sort();
    check_eq(
        v1.rows_by_version(&a).await?,
        expected,
        "the rows by version",
    )
}

/// A soft-deleted sample is hidden, and shown with its time when asked (§5).
pub async fn hides_soft_deletes_unless_asked(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    let gone = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    store.delete(&a, gone).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [2], "the living")?;
    let all = ReadOptions::default().with_soft_deleted(true);
    let rows = read(&store, "a", all).await?;
    check_eq(rows.ids()?, [1, 2], "with the deleted")?;
    let deleted = rows.times("metaxy_deleted_at")?;
    check(
        deleted[0].is_some() && deleted[1].is_none(),
        format!("when they were deleted: {deleted:?}"),
    )
}

/// Columns come in the order in which they are asked for, and no others (§5).
pub async fn yields_columns_in_the_order_asked(bed: &TestBed) -> Outcome {
    let store = described(bed).await?;
    for order in [
        vec!["size", "id", "kind"],
        vec!["kind", "metaxy_provenance", "size"],
        vec!["metaxy_provenance_by_field", "id"],
    ] {
        let options = ReadOptions::default().with_columns(order.iter().copied());
        let rows = read(&store, "a", options).await?;
        check_eq(rows.columns(), order, "the columns")?;
        check_eq(rows.len(), 4, "the samples")?;
    }
    Ok(())
}

/// Columns can be read without the IDs, with a filter on another column, and rows are still one per sample (§10).
pub async fn yields_columns_without_ids(bed: &TestBed) -> Outcome {
    let store = described(bed).await?;
    let kind = ReadOptions::default().with_columns(["kind"]);
    let rows = read(&store, "a", kind.clone()).await?;
    check_eq(rows.lines(&["kind"])?, ["-", "cat", "cat", "dog"], "kinds")?;
    let large = kind.with_filters([col("size").ge(20)]);
    let rows = read(&store, "a", large).await?;
    check_eq(rows.columns(), ["kind"], "the columns")?;
    check_eq(rows.lines(&["kind"])?, ["-", "cat", "dog"], "large ones")
}

/// A column that is not stored is refused; the error names it and the nearest (§5).
pub async fn refuses_an_unknown_column(bed: &TestBed) -> Outcome {
    let store = described(bed).await?;
    let options = ReadOptions::default().with_columns(["id", "kindd"]);
    let error = refused(
        store.read(&key("a")?, options).await,
        ErrorKind::InvalidArgument,
    )?;
    names(&error, &["\"kindd\"", "\"kind\"", "feature a", "main"])
}

/// As of a time, rows and deletes after it are not there (§5); a backend that cannot look back refuses.
pub async fn sees_the_table_as_of_a_time(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let mut moments = vec![bed.clock().peek() - 1];
    store.write(&a, samples(&[(1, "v1"), (2, "v1")])?).await?;
    moments.push(bed.clock().peek() - 1_000);
    store.write(&a, samples(&[(1, "v2")])?).await?;
    moments.push(bed.clock().peek() - 1_000);
    let gone = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    store.delete(&a, gone).await?;
    moments.push(bed.clock().peek() - 1_000);
    store.write(&a, samples(&[(3, "v1")])?).await?;

    if !store.capabilities().as_of {
        let options = ReadOptions::default().with_as_of(moments[1]);
        let result = match store.read(&a, options).await {
            Ok(rows) => rows.collect().await,
            Err(error) => Err(error),
        };
        let error = refused(result, ErrorKind::Unsupported)?;
        return names(&error, &["main"]);
    }
    let expected: [&[&str]; 4] = [&[], &["1 v1", "2 v1"], &["1 v2", "2 v1"], &["1 v2"]];
    for (at, (moment, expected)) in moments.iter().zip(expected).enumerate() {
        let options = ReadOptions::default().with_as_of(*moment);
        let rows = read(&store, "a", options).await?;
        check_eq(rows.lines(&SEEN)?, expected, format!("after {at} changes"))?;
    }
    // The moment of a write is in, just before it is not.
    let before = ReadOptions::default().with_as_of(moments[2] - 1);
    let rows = read(&store, "a", before).await?;
    check_eq(rows.lines(&SEEN)?, ["1 v1", "2 v1"], "just before a write")
}

/// A limit keeps rows away, whichever, and counts what is left after filters (§5).
pub async fn yields_at_most_as_many_as_asked(bed: &TestBed) -> Outcome {
    let store = described(bed).await?;
    for (limit, expected) in [(0, 0), (1, 1), (3, 3), (4, 4), (100, 4)] {
        let rows = read(&store, "a", ReadOptions::default().with_limit(limit)).await?;
        check_eq(rows.len(), expected, format!("of at most {limit}"))?;
        let mut ids = rows.ids()?;
        ids.dedup();
        check_eq(ids.len(), expected, "different samples")?;
    }
    let cats = ReadOptions::default()
        .with_filters([col("kind").eq("cat")])
        .with_limit(2);
    let rows = read(&store, "a", cats).await?;
    check_eq(rows.words("kind")?, ["cat", "cat"], "cats")
}

/// Looking only into this store, a feature that only a fallback has is not found (§7).
pub async fn looks_only_here_when_asked(bed: &TestBed) -> Outcome {
    let prod = bed.builder("prod").await?.with_graph(pair()?).build()?;
    prod.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let dev = bed.builder("dev").await?.with_graph(pair()?);
    let dev = dev.with_fallback(prod).build()?;
    let rows = read(&dev, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1], "through the chain")?;
    let local = ReadOptions::default().with_local_only(true);
    let error = refused(
        dev.read(&key("a")?, local).await,
        ErrorKind::FeatureNotFound,
    )?;
    names(&error, &["feature a", "\"dev\""])
}

/// A feature that was never written is an error that names it, the store and where that is (§5).
pub async fn refuses_what_was_never_written(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for options in [ReadOptions::default(), everything()] {
        let error = refused(
            store.read(&key("a")?, options).await,
            ErrorKind::FeatureNotFound,
        )?;
        let place = store.describe().to_string();
        names(&error, &["feature a", "\"main\"", &place])?;
        check(error.hint().is_some(), "no word on what to do next")?;
    }
    // Nor does another feature's table change that.
    store.write(&key("b")?, samples(&[(1, "x")])?).await?;
    let result = store.read(&key("a")?, ReadOptions::default()).await;
    refused(result, ErrorKind::FeatureNotFound).map(|_| ())
}

/// A feature that the graph does not have is not read, even if it is stored (§5).
pub async fn refuses_what_is_not_in_the_graph(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let raw = key("video/raw")?;
    store.write(&raw, videos(&[(1, "a", "f")])?).await?;
    let other = store.with_graph(pair()?);
    for options in [ReadOptions::default(), everything()] {
        let error = refused(other.read(&raw, options).await, ErrorKind::FeatureNotFound)?;
        names(&error, &["video/raw"])?;
    }
    Ok(())
}

/// A store has a feature from its first row on, until the last is gone: of whatever version, and tombstones count (§7).
pub async fn tells_whether_it_has_a_feature(bed: &TestBed) -> Outcome {
    let store = bed.store(version("1")?).await?;
    let a = key("a")?;
    let has = async |what: &str, expected: bool| -> Outcome {
        check_eq(store.has_feature(&a, false).await?, expected, what)?;
        check_eq(store.has_feature(&a, true).await?, expected, what)
    };
    has("before", false).await?;
    store.write(&a, samples(&[(1, "x")])?).await?;
    has("after a write", true).await?;
    let next = store.with_graph(version("2")?);
    let found = next.has_feature(&a, false).await?;
    check(found, "rows of another version do not count")?;
    store.delete(&a, DeleteOptions::soft()).await?;
    has("after a soft delete", true).await?;
    if store.capabilities().hard_delete {
        store.delete(&a, DeleteOptions::hard()).await?;
        has("after a hard delete", false).await?;
    }
    store.drop_feature(&a).await?;
    has("after it was dropped", false).await
}

/// The schema of a feature is what a read yields, and there is none before the first write (contract of `Backend`).
pub async fn tells_the_columns_of_a_feature(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    check(
        store.feature_schema(&a).await?.is_none(),
        "a schema before the first write",
    )?;
    let rows = with_column(&samples(&[(1, "x")])?, "size", ints([3]))?;
    let rows = with_column(&rows, "kind", texts(["cat"]))?;
    store
        .write(&a, with_column(&rows, "tame", bools([true]))?)
        .await?;
    let Some(schema) = store.feature_schema(&a).await? else {
        return check(false, "no schema after a write");
    };
    let frame = store.read(&a, ReadOptions::default()).await?;
    let announced = frame.schema().clone();
    let batch = frame.collect().await?.to_batch()?;
    for (what, found) in [("announced", &announced), ("yielded", &batch.schema())] {
        let show = |schema: &arrow::datatypes::Schema| -> Vec<String> {
            let fields = schema.fields().iter();
            fields
                .map(|f| format!("{}: {}", f.name(), f.data_type()))
                .collect()
        };
        check_eq(show(found), show(&schema), what)?;
    }
    for column in metaxy_store::columns::ALL {
        check(
            schema.field_with_name(column).is_ok(),
            format!("no column {column}"),
        )?;
    }
    Ok(())
}

/// A feature whose rows were all removed is empty rather than unknown (§7).
pub async fn an_emptied_feature_reads_as_empty(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(1, "x")])?).await?;
    let options = match store.capabilities().hard_delete {
        true => DeleteOptions::hard(),
        false => DeleteOptions::soft(),
    };
    store.delete(&a, options).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check(rows.is_empty(), "rows of an emptied feature")?;
    check(
        rows.columns().contains(&"metaxy_provenance".to_owned()),
        "its columns are gone",
    )
}

/// A filter sees the current rows, so a value of an overwritten row finds nothing; with sample history it does (§5).
pub async fn filters_after_deduplication(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let rows = |size: i64| with_column(&samples(&[(1, "x")])?, "size", ints([size]));
    store.write(&a, rows(1)?).await?;
    store.write(&a, rows(2)?).await?;
    let sized = |size: i64| ReadOptions::default().with_filters([col("size").eq(size)]);
    check(
        read(&store, "a", sized(1)).await?.is_empty(),
        "an overwritten row was found",
    )?;
    check_eq(read(&store, "a", sized(2)).await?.len(), 1, "the current")?;
    let history = sized(1).with_sample_history(true);
    check_eq(read(&store, "a", history).await?.len(), 1, "the old one")?;

    // Nor is a deleted sample brought back by a filter that its tombstone does not pass.
    store.delete(&a, DeleteOptions::soft()).await?;
    let alive = ReadOptions::default().with_filters([col("metaxy_deleted_at").is_null()]);
    check(
        read(&store, "a", alive).await?.is_empty(),
        "a deleted sample was found",
    )
}

/// Several filters hold together, and rows for which one is null are left out (§5).
pub async fn all_filters_must_hold(bed: &TestBed) -> Outcome {
    let store = described(bed).await?;
    for (filters, expected) in [
        (vec!["kind = 'cat'", "size > 10"], vec![3]),
        (vec!["kind <> 'cat'"], vec![2]),
        (vec!["NOT kind = 'cat'", "size = 20"], vec![2]),
        (vec!["kind IS NULL OR size = 20"], vec![2, 4]),
        (vec!["kind IN ('cat', 'bird')", "tame"], vec![1]),
        (vec!["tame IS NOT TRUE"], vec![2, 3, 4]),
    ] {
        let parsed: Result<Vec<Expr>> = filters.iter().map(|text| Expr::parse(text)).collect();
        let options = ReadOptions::default().with_filters(parsed?);
        let rows = read(&store, "a", options).await?;
        check_eq(rows.ids()?, expected, format!("{filters:?}"))?;
    }
    Ok(())
}

/// Filters on columns that do not exist, or that compare things of different kinds, are refused (§10).
pub async fn refuses_filters_that_do_not_fit(bed: &TestBed) -> Outcome {
    let store = described(bed).await?;
    for (text, culprit) in [
        ("sizze > 1", "\"sizze\""),
        ("Kind = 'cat'", "\"Kind\""),
        ("kind = 3", "kind"),
        ("size = 'three'", "size"),
        ("tame = 'yes'", "tame"),
        ("metaxy_updated_at > 'yesterday'", "metaxy_updated_at"),
        ("kind", "kind"),
        ("size IN (1, 'two')", "size"),
    ] {
        let options = ReadOptions::default().with_filters([Expr::parse(text)?]);
        let result = store.read(&key("a")?, options).await;
        let error = refused(result, ErrorKind::InvalidFilter)?;
        names(&error, &[culprit, "feature: a", "main"])?;
    }
    Ok(())
}

/// A store that is opened anew reads what another wrote (§5).
pub async fn another_handle_sees_what_was_written(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    if !store.capabilities().concurrent_writers {
        drop(store);
        let again = bed.store(pair()?).await?;
        let rows = read(&again, "a", ReadOptions::default()).await?;
        return check_eq(rows.lines(&SEEN)?, ["1 x"], "the samples");
    }
    let other = bed.store(pair()?).await?;
    let rows = read(&other, "a", ReadOptions::default()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 x"], "the first write")?;
    store.write(&key("a")?, samples(&[(1, "y")])?).await?;
    let rows = read(&other, "a", ReadOptions::default()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 y"], "the second write")
}

/// Reads beside the writes of another handle see each write whole or not at all (contract of `Backend`).
pub async fn sees_whole_writes_of_another_handle(bed: &TestBed) -> Outcome {
    const SAMPLES: i64 = 40;
    let writer = bed.store(pair()?).await?;
    let reader = match writer.capabilities().concurrent_writers {
        true => bed.store(pair()?).await?,
        false => writer.clone(),
    };
    let a = key("a")?;
    let write = async |round: i64| -> Outcome {
        let version = format!("v{round}");
        let rows: Vec<_> = (0..SAMPLES).map(|id| (id, version.as_str())).collect();
        writer.write(&a, samples(&rows)?).await?;
        Ok(())
    };
    write(0).await?;
    let done = AtomicBool::new(false);
    let writes = async {
        let mut result = Ok(());
        for round in 1..=20 {
            result = write(round).await;
            if result.is_err() {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        result
    };
    let reads = async {
        while !done.load(Ordering::Relaxed) {
            let rows = read(&reader, "a", ReadOptions::default()).await?;
            check_eq(rows.ids()?, (0..SAMPLES).collect::<Vec<_>>(), "the samples")?;
            let versions = rows.words("metaxy_provenance_by_field.default")?;
            check(
                versions.iter().all(|version| *version == versions[0]),
                format!("a write was seen in part: {versions:?}"),
            )?;
        }
        Outcome::Ok(())
    };
    let (written, seen) = futures::future::join(writes, reads).await;
    written?;
    seen?;
    let rows = read(&reader, "a", ReadOptions::default()).await?;
    let versions = rows.words("metaxy_provenance_by_field.default")?;
    check(versions.iter().all(|v| v == "v20"), "the last write")
}

/// What most cases look at.
const SEEN: [&str; 2] = ["id", "metaxy_provenance_by_field.default"];

/// A root `a` of this code version.
fn version(code: &str) -> Result<FeatureGraph> {
    let field = FieldSpec::new("default")?.with_code_version(code);
    graph([FeatureSpec::new("a", ["id"])?.with_field(field)])
}

/// One store under two versions of `a`: samples 1 and 2 were written under the first, then 2 and 3 under the second.
async fn two_versions(bed: &TestBed) -> Outcome<[MetadataStore; 2]> {
    let v1 = bed.store(version("1")?).await?;
    let v2 = v1.with_graph(version("2")?);
    let a = key("a")?;
    v1.write(&a, samples(&[(1, "one"), (2, "one")])?).await?;
    v2.write(&a, samples(&[(2, "two"), (3, "two")])?).await?;
    Ok([v1, v2])
}

/// Four samples of `a` with a size, a kind and whether they are tame; each was overwritten once.
async fn described(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "x"), (2, "x"), (3, "x"), (4, "x")])?;
    let old = with_column(&rows, "size", ints([0, 0, 0, 0]))?;
    let old = with_column(&old, "kind", texts(["old", "old", "old", "old"]))?;
    let old = with_column(&old, "tame", bools([true, true, true, true]))?;
    store.write(&key("a")?, old).await?;
    let rows = with_column(&rows, "size", ints([10, 20, 30, 40]))?;
    let kinds = texts([Some("cat"), Some("dog"), Some("cat"), None]);
    let rows = with_column(&rows, "kind", kinds)?;
    let tame = bools([Some(true), Some(false), None, None]);
    store
        .write(&key("a")?, with_column(&rows, "tame", tame)?)
        .await?;
    Ok(store)
}
