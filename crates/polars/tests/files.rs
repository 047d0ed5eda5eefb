//! Tables in Parquet files against a model: whether they are read at once or as streams, whether their rows meet place by place or in a
//! join, and whichever rows replace which.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int8Type, Int64Type, Schema, SchemaRef, TimeUnit};
use futures::executor::block_on;
use metaxy_polars::{
    ParquetColumn, ParquetFile, ParquetTable, ScanRequest, Scanned, Source, query,
};
use metaxy_store::plan::{
    Childless, Compare, JoinKind, LABEL, Label, Plan, ReadScope, Relation, Scalar,
};
use metaxy_store::plan::{STORED_PREFIX, read_current};
use metaxy_store::{FeatureKey, Result, Rows, columns};
use polars::prelude as pl;
use polars::prelude::{IntoLazy, NamedFrom};

/// A row of a table: ID, value, time of writing, whether it is a soft delete.
type Row = (i64, i64, i64, bool);

/// A table as it was written, write by write.
type History = Vec<Vec<Row>>;

/// How the files of a table are described.
#[derive(Debug, Clone, Copy)]
enum Described {
    /// With their size: small ones are read at once.
    Small,
    /// Without anything.
    Barely,
    /// With the number of their rows.
    Counted,
    /// The same, and so few rows are read at a time that there are several parts.
    InParts,
}

const DESCRIBED: [Described; 4] = [
    Described::Small,
    Described::Barely,
    Described::Counted,
    Described::InParts,
];

#[test]
fn rows_meet_as_the_model_says() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..40 {
        let tables = histories(&mut random);
        for described in DESCRIBED {
            let about = format!("round {round}, {described:?}: {tables:?}");
            let site = Site::new(&tables, described);
            for kind in [JoinKind::Inner, JoinKind::Left, JoinKind::Full] {
                let found = site.joined(kind);
                assert_eq!(found, model_joined(&tables, kind), "{kind:?} {about}");
            }
            assert_eq!(site.compared(), model_compared(&tables), "{about}");
        }
    }
}

#[test]
fn a_table_whose_rows_were_written_again_keeps_the_order_of_its_first_writing() {
    let first: Vec<Row> = (0..20).map(|id| (id, 0, 1, false)).collect();
    let again = vec![(3, 1, 2, false), (17, 1, 2, false)];
    let tables = [vec![first.clone(), again], vec![first]];
    for described in [Described::Small, Described::Counted, Described::InParts] {
        let site = Site::new(&tables, described);
        let rows = site.rows(read(0));
        let ids: Vec<i64> = rows.iter().map(|row| row[0].unwrap()).collect();
        assert!(ids.iter().copied().eq(0..20), "{described:?}: {ids:?}");
        let values: Vec<i64> = rows.iter().map(|row| row[1].unwrap()).collect();
        assert_eq!(values.iter().sum::<i64>(), 2, "{described:?}: {values:?}");
        assert_eq!((values[3], values[17]), (1, 1), "{described:?}");
    }
}

/// How many rows files have may be what a stranger says.
#[test]
fn numbers_of_rows_that_are_not_true_lose_none() {
    let rows: Vec<Row> = (0..20).map(|id| (id, 0, 1, false)).collect();
    let tables = [
        vec![rows[..7].to_vec(), rows[7..].to_vec()],
        vec![Vec::new()],
    ];
    let mut site = Site::new(&tables, Described::InParts);
    let untrue = |number, rows: &[u64]| {
        let mut tables = (*site.tables.0).clone();
        tables.get_mut(&key(number).to_string()).unwrap().rows = Some(rows.to_vec());
        Tables(Arc::new(tables))
    };
    let found = |tables: Tables, number| {
        let rows = query(Plan::from(read(number)), tables).unwrap();
        block_on(rows.collect()).map(|rows| rows.num_rows())
    };
    for said in [[u64::MAX, u64::MAX], [0, u64::MAX], [u64::MAX, 1], [3, 3]] {
        assert_eq!(found(untrue(0, &said), 0).unwrap(), 20, "{said:?}");
    }
    assert_eq!(found(untrue(1, &[u64::MAX]), 1).unwrap(), 0);
    site.tables = untrue(0, &[7, 13]);
    assert_eq!(site.rows(read(0)).len(), 20);
}

