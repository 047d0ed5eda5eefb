//! What the targets of files share, and those of stores.

#[cfg(feature = "stores")]
pub mod stores;

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use metaxy_frames::{Format, FrameReader, FrameWriter, ReadOptions};

/// Columns of many types, whose names are those of the seeds.
#[must_use]
pub fn hint() -> SchemaRef {
    let point = vec![
        Field::new("lat", DataType::Float64, true),
        Field::new("n", DataType::Int8, true),
    ];
    let fields = vec![
        Field::new("i", DataType::Int64, true),
        Field::new("u", DataType::UInt64, true),
        Field::new("f", DataType::Float32, true),
        Field::new("d", DataType::Decimal128(20, 3), true),
        Field::new("b", DataType::Binary, true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("t", DataType::Time64(TimeUnit::Nanosecond), true),
        Field::new("span", DataType::Duration(TimeUnit::Millisecond), true),
        Field::new("day", DataType::Date32, true),
        Field::new("l", DataType::new_list(DataType::Int32, true), true),
        Field::new("p", DataType::Struct(point.into()), true),
    ];
    Arc::new(Schema::new(fields))
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .map_err(|_| io::ErrorKind::Other)?
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(
    bytes: Vec<u8>,
    format: Format,
    options: &ReadOptions,
) -> metaxy_store::Result<RecordBatch> {
    let reader = FrameReader::from_read(Cursor::new(bytes), "input", format, options)?;
    let schema = reader.schema();
    let batches = reader.collect::<metaxy_store::Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// What can be read is written, and read again as the same.
///
/// # Panics
/// If it is not.
pub fn round(bytes: &[u8], format: Format, options: &ReadOptions) {
    let Ok(batch) = read(bytes.to_vec(), format, options) else {
        return;
    };
    if batch.num_columns() == 0 {
        return;
    }
    let out = Shared::default();
    let written = FrameWriter::to_write(out.clone(), "output", format, batch.schema()).and_then(
        |mut writer| {
            writer.write(&batch)?;
            writer.finish()
        },
    );
    // What a format cannot say is refused.
    if written.is_err() {
        return;
    }
    let text = out.0.lock().expect("nobody panicked").clone();
    let options = ReadOptions::default().with_schema_hint(batch.schema());
    let shown = String::from_utf8_lossy(&text).into_owned();
    let again = read(text, format, &options).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    assert_eq!(batch.num_rows(), again.num_rows(), "{shown}");
    for (left, right) in batch.columns().iter().zip(again.columns()) {
        assert_eq!(left, right, "{shown}");
    }
}
