//! Carrying rows over to another version of their feature without computing them anew (`semantics.md` §15).
//!
//! A row keeps the data versions that it was computed from: its new provenance is what the new definition makes of *those*, so what was
//! stale stays stale. Which they were is known in two ways. A row whose provenance is what its own definition makes of what is upstream
//! now is current, and becomes what the new definition makes of that. For others, upstream is read as it was when they were written.

mod frames;
mod then;

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;

use self::frames::{After, Before};
use self::then::{Decided, Expected, History, Known, Moment, Name};
use super::MetadataStore;
use super::versions::text;
use crate::clock::{LAST, Micros};
use crate::columns;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Frame, Rows};
use crate::graph::FeatureGraph;
use crate::graph::feature_plan::FeaturePlan;
use crate::key::FeatureKey;
use crate::plan::{JoinKind, Plan, Relation};
use crate::setters;
use crate::system::PushedFeature;

/// How many changes of what is upstream are looked back for the one that a row was computed from: it may have been written long after
/// it was resolved.
const LOOKED_BACK: usize = 64;

/// Where a rebase leads. The default is the feature as the graph defines it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RebaseOptions {
    /// The feature version to carry the rows over to: the current one, or one that was pushed to this store.
    pub to_feature_version: Option<String>,
}

impl RebaseOptions {
    setters! { options =>
        /// Carries the rows over to this feature version.
        with_to_feature_version(version: impl Into<String>) {
            options.to_feature_version = Some(version.into());
        }
    }
}

/// Rows carried over to another version of their feature.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rebased {
    /// The rows, to be written with [`preserve_feature_version`](super::WriteOptions::preserve_feature_version).
    pub rows: Rows,
    /// What they are.
    pub counts: RebaseCounts,
}

/// What the rows of a rebase are, under their own version and then under the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RebaseCounts {
    /// Rows that were computed from what is upstream now.
    pub current: u64,
    /// Rows whose upstream has changed since.
    pub stale: u64,
    /// Rows whose upstream is gone.
    pub orphaned: u64,
    /// Rows that are not carried over: what they were computed from is not stored any more. Children of an expansion, too, that are older
    /// than others of their parent and of another provenance.
    pub left_out: u64,
}

impl RebaseCounts {
    /// How many rows are carried over.
    #[must_use]
    pub fn carried(self) -> u64 {
        self.current + self.stale + self.orphaned
    }

    fn add(&mut self, others: Self) {
        self.current += others.current;
        self.stale += others.stale;
        self.orphaned += others.orphaned;
        self.left_out += others.left_out;
    }
}

impl MetadataStore {
    /// The rows of a feature as rows of another version of it, with the provenance that this version gives to the data versions that
    /// they were computed from: what was stale stays stale, what was orphaned stays orphaned.
    ///
    /// `rows` are those of some version, as a [`read`](Self::read) gives them; they are held in memory. Each stays one row, and children
    /// of an expansion get the provenance of their parent. Rows of which nothing tells any more what they were computed from are left
    /// out, and counted. Data versions that are the same as the old provenance become null (a write fills them in), those set by the user
    /// stay. Feature and project version are those of the target: write the result with
    /// [`preserve_feature_version`](super::WriteOptions::preserve_feature_version).
    ///
    /// Of an upstream whose version is another as well, only rows that existed when a row was created count as those that it was computed from,
    /// such as rows that were carried over; where they were computed anew the row becomes stale, with what the new definition makes of the
    /// rows of the old version. So carry over what is upstream first.
    ///
    /// Where the old version is that of this graph or of one that was pushed to this store, a row is known to be current by its provenance.
    /// Where it is not, a row counts as computed from what was upstream when it was created.
    ///
    /// A target that is not the current version is looked up among the graphs pushed to this store, the newest that has it; features
    /// of other projects that it needs are taken as they were pushed then. Upstream rows come from the whole chain.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a root feature, and for a version that was never pushed; [`ErrorKind::InvalidFrame`] if a column
    /// that identifies the samples, a version column or `metaxy_updated_at` is missing; [`ErrorKind::Unsupported`] if upstream has changed
    /// and its store cannot be read as it was; those of [`resolve_update`](Self::resolve_update).
    pub async fn rebase(
        &self,
        feature: &FeatureKey,
        rows: impl Into<Frame> + Send,
        options: RebaseOptions,
    ) -> Result<Rebased> {
        let rebased = self.rebase_to(feature, rows.into(), &options).await;
        rebased.map_err(|e| self.about(e, feature))
    }

