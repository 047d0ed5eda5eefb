//! Random graphs and histories. Every raw value stands for a valid graph, so that shrinking never leaves the valid ones.

use proptest::collection::vec;
use proptest::option::weighted as maybe;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::model::{Asks, Dep, Feature, Field, Graph, Id, Lineage, Sample};

/// Keys that sort otherwise as text than by their parts; those of fields also otherwise than as members of a struct.
const FEATURES: [&str; 6] = ["a/b", "a", "a-b/c", "b_c/d", "a/b/c", "b"];
const FIELDS: [&str; 4] = ["f", "f/g", "f0", "f-g"];

/// How many values `y` has.
pub(super) const PARTS: usize = 4;
/// The greatest `x`.
pub(super) const MOST: i64 = 5;

/// What happens to a store from its making on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    /// The definitions at first.
    pub graph: Graph,
    /// What is done, in turn.
    pub operations: Vec<Operation>,
    /// For choices of the law's own.
    pub pick: usize,
}

/// What is done to a store. Features are positions in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// Samples are written, as so many batches.
    Write {
        /// To which feature.
        feature: usize,
        /// The rows, in their order.
        samples: Vec<Sample>,
        /// How many batches.
        batches: usize,
    },
    /// The feature is resolved, new and stale samples are written, orphaned ones deleted.
    Apply {
        /// Which one.
        feature: usize,
        /// Of an expansion: how many children each parent gets.
        children: usize,
        /// Data versions instead of provenance, for every field.
        data: Option<String>,
    },
    /// A field gets another code version.
    Redefine {
        /// Which feature.
        feature: usize,
        /// The position of its field.
        field: usize,
        /// The code version.
        code: u8,
    },
    /// Samples are deleted.
    Delete {
        /// Of which feature.
        feature: usize,
        /// Those with one of these.
        xs: Vec<i64>,
        /// Only this part of them, where the feature has parts.
        part: Option<usize>,
        /// Whether the rows are removed.
        hard: bool,
        /// Of all feature versions.
        of_all_versions: bool,
    },
    /// The table is dropped.
    Drop {
        /// Of which feature.
        feature: usize,
    },
    /// The writer's clock is an hour back.
    TurnBackClock,
}

/// Any history.
pub(super) fn history() -> impl Strategy<Value = History, Tree: Send> {
    (graph(), vec(maybe(0.95, operation()), 3..=12), any::<u16>()).prop_map(
        |(graph, operations, pick)| History {
            operations: operations
                .into_iter()
                .flatten()
                .flat_map(|raw| raw.on(&graph))
                .collect(),
            pick: usize::from(pick),
            graph,
        },
    )
}

#[derive(Debug, Clone)]
struct RawFeature {
    parts: bool,
    fields: Vec<(usize, u8, RawAsks)>,
    deps: Vec<RawDep>,
}

#[derive(Debug, Clone)]
enum RawAsks {
    Mapped,
    All,
    /// One bit per upstream field.
    These(u16),
}

#[derive(Debug, Clone)]
struct RawDep {
    upstream: usize,
    other_lineage: bool,
    optional: bool,
    up_to: Option<i64>,
    select: bool,
}

fn graph() -> impl Strategy<Value = Graph, Tree: Send> {
    let asks = prop_oneof![
        2 => Just(RawAsks::Mapped),
        1 => Just(RawAsks::All),
        4 => any::<u16>().prop_map(RawAsks::These),
    ];
    let field = (0..FIELDS.len(), 1..=2_u8, asks);
    let flag = |percent: f64| proptest::bool::weighted(percent / 100.0);
    let dep = (
        0..6_usize,
        any::<bool>(),
        flag(25.0),
        maybe(0.15, 2..MOST),
        any::<bool>(),
    );
    let dep = dep.prop_map(
        |(upstream, other_lineage, optional, up_to, select)| RawDep {
            upstream,
            other_lineage,
            optional,
            up_to,
            select,
        },
    );
    let feature = (any::<bool>(), vec(field, 1..=3), vec(dep, 0..=3));
    let feature = feature.prop_map(|(parts, fields, deps)| RawFeature {
        parts,
        fields,
        deps,
    });
    let length = prop_oneof![Just(8_usize), Just(20), Just(32)];
    (vec(feature, 2..=FEATURES.len()), length, any::<bool>()).prop_map(
        |(raw, length, text_parts)| {
            let mut graph = Graph {
                features: Vec::new(),
                length,
                text_parts,
            };
            // Tables that have a column `y`, be it no ID column.
            let mut with_y = Vec::new();
            for raw in raw {
                let feature = raw.feature(&graph, &with_y);
                let kept = |dep: &Dep| with_y[dep.upstream] && !dep.select;
                with_y.push(feature.parts || feature.deps.iter().any(kept));
                graph.features.push(feature);
            }
            graph
        },
    )
}

