//! The first rows of what is new, stale and orphaned.

use metaxy_store::plan::Part;
use metaxy_store::store::{FeatureStatus, StatusOptions};
use metaxy_store::{Error, ErrorKind, FeatureKey, MetadataStore, Result};
use serde_json::{Map, Value, json};

use crate::listing::Listing;
use crate::preview;
use crate::rows::{FirstRows, Tally};
use crate::screen::Screen;
use metaxy_frames::{Format, values};

const PARTS: [(Part, &str); 3] = [
    (Part::New, "new"),
    (Part::Stale, "stale"),
    (Part::Orphaned, "orphaned"),
];

/// The first rows of a feature's parts; `None` where nothing can be compared.
pub(super) struct Preview {
    feature: FeatureKey,
    ids: Vec<String>,
    rows: Option<FirstRows>,
}

impl Preview {
    /// At most `most` rows of each part, under the options of the status.
    pub(super) async fn of(
        store: &MetadataStore,
        status: &FeatureStatus,
        options: &StatusOptions,
        most: usize,
    ) -> Result<Self> {
        let feature = status.feature.clone();
        let ids = store.graph().require(&feature)?.spec.id_columns().to_vec();
        let rows = match status.counts {
            None => None,
            Some(counts) => {
                let increment = store
                    .resolve_lazy(&feature, options.resolve_options())
                    .await?;
                // Each sample that was counted is at least one row.
                let found = [counts.new, counts.stale, counts.orphaned];
                let wanted = found.map(|n| usize::try_from(n).unwrap_or(usize::MAX).min(most));
                let enough = |tally: &Tally| {
                    let parts = PARTS.iter().zip(wanted);
                    parts
                        .into_iter()
                        .all(|((part, _), wanted)| tally.of(*part) >= wanted)
                };
                let parts = PARTS.map(|(part, _)| part);
                let tally = Tally::default();
                Some(FirstRows::of(increment, &parts, most, &tally, enough).await?)
            }
        };
        Ok(Self { feature, ids, rows })
    }

    /// Shows the rows, if there are any, below what was shown before.
    pub(super) fn show(&self, screen: &Screen) -> Result<()> {
        let Some(rows) = self.rows.as_ref().filter(|rows| !rows.is_empty()) else {
            return Ok(());
        };
        screen.blank()?;
        screen.heading(&self.feature)?;
        let preview = preview::Preview {
            ids: &self.ids,
            apart: &[],
            system: false,
        };
        preview.show(screen, &rows.schema, &rows.batches())
    }

    fn document(&self) -> Result<Value> {
        let Some(rows) = &self.rows else {
            return Ok(Value::Null);
        };
        let mut parts = Map::new();
        for (part, name) in PARTS {
            let mut rows = values(&rows.of_part(part))?;
            for row in rows.iter_mut().filter_map(Value::as_object_mut) {
                row.shift_remove(crate::rows::PART_COLUMN);
            }
            parts.insert(name.to_owned(), rows.into());
        }
        Ok(parts.into())
    }
}

/// Refuses formats that have no place for rows within a row.
pub(super) fn require_lists(format: Option<Format>) -> Result<()> {
    match format {
        None | Some(Format::Json | Format::Ndjson) => Ok(()),
        Some(format) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{format} has no place for the rows of --preview"),
        )
        .with_hint("add --format json, ndjson or plain")),
    }
}

/// Prints the rows of the listing with what each feature's preview has.
pub(super) fn print(
    listing: &Listing,
    previews: &[Preview],
    format: Format,
    screen: &Screen,
) -> Result<()> {
    let frame = listing.frame(format)?;
    let mut rows = values(std::slice::from_ref(&frame))?;
    for (row, preview) in rows.iter_mut().zip(previews) {
        row["preview"] = preview.document()?;
    }
    match format {
        Format::Ndjson => rows.iter().try_for_each(|row| screen.line(row)),
        _ => screen.document(&json!(rows)),
    }
}
