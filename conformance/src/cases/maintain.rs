//! Maintenance: rows that no current read returns can be removed, and the storage put in order, and no read changes
//! (`semantics.md` §5).

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::time::Duration;

use indexmap::IndexMap;
use metaxy_store::backend::append::{Append, Times};
use metaxy_store::backend::maintain::{Maintenance, Prune, Superseded};
use metaxy_store::store::{MaintainReport, VersionsLeft};
use metaxy_store::{
    Access, DeleteOptions, ErrorKind, Expr, MaintainOptions, MetadataStore, ReadOptions, Result,
    WriteOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{
    Table, everything, frame, ints, keyed, read, samples, stored, texts, with_column,
};
use crate::bed::graphs::{feature, graph, key, pair, pair_of};
use crate::bed::increments::{apply, compute, resolve};
use crate::cases::delete::soft;
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "maintain":
    keeps_the_latest_rows_of_each_sample,
    removes_superseded_rows_of_an_age,
    keeps_a_tombstone_that_is_the_latest,
    keeps_the_latest_of_every_feature_version,
    keeps_the_row_stored_later_of_equal_stamps,
    tells_samples_apart_by_all_their_ids,
    prunes_beside_columns_of_any_name,
    prunes_only_the_features_it_is_told,
    a_dry_run_changes_nothing,
    prunes_nothing_of_a_feature_never_written,
    prunes_nothing_of_tables_that_lack_columns,
    a_row_with_a_null_supersedes_nothing,
    removes_versions_that_no_recent_push_has,
    keeps_versions_that_may_be_needed,
    refuses_old_versions_before_a_push,
    refuses_what_makes_no_sense,
    refuses_to_prune_without_hard_deletes,
    refuses_when_opened_for_reading,
    leaves_every_read_as_it_was,
    leaves_the_next_increment_as_it_was,
    loses_nothing_beside_writers,
    goes_on_after_a_result_that_was_not_read,
    verifies_what_is_sound,
    verifies_what_is_of_another_graph,
    verifies_nothing_of_a_feature_never_written,
}

/// With a number of rows to keep, the latest ones of each sample stay, and the others go (§5).
pub async fn keeps_the_latest_rows_of_each_sample(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    for version in ["v1", "v2", "v3"] {
        store.write(&key("a")?, samples(&[(1, version)])?).await?;
    }
    store.write(&key("a")?, samples(&[(2, "w")])?).await?;
    check_eq(pruned(&store, keep(3)?).await?, 0, "rows beyond three")?;
    check_eq(pruned(&store, keep(2)?).await?, 1, "rows beyond two")?;
    check_eq(history(&store).await?, ["1 v2", "1 v3", "2 w"], "history")?;
    check_eq(pruned(&store, keep(1)?).await?, 1, "rows beyond one")?;
    check_eq(history(&store).await?, ["1 v3", "2 w"], "what is left")?;
    check_eq(pruned(&store, keep(1)?).await?, 0, "rows that are left")?;
    check_eq(current(&store).await?, ["1 v3", "2 w"], "the samples")?;
    // Writes go on as before.
    store.write(&key("a")?, samples(&[(1, "v4")])?).await?;
    check_eq(current(&store).await?, ["1 v4", "2 w"], "samples written")
}

/// With an age, superseded rows that were written longer ago go; a row that nothing supersedes stays, however old (§5).
pub async fn removes_superseded_rows_of_an_age(bed: &TestBed) -> Outcome {
    const DAY: i64 = 86_400_000_000;
    let store = removing(bed).await?;
    let start = bed.clock().peek();
    for (day, version) in (0..).zip(["v1", "v2", "v3"]) {
        bed.clock().set(start + day * DAY);
        store.write(&key("a")?, samples(&[(1, version)])?).await?;
        if day == 0 {
            store.write(&key("a")?, samples(&[(2, "old")])?).await?;
        }
    }
    bed.clock().set(start + 10 * DAY);
    let older =
        |days: u64| MaintainOptions::default().with_older_than(Duration::from_secs(days * 86_400));
    check_eq(pruned(&store, older(11)).await?, 0, "from before all")?;
    // From ten days and a little ago on.
    bed.clock().set(start + 10 * DAY + DAY / 2);
    check_eq(pruned(&store, older(10)).await?, 1, "of the first day")?;
    let left = ["1 v2", "1 v3", "2 old"];
    check_eq(history(&store).await?, left, "history")?;
    check_eq(pruned(&store, older(0)).await?, 1, "of any age")?;
    check_eq(history(&store).await?, ["1 v3", "2 old"], "what is left")?;
    check_eq(current(&store).await?, ["1 v3", "2 old"], "the samples")
}

