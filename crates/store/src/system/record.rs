//! One row of the table of pushed graphs, and how the table is read and written.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::backend::append::in_unit;
use crate::clock::Micros;
use crate::columns;
use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::FeatureKey;
use crate::spec::FeatureSpec;

/// The key of the table of pushed graphs.
#[must_use]
pub fn feature_versions_key() -> FeatureKey {
    FeatureKey::system("feature_versions")
}

/// A feature as a push recorded it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PushedFeature {
    /// The project that pushed it.
    pub project: String,
    /// The feature.
    pub feature_key: FeatureKey,
    /// Its feature version.
    pub feature_version: String,
    /// Its definition version.
    pub definition_version: String,
    /// When it was recorded, in UTC microseconds.
    pub recorded_at: Micros,
    /// Its spec, as JSON text.
    pub feature_spec: String,
    /// The JSON schema of its columns, as text.
    pub feature_schema: String,
    /// Where its definition lives in code.
    pub feature_class_path: String,
    /// The version of the project that was pushed.
    pub project_version: String,
    /// What the push was tagged with, as a JSON object of texts.
    pub tags: String,
    /// When the feature was removed from its project.
    pub deleted_at: Option<Micros>,
}

impl PushedFeature {
    /// What tells a row from all others.
    pub(super) fn identity(&self) -> impl Eq + std::hash::Hash + use<'_> {
        let versions = [
            &self.feature_version,
            &self.definition_version,
            &self.project_version,
        ];
        let times = (self.recorded_at, self.deleted_at);
        (&self.project, &self.feature_key, versions, times)
    }

    /// What tells a definition from all others.
    pub(super) fn what_is_defined(&self) -> impl Eq + std::hash::Hash + use<'_> {
        let versions = [&self.feature_version, &self.definition_version];
        (&self.feature_key, versions)
    }

    /// The definition that was pushed.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what is stored is not a definition, or is that of another feature: whoever may write to the store
    /// could put it in the place of a feature that is not theirs.
    pub fn definition(&self) -> Result<FeatureDefinition> {
        let damaged = |error: Error| {
            Error::new(
                ErrorKind::Corrupt,
                format!(
                    "what was pushed of feature {} is not a definition",
                    self.feature_key
                ),
            )
            .with_source(error)
        };
        let spec = Json::parse(&self.feature_spec)
            .and_then(|json| FeatureSpec::from_recorded(&json))
            .map_err(damaged)?;
        if *spec.key() != self.feature_key {
            let message = format!("its spec is that of feature {}", spec.key());
            return Err(damaged(Error::new(ErrorKind::Corrupt, message)));
        }
        let schema = Json::parse(&self.feature_schema).map_err(damaged)?;
        Ok(FeatureDefinition::new(spec, &self.project)
            .with_schema(schema)
            .with_class_path(&self.feature_class_path))
    }
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time =
        |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true);
    Arc::new(Schema::new(vec![
        text("project"),
        text("feature_key"),
        text(columns::FEATURE_VERSION),
        text("metaxy_definition_version"),
        time("recorded_at"),
        text("feature_spec"),
        text("feature_schema"),
        text("feature_class_path"),
        text(columns::PROJECT_VERSION),
        text("tags"),
        time("deleted_at"),
    ]))
}

pub(super) fn render(features: &[PushedFeature]) -> Result<RecordBatch> {
    let text = |of: fn(&PushedFeature) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(features.iter().map(of)))
    };
    let recorded: TimestampMicrosecondArray =
        features.iter().map(|f| Some(f.recorded_at)).collect();
    let deleted: TimestampMicrosecondArray = features.iter().map(|f| f.deleted_at).collect();
    let arrays: Vec<ArrayRef> = vec![
        text(|f| &f.project),
        text(|f| f.feature_key.as_str()),
        text(|f| &f.feature_version),
        text(|f| &f.definition_version),
        Arc::new(recorded),
        text(|f| &f.feature_spec),
        text(|f| &f.feature_schema),
        text(|f| &f.feature_class_path),
        text(|f| &f.project_version),
        text(|f| &f.tags),
        Arc::new(deleted),
    ];
    Ok(RecordBatch::try_new(schema(), arrays)?)
}

/// The features of a batch. A row whose key cannot be read is left out, and a warning logged.
pub(super) fn parse(batch: &RecordBatch) -> Result<Vec<PushedFeature>> {
    let missing = |name: &str, what: &str| {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "the table {} has no column {name:?} that is {what}",
                feature_versions_key()
            ),
        )
    };
    let texts = |name: &str| -> Result<ArrayRef> {
        let found = batch.column_by_name(name);
        found
            .and_then(|array| cast(array, &DataType::Utf8).ok())
            .ok_or_else(|| missing(name, "text"))
    };
    let times = |name: &str| -> Result<Int64Array> {
        let found = batch.column_by_name(name);
        found
            .and_then(|array| in_unit(array, TimeUnit::Microsecond))
            .ok_or_else(|| missing(name, "a time"))
    };
    let (project, key, class_path) = (
        texts("project")?,
        texts("feature_key")?,
        texts("feature_class_path")?,
    );
    let feature_version = texts(columns::FEATURE_VERSION)?;
    let definition_version = texts("metaxy_definition_version")?;
    let (spec, schema) = (texts("feature_spec")?, texts("feature_schema")?);
    let (project_version, tags) = (texts(columns::PROJECT_VERSION)?, texts("tags")?);
    let recorded_at = times("recorded_at")?;
    let deleted_at = match batch.column_by_name("deleted_at") {
        Some(_) => Some(times("deleted_at")?),
        None => None,
    };
    let text = |array: &ArrayRef, row: usize| -> String {
        let array = array.as_string::<i32>();
        if array.is_valid(row) {
            array.value(row).to_owned()
        } else {
            String::new()
        }
    };
    let time = |array: &Int64Array, row: usize| array.is_valid(row).then(|| array.value(row));
    let mut features = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (project, key) = (text(&project, row), text(&key, row));
        let feature_key = match FeatureKey::new(&key) {
            Ok(key) => key,
            Err(error) => {
                // One odd row must not stop every project that shares the store.
                tracing::warn!(
                    project,
                    key,
                    "a row of {} has no readable feature key, so it is left out: {error}",
                    feature_versions_key()
                );
                continue;
            }
        };
        features.push(PushedFeature {
            project,
            feature_key,
            feature_version: text(&feature_version, row),
            definition_version: text(&definition_version, row),
            recorded_at: time(&recorded_at, row).unwrap_or_default(),
            feature_spec: text(&spec, row),
            feature_schema: text(&schema, row),
            feature_class_path: text(&class_path, row),
            project_version: text(&project_version, row),
            tags: text(&tags, row),
            deleted_at: deleted_at.as_ref().and_then(|array| time(array, row)),
        });
    }
    Ok(features)
}
