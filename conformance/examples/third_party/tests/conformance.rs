//! The suite on folders.

use metaxy_conformance::{Embedded, Suite};
use metaxy_folder::FolderConfig;

fn main() -> std::process::ExitCode {
    let stores = Embedded::new("folder", |path, request| {
        Ok(std::sync::Arc::new(
            FolderConfig::new(path).open(request.access),
        ))
    });
    Suite::main(stores.map(|stores| {
        stores.with_settings("metaxy_folder::FolderStore", |path| {
            format!("path = '{}'", path.display())
        })
    }))
}
