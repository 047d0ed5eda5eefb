//! The contract of [`Backend`] itself, without a store on top.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use futures::FutureExt;
use metaxy_store::backend::append::{Append, Stamp, Times};
use metaxy_store::backend::{Access, Backend};
use metaxy_store::clock::Micros;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::{ErrorKind, FeatureKey, Frame, Result, col};

use crate::bed::TestBed;
use crate::bed::frames::{Table, bools, by_field, floats, frame, ints, texts, times};
use crate::bed::gate::{Gate, by_timer, failing_after};
use crate::bed::graphs::key;
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused, report};

cases! { "backend":
    yields_the_columns_of_its_schema,
    has_no_table_before_the_first_append,
    lets_the_later_of_equal_stamps_win,
    has_a_table_without_rows,
    makes_no_table_unless_told,
    counts_what_it_appends_and_deletes,
    tells_whether_it_dropped_a_table,
    lists_its_tables_sorted,
    keeps_long_names_apart,
    takes_rows_that_need_the_callers_runtime,
    undoes_an_append_that_fails,
    undoes_all_tables_of_an_append_that_fails,
    leaves_all_or_nothing_of_a_dropped_append,
    shows_one_moment_to_a_query,
    works_on_after_a_dropped_result,
    keeps_everything_when_reopened,
    creates_nothing_for_a_reader,
}

const NOON: Micros = 1_772_366_400_000_000;

async fn opened(bed: &TestBed) -> Result<Arc<dyn Backend>> {
    bed.backend("main", Access::Write).await
}

/// Rows that are stamped with noon, whatever the table has seen.
fn at_noon(table: &str, rows: impl Into<Frame>) -> Result<Append> {
    Ok(Append {
        table: key(table)?,
        id_columns: vec!["id".into()],
        rows: rows.into(),
        times: Times::Write(Stamp::Exactly(NOON)),
        create: true,
    })
}

/// Samples with a note.
fn notes(rows: &[(i64, &str)]) -> Result<RecordBatch> {
    frame([
        ("id", ints(rows.iter().map(|row| row.0))),
        ("note", texts(rows.iter().map(|row| row.1))),
    ])
}

async fn add(backend: &Arc<dyn Backend>, table: &str, rows: &[(i64, &str)]) -> Result<u64> {
    let appended = backend.append(vec![at_noon(table, notes(rows)?)?]).await?;
    Ok(appended.rows)
}

async fn columns(backend: &Arc<dyn Backend>, table: &FeatureKey) -> Outcome<SchemaRef> {
    let schema = backend.schema(table).await?;
    schema.ok_or_else(|| Stop::failed(format!("there is no table of {table}")))
}

async fn scan(backend: &Arc<dyn Backend>, table: &str, latest: bool) -> Outcome<Frame> {
    let table = key(table)?;
    let schema = columns(backend, &table).await?;
    let scan = Scan {
        table,
        feature_version: None,
        as_of: None,
        latest_per: latest.then(|| vec!["id".into()]),
    };
    let plan = Plan::from(Relation::scan(scan, schema));
    Ok(backend.query(plan).await?)
}

async fn rows(backend: &Arc<dyn Backend>, table: &str) -> Outcome<Vec<String>> {
    let all = Table::of(scan(backend, table, false).await?).await?;
    all.lines(&["id", "note"])
}