    async fn rebase_to(
        &self,
        feature: &FeatureKey,
        rows: Frame,
        options: &RebaseOptions,
    ) -> Result<Rebased> {
        if self.plan(feature)?.is_root() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("feature {feature} has no upstream, so its rows cannot be rebased"),
            )
            .with_hint("its provenance is the user's: write the samples anew"));
        }
        let target = self.target(feature, options).await?;
        let store = self.with_graph(target.graph.clone());
        let plan = store.plan(feature)?;
        if plan.is_root() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "feature {feature} has no upstream in version {}, so no rows can be rebased to it",
                    target.feature_version
                ),
            ));
        }
        let before = Before::new(&plan, rows.schema())?;
        let after = After::new(
            &plan,
            before.schema(),
            target.feature_version.clone(),
            target.project_version.clone(),
        );
        let mut history = History::default();
        let mut waiting = HashSet::new();
        for dep in &plan.deps {
            let upstream = &dep.dep.feature;
            let owner = self.answering(upstream).await?;
            history.add(upstream, owner.times_of_writes(upstream).await?);
            let (owner, version) = (
                store.answering(upstream).await?,
                store.graph.feature_version(upstream)?,
            );
            if !owner.holds_version(upstream, version).await? {
                waiting.insert(upstream.clone());
            }
        }
        let rows = rows.collect().await?;
        let all = rows.num_rows();
        let rows = match plan.spec().id_columns().len() > plan.identity_columns.len() {
            true => frames::last_of_each(&rows, &plan.identity_columns)?,
            false => rows,
        };
        let mut groups = Groups::of(&rows, &history)?;
        let mut rebase = Rebase {
            feature,
            store: &store,
            plan,
            target: &target,
            history,
            waiting,
            definitions: HashMap::new(),
            before,
            after,
            counts: RebaseCounts {
                left_out: (all - rows.num_rows()) as u64,
                ..RebaseCounts::default()
            },
        };
        let mut carried = Vec::new();
        // From the newest state to the oldest: what was not computed from one may be from the one before it.
        while let Some((group, rows)) = groups.0.pop_last() {
            let unknown = rebase.carry(self, &group, rows, &mut carried).await?;
            match group.earlier() {
                Some(earlier) => groups.add(earlier, unknown),
                None => rebase.counts.left_out += rows_of(&unknown),
            }
        }
        Ok(Rebased {
            rows: Rows::new(rebase.after.schema().clone(), carried),
            counts: rebase.counts,
        })
    }

    async fn target(&self, feature: &FeatureKey, options: &RebaseOptions) -> Result<Target> {
        match options.to_feature_version.as_deref() {
            None => self.current_target(feature),
            Some(version) => match self.target_of(feature, version).await? {
                Found::Target(target) => Ok(target),
                Found::Never => Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "version {version:?} of feature {feature} was never pushed to store {:?}",
                        self.name()
                    ),
                )
                .with_hint("push the graph that has it to this store, or name another version")),
                Found::Other { project, version: other } => Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "the graph of project {project:?} that was pushed with version {version:?} of feature {feature} gives it {other:?} now"
                    ),
                )
                .with_hint(
                    "push the other projects that the feature depends on, as they were then, and the project again",
                )),
            },
        }
    }

    fn current_target(&self, feature: &FeatureKey) -> Result<Target> {
        Ok(Target {
            feature_version: self.graph.feature_version(feature)?.to_owned(),
            project_version: self
                .project_version(self.graph.require(feature)?)
                .to_owned(),
            graph: self.graph.clone(),
        })
    }

    /// The graph at hand if it gives the feature this version, otherwise the newest pushed one in which the feature has it.
    async fn target_of(&self, feature: &FeatureKey, version: &str) -> Result<Found> {
        if self.graph.feature_version(feature)? == version {
            return Ok(Found::Target(self.current_target(feature)?));
        }
        let history = self.pushed_features().await?;
        let has_it =
            |row: &&PushedFeature| row.feature_key == *feature && row.feature_version == version;
        let Some(row) = history.iter().rfind(has_it) else {
            return Ok(Found::Never);
        };
        let mut came_out = String::new();
        // Foreign features as they were when the graph was pushed; or as they are now, if they were pushed after it.
        for until in [row.recorded_at, i64::MAX] {
            let graph = self.pushed_graph(&history, row, until).await?;
            let computed = graph.feature_version(feature)?;
            if computed == version {
                return Ok(Found::Target(Target {
                    feature_version: version.to_owned(),
                    project_version: row.project_version.clone(),
                    graph,
                }));
            }
            came_out = computed.to_owned();
        }
        Ok(Found::Other {
            project: row.project.clone(),
            version: came_out,
        })
    }
}

