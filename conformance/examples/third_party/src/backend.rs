//! The backend: what each operation does with the folder.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::executor::block_on;
use metaxy_store::backend::append::{Append, Times};
use metaxy_store::backend::maintain::{MaintainAction, Maintenance, MaintenanceReport, Prune};
use metaxy_store::backend::pump::Pump;
use metaxy_store::backend::{Access, Appended, Backend, Capabilities, Description};
use metaxy_store::delete::DeleteSamples;
use metaxy_store::plan::{Plan, Relation, Scan};
use metaxy_store::sqlite::{SqliteBackend, SqliteConfig};
use metaxy_store::{Error, ErrorKind, Expr, FeatureKey, Frame, Result, Rows};

use crate::config::FolderConfig;
use crate::files::{self, Lock, Writer};
use crate::manifest::{DataFile, Manifest};

/// A store in a folder. Made by [`FolderConfig::open`].
#[derive(Debug, Clone)]
pub struct FolderStore {
    config: Arc<FolderConfig>,
    access: Access,
}

impl FolderStore {
    pub(crate) fn new(config: FolderConfig, access: Access) -> Self {
        let config = Arc::new(config);
        Self { config, access }
    }

    /// Runs `work` on a thread of its own, as files block. If the caller does not wait for it, it is done all the same: whole.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Folder {
            config: self.config.clone(),
        };
        let (sender, receiver) = oneshot::channel();
        std::thread::Builder::new().spawn(move || sender.send(work(folder)))?;
        receiver.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Internal,
                "a thread of the store died",
            ))
        })
    }

    fn require_write(&self) -> Result<()> {
        if self.access == Access::Write {
            return Ok(());
        }
        let message = format!("{} was opened for reading", self.describe());
        Err(Error::new(ErrorKind::ReadOnly, message).with_hint("open it with Access::Write"))
    }
}

#[async_trait]
impl Backend for FolderStore {
    fn capabilities(&self) -> Capabilities {
        // Those of the engine that runs the plans.
        Capabilities::all().with_hash_algorithms(engine().capabilities().hash_algorithms)
    }

    fn describe(&self) -> Description {
        Description::new("Folder", self.config.path.display().to_string())
    }

    async fn schema(&self, table: &FeatureKey) -> Result<Option<SchemaRef>> {
        let name = table.table_name();
        self.run(move |folder| {
            folder.read(|manifest| match manifest.tables.get(&name) {
                Some(table) => files::schema(&folder.config.path, table),
                None => Ok(None),
            })
        })
        .await
    }

    async fn has_rows(&self, table: &FeatureKey) -> Result<bool> {
        let name = table.table_name();
        self.run(move |folder| {
            let manifest = Manifest::load(&folder.config.path)?;
            Ok(manifest.tables.get(&name).is_some_and(|t| t.rows() > 0))
        })
        .await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.run(|folder| {
            let manifest = Manifest::load(&folder.config.path)?;
            Ok(manifest.tables.into_keys().collect())
        })
        .await
    }

    async fn append(&self, mut appends: Vec<Append>) -> Result<Appended> {
        self.require_write()?;
        // The rows are produced here, where the caller's runtime is, and stored there.
        let pump = Pump::of(appends.iter_mut().map(|append| &mut append.rows));
        let work =
            self.run(move |folder| folder.write(|manifest| folder.append(manifest, appends)));
        pump.during(work).await
    }

    async fn delete(&self, table: &FeatureKey, condition: Option<&Expr>) -> Result<u64> {
        self.require_write()?;
        let (table, condition) = (table.clone(), condition.cloned());
        self.run(move |folder| {
            folder.write(|manifest| folder.delete(manifest, &table, condition.as_ref()))
        })
        .await
    }

    async fn delete_samples(&self, table: &FeatureKey, samples: &DeleteSamples) -> Result<u64> {
        self.require_write()?;
        let (table, samples) = (table.clone(), samples.clone());
        self.run(move |folder| {
            folder.write(|manifest| folder.delete_samples(manifest, &table, &samples))
        })
        .await
    }

    async fn drop_table(&self, table: &FeatureKey) -> Result<bool> {
        self.require_write()?;
        let name = table.table_name();
        self.run(move |folder| folder.write(|manifest| Ok(manifest.tables.remove(&name).is_some())))
            .await
    }

    async fn prune(&self, table: &FeatureKey, prune: &Prune) -> Result<u64> {
        let (table, prune) = (table.clone(), prune.clone());
        if prune.dry_run {
            let look = move |folder: Folder| {
                folder.read(|manifest| Ok(folder.pruned(manifest, &table, &prune)?.1))
            };
            return self.run(look).await;
        }
        self.require_write()?;
        self.run(move |folder| folder.write(|manifest| folder.prune(manifest, &table, &prune)))
            .await
    }