/// A table has exactly the columns that were appended and their stamps, and a query yields them with these types and values.
pub async fn yields_the_columns_of_its_schema(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let given = frame([
        ("id", ints([1, 2])),
        ("score", floats([0.5, -0.25])),
        ("good", bools([Some(true), None])),
        ("note", texts([None, Some("ä|'\"")])),
        ("seen", times([Some(NOON + 1), None])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("one", &["x", "y"]), ("two", &["p", "q"])])?,
        ),
    ])?;
    backend.append(vec![at_noon("a", given.clone())?]).await?;
    let schema = columns(&backend, &key("a")?).await?;
    let stamps = [
        "metaxy_created_at",
        "metaxy_updated_at",
        "metaxy_deleted_at",
    ];
    let expected = given.schema();
    let expected = expected.fields().iter().map(|f| f.name().as_str());
    let expected: Vec<&str> = expected.chain(stamps).collect();
    let found = schema.fields().iter().map(|f| f.name().as_str());
    check_eq(found.collect::<Vec<_>>(), expected, "the columns")?;
    for field in given.schema().fields() {
        let found = schema.field_with_name(field.name());
        let found = found.map_err(metaxy_store::Error::from)?;
        check_eq(found.data_type(), field.data_type(), field.name())?;
    }
    let answer = scan(&backend, "a", false).await?;
    check_eq(answer.schema(), &schema, "the schema of the answer")?;
    let rows = answer.collect().await?;
    for batch in rows.batches() {
        check_eq(batch.schema(), schema.clone(), "that of its batches")?;
    }
    let (found, given) = (Table::of(rows).await?, Table::of(given).await?);
    let data = ["id", "score", "good", "note", "seen"];
    check_eq(found.lines(&data)?, given.lines(&data)?, "the values")?;
    for member in ["one", "two"] {
        let column = format!("metaxy_provenance_by_field.{member}");
        check_eq(found.words(&column)?, given.words(&column)?, column)?;
    }
    check_eq(
        found.times("metaxy_updated_at")?,
        [Some(NOON); 2],
        "the stamps",
    )?;
    check_eq(
        found.times("metaxy_deleted_at")?,
        [None; 2],
        "the deletions",
    )
}

/// A backend that holds nothing says so everywhere.
pub async fn has_no_table_before_the_first_append(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let a = key("a")?;
    check(backend.schema(&a).await?.is_none(), "no columns")?;
    check(!backend.has_rows(&a).await?, "no rows")?;
    check_eq(backend.tables().await?.len(), 0, "tables")?;
    check(!backend.drop_table(&a).await?, "nothing to drop")?;
    if backend.capabilities().hard_delete {
        check_eq(backend.delete(&a, None).await?, 0, "nothing to delete")?;
    }
    check_eq(backend.tables().await?.len(), 0, "tables after all")
}

/// Of rows with equal stamps, the one stored later is the latest: by call, by batch, by row (§5).
pub async fn lets_the_later_of_equal_stamps_win(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let latest = async || {
        let found = Table::of(scan(&backend, "a", true).await?).await?;
        found.words("note")
    };
    add(&backend, "a", &[(1, "z row"), (1, "b row"), (1, "y row")]).await?;
    check_eq(latest().await?, ["y row"], "the last row")?;
    let batches = [
        notes(&[(1, "batch"), (1, "m batch")])?,
        notes(&[(1, "a batch")])?,
    ];
    let schema = batches[0].schema();
    let frame = Frame::new(schema, futures::stream::iter(batches.map(Ok)));
    backend.append(vec![at_noon("a", frame)?]).await?;
    check_eq(latest().await?, ["a batch"], "of the last batch")?;
    for note in ["z call", "a call", "m call"] {
        add(&backend, "a", &[(1, note)]).await?;
        check_eq(latest().await?, [note], "of the last call")?;
    }
    let earlier = Append {
        times: Times::Write(Stamp::Exactly(NOON - 1)),
        ..at_noon("a", notes(&[(1, "earlier")])?)?
    };
    backend.append(vec![earlier]).await?;
    check_eq(latest().await?, ["m call"], "an earlier stamp is older")
}

/// A table that no row was appended to exists, and has no rows.
pub async fn has_a_table_without_rows(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let a = key("a")?;
    check_eq(add(&backend, "a", &[]).await?, 0, "rows appended")?;
    check(backend.schema(&a).await?.is_some(), "there is a table")?;
    check(!backend.has_rows(&a).await?, "it has no rows")?;
    check_eq(backend.tables().await?.len(), 1, "tables")?;
    check_eq(rows(&backend, "a").await?.len(), 0, "rows")?;
    add(&backend, "a", &[(1, "x")]).await?;
    check(backend.has_rows(&a).await?, "it has a row")
}

/// An append that may not make a table is refused where there is none, and takes one that exists (§10).
pub async fn makes_no_table_unless_told(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let append = || -> Result<Append> {
        Ok(Append {
            create: false,
            ..at_noon("a", notes(&[(1, "x")])?)?
        })
    };
    let appended = backend.append(vec![append()?]).await;
    refused(appended, ErrorKind::TableNotFound)?;
    check(backend.schema(&key("a")?).await?.is_none(), "no table")?;
    add(&backend, "a", &[]).await?;
    backend.append(vec![append()?]).await?;
    check_eq(rows(&backend, "a").await?, ["1 x"], "the rows")
}

