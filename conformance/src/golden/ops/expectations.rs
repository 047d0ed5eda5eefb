//! What is expected of a step where the reference is not followed, and how the scenario goes on then.

use std::collections::{BTreeSet, HashMap};

use metaxy_store::columns;
use metaxy_store::json::Json;
use metaxy_store::{FeatureGraph, FeatureKey};

use super::super::arguments::shown;
use super::super::deviations::Expect;
use super::super::file::{Outcome, flag, list, opt_list, opt_text, text, texts};
use super::super::rows::{Row, canonical, distinct};
use super::answer::Answer;
use super::steps::snapshots;
use super::world::World;

/// The rows that a step's store keeps of its features.
pub(super) type Kept = HashMap<FeatureKey, Option<Vec<Row>>>;

/// The index of steps that are not the scenario's.
const ASIDE: usize = usize::MAX;

impl World<'_> {
    /// The rows that the store of a step keeps of the features of the step.
    pub(super) async fn kept_before(&self, step: &Json) -> Kept {
        let writes = opt_list(step, "writes");
        let names = [step]
            .into_iter()
            .chain(writes)
            .map(|s| opt_text(s, "feature"));
        let mut kept = Kept::new();
        for feature in names
            .flatten()
            .filter_map(|name| FeatureKey::new(name).ok())
        {
            let rows = self
                .kept(opt_text(step, "store").unwrap_or_default(), &feature)
                .await;
            kept.insert(feature, rows);
        }
        kept
    }

    /// Whether a step gave what is expected instead of the reference's answer; prepares the steps that follow.
    pub(super) async fn as_expected(
        &mut self,
        expect: Expect,
        step: &Json,
        found: &Outcome<Answer>,
        before: &Kept,
    ) -> Outcome {
        let store = opt_text(step, "store").unwrap_or_default();
        match expect {
            Expect::Refused => {
                self.refused(step, found, before).await?;
                self.note_undeleted(step);
                Ok(())
            }
            Expect::PushedHere => {
                let expect = step.get("expect").unwrap_or(&Json::Null);
                let recorded = with(expect, [("already_pushed", Json::from(false))]);
                let step = with(step, [("expect", recorded)]);
                self.updated(&step, ok(found)?).await?;
                self.pushed_here = true;
                Ok(())
            }
            Expect::OfProject => self.of_project(ok(found)?),
            Expect::External(expect) => self.external_as_expected(expect, step, found).await,
            Expect::Described => self.described(ok(found)?),
            Expect::RefusedThenByHand => {
                self.refused(step, found, before).await?;
                self.copy_by_hand(step).await
            }
            Expect::RefusedThenKnown => {
                self.refused(step, found, before).await?;
                let known = texts(step, "features");
                let known: Vec<&str> = known
                    .into_iter()
                    .filter(|k| self.graph.contains(k))
                    .collect();
                let known = with(step, [("features", Json::from(known))]);
                let copied = self.step(ASIDE, &known).await?;
                Answer::expected(step)?.check(&copied)
            }
            Expect::RefusedWhole => {
                self.refused(step, found, before).await?;
                self.write_singly(step).await
            }
            Expect::Opened => self.opened_when_needed(step, ok(found)?).await,
            Expect::Holds => self.holds(step).await?.check(ok(found)?),
            Expect::NoTable => self.no_table(step, found).await,
            Expect::Chain => match text(step, "op")? {
                "has_feature" | "find_store" => self.holds(step).await?.check(ok(found)?),
                _ => self.as_in_twin(step, ok(found)?).await,
            },
            Expect::ProjectOfFeature => {
                ok(found)?;
                self.project_of_feature(step, before).await
            }
            Expect::History => self.history(step, ok(found)?).await,
            Expect::Distinct => {
                let expected = Answer::expected(step)?;
                Answer::rows(distinct(expected.only().to_vec())).check(ok(found)?)
            }
            Expect::OfParent => {
                let store = self.store(store)?;
                self.rebased(&store, step, ok(found)?).await
            }
            Expect::Rebased => match text(step, "op")? {
                "diff" => self.diffed(step, ok(found)?).await,
                _ => self.rebased_to_snapshot(step, ok(found)?).await,
            },
            Expect::DependentsFirst => self.dependents_first(step, ok(found)?),
            Expect::Samples => self.samples(step, ok(found)?).await,
            Expect::UpstreamMissing => self.upstream_missing(step, ok(found)?).await,
            Expect::PushedInChain => {
                let owner = self.pushed_to(text(step, "store")?).await;
                let owner = self.store(&owner.ok_or("nothing was pushed to the chain")?)?;
                snapshots(&owner, step).await?.check(ok(found)?)
            }
            Expect::LastPush => match text(step, "op")? {
                "features" => {
                    let rows = super::super::rows::golden(opt_list(
                        &Json::object([("rows", self.pushes.features(step))]),
                        "rows",
                    ))?;
                    Answer::rows(rows).check(ok(found)?)
                }
                _ => Answer::value(self.pushes.snapshots(step)).check(ok(found)?),
            },
        }
    }

    /// The step was refused and changed nothing.
    async fn refused(&self, step: &Json, found: &Outcome<Answer>, before: &Kept) -> Outcome {
        if found.is_ok() {
            return Err("it is not refused".into());
        }
        match self.kept_before(step).await == *before {
            true => Ok(()),
            false => Err("it is refused, but rows have changed".into()),
        }
    }

    /// What the reference writes of several features before one of them fails.
    async fn write_singly(&mut self, step: &Json) -> Outcome {
        let writes = list(step, "writes")?;
        if writes
            .iter()
            .any(|write| opt_text(write, "feature").is_none_or(|key| !self.graph.contains(key)))
        {
            return Ok(());
        }
        // Only dependencies between the given features count there.
        let mut given = FeatureGraph::recorded();
        for write in writes {
            let definition = self.graph.require(text(write, "feature")?).map_err(shown)?;
            given.add(definition.as_ref().clone()).map_err(shown)?;
        }
        for feature in given.topological().into_iter().rev() {
            let of = |write: &&Json| opt_text(write, "feature") == Some(feature.as_str());
            let Some(write) = writes.iter().find(of) else {
                continue;
            };
            let mut given = vec![("op", Json::from("write"))];
            for name in ["store", "at", "materialization_id"] {
                given.extend(step.get(name).map(|value| (name, value.clone())));
            }
            if self.step(ASIDE, &with(write, given)).await.is_err() {
                return Ok(());
            }
        }
        Err("none of the writes fails by itself".into())
    }

    async fn opened_when_needed(&self, step: &Json, found: &Answer) -> Outcome {
        match text(step, "op")? {
            "has_feature" | "find_store" => self.holds(step).await?.check(found),
            "read" => self.as_in_twin(step, found).await,
            "copy" => self.counts_of_copy(step).await?.check(found),
            _ => Ok(()),
        }
    }

    /// Which store keeps a row of the feature.
    async fn holds(&self, step: &Json) -> Outcome<Answer> {
        let store = text(step, "store")?;
        let feature = self.feature(text(step, "feature")?)?;
        let owner = match flag(step, "check_fallback") {
            true => self.owner(store, &feature).await,
            false => self
                .owner(store, &feature)
                .await
                .filter(|owner| owner == store),
        };
        Ok(match text(step, "op")? {
            "has_feature" => Answer::value(owner.is_some()),
            _ => Answer::value(owner),
        })
    }

    /// A table without rows is no table.
    async fn no_table(&self, step: &Json, found: &Outcome<Answer>) -> Outcome {
        let store = text(step, "store")?;
        let feature = self.feature(text(step, "feature")?)?;
        match (text(step, "op")?, found) {
            ("has_feature" | "find_store", found) => self.holds(step).await?.check(ok(found)?),
            ("status", Ok(found)) => {
                if self.upstream_missing(step, found).await.is_ok() {
                    return Ok(());
                }
                let local = step.get("use_fallback") == Some(&Json::Bool(false));
                let owner = self.owner(store, &feature).await;
                if owner.is_some_and(|owner| !local || owner == store) {
                    return Err("a store of the chain keeps rows of it".into());
                }
                let expect = step.get("expect").unwrap_or(&Json::Null);
                let gone = [
                    ("status", Json::from("missing")),
                    ("metadata_exists", Json::from(false)),
                ];
                Answer::value(with(expect, gone)).check(found)
            }
            ("read", Err(_)) if self.owner(store, &feature).await.is_none() => Ok(()),
            ("resolve" | "status" | "progress", Err(_))
                if self.lacks_upstream(store, &feature).await =>
            {
                Ok(())
            }
            ("read" | "resolve", Ok(found)) => self.as_in_twin(step, found).await,
            (_, Err(error)) => Err(format!("fails: {error}")),
            (_, Ok(_)) => Err("it is not about tables".into()),
        }
    }

    /// Whether no store of the chain keeps a row of some required upstream.
    async fn lacks_upstream(&self, store: &str, feature: &FeatureKey) -> bool {
        let Some(definition) = self.graph.get(feature) else {
            return false;
        };
        for dep in definition.spec.deps().iter().filter(|dep| !dep.optional) {
            if self.owner(store, &dep.feature).await.is_none() {
                return true;
            }
        }
        false
    }

    /// The same step on one store that holds what the chain should show.
    async fn as_in_twin(&self, step: &Json, found: &Answer) -> Outcome {
        let name = text(step, "store")?;
        let feature = self.feature(text(step, "feature")?)?;
        let resolves = text(step, "op")? == "resolve";
        let twin = self.twin(name, resolves.then_some(&feature)).await?;
        let expected = if resolves {
            self.resolved_in(&twin, &feature, step).await?
        } else {
            let mut expected = self.read_in(&twin, &feature, step).await?;
            if found.value.is_some() {
                let owner = self.owner(name, &feature).await;
                expected.value = Some(Json::object([("store", Json::from(owner))]));
            }
            expected
        };
        expected.check(found)
    }

    /// The rows got the version of their feature's project. Later steps do not expect them.
    async fn project_of_feature(&self, step: &Json, before: &Kept) -> Outcome {
        let name = text(step, "store")?;
        let feature = self.feature(text(step, "feature")?)?;
        let definition = self.graph.require(&feature).map_err(shown)?;
        let version = Json::from(self.graph.project_version(&definition.project));
        let kept = self.kept(name, &feature).await.unwrap_or_default();
        let written = opt_list(step, "rows").len();
        if kept.len() != written
            || kept
                .iter()
                .any(|row| row.get(columns::PROJECT_VERSION) != Some(&version))
        {
            return Err(format!(
                "the rows do not all have project version {version}"
            ));
        }
        if before.values().flatten().any(|rows| !rows.is_empty()) {
            return Err("there were rows before, so the step cannot be taken back".into());
        }
        let dropped = self.store(name)?.drop_feature(&feature).await;
        dropped.map(drop).map_err(shown)
    }

    fn dependents_first(&self, step: &Json, found: &Answer) -> Outcome {
        let order = found
            .value
            .as_ref()
            .map(|value| texts(value, "order"))
            .unwrap_or_default();
        let expected = Answer::expected(step)?.value.unwrap_or_default();
        let set = |order: &[&str]| {
            order
                .iter()
                .map(|key| (*key).to_owned())
                .collect::<BTreeSet<_>>()
        };
        if set(&order) != set(&texts(&expected, "order")) {
            return Err(format!("the order {order:?} has other features"));
        }
        for (position, later) in order.iter().enumerate() {
            let later = FeatureKey::new(*later).map_err(shown)?;
            let upstream = self.graph.upstream(&[later]);
            if upstream
                .iter()
                .any(|key| order[..position].contains(&key.as_str()))
            {
                return Err(format!(
                    "in {order:?} an upstream comes before its dependent"
                ));
            }
        }
        Ok(())
    }

    /// The reference's status with samples counted once.
    async fn samples(&self, step: &Json, found: &Answer) -> Outcome {
        let feature = self.feature(text(step, "feature")?)?;
        let ids = self.ids(&feature)?;
        let store = self.store(text(step, "store")?)?;
        let resolved = self.resolved_in(&store, &feature, step).await?;
        let count = |rows: &[Row]| {
            rows.iter()
                .map(|row| sample(row, &ids))
                .collect::<BTreeSet<_>>()
                .len()
        };
        let expect = step.get("expect").unwrap_or(&Json::Null);
        let counts = ["missing", "stale", "orphaned"]
            .into_iter()
            .zip(&resolved.parts)
            .map(|(name, (_, rows))| (name, Json::from(count(rows))));
        Answer::value(with(expect, counts)).check(found)
    }

    async fn upstream_missing(&self, step: &Json, found: &Answer) -> Outcome {
        let status = found
            .value
            .as_ref()
            .and_then(|value| opt_text(value, "status"));
        let feature = self.feature(text(step, "feature")?)?;
        if status != Some("upstream_missing") {
            return Err(format!("the status is {}", status.unwrap_or("?")));
        }
        match self.lacks_upstream(text(step, "store")?, &feature).await {
            true => Ok(()),
            false => Err("every upstream is there".into()),
        }
    }

    pub(super) fn ids(&self, feature: &FeatureKey) -> Outcome<Vec<String>> {
        let definition = self.graph.require(feature).map_err(shown)?;
        Ok(definition.spec.id_columns().to_vec())
    }
}

fn ok(found: &Outcome<Answer>) -> Outcome<&Answer> {
    found.as_ref().map_err(|error| format!("fails: {error}"))
}

/// The object with these members in place of its own.
pub(super) fn with<'a>(object: &Json, given: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    let mut members = object.as_object().cloned().unwrap_or_default();
    for (name, value) in given {
        members.insert(name.to_owned(), value);
    }
    Json::Object(members)
}

/// The sample of a row, as text.
pub(super) fn sample(row: &Row, ids: &[String]) -> String {
    let cells = ids
        .iter()
        .filter_map(|id| Some((id.clone(), row.get(id)?.clone())));
    canonical(&cells.collect())
}
