//! Where the stores of a replay come from.

use std::sync::Arc;

use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::{HashAlgorithm, Result};

/// What a case asks of its store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreRequest {
    /// The case, unique in a replay: a name for files, schemas or prefixes. It may hold `/`.
    pub case: String,
    /// How samples are hashed.
    pub algorithm: HashAlgorithm,
    /// How many characters of a hash are kept.
    pub truncation_length: usize,
    /// Where the reference put feature tables: `nested` or `flat`. Matters to stores that have layouts.
    pub layout: String,
}

impl StoreRequest {
    pub(super) fn new(case: impl Into<String>, algorithm: HashAlgorithm, truncation_length: usize) -> Self {
        Self {
            case: case.into(),
            algorithm,
            truncation_length,
            layout: "nested".into(),
        }
    }

    pub(super) fn with_layout(mut self, layout: &str) -> Self {
        self.layout = layout.into();
        self
    }
}

/// Makes empty stores: each case of a replay has one of its own.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// The name of the kind of store, such as `sqlite`.
    fn name(&self) -> &str;

    /// A new, empty store, open for writing.
    ///
    /// # Errors
    /// If the store cannot be made; the case fails then.
    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>>;
}