/// The latest row of a deleted sample is its tombstone, which stays: without it the sample would come back (§5).
pub async fn keeps_a_tombstone_that_is_the_latest(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let a = key("a")?;
    store
        .write(&a, samples(&[(1, "x"), (2, "x"), (3, "x")])?)
        .await?;
    let soft = |filter: &str| -> Result<DeleteOptions> {
        Ok(DeleteOptions::soft().with_filters([Expr::parse(filter)?]))
    };
    store.delete(&a, soft("id < 3")?).await?;
    store.write(&a, samples(&[(2, "back")])?).await?;
    // Samples 1 and 2 were written before; the tombstone of 2 is superseded, too.
    check_eq(pruned(&store, keep(1)?).await?, 3, "superseded rows")?;
    check_eq(current(&store).await?, ["2 back", "3 x"], "the living")?;
    let all = ReadOptions::default().with_soft_deleted(true);
    let rows = read(&store, "a", all.clone()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 x", "2 back", "3 x"], "with deleted")?;
    let longer = bed.clock().peek() + 86_400_000_000;
    bed.clock().set(longer);
    let old = MaintainOptions::default().with_older_than(Duration::from_secs(60));
    check_eq(pruned(&store, old).await?, 0, "old rows")?;
    let rows = read(&store, "a", all).await?;
    check_eq(rows.lines(&SEEN)?, ["1 x", "2 back", "3 x"], "then")
}

/// Each feature version has a latest row of each sample, which stays, and every read of a version is as it was (§5).
pub async fn keeps_the_latest_of_every_feature_version(bed: &TestBed) -> Outcome {
    let v1 = removing(bed).await?.with_graph(pair_of("1", "1")?);
    let v2 = v1.with_graph(pair_of("2", "1")?);
    let a = key("a")?;
    v1.write(&a, samples(&[(1, "one"), (2, "one")])?).await?;
    v1.write(&a, samples(&[(1, "One")])?).await?;
    v2.write(&a, samples(&[(1, "two"), (3, "two")])?).await?;
    v2.write(&a, samples(&[(1, "Two")])?).await?;
    v2.write(&a, samples(&[(1, "TWO")])?).await?;
    let whole = ReadOptions::default().with_feature_history(true);
    let over_all = read(&v2, "a", whole.clone()).await?.lines(&SEEN)?;
    check_eq(pruned(&v2, keep(2)?).await?, 1, "rows beyond two")?;
    bed.clock().set(bed.clock().peek() + 86_400_000_000);
    let old = MaintainOptions::default().with_older_than(Duration::from_secs(60));
    check_eq(pruned(&v2, old).await?, 2, "superseded rows")?;
    check_eq(current(&v1).await?, ["1 One", "2 one"], "version 1")?;
    check_eq(current(&v2).await?, ["1 TWO", "3 two"], "version 2")?;
    let rows = read(&v2, "a", whole).await?;
    check_eq(rows.lines(&SEEN)?, over_all, "the latest over all versions")
}

/// Of rows with equal stamps the one that was stored later is the latest (§5).
pub async fn keeps_the_row_stored_later_of_equal_stamps(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let at = bed.clock().peek();
    for version in ["m", "z", "a", "k"] {
        let rows = samples(&[(1, version), (2, version)])?;
        let options = WriteOptions::default().with_at(at);
        store.write_with(&key("a")?, rows, options).await?;
    }
    let before = current(&store).await?;
    check_eq(&before, &vec!["1 k".to_owned(), "2 k".to_owned()], "before")?;
    check_eq(pruned(&store, keep(2)?).await?, 4, "rows beyond two")?;
    let left = ["1 a", "1 k", "2 a", "2 k"];
    check_eq(history(&store).await?, left, "history")?;
    check_eq(pruned(&store, keep(1)?).await?, 2, "rows beyond one")?;
    check_eq(current(&store).await?, before, "the samples")
}

/// A sample is what all its ID columns say (§5).
pub async fn tells_samples_apart_by_all_their_ids(bed: &TestBed) -> Outcome {
    let spec = metaxy_store::FeatureSpec::new("a", ["video", "clip"])?;
    let store = removing(bed).await?.with_graph(graph([spec])?);
    for version in ["x", "y"] {
        let columns: [(&str, &[i64]); 2] = [("video", &[1, 1, 2]), ("clip", &[1, 2, 1])];
        let rows = keyed(&columns, &[version; 3])?;
        store.write(&key("a")?, rows).await?;
    }
    check_eq(pruned(&store, keep(1)?).await?, 3, "superseded rows")?;
    let rows = read(&store, "a", everything()).await?;
    let seen = ["video", "clip", "metaxy_provenance_by_field.default"];
    check_eq(rows.lines(&seen)?, ["1 1 y", "1 2 y", "2 1 y"], "rows")
}

/// Columns of the user's may have the names that an engine or a statement has for its own things.
pub async fn prunes_beside_columns_of_any_name(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let a = key("a")?;
    let write = async |version: &str, number: i64| -> Outcome {
        let mut rows = samples(&[(1, version), (2, version)])?;
        for name in ["rowid", "r", "s", "n", "a", "ranked"] {
            rows = with_column(&rows, name, ints([-number, number]))?;
        }
        store.write(&a, rows).await?;
        Ok(())
    };
    for (number, version) in (1..).zip(["x", "y", "z"]) {
        write(version, number).await?;
    }
    let dry = keep(1)?.with_dry_run(true);
    check_eq(pruned(&store, dry).await?, 4, "rows that would go")?;
    check_eq(pruned(&store, keep(1)?).await?, 4, "superseded rows")?;
    let rows = read(&store, "a", everything()).await?;
    check_eq(rows.lines(&SEEN)?, ["1 z", "2 z"], "rows")?;
    check_eq(rows.ints("rowid")?, [Some(-3), Some(3)], "a column")?;
    write("later", 4).await?;
    check_eq(current(&store).await?, ["1 later", "2 later"], "then")?;
    check_eq(pruned(&store, keep(1)?).await?, 2, "superseded rows")
}

/// Only the features that are named lose rows; without names all do that have a table (§5).
pub async fn prunes_only_the_features_it_is_told(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    for feature in ["a", "b"] {
        for version in ["x", "y"] {
            let rows = samples(&[(1, version)])?;
            store.write(&key(feature)?, rows).await?;
        }
    }
    let only = keep(1)?.with_features([key("b")?]);
    let report = store.maintain(only).await?;
    check_eq(report.pruned, [(key("b")?, 1)], "the features")?;
    check_eq(stored(&store, "a").await?.len(), 2, "rows of a")?;
    check_eq(stored(&store, "b").await?.len(), 1, "rows of b")?;
    let report = store.maintain(keep(1)?).await?;
    check_eq(report.pruned, [(key("a")?, 1), (key("b")?, 0)], "all")?;
    check_eq(stored(&store, "a").await?.len(), 1, "rows of a")
}

/// A dry run says how many rows would go, needs no right to write, and changes nothing.
pub async fn a_dry_run_changes_nothing(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    for version in ["x", "y", "z"] {
        store.write(&a, samples(&[(1, version)])?).await?;
    }
    let dry = MaintainOptions::default().with_dry_run(true);
    let before = stored(&store, "a").await?;
    let reader = bed.backend("main", Access::Read).await?;
    let reader = bed.over(reader).with_graph(pair()?).build()?;
    for store in [&store, &reader] {
        let mut options = dry.clone();
        let mut expected = Vec::new();
        if store.capabilities().hard_delete {
            options = keep(1)?.with_dry_run(true);
            expected = vec![(a.clone(), 2)];
        }
        let report = store.maintain(options).await?;
        check_eq(report.pruned, expected, "what would go")?;
        check_eq(stored(store, "a").await?, before.clone(), "what is stored")?;
    }
    Ok(())
}

/// A feature without a table has nothing to remove, and gets none.
pub async fn prunes_nothing_of_a_feature_never_written(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let report = store.maintain(keep(1)?).await?;
    check_eq(report.pruned, [], "features with a table")?;
    let named = keep(1)?.with_features([key("a")?]);
    check_eq(pruned(&store, named.clone()).await?, 0, "rows")?;
    let dry = named.with_dry_run(true);
    check_eq(pruned(&store, dry).await?, 0, "rows that would go")?;
    let table = store.feature_schema(&key("a")?).await?;
    check(table.is_none(), "a table was made")
}

/// A table that lacks the time of a row, or an ID, has no superseded rows; one without feature versions is of one version.
pub async fn prunes_nothing_of_tables_that_lack_columns(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let backend = store.backend();
    let ids = || ints([1, 1, 2]);
    let stamps = || crate::bed::frames::times([Some(5), Some(7), Some(3)]);
    let tables = [
        (
            "timeless",
            frame([("id", ids()), ("metaxy_feature_version", texts(["v"; 3]))])?,
            0,
        ),
        (
            "idless",
            frame([
                ("metaxy_feature_version", texts(["v"; 3])),
                ("metaxy_updated_at", stamps()),
            ])?,
            0,
        ),
        (
            "versionless",
            frame([("id", ids()), ("metaxy_updated_at", stamps())])?,
            1,
        ),
        (
            "only-deleted",
            frame([("id", ids()), ("metaxy_deleted_at", stamps())])?,
            1,
        ),
    ];
    for (name, rows, superseded) in tables {
        let table = key(name)?;
        backend.append(vec![kept(name, rows)?]).await?;
        let prune = Prune::default().with_id_columns(["id"]);
        for (dry_run, expected) in [(true, superseded), (false, superseded), (false, 0)] {
            let prune = prune.clone().with_dry_run(dry_run);
            let pruned = backend.prune(&table, &prune).await?;
            check_eq(pruned, expected, format!("superseded rows of {name}"))?;
        }
        let none = Prune::default();
        check_eq(backend.prune(&table, &none).await?, 0, "without IDs")?;
    }
    Ok(())
}

/// A row without a stamp supersedes nothing and is superseded by nothing, as in reads.
pub async fn a_row_with_a_null_supersedes_nothing(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let backend = store.backend();
    let rows = frame([
        ("id", ints([1, 1, 1, 2])),
        ("note", texts(["first", "second", "timeless", "timeless"])),
        (
            "metaxy_feature_version",
            texts([Some("v"), Some("v"), Some("v"), None]),
        ),
        (
            "metaxy_updated_at",
            crate::bed::frames::times([Some(5), Some(7), None, None]),
        ),
    ])?;
    backend.append(vec![kept("a", rows)?]).await?;
    let prune = Prune::default().with_id_columns(["id"]);
    for superseded in [
        Superseded::Before(6),
        Superseded::Before(i64::from(i32::MAX)),
        Superseded::default(),
    ] {
        let prune = prune.clone().with_superseded(superseded);
        backend.prune(&key("a")?, &prune).await?;
        let schema = backend.schema(&key("a")?).await?;
        let schema = schema.ok_or_else(|| Stop::failed("the table is gone"))?;
        let scan = metaxy_store::plan::Scan::all(key("a")?);
        let plan = metaxy_store::plan::Relation::scan(scan, schema).into();
        let left = Table::of(backend.query(plan).await?).await?;
        let expected = ["1 second", "1 timeless", "2 timeless"];
        check_eq(left.lines(&["id", "note"])?, expected, "what is left")?;
    }
    Ok(())
}

/// Rows of feature versions that none of the last so many pushed graphs has go, tombstones and history too; those of the version at hand
/// stay, pushed or not, and every read of a version that stays gives what it gave (§15).
pub async fn removes_versions_that_no_recent_push_has(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let a = key("a")?;
    let mut stores = Vec::new();
    for code in ["1", "2", "3", "4"] {
        let version = store.with_graph(pair_of(code, "1")?);
        let rows = samples(&[(1, code), (2, code)])?;
        version.write(&a, rows.clone()).await?;
        version.write(&a, rows).await?;
        let one = DeleteOptions::soft().with_filters([col("id").eq(2)]);
        version.delete(&a, one).await?;
        // The last version is never pushed.
        if code != "4" {
            version.push_graph(None, &indexmap::IndexMap::new()).await?;
        }
        stores.push(version);
    }
    let now = &stores[3];
    let mut before = Vec::new();
    for version in &stores[1..] {
        before.push(version_of(version).await?);
    }
    let old = |pushes: u64| -> Outcome<MaintainOptions> {
        let pushes = NonZeroU64::new(pushes).ok_or_else(|| Stop::failed("no pushes"))?;
        Ok(MaintainOptions::default().with_old_versions(pushes))
    };
    let gone = |report: &MaintainReport| -> Vec<(String, u64)> {
        let old = report.old_versions.iter();
        old.map(|old| (old.version.clone(), old.rows)).collect()
    };
    let version = |at: usize| stores[at].graph().feature_version("a").map(str::to_owned);
    let all = stored(now, "a").await?;
    check_eq(gone(&now.maintain(old(3)?).await?), [], "of three pushes")?;
    let dry = now.maintain(old(2)?.with_dry_run(true)).await?;
    check_eq(gone(&dry), [(version(0)?, 5)], "what would go")?;
    check_eq(stored(now, "a").await?, all, "after a dry run")?;
    let report = now.maintain(old(2)?).await?;
    check_eq(gone(&report), [(version(0)?, 5)], "of two pushes")?;
    check_eq(report.rows_of_old_versions(), 5, "rows")?;
    let mut after = Vec::new();
    for version in &stores[1..] {
        after.push(version_of(version).await?);
    }
    check_eq(&after, &before, "versions that stay")?;
    let report = now.maintain(old(1)?).await?;
    check_eq(gone(&report), [(version(1)?, 5)], "of one push")?;
    check_eq(version_of(&stores[2]).await?, before[1].clone(), "pushed")?;
    check_eq(version_of(now).await?, before[2].clone(), "the one at hand")?;
    check(
        version_of(&stores[0]).await?.is_empty(),
        "rows of the first",
    )
}

/// A feature that no pushed graph has keeps all its versions; so does one that has no row of its current version, for which what depends
/// on it waits (§15).
pub async fn keeps_versions_that_may_be_needed(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let (first, second) = (store.clone(), store.with_graph(pair_of("2", "2")?));
    for feature in ["a", "b"] {
        first.write(&key(feature)?, samples(&[(1, "x")])?).await?;
    }
    second.write(&key("b")?, samples(&[(1, "y")])?).await?;
    // Only a is pushed, as it is now.
    let none = indexmap::IndexMap::new();
    let one = MaintainOptions::default().with_old_versions(NonZeroU64::MIN);
    let lone = |store: &MetadataStore| -> Result<MetadataStore> {
        let spec = store.graph().require("a")?.spec.clone();
        Ok(store.with_graph(graph([spec])?))
    };
    lone(&second)?.push_graph(None, &none).await?;
    let report = second.maintain(one.clone()).await?;
    check_eq(report.old_versions.len(), 0, "versions that went")?;
    let left = [
        (key("a")?, VersionsLeft::NotComputed),
        (key("b")?, VersionsLeft::NeverPushed),
    ];
    check_eq(report.versions_left, left, "features that keep theirs")?;
    second.push_graph(None, &none).await?;
    second.write(&key("a")?, samples(&[(1, "y")])?).await?;
    let report = second.maintain(one).await?;
    check_eq(report.rows_of_old_versions(), 2, "rows that went")?;
    check_eq(report.versions_left, [], "features that keep theirs")
}

/// Where nothing was ever pushed no version is known to be old: it is refused, and nothing is done.
pub async fn refuses_old_versions_before_a_push(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let old = store.with_graph(pair_of("2", "1")?);
    old.write(&key("a")?, samples(&[(1, "x")])?).await?;
    store.write(&key("a")?, samples(&[(1, "y")])?).await?;
    let before = stored(&store, "a").await?;
    let options = MaintainOptions::default().with_old_versions(NonZeroU64::MIN);
    for options in [options.clone(), options.with_dry_run(true)] {
        let result = store.maintain(options).await;
        let error = refused(result, ErrorKind::InvalidArgument)?;
        names(&error, &["main", "pushed", "metaxy push"])?;
    }
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// Every row of the version of `a` that the store's graph has, as a read shows it.
async fn version_of(store: &MetadataStore) -> Outcome<Vec<String>> {
    let all = ReadOptions::default()
        .with_sample_history(true)
        .with_soft_deleted(true);
    let mut lines = current(store).await?;
    lines.extend(read(store, "a", all).await?.lines(&SEEN)?);
    Ok(lines)
}

/// Both limits at once, and a feature that is not in the graph, are refused before anything is done.
pub async fn refuses_what_makes_no_sense(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for version in ["x", "y"] {
        store.write(&key("a")?, samples(&[(1, version)])?).await?;
    }
    let before = stored(&store, "a").await?;
    let both = keep(1)?.with_older_than(Duration::from_secs(1));
    for options in [both.clone(), both.with_dry_run(true)] {
        let result = store.maintain(options).await;
        let error = refused(result, ErrorKind::InvalidArgument)?;
        names(&error, &["main", "keep", "older_than"])?;
    }
    for options in [MaintainOptions::default(), keep(1)?] {
        let unknown = options.with_features([key("a")?, key("aa")?]);
        let result = store.maintain(unknown).await;
        let error = refused(result, ErrorKind::FeatureNotFound)?;
        names(&error, &["feature: aa", "main"])?;
    }
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// Where rows cannot be removed, pruning is refused, in a dry run too; the storage is put in order all the same.
pub async fn refuses_to_prune_without_hard_deletes(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for version in ["x", "y"] {
        store.write(&key("a")?, samples(&[(1, version)])?).await?;
    }
    let before = stored(&store, "a").await?;
    store.maintain(MaintainOptions::default()).await?;
    check_eq(stored(&store, "a").await?, before.clone(), "after it")?;
    if store.capabilities().hard_delete {
        return check_eq(pruned(&store, keep(1)?).await?, 1, "superseded rows");
    }
    for options in [keep(1)?, keep(1)?.with_dry_run(true)] {
        let error = refused(store.maintain(options).await, ErrorKind::Unsupported)?;
        names(&error, &["main"])?;
    }
    let prune = Prune::default().with_id_columns(["id"]);
    for prune in [prune.clone(), prune.with_dry_run(true)] {
        let result = store.backend().prune(&key("a")?, &prune).await;
        refused(result, ErrorKind::Unsupported)?;
    }
    check_eq(stored(&store, "a").await?, before, "what is stored")
}

/// A store that was opened for reading is not maintained, only looked at (§7).
pub async fn refuses_when_opened_for_reading(bed: &TestBed) -> Outcome {
    let writer = bed.store(pair()?).await?;
    for version in ["x", "y"] {
        writer.write(&key("a")?, samples(&[(1, version)])?).await?;
    }
    let before = stored(&writer, "a").await?;
    let backend = bed.backend("main", Access::Read).await?;
    for access in [Access::Read, Access::Write] {
        // The second store mistakes its backend for one that can write.
        let store = bed.over(backend.clone()).with_access(access);
        let store = store.with_graph(pair()?).build()?;
        let mut all = vec![MaintainOptions::default()];
        if store.capabilities().hard_delete {
            all.push(keep(1)?);
        }
        for options in all {
            let error = refused(store.maintain(options).await, ErrorKind::ReadOnly)?;
            names(&error, &["main"])?;
        }
    }
    check_eq(stored(&writer, "a").await?, before, "what is stored")
}

/// Putting the storage in order changes no answer: whatever is read, before and after, from this handle and from a new one (§5).
pub async fn leaves_every_read_as_it_was(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    for (number, version) in (0..).zip(["v1", "v2", "v3", "v4"]) {
        let rows = samples(&[(1, version), (number + 2, version)])?;
        let rows = with_column(&rows, "note", texts([Some("é"), None]))?;
        store.write(&a, rows).await?;
        store
            .write(&key("b")?, samples(&[(number, version)])?)
            .await?;
    }
    let one = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    store.delete(&a, one).await?;
    let then = bed.clock().peek();
    store.write(&a, samples(&[(1, "v5")])?).await?;
    let before = answers(&store, then).await?;
    let tables = store.backend().tables().await?;
    let retention = MaintainOptions::default().with_retention(Duration::ZERO);
    for options in [
        MaintainOptions::default(),
        MaintainOptions::default().with_features([a.clone()]),
        retention,
    ] {
        store.maintain(options).await?;
        check_eq(answers(&store, then).await?, before.clone(), "answers")?;
        let again = bed.store(pair()?).await?;
        check_eq(answers(&again, then).await?, before.clone(), "opened anew")?;
        check_eq(store.backend().tables().await?, tables.clone(), "tables")?;
    }
    // Of what is not there nothing is done, and nothing is made.
    let missing = Maintenance::default().with_tables([key("never")?]);
    store.backend().maintain(&missing).await?;
    check_eq(store.backend().tables().await?, tables, "tables")?;
    store.write(&a, samples(&[(9, "new")])?).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check(rows.ids()?.contains(&9), "writes go on")
}

/// What is new, stale and orphaned is so without the history (§6).
pub async fn leaves_the_next_increment_as_it_was(bed: &TestBed) -> Outcome {
    let store = removing(bed).await?;
    let a = key("a")?;
    let rows: Vec<(i64, &str)> = (1..=6).map(|id| (id, "x")).collect();
    store.write(&a, samples(&rows)?).await?;
    apply(&store, "b").await?;
    store.write(&a, samples(&[(1, "y"), (2, "y")])?).await?;
    apply(&store, "b").await?;
    // One is stale, one new, one orphaned, and one was deleted downstream.
    store.write(&a, samples(&[(1, "z"), (7, "x")])?).await?;
    let only = |id: i64| DeleteOptions::soft().with_filters([col("id").eq(id)]);
    store.delete(&a, only(3)).await?;
    store.delete(&key("b")?, only(4)).await?;
    let before = resolve(&store, "b").await?;
    before.are(&[4, 7], &[1], &[3])?;
    let lines = |table: &Table| {
        let columns = table.columns();
        table.lines(&columns.iter().map(String::as_str).collect::<Vec<_>>())
    };
    check(pruned(&store, keep(1)?).await? > 0, "rows were removed")?;
    let after = resolve(&store, "b").await?;
    for (part, before, after) in [
        ("new", &before.new, &after.new),
        ("stale", &before.stale, &after.stale),
        ("orphaned", &before.orphaned, &after.orphaned),
    ] {
        check_eq(lines(after)?, lines(before)?, part)?;
    }
    apply(&store, "b").await?;
    resolve(&store, "b").await?.nothing()
}

/// Beside writers that go on, rows are removed and the storage put in order again and again, and every sample has the last value
/// that was acknowledged (§5).
pub async fn loses_nothing_beside_writers(bed: &TestBed) -> Outcome {
    const WRITES: i64 = 12;
    const SOON: Duration = Duration::from_millis(2);
    let store = removing(bed).await?;
    let writer = bed.store(pair()?).await?;
    let writing = tokio::spawn(async move {
        for write in 0..WRITES {
            let version = format!("w{write:02}");
            let rows = samples(&[(1, version.as_str()), (100 + write, version.as_str())])?;
            while in_the_way(writer.write(&key("a")?, rows.clone()).await)? {
                tokio::time::sleep(SOON).await;
            }
        }
        Outcome::Ok(())
    });
    let mut rounds = 0;
    while !writing.is_finished() || rounds < 3 {
        let options = match rounds % 3 {
            0 => keep(1)?,
            1 => MaintainOptions::default().with_older_than(Duration::ZERO),
            _ => MaintainOptions::default(),
        };
        in_the_way(store.maintain(options).await)?;
        rounds += 1;
        tokio::time::sleep(SOON).await;
    }
    let written = writing.await;
    written.map_err(|e| Stop::failed(format!("the writer died: {e}")))??;
    let expected: Vec<String> = [format!("1 w{:02}", WRITES - 1)]
        .into_iter()
        .chain((0..WRITES).map(|write| format!("{} w{write:02}", 100 + write)))
        .collect();
    let expected: BTreeSet<String> = expected.into_iter().collect();
    let found: BTreeSet<String> = current(&store).await?.into_iter().collect();
    check_eq(found, expected.clone(), "the samples")?;
    pruned(&store, keep(1)?).await?;
    let left: BTreeSet<String> = history(&store).await?.into_iter().collect();
    check_eq(left, expected, "what is left in the end")
}

/// A result of which only the beginning was taken, and that was given up, does not keep a store from being maintained.
pub async fn goes_on_after_a_result_that_was_not_read(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows: Vec<(i64, &str)> = (0..20_000).map(|id| (id, "x")).collect();
    store.write(&key("a")?, samples(&rows)?).await?;
    let mut reading = store.read(&key("a")?, ReadOptions::default()).await?;
    check(reading.next().await?.is_some(), "a first batch")?;
    drop(reading);
    store.maintain(MaintainOptions::default()).await?;
    check_eq(stored(&store, "a").await?.len(), 20_000, "rows")
}

const SEEN: [&str; 2] = ["id", "metaxy_provenance_by_field.default"];

/// The case's store, if rows can be removed from it.
async fn removing(bed: &TestBed) -> Outcome<MetadataStore> {
    let store = bed.store(pair()?).await?;
    match store.capabilities().hard_delete {
        true => Ok(store),
        false => Err(Stop::ignored("the backend cannot remove rows")),
    }
}

fn keep(rows: u64) -> Outcome<MaintainOptions> {
    let rows = NonZeroU64::new(rows).ok_or_else(|| Stop::failed("no rows to keep"))?;
    Ok(MaintainOptions::default().with_keep(rows))
}

/// How many rows went.
async fn pruned(store: &MetadataStore, options: MaintainOptions) -> Outcome<u64> {
    let report: MaintainReport = store.maintain(options).await?;
    Ok(report.rows_pruned())
}

async fn current(store: &MetadataStore) -> Outcome<Vec<String>> {
    read(store, "a", ReadOptions::default()).await?.lines(&SEEN)
}

async fn history(store: &MetadataStore) -> Outcome<Vec<String>> {
    read(store, "a", everything()).await?.lines(&SEEN)
}

/// Rows that come with their times.
fn kept(table: &str, rows: impl Into<metaxy_store::Frame>) -> Result<Append> {
    Ok(Append {
        table: key(table)?,
        id_columns: Vec::new(),
        rows: rows.into(),
        times: Times::Keep,
        create: true,
    })
}

/// What the store says to every kind of read of `a` and `b`, and to a resolve.
async fn answers(store: &MetadataStore, then: i64) -> Outcome<Vec<Vec<String>>> {
    let mut kinds = vec![
        ReadOptions::default(),
        ReadOptions::default().with_feature_history(true),
        ReadOptions::default().with_sample_history(true),
        ReadOptions::default().with_soft_deleted(true),
        everything(),
    ];
    if store.capabilities().as_of {
        kinds.push(ReadOptions::default().with_as_of(then));
    }
    let mut answers = Vec::new();
    for feature in ["a", "b"] {
        for options in &kinds {
            let rows = read(store, feature, options.clone()).await?;
            let mut columns = rows.columns();
            columns.sort();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            answers.push(rows.lines(&columns)?);
        }
    }
    let parts = resolve(store, "b").await?;
    for part in [&parts.new, &parts.stale, &parts.orphaned] {
        answers.push(part.lines(&["id"])?);
    }
    Ok(answers)
}

/// Whether somebody else was in the way, so that it can be tried again.
fn in_the_way<T>(done: Result<T>) -> Result<bool> {
    match done {
        Ok(_) => Ok(false),
        Err(e) if matches!(e.kind(), ErrorKind::Locked | ErrorKind::Conflict) => Ok(true),
        Err(e) => Err(e),
    }
}

/// Every row of every table is read, superseded ones and tombstones too, and nothing is wrong with them (§15).
pub async fn verifies_what_is_sound(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "y")])?)
        .await?;
    store.write(&key("a")?, samples(&[(1, "z")])?).await?;
    store.delete(&key("a")?, soft("id = 2")?).await?;
    compute(&store, "b").await?;
    store.push_graph(None, &IndexMap::new()).await?;
    let report = store.verify(None).await?;
    check(report.is_sound(), format!("it is sound: {report:?}"))?;
    check_eq(report.unread, Vec::<String>::new(), "tables not read")?;
    let rows = report
        .tables
        .iter()
        .map(|table| (table.feature.as_str(), table.rows));
    let rows: Vec<(&str, u64)> = rows
        .filter(|(table, _)| !table.contains("system"))
        .collect();
    check_eq(rows, [("a", 4), ("b", 1)], "the rows of each table")?;
    check_eq(report.tables.len(), 3, "tables, that of pushed graphs too")?;
    let report = store.verify(Some(vec![key("b")?])).await?;
    check_eq(report.tables.len(), 1, "tables that were asked for")
}

