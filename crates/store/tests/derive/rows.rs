//! Values to rows and back, and a pipeline made of them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use metaxy_store::Result;
use metaxy_store::prelude::*;
use metaxy_store::typed::DataType;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Feature, Serialize, Deserialize)]
#[metaxy(key = "types/all", project = "types")]
#[serde(rename_all = "camelCase")]
struct All {
    #[metaxy(id)]
    sample_id: u32,
    #[serde(rename = "type")]
    kind: Kind,
    r#move: bool,
    ratio: Option<f32>,
    names: Vec<Option<String>>,
    boxes: Vec<Area>,
    first: Option<Area>,
    at: DateTime<Utc>,
    local: Option<NaiveDateTime>,
    day: NaiveDate,
    time: NaiveTime,
    #[serde(skip)]
    cache: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, ColumnType, Serialize, Deserialize)]
struct Area {
    left: i16,
    #[serde(rename = "label")]
    text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Still,
    Moving,
}

impl ColumnType for Kind {
    fn data_type() -> DataType {
        DataType::Utf8
    }
}

fn all() -> Vec<All> {
    let area = |left, text: Option<&str>| Area {
        left,
        text: text.map(str::to_owned),
    };
    let at: DateTime<Utc> = "2024-02-29T23:59:59.123456Z".parse().unwrap();
    vec![
        All {
            sample_id: 1,
            kind: Kind::Moving,
            r#move: true,
            ratio: Some(0.5),
            names: vec![Some("é".into()), None],
            boxes: vec![area(-1, None), area(2, Some("cat"))],
            first: Some(area(-1, None)),
            at,
            local: Some(at.naive_utc()),
            day: at.date_naive(),
            time: at.time(),
            cache: Vec::new(),
        },
        All {
            sample_id: u32::MAX,
            kind: Kind::Still,
            r#move: false,
            ratio: None,
            names: Vec::new(),
            boxes: Vec::new(),
            first: None,
            at: DateTime::UNIX_EPOCH,
            local: None,
            day: DateTime::UNIX_EPOCH.date_naive(),
            time: NaiveTime::MIN,
            cache: Vec::new(),
        },
    ]
}

#[test]
fn every_type_survives_a_round_trip() -> Result<()> {
    let rows = Rows::serialize(&all())?;
    assert_eq!(rows.schema(), &All::schema());
    let names: Vec<_> = rows.schema().fields().iter().map(|f| f.name()).collect();
    let expected = [
        "sampleId", "type", "move", "ratio", "names", "boxes", "first", "at", "local", "day",
        "time",
    ];
    assert_eq!(names, expected);
    assert_eq!(rows.deserialize::<All>()?, all());
    assert_eq!(Rows::serialize::<All>(&[])?.deserialize::<All>()?, []);
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Feature, Serialize, Deserialize)]
#[metaxy(key = "clip/raw", project = "clips")]
#[field("audio")]
#[field("frames/all")]
struct Clip {
    #[metaxy(id)]
    clip_id: i64,
    path: String,
    recorded: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Feature, Serialize, Deserialize)]
#[metaxy(key = "clip/transcript", id = "clip_id", project = "clips")]
#[dep("clip/raw", rename(path = "raw_path"))]
#[field("text", deps("clip/raw" = ["audio"]))]
struct Transcript {
    clip_id: i64,
    raw_path: String,
    text_length: Option<i64>,
}

fn clip(id: i64, audio: &str) -> Sample<Clip> {
    let row = Clip {
        clip_id: id,
        path: format!("{id}.mp4"),
        recorded: (id > 1).then_some(DateTime::UNIX_EPOCH),
    };
    Sample::new(row, [("audio", audio), ("frames_all", "f")])
}

#[test]
fn errors_name_what_does_not_fit() -> Result<()> {
    let wrong = Sample::new(clip(1, "a").row, [("audoi", "a")]);
    let error = Rows::from_samples(&[wrong]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(error.message().contains("`clip/raw`"), "{error}");
    assert!(error.message().contains("`audoi`"), "{error}");

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct NotNull {
        recorded: DateTime<Utc>,
    }
    let rows = Rows::from_samples(&[clip(1, "a")])?;
    let error = rows.deserialize::<NotNull>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidFrame);
    assert!(error.message().contains("recorded"), "{error}");

    let error = rows.deserialize::<Transcript>().unwrap_err();
    assert!(error.message().contains("raw_path"), "{error}");
    assert!(error.hint().unwrap().contains("recorded"), "{error}");

    let error = Rows::serialize(&[clip(1, "a").row])?
        .samples::<Clip>()
        .unwrap_err();
    assert!(error.message().contains("metaxy_provenance_by_field"));
    Ok(())
}

#[test]
fn data_versions_travel() -> Result<()> {
    let plain = clip(1, "a");
    let own = clip(2, "b").with_data_versions([("audio", "1"), ("frames_all", "2")]);
    let rows = Rows::from_samples(&[plain.clone(), own.clone()])?;
    assert_eq!(rows.samples::<Clip>()?, [plain, own]);
    Ok(())
}

#[cfg(feature = "sqlite")]
#[test]
fn a_pipeline_of_structs() -> Result<()> {
    use futures::executor::block_on;
    use std::sync::Arc;

    #[derive(Deserialize)]
    struct Input {
        clip_id: i64,
        raw_path: String,
    }
    let work = |input: Input| Transcript {
        clip_id: input.clip_id,
        text_length: Some(input.raw_path.len() as i64),
        raw_path: input.raw_path,
    };

    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteConfig::new(folder.path().join("store.db")).open(Access::Write);
    let graph = FeatureGraph::from_definitions([Clip::definition()?, Transcript::definition()?])?;
    let store = MetadataStore::builder(Arc::new(backend))
        .with_graph(graph)
        .build()?;
    let key = Transcript::key()?;
    block_on(async {
        let clips = [clip(1, "a"), clip(2, "a")];
        let options = ResolveOptions::default().with_samples(Rows::from_samples(&clips)?);
        let increment = store.resolve_update(&Clip::key()?, options).await?;
        assert_eq!(increment.new.deserialize::<Clip>()?.len(), 2);
        store
            .write(&Clip::key()?, Rows::from_samples(&clips)?)
            .await?;

        let increment = store
            .resolve_update(&key, ResolveOptions::default())
            .await?;
        let samples = increment.new_and_stale().samples::<Input>()?;
        let done: Vec<_> = samples.into_iter().map(|s| s.map(work)).collect();
        assert_eq!(done.len(), 2);
        store.write(&key, Rows::from_samples(&done)?).await?;
        let again = store
            .resolve_update(&key, ResolveOptions::default())
            .await?;
        assert!(again.is_empty(), "{:?}", again.counts());

        store
            .write(&Clip::key()?, Rows::from_samples(&[clip(2, "b")])?)
            .await?;
        let changed = store
            .resolve_update(&key, ResolveOptions::default())
            .await?;
        assert_eq!(changed.stale.deserialize::<Input>()?[0].clip_id, 2);

        let stored = store.read(&key, ReadOptions::default()).await?;
        let mut stored: Vec<Transcript> = stored.collect().await?.deserialize()?;
        stored.sort_by_key(|row| row.clip_id);
        assert_eq!(stored[1].text_length, Some(5));
        let clips = store.read(&Clip::key()?, ReadOptions::default()).await?;
        let mut clips: Vec<Clip> = clips.collect().await?.deserialize()?;
        clips.sort_by_key(|row| row.clip_id);
        assert_eq!(clips, [clip(1, "a").row, clip(2, "b").row]);
        Ok(())
    })
}