/// Appends and deletes return how many rows they were about; a condition that is null removes nothing. An append that says how many
/// rows the table has now, says it of the largest of its tables.
pub async fn counts_what_it_appends_and_deletes(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let a = key("a")?;
    let all = [(1, "x"), (2, "y"), (3, "x"), (1, "z")];
    let append = async |appends: Vec<Append>, rows: u64, largest: u64| -> Outcome {
        let appended = backend.append(appends).await?;
        check_eq(appended.rows, rows, "rows appended")?;
        let told = appended.table_rows.unwrap_or(largest);
        check_eq(told, largest, "rows of the largest table")
    };
    append(vec![at_noon("a", notes(&all)?)?], 4, 4).await?;
    append(vec![at_noon("b", notes(&all[..2])?)?], 2, 2).await?;
    let empty = || frame([("id", ints([4])), ("note", texts([None]))]);
    let mut last = vec![at_noon("a", empty()?)?];
    if backend.capabilities().transactions {
        last.push(at_noon("b", empty()?)?);
        append(last, 2, 5).await?;
    } else {
        append(last, 1, 5).await?;
    }
    if !backend.capabilities().hard_delete {
        return Ok(());
    }
    let schema = columns(&backend, &a).await?;
    let x = col("note").eq("x").bind(&schema)?;
    check_eq(backend.delete(&a, Some(&x)).await?, 2, "rows that are x")?;
    check_eq(backend.delete(&a, Some(&x)).await?, 0, "rows that are left")?;
    let others = col("note").ne("y").bind(&schema)?;
    check_eq(backend.delete(&a, Some(&others)).await?, 1, "not null")?;
    check_eq(rows(&backend, "a").await?, ["2 y", "4 -"], "the rest")?;
    check_eq(backend.delete(&a, None).await?, 2, "all rows")?;
    check(backend.schema(&a).await?.is_some(), "the table is there")?;
    check(!backend.has_rows(&a).await?, "it is empty")
}

/// Dropping a table removes it with its rows and columns, and says whether there was one.
pub async fn tells_whether_it_dropped_a_table(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let a = key("a")?;
    add(&backend, "a", &[(1, "x")]).await?;
    add(&backend, "b", &[(1, "x")]).await?;
    check(backend.drop_table(&a).await?, "there was a table")?;
    check(!backend.drop_table(&a).await?, "there is none any more")?;
    check(backend.schema(&a).await?.is_none(), "no columns")?;
    check(!backend.has_rows(&a).await?, "no rows")?;
    check_eq(rows(&backend, "b").await?, ["1 x"], "another table")?;
    // A new one may have other columns and types.
    let other = frame([("id", ints([2])), ("note", floats([1.5]))])?;
    backend.append(vec![at_noon("a", other)?]).await?;
    let schema = columns(&backend, &a).await?;
    let note = schema.field_with_name("note").map(Field::data_type);
    check_eq(note.ok(), Some(&DataType::Float64), "the new type")
}

/// The names of all tables come sorted, one for each, system tables included.
pub async fn lists_its_tables_sorted(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let features = ["b", "a/z", "a", "z", "a/b-c", "metaxy-system/notes"];
    let mut seen = Vec::new();
    for (number, feature) in (1..).zip(features) {
        let table = match feature.strip_prefix("metaxy-system/") {
            Some(name) => FeatureKey::system(name),
            None => key(feature)?,
        };
        let append = Append {
            table,
            ..at_noon("a", notes(&[(1, "x")])?)?
        };
        backend.append(vec![append]).await?;
        seen = backend.tables().await?;
        check_eq(seen.len(), number, format!("tables: {seen:?}"))?;
        check(seen.is_sorted(), format!("sorted: {seen:?}"))?;
    }
    backend.drop_table(&key("a/z")?).await?;
    let left = backend.tables().await?;
    check_eq(left.len(), features.len() - 1, "tables that are left")?;
    check(left.iter().all(|name| seen.contains(name)), "of the same")
}

