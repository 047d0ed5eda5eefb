//! Replays `filters.json`: filters over one table, evaluated by a read of the store.

use arrow::datatypes::Schema;
use metaxy_store::definition::FeatureDefinition;
use metaxy_store::expr::{CompareOp, Operand, Value};
use metaxy_store::json::Json;
use metaxy_store::plan::ReadOptions;
use metaxy_store::{
    Expr, FeatureGraph, FeatureKey, FeatureSpec, HashAlgorithm, MetadataStore, columns,
};

use super::deviations::{self as on_purpose, Deviation, Tally};
use super::factory::{StoreFactory, StoreRequest};
use super::file::{Outcome, flag, list, opt_list, opt_text, text};
use super::frame::frame;
use super::report::Report;
use super::rows::{Shown, rows};

pub(super) async fn replay(
    factory: &dyn StoreFactory,
    content: &Json,
    report: &mut Report,
    tally: &mut Tally,
) -> Outcome {
    let table = Table::new(factory, content.get("table").unwrap_or(&Json::Null)).await?;
    for (index, case) in list(content, "cases")?.iter().enumerate() {
        let name = format!("filters/{index:03}");
        let filter = text(case, "filter")?;
        let judged = judge(&table, case, filter).await;
        let mut wrong = Vec::new();
        let mut differs = false;
        match judged {
            Ok(Judged::Same) => {}
            Ok(Judged::SameAgainst(deviation)) => tally.met(deviation, &name, false),
            Ok(Judged::OnPurpose(deviation)) => {
                tally.met(deviation, &name, true);
                differs = true;
            }
            Err(why) => wrong.push(format!("{filter:?}: {why}")),
        }
        report.count(name, wrong, differs);
    }
    Ok(())
}

