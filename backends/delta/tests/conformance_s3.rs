//! What S3 can change of the suite, on Delta tables there: `cargo test -p metaxy-delta --features s3 --test conformance_s3`. The server is one of
//! ours (`common/s3.rs`), so nothing has to be installed.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use metaxy_conformance::{Availability, Part, Settings, StoreFactory, StoreRequest, Suite};
use metaxy_delta::DeltaConfig;
use metaxy_store::{Backend, Result};

use crate::common::s3::{SECRET_KEY, Server};

mod common;

fn main() -> ExitCode {
    let stores = OnS3 {
        server: Server::start(),
        folders: Mutex::default(),
    };
    Suite::new(Arc::new(stores))
        .with_part(Part::Storage)
        .run_as_main()
}

/// Stores in one bucket, each in a folder of its own.
struct OnS3 {
    server: Server,
    folders: Mutex<HashMap<String, String>>,
}

impl OnS3 {
    fn root(&self, request: &StoreRequest) -> String {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let next = format!("stores/{}", folders.len());
        let folder = folders.entry(request.case.clone()).or_insert(next);
        self.server.root(folder)
    }
}

#[async_trait]
impl StoreFactory for OnS3 {
    fn name(&self) -> &str {
        "delta-s3"
    }

    async fn availability(&self) -> Availability {
        Availability::Ready
    }

    async fn open(&self, request: &StoreRequest) -> Result<Arc<dyn Backend>> {
        let config = DeltaConfig::new(self.root(request));
        let config = config.with_storage_options(self.server.options());
        Ok(Arc::new(config.open(request.access)))
    }

    fn settings(&self, request: &StoreRequest) -> Option<Settings> {
        let options = self.server.options().into_iter();
        let options: Vec<String> = options.map(|(k, v)| format!("{k} = '{v}'")).collect();
        let (root, options) = (self.root(request), options.join(", "));
        Some(Settings {
            type_path: "metaxy_delta::DeltaBackend".into(),
            options: format!("root_path = '{root}'\nstorage_options = {{ {options} }}"),
        })
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET_KEY.into()]
    }
}