/// Two tables that share most of their samples.
fn histories(random: &mut fastrand::Rng) -> [History; 2] {
    let samples = random.i64(1..40);
    let ordered = random.bool();
    [(); 2].map(|()| {
        let mut clock = 0;
        let mut writes = Vec::new();
        // Sometimes everything, sometimes with gaps, sometimes more at the end.
        let missing = *random.choice(&[0, 0, 0, 10]).unwrap();
        let more = *random.choice(&[0, 0, 5]).unwrap();
        for write in 0..random.usize(1..4) {
            // Clocks of several machines: later writes may be stamped earlier, or alike.
            clock += random.i64(-1..4);
            let share = if write == 0 {
                100 - missing
            } else {
                random.i64(0..30)
            };
            let mut ids: Vec<i64> = (0..samples + more)
                .filter(|_| random.i64(0..100) < share)
                .collect();
            if !ordered {
                random.shuffle(&mut ids);
            }
            let deletes = *random.choice(&[0, 0, 20]).unwrap();
            let rows = ids.into_iter();
            let rows = rows.map(|id| (id, random.i64(0..3), clock, random.i64(0..100) < deletes));
            writes.push(rows.collect());
        }
        writes
    })
}

/// The current value of each sample.
fn current(history: &History) -> BTreeMap<i64, i64> {
    let mut latest: BTreeMap<i64, (i64, usize, i64, bool)> = BTreeMap::new();
    for (order, (id, value, stamp, gone)) in history.iter().flatten().copied().enumerate() {
        let row = (stamp, order, value, gone);
        let known = latest.entry(id).or_insert(row);
        if (known.0, known.1) <= (stamp, order) {
            *known = row;
        }
    }
    let alive = latest.into_iter().filter(|(_, (.., gone))| !gone);
    alive.map(|(id, (_, _, value, _))| (id, value)).collect()
}

