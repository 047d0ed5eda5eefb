//! The arguments of a step, as options of the store.

use std::collections::HashMap;

use chrono::DateTime;
use metaxy_store::json::Json;
use metaxy_store::{DeleteOptions, Expr, FeatureKey, Increment, ReadOptions, ResolveOptions, Rows};

use super::file::{Outcome, flag, members, opt_text, size, text, texts};
use super::frame::frame;
use super::rows::Shown;

/// The arguments of a resolve.
pub(super) fn resolve(step: &Json) -> Outcome<ResolveOptions> {
    let mut options = ResolveOptions::default()
        .with_global_filters(filters(step, "global_filters")?)
        .with_target_filters(filters(step, "target_filters")?)
        .with_staleness_predicates(filters(step, "staleness_predicates")?)
        .with_skip_comparison(flag(step, "skip_comparison"));
    for (of, _) in members(step, "filters") {
        let of_feature = FeatureKey::new(of).map_err(shown)?;
        let own = step.get("filters").unwrap_or(&Json::Null);
        options = options.with_filters(of_feature, filters(own, of)?);
    }
    if let Some(samples) = step.get("samples").filter(|samples| !samples.is_null()) {
        options = options.with_samples(frame(samples)?);
    }
    Ok(options)
}

/// The options of a read, and which columns of it are compared.
pub(super) fn read(given: &Json) -> Outcome<(ReadOptions, Shown)> {
    let deleted = flag(given, "include_soft_deleted");
    let mut options = ReadOptions::default()
        .with_filters(filters(given, "filters")?)
        .with_feature_history(flag(given, "with_feature_history"))
        .with_sample_history(flag(given, "with_sample_history"))
        .with_soft_deleted(deleted)
        .with_local_only(given.get("allow_fallback") == Some(&Json::Bool(false)));
    if let Some(version) = opt_text(given, "feature_version") {
        options = options.with_feature_version(version);
    }
    if given
        .get("columns")
        .is_some_and(|columns| !columns.is_null())
    {
        options = options.with_columns(texts(given, "columns"));
        return Ok((options, Shown::Asked));
    }
    Ok((options, Shown::Read { deleted }))
}

/// The rows of `write_increment`: a part of what an earlier resolve gave. `increments` are by the index of their step.
pub(super) fn increment_part(increments: &HashMap<usize, Increment>, step: &Json) -> Outcome<Rows> {
    let from = size(step, "from")?;
    let increment = increments.get(&from);
    let increment = increment.ok_or_else(|| format!("step {from} gave no increment"))?;
    match text(step, "part")? {
        "new" => Ok(increment.new.clone()),
        "stale" => Ok(increment.stale.clone()),
        "both" => Ok(increment.new_and_stale()),
        other => Err(format!("unknown part {other:?}")),
    }
}

/// The arguments of a delete.
pub(super) fn delete(step: &Json) -> Outcome<DeleteOptions> {
    let options = match flag(step, "soft") {
        true => DeleteOptions::soft(),
        false => DeleteOptions::hard(),
    };
    Ok(options
        .with_filters(filters(step, "filters")?)
        .with_feature_history(flag(step, "with_feature_history"))
        .with_sample_history(flag(step, "with_sample_history"))
        .with_at(at(step)?))
}

/// The filters of the list `name`.
pub(super) fn filters(value: &Json, name: &str) -> Outcome<Vec<Expr>> {
    texts(value, name)
        .into_iter()
        .map(|filter| Expr::parse(filter).map_err(shown))
        .collect()
}

/// The time of a step, in UTC microseconds.
pub(super) fn at(step: &Json) -> Outcome<i64> {
    instant(step, "at")
}

/// The time that the member `name` says, in UTC microseconds.
pub(super) fn instant(value: &Json, name: &str) -> Outcome<i64> {
    let given = text(value, name)?;
    let parsed = DateTime::parse_from_rfc3339(given).map_err(|e| format!("{given}: {e}"))?;
    Ok(parsed.timestamp_micros())
}

/// What the store said.
#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
pub(super) fn shown(error: metaxy_store::Error) -> String {
    error.to_string()
}
