//! The names of the tables below the root.

use futures::{StreamExt, TryStreamExt, stream};
use metaxy_core::{ErrorKind, FeatureKey, Result};

use crate::config::Layout;
use crate::error;
use crate::table::{AT_ONCE, DeltaInner};

/// What the name of a table's folder ends with.
const SUFFIX: &str = ".delta";

/// The names of all tables, sorted: those of the features ([`FeatureKey::table_name`]).
pub(crate) async fn names(inner: &DeltaInner) -> Result<Vec<String>> {
    let mut looks = Vec::new();
    for folder in folders(inner).await? {
        looks.push(name_of(inner, folder));
    }
    let found: Vec<Option<String>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    let mut names: Vec<String> = found.into_iter().flatten().collect();
    names.sort();
    Ok(names)
}

/// The name of the table in this folder, if there is one.
async fn name_of(inner: &DeltaInner, folder: String) -> Result<Option<String>> {
    let table = inner.table_at(folder)?;
    let exists = match inner.refresh(&table).await {
        Ok(snapshot) => snapshot.is_some_and(|snapshot| !snapshot.is_dropped()),
        // Whoever reads it is told what is wrong; the others are still to be listed.
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => true,
        Err(error) => return Err(error),
    };
    Ok(exists.then(|| name(&table.relative)))
}

/// The folders of tables, relative to the root. What is inside of them is not looked at.
pub(crate) async fn folders(inner: &DeltaInner) -> Result<Vec<String>> {
    let root = inner.root()?;
    let (store, prefix) = root.store();
    let depth = prefix.parts_count();
    let mut found = Vec::new();
    let mut level = vec![prefix.clone()];
    while !level.is_empty() {
        let mut lists = Vec::new();
        for folder in &level {
            lists.push(store.list_with_delimiter(Some(folder)));
        }
        let listed: Vec<_> = stream::iter(lists).buffered(AT_ONCE).collect().await;
        level = Vec::new();
        let mut folders = Vec::new();
        for outcome in listed {
            match outcome {
                Ok(listed) => folders.extend(listed.common_prefixes),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(error::store(&e, "list the tables", &inner.secrets)),
            }
        }
        for folder in folders {
            let parts: Vec<String> = folder
                .parts()
                .skip(depth)
                .map(|p| p.as_ref().to_owned())
                .collect();
            let relative = parts.join("/");
            if relative.ends_with(SUFFIX) {
                if is_feature(inner.config.layout, &relative) {
                    found.push(relative);
                }
            } else if inner.config.layout == Layout::Nested && !relative.starts_with('.') {
                level.push(folder);
            }
        }
    }
    Ok(found)
}

/// Whether a folder may be a feature's; others are somebody else's.
fn is_feature(layout: Layout, relative: &str) -> bool {
    let name = relative.strip_suffix(SUFFIX).unwrap_or(relative);
    match layout {
        Layout::Nested => FeatureKey::new(name).is_ok(),
        Layout::Flat => FeatureKey::new(name.replace("__", "/")).is_ok(),
    }
}

/// The name of the table in this folder.
pub(crate) fn name(relative: &str) -> String {
    let name = relative.strip_suffix(SUFFIX).unwrap_or(relative);
    FeatureKey::new(name).map_or_else(|_| name.to_owned(), |key| key.table_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_the_names_of_features() {
        assert_eq!(name("video/face-crop.delta"), "video__face_crop");
        assert_eq!(name("video__face_crop.delta"), "video__face_crop");
        assert!(is_feature(
            Layout::Nested,
            "metaxy-system/feature_versions.delta"
        ));
        assert!(is_feature(
            Layout::Flat,
            "metaxy_system__feature_versions.delta"
        ));
        assert!(!is_feature(Layout::Nested, "Backup 2024.delta"));
    }
}
