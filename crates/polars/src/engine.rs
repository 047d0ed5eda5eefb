//! Running plans.

use std::sync::mpsc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use futures::executor::block_on;
use metaxy_core::backend::blocking::{self, Sink};
use metaxy_core::backend::pump::Pump;
use metaxy_core::plan::{Compare, LABEL, Label, Node, Plan, Relation, STORED_PREFIX};
use metaxy_core::{Error, ErrorKind, Frame, Result};
use polars::prelude::{
    DataFrame, Engine, IntoLazy, JoinArgs, JoinType, LazyFrame, PlanCallback, PolarsError, col,
};

use crate::cross::{array_of, to_polars};
use crate::error::failed;
use crate::keys::{self, decimals};
use crate::relation::{Lowering, label, names_of};
use crate::source::Source;

/// Runs a plan over the tables of `source`, on Polars' streaming engine; the batches come as they are computed.
///
/// # Errors
/// If no thread can be started. What else goes wrong comes instead of the rows that are left.
pub fn query(plan: Plan, source: impl Source) -> Result<Frame> {
    let Plan {
        relation,
        mut frames,
    } = plan;
    let pump = Pump::of(&mut frames);
    let schema = relation.schema().clone();
    blocking::stream("Polars", schema.clone(), pump, move |sink| {
        let frames = frames.into_iter().map(|frame| {
            let rows = block_on(frame.collect())?;
            to_polars(rows.schema(), rows.batches())
        });
        let frames = frames.collect::<Result<Vec<_>>>()?;
        let lowering = Lowering {
            source: &source,
            frames: &frames,
        };
        match relation.node() {
            Node::Compare(compare) if compare.leader.is_none() => {
                increment(&lowering, compare, &schema, sink)
            }
            _ => rows(&lowering, &relation, sink),
        }
    })
}

/// All rows of a relation.
fn rows(lowering: &Lowering<'_>, relation: &Relation, sink: &mut Sink) -> Result<()> {
    let schema = relation.schema();
    let frame = lowering.relation(relation, &names_of(schema))?;
    run(lowering, frame, |frame| sink.send(batch(&frame, schema)?))
}

/// The rows of a comparison. The stored columns are read for orphaned rows only, of which there are few: first only what is
/// compared is read, then the columns of the orphaned rows.
fn increment(
    lowering: &Lowering<'_>,
    compare: &Compare,
    schema: &SchemaRef,
    sink: &mut Sink,
) -> Result<()> {
    let key = |name: &String| format!("{STORED_PREFIX}{name}");
    let mut first = names_of(compare.expected.schema());
    first.insert(LABEL.into());
    if !matches!(compare.stored.node(), Node::Empty) {
        first.extend(compare.on.iter().map(key));
    }
    let labelled = lowering.compare(compare, &first)?;
    let mut orphans: Vec<DataFrame> = Vec::new();
    let is_orphaned = |frame: &DataFrame| -> Result<_> {
        let labels = frame.column(LABEL).map_err(failed)?;
        let orphaned = Label::Orphaned as i8;
        let labels = labels
            .as_materialized_series()
            .i8()
            .map_err(failed)?
            .clone();
        Ok(polars::prelude::ChunkCompareEq::equal(&labels, orphaned))
    };
    run(lowering, labelled, |frame| {
        let orphaned = is_orphaned(&frame)?;
        let frame = match orphaned.any() {
            false => frame,
            true => {
                let keys = frame.filter(&orphaned).map_err(failed)?;
                orphans.push(keys.select(compare.on.iter().map(key)).map_err(failed)?);
                frame.filter(&!&orphaned).map_err(failed)?
            }
        };
        match frame.height() {
            0 => Ok(()),
            _ => sink.send(batch(&frame, schema)?),
        }
    })?;
    let Some(keys) = stacked(orphans)? else {
        return Ok(());
    };
    let stored = lowering.relation(&compare.stored, &names_of(compare.stored.schema()))?;
    let decimals = decimals(&compare.on, compare.stored.schema())?;
    let as_key =
        |name: &String, column: String| match decimals.iter().find(|(known, _)| known == name) {
            Some((_, data_type)) => keys::key(&column, data_type),
            None => col(column),
        };
    let on = compare.on.iter().map(|name| as_key(name, name.clone()));
    let on: Vec<_> = on.collect();
    let theirs = compare.on.iter().map(|name| as_key(name, key(name)));
    let theirs: Vec<_> = theirs.collect();
    let mut args = JoinArgs::new(JoinType::Semi);
    // A stored row without an ID matches nothing, and is orphaned.
    args.nulls_equal = true;
    let found = stored.join(keys.lazy(), on, theirs, args);
    let under: Vec<_> = compare.stored.schema().fields().iter().collect();
    let mut columns: Vec<_> = under
        .iter()
        .map(|field| col(field.name().as_str()).alias(key(field.name())))
        .collect();
    columns.push(label(Label::Orphaned).alias(LABEL));
    run(lowering, found.select(columns), |frame| {
        sink.send(batch(&frame, schema)?)
    })
}