/// Names that differ only at their end are never one table, however long: a name too long carries a hash, or is refused with an
/// error that names the feature.
pub async fn keeps_long_names_apart(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    for length in [40, 60, 62, 63, 64, 65, 120, 180] {
        let features = ["x", "y"].map(|end| format!("{}{end}", "n".repeat(length - 1)));
        let mut kept = Vec::new();
        for (name, note) in features.iter().zip(["first", "second"]) {
            match add(&backend, name, &[(1, note)]).await {
                Ok(_) => kept.push((name, note)),
                Err(e) if length <= 60 => return Err(e.into()),
                Err(e) => {
                    let kinds = [ErrorKind::InvalidArgument, ErrorKind::Unsupported];
                    let known = kinds.contains(&e.kind());
                    check(known, format!("refused as {}: {}", e.kind(), report(&e)))?;
                    names(&e, &[name])?;
                }
            }
        }
        for (name, note) in kept {
            let expected = [format!("1 {note}")];
            let what = format!("rows of a name of {length} characters");
            check_eq(rows(&backend, name).await?, expected, what)?;
        }
    }
    Ok(())
}

/// Rows may need the runtime of the caller (a timer, a connection), both those that are appended and those that a plan is given.
pub async fn takes_rows_that_need_the_callers_runtime(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let appended = at_noon("a", by_timer(notes(&[(1, "x"), (2, "y")])?))?;
    backend.append(vec![appended]).await?;
    check_eq(rows(&backend, "a").await?, ["1 x", "2 y"], "the rows")?;
    let given = by_timer(notes(&[(3, "z")])?);
    let plan = Plan {
        relation: Relation::frame(0, given.schema().clone()),
        frames: vec![given],
    };
    let answer = Table::of(backend.query(plan).await?).await?;
    check_eq(answer.words("note")?, ["z"], "what the plan was given")
}

/// An append whose rows break off leaves nothing: no row, no new column, no table (§5).
pub async fn undoes_an_append_that_fails(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let broken = || -> Result<Append> {
        let rows = frame([("id", ints([1])), ("more", ints([1]))])?;
        at_noon("a", failing_after(rows))
    };
    refused(backend.append(vec![broken()?]).await, ErrorKind::Io)?;
    check(!backend.has_rows(&key("a")?).await?, "no rows")?;
    add(&backend, "a", &[(1, "x")]).await?;
    let before = columns(&backend, &key("a")?).await?;
    refused(backend.append(vec![broken()?]).await, ErrorKind::Io)?;
    check_eq(columns(&backend, &key("a")?).await?, before, "the columns")?;
    check_eq(rows(&backend, "a").await?, ["1 x"], "the rows")
}

/// An append to several tables of which one fails leaves none of them where there are transactions. Elsewhere it leaves each table
/// whole: with all of its rows or with none, and with none where they fail (§5).
pub async fn undoes_all_tables_of_an_append_that_fails(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let all_or_none = backend.capabilities().transactions;
    add(&backend, "b", &[(0, "x")]).await?;
    let misfit = frame([("id", ints([2])), ("note", floats([1.5]))])?;
    let bad = [Frame::from(misfit), failing_after(notes(&[(2, "x")])?)];
    for (id, bad) in (1..).zip(bad) {
        let good = || notes(&[(id, "x"), (id, "y")]);
        let appends = vec![
            at_noon("a", good()?)?,
            at_noon("b", bad)?,
            at_noon("c", good()?)?,
        ];
        let appended = backend.append(appends).await;
        check(appended.is_err(), "the append fails")?;
        for table in ["a", "c"] {
            let found = match backend.has_rows(&key(table)?).await? {
                true => rows(&backend, table).await?,
                false => Vec::new(),
            };
            let id = id.to_string();
            let of_this = found
                .iter()
                .filter(|row| row.split(' ').next() == Some(&id));
            let of_this = of_this.count();
            check(
                of_this == 0 || (of_this == 2 && !all_or_none),
                format!("all or nothing of {table}: {found:?}"),
            )?;
        }
        check_eq(rows(&backend, "b").await?, ["0 x"], "the rows")?;
    }
    let appends = ["a", "b", "c"].map(|table| at_noon(table, notes(&[(3, "x")])?));
    let appends = appends.into_iter().collect::<Result<Vec<_>>>()?;
    check_eq(backend.append(appends).await?.rows, 3, "rows of all tables")
}

/// An append whose caller goes away in the middle is done or not, and the backend works on.
pub async fn leaves_all_or_nothing_of_a_dropped_append(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    add(&backend, "a", &[(0, "x")]).await?;
    let (rows_in_parts, mut gate) = Gate::between(notes(&[(1, "x")])?, notes(&[(2, "x")])?);
    {
        let append = backend.append(vec![at_noon("a", rows_in_parts)?]).fuse();
        let reached = gate.reached().fuse();
        futures::pin_mut!(append, reached);
        let ended = futures::future::select(append, reached).await;
        check(
            matches!(ended, futures::future::Either::Right(_)),
            "the append waits for its rows",
        )?;
    }
    gate.open();
    add(&backend, "a", &[(3, "x")]).await?;
    let found = rows(&backend, "a").await?;
    let all = ["0 x", "1 x", "2 x", "3 x"];
    check(
        found == ["0 x", "3 x"] || found == all,
        format!("all or nothing: {found:?}"),
    )
}

