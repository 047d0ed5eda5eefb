//! The table of the keys of feature files: what it says of each key is so.

use std::path::Path;

use metaxy_core::definition::{FeatureDefinition, OnVersionMismatch};
use metaxy_core::graph::FeatureGraph;
use metaxy_core::key::FieldKey;
use metaxy_core::options::REQUIRED;
use metaxy_core::spec::{FeatureDep, Lineage};
use metaxy_core::toml_features::{KeyDoc, KeyTable, TABLES, UPSTREAM, parse_features};
use toml::{Table, Value};

/// The file that an example is a part of.
fn file(example: &str) -> String {
    format!("{example}\n{UPSTREAM}")
}

fn definitions(text: &str) -> Vec<FeatureDefinition> {
    parse_features(text, "features.toml", Some("demo")).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

fn every_key() -> impl Iterator<Item = (&'static KeyTable, &'static KeyDoc)> {
    let keys = |table: &'static KeyTable| table.keys.iter().map(move |key| (table, key));
    TABLES.into_iter().flat_map(keys)
}

#[test]
fn every_example_is_a_graph() {
    for (table, key) in every_key() {
        let graph = FeatureGraph::from_definitions(definitions(&file(key.example))).unwrap();
        graph.check().unwrap();
        for definition in graph.definitions().filter(|d| !d.is_external()) {
            let version = graph.feature_version(definition.key().as_str());
            version.unwrap_or_else(|e| panic!("{}, {}: {e}", table.title, key.name));
        }
    }
}

/// The table has no key that the parser does not look at: without it the features are others, or an error.
#[test]
fn every_key_matters() {
    for (table, key) in every_key() {
        let about = format!("{}, `{}`", table.title, key.name);
        let text = file(key.example);
        let mut without: Table = text.parse().unwrap();
        assert!(
            remove(&mut without, table, key.name),
            "{about}: the example does not use it"
        );
        let without = without.to_string();
        let read = parse_features(&without, "features.toml", Some("demo"));
        match read {
            Ok(read) if key.name == "feature" && table.title == "The file" => {
                assert!(read.is_empty());
            }
            Ok(read) => {
                assert_ne!(key.default, REQUIRED, "{about} is not required");
                assert_ne!(read, definitions(&text), "{about} changes nothing");
            }
            Err(error) => {
                let alone = ["aggregation", "expansion"].contains(&key.name);
                assert!(key.default == REQUIRED || alone, "{about}: {error}");
            }
        }
    }
}

/// Removes a key from the tables of a file that are of this kind, and says whether it was anywhere.
fn remove(file: &mut Table, table: &KeyTable, key: &str) -> bool {
    let mut found = false;
    for part in parts(file, table.title) {
        // The first is that of the example.
        found |= !found && part.remove(key).is_some();
    }
    found
}

/// The tables of one kind in a file.
fn parts<'t>(file: &'t mut Table, title: &str) -> Vec<&'t mut Table> {
    if title == "The file" {
        return vec![file];
    }
    let features = tables(file.get_mut("feature").unwrap());
    let below = |tables: Vec<&'t mut Table>, key: &str| -> Vec<&'t mut Table> {
        let values = tables.into_iter().filter_map(|table| table.get_mut(key));
        values.flat_map(tables_of).collect()
    };
    match title {
        "A feature" => features,
        "A dependency of a feature" => below(features, "deps"),
        "`lineage` of a dependency" => below(below(features, "deps"), "lineage"),
        "`fields_mapping` of a dependency" => below(below(features, "deps"), "fields_mapping"),
        "A field" => fields(below(features, "fields")),
        "A dependency of a field" => below(fields(below(features, "fields")), "deps"),
        "An external feature" => below(features, "external"),
        _ => panic!("no table is called {title:?}"),
    }
}

/// The fields of tables of fields.
fn fields(tables: Vec<&mut Table>) -> Vec<&mut Table> {
    let values = tables.into_iter().flat_map(|table| table.iter_mut());
    values
        .filter_map(|(_, value)| value.as_table_mut())
        .collect()
}

fn tables(value: &mut Value) -> Vec<&mut Table> {
    tables_of(value)
}

/// A table, or those in a list.
fn tables_of(value: &mut Value) -> Vec<&mut Table> {
    match value {
        Value::Table(table) => vec![table],
        Value::Array(items) => items.iter_mut().filter_map(Value::as_table_mut).collect(),
        _ => Vec::new(),
    }
}

/// A key that is in no table is refused in each.
#[test]
fn no_other_key_is_taken() {
    for (table, key) in every_key() {
        let mut text: Table = file(key.example).parse().unwrap();
        for part in parts(&mut text, table.title) {
            part.insert("zzz".to_owned(), Value::Boolean(true));
        }
        let error = parse_features(&text.to_string(), "f.toml", Some("demo")).unwrap_err();
        assert!(error.to_string().contains("`zzz`"), "{error}");
        let hint = error.hint().unwrap();
        for key in table.keys {
            assert!(hint.contains(key.name), "{}: {hint}", table.title);
        }
    }
}

/// The example of a key.
fn example(table: &str, key: &str) -> Vec<FeatureDefinition> {
    let found = every_key().find(|(t, k)| t.title == table && k.name == key);
    definitions(&file(found.unwrap().1.example))
}

/// The first dependency of the first feature of an example.
fn dep(table: &str, key: &str) -> FeatureDep {
    example(table, key)[0].spec.deps()[0].clone()
}

