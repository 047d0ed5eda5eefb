//! A feature for people.

use metaxy_store::spec::{FeatureDep, FieldsMapping, Lineage};
use metaxy_store::{FeatureKey, Result, columns};

use super::facts::{FeatureFacts, Stored};
use crate::listing::{Facts, Listing};
use crate::screen::{Screen, count, moment};

pub(super) fn show(feature: &FeatureFacts, screen: &Screen) -> Result<()> {
    let definition = &feature.definition;
    let spec = &definition.spec;
    screen.heading(spec.key())?;
    if let Some(description) = spec.description() {
        screen.line(description)?;
    }
    screen.blank()?;
    let mut facts = Facts::default();
    let external = if definition.is_external() {
        " (external)"
    } else {
        ""
    };
    facts.add("project", format_args!("{}{external}", definition.project));
    facts.add(
        "version",
        feature
            .version
            .as_deref()
            .unwrap_or("not known: sync its upstream"),
    );
    if let Some(version) = &feature.definition_version {
        facts.add("definition", version);
    }
    if !definition.feature_class_path.is_empty() {
        facts.add("defined in", &definition.feature_class_path);
    }
    facts.add("identified by", spec.id_columns().join(", "));
    facts.add("upstream", or_none(&feature.upstream));
    facts.add("downstream", or_none(&feature.downstream));
    for (name, value) in spec.metadata() {
        facts.add(name, value);
    }
    facts.show(screen)?;
    screen.blank()?;
    fields(feature).show(screen, None)?;
    if !feature.deps().is_empty() {
        screen.blank()?;
        deps(feature.deps()).show(screen, None)?;
    }
    screen.blank()?;
    match &feature.stored {
        Some(stored) => show_stored(stored, screen),
        None => screen.line("It has never been written."),
    }
}

fn or_none(features: &[FeatureKey]) -> String {
    let names: Vec<&str> = features.iter().map(FeatureKey::as_str).collect();
    match names.is_empty() {
        true => "–".to_owned(),
        false => names.join(", "),
    }
}

fn fields(feature: &FeatureFacts) -> Listing {
    let all = || feature.definition.spec.fields().iter();
    let parents = all().map(|field| {
        let parents = feature.parents_of(&field.key);
        let parents = parents
            .iter()
            .map(|(feature, fields)| format!("{feature}: {}", fields.join(", ")));
        let parents: Vec<String> = parents.collect();
        (!parents.is_empty()).then(|| parents.join("; "))
    });
    Listing::default()
        .text("field", all().map(|field| field.key.as_str()))
        .text(
            "code version",
            all().map(|field| field.code_version.as_str()),
        )
        .maybe_text(
            "version",
            all().map(|field| feature.field_version(&field.key)),
        )
        .maybe_text("depends on", parents)
}

fn deps(deps: &[FeatureDep]) -> Listing {
    let how: Vec<String> = deps.iter().map(how).collect();
    let usual = how.iter().all(String::is_empty);
    let listing = Listing::default()
        .text("depends on", deps.iter().map(|dep| dep.feature.as_str()))
        .text("rows", deps.iter().map(|dep| lineage(&dep.lineage)));
    match usual {
        true => listing,
        false => listing.text("how", how),
    }
}

fn lineage(lineage: &Lineage) -> String {
    match lineage {
        Lineage::Identity => "1:1".to_owned(),
        Lineage::Aggregation { on: None } => "N:1".to_owned(),
        Lineage::Aggregation { on: Some(on) } => format!("N:1 on {}", on.join(", ")),
        Lineage::Expansion { on, .. } => format!("1:N on {}", on.join(", ")),
    }
}

/// What is done with the upstream's rows and fields, as far as it is not the usual.
fn how(dep: &FeatureDep) -> String {
    let mut words = Vec::new();
    if dep.optional {
        words.push("optional".to_owned());
    }
    if let Some(select) = &dep.select {
        words.push(format!("columns {}", select.join(", ")));
    }
    if let Some(rename) = &dep.rename {
        let names = rename.iter().map(|(old, new)| format!("{old} as {new}"));
        words.push(names.collect::<Vec<_>>().join(", "));
    }
    if let Some(filters) = &dep.filters {
        words.push(format!("where {}", filters.join(" and ")));
    }
    if dep.fields_mapping != FieldsMapping::default() {
        words.push(format!("fields {}", mapping(&dep.fields_mapping)));
    }
    words.join("; ")
}

fn mapping(mapping: &FieldsMapping) -> String {
    match mapping {
        FieldsMapping::Default {
            match_suffix,
            exclude_fields,
        } => {
            let name = if *match_suffix {
                "by suffix"
            } else {
                "by name"
            };
            let without: Vec<&str> = exclude_fields.iter().map(|f| f.as_str()).collect();
            match without.is_empty() {
                true => name.to_owned(),
                false => format!("{name}, without {}", without.join(", ")),
            }
        }
        FieldsMapping::Specific(mapping) => {
            let pairs = mapping.iter().map(|(field, upstream)| {
                let upstream: Vec<&str> = upstream.iter().map(|f| f.as_str()).collect();
                format!("{field} from {}", upstream.join(", "))
            });
            pairs.collect::<Vec<_>>().join("; ")
        }
        FieldsMapping::All => "all".to_owned(),
        FieldsMapping::None => "none".to_owned(),
    }
}

fn show_stored(stored: &Stored, screen: &Screen) -> Result<()> {
    screen.line(format_args!(
        "Store {} ({}) has {} in {}.",
        stored.store,
        stored.location,
        count(stored.samples, "sample"),
        count(stored.rows(), "row"),
    ))?;
    screen.blank()?;
    let all = || stored.versions.iter();
    Listing::default()
        .maybe_text("stored version", all().map(|v| v.version.as_deref()))
        .flag("current", all().map(|v| v.current))
        .number("rows", all().map(|v| v.rows))
        .maybe_text("pushed", all().map(|v| v.pushed_at.map(moment)))
        .show(screen, None)?;
    let own: Vec<_> = stored
        .columns
        .fields()
        .iter()
        .filter(|field| !columns::is_system(field.name()))
        .collect();
    screen.blank()?;
    Listing::default()
        .text("column", own.iter().map(|field| field.name().as_str()))
        .text(
            "type",
            own.iter().map(|field| field.data_type().to_string()),
        )
        .show(screen, None)?;
    let system = stored.columns.fields().len() - own.len();
    screen.note(format_args!(
        "and {} of the system",
        count(system as u64, "column")
    ))
}