impl RawFeature {
    fn feature(self, graph: &Graph, with_y: &[bool]) -> Feature {
        let position = graph.features.len();
        let mut deps: Vec<Dep> = Vec::new();
        for raw in &self.deps {
            let upstream = match position {
                0 => break,
                n => raw.upstream % n,
            };
            if deps.iter().any(|dep| dep.upstream == upstream) {
                continue;
            }
            let lineage = match (graph.features[upstream].parts, self.parts) {
                (true, false) => Lineage::Aggregation,
                (false, true) => Lineage::Expansion,
                _ => Lineage::Identity,
            };
            deps.push(Dep {
                upstream,
                lineage,
                optional: raw.optional,
                up_to: raw.up_to,
                select: raw.select,
            });
        }
        fit(&mut deps, self.parts, graph, &self.deps);
        // A column `y` that is not an ID of what comes must not meet another.
        let others = deps.iter().filter(|dep| with_y[dep.upstream]).count();
        let clash = self.parts || others > 1;
        for dep in &mut deps {
            let stray = with_y[dep.upstream] && !graph.brings_parts(dep);
            dep.select |= stray && clash;
        }
        let fields = self.fields.into_iter().map(|(name, code, asks)| Field {
            name: FIELDS[name],
            code,
            asks: asks.of(&deps, graph),
        });
        let mut fields: Vec<Field> = fields.collect();
        fields.sort_by_key(|field| field.name.replace('/', "_"));
        fields.dedup_by_key(|field| field.name);
        Feature {
            name: FEATURES[position],
            parts: self.parts,
            fields,
            deps,
        }
    }
}

/// Sees to it that each row has all its IDs: what only some upstreams bring, a required one brings. Then other lineages are
/// possible for the rest.
fn fit(deps: &mut [Dep], parts: bool, graph: &Graph, raw: &[RawDep]) {
    let brings = |dep: &Dep| graph.brings_parts(dep);
    let only_optional = deps.iter().all(|dep| dep.optional);
    let all_alike = deps.iter().all(brings) || !deps.iter().any(brings);
    let assured = deps.iter().any(|dep| brings(dep) && !dep.optional);
    if !(assured || only_optional && all_alike)
        && let Some(dep) = deps.iter_mut().find(|dep| brings(dep))
    {
        dep.optional = false;
    }
    let Some(bringer) = deps.iter().position(|dep| brings(dep) && !dep.optional) else {
        return;
    };
    for (i, dep) in deps.iter_mut().enumerate() {
        let other = raw
            .iter()
            .any(|raw| raw.upstream == dep.upstream && raw.other_lineage);
        if parts && i != bringer && other {
            dep.lineage = match dep.lineage {
                Lineage::Identity => Lineage::Aggregation,
                _ => Lineage::Identity,
            };
        }
    }
}

impl RawAsks {
    fn of(&self, deps: &[Dep], graph: &Graph) -> Asks {
        let fields = |dep: &Dep| {
            (0..graph.features[dep.upstream].fields.len())
                .map(|f| (dep.upstream, f))
                .collect()
        };
        let all: Vec<(usize, usize)> = deps
            .iter()
            .flat_map(|dep| -> Vec<_> { fields(dep) })
            .collect();
        match self {
            Self::All if !all.is_empty() => Asks::All,
            Self::These(bits) => {
                let picked = all
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| bits >> (i % 16) & 1 == 1);
                let picked: Vec<_> = picked.map(|(_, parent)| *parent).collect();
                match picked.is_empty() {
                    true => Asks::Mapped,
                    false => Asks::These(picked),
                }
            }
            _ => Asks::Mapped,
        }
    }
}