    async fn maintain(&self, maintenance: &Maintenance) -> Result<MaintenanceReport> {
        let maintenance = maintenance.clone();
        if maintenance.dry_run {
            let look = move |folder: Folder| {
                folder.read(|manifest| folder.compact(&mut manifest.clone(), &maintenance))
            };
            return self.run(look).await;
        }
        self.require_write()?;
        self.run(move |folder| folder.write(|manifest| folder.compact(manifest, &maintenance)))
            .await
    }

    async fn query(&self, plan: Plan) -> Result<Frame> {
        let mut tables = BTreeSet::new();
        plan.relation.scans(&mut |scan, _| {
            tables.insert(scan.table.clone());
        });
        let stored = self
            .run(move |folder| {
                folder.read(|manifest| {
                    let rows = |table: &FeatureKey| {
                        let stored = manifest.tables.get(&table.table_name());
                        let rows =
                            stored.map(|stored| files::read(&folder.config.path, table, stored));
                        Ok((table.clone(), rows.transpose()?.flatten()))
                    };
                    tables.iter().map(rows).collect::<Result<Vec<_>>>()
                })
            })
            .await?;
        let engine = engine();
        let appends = stored
            .into_iter()
            .filter_map(|(table, rows)| Some(as_is(table, rows?)));
        engine.append(appends.collect()).await?;
        engine.query(plan).await
    }
}

/// The store's folder, on a thread that may block.
struct Folder {
    config: Arc<FolderConfig>,
}

impl Folder {
    /// Reads as of one moment. Files that a change has replaced are removed, perhaps while they are read: then there is another
    /// manifest, and what it says is read instead.
    fn read<T>(&self, work: impl Fn(&Manifest) -> Result<T>) -> Result<T> {
        let mut manifest = Manifest::load(&self.config.path)?;
        loop {
            let result = work(&manifest);
            if result.is_ok() {
                return result;
            }
            let now = Manifest::load(&self.config.path)?;
            if now == manifest {
                return result;
            }
            manifest = now;
        }
    }

    /// Changes the manifest while no other writer does. If `change` fails, the old one stays.
    fn write<T>(&self, change: impl FnOnce(&mut Manifest) -> Result<T>) -> Result<T> {
        let path = &self.config.path;
        fs::create_dir_all(path)?;
        let _lock = Lock::take(path, self.config.lock_timeout)?;
        let before = Manifest::load(path)?;
        let mut after = before.clone();
        let done = change(&mut after);
        let done = done.and_then(|value| after.commit(path).map(|()| value));
        // What was written in vain, or is not needed any more.
        let (kept, gone) = match &done {
            Ok(_) => (&after, &before),
            Err(_) => (&before, &after),
        };
        for name in gone.dropped(kept) {
            let _ = fs::remove_file(path.join(name));
        }
        done
    }

    fn append(&self, manifest: &mut Manifest, appends: Vec<Append>) -> Result<Appended> {
        let mut appended = Appended::default();
        for append in appends {
            let name = append.table.table_name();
            let stored = match manifest.tables.get(&name) {
                Some(table) => files::schema(&self.config.path, table)?,
                None if append.create => None,
                None => {
                    let message = format!(
                        "feature {} has no table, and `auto_create_tables` is off",
                        append.table
                    );
                    let hint =
                        "set `auto_create_tables = true`; this store has no other way to make one";
                    return Err(Error::new(ErrorKind::TableNotFound, message).with_hint(hint));
                }
            };
            let table = append.table.clone();
            let latest = manifest.tables.get(&name).and_then(|table| table.latest);
            let mut rows = append.prepare(stored.as_deref(), latest)?;
            let schema = rows.schema().clone();

            let file = manifest.new_file();
            // The manifest names the file already, so that it is removed if this fails.
            let entry = manifest.tables.entry(name).or_default();
            entry.files.push(DataFile::empty(&file));
            let mut writer = Writer::create(&self.config.path.join(&file), &schema)?;
            while let Some(batch) = block_on(rows.next())? {
                require_readable(&table, &batch)?;
                writer.write(&batch)?;
            }
            let written = writer.finish(file)?;
            appended.rows += written.rows;
            entry.files.pop();
            entry.files.push(written);
            entry.latest = rows.latest();
            appended.table_rows = appended.table_rows.max(Some(entry.rows()));
        }
        Ok(appended)
    }

    fn delete(
        &self,
        manifest: &mut Manifest,
        feature: &FeatureKey,
        condition: Option<&Expr>,
    ) -> Result<u64> {
        let name = feature.table_name();
        let Some(table) = manifest.tables.get(&name).cloned() else {
            return Ok(0);
        };
        let Some(rows) = files::read(&self.config.path, feature, &table)? else {
            return Ok(0);
        };
        let mut left = Vec::new();
        for batch in rows.batches() {
            if let Some(condition) = condition {
                let holds = condition.evaluate(batch)?;
                // Rows for which it is false or null stay.
                let goes: BooleanArray = holds.iter().map(|it| Some(it == Some(true))).collect();
                left.push(filter_record_batch(batch, &not(&goes)?)?);
            }
        }
        let left = self.replace(manifest, &name, &Rows::new(rows.schema().clone(), left))?;
        Ok(table.rows() - left)
    }