/// Runs a frame over the source's rows where that takes less time, and hands over what it gives.
fn run(
    lowering: &Lowering<'_>,
    frame: LazyFrame,
    take: impl FnMut(DataFrame) -> Result<()>,
) -> Result<()> {
    match lowering.source.is_held() {
        true => at_once(frame, take),
        false => each(frame, take),
    }
}

/// Runs a frame in memory, and hands over its rows.
fn at_once(frame: LazyFrame, mut take: impl FnMut(DataFrame) -> Result<()>) -> Result<()> {
    let rows = frame
        .collect_with_engine(Engine::InMemory)
        .map_err(failed)?;
    match rows.unwrap_single() {
        none if none.height() == 0 => Ok(()),
        rows => take(rows),
    }
}

/// Runs a frame, and hands over its parts as they come.
pub(crate) fn each(frame: LazyFrame, mut take: impl FnMut(DataFrame) -> Result<()>) -> Result<()> {
    let (sender, parts) = mpsc::sync_channel(1);
    let callback = PlanCallback::new(move |part: DataFrame| Ok(sender.send(part).is_err()));
    // In order: who writes the rows has a table in the order of its upstreams, whose rows then meet place by place.
    let frame = frame.sink_batches(callback, true, None).map_err(failed)?;
    let running = std::thread::Builder::new()
        .name("metaxy-polars-query".into())
        .spawn(move || frame.collect_with_engine(Engine::Streaming).map(drop));
    let running = running
        .map_err(|e| Error::new(ErrorKind::Storage, "no thread could be started").with_source(e))?;
    let mut taken = Ok(());
    for part in &parts {
        taken = take(part);
        if taken.is_err() {
            break;
        }
    }
    // From now on the callback stops the query.
    drop(parts);
    let ended = running.join().unwrap_or_else(|_| {
        let why = "the engine panicked";
        Err(PolarsError::ComputeError(why.into()))
    });
    taken.and(ended.map_err(failed))
}

/// A batch of `schema`; columns that the frame lacks are null.
fn batch(frame: &DataFrame, schema: &SchemaRef) -> Result<RecordBatch> {
    let arrays = schema
        .fields()
        .iter()
        .map(|field| match frame.get_column_index(field.name()) {
            Some(at) => array_of(&frame.columns()[at], field.data_type()),
            None => Ok(new_null_array(field.data_type(), frame.height())),
        });
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(frame.height()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        arrays,
        &options,
    )?)
}

fn stacked(frames: Vec<DataFrame>) -> Result<Option<DataFrame>> {
    let mut frames = frames.into_iter();
    let Some(mut all) = frames.next() else {
        return Ok(None);
    };
    for frame in frames {
        all.vstack_mut(&frame).map_err(failed)?;
    }
    Ok(Some(all))
}
