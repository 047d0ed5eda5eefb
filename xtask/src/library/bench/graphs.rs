//! The graphs and rows of the reference's benchmark (`../shared/reference/bench.py`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clap::ValueEnum;
use metaxy_store::Result;
use metaxy_store::prelude::*;

/// The column that identifies a sample.
pub(super) const ID: &str = "sample_uid";

/// The project whose graphs are pushed.
pub(super) const PROJECT: &str = "bench";

/// One graph of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Graph {
    /// One root with two fields, a leaf with one.
    Simple,
    /// Two roots with four fields each, a leaf with two.
    Wide,
}

/// What the leaf has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Phase {
    /// The leaf was never written.
    New,
    /// The leaf is complete, and a tenth of the first root's rows have a new version of their `audio`.
    Stale,
    /// The leaf is complete, and nothing changed.
    Same,
}

/// A root of a graph.
pub(super) struct Root {
    /// Its position among the roots of its graph: rows of two roots differ.
    position: u64,
    pub(super) key: FeatureKey,
    fields: &'static [&'static str],
}

impl Graph {
    /// Its roots, in the order in which the leaf depends on them.
    pub(super) fn roots(self) -> Result<Vec<Root>> {
        let (keys, fields): (&[&str], &'static [&'static str]) = match self {
            Self::Simple => (&["bench/simple_root"], &["audio", "frames"]),
            Self::Wide => (
                &["bench/wide_root_0", "bench/wide_root_1"],
                &["audio", "frames", "optical_flow", "embedding"],
            ),
        };
        (0..)
            .zip(keys)
            .map(|(position, key)| {
                let key = FeatureKey::new(key)?;
                Ok(Root {
                    position,
                    key,
                    fields,
                })
            })
            .collect()
    }

    /// The feature that is resolved.
    pub(super) fn leaf(self) -> Result<FeatureKey> {
        FeatureKey::new(match self {
            Self::Simple => "bench/simple_leaf",
            Self::Wide => "bench/wide_leaf",
        })
    }

    /// The graph itself.
    pub(super) fn build(self) -> Result<FeatureGraph> {
        let roots = self.roots()?;
        let mut graph = FeatureGraph::new();
        for root in &roots {
            graph.add(feature(&root.key, root.fields, &[])?)?;
        }
        let fields: &[&str] = match self {
            Self::Simple => &["prediction"],
            Self::Wide => &["prediction_a", "prediction_b"],
        };
        graph.add(feature(&self.leaf()?, fields, &roots)?)?;
        Ok(graph)
    }
}

impl Root {
    /// Samples 0 to `n`, in batches that are made when they are asked for.
    pub(super) fn rows(&self, n: u64) -> Frame {
        self.frame(n, false)
    }

    /// A tenth of the samples, with a new version of their `audio`.
    pub(super) fn bumped(&self, n: u64) -> Frame {
        self.frame(n, true)
    }

    /// One sample.
    pub(super) fn row(&self, sample: u64) -> Result<RecordBatch> {
        batch(self.position, self.fields, sample..sample + 1, false)
    }

    fn frame(&self, n: u64, bumped: bool) -> Frame {
        let (position, fields) = (self.position, self.fields);
        let starts = (0..n).step_by(BATCH as usize);
        let batches =
            starts.map(move |start| batch(position, fields, start..(start + BATCH).min(n), bumped));
        Frame::new(schema(fields), futures::stream::iter(batches))
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple => "simple",
            Self::Wide => "wide",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Stale => "stale",
            Self::Same => "same",
        })
    }
}

/// Rows of a batch.
const BATCH: u64 = 65_536;

fn feature(key: &FeatureKey, fields: &[&str], deps: &[Root]) -> Result<FeatureDefinition> {
    let mut spec = FeatureSpec::new(key.as_str(), [ID])?;
    for field in fields {
        spec = spec.with_field(FieldSpec::new(*field)?.with_code_version("1"));
    }
    for dep in deps {
        spec = spec.with_dep(FeatureDep::new(dep.key.as_str())?);
    }
    Ok(FeatureDefinition::new(spec, PROJECT))
}

fn schema(fields: &[&str]) -> SchemaRef {
    let by_field = DataType::Struct(fields.iter().map(|name| member(name)).collect());
    Arc::new(Schema::new(vec![
        Field::new(ID, DataType::Int64, true),
        Field::new("metaxy_provenance_by_field", by_field, true),
    ]))
}

fn member(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn batch(root: u64, fields: &[&str], samples: Range<u64>, bumped: bool) -> Result<RecordBatch> {
    let chosen = |sample: &u64| !bumped || random(root, u64::MAX, *sample).is_multiple_of(10);
    let samples: Vec<u64> = samples.filter(chosen).collect();
    let versions = (0..).zip(fields).map(|(position, name)| {
        let suffix = match bumped && *name == "audio" {
            true => "_bumped",
            false => "",
        };
        let versions = samples.iter().map(|sample| {
            let number = random(root, position, *sample) % ((1 << 20) + 1);
            format!("{}{number}{suffix}", &name[..1])
        });
        let versions: ArrayRef = Arc::new(StringArray::from_iter_values(versions));
        (Arc::new(member(name)), versions)
    });
    let by_field = StructArray::from(versions.collect::<Vec<_>>());
    let samples = Int64Array::from_iter_values(samples.iter().map(|sample| *sample as i64));
    Ok(RecordBatch::try_new(
        schema(fields),
        vec![Arc::new(samples), Arc::new(by_field)],
    )?)
}

/// A number that looks random and is always the same: SplitMix64 of what it is for.
fn random(root: u64, field: u64, sample: u64) -> u64 {
    let mut state = root << 60 ^ field << 48 ^ sample;
    for _ in 0..2 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    state
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn rows_are_complete_and_a_tenth_of_them_is_bumped() {
        let root = &Graph::Wide.roots().unwrap()[0];
        let rows = block_on(root.rows(100_000).collect()).unwrap();
        assert_eq!(rows.num_rows(), 100_000);
        let bumped = block_on(root.bumped(100_000).collect()).unwrap();
        assert!((9_000..11_000).contains(&bumped.num_rows()));
        let batch = bumped.to_batch().unwrap();
        let by_field = batch.column(1).as_struct();
        let audio = by_field.column_by_name("audio").unwrap();
        let frames = by_field.column_by_name("frames").unwrap();
        assert!(audio.as_string::<i32>().value(0).ends_with("_bumped"));
        assert!(!frames.as_string::<i32>().value(0).ends_with("_bumped"));
    }

    #[test]
    fn roots_differ_and_the_leaf_depends_on_all() {
        let graph = Graph::Wide.build().unwrap();
        let leaf = Graph::Wide.leaf().unwrap();
        assert_eq!(graph.plan(&leaf).unwrap().deps.len(), 2);
        let roots = Graph::Wide.roots().unwrap();
        let [a, b] = [&roots[0], &roots[1]].map(|root| block_on(root.rows(5).collect()).unwrap());
        assert_ne!(a, b);
    }
}