    /// Makes these the rows of a table, in one file in place of all; returns how many there are. The table stays, with its columns
    /// and its latest stamp, even without rows.
    fn replace(&self, manifest: &mut Manifest, name: &str, rows: &Rows) -> Result<u64> {
        let file = manifest.new_file();
        let entry = manifest.tables.entry(name.to_owned()).or_default();
        entry.files.push(DataFile::empty(&file));
        let mut writer = Writer::create(&self.config.path.join(&file), rows.schema())?;
        for batch in rows.batches() {
            writer.write(batch)?;
        }
        let left = writer.finish(file)?;
        let count = left.rows;
        entry.files = vec![left];
        Ok(count)
    }

    fn prune(&self, manifest: &mut Manifest, feature: &FeatureKey, prune: &Prune) -> Result<u64> {
        let (left, removed) = self.pruned(manifest, feature, prune)?;
        self.leave(manifest, feature, left, removed)
    }

    fn delete_samples(
        &self,
        manifest: &mut Manifest,
        feature: &FeatureKey,
        samples: &DeleteSamples,
    ) -> Result<u64> {
        let remove = |engine: &SqliteBackend| block_on(engine.delete_samples(feature, samples));
        let (left, removed) = self.without(manifest, feature, remove)?;
        self.leave(manifest, feature, left, removed)
    }

    /// The rows of a table without superseded ones, and how many those are.
    fn pruned(
        &self,
        manifest: &Manifest,
        feature: &FeatureKey,
        prune: &Prune,
    ) -> Result<(Option<Rows>, u64)> {
        self.without(manifest, feature, |engine| {
            block_on(engine.prune(feature, prune))
        })
    }

    /// Makes the rows that are left those of a table, unless nothing was removed; returns how many were.
    fn leave(
        &self,
        manifest: &mut Manifest,
        feature: &FeatureKey,
        left: Option<Rows>,
        removed: u64,
    ) -> Result<u64> {
        if let Some(left) = left.filter(|_| removed > 0) {
            self.replace(manifest, &feature.table_name(), &left)?;
        }
        Ok(removed)
    }

    /// The rows of a table without those that are removed, and how many these are. The engine knows which they are.
    fn without(
        &self,
        manifest: &Manifest,
        feature: &FeatureKey,
        remove: impl FnOnce(&SqliteBackend) -> Result<u64>,
    ) -> Result<(Option<Rows>, u64)> {
        let Some(table) = manifest.tables.get(&feature.table_name()) else {
            return Ok((None, 0));
        };
        let Some(rows) = files::read(&self.config.path, feature, table)? else {
            return Ok((None, 0));
        };
        let scan = Scan::all(feature.clone());
        let all = Relation::scan(scan, rows.schema().clone());
        let engine = engine();
        block_on(engine.append(vec![as_is(feature.clone(), rows)]))?;
        let removed = remove(&engine)?;
        let left = block_on(async { engine.query(Plan::from(all)).await?.collect().await })?;
        Ok((Some(left), removed))
    }

    /// Makes one file of those of a table, for each table that has several.
    fn compact(
        &self,
        manifest: &mut Manifest,
        maintenance: &Maintenance,
    ) -> Result<MaintenanceReport> {
        let path = &self.config.path;
        let mut maintained = MaintenanceReport::default();
        let features = maintenance.tables.iter();
        let wanted: Vec<String> = features.map(FeatureKey::table_name).collect();
        for (name, table) in manifest.tables.clone() {
            let several = table.files.len() > 1;
            if !several || !(wanted.is_empty() || wanted.contains(&name)) {
                continue;
            }
            let action = MaintainAction::new("compact").with_table(&name);
            let mut action = action.with_before(files::footprint(path, &table)?);
            if !maintenance.dry_run
                && let Some(rows) =
                    files::read(path, &FeatureKey::new(name.replace("__", "/"))?, &table)?
            {
                self.replace(manifest, &name, &rows)?;
                let now = manifest.tables.get(&name);
                let now = now.map(|table| files::footprint(path, table));
                action.after = now.transpose()?.unwrap_or_default();
            }
            maintained = maintained.with_action(action);
        }
        Ok(maintained)
    }
}

/// SQLite in memory: it runs plans, and is gone afterwards.
fn engine() -> SqliteBackend {
    SqliteConfig::new(":memory:").open(Access::Write)
}

/// Rows of a table as the engine takes them: with the times that they have.
fn as_is(table: FeatureKey, rows: Rows) -> Append {
    Append {
        table,
        id_columns: Vec::new(),
        rows: rows.into(),
        times: Times::Keep,
        create: true,
    }
}

/// What the engine cannot hold is refused when it is written, not when it is read.
fn require_readable(table: &FeatureKey, batch: &RecordBatch) -> Result<()> {
    let rows = Rows::from(batch.clone());
    block_on(engine().append(vec![as_is(table.clone(), rows)])).map(|_| ())
}