/// A result is of the moment of its query, whatever happens while its rows are taken.
pub async fn shows_one_moment_to_a_query(bed: &TestBed) -> Outcome {
    const ROWS: i64 = 40_000;
    let backend = opened(bed).await?;
    let all: Vec<(i64, &str)> = (0..ROWS).map(|id| (id, "x")).collect();
    add(&backend, "a", &all).await?;
    let mut answer = scan(&backend, "a", false).await?;
    let first = answer.next().await?.map_or(0, |batch| batch.num_rows());
    check(first > 0, "a first batch")?;
    // Another handle, as another process has it.
    let other = bed.backend("main", Access::Write).await?;
    add(&other, "a", &[(ROWS, "late"), (ROWS + 1, "late")]).await?;
    let rest = answer.collect().await?;
    check_eq(first + rest.num_rows(), ROWS as usize, "rows of the moment")?;
    let now = scan(&backend, "a", false).await?.collect().await?;
    check_eq(now.num_rows(), ROWS as usize + 2, "rows of a new query")
}

/// A result of which only the beginning is taken keeps nothing locked.
pub async fn works_on_after_a_dropped_result(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    let all: Vec<(i64, &str)> = (0..40_000).map(|id| (id, "x")).collect();
    add(&backend, "a", &all).await?;
    for id in 0..5 {
        let mut answer = scan(&backend, "a", false).await?;
        check(answer.next().await?.is_some(), "a first batch")?;
        drop(answer);
        drop(scan(&backend, "a", true).await?);
        add(&backend, "b", &[(id, "x")]).await?;
    }
    check_eq(rows(&backend, "b").await?.len(), 5, "rows")?;
    check(backend.drop_table(&key("a")?).await?, "it can be dropped")
}

/// Whoever opens the store again finds all tables, columns and rows.
pub async fn keeps_everything_when_reopened(bed: &TestBed) -> Outcome {
    let backend = opened(bed).await?;
    add(&backend, "a", &[(1, "x"), (2, "y")]).await?;
    add(&backend, "empty", &[]).await?;
    let (a, empty) = (key("a")?, key("empty")?);
    let schema = columns(&backend, &a).await?;
    let (tables, before) = (backend.tables().await?, rows(&backend, "a").await?);
    drop(backend);
    for access in [Access::Read, Access::Write] {
        let again = bed.backend("main", access).await?;
        check_eq(again.tables().await?, tables.clone(), "the tables")?;
        check_eq(columns(&again, &a).await?, schema.clone(), "the columns")?;
        check_eq(rows(&again, "a").await?, before.clone(), "the rows")?;
        check(again.has_rows(&a).await?, "rows")?;
        check(!again.has_rows(&empty).await?, "no rows")?;
    }
    let again = opened(bed).await?;
    check_eq(add(&again, "a", &[(3, "z")]).await?, 1, "rows appended")?;
    check_eq(rows(&again, "a").await?.len(), 3, "rows")
}

/// A store that does not exist and is opened for reading is empty; nothing is made, and nothing can be written.
pub async fn creates_nothing_for_a_reader(bed: &TestBed) -> Outcome {
    let reader = bed.backend("main", Access::Read).await?;
    let a = key("a")?;
    check(reader.schema(&a).await?.is_none(), "no columns")?;
    check(!reader.has_rows(&a).await?, "no rows")?;
    check_eq(reader.tables().await?.len(), 0, "tables")?;
    refused(add(&reader, "a", &[(1, "x")]).await, ErrorKind::ReadOnly)?;
    let writer = opened(bed).await?;
    check_eq(writer.tables().await?.len(), 0, "tables that were made")?;
    add(&writer, "a", &[(1, "x")]).await?;
    check_eq(rows(&reader, "a").await?, ["1 x"], "what the reader sees")?;
    refused(add(&reader, "a", &[(2, "x")]).await, ErrorKind::ReadOnly)?;
    check_eq(rows(&writer, "a").await?, ["1 x"], "what is stored")
}
