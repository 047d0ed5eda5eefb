//! Writing, and what a round trip keeps.

use std::fs;
use std::io::{self, Write};
use std::sync::Mutex;

use super::*;

fn sample() -> RecordBatch {
    let members = vec![
        (
            Arc::new(Field::new("audio", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("12"), None, None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("my-field", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![
                Some("x"),
                Some("y"),
                Some("masked"),
            ])) as ArrayRef,
        ),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let by_field = StructArray::new(fields.into(), arrays, Some(vec![true, true, false].into()));
    let times = TimestampMicrosecondArray::from(vec![Some(1_714_557_600_000_001), Some(-1), None])
        .with_timezone("UTC");
    let mut list = ListBuilder::new(Int64Builder::new());
    list.append_value([Some(1), None]);
    list.append_null();
    list.append_value([]);
    RecordBatch::try_from_iter_with_nullable(vec![
        (
            "id",
            Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef,
            true,
        ),
        (
            "name",
            Arc::new(StringArray::from(vec![Some("a,\"b\""), None, Some("ü\nx")])),
            true,
        ),
        (
            "score",
            Arc::new(Float64Array::from(vec![0.1, 1e300, -0.0])),
            true,
        ),
        (
            "ok",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            true,
        ),
        ("at", Arc::new(times), true),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(19_000), None, Some(-1)])),
            true,
        ),
        ("tags", Arc::new(list.finish()), true),
        (BY_FIELD, Arc::new(by_field), true),
    ])
    .unwrap()
}

#[test]
fn every_format_keeps_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample();
    for format in Format::ALL {
        let path = folder.path().join(format!("frame.{format}"));
        let mut writer = FrameWriter::create(&path, None, batch.schema()).unwrap();
        writer.write(&batch.slice(0, 1)).unwrap();
        writer.write(&batch.slice(1, 2)).unwrap();
        assert!(!path.exists(), "visible only when finished");
        let finished = writer.finish().unwrap();
        assert_eq!((finished.rows, finished.pipe_closed), (3, false));

        let reader = open_reader(&path, None, Some(batch.schema())).unwrap();
        let schema = reader.schema();
        let read = concat_batches(&schema, &reader.collect::<Result<Vec<_>>>().unwrap()).unwrap();
        assert_eq!(read.schema(), batch.schema(), "{format}");
        for (name, (left, right)) in schema
            .fields()
            .iter()
            .zip(read.columns().iter().zip(batch.columns()))
        {
            if name.name() == BY_FIELD {
                assert_eq!(member(&read, "audio"), member(&batch, "audio"), "{format}");
                assert_eq!(
                    member(&read, "my-field"),
                    [Some("x".into()), Some("y".into()), None],
                    "{format}"
                );
                assert_eq!(left.nulls(), right.nulls(), "{format}");
            } else {
                assert_eq!(left, right, "{format}: {name}");
            }
        }
    }
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(
        names.len(),
        Format::ALL.len(),
        "no temporary file is left: {names:?}"
    );
}

#[test]
fn text_formats_spell_times_nulls_and_structs() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample().slice(1, 2);
    let written = |format: Format| {
        let path = folder.path().join("frame");
        let mut writer = FrameWriter::create(&path, Some(format), batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        fs::read_to_string(path).unwrap()
    };
    let first = format!(
        r#"{{"id":2,"name":null,"score":1e300,"ok":false,"at":"1969-12-31T23:59:59.999999Z","day":null,"tags":null,"{BY_FIELD}":{{"audio":null,"my-field":"y"}}}}"#
    );
    assert_eq!(written(Format::Ndjson).lines().next().unwrap(), first);
    let csv = written(Format::Csv);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        format!("id,name,score,ok,at,day,tags,{BY_FIELD}.audio,{BY_FIELD}.my-field")
    );
    assert_eq!(
        lines.next().unwrap(),
        "2,,1e300,false,1969-12-31T23:59:59.999999Z,,,,y"
    );
    assert!(csv.ends_with("\nx\",-0.0,,,1969-12-31,[],,\n"), "{csv}");
}

#[test]
fn frames_without_rows_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    for (format, text) in [
        (Format::Csv, "id\n"),
        (Format::Ndjson, ""),
        (Format::Json, "[]\n"),
    ] {
        let path = folder.path().join("empty");
        FrameWriter::create(&path, Some(format), schema.clone())
            .unwrap()
            .finish()
            .unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
}

#[test]
fn an_unfinished_writer_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame.csv");
    fs::write(&path, "old").unwrap();
    let mut writer = FrameWriter::create(&path, None, sample().schema()).unwrap();
    writer.write(&sample()).unwrap();
    drop(writer);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = FrameWriter::create(folder.path().join("no/frame.csv"), None, sample().schema())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let error = FrameWriter::create(&path, None, sample().schema())
        .unwrap()
        .write(&RecordBatch::new_empty(Arc::new(Schema::empty())))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (
        folder.path().join("real.csv"),
        folder.path().join("link.csv"),
    );
    fs::write(&real, "").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let writer = FrameWriter::create(&link, None, sample().schema()).unwrap();
    writer.finish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().starts_with("id,"));
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

/// A pipe whose reader leaves after `left` bytes.
struct Pipe {
    left: usize,
    seen: Arc<Mutex<usize>>,
    kind: io::ErrorKind,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.seen.lock().unwrap() += 1;
        if self.left == 0 {
            return Err(self.kind.into());
        }
        let taken = bytes.len().min(self.left);
        self.left -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
    let rows = Int64Array::from_iter_values(0..100_000);
    let batch = RecordBatch::try_from_iter([("id", Arc::new(rows) as ArrayRef)]).unwrap();
    for format in Format::ALL {
        for (kind, closed) in [
            (io::ErrorKind::BrokenPipe, true),
            (io::ErrorKind::StorageFull, false),
        ] {
            let seen = Arc::new(Mutex::new(0));
            let pipe = Pipe {
                left: 10,
                seen: seen.clone(),
                kind,
            };
            let mut writer = FrameWriter::to_write(pipe, "pipe", format, batch.schema()).unwrap();
            let written = (0..3).try_for_each(|_| writer.write(&batch));
            let finished = written.and_then(|()| writer.finish());
            match closed {
                true => assert!(finished.unwrap().pipe_closed, "{format}"),
                false => assert_eq!(finished.unwrap_err().kind(), ErrorKind::Io, "{format}"),
            }
            if closed {
                assert!(
                    *seen.lock().unwrap() <= 2,
                    "{format}: nothing is tried on a closed pipe"
                );
            }
        }
    }
}

#[test]
fn cells_that_a_spreadsheet_would_run_are_guarded() {
    let texts = ["=1+1", "-5", "-5+1", "@x", "a=b", "=a,\"b\"", "+49 30"];
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let batch = RecordBatch::try_from_iter([("=name", texts)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let written = |options: WriteOptions| {
        let path = folder.path().join("a.csv");
        let mut writer = FrameWriter::create(&path, options, batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        fs::read_to_string(path).unwrap()
    };
    let exact = "=name\n=1+1\n-5\n-5+1\n@x\na=b\n\"=a,\"\"b\"\"\"\n+49 30\n";
    assert_eq!(written(WriteOptions::default()), exact);
    let guarded = "'=name\n'=1+1\n-5\n'-5+1\n'@x\na=b\n\"'=a,\"\"b\"\"\"\n'+49 30\n";
    assert_eq!(
        written(WriteOptions::default().with_guard_cells(true)),
        guarded
    );
}
