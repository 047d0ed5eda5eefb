//! Replays `hashes.json`: hashes of texts, by the kernel and as the provenance of samples of one field.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use metaxy_store::definition::FeatureDefinition;
use metaxy_store::hash::{HashPart, Nulls, hash_rows};
use metaxy_store::json::Json;
use metaxy_store::plan::ReadOptions;
use metaxy_store::{
    FeatureGraph, FeatureKey, FeatureSpec, FieldSpec, HashAlgorithm, MetadataStore, columns,
};

use super::factory::{StoreFactory, StoreRequest};
use super::file::{Outcome, flag, list, size, text, texts};
use super::report::Report;
use super::rows::{Row, Shown, rows};

pub(super) async fn replay(
    factory: &dyn StoreFactory,
    content: &Json,
    report: &mut Report,
) -> Outcome {
    let strings = texts(content, "strings");
    for case in list(content, "cases")? {
        let length = size(case, "truncation_length")?;
        let name = format!("hashes/{}-{length}", text(case, "algorithm")?);
        let expected = texts(case, "hashes");
        let mut wrong = Vec::new();
        if let Err(why) = compare(
            factory,
            &name,
            case,
            &strings,
            &expected,
            flag(content, "null_input_gives_null"),
        )
        .await
        {
            wrong.push(why);
        }
        report.count(name, wrong, false);
    }
    for name in texts(content, "unsupported") {
        let wrong = match name.parse::<HashAlgorithm>() {
            Ok(_) => vec!["is accepted, and the reference refuses it".to_owned()],
            Err(_) => Vec::new(),
        };
        report.count(format!("hashes/{name}"), wrong, false);
    }
    Ok(())
}

async fn compare(
    factory: &dyn StoreFactory,
    name: &str,
    case: &Json,
    strings: &[&str],
    expected: &[&str],
    null_gives_null: bool,
) -> Outcome {
    let algorithm: HashAlgorithm = text(case, "algorithm")?.parse().map_err(said)?;
    let length = size(case, "truncation_length")?;
    if strings.len() != expected.len() {
        return Err("there is not one hash per string".into());
    }

    let input: StringArray = strings.iter().map(|s| Some(*s)).chain([None]).collect();
    let hashes = hash_rows(
        algorithm,
        length,
        &[HashPart::Value(&input, Nulls::Propagate)],
        input.len(),
    )
    .map_err(said)?;
    for ((string, expected), here) in strings.iter().zip(expected).zip(hashes.iter()) {
        if here != Some(*expected) {
            return Err(format!("{string:?}: expected {expected:?}, found {here:?}"));
        }
    }
    if null_gives_null && hashes.is_valid(strings.len()) {
        return Err("the hash of null is not null".into());
    }

    let request = StoreRequest::new(name, algorithm, length);
    let stored = through_a_store(factory, &request, strings).await?;
    for ((string, expected), here) in strings.iter().zip(expected).zip(&stored) {
        if here.as_deref() != Some(*expected) {
            return Err(format!(
                "{string:?} in a store: expected {expected:?}, found {here:?}"
            ));
        }
    }
    Ok(())
}

/// The provenance of samples whose only field has these provenances: their hashes, after a round trip.
async fn through_a_store(
    factory: &dyn StoreFactory,
    request: &StoreRequest,
    strings: &[&str],
) -> Outcome<Vec<Option<String>>> {
    let feature = FeatureKey::new("golden/hashes").map_err(said)?;
    let spec = FeatureSpec::new(&feature, ["id"]).map_err(said)?;
    let spec = spec.with_field(FieldSpec::new("f").map_err(said)?);
    let graph =
        FeatureGraph::from_definitions([FeatureDefinition::new(spec, "golden")]).map_err(said)?;
    let graph = graph
        .with_truncation_length(request.truncation_length)
        .map_err(said)?;
    let store = MetadataStore::builder(factory.open(request).await.map_err(said)?)
        .with_graph(graph)
        .with_hash_algorithm(request.algorithm)
        .build()
        .map_err(said)?;
    store
        .write(&feature, samples(strings)?)
        .await
        .map_err(said)?;
    let read = ReadOptions::default().with_columns(["id", columns::PROVENANCE]);
    let read = store
        .read(&feature, read)
        .await
        .map_err(said)?
        .collect()
        .await
        .map_err(said)?;
    let mut found = vec![None; strings.len()];
    for row in rows(&read, Shown::Asked)? {
        if let Some(place) = id(&row).and_then(|id| found.get_mut(id)) {
            *place = row
                .get(columns::PROVENANCE)
                .and_then(Json::as_str)
                .map(str::to_owned);
        }
    }
    Ok(found)
}

fn samples(strings: &[&str]) -> Outcome<RecordBatch> {
    let ids: Int64Array = (0_i64..).take(strings.len()).collect();
    let provenance: ArrayRef = Arc::new(StringArray::from(strings.to_vec()));
    let by_field = StructArray::from(vec![(
        Arc::new(Field::new("f", DataType::Utf8, true)),
        provenance,
    )]);
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(ids)),
        (columns::PROVENANCE_BY_FIELD, Arc::new(by_field)),
    ];
    RecordBatch::try_from_iter(columns).map_err(|e| e.to_string())
}

fn id(row: &Row) -> Option<usize> {
    match row.get("id") {
        Some(Json::Int(digits)) => digits.parse().ok(),
        _ => None,
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn said(error: metaxy_store::Error) -> String {
    error.to_string()
}