enum Judged {
    Same,
    /// As in the reference, although a deviation is claimed.
    SameAgainst(&'static Deviation),
    OnPurpose(&'static Deviation),
}

async fn judge(table: &Table, case: &Json, filter: &str) -> Outcome<Judged> {
    let parsed = Expr::parse(filter);
    let here = match &parsed {
        Ok(filter) => table.passing(filter.clone()).await,
        Err(error) => Err(error.to_string()),
    };
    let failed_there = flag(case, "error");
    let quirk = opt_text(case, "quirk");
    let refused = quirk.is_some_and(|quirk| on_purpose::REFUSED_QUIRKS.contains(&quirk));

    if failed_there {
        return match here {
            Err(_) => Ok(Judged::Same),
            Ok(_) if quirk.is_some() && !refused => Ok(Judged::OnPurpose(&on_purpose::NO_RULE)),
            Ok(_) if numbers_in_numbers(case, parsed.as_ref().ok(), &table.schema) => {
                Ok(Judged::OnPurpose(&on_purpose::NUMBERS_IN_NUMBERS))
            }
            Ok(_) if has_patterns(case, parsed.as_ref().ok()) => {
                Ok(Judged::OnPurpose(&on_purpose::PATTERNS))
            }
            Ok(ids) => Err(format!(
                "gives {ids:?} where the reference fails at stage {}",
                stage(case)
            )),
        };
    }
    let wanted = ids(opt_list(case, "rows"));
    if refused {
        return match here {
            Err(_) => Ok(Judged::OnPurpose(&on_purpose::REFUSED)),
            Ok(ids) if ids == wanted => Ok(Judged::SameAgainst(&on_purpose::REFUSED)),
            Ok(ids) => Err(format!("expected a refusal, found {ids:?}")),
        };
    }
    let ids = here.map_err(|error| format!("expected {wanted:?}, fails: {error}"))?;
    if ids == wanted {
        return Ok(Judged::Same);
    }
    // Other rows are right if the reference's reading of the filter, in our words, gives its rows.
    let parsed = parsed.map_err(|e| e.to_string())?;
    for (deviation, reading) in READINGS {
        let filter = parsed.clone().map(&mut |node| reading(node));
        if table.passing(filter).await.as_ref() == Ok(&wanted) {
            return Ok(Judged::OnPurpose(deviation));
        }
    }
    Err(format!("expected {wanted:?}, found {ids:?}"))
}

fn stage(case: &Json) -> &str {
    opt_text(case, "stage").unwrap_or("?")
}

/// A node of a filter in, the reference's meaning of it out.
type Reading = fn(Expr) -> Expr;

/// Deviations, and how the reference reads a node of a filter, in this library's words.
const READINGS: [(&Deviation, Reading); 3] = [
    (&on_purpose::IS_BOOL, is_bool_there),
    (&on_purpose::NULL_IN_LIST, null_in_list_there),
    (&on_purpose::NULL_IN_LIST, |node| {
        is_bool_there(null_in_list_there(node))
    }),
];

/// `x IS TRUE` is `x = TRUE` there, and null for null; `IS NOT TRUE` is its negation (52).
fn is_bool_there(node: Expr) -> Expr {
    match node {
        Expr::IsBool {
            operand,
            value,
            negated,
        } => {
            let equal = operand.eq(value);
            if negated { !equal } else { equal }
        }
        other => other,
    }
}

/// Nulls in lists do not count there, and a null is in no list, not even negated (51).
fn null_in_list_there(node: Expr) -> Expr {
    let Expr::In {
        operand,
        mut list,
        negated,
    } = node
    else {
        return node;
    };
    list.retain(|value| *value != Value::Null);
    if !list.is_empty() {
        return Expr::In {
            operand,
            list,
            negated,
        };
    }
    Expr::Compare {
        left: operand.clone(),
        op: if negated {
            CompareOp::Eq
        } else {
            CompareOp::Ne
        },
        right: operand,
    }
}

/// Whether the reference failed to look for numbers of one type in a column of another (55).
fn numbers_in_numbers(case: &Json, filter: Option<&Expr>, schema: &Schema) -> bool {
    let number = |value: &Value| {
        matches!(
            value,
            Value::Int(_) | Value::Decimal(_) | Value::Float(_) | Value::Null
        )
    };
    let looks = |node: &Expr| match node {
        Expr::In {
            operand: Operand::Column(name),
            list,
            ..
        } => {
            schema
                .field_with_name(name)
                .is_ok_and(|f| f.data_type().is_numeric())
                && list.iter().all(number)
        }
        _ => false,
    };
    stage(case) == "apply" && filter.is_some_and(|filter| filter.any(&mut |node| looks(node)))
}

/// Whether the reference failed to parse a pattern.
fn has_patterns(case: &Json, filter: Option<&Expr>) -> bool {
    let is_pattern = |node: &Expr| matches!(node, Expr::Like { .. });
    stage(case) == "parse" && filter.is_some_and(|filter| filter.any(&mut |node| is_pattern(node)))
}

/// The table of the file, as a feature of a store.
struct Table {
    store: MetadataStore,
    feature: FeatureKey,
    id: String,
    schema: Schema,
}

impl Table {
    async fn new(factory: &dyn StoreFactory, table: &Json) -> Outcome<Self> {
        let said = |e: metaxy_store::Error| e.to_string();
        let id = text(table, "id")?.to_owned();
        let feature = FeatureKey::new("golden/filters").map_err(said)?;
        let spec = FeatureSpec::new(&feature, [id.as_str()]).map_err(said)?;
        let graph = FeatureGraph::from_definitions([FeatureDefinition::new(spec, "golden")])
            .map_err(said)?;
        let request = StoreRequest::new(
            "filters",
            HashAlgorithm::default(),
            graph.truncation_length(),
        );
        let backend = factory.open(&request).await.map_err(said)?;
        let store = MetadataStore::builder(backend)
            .with_graph(graph)
            .build()
            .map_err(said)?;
        let with_provenance = with_provenance(table)?;
        let rows = frame(&with_provenance)?;
        let schema = rows.schema().as_ref().clone();
        store.write(&feature, rows).await.map_err(said)?;
        Ok(Self {
            store,
            feature,
            id,
            schema,
        })
    }

    /// The IDs of the rows that pass, sorted.
    async fn passing(&self, filter: Expr) -> Outcome<Vec<Json>> {
        let said = |e: metaxy_store::Error| e.to_string();
        let options = ReadOptions::default()
            .with_filters([filter])
            .with_columns([self.id.as_str()]);
        let read = self
            .store
            .read(&self.feature, options)
            .await
            .map_err(said)?;
        let read = rows(&read.collect().await.map_err(said)?, Shown::Asked)?;
        Ok(sorted(
            read.iter()
                .filter_map(|row| row.get(&self.id))
                .cloned()
                .collect(),
        ))
    }
}

/// The table with the provenance that a write needs.
fn with_provenance(table: &Json) -> Outcome<Json> {
    let Json::Object(mut table) = table.clone() else {
        return Err("the table is not an object".into());
    };
    if let Some(Json::Object(names)) = table.get_mut("columns") {
        let by_field = Json::object([("struct", Json::from(vec!["default"]))]);
        names.insert(columns::PROVENANCE_BY_FIELD.into(), by_field);
    }
    if let Some(Json::Array(rows)) = table.get_mut("rows") {
        for row in rows {
            if let Json::Object(cells) = row {
                let provenance = Json::object([("default", Json::from("p"))]);
                cells.insert(columns::PROVENANCE_BY_FIELD.into(), provenance);
            }
        }
    }
    Ok(Json::Object(table))
}

fn ids(ids: &[Json]) -> Vec<Json> {
    sorted(ids.to_vec())
}

fn sorted(mut ids: Vec<Json>) -> Vec<Json> {
    ids.sort_by_key(Json::to_compact);
    ids
}