fn model_joined(tables: &[History; 2], kind: JoinKind) -> Vec<Vec<Option<i64>>> {
    let (left, right) = (current(&tables[0]), current(&tables[1]));
    let mut ids: Vec<i64> = left.keys().chain(right.keys()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = ids.into_iter().map(|id| {
        let [l, r] = [&left, &right].map(|side| side.get(&id).copied());
        vec![Some(id), l, r]
    });
    let is_kept = |row: &Vec<Option<i64>>| match kind {
        JoinKind::Inner => row[1].is_some() && row[2].is_some(),
        JoinKind::Left => row[1].is_some(),
        JoinKind::Full => true,
    };
    rows.filter(is_kept).collect()
}

/// Label and ID of the rows that a comparison gives.
fn model_compared(tables: &[History; 2]) -> Vec<(i8, i64)> {
    let rows = model_joined(tables, JoinKind::Full).into_iter();
    let mut rows: Vec<(i8, i64)> = rows
        .filter_map(|row| {
            let label = match (row[1], row[2]) {
                (Some(_), None) => Label::New,
                (None, Some(_)) => Label::Orphaned,
                (l, r) if l != r => Label::Stale,
                _ => return None,
            };
            Some((label as i8, row[0]?))
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// The tables in files.
struct Site {
    _folder: tempfile::TempDir,
    tables: Tables,
}

#[derive(Clone)]
struct Tables(Arc<BTreeMap<String, ParquetTable>>);

impl Source for Tables {
    fn scan(&self, request: &ScanRequest<'_>) -> Result<Scanned> {
        self.0[&request.scan.table.to_string()].scanned(request)
    }
}

impl Site {
    fn new(histories: &[History; 2], described: Described) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tables = histories.iter().enumerate().map(|(number, history)| {
            let files = history.iter().enumerate().map(|(write, rows)| {
                let file = folder.path().join(format!("{number}-{write}.parquet"));
                write_file(&file, number, rows);
                file.to_string_lossy().into_owned()
            });
            let mut table = ParquetTable::default();
            table.files = files.map(ParquetFile::At).collect();
            let fields = schema(number);
            let fields = fields.fields().iter();
            table.columns = fields
                .map(|field| ParquetColumn::new(field.name(), field.data_type().clone()))
                .collect();
            match described {
                Described::Small => table.bytes = Some(1_000),
                Described::Barely => {}
                Described::Counted | Described::InParts => {
                    if matches!(described, Described::InParts) {
                        table.part_rows = Some(4);
                    }
                    let counts = history.iter().map(|rows| rows.len() as u64);
                    table.rows = Some(counts.collect());
                }
            }
            (key(number).to_string(), table)
        });
        let tables = Tables(Arc::new(tables.collect()));
        Self {
            _folder: folder,
            tables,
        }
    }

    fn run(&self, relation: Relation) -> Rows {
        let rows = query(Plan::from(relation), self.tables.clone()).unwrap();
        block_on(rows.collect()).unwrap()
    }

    /// The rows as numbers, in the order in which they come.
    fn rows(&self, relation: Relation) -> Vec<Vec<Option<i64>>> {
        let rows = self.run(relation).to_batch().unwrap();
        let columns = rows.columns().iter();
        let columns: Vec<_> = columns.map(|c| c.as_primitive::<Int64Type>()).collect();
        (0..rows.num_rows())
            .map(|row| {
                columns
                    .iter()
                    .map(|c| c.iter().nth(row).flatten())
                    .collect()
            })
            .collect()
    }

    fn joined(&self, kind: JoinKind) -> Vec<Vec<Option<i64>>> {
        let joined = read(0).join(read(1), vec!["id".into()], kind).unwrap();
        let mut rows = self.rows(joined);
        rows.sort_unstable();
        rows
    }

    fn compared(&self) -> Vec<(i8, i64)> {
        let compare = Compare {
            expected: read(0),
            stored: read(1),
            on: vec!["id".into()],
            expected_version: "value_0".into(),
            stored_version: "value_1".into(),
            stale_if: None,
            leader: None,
        };
        let rows = self.run(Relation::compare(compare).unwrap());
        let mut found = Vec::new();
        for batch in rows.batches() {
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let labels = column(LABEL);
            let labels = labels.as_primitive::<Int8Type>();
            let (ours, theirs) = (column("id"), column(&format!("{STORED_PREFIX}id")));
            for row in 0..batch.num_rows() {
                let ids = match labels.value(row) {
                    label if label == Label::Orphaned as i8 => &theirs,
                    _ => &ours,
                };
                found.push((
                    labels.value(row),
                    ids.as_primitive::<Int64Type>().value(row),
                ));
            }
        }
        found.sort_unstable();
        found
    }
}

/// The IDs and values of the current samples of a table.
fn read(number: usize) -> Relation {
    let scope = ReadScope {
        feature_version: None,
        sample_history: false,
        include_soft_deleted: false,
        as_of: None,
        childless: Childless::Hidden,
    };
    let rows = read_current(&key(number), &schema(number), &["id".into()], &scope, &[]).unwrap();
    let columns = ["id".to_owned(), format!("value_{number}")];
    let columns = columns.map(|name| (name.clone(), Scalar::Column(name)));
    rows.project(columns.into()).unwrap()
}

fn key(number: usize) -> FeatureKey {
    FeatureKey::new(format!("table_{number}")).unwrap()
}

fn schema(number: usize) -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new(format!("value_{number}"), DataType::Int64, true),
        Field::new(columns::UPDATED_AT, time.clone(), true),
        Field::new(columns::DELETED_AT, time, true),
    ]))
}

fn write_file(file: &Path, number: usize, rows: &[Row]) {
    let numbers = |of: fn(&Row) -> Option<i64>| rows.iter().map(of).collect::<Vec<_>>();
    let column = |name: &str, of| pl::Column::from(pl::Series::new(name.into(), numbers(of)));
    let columns = vec![
        column("id", |row| Some(row.0)),
        column(&format!("value_{number}"), |row| Some(row.1)),
        column(columns::UPDATED_AT, |row| Some(row.2)),
        column(columns::DELETED_AT, |row| row.3.then_some(row.2)),
    ];
    let utc = pl::DataType::Datetime(pl::TimeUnit::Microseconds, Some(pl::TimeZone::UTC));
    let times = [columns::UPDATED_AT, columns::DELETED_AT];
    let frame = pl::DataFrame::new(rows.len(), columns).unwrap().lazy();
    let frame = frame.with_columns(times.map(|name| pl::col(name).cast(utc.clone())));
    let mut frame = frame.collect().unwrap();
    let file = std::fs::File::create(file).unwrap();
    // Groups of three rows, of which a part has some.
    let writer = pl::ParquetWriter::new(file).with_row_group_size(Some(3));
    writer.finish(&mut frame).unwrap();
}
