//! The model's graphs and samples as the library takes and gives them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field as Column};
use metaxy_store::spec::{FieldDep, FieldDeps, Lineage as Lines};
use metaxy_store::{FeatureDep, FeatureGraph, FeatureSpec, FieldSpec, Result, Rows};

use super::model::{Asks, Feature, Graph, Lineage, Versions};
use crate::bed::frames::Table;
use crate::bed::graphs::graph;
use crate::outcome::Outcome;

/// What the positions of a part stand for: ordered, as numbers not as text, and as bytes not as words.
pub(super) const INTEGERS: [i64; 4] = [2, 9, 10, 100];
pub(super) const TEXTS: [&str; 4] = ["B", "a", "z", "é"];

/// The definitions as the library takes them.
pub(super) fn definitions(of: &Graph) -> Result<FeatureGraph> {
    let specs = of.features.iter().map(|feature| spec(of, feature));
    graph(specs.collect::<Result<Vec<_>>>()?)?.with_truncation_length(of.length)
}

fn spec(graph: &Graph, feature: &Feature) -> Result<FeatureSpec> {
    let ids: &[&str] = if feature.parts { &["x", "y"] } else { &["x"] };
    let mut spec = FeatureSpec::new(feature.name, ids.iter().copied())?;
    for dep in &feature.deps {
        let lineage = match dep.lineage {
            Lineage::Identity => Lines::Identity,
            // By default a group has the feature's IDs; then `select` keeps those of the upstream.
            Lineage::Aggregation if !feature.parts && !dep.select => {
                Lines::Aggregation { on: None }
            }
            Lineage::Aggregation => Lines::aggregation(["x"]),
            Lineage::Expansion => Lines::expansion(["x"]),
        };
        let mut made = FeatureDep::new(graph.features[dep.upstream].name)?.with_lineage(lineage);
        if let Some(most) = dep.up_to {
            made = made.with_filter(format!("x <= {most}"));
        }
        if dep.select {
            made = made.with_select(["x"]);
        }
        if dep.optional {
            made = made.optional();
        }
        spec = spec.with_dep(made);
    }
    for field in &feature.fields {
        let mut made = FieldSpec::new(field.name)?.with_code_version(field.code.to_string());
        match &field.asks {
            Asks::Mapped => {}
            Asks::All => made = made.with_deps(FieldDeps::All),
            Asks::These(these) => {
                for (upstream, field) in these {
                    let upstream = &graph.features[*upstream];
                    made = made.with_dep(FieldDep::new(
                        upstream.name,
                        [upstream.fields[*field].name],
                    )?);
                }
            }
        }
        spec = spec.with_field(made);
    }
    Ok(spec)
}

fn struct_key(field: &str) -> String {
    field.replace('/', "_")
}

/// A struct of text with a member per field; null where nothing is given.
pub(super) fn by_field(of: &Feature, rows: &[Option<&Vec<String>>]) -> Result<ArrayRef> {
    let members = of
        .fields
        .iter()
        .map(|field| Column::new(struct_key(field.name), DataType::Utf8, true));
    let values = (0..of.fields.len()).map(|field| -> ArrayRef {
        Arc::new(StringArray::from_iter(
            rows.iter().map(|row| row.map(|row| row[field].as_str())),
        ))
    });
    let given = rows.iter().map(Option::is_some).collect::<Vec<_>>();
    let array = StructArray::try_new(members.collect(), values.collect(), Some(given.into()))?;
    Ok(Arc::new(array))
}

/// The versions of each row that was read: those in `column`, and by field.
pub(super) fn versions(of: &Feature, rows: &Table, column: &str) -> Outcome<Vec<Versions>> {
    let member = |name| rows.words(&format!("{column}_by_field.{}", struct_key(name)));
    let members = of
        .fields
        .iter()
        .map(|field| member(field.name))
        .collect::<Outcome<Vec<_>>>()?;
    let whole = rows.words(column)?.into_iter().enumerate();
    let versions = whole.map(|(row, whole)| Versions {
        by_field: members.iter().map(|member| member[row].clone()).collect(),
        whole,
    });
    Ok(versions.collect())
}

/// The rows as so many batches, or fewer.
pub(super) fn in_batches(rows: &RecordBatch, batches: usize) -> Rows {
    let size = rows.num_rows().div_ceil(batches.max(1)).max(1);
    let starts = (0..rows.num_rows()).step_by(size);
    let parts = starts.map(|start| rows.slice(start, size.min(rows.num_rows() - start)));
    Rows::new(rows.schema(), parts.collect())
}
