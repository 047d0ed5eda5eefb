//! How deviations are recognised by shape, and what rows may differ.

use std::collections::{BTreeMap, HashSet};

use metaxy_store::json::Json;
use metaxy_store::{Expr, columns};

use super::case::Case;
use crate::golden::file::{Outcome, list, opt_list, opt_text};
use crate::golden::increments::Part;
use crate::golden::rows::{Difference, Row, VERSIONS, canonical, without};

/// Fields of two upstreams of the feature, or of one upstream of it, that share `table name + struct key` (2).
pub(super) fn parents_collide(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        opt_list(spec, "deps")
            .iter()
            .filter_map(|dep| opt_text(dep, "feature"))
            .any(|upstream| {
                let fields = case
                    .spec(upstream)
                    .map(|spec| opt_list(spec, "fields"))
                    .unwrap_or_default();
                fields
                    .iter()
                    .filter_map(|field| opt_text(field, "key"))
                    .any(|field| {
                        let name = format!("{}_{}", table_name(upstream), field.replace('/', "_"));
                        let whole = format!("{upstream}.{field}");
                        names
                            .insert(name, whole.clone())
                            .is_some_and(|other| other != whole)
                    })
            })
    })
}

/// The feature, or one upstream of it, has two fields with equal struct keys (3).
pub(super) fn struct_keys_collide(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let fields = opt_list(spec, "fields");
        let keys: HashSet<String> = fields
            .iter()
            .filter_map(|field| opt_text(field, "key"))
            .map(|key| key.replace('/', "_"))
            .collect();
        keys.len() < fields.len()
    })
}

/// The feature, or one upstream of it, has the table name of a feature that was added before.
pub(super) fn tables_collide(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let key = opt_text(spec, "key").unwrap_or_default();
        let before = case
            .specs
            .iter()
            .filter_map(|spec| opt_text(spec, "key"))
            .take_while(|other| *other != key);
        before
            .into_iter()
            .any(|other| table_name(other) == table_name(key))
    })
}

/// The feature, or one upstream of it, breaks a rule that the reference does not have, or checks late.
pub(super) fn definition_is_invalid(case: &Case<'_>, step: &Json) -> bool {
    case.of_step(step).into_iter().any(|spec| {
        let ids: Vec<&str> = opt_list(spec, "id_columns")
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let deps = opt_list(spec, "deps");
        let upstreams: Vec<&str> = deps
            .iter()
            .filter_map(|dep| opt_text(dep, "feature"))
            .collect();
        let repeated = |names: &[&str]| names.iter().collect::<HashSet<_>>().len() < names.len();
        let filters = deps
            .iter()
            .flat_map(|dep| opt_list(dep, "sql_filters"))
            .filter_map(Json::as_str);
        opt_list(spec, "fields").is_empty()
            || repeated(&ids)
            || ids
                .iter()
                .any(|id| id.is_empty() || id.starts_with(columns::SYSTEM_PREFIX))
            || repeated(&upstreams)
            || filters
                .into_iter()
                .any(|filter| Expr::parse(filter).is_err())
            || !share_an_id(case, spec, &ids)
    })
}

/// Whether all upstreams of a feature have an ID column in common, after lineage.
fn share_an_id(case: &Case<'_>, spec: &Json, own: &[&str]) -> bool {
    let mut common: Option<HashSet<String>> = None;
    for dep in opt_list(spec, "deps") {
        let Some(upstream) = case.spec(opt_text(dep, "feature").unwrap_or_default()) else {
            continue;
        };
        let relationship = dep
            .get("lineage")
            .and_then(|lineage| lineage.get("relationship"))
            .unwrap_or(&Json::Null);
        let on: Vec<&str> = opt_list(relationship, "on")
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let renamed = |id: &str| {
            dep.get("rename")
                .and_then(|names| opt_text(names, id))
                .unwrap_or(id)
                .to_owned()
        };
        let ids: HashSet<String> = match opt_text(relationship, "type") {
            Some("1:1") => opt_list(upstream, "id_columns")
                .iter()
                .filter_map(Json::as_str)
                .map(renamed)
                .collect(),
            _ if on.is_empty() => own.iter().map(|id| (*id).to_owned()).collect(),
            _ => on.into_iter().map(str::to_owned).collect(),
        };
        common = Some(match common {
            Some(common) => common.intersection(&ids).cloned().collect(),
            None => ids,
        });
    }
    common.is_none_or(|common| !common.is_empty())
}

