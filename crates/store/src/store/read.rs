//! Reading a feature (`semantics.md` §5, §7).

use arrow::datatypes::SchemaRef;

use super::{MetadataStore, requires};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::key::FeatureKey;
use crate::plan::{Childless, Plan, ReadOptions, ReadScope, Relation, read_current};

impl MetadataStore {
    /// The samples of a feature, from the first store of the chain that has it.
    ///
    /// By default: of the current feature version, the latest row of each sample, without soft-deleted ones, with all stored
    /// columns. The rows stream.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureNotFound`] if no store has the feature, [`ErrorKind::InvalidFilter`] and
    /// [`ErrorKind::InvalidArgument`] if a filter or a column does not fit what is stored, [`ErrorKind::Unsupported`] if the store
    /// that has the feature cannot tell what it was at a time.
    pub async fn read(&self, feature: &FeatureKey, options: ReadOptions) -> Result<Frame> {
        Ok(self.read_with_store(feature, options).await?.0)
    }

    /// As [`read`](Self::read), and the store that had the feature.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub async fn read_with_store(
        &self,
        feature: &FeatureKey,
        options: ReadOptions,
    ) -> Result<(Frame, MetadataStore)> {
        let (relation, store) = self.reading(feature, &options).await?;
        let rows = store
            .inner
            .backend
            .query(Plan::from(relation))
            .await
            .map_err(|e| store.about(e, feature))?;
        Ok((rows, store))
    }

    /// What a read runs, and the store that runs it.
    pub(super) async fn reading(
        &self,
        feature: &FeatureKey,
        options: &ReadOptions,
    ) -> Result<(Relation, MetadataStore)> {
        let scope = self.scope(feature, options)?;
        let store = if options.local_only {
            Some(self.clone())
        } else {
            let version = scope.feature_version.as_deref();
            self.find_store_of(feature, version).await?
        };
        let (store, schema) = match store {
            Some(store) => {
                let schema = store.feature_schema(feature).await?;
                (store, schema)
            }
            // A table without rows is in no store, but a read of it is empty rather than an error.
            None => (self.clone(), self.feature_schema(feature).await?),
        };
        if options.as_of.is_some() {
            requires::as_of(&store.inner).map_err(|e| store.about(e, feature))?;
        }
        let schema = schema.ok_or_else(|| self.never_written(feature))?;
        let relation = store
            .read_plan(feature, &schema, &scope, options)
            .map_err(|e| store.about(e, feature))?;
        Ok((relation, store))
    }

    fn scope(&self, feature: &FeatureKey, options: &ReadOptions) -> Result<ReadScope> {
        // An unknown feature is an error even where every version is asked for.
        let current = self.graph.feature_version(feature)?;
        if options.feature_version.is_some() && !options.with_feature_history {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("a read of feature {feature} asks for a version but not for history"),
            )
            .with_hint("set `with_feature_history` as well to read rows of another version"));
        }
        let feature_version = match (&options.feature_version, options.with_feature_history) {
            (Some(version), _) => Some(version.clone()),
            (None, true) => None,
            (None, false) => Some(current.to_owned()),
        };
        Ok(ReadScope {
            feature_version,
            sample_history: options.with_sample_history,
            include_soft_deleted: options.include_soft_deleted,
            as_of: options.as_of,
            childless: match options.with_childless {
                true => Childless::latest_of(&self.plan(feature)?),
                false => Childless::Hidden,
            },
        })
    }

    fn read_plan(
        &self,
        feature: &FeatureKey,
        schema: &SchemaRef,
        scope: &ReadScope,
        options: &ReadOptions,
    ) -> Result<Relation> {
        let ids = self.graph.require(feature)?.spec.id_columns();
        let mut relation = read_current(feature, schema, ids, scope, &options.filters)?;
        if let Some(columns) = &options.columns {
            let schema = relation.schema();
            if let Some(unknown) = columns.iter().find(|c| schema.field_with_name(c).is_err()) {
                let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                let error = Error::new(
                    ErrorKind::InvalidArgument,
                    format!("feature {feature} has no column {unknown:?}"),
                );
                return Err(
                    match crate::error::nearest(unknown, known.iter().copied()) {
                        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                        None => error.with_hint(format!("it has {}", known.join(", "))),
                    },
                );
            }
            relation = relation.select(columns.iter().map(String::as_str))?;
        }
        if let Some(rows) = options.limit {
            relation = relation.limit(rows);
        }
        Ok(relation)
    }

    pub(super) fn never_written(&self, feature: &FeatureKey) -> Error {
        let error = Error::new(
            ErrorKind::FeatureNotFound,
            format!(
                "feature {feature} has never been written to store {:?}{}",
                self.name(),
                if self.inner.fallbacks.is_empty() {
                    ""
                } else {
                    " or to those it falls back to"
                }
            ),
        );
        error
            .with_context("location", self.describe())
            .with_hint("write it first")
    }
}
