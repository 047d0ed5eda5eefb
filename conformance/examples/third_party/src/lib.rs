//! A metaxy store in a folder: each write a file of Arrow batches, and a manifest that says which files count.
//!
//! It is a complete backend as somebody outside the project would write it. It only stores: to run a plan, it loads the
//! tables that the plan reads into SQLite in memory, which is built in. The guide "write a backend" goes through it step by step.
//!
//! ```toml
//! [stores.dev]
//! type = "metaxy_folder::FolderStore"
//! path = ".metaxy/dev"
//! ```
//!
//! A program that reads such a configuration names the crate, so that the linker keeps it: `use metaxy_folder as _;`.
//!
//! ```
//! use std::sync::Arc;
//! use metaxy_folder::FolderConfig;
//! use metaxy_store::{Access, MetadataStore};
//!
//! # fn main() -> metaxy_store::Result<()> {
//! let backend = FolderConfig::new("samples").open(Access::Write);
//! let store = MetadataStore::builder(Arc::new(backend)).build()?;
//! assert_eq!(store.describe().to_string(), "Folder at samples");
//! # Ok(())
//! # }
//! ```

mod backend;
mod config;
mod files;
mod manifest;

pub use backend::FolderStore;
pub use config::FolderConfig;

use metaxy_store::backend::registry::{Descriptor, submit};

/// What this crate registers.
pub const DESCRIPTOR: Descriptor =
    Descriptor::new("folder", "metaxy_folder::FolderStore", config::open)
        .with_summary("a folder of Arrow files");

submit! { DESCRIPTOR }