/// A graph that was looked for.
enum Found {
    Target(Target),
    /// None has the version.
    Never,
    /// The graph of this project had it, and comes to another one now.
    Other {
        project: String,
        version: String,
    },
}

/// The version that rows are carried over to, and the graph that has it.
struct Target {
    feature_version: String,
    project_version: String,
    graph: FeatureGraph,
}

/// Rows of one version that were written while what is upstream was in one state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// How many changes of what is upstream came before.
    state: usize,
    /// How many states they were looked for in.
    looked: usize,
    version: Option<String>,
}

impl Group {
    fn earlier(&self) -> Option<Self> {
        let looked = self.looked + 1;
        (self.state > 1 && looked < LOOKED_BACK).then(|| Self {
            state: self.state - 1,
            looked,
            version: self.version.clone(),
        })
    }
}

struct Groups(BTreeMap<Group, Vec<RecordBatch>>);

impl Groups {
    fn add(&mut self, group: Group, rows: Vec<RecordBatch>) {
        if !rows.is_empty() {
            self.0.entry(group).or_default().extend(rows);
        }
    }

    fn of(rows: &Rows, history: &History) -> Result<Self> {
        let mut groups = Self(BTreeMap::new());
        for batch in rows.batches() {
            let versions = text(column(batch, columns::FEATURE_VERSION)?)?;
            let versions = versions.as_string::<i32>();
            let times = |name| {
                let array = column(batch, name).ok()?;
                array.as_primitive_opt::<TimestampMicrosecondType>()
            };
            // What was carried over before was computed when it was created.
            let created = times(columns::CREATED_AT);
            let updated = times(columns::UPDATED_AT).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidFrame,
                    format!("{:?} is no time in microseconds", columns::UPDATED_AT),
                )
                .with_hint("rebase rows as a read with all columns gives them")
            })?;
            let mut of_group: BTreeMap<Group, Vec<u64>> = BTreeMap::new();
            for row in 0..batch.num_rows() {
                let at = |times: &TimestampMicrosecondArray| {
                    times.is_valid(row).then(|| times.value(row))
                };
                let (updated, created) = (at(updated), created.and_then(at));
                let written = updated.into_iter().chain(created).min();
                let group = Group {
                    state: history.state(written.unwrap_or(Micros::MAX)),
                    looked: 0,
                    version: versions
                        .is_valid(row)
                        .then(|| versions.value(row).to_owned()),
                };
                of_group.entry(group).or_default().push(row as u64);
            }
            for (group, rows) in of_group {
                let rows = take_record_batch(batch, &UInt64Array::from(rows))?;
                groups.add(group, vec![rows]);
            }
        }
        Ok(groups)
    }
}

/// What is the same for all rows.
struct Rebase<'r> {
    feature: &'r FeatureKey,
    /// With the graph of the target.
    store: &'r MetadataStore,
    plan: FeaturePlan,
    target: &'r Target,
    history: History,
    /// The upstreams without a row of the version that the target reads.
    waiting: HashSet<FeatureKey>,
    /// The graphs of the versions that rows have, where they are known and identify the same samples.
    definitions: HashMap<String, Option<MetadataStore>>,
    before: Before,
    after: After,
    counts: RebaseCounts,
}

