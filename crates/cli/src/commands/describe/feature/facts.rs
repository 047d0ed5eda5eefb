//! What is known of a feature.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use indexmap::IndexMap;
use metaxy_store::clock::Micros;
use metaxy_store::spec::{FeatureDep, FieldSpec};
use metaxy_store::{
    FeatureDefinition, FeatureKey, FieldKey, MetadataStore, ReadOptions, Result, columns,
};
use serde_json::{Value, json};

use crate::screen::moment;

/// What is known of a feature.
pub(crate) struct FeatureFacts {
    pub(crate) definition: Arc<FeatureDefinition>,
    /// Null where an upstream is not known.
    pub(crate) version: Option<String>,
    code_version: Option<String>,
    pub(crate) definition_version: Option<String>,
    field_versions: IndexMap<FieldKey, String>,
    /// By field: the upstream fields that it depends on.
    parents: IndexMap<FieldKey, Vec<(FeatureKey, FieldKey)>>,
    pub(crate) upstream: Vec<FeatureKey>,
    pub(crate) dependents: Vec<FeatureKey>,
    pub(crate) downstream: Vec<FeatureKey>,
    pub(crate) stored: Option<Stored>,
}

/// What a store has of it.
pub(crate) struct Stored {
    pub(crate) store: String,
    pub(crate) location: String,
    /// Current samples.
    pub(crate) samples: u64,
    pub(crate) columns: SchemaRef,
    pub(crate) versions: Vec<StoredVersion>,
}

/// The rows of one feature version.
pub(crate) struct StoredVersion {
    /// Null for rows that say none.
    pub(crate) version: Option<String>,
    pub(crate) rows: u64,
    pub(crate) current: bool,
    /// When it was pushed first.
    pub(crate) pushed_at: Option<Micros>,
}

impl FeatureFacts {
    pub(crate) async fn gather(store: &MetadataStore, feature: &FeatureKey) -> Result<Self> {
        let graph = store.graph();
        let one = std::slice::from_ref(feature);
        let text = |version: Result<&str>| version.ok().map(str::to_owned);
        // An upstream that is not known leaves the parents unknown.
        let parents = graph.plan(feature).map(|plan| {
            let fields = plan.parents.iter();
            fields
                .map(|(field, parents)| {
                    let parents = parents.iter();
                    let named = parents.map(|p| (p.feature.clone(), p.field.clone()));
                    (field.clone(), named.collect())
                })
                .collect()
        });
        Ok(Self {
            definition: graph.require(feature)?.clone(),
            version: text(graph.feature_version(feature)),
            code_version: text(graph.code_version(feature)),
            definition_version: text(graph.definition_version(feature)),
            field_versions: graph.field_versions(feature).cloned().unwrap_or_default(),
            parents: parents.unwrap_or_default(),
            upstream: graph.upstream(one),
            dependents: graph.dependents(feature),
            downstream: graph.downstream(one),
            stored: Stored::find(store, feature).await?,
        })
    }

    pub(crate) fn field_version(&self, field: &FieldKey) -> Option<&str> {
        self.field_versions.get(field).map(String::as_str)
    }

    /// By upstream feature, in order: its fields that `field` depends on.
    pub(crate) fn parents_of(&self, field: &FieldKey) -> IndexMap<&FeatureKey, Vec<&str>> {
        let mut parents: IndexMap<&FeatureKey, Vec<&str>> = IndexMap::new();
        for (feature, parent) in self.parents.get(field).into_iter().flatten() {
            parents.entry(feature).or_default().push(parent.as_str());
        }
        parents
    }

    pub(crate) fn deps(&self) -> &[FeatureDep] {
        self.definition.spec.deps()
    }

    pub(crate) fn document(&self) -> Value {
        let definition = &self.definition;
        let spec = &definition.spec;
        let json = Value::from(spec.to_json());
        let external = definition.external.is_some();
        let class_path = &definition.feature_class_path;
        json!({
            "feature": spec.key().as_str(),
            "project": definition.project,
            "description": spec.description(),
            "external": external,
            "defined_in": (!class_path.is_empty()).then_some(class_path),
            "version": self.version,
            "code_version": self.code_version,
            "definition_version": self.definition_version,
            "identified_by": spec.id_columns(),
            "fields": spec.fields().iter().map(|f| self.field(f)).collect::<Vec<_>>(),
            "depends_on": json["deps"],
            "upstream": names(&self.upstream),
            "direct_downstream": names(&self.dependents),
            "downstream": names(&self.downstream),
            "metadata": json["metadata"],
            "stored": self.stored.as_ref().map(Stored::document),
        })
    }

    fn field(&self, field: &FieldSpec) -> Value {
        let parents = self.parents_of(&field.key);
        let parents = parents
            .iter()
            .map(|(feature, fields)| json!({"feature": feature.as_str(), "fields": fields}));
        json!({
            "field": field.key.as_str(),
            "code_version": field.code_version,
            "version": self.field_version(&field.key),
            "depends_on": parents.collect::<Vec<_>>(),
        })
    }
}

impl Stored {
    /// What the first store of the chain has that has the feature.
    async fn find(store: &MetadataStore, feature: &FeatureKey) -> Result<Option<Self>> {
        let Some(owner) = store.find_store(feature).await? else {
            return Ok(None);
        };
        let Some(columns) = owner.feature_schema(feature).await? else {
            return Ok(None);
        };
        let current = owner.graph().feature_version(feature).ok();
        let samples = match current {
            Some(_) => {
                let options = ReadOptions::default().with_local_only(true);
                owner.count(feature, options).await?
            }
            None => 0,
        };
        let mut pushed: HashMap<String, Micros> = HashMap::new();
        for one in owner.pushed_features().await? {
            if one.feature_key == *feature {
                pushed.entry(one.feature_version).or_insert(one.recorded_at);
            }
        }
        let versions = owner.rows_by_version(feature).await?;
        let mut versions: Vec<StoredVersion> = versions
            .into_iter()
            .map(|(version, rows)| StoredVersion {
                current: version.is_some() && version.as_deref() == current,
                pushed_at: version.as_ref().and_then(|v| pushed.get(v).copied()),
                version,
                rows,
            })
            .collect();
        versions.sort_by_key(|v| (!v.current, std::cmp::Reverse(v.pushed_at)));
        Ok(Some(Self {
            store: owner.name().to_owned(),
            location: owner.describe().to_string(),
            samples,
            columns,
            versions,
        }))
    }

    /// All rows, superseded and deleted ones included.
    pub(crate) fn rows(&self) -> u64 {
        self.versions.iter().map(|version| version.rows).sum()
    }

    fn document(&self) -> Value {
        let columns = self.columns.fields().iter().map(|field| {
            json!({
                "column": field.name(),
                "type": field.data_type().to_string(),
                "system": columns::is_system(field.name()),
            })
        });
        let versions = self.versions.iter().map(|version| {
            json!({
                "version": version.version,
                "rows": version.rows,
                "current": version.current,
                "pushed_at": version.pushed_at.map(moment),
            })
        });
        json!({
            "store": self.store,
            "location": self.location,
            "samples": self.samples,
            "rows": self.rows(),
            "versions": versions.collect::<Vec<_>>(),
            "columns": columns.collect::<Vec<_>>(),
        })
    }
}

fn names(features: &[FeatureKey]) -> Vec<&str> {
    features.iter().map(FeatureKey::as_str).collect()
}