fn table_name(key: &str) -> String {
    key.replace('/', "__").replace('-', "_")
}

/// A resolve of a scenario about null provenance (17).
pub(super) fn null_provenance(case: &Case<'_>, step: &Json) -> bool {
    opt_text(step, "op") == Some("resolve")
        && (case.tags.contains(&"null-provenance")
            || opt_text(step, "ref_bug") == Some("null_provenance"))
        && step
            .get("expect")
            .is_some_and(|expect| list(expect, "stale").is_ok())
}

/// The differences are rows whose provenance is null, in what is stale.
pub(super) fn only_null_provenance(parts: &[Part]) -> Outcome {
    for part in parts {
        let with_provenance = |rows: &[Row]| -> Vec<Row> {
            let known = |row: &&Row| row.get(columns::PROVENANCE).is_none_or(|p| !p.is_null());
            rows.iter().filter(known).cloned().collect()
        };
        let difference = match part.name {
            "stale" => Difference::between(
                &with_provenance(&part.expected),
                &with_provenance(&part.found),
            ),
            _ => Difference::between(&part.expected, &part.found),
        };
        if !difference.is_empty() {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// Here stale is less, and orphaned more, than there.
pub(super) fn no_false_stale(parts: &[Part]) -> Outcome {
    for part in parts {
        let difference = Difference::between(&part.expected, &part.found);
        let extra = match part.name {
            "stale" => difference.unexpected.is_empty(),
            "orphaned" => difference.missing.is_empty(),
            _ => difference.is_empty(),
        };
        if !extra {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// The same samples, with other versions; what is stale here may be unnoticed there.
pub(super) fn versions_differ(parts: &[Part]) -> Outcome {
    for part in parts {
        let plain = |rows: &[Row]| without(rows.to_vec(), &VERSIONS);
        let difference = Difference::between(&plain(&part.expected), &plain(&part.found));
        if !difference.missing.is_empty()
            || (part.name != "stale" && !difference.unexpected.is_empty())
        {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// The feature, or one upstream of it, lost rows for good by what is no ID (33).
pub(super) fn may_be_uncovered(case: &Case<'_>, step: &Json) -> bool {
    let keys = case.of_step(step).into_iter();
    let mut keys = keys.filter_map(|spec| opt_text(spec, "key"));
    matches!(opt_text(step, "op"), Some("read" | "resolve"))
        && keys.any(|key| case.by_value.contains(key))
}

/// Here are the same samples or fewer, and so more that are orphaned.
pub(super) fn samples_are_gone(parts: &[Part]) -> Outcome {
    for part in parts {
        let difference = Difference::between(&part.expected, &part.found);
        let fewer = match part.name {
            "orphaned" => difference.missing.is_empty(),
            _ => difference.unexpected.is_empty(),
        };
        if !fewer {
            return Err(format!("{}:{difference}", part.name));
        }
    }
    Ok(())
}

/// Apart from feature versions, here are the same rows or fewer.
pub(super) fn tombstones_keep_versions(parts: &[Part]) -> Outcome {
    for part in parts {
        let plain = |rows: &[Row]| without(rows.to_vec(), &[columns::FEATURE_VERSION]);
        let there: HashSet<String> = plain(&part.expected).iter().map(canonical).collect();
        if let Some(row) = plain(&part.found)
            .iter()
            .map(canonical)
            .find(|row| !there.contains(row))
        {
            return Err(format!("{}: unexpected {row}", part.name));
        }
    }
    Ok(())
}
