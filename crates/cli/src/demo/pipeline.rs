//! The features of the demonstration, brought up to date.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use metaxy_store::hash::{HashPart, Nulls, hash_rows};
use metaxy_store::store::Counts;
use metaxy_store::{
    DeleteOptions, Error, ErrorKind, FeatureKey, MetadataStore, ReadOptions, ResolveOptions,
    Result, Rows, columns,
};

use super::files::{IndexOptions, index, steps};
use crate::rows::with_ids;

/// The samples: files.
pub(crate) const FILE: &str = "demo/file";
/// What is computed from them, upstream first.
pub(crate) const DERIVED: [&str; 3] = ["demo/keywords", "demo/symbols", "demo/card"];

/// A store with the features of the demonstration, and the files that they are about.
pub(crate) struct Pipeline {
    pub(crate) store: MetadataStore,
    pub(crate) files: PathBuf,
}

/// What one run found and did.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// How many files there are.
    pub(crate) files: u64,
    /// What became of the files.
    pub(crate) changed: Changed,
    /// What was resolved for each of [`DERIVED`]: new and stale samples were computed, orphaned ones deleted.
    pub(crate) derived: [Counts; 3],
    /// How many files had keywords or symbols computed that came out as before, so that their cards were left alone.
    pub(crate) same_outcome: u64,
}

/// Files that differ from those of the last run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    pub(crate) new: Vec<String>,
    pub(crate) stale: Vec<String>,
    pub(crate) orphaned: Vec<String>,
}

impl Run {
    /// How many results were computed.
    pub(crate) fn computed(&self) -> u64 {
        self.derived.iter().map(|c| c.new + c.stale).sum()
    }

    /// How many results a tool computes that looks at files as a whole.
    pub(crate) fn by_file(&self) -> u64 {
        (self.changed.new.len() + self.changed.stale.len()) as u64 * DERIVED.len() as u64
    }

    /// How many results there are.
    pub(crate) fn everything(&self) -> u64 {
        self.files * DERIVED.len() as u64
    }
}

impl Pipeline {
    /// Indexes the files and brings every feature up to date.
    pub(crate) async fn run(&self) -> Result<Run> {
        let samples = index(
            &self.files,
            &IndexOptions::default().with_max_files(usize::MAX),
        )?
        .files;
        let files = samples.num_rows() as u64;
        let root = FeatureKey::new(FILE)?;
        let options = ResolveOptions::default().with_samples(samples);
        let increment = self.store.resolve_update(&root, options).await?;
        let changed = Changed {
            new: paths(&increment.new)?,
            stale: paths(&increment.stale)?,
            orphaned: paths(&increment.orphaned)?,
        };
        if increment.counts().new + increment.counts().stale > 0 {
            self.store.write(&root, increment.new_and_stale()).await?;
        }
        self.delete(&root, &increment.orphaned).await?;

        let mut derived = [Counts::default(); 3];
        let mut computed: [Vec<String>; 3] = Default::default();
        for (i, name) in DERIVED.into_iter().enumerate() {
            (derived[i], computed[i]) = self.update(&FeatureKey::new(name)?).await?;
        }
        let [keywords, symbols, cards] = computed;
        let upstream: BTreeSet<String> = keywords.into_iter().chain(symbols).collect();
        Ok(Run {
            files,
            changed,
            derived,
            same_outcome: upstream.len().saturating_sub(cards.len()) as u64,
        })
    }

