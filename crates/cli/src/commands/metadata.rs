//! `metaxy metadata`: what is done to the samples of whole features.

mod copy;
mod delete;
mod drop;
mod rebase;

use metaxy_store::{Error, ErrorKind, FeatureKey, MetadataStore, Result};

use super::Outcome;
use crate::args::{Consent, Metadata, MetadataCommand, Selection};
use crate::project::{Project, feature};
use crate::screen::{Screen, confirmed};

pub(super) async fn run(project: &Project, args: Metadata, screen: &Screen) -> Result<Outcome> {
    match args.what {
        MetadataCommand::Copy(args) => copy::run(project, args, screen).await?,
        MetadataCommand::Delete(args) => delete::run(project, args, screen).await?,
        MetadataCommand::Rebase(args) => rebase::run(project, args, screen).await?,
        MetadataCommand::Drop(args) => drop::run(project, args, screen).await?,
        MetadataCommand::Status(args) => return super::status::run(project, &args, screen).await,
    }
    Ok(Outcome::Done)
}

/// The features that are selected, each once, in the order of the graph.
fn selected(
    project: &Project,
    store: &MetadataStore,
    selection: &Selection,
) -> Result<Vec<FeatureKey>> {
    let graph = store.graph();
    if !selection.all_features {
        let names = selection.features.iter();
        let keys = names.map(|name| feature(store, name));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let mut order = graph.topological();
        order.retain(|key| keys.contains(key));
        return Ok(order);
    }
    let own = project.config.project();
    let mut keys = graph.topological();
    keys.retain(|key| {
        graph.get(key).is_some_and(|definition| {
            // Samples of others are theirs to change.
            !definition.is_external() && own.is_none_or(|own| own == definition.project)
        })
    });
    if keys.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "no feature is defined by project {:?}",
                own.unwrap_or_default()
            ),
        )
        .with_hint("name the features"));
    }
    Ok(keys)
}

/// Whether to go on: not in a dry run, and not unless somebody agrees to `what`.
async fn agreed(consent: Consent, what: &str) -> Result<bool> {
    Ok(!consent.dry_run && (consent.yes || confirmed(what).await?))
}
