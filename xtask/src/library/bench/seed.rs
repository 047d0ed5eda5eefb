//! Seeding: a store is filled through its own interface, the leaf by resolving it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::executor::block_on;
use metaxy_store::prelude::*;
use metaxy_store::{Expr, Result};

use super::backends::Known;
use super::directory::Directory;
use super::graphs::{Graph, ID, PROJECT, Phase};
use super::reference::Reference;
use super::text;
use crate::library::servers;

/// What is to be seeded.
pub(super) struct Seed<'a> {
    pub(super) backend: &'static Known,
    pub(super) graph: Graph,
    pub(super) phase: Phase,
    /// Samples of each root.
    pub(super) rows: u64,
    /// Another hash algorithm than that of the reference's benchmark.
    pub(super) hash: Option<&'a str>,
}

impl Seed<'_> {
    /// The seeded directory below `folder`; made by `reference` if there is one that knows the backend, otherwise by this program.
    /// One that is there is left as it is.
    pub(super) fn directory(
        &self,
        folder: &Path,
        reference: Option<&Reference>,
    ) -> Result<Directory, String> {
        let reference = reference.filter(|_| self.backend.in_reference);
        let path = folder.join(self.name(reference.is_some()));
        if Directory::is_seeded(&path) {
            return Directory::read(&path);
        }
        if path.exists() {
            return Err(format!(
                "{} was not seeded to its end: remove it",
                path.display()
            ));
        }
        let start = Instant::now();
        match reference {
            Some(reference) => reference.seed(self, &path)?,
            None => self.write(&path)?,
        }
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("seeded {} in {seconds:.1} s", path.display());
        Directory::read(&path)
    }

    /// The hash algorithm.
    pub(super) fn hash(&self) -> &str {
        self.hash.unwrap_or(self.backend.hash)
    }

    fn name(&self, reference: bool) -> String {
        let by = match reference {
            true => "reference-",
            false => "",
        };
        let hash = self.hash.map(|hash| format!("-{hash}")).unwrap_or_default();
        format!(
            "{by}{}-{}-{}-{}{hash}",
            self.backend.name, self.graph, self.rows, self.phase
        )
    }

    fn write(&self, path: &Path) -> Result<(), String> {
        std::fs::create_dir_all(path).map_err(text)?;
        let path = path.canonicalize().map_err(text)?;
        configure(self.backend, self.hash(), &path)?;
        let graph = self.graph.build().map_err(text)?;
        let directory = self.described(path)?;
        let config = directory.config().map_err(text)?;
        let store = MetadataStore::from_config(&config, None, Access::Write, &graph);
        block_on(self.fill(&store.map_err(text)?)).map_err(text)?;
        directory.write(&graph)
    }

    fn described(&self, path: PathBuf) -> Result<Directory, String> {
        Ok(Directory {
            path,
            backend: self.backend.name.into(),
            graph: self.graph.to_string(),
            phase: self.phase.to_string(),
            rows: self.rows,
            hash: self.hash().into(),
            leaf: self.graph.leaf().map_err(text)?.to_string(),
        })
    }

    async fn fill(&self, store: &MetadataStore) -> Result<()> {
        let roots = self.graph.roots()?;
        let start = Instant::now();
        for root in &roots {
            store.write(&root.key, root.rows(self.rows)).await?;
        }
        let rows = self.rows * roots.len() as u64;
        eprintln!(
            "wrote {rows} rows of roots in {:.3} s",
            start.elapsed().as_secs_f64()
        );
        if self.phase != Phase::New {
            self.complete(store).await?;
        }
        if let (Phase::Stale, Some(root)) = (self.phase, roots.first()) {
            store.write(&root.key, root.bumped(self.rows)).await?;
        }
        store.push_graph(Some(PROJECT), &Default::default()).await?;
        Ok(())
    }

    /// Writes the leaf, in slices of its samples: an increment of all rows would need memory that nothing else here does.
    async fn complete(&self, store: &MetadataStore) -> Result<()> {
        let leaf = self.graph.leaf()?;
        let last = self.rows.saturating_sub(1);
        for start in (0..self.rows).step_by(SLICE as usize) {
            let mut options = ResolveOptions::default();
            if self.rows > SLICE {
                let end = (start + SLICE - 1).min(last);
                let filter = Expr::parse(&format!("{ID} >= {start} AND {ID} <= {end}"))?;
                options = options.with_global_filters([filter]);
            }
            let increment = store.resolve_update(&leaf, options).await?;
            store.write(&leaf, increment.new).await?;
        }
        Ok(())
    }
}

/// Where the store of the directory `path` is.
pub(super) fn location(backend: &Known, path: &Path) -> Result<String, String> {
    match backend.file {
        Some(file) => Ok(path.join(file).to_string_lossy().into_owned()),
        None => servers::database(path),
    }
}

/// Writes the configuration of a store in the directory `path`.
pub(super) fn configure(backend: &Known, hash: &str, path: &Path) -> Result<(), String> {
    let content = format!(
        "project = \"{PROJECT}\"\nstore = \"bench\"\n\n[stores.bench]\ntype = \"{}\"\n{} = {:?}\nhash_algorithm = \"{hash}\"\n",
        backend.name,
        backend.option,
        location(backend, path)?
    );
    std::fs::write(path.join("metaxy.toml"), content).map_err(text)
}

/// Rows of the leaf that are written at once.
const SLICE: u64 = 1_000_000;
