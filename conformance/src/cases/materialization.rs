//! Which run wrote a row: `metaxy_materialization_id` (`semantics.md` §4, §10).

use metaxy_store::{CopyOptions, DeleteOptions, MetadataStore, ReadOptions, WriteOptions, col};

use crate::bed::TestBed;
use crate::bed::frames::{everything, read, samples, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::outcome::{Outcome, check_eq};

cases! { "materialization":
    the_stores_run_is_on_every_write,
    a_write_can_name_its_own_run,
    is_null_when_no_run_is_named,
    empty_text_names_no_run,
    what_the_frame_says_does_not_count,
    each_write_has_its_own,
    can_be_filtered_by,
    tombstones_have_the_run_that_deletes,
    appending_copies_have_the_run_of_their_destination,
}

/// The run that a store is opened for marks every row that it writes (§4).
pub async fn the_stores_run_is_on_every_write(bed: &TestBed) -> Outcome {
    let store = run(bed, "main", Some("run-1")).await?;
    store
        .write(&key("a")?, samples(&[(1, "x"), (2, "x")])?)
        .await?;
    store.write(&key("a")?, samples(&[(3, "x")])?).await?;
    store.write(&key("b")?, samples(&[(1, "x")])?).await?;
    let expected = ["1 run-1", "2 run-1", "3 run-1"];
    check_eq(runs(&store, "a").await?, expected, "rows of a")?;
    check_eq(runs(&store, "b").await?, ["1 run-1"], "rows of b")
}

/// A run that a write names goes before that of the store (§4).
pub async fn a_write_can_name_its_own_run(bed: &TestBed) -> Outcome {
    let store = run(bed, "main", Some("run-1")).await?;
    write_as(&store, 1, "run-2").await?;
    store.write(&key("a")?, samples(&[(2, "x")])?).await?;
    check_eq(runs(&store, "a").await?, ["1 run-2", "2 run-1"], "rows")
}

/// Without a run the column is there, and null (§4).
pub async fn is_null_when_no_run_is_named(bed: &TestBed) -> Outcome {
    let store = run(bed, "main", None).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    check_eq(runs(&store, "a").await?, ["1 -"], "rows")?;
    write_as(&store, 2, "run-2").await?;
    check_eq(runs(&store, "a").await?, ["1 -", "2 run-2"], "rows")
}

/// An empty text names no run: the store's counts (§10).
pub async fn empty_text_names_no_run(bed: &TestBed) -> Outcome {
    let store = run(bed, "main", Some("run-1")).await?;
    write_as(&store, 1, "").await?;
    check_eq(runs(&store, "a").await?, ["1 run-1"], "rows")?;
    let store = run(bed, "other", None).await?;
    write_as(&store, 1, "").await?;
    check_eq(runs(&store, "a").await?, ["1 -"], "rows without a run")
}

/// The run is the store's to set: a column of the frame is overwritten, with null too (§5).
pub async fn what_the_frame_says_does_not_count(bed: &TestBed) -> Outcome {
    let rows = samples(&[(1, "x")])?;
    let rows = with_column(&rows, "metaxy_materialization_id", texts(["mine"]))?;
    for (name, id, expected) in [("main", Some("run-1"), "1 run-1"), ("other", None, "1 -")] {
        let store = run(bed, name, id).await?;
        store.write(&key("a")?, rows.clone()).await?;
        check_eq(runs(&store, "a").await?, [expected], "rows")?;
    }
    Ok(())
}

/// Several writes of one sample keep the run of each in its history; the latest one's is current (§4).
pub async fn each_write_has_its_own(bed: &TestBed) -> Outcome {
    let store = run(bed, "main", None).await?;
    for id in ["run-1", "run-2", "run-3"] {
        write_as(&store, 1, id).await?;
    }
    check_eq(runs(&store, "a").await?, ["1 run-3"], "the current row")?;
    let rows = read(&store, "a", everything()).await?;
    let expected = ["run-1", "run-2", "run-3"];
    check_eq(
        rows.lines(&["metaxy_materialization_id"])?,
        expected,
        "all rows",
    )
}

/// Reads and deletes can ask for the rows of a run (§5).
pub async fn can_be_filtered_by(bed: &TestBed) -> Outcome {
    let store = run(bed, "main", None).await?;
    for (sample, id) in [(1, "run-1"), (2, "run-2"), (3, "run-1")] {
        write_as(&store, sample, id).await?;
    }
    store.write(&key("a")?, samples(&[(4, "x")])?).await?;
    let of = |id: &str| [col("metaxy_materialization_id").eq(id)];
    let options = ReadOptions::default().with_filters(of("run-1"));
    check_eq(read(&store, "a", options).await?.ids()?, [1, 3], "of a run")?;
    let none = [col("metaxy_materialization_id").is_null()];
    let options = ReadOptions::default().with_filters(none);
    check_eq(read(&store, "a", options).await?.ids()?, [4], "of none")?;
    let gone = DeleteOptions::soft().with_filters(of("run-1"));
    store.delete(&key("a")?, gone).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [2, 4], "after a delete")
}

/// A tombstone has the run of the store that deletes, not that of the row (reference, 34).
pub async fn tombstones_have_the_run_that_deletes(bed: &TestBed) -> Outcome {
    for (name, id, expected) in [
        ("main", Some("clean-up"), "1 clean-up"),
        ("other", None, "1 -"),
    ] {
        let store = run(bed, name, id).await?;
        write_as(&store, 1, "run-1").await?;
        store.delete(&key("a")?, DeleteOptions::soft()).await?;
        let deleted = ReadOptions::default().with_soft_deleted(true);
        let rows = read(&store, "a", deleted).await?;
        check_eq(rows.lines(&SEEN)?, [expected], "the tombstone")?;
    }
    Ok(())
}

/// Rows that are appended by a copy have the run of the store they are written to (§10).
pub async fn appending_copies_have_the_run_of_their_destination(bed: &TestBed) -> Outcome {
    let source = run(bed, "source", Some("theirs")).await?;
    source.write(&key("a")?, samples(&[(1, "x")])?).await?;
    for (name, id, history, expected) in [
        ("first", Some("ours"), false, "1 ours"),
        ("second", Some("ours"), true, "1 ours"),
        ("third", None, false, "1 -"),
    ] {
        let store = run(bed, name, id).await?;
        let options = CopyOptions::default()
            .with_append(true)
            .with_sample_history(history);
        store.copy_from(&source, options).await?;
        check_eq(runs(&store, "a").await?, [expected], name)?;
    }
    Ok(())
}

const SEEN: [&str; 2] = ["id", "metaxy_materialization_id"];

/// A store of the case, opened for a run.
async fn run(bed: &TestBed, store: &str, id: Option<&str>) -> Outcome<MetadataStore> {
    let builder = bed.builder(store).await?.with_graph(pair()?);
    Ok(builder.with_materialization_id(id).build()?)
}

async fn write_as(store: &MetadataStore, sample: i64, id: &str) -> Outcome {
    let options = WriteOptions::default().with_materialization_id(id);
    let rows = samples(&[(sample, "x")])?;
    store.write_with(&key("a")?, rows, options).await?;
    Ok(())
}

/// ID and run of the current rows.
async fn runs(store: &MetadataStore, feature: &str) -> Outcome<Vec<String>> {
    let rows = read(store, feature, ReadOptions::default()).await?;
    rows.lines(&SEEN)
}
