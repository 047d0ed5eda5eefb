//! What is expected of external features where the reference is not followed, and how the scenario goes on then.

use std::collections::BTreeSet;

use metaxy_store::FeatureGraph;
use metaxy_store::json::Json;
use metaxy_store::system::{LockFile, SyncOptions};

use super::super::super::arguments::shown;
use super::super::super::deviations::{Ahead, External};
use super::super::super::file::{Outcome, flag, members, opt_list, opt_text, text, texts};
use super::super::super::rows::golden;
use super::super::answer::Answer;
use super::super::expectations::with;
use super::super::steps::graph_json;
use super::super::world::World;
use super::files::{difference, info, parsed};
use super::loads;

impl World<'_> {
    /// Whether a step gave what is expected instead of the reference's answer; prepares the steps that follow.
    pub(in super::super) async fn external_as_expected(
        &mut self,
        expect: External,
        step: &Json,
        found: &Outcome<Answer>,
    ) -> Outcome {
        match expect {
            External::Refused if found.is_ok() => Err("it is not refused".into()),
            External::Refused if text(step, "op")? == "lock" => {
                let path = self.externals.path(step)?;
                match std::fs::read_to_string(path).ok() == self.externals.before_lock {
                    true => Ok(()),
                    false => Err("it is refused, but the file has changed".into()),
                }
            }
            External::Refused => Ok(()),
            External::Loads => self.loads_what_is_pushed(step, ok(found)?).await,
            External::Locks => self.locks_what_is_pushed(step, ok(found)?).await,
            External::Behind => self.behind(step, ok(found)?),
            External::RecordsSynced => self.records_synced(step, ok(found)?).await,
        }
    }

    /// A sync loaded what the stores of the chain have.
    async fn loads_what_is_pushed(&mut self, step: &Json, found: &Answer) -> Outcome {
        let synced = std::mem::replace(&mut self.graph, self.externals.before_sync.clone());
        let chain = self.pushed(text(step, "store")?, true, true).await;
        let loaded = self.needed(step, &chain);
        let mut warnings = BTreeSet::new();
        for placeholder in self.graph.definitions().filter(|d| d.is_external()) {
            let Some(row) = chain.live.get(placeholder.key().as_str()) else {
                warnings.insert("UnresolvedExternalFeatureWarning");
                continue;
            };
            if self.graph.feature_version(placeholder.key()).ok() != Some(&row.feature_version) {
                warnings.insert("ExternalFeatureVersionMismatchWarning");
            }
        }
        let warnings: Vec<&str> = warnings.into_iter().collect();
        loads(&loaded, &warnings).check(found)?;
        let there = step.get("expect").map(|expect| texts(expect, "loaded"));
        let there: BTreeSet<String> = there.iter().flatten().map(|k| (*k).to_owned()).collect();
        if there.is_superset(&loaded) {
            self.take_graph(synced);
            let more = there.difference(&loaded).cloned().collect();
            self.externals.ahead = Some((Ahead::Removed, more));
        } else {
            // The steps that follow are those of a graph without them.
            self.take_graph(self.graph.clone());
        }
        Ok(())
    }

    /// A lock file has what the stores of the chain have, and the report says what changed.
    async fn locks_what_is_pushed(&mut self, step: &Json, found: &Answer) -> Outcome {
        let chain = self.pushed(text(step, "store")?, true, true).await;
        let path = self.externals.path(step)?;
        let after = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let new = parsed(&after)?;
        let keys: BTreeSet<String> = members(&new, "features")
            .map(|(k, _)| k.to_owned())
            .collect();
        let needed = self.needed(step, &chain);
        if keys != needed {
            return Err(format!("the file has {keys:?}, not {needed:?}"));
        }
        let loaded = LockFile::parse(&after).map_err(shown)?;
        let mut graph = FeatureGraph::new()
            .with_truncation_length(self.graph.truncation_length())
            .map_err(shown)?;
        graph = loaded.add_to(&graph).map_err(shown)?;
        for (key, locked) in members(&new, "features") {
            let row = chain.live.get(key).ok_or("it is not pushed")?;
            if info(locked, "version") != Some(&row.feature_version)
                || info(locked, "definition_version") != Some(&row.definition_version)
                || graph.definition_version(key).ok() != Some(&row.definition_version)
            {
                return Err(format!("the file has {key} otherwise than it was pushed"));
            }
        }
        let old = self.externals.before_lock.as_deref();
        let old = old.filter(|old| LockFile::parse(old).is_ok());
        let old = old.map_or(Ok(Json::Null), parsed)?;
        let expected = Json::object([("result", difference(&old, &new)), ("parsed", new)]);
        Answer::value(expected).check(found)?;

        // The steps that follow find what the reference has left.
        let there = step
            .get("expect")
            .and_then(|expect| opt_text(expect, "text"));
        if there.is_none() {
            self.externals.ahead = None;
        }
        match there.or(self.externals.before_lock.as_deref()) {
            Some(text) => std::fs::write(&path, text).map_err(|e| e.to_string()),
            None => std::fs::remove_file(&path).map_err(|e| e.to_string()),
        }
    }

    /// The graph is the reference's, but for the features that were not put into it, and for versions that follow from them.
    fn behind(&self, step: &Json, found: &Answer) -> Outcome {
        let none = BTreeSet::new();
        let ahead = self
            .externals
            .ahead
            .as_ref()
            .map_or(&none, |(_, keys)| keys);
        let here = found.value.as_ref().unwrap_or(&Json::Null);
        let there = step.get("expect").unwrap_or(&Json::Null);
        Answer::value(graph_json(&self.graph)?).check(found)?;
        if let Some((key, _)) = here
            .as_object()
            .into_iter()
            .flatten()
            .find(|(key, _)| there.get(key).is_none())
        {
            return Err(format!("the reference does not have {key}"));
        }
        for (key, there) in there.as_object().into_iter().flatten() {
            let here = here.get(key);
            if here == Some(there) {
                continue;
            }
            let like = |name: &str| here.and_then(|here| here.get(name)) == there.get(name);
            let right = match ahead.contains(key) {
                true => here.is_none_or(|here| flag(here, "external")),
                false => ["external", "project", "definition_version"]
                    .into_iter()
                    .all(like),
            };
            if !right {
                return Err(format!("{key} is otherwise than it should be"));
            }
        }
        Ok(())
    }

    /// The reference's rows of pushed features, with the versions that they have after a sync.
    async fn records_synced(&self, step: &Json, found: &Answer) -> Outcome {
        let store = self.store(text(step, "store")?)?;
        let synced = store
            .sync_external(&SyncOptions::default())
            .await
            .map_err(shown)?;
        let mut rows = Vec::new();
        for row in opt_list(step, "expect") {
            let version = synced.graph.feature_version(text(row, "feature_key")?);
            let version = Json::from(version.map_err(shown)?);
            rows.push(with(row, [("metaxy_feature_version", version)]));
        }
        Answer::rows(golden(&rows)?).check(found)
    }
}

fn ok(found: &Outcome<Answer>) -> Outcome<&Answer> {
    found.as_ref().map_err(|error| format!("fails: {error}"))
}
