//! Polars' frames into a store and out of it.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::stream;
use metaxy_core::backend::blocking;
use metaxy_core::backend::pump::Pump;
use metaxy_core::{Frame, Result, Rows};
use polars::prelude::{DataFrame, LazyFrame};
use std::future::Future;
use std::sync::Arc;

use crate::cross::{cast, raw, to_polars};
use crate::engine::each;
use crate::error::failed;
use crate::types::{require_likeness, shown_as};

/// A frame of Polars that a store takes: `store.write(&key, frame.into_frame())`.
///
/// Columns cross without a copy. What cannot be computed, or crosses to no type of Arrow, is an error of the operation that reads the
/// frame.
///
/// ```
/// use metaxy_core::Frame;
/// use metaxy_polars::{IntoFrame, IntoPolars};
/// use polars::prelude::*;
///
/// # futures::executor::block_on(async {
/// let videos = df!("id" => [1_i64, 2], "path" => ["a.mp4", "b.mp4"])?;
/// let frame: Frame = videos.clone().lazy().filter(col("id").gt(lit(1))).into_frame();
/// let back = frame.into_polars().await?;
/// assert!(back.equals(&videos.slice(1, 1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait IntoFrame {
    /// The same rows as a frame of the store.
    fn into_frame(self) -> Frame;
}

impl IntoFrame for DataFrame {
    fn into_frame(self) -> Frame {
        match batches(&self) {
            Ok(rows) => rows.into(),
            Err(error) => failing(error),
        }
    }
}

impl IntoFrame for LazyFrame {
    /// The frame is computed while it is read, on the streaming engine.
    fn into_frame(mut self) -> Frame {
        let computed = || {
            let schema = self.collect_schema().map_err(failed)?;
            let schema = batch(&DataFrame::empty_with_schema(&schema))?.schema();
            let none = Pump::of([]);
            blocking::stream("Polars", schema, none, move |sink| {
                each(self, |frame| {
                    for batch in batches(&frame)?.batches() {
                        sink.send(batch.clone())?;
                    }
                    Ok(())
                })
            })
        };
        computed().unwrap_or_else(failing)
    }
}

/// Rows of a store as a frame of Polars.
///
/// ```
/// # use std::sync::Arc;
/// # use metaxy_core::definition::FeatureDefinition;
/// # use metaxy_core::spec::{FeatureSpec, FieldSpec};
/// # use metaxy_core::{Access, FeatureGraph, FeatureKey, ReadOptions};
/// # use metaxy_store::MetadataStore;
/// # use metaxy_sqlite::SqliteConfig;
/// use metaxy_polars::{IntoFrame, IntoPolars};
/// use polars::prelude::*;
///
/// # futures::executor::block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let backend = SqliteConfig::new(folder.path().join("samples.db")).open(Access::Write);
/// # let spec = FeatureSpec::new("video/raw", ["video_id"])?.with_field(FieldSpec::new("audio")?);
/// # let graph = FeatureGraph::from_definitions([FeatureDefinition::new(spec, "demo")])?;
/// # let store = MetadataStore::builder(Arc::new(backend)).with_graph(graph).build()?;
/// # let raw = FeatureKey::new("video/raw")?;
/// # let videos = df!("video_id" => [1_i64, 2], "duration" => [0_i64, 12], "audio" => ["a1", "a2"])?;
/// # let versions = as_struct(vec![col("audio")]).alias("metaxy_provenance_by_field");
/// # let videos = videos.lazy().with_column(versions).collect()?;
/// store.write(&raw, videos.lazy().filter(col("duration").gt(lit(0))).into_frame()).await?;
/// let todo: DataFrame = store.read(&raw, ReadOptions::default()).await?.into_polars().await?;
/// assert_eq!(todo.height(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait IntoPolars {
    /// Waits for all rows. [`IntoLazy::lazy`](polars::prelude::IntoLazy::lazy) makes the result lazy.
    ///
    /// Text and binary share their bytes with the store's rows. Types that Polars lacks become the nearest that holds their values: a
    /// map a list of structs, a time of day nanoseconds, a dictionary its values, a struct without members a truth value.
    ///
    /// # Errors
    /// What the rows' producer failed with; [`ErrorKind::Unsupported`](metaxy_core::ErrorKind::Unsupported) for a type that Polars
    /// cannot hold.
    fn into_polars(self) -> impl Future<Output = Result<DataFrame>> + Send;
}

impl IntoPolars for Frame {
    async fn into_polars(self) -> Result<DataFrame> {
        require_likeness(self.schema())?;
        shown(&self.collect().await?)
    }
}

impl IntoPolars for Rows {
    async fn into_polars(self) -> Result<DataFrame> {
        shown(&self)
    }
}

/// Rows as a frame of Polars, as [`IntoPolars::into_polars`] gives them.
///
/// # Errors
/// [`ErrorKind::Unsupported`](metaxy_core::ErrorKind::Unsupported) for a type that Polars cannot hold.
pub fn shown(rows: &Rows) -> Result<DataFrame> {
    require_likeness(rows.schema())?;
    let fields = rows.schema().fields().iter();
    let fields = fields.map(|f| f.as_ref().clone().with_data_type(shown_as(f.data_type())));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batches = rows.batches().iter().map(|batch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let size = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = columns.collect::<Result<_>>()?;
        Ok(RecordBatch::try_new_with_options(
            schema.clone(),
            columns,
            &size,
        )?)
    });
    to_polars(&schema, &batches.collect::<Result<Vec<_>>>()?)
}

/// Rows that one batch of a frame has at most.
const BATCH: usize = 65_536;

fn batches(frame: &DataFrame) -> Result<Rows> {
    let schema = batch(&frame.clear())?.schema();
    let starts = (0..frame.height()).step_by(BATCH);
    let batches = starts.map(|start| batch(&frame.slice(start as i64, BATCH)));
    Ok(Rows::new(schema, batches.collect::<Result<_>>()?))
}

fn batch(frame: &DataFrame) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for column in frame.columns() {
        let array = raw(column)?;
        fields.push(Field::new(
            column.name().as_str(),
            array.data_type().clone(),
            true,
        ));
        arrays.push(array);
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(frame.height()));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

fn failing(error: metaxy_core::Error) -> Frame {
    let schema = Arc::new(Schema::empty());
    Frame::new(schema, stream::iter([Err(error)]))
}