    /// Computes every result again, from scratch and without looking at any version, and compares it with what is stored.
    /// Returns how many agree.
    ///
    /// # Errors
    /// `Corrupt` for one that does not.
    pub(crate) async fn check(&self) -> Result<u64> {
        let samples = index(
            &self.files,
            &IndexOptions::default().with_max_files(usize::MAX),
        )?
        .files;
        let words = steps::with_keywords(&self.files, &samples)?;
        let both = steps::with_symbols(&self.files, &words)?;
        let cards = steps::with_card(&both)?;
        let all = [&both, &both, &cards];
        let mut agree = 0;
        for ((name, fresh), column) in DERIVED
            .into_iter()
            .zip(all)
            .zip(["keywords", "symbols", "card"])
        {
            let key = FeatureKey::new(name)?;
            let options = ReadOptions::default().with_columns(["path", column]);
            let stored = self.store.read(&key, options).await?.collect().await?;
            let mut stored = pairs(&stored.to_batch()?, column)?;
            let mut fresh = pairs(fresh, column)?;
            stored.sort();
            fresh.sort();
            if stored != fresh {
                let missed = fresh.iter().find(|pair| !stored.contains(pair));
                let path = missed.map_or("a file that is gone", |(path, _)| path);
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "{name} of {path} is stored with another result than computing it gives"
                    ),
                )
                .with_hint("was a file edited just now? If not, this is a bug worth reporting"));
            }
            agree += fresh.len() as u64;
        }
        Ok(agree)
    }

    /// Computes what is new or stale of a feature, and deletes what is orphaned. Returns the files that were computed too.
    async fn update(&self, feature: &FeatureKey) -> Result<(Counts, Vec<String>)> {
        let increment = self
            .store
            .resolve_update(feature, ResolveOptions::default())
            .await?;
        let mut done = Vec::new();
        let todo = increment.new_and_stale();
        for batch in todo.batches() {
            done.push(self.compute(feature, batch)?);
        }
        if let Some(first) = done.first() {
            let rows = Rows::new(first.schema(), done.clone());
            self.store.write(feature, rows).await?;
        }
        self.delete(feature, &increment.orphaned).await?;
        Ok((increment.counts(), paths(&todo)?))
    }

    fn compute(&self, feature: &FeatureKey, samples: &RecordBatch) -> Result<RecordBatch> {
        match feature.as_str() {
            "demo/keywords" => {
                let rows = steps::with_keywords(&self.files, samples)?;
                self.versioned_by(&rows, "keywords")
            }
            "demo/symbols" => {
                let rows = steps::with_symbols(&self.files, samples)?;
                self.versioned_by(&rows, "symbols")
            }
            _ => steps::with_card(samples),
        }
    }

    /// The rows with a data version that is a hash of the result in the column `field`: where the same comes out as before,
    /// nothing downstream becomes stale.
    fn versioned_by(&self, rows: &RecordBatch, field: &str) -> Result<RecordBatch> {
        let missing = || {
            Error::new(
                ErrorKind::Internal,
                format!("a step gave no column {field:?}"),
            )
        };
        let result = rows.column_by_name(field).ok_or_else(missing)?;
        let hash = self.store.hash();
        let parts = [HashPart::Value(result.as_ref(), Nulls::Propagate)];
        let versions: ArrayRef = Arc::new(hash_rows(
            hash.algorithm,
            hash.length,
            &parts,
            rows.num_rows(),
        )?);
        let member = Arc::new(Field::new(field, DataType::Utf8, true));
        let versions: ArrayRef = Arc::new(StructArray::from(vec![(member, versions)]));
        let mut fields = Vec::new();
        let mut arrays = Vec::new();
        for (known, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            // The version of the whole row is made from this one when it is written.
            if ![columns::DATA_VERSION_BY_FIELD, columns::DATA_VERSION]
                .contains(&known.name().as_str())
            {
                fields.push(known.clone());
                arrays.push(array.clone());
            }
        }
        let by_field = Field::new(
            columns::DATA_VERSION_BY_FIELD,
            versions.data_type().clone(),
            true,
        );
        fields.push(Arc::new(by_field));
        arrays.push(versions);
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }

    async fn delete(&self, feature: &FeatureKey, rows: &Rows) -> Result<()> {
        let ids = ["path".to_owned()];
        for filter in with_ids(&ids, rows.batches())? {
            let options = DeleteOptions::soft().with_filters([filter]);
            self.store.delete(feature, options).await?;
        }
        Ok(())
    }
}

fn paths(rows: &Rows) -> Result<Vec<String>> {
    let mut paths = Vec::with_capacity(rows.num_rows());
    for batch in rows.batches() {
        let column = text(batch, "path")?;
        paths.extend(
            column
                .iter()
                .map(|path| path.unwrap_or_default().to_owned()),
        );
    }
    paths.sort();
    Ok(paths)
}

fn pairs(rows: &RecordBatch, column: &str) -> Result<Vec<(String, String)>> {
    let (paths, values) = (text(rows, "path")?, text(rows, column)?);
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(paths
        .iter()
        .zip(values)
        .map(|(path, value)| (owned(path), owned(value)))
        .collect())
}

fn text<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    rows.column_by_name(name)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("no text column {name:?} in the rows"),
            )
        })
}
