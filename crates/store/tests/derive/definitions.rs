//! A derived feature is the one that the builders make.

use metaxy_store::Result;
use metaxy_store::json::Json;
use metaxy_store::prelude::*;
use metaxy_store::typed::{FeatureRegistration, json_schema};

const PROJECT: &str = "demo";

#[derive(Feature)]
#[metaxy(key = "video/raw", id = "video_id", project = PROJECT)]
#[field("audio", code_version = "1")]
#[field("frames")]
#[field("faces/left")]
#[allow(dead_code)]
struct Raw {
    video_id: i64,
    path: String,
}

#[derive(Feature)]
#[metaxy(key = "audio/chunk", id("video_id", "chunk"), project = "demo")]
#[allow(dead_code)]
struct Chunk {
    video_id: i64,
    chunk: i32,
}

#[derive(Feature)]
#[metaxy(
    key = "video/transcript",
    project = "demo",
    description = "What is said."
)]
#[metaxy(metadata(owner = "speech", "tier/a" = -1, ratio = 0.5, live = true))]
#[dep(
    "video/raw",
    rename(path = "raw_path"),
    select("raw_path"),
    filters("raw_path <> ''", "video_id > 0"),
    fields_mapping = default(match_suffix, exclude_fields("faces/left")),
)]
#[dep("audio/chunk", lineage = aggregation("video_id"), fields_mapping = specific("text" = ["default"]), optional)]
#[field("text", code_version = "2", deps("video/raw" = ["audio"], "audio/chunk"))]
#[field("language")]
#[field("everything", deps(all))]
#[allow(dead_code)]
struct Transcript {
    #[metaxy(id)]
    video_id: i64,
    raw_path: String,
    text_length: Option<i64>,
}

fn built() -> Result<Vec<FeatureDefinition>> {
    let raw = FeatureSpec::new("video/raw", ["video_id"])?
        .with_field(FieldSpec::new("audio")?.with_code_version("1"))
        .with_field(FieldSpec::new("frames")?)
        .with_field(FieldSpec::new("faces/left")?);
    let chunk = FeatureSpec::new("audio/chunk", ["video_id", "chunk"])?;
    let transcript = FeatureSpec::new("video/transcript", ["video_id"])?
        .with_dep(
            FeatureDep::new("video/raw")?
                .with_rename("path", "raw_path")
                .with_select(["raw_path"])
                .with_filter("raw_path <> ''")
                .with_filter("video_id > 0")
                .with_fields_mapping(FieldsMapping::Default {
                    match_suffix: true,
                    exclude_fields: vec![FieldKey::new("faces/left")?],
                }),
        )
        .with_dep(
            FeatureDep::new("audio/chunk")?
                .with_lineage(Lineage::aggregation(["video_id"]))
                .with_fields_mapping(FieldsMapping::specific([("text", ["default"])])?)
                .optional(),
        )
        .with_field(
            FieldSpec::new("text")?
                .with_code_version("2")
                .with_dep(FieldDep::new("video/raw", ["audio"])?)
                .with_dep(FieldDep::all("audio/chunk")?),
        )
        .with_field(FieldSpec::new("language")?)
        .with_field(FieldSpec::new("everything")?.with_deps(FieldDeps::All))
        .with_metadata("owner", "speech")
        .with_metadata("tier/a", -1)
        .with_metadata("ratio", Json::Float(0.5))
        .with_metadata("live", true)
        .with_description("What is said.");
    Ok([
        (raw, "Raw", Raw::schema()),
        (chunk, "Chunk", Chunk::schema()),
        (transcript, "Transcript", Transcript::schema()),
    ]
    .into_iter()
    .map(|(spec, title, schema)| {
        FeatureDefinition::new(spec, "demo")
            .with_schema(json_schema(title, &schema))
            .with_class_path(format!("derive.definitions.{title}"))
    })
    .collect())
}

fn derived() -> Result<Vec<FeatureDefinition>> {
    Ok(vec![
        Raw::definition()?,
        Chunk::definition()?,
        Transcript::definition()?,
    ])
}

#[test]
fn equal_those_of_the_builders() -> Result<()> {
    for (derived, built) in derived()?.into_iter().zip(built()?) {
        assert_eq!(derived, built);
    }
    let derived = FeatureGraph::from_definitions(derived()?)?;
    let built = FeatureGraph::from_definitions(built()?)?;
    for key in [Raw::KEY, Chunk::KEY, Transcript::KEY] {
        assert_eq!(derived.feature_version(key)?, built.feature_version(key)?);
        assert_eq!(
            derived.definition_version(key)?,
            built.definition_version(key)?
        );
    }
    assert_eq!(
        derived.project_version("demo"),
        built.project_version("demo")
    );
    Ok(())
}

#[test]
fn the_schema_is_part_of_the_definition_version_only() -> Result<()> {
    let graph = FeatureGraph::from_definitions(derived()?)?;
    let bare = built()?
        .into_iter()
        .map(|d| FeatureDefinition::new(d.spec, "demo"));
    let bare = FeatureGraph::from_definitions(bare)?;
    let key = Transcript::KEY;
    assert_eq!(graph.feature_version(key)?, bare.feature_version(key)?);
    assert_ne!(
        graph.definition_version(key)?,
        bare.definition_version(key)?
    );
    assert_eq!(
        Transcript::definition()?.feature_schema.to_compact(),
        r#"{"properties":{"video_id":{"type":"integer"},"raw_path":{"type":"string"},"text_length":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["video_id","raw_path"],"title":"Transcript","type":"object"}"#
    );
    Ok(())
}

/// Every form of lineage and mapping that the test above leaves out.
#[derive(Feature)]
#[metaxy(key = "forms", id = "id", register = false)]
#[dep("a", lineage = identity, fields_mapping = all)]
#[dep("b", lineage = aggregation, fields_mapping = none)]
#[dep("c", lineage = expansion("id", id_generation_pattern = "{id}-{n}"))]
#[dep("d", lineage = expansion("id"), fields_mapping = default, select())]
#[allow(dead_code)]
struct Forms {
    id: String,
}

#[test]
fn forms_of_dependencies() -> Result<()> {
    let definition = Forms::definition()?;
    assert_eq!(definition.project, env!("CARGO_PKG_NAME"));
    let deps = definition.spec.deps();
    assert_eq!(deps[0].lineage, Lineage::Identity);
    assert_eq!(deps[0].fields_mapping, FieldsMapping::All);
    assert_eq!(deps[1].lineage, Lineage::Aggregation { on: None });
    assert_eq!(deps[1].fields_mapping, FieldsMapping::None);
    assert_eq!(
        deps[2].lineage,
        Lineage::Expansion {
            on: vec!["id".into()],
            id_generation_pattern: Some("{id}-{n}".into())
        }
    );
    assert_eq!(deps[3].lineage, Lineage::expansion(["id"]));
    assert_eq!(deps[3].select, Some(Vec::new()));
    assert_eq!(deps[2].select, None);
    Ok(())
}

#[test]
fn the_inventory_holds_what_is_registered() -> Result<()> {
    let all = FeatureRegistration::all();
    assert!(
        all.iter()
            .any(|f| f.key() == Raw::KEY && f.type_name() == std::any::type_name::<Raw>())
    );
    let graph = FeatureGraph::from_inventory()?;
    assert!(graph.contains(Transcript::KEY));
    assert!(!graph.contains(Forms::KEY));
    let keys: Vec<_> = graph.keys().cloned().collect();
    assert!(keys.is_sorted());
    Ok(())
}
