//! The features that a program's code declares.

use std::fmt;

use super::Feature;
use crate::definition::FeatureDefinition;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::FeatureGraph;

inventory::collect!(FeatureRegistration);

/// A feature that `#[derive(Feature)]` declared.
pub struct FeatureRegistration {
    key: &'static str,
    type_name: fn() -> &'static str,
    definition: fn() -> Result<FeatureDefinition>,
}

impl FeatureRegistration {
    /// That of `T`.
    #[must_use]
    pub const fn of<T: Feature>() -> Self {
        Self {
            key: T::KEY,
            type_name: std::any::type_name::<T>,
            definition: T::definition,
        }
    }

    /// All that this program declares, in the order of their keys.
    #[must_use]
    pub fn all() -> Vec<&'static Self> {
        let mut all: Vec<_> = inventory::iter::<Self>.into_iter().collect();
        all.sort_by_key(|feature| (feature.key, feature.type_name()));
        all
    }

    /// The feature's key.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The path of the Rust type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Its definition.
    ///
    /// # Errors
    /// Those of [`Feature::definition`], naming the Rust type.
    pub fn definition(&self) -> Result<FeatureDefinition> {
        (self.definition)().map_err(|e| e.with_context("type", self.type_name()))
    }
}

impl fmt::Debug for FeatureRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureRegistration")
            .field("key", &self.key)
            .field("type_name", &self.type_name())
            .finish_non_exhaustive()
    }
}

/// The definitions of all features that this program declares, in the order of their keys. A program that wants some of them filters
/// them, by project for example.
///
/// # Errors
/// [`ErrorKind::InvalidDefinition`] when two types claim one key, and those of [`Feature::definition`].
pub fn registered() -> Result<Vec<FeatureDefinition>> {
    definitions(&FeatureRegistration::all())
}

/// Those of `all`, which are in the order of their keys.
fn definitions(all: &[&FeatureRegistration]) -> Result<Vec<FeatureDefinition>> {
    for pair in all.windows(2) {
        if let [a, b] = pair
            && a.key == b.key
        {
            return Err(Error::new(
                ErrorKind::InvalidDefinition,
                format!(
                    "feature `{}` is defined by `{}` and by `{}`",
                    a.key,
                    a.type_name(),
                    b.type_name()
                ),
            )
            .with_hint(
                "rename one, or keep one out of the inventory: `#[metaxy(register = false)]`",
            ));
        }
    }
    all.iter().map(|feature| feature.definition()).collect()
}

impl FeatureGraph {
    /// A graph of all features that this program declares with `#[derive(Feature)]`.
    ///
    /// # Errors
    /// Those of [`registered`] and of [`add`](Self::add).
    pub fn from_inventory() -> Result<Self> {
        Self::from_definitions(registered()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::FeatureSpec;
    use crate::typed::{SchemaRef, column, schema_of};

    struct Video<const N: usize>;

    impl<const N: usize> Feature for Video<N> {
        const KEY: &'static str = "video/raw";

        fn definition() -> Result<FeatureDefinition> {
            Ok(FeatureDefinition::new(
                FeatureSpec::new(Self::KEY, ["id"])?,
                "demo",
            ))
        }

        fn schema() -> SchemaRef {
            schema_of([column::<i64>("id")])
        }
    }

    #[test]
    fn two_types_cannot_claim_one_key() {
        let (a, b) = (
            FeatureRegistration::of::<Video<1>>(),
            FeatureRegistration::of::<Video<2>>(),
        );
        assert_eq!(definitions(&[&a]).unwrap().len(), 1);
        let error = definitions(&[&a, &b]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDefinition);
        for part in ["`video/raw`", "Video<1>", "Video<2>"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}