impl Rebase<'_> {
    /// The store with the graph that made rows of this version.
    async fn definition(
        &mut self,
        here: &MetadataStore,
        version: &str,
    ) -> Result<Option<MetadataStore>> {
        if let Some(known) = self.definitions.get(version) {
            return Ok(known.clone());
        }
        let graph = match version == self.target.feature_version {
            true => Some(self.target.graph.clone()),
            false => match here.target_of(self.feature, version).await? {
                Found::Target(found) => Some(found.graph),
                Found::Never | Found::Other { .. } => None,
            },
        };
        let store = graph.map(|graph| here.with_graph(graph));
        let known = store.filter(|store| {
            store.plan(self.feature).is_ok_and(|plan| {
                !plan.is_root() && plan.identity_columns == self.plan.identity_columns
            })
        });
        self.definitions.insert(version.to_owned(), known.clone());
        Ok(known)
    }

    /// Adds the rows that can be carried over, and gives those that were computed from an earlier state of what is upstream.
    async fn carry(
        &mut self,
        here: &MetadataStore,
        group: &Group,
        rows: Vec<RecordBatch>,
        carried: &mut Vec<RecordBatch>,
    ) -> Result<Vec<RecordBatch>> {
        let old = match &group.version {
            Some(version) => self.definition(here, version).await?,
            None => None,
        };
        let (new, feature) = (self.store, self.feature);
        // The versions of what is upstream that the rows were computed from.
        let mut versions = HashMap::new();
        let mut same = true;
        for dep in &self.plan.deps {
            let upstream = &dep.dep.feature;
            let now = new.graph.feature_version(upstream)?;
            let version = match &old {
                Some(old) => old.graph.feature_version(upstream).ok(),
                None => self.history.version(upstream, group.state),
            };
            let version = version.unwrap_or(now);
            same &= version == now;
            versions.insert(upstream.clone(), version.to_owned());
        }
        let then = self.history.moment(group.state);
        // Of upstreams that wait, what the new definition reads is not there yet.
        let mut carried_versions = versions.clone();
        carried_versions.retain(|upstream, _| self.waiting.contains(upstream));
        let own_versions = &versions;
        let end = self.history.end(group.state).unwrap_or(LAST);
        let mut wanted = vec![(Name::New, new, None, Moment::Now)];
        if !same {
            wanted.push((Name::Carried, new, Some(&carried_versions), Moment::Now));
            wanted.push((Name::Now, new, Some(&versions), Moment::Now));
        }
        if let Moment::At(_) = then {
            wanted.push((Name::Then, new, Some(&versions), then));
        }
        if let Some(old) = &old {
            wanted.push((Name::OldNow, old, Some(&versions), Moment::Now));
            if let Moment::At(_) = then {
                wanted.push((Name::OldThen, old, Some(&versions), then));
            }
        }
        let known = Known {
            old: old.is_some(),
            same,
            settled: self.waiting.is_empty(),
            then,
        };

        let mut unknown = Vec::new();
        for rows in portions(&rows)? {
            let reset = self.before.apply(&rows)?;
            // The rows keep the types that their IDs have.
            let ids = self.plan.identity_columns.clone();
            let types = ids.iter().map(|id| {
                let field = reset.schema_ref().field_with_name(id)?;
                Ok((id.clone(), field.data_type().clone()))
            });
            let types = types.collect::<Result<Vec<_>>>()?;
            let mut frames = vec![Frame::from(reset)];
            let mut relation = Relation::frame(0, frames[0].schema().clone());
            for (name, store, versions, moment) in &wanted {
                let expected = Expected {
                    feature,
                    store,
                    versions: *versions,
                    moment: *moment,
                    created: (*name == Name::Carried).then_some((own_versions, end)),
                };
                let expected = expected.relation(*name, &mut frames).await?;
                relation = relation.join(expected, ids.clone(), JoinKind::Left)?;
            }
            let relation = relation.converted(&types)?;
            let plan = Plan { relation, frames };
            let joined = here.inner.backend.query(plan).await?.collect().await?;
            let mut numbers = Vec::new();
            for batch in joined.batches() {
                let decided = Decided::of(batch, &known)?;
                self.counts.add(decided.counts);
                if !decided.rows.is_empty() {
                    carried.push(self.after.apply(batch, &decided)?);
                }
                numbers.extend(decided.unknown);
            }
            if !numbers.is_empty() {
                unknown.push(take_record_batch(&rows, &UInt64Array::from(numbers))?);
            }
        }
        Ok(unknown)
    }
}

/// Rows that are joined at a time: what is upstream is computed for each of them.
const PORTION: usize = 1 << 18;

/// The rows in few batches.
fn portions(rows: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let mut portions = Vec::new();
    let mut portion: Vec<&RecordBatch> = Vec::new();
    for (at, batch) in rows.iter().enumerate() {
        portion.push(batch);
        let size: usize = portion.iter().map(|batch| batch.num_rows()).sum();
        if size >= PORTION || at + 1 == rows.len() {
            portions.push(concat_batches(first.schema_ref(), portion.drain(..))?);
        }
    }
    Ok(portions)
}

fn rows_of(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidFrame,
            format!("the rows that are to be rebased have no column {name:?}"),
        )
        .with_hint("rebase rows as a read with all columns gives them")
    })
}