#[derive(Debug, Clone)]
enum RawOperation {
    /// To a root, or to any feature.
    Write(usize, bool, Vec<RawSample>, usize),
    /// One feature that has upstreams, or all of them in turn.
    Apply(usize, bool, usize, Option<u8>),
    Redefine(usize, usize, u8),
    Delete(usize, Vec<i64>, Option<usize>, bool, bool),
    Drop(usize),
    TurnBackClock,
}

#[derive(Debug, Clone)]
struct RawSample {
    id: Id,
    provenance: Vec<u8>,
    data: Option<Vec<u8>>,
}

fn operation() -> impl Strategy<Value = RawOperation, Tree: Send> {
    let flag = |percent: f64| proptest::bool::weighted(percent / 100.0);
    let feature = || 0..FEATURES.len();
    let sample = (
        1..=MOST,
        0..PARTS,
        vec(0..3_u8, 3),
        maybe(0.15, vec(0..2_u8, 3)),
    );
    let sample = sample.prop_map(|(x, y, provenance, data)| RawSample {
        id: Id { x, y: Some(y) },
        provenance,
        data,
    });
    prop_oneof![
        8 => (feature(), flag(15.0), vec(sample, 0..=8), 1..=3_usize)
            .prop_map(|(f, any, samples, batches)| RawOperation::Write(f, any, samples, batches)),
        10 => (feature(), flag(60.0), 1..=PARTS, maybe(0.15, 0..2_u8))
            .prop_map(|(f, all, children, data)| RawOperation::Apply(f, all, children, data)),
        2 => (feature(), 0..3_usize, 1..=2_u8).prop_map(|(f, field, code)| RawOperation::Redefine(f, field, code)),
        3 => (feature(), vec(1..=MOST, 1..=3), maybe(0.3, 0..PARTS), flag(40.0), flag(30.0))
            .prop_map(|(f, xs, part, hard, all)| RawOperation::Delete(f, xs, part, hard, all)),
        1 => feature().prop_map(RawOperation::Drop),
        1 => Just(RawOperation::TurnBackClock),
    ]
}

impl RawOperation {
    fn on(self, graph: &Graph) -> Vec<Operation> {
        let all = |root: bool| -> Vec<usize> {
            let features = graph.features.iter().enumerate();
            features
                .filter(|(_, f)| f.deps.is_empty() == root)
                .map(|(i, _)| i)
                .collect()
        };
        let any = |feature: usize| feature % graph.features.len();
        let among =
            |features: Vec<usize>, n: usize| features.get(n % features.len().max(1)).copied();
        match self {
            Self::Write(feature, anywhere, samples, batches) => {
                let root = among(all(true), feature).filter(|_| !anywhere);
                let feature = root.unwrap_or(any(feature));
                let of = &graph.features[feature];
                let samples = samples.into_iter().map(|raw| raw.of(of)).collect();
                vec![Operation::Write {
                    feature,
                    samples,
                    batches,
                }]
            }
            Self::Apply(feature, everything, children, data) => {
                let features = match everything {
                    true => all(false),
                    false => among(all(false), feature).into_iter().collect(),
                };
                let apply = |feature| Operation::Apply {
                    feature,
                    children,
                    data: data.map(|d| format!("d{d}")),
                };
                features.into_iter().map(apply).collect()
            }
            Self::Redefine(feature, field, code) => {
                let feature = any(feature);
                let field = field % graph.features[feature].fields.len();
                vec![Operation::Redefine {
                    feature,
                    field,
                    code,
                }]
            }
            Self::Delete(feature, xs, part, hard, of_all_versions) => {
                let feature = any(feature);
                let part = part.filter(|_| graph.features[feature].parts);
                vec![Operation::Delete {
                    feature,
                    xs,
                    part,
                    hard,
                    of_all_versions,
                }]
            }
            Self::Drop(feature) => vec![Operation::Drop {
                feature: any(feature),
            }],
            Self::TurnBackClock => vec![Operation::TurnBackClock],
        }
    }
}

impl RawSample {
    fn of(self, feature: &Feature) -> Sample {
        let tokens = |letter: char, values: Vec<u8>| -> Vec<String> {
            let values = values.into_iter().take(feature.fields.len());
            values.map(|value| format!("{letter}{value}")).collect()
        };
        Sample {
            id: Id {
                y: self.id.y.filter(|_| feature.parts),
                ..self.id
            },
            provenance: tokens('v', self.provenance),
            data: self.data.map(|data| tokens('d', data)),
        }
    }
}