/// The upstream fields of a field of the first feature of an example.
fn parents(table: &str, key: &str, field: &str) -> Vec<String> {
    let definitions = example(table, key);
    let feature = definitions[0].key().clone();
    // Not always the first: an example may define an upstream of its own before.
    let feature = match definitions.iter().find(|d| {
        let has = d.spec.fields().iter().any(|f| f.key.as_str() == field);
        has && !d.spec.is_root()
    }) {
        Some(definition) => definition.key().clone(),
        None => feature,
    };
    let graph = FeatureGraph::from_definitions(definitions).unwrap();
    let plan = graph.plan(feature.as_str()).unwrap();
    let parents = plan.parents_of(&FieldKey::new(field).unwrap()).unwrap();
    parents.iter().map(|p| p.field.to_string()).collect()
}

const DEP: &str = "A dependency of a feature";

#[test]
fn a_rename_leads_from_the_old_name_to_the_new_one() {
    let dep = dep(DEP, "rename");
    assert_eq!(dep.renamed("path"), "video_path");
    assert_eq!(dep.select.unwrap(), ["video_path"]);
}

#[test]
fn lineage_is_what_its_examples_say() {
    let on = |columns: &[&str]| columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        dep(DEP, "lineage").lineage,
        Lineage::Aggregation { on: None }
    );
    let table = "`lineage` of a dependency";
    assert_eq!(
        dep(table, "aggregation").lineage,
        Lineage::aggregation(["video_id"])
    );
    assert_eq!(
        dep(table, "expansion").lineage,
        Lineage::expansion(["video_id"])
    );
    assert_eq!(
        dep(table, "id_generation_pattern").lineage,
        Lineage::Expansion {
            on: on(&["video_id"]),
            id_generation_pattern: Some("the first frame".to_owned())
        }
    );
}

#[test]
fn fields_depend_on_what_the_examples_say() {
    let mapping = "`fields_mapping` of a dependency";
    assert_eq!(
        parents(DEP, "fields_mapping", "audio"),
        ["audio", "frames"],
        "all"
    );
    assert_eq!(
        parents(mapping, "match_suffix", "audio"),
        ["left/audio", "right/audio"]
    );
    assert_eq!(parents(mapping, "exclude_fields", "text"), ["audio"]);
    assert_eq!(parents(mapping, "specific", "words"), ["audio"]);
    assert_eq!(parents(mapping, "specific", "faces"), ["frames"]);
    assert_eq!(parents("A field", "deps", "words"), ["audio"]);
    assert_eq!(parents("A field", "deps", "total"), ["audio", "frames"]);
    let of_field = "A dependency of a field";
    assert_eq!(parents(of_field, "feature", "words"), ["audio", "frames"]);
    assert_eq!(parents(of_field, "fields", "text"), ["audio"]);
    assert_eq!(parents("A feature", "fields", "names"), ["frames"]);
}

#[test]
fn the_rest_is_what_the_examples_say() {
    let filters = dep(DEP, "filters").filters.unwrap();
    assert_eq!(filters, ["seconds < 300", "path LIKE '%.mp4'"]);
    let optional = example(DEP, "optional");
    let optional: Vec<bool> = optional[0].spec.deps().iter().map(|d| d.optional).collect();
    assert_eq!(optional, [false, true]);
    assert_eq!(dep(DEP, "feature"), FeatureDep::new("video/raw").unwrap());

    let project = |table, key| example(table, key)[0].project.clone();
    assert_eq!(project("A feature", "project"), "sources");
    assert_eq!(project("The file", "project"), "sources");
    assert_eq!(project("A feature", "key"), "demo");

    let fields = example("A feature", "fields");
    let versions = fields[0].spec.fields().iter();
    let versions: Vec<_> = versions
        .map(|f| (f.key.as_str(), f.code_version.as_str()))
        .collect();
    let initial = metaxy_core::spec::INITIAL_CODE_VERSION;
    assert_eq!(
        versions,
        [("boxes", "2"), ("count", initial), ("names", initial)]
    );
    let without = example("A feature", "key");
    assert_eq!(without[0].spec.fields()[0].key.as_str(), "default");

    let table = "An external feature";
    let external = |key| example(table, key)[0].external.clone().unwrap();
    let stated = external("provenance_by_field").provenance_by_field.unwrap();
    assert_eq!(stated[0], "2024-05");
    assert_eq!(
        external("on_version_mismatch").on_version_mismatch,
        OnVersionMismatch::Error
    );
    assert!(example("A feature", "external")[0].is_external());
}

/// What says nothing about samples changes no version of a feature.
#[test]
fn words_about_a_feature_are_no_new_version() {
    for key in ["description", "metadata", "schema", "class_path"] {
        let found = every_key().find(|(table, k)| table.title == "A feature" && k.name == key);
        let (table, found) = found.unwrap();
        let text = file(found.example);
        let mut without: Table = text.parse().unwrap();
        assert!(remove(&mut without, table, key));
        let versions = |text: &str| {
            let definitions = definitions(text);
            let feature = definitions[0].key().clone();
            let graph = FeatureGraph::from_definitions(definitions).unwrap();
            let version = graph.feature_version(&feature).unwrap().to_owned();
            let definition = graph.definition_version(&feature).unwrap().to_owned();
            (version, definition)
        };
        let (with, without) = (versions(&text), versions(&without.to_string()));
        assert_eq!(with.0, without.0, "{key}");
        assert_eq!(with.1 == without.1, key == "class_path", "{key}");
    }
}

/// The chapter of the guide shows every example, in the order of the table. Its words are checked by `cargo xtask reference`.
#[test]
fn the_chapter_shows_every_example() {
    let path = "../store/guide/feature-files.md";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let page = std::fs::read_to_string(page).unwrap();
    let shown = page.split("```toml\n").skip(1);
    let shown: Vec<&str> = shown
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let head = "#:schema ./features.schema.json\n";
    let mut wanted = vec![head, UPSTREAM];
    wanted.extend(every_key().map(|(_, key)| key.example));
    assert_eq!(shown, wanted);
}