/// Tables are read whose features the graph does not have, also those whose names end as the name of one that it has.
pub async fn verifies_what_is_of_another_graph(bed: &TestBed) -> Outcome {
    let of = |name: &str| feature(name, &["default"], &[]);
    let wide = graph([of("a")?, of("more/a")?])?;
    let store = bed.store(wide).await?;
    for name in ["a", "more/a"] {
        store.write(&key(name)?, samples(&[(1, "x")])?).await?;
    }
    let narrow = store.with_graph(graph([of("a")?])?);
    let report = narrow.verify(None).await?;
    let tables: Vec<&str> = report.tables.iter().map(|t| t.feature.as_str()).collect();
    check_eq(tables, ["a", "more/a"], "the tables that were read")?;
    check_eq(report.unread, Vec::<String>::new(), "tables not read")
}

/// A table that is not there is not broken.
pub async fn verifies_nothing_of_a_feature_never_written(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    check_eq(store.verify(None).await?.tables.len(), 0, "tables")?;
    let only = store.verify(Some(vec![key("a")?])).await?;
    check_eq(only.tables.len(), 0, "tables that were asked for")?;
    let unknown = store.verify(Some(vec![key("other")?])).await;
    refused(unknown, ErrorKind::FeatureNotFound)?;
    Ok(())
}
