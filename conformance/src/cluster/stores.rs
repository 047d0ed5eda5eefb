//! Stores on a server: each in a schema of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use metaxy_store::backend::Backend;
use metaxy_store::{Error, ErrorKind, Result};

use super::{Cluster, next};
use crate::factory::{Availability, Settings, StoreFactory, StoreRequest};

/// How a store in a schema is made: from the address of the database and the name of the schema.
type Open = Box<dyn Fn(&str, &str, &StoreRequest) -> Result<Arc<dyn Backend>> + Send + Sync>;

/// Stores in one database, each in a schema of its own.
pub struct Schemas {
    name: &'static str,
    type_path: &'static str,
    cluster: &'static Cluster,
    schemas: Mutex<HashMap<String, String>>,
    open: Open,
}

impl Schemas {
    /// A factory of the stores that `open` makes from the address of the database and the name of a schema; a configuration calls them
    /// `type_path`.
    ///
    /// # Errors
    /// [`ErrorKind::CannotOpen`] if there is no server.
    pub fn new(
        name: &'static str,
        type_path: &'static str,
        open: impl Fn(&str, &str, &StoreRequest) -> Result<Arc<dyn Backend>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let cluster = Cluster::shared().map_err(|why| Error::new(ErrorKind::CannotOpen, why))?;
        Ok(Self {
            name,
            type_path,
            cluster,
            schemas: Mutex::default(),
            open: Box::new(open),
        })
    }

    fn schema(&self, request: &StoreRequest) -> String {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let name = || format!("metaxy_{}_{}", std::process::id(), next());
        schemas
            .entry(request.case.clone())
            .or_insert_with(name)
            .clone()
    }
}

#[async_trait]
impl StoreFactory for Schemas {
    fn name(&self) -> &str {
        self.name
    }

    async fn availability(&self) -> Availability {
        Availability::Ready
    }

    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>> {
        (self.open)(&self.cluster.nearby_url(), &self.schema(request), request)
    }

    async fn discard(&self, request: &StoreRequest) -> Result<()> {
        let statement = format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.schema(request));
        let dropped = self.cluster.sql(self.cluster.url(), &statement);
        dropped
            .map(drop)
            .map_err(|why| Error::new(ErrorKind::Storage, why))
    }

    fn settings(&self, request: &StoreRequest) -> Option<Settings> {
        Some(Settings {
            type_path: self.type_path.to_owned(),
            options: format!(
                "connection_string = '{}'\nschema = '{}'",
                self.cluster.nearby_url(),
                self.schema(request)
            ),
        })
    }

    fn secrets(&self) -> Vec<String> {
        self.cluster.secrets()
    }
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schemas")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
