//! Histories in words, for whoever reads a failure.

use std::fmt;

use super::generate::{History, Operation};
use super::model::{Asks, Feature, Graph, Id, Lineage, Sample};

/// For people: the definitions, then what was done, one operation per line.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let y = if self.graph.text_parts {
            "text"
        } else {
            "integer"
        };
        writeln!(
            f,
            "graph (hashes of {} characters, y is {y}):",
            self.graph.length
        )?;
        for (position, feature) in self.graph.features.iter().enumerate() {
            writeln!(f, "  {}", Definition(&self.graph, position, feature))?;
        }
        write!(f, "history (pick {}):", self.pick)?;
        for (i, operation) in self.operations.iter().enumerate() {
            write!(f, "\n  {}. {}", i + 1, operation.shown(&self.graph))?;
        }
        Ok(())
    }
}

struct Definition<'a>(&'a Graph, usize, &'a Feature);

impl fmt::Display for Definition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(graph, position, feature) = self;
        let ids = if feature.parts { "x, y" } else { "x" };
        write!(f, "{} ({ids})", feature.name)?;
        for dep in &feature.deps {
            let optional = if dep.optional { "optional " } else { "" };
            write!(f, " <- {optional}{}", graph.features[dep.upstream].name)?;
            match dep.lineage {
                Lineage::Identity => {}
                Lineage::Aggregation => write!(f, " aggregated by x")?,
                Lineage::Expansion => write!(f, " expanded by x")?,
            }
            if let Some(most) = dep.up_to {
                write!(f, " where x <= {most}")?;
            }
            if dep.select {
                write!(f, " select x")?;
            }
        }
        for (i, field) in feature.fields.iter().enumerate() {
            write!(f, "; field {} of code {}", field.name, field.code)?;
            let parents = graph.parents(*position, i);
            let parents: Vec<String> = parents.into_iter().map(|p| graph.qualified(p)).collect();
            match &field.asks {
                _ if parents.is_empty() => {}
                Asks::Mapped => write!(f, " from {} (mapped)", parents.join(" "))?,
                Asks::All => write!(f, " from all: {}", parents.join(" "))?,
                Asks::These(_) => write!(f, " from {}", parents.join(" "))?,
            }
        }
        Ok(())
    }
}

impl Operation {
    /// One line for people.
    pub(super) fn shown(&self, graph: &Graph) -> String {
        let name = |feature: &usize| graph.features[*feature].name;
        match self {
            Self::Write {
                feature,
                samples,
                batches,
            } => {
                let samples: Vec<String> = samples.iter().map(shown_sample).collect();
                format!(
                    "write {} as {batches} batches: {}",
                    name(feature),
                    samples.join(", ")
                )
            }
            Self::Apply {
                feature,
                children,
                data,
            } => {
                let expands =
                    graph.features[*feature].parts && !graph.identified_by_parts(*feature);
                let children = if expands {
                    format!(" with {children} children each")
                } else {
                    String::new()
                };
                let data = data
                    .as_ref()
                    .map_or(String::new(), |data| format!(" with data version {data}"));
                format!("resolve {} and apply{children}{data}", name(feature))
            }
            Self::Redefine {
                feature,
                field,
                code,
            } => {
                let field = graph.features[*feature].fields[*field].name;
                format!("define field {field} of {} with code {code}", name(feature))
            }
            Self::Delete {
                feature,
                xs,
                part,
                hard,
                of_all_versions,
            } => {
                let how = if *hard { "hard" } else { "soft" };
                let part = part.map_or(String::new(), |part| format!(", y{part}"));
                let versions = if *of_all_versions {
                    " of all versions"
                } else {
                    ""
                };
                format!(
                    "delete {} {how} where x in {xs:?}{part}{versions}",
                    name(feature)
                )
            }
            Self::Drop { feature } => format!("drop {}", name(feature)),
            Self::TurnBackClock => "turn back the clock".into(),
        }
    }
}

fn shown_sample(sample: &Sample) -> String {
    let provenance = sample.provenance.join(" ");
    let data = sample
        .data
        .as_ref()
        .map_or(String::new(), |data| format!(" / {}", data.join(" ")));
    format!("{} [{provenance}{data}]", sample.id)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.y {
            Some(y) => write!(f, "{}:y{y}", self.x),
            None => write!(f, "{}", self.x),
        }
    }
}
