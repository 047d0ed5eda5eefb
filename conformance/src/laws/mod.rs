//! The laws of the algebra over random histories (`design.md`, "Laws"; `semantics.md` §4–§6).
//!
//! A history is a small random graph and what is done to a store over it: samples written, deleted, resolved and applied, definitions
//! changed, tables dropped. Each law is tried on some histories, each on a store of its own, and a model beside it that
//! shares no code with the store. A history that breaks a law is shrunk and shown with the seed that it comes from.
//!
//! | variable | meaning |
//! |---|---|
//! | `METAXY_LAWS_CASES` | how many histories each law is tried on |
//! | `METAXY_LAWS_SEED` | where they come from: a number, decimal or `0x…`, or `random`; otherwise always the same |

use std::collections::BTreeSet;

use indexmap::IndexMap;
use metaxy_store::store::{Counts, FeatureState, RebaseOptions, StatusOptions};
use metaxy_store::{ErrorKind, Expr, FeatureKey, ReadOptions, ResolveOptions, WriteOptions, col};

use crate::bed::TestBed;
use crate::cases::{cases, rebase, types};
use crate::outcome::{Outcome, Stop, check, check_eq, of, refused};

mod copies;
mod generate;
mod model;
mod run;
mod seen;
mod show;
mod translate;
mod world;

pub use run::{CASES as CASES_VARIABLE, SEED as SEED_VARIABLE};

use generate::{Operation, PARTS};
use model::{Id, Sample, Standing};
use run::{beside, for_all_histories, for_few_histories, seeds};
use seen::{Seen, SeenParts, same, without};
use world::World;

cases! {
    "laws": model_agrees, parts_are_disjoint_and_complete, applying_an_increment_empties_it, resolving_twice_is_the_same,
    id_filters_commute, unused_fields_change_nothing, row_order_batches_and_writes_do_not_matter,
    counts_are_the_sizes_of_the_parts, deletes_uncover_nothing, status_is_transitive, tables_survive_or_are_refused,
    rebases_hide_nothing, a_copy_twice_is_a_copy_once, stores_that_copy_in_turns_agree,
}

/// A delete, soft or hard, by whatever a row of the history says, makes no row visible that was not: what is read afterwards of any
/// feature version was read before, and of the version that it is about just what its condition chose is gone (§15).
pub async fn deletes_uncover_nothing(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let world = World::after(bed, name, history).await?;
            for feature in 0..history.graph.features.len() {
                if world.model.has_table(feature) {
                    world.delete_by_values(feature, history.pick).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// After each operation, the rows of each feature and each increment are those of the model: IDs, label, provenance, data
/// versions (§4, §5, §6).
pub async fn model_agrees(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let mut world = World::new(bed, name, &history.graph).await?;
            for (i, operation) in history.operations.iter().enumerate() {
                let after = |stop| at(stop, i + 1);
                world.play(operation).await.map_err(after)?;
                world.agree().await.map_err(after)?;
            }
            Ok(())
        })
    })
    .await
}

/// Each expected row is new, stale, or stored with the same provenance; each stored row that nothing expects is orphaned (§6).
pub async fn parts_are_disjoint_and_complete(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let world = World::after(bed, name, history).await?;
            for feature in world.dependents() {
                let all = ResolveOptions::default().with_skip_comparison(true);
                let all = world.resolve(feature, all).await?;
                let parts = world.resolve(feature, ResolveOptions::default()).await?;
                let (Some(all), Some(parts)) = (all, parts) else {
                    continue;
                };
                let stored = world.read(feature).await?;
                let by_parts = world.model.graph.identified_by_parts(feature);
                let waits = world.model.waits(feature);
                partition(&all, &parts, &stored, by_parts, waits)?;
            }
            Ok(())
        })
    })
    .await
}

/// Writing what is new and stale and deleting what is orphaned makes the next increment empty (§6).
pub async fn applying_an_increment_empties_it(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let mut world = World::after(bed, name, history).await?;
            for feature in world.dependents() {
                // All children of a parent are written again, or else the remaining ones would be orphaned next.
                world.apply(feature, PARTS, None).await?;
                let name = world.model.graph.features[feature].name;
                if let Some(parts) = world.resolve(feature, ResolveOptions::default()).await? {
                    parts.same(&SeenParts::default(), name)?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// Resolving again gives the same, and has changed nothing that is stored (§6).
pub async fn resolving_twice_is_the_same(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let world = World::after(bed, name, history).await?;
            let tables = world.store.backend().tables().await?;
            let before = world.rows().await?;
            let first = world.increments().await?;
            check_eq(
                world.increments().await?,
                first,
                "the increments of all features",
            )?;
            check_eq(world.rows().await?, before, "the rows of all features")?;
            check_eq(world.store.backend().tables().await?, tables, "the tables")
        })
    })
    .await
}

/// Resolving only some IDs gives the part of the increment that has these IDs, and a read the part of the rows (§6).
pub async fn id_filters_commute(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let world = World::after(bed, name, history).await?;
            let (filter, passes) = on_ids(history.pick);
            for feature in 0..history.graph.features.len() {
                let mut rows = world.read(feature).await?;
                rows.retain(|row| passes(row.id.x));
                let read = world.read_where(feature, vec![filter.clone()]).await?;
                same(
                    &read,
                    &rows,
                    &format!("{} where {filter}", history.graph.features[feature].name),
                )?;
            }
            for feature in world.dependents() {
                let name = history.graph.features[feature].name;
                let Some(mut parts) = world.resolve(feature, ResolveOptions::default()).await?
                else {
                    continue;
                };
                for rows in [&mut parts.new, &mut parts.stale, &mut parts.orphaned] {
                    rows.retain(|row| passes(row.id.x));
                }
                let global = ResolveOptions::default().with_global_filters([filter.clone()]);
                let mut each = ResolveOptions::default().with_target_filters([filter.clone()]);
                for dep in &history.graph.features[feature].deps {
                    each = each.with_filters(world.key(dep.upstream)?, [filter.clone()]);
                }
                for options in [global, each] {
                    if let Some(found) = world.resolve(feature, options).await? {
                        found.same(&parts, &format!("{name} where {filter}"))?;
                    }
                }
            }
            Ok(())
        })
    })
    .await
}

/// A field that no field of a feature depends on can change: the increment of that feature does not (§4).
pub async fn unused_fields_change_nothing(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let mut world = World::after(bed, name, history).await?;
            let graph = world.model.graph.clone();
            let uses = |dependent: usize, field: (usize, usize)| {
                let fields = 0..graph.features[dependent].fields.len();
                fields
                    .into_iter()
                    .any(|f| graph.parents(dependent, f).contains(&field))
            };
            let depends = |dependent: usize, upstream: usize| {
                graph.features[dependent]
                    .deps
                    .iter()
                    .any(|dep| dep.upstream == upstream)
            };
            // A field of an upstream that at least one dependent has no use for.
            let dependents = world.dependents();
            let fields = (0..graph.features.len()).flat_map(|upstream| {
                (0..graph.features[upstream].fields.len()).map(move |field| (upstream, field))
            });
            let unused = fields.filter(|field| {
                let spared = |d: &&usize| depends(**d, field.0) && !uses(**d, *field);
                world.model.has_table(field.0) && dependents.iter().any(|d| spared(&d))
            });
            let unused: Vec<(usize, usize)> = unused.collect();
            let Some(field) = unused.get(history.pick % unused.len().max(1)).copied() else {
                return Ok(());
            };
            let before = world.increments().await?;
            let changed = |versions: &[String]| -> Vec<String> {
                let mut versions = versions.to_vec();
                versions[field.1] = "changed".into();
                versions
            };
            let rows = world.model.read(field.0, false);
            let samples = rows.iter().map(|row| Sample {
                id: row.id,
                provenance: changed(&row.provenance.by_field),
                data: Some(changed(&row.data.by_field)),
            });
            let samples: Vec<Sample> = samples.collect();
            world.write(field.0, &samples, 1).await?;
            let after = world.increments().await?;
            for ((dependent, before), (_, after)) in before.into_iter().zip(after) {
                let name = graph.features[dependent].name;
                if dependent != field.0 && !uses(dependent, field) {
                    let (Some(before), Some(after)) = (before, after) else {
                        continue;
                    };
                    after.same(
                        &before,
                        &format!("{name}, after {} changed", graph.qualified(field)),
                    )?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// The same samples give the same rows and increments, in whatever order, in however many batches and writes they came (§5, §6).
pub async fn row_order_batches_and_writes_do_not_matter(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let source = World::after(bed, name, history).await?;
            let mut world = World::new(bed, &beside(name), &source.model.graph).await?;
            for feature in 0..history.graph.features.len() {
                if !source.model.has_table(feature) {
                    continue;
                }
                let rows = source.model.read(feature, false);
                let samples = rows.iter().map(|row| Sample {
                    id: row.id,
                    provenance: row.provenance.by_field.clone(),
                    data: Some(row.data.by_field.clone()),
                });
                let samples: Vec<Sample> = samples.collect();
                world
                    .write_scattered(feature, &samples, history.pick)
                    .await?;
            }
            check_eq(
                world.rows().await?,
                source.rows().await?,
                "the rows of all features",
            )?;
            // Of an expansion the children written last speak for their siblings, so the writes do matter.
            let expansion = |feature: usize| {
                let graph = &source.model.graph;
                graph.features[feature].parts && !graph.identified_by_parts(feature)
            };
            let found = world
                .increments()
                .await?
                .into_iter()
                .zip(source.increments().await?);
            for ((feature, found), (_, expected)) in found {
                // The copy has no rows of other versions, for which the source may wait.
                let spared = expansion(feature) || source.model.waits(feature);
                if let (false, Some(found), Some(expected)) = (spared, found, expected) {
                    found.same(&expected, source.model.graph.features[feature].name)?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// Under a version that rows were carried over to, what was stale is stale or new, and what was current is current (§15).
pub async fn rebases_hide_nothing(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let mut world = World::after(bed, name, history).await?;
            // What depends on others first: a new version of what is upstream would be one of theirs.
            for feature in world.dependents().into_iter().rev() {
                let of = &world.model.graph.features[feature];
                // The parts of an increment show parents.
                if of.parts && !world.model.graph.identified_by_parts(feature) {
                    continue;
                }
                let ids =
                    |rows: &[Seen]| -> BTreeSet<Id> { rows.iter().map(|row| row.id).collect() };
                let Some(before) = world.resolve(feature, ResolveOptions::default()).await? else {
                    continue;
                };
                let stored = world.read(feature).await?;
                if stored.is_empty() {
                    continue;
                }
                let key = world.key(feature)?;
                let rows = world.store.read(&key, ReadOptions::default()).await?;
                world.store.push_graph(None, &IndexMap::new()).await?;
                world
                    .play(&Operation::Redefine {
                        feature,
                        field: 0,
                        code: 9,
                    })
                    .await?;
                let rebased = world
                    .store
                    .rebase(&key, rows, RebaseOptions::default())
                    .await;
                let rebased = rebase::known_history(rebased)?;
                let keep = WriteOptions::default().with_preserve_feature_version(true);
                world.store.write_with(&key, rebased.rows, keep).await?;
                let Some(after) = world.resolve(feature, ResolveOptions::default()).await? else {
                    return Err(Stop::failed("what could be resolved cannot be"));
                };
                let (stale, orphaned) = (ids(&before.stale), ids(&before.orphaned));
                let to_do: BTreeSet<Id> =
                    ids(&after.new).union(&ids(&after.stale)).copied().collect();
                let about = |what: &str| format!("{what} of {key}, which was rebased");
                check(stale.is_subset(&to_do), about("a stale sample is hidden"))?;
                check(
                    ids(&after.stale).is_subset(&stale),
                    about("a sample became stale"),
                )?;
                check(
                    ids(&after.orphaned).is_subset(&orphaned),
                    about("a sample was orphaned"),
                )?;
                let mut current = ids(&stored);
                current.retain(|id| !stale.contains(id) && !orphaned.contains(id));
                check(
                    current.is_disjoint(&to_do),
                    about("a current sample was lost"),
                )?;
            }
            Ok(())
        })
    })
    .await
}

/// A feature is up to date only if nothing is to be done for it and for all that is upstream of it; it waits for just those
/// features in which something is to be done (§15).
pub async fn status_is_transitive(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let world = World::after(bed, name, history).await?;
            let features = 0..world.model.graph.features.len();
            let keys: Vec<FeatureKey> = features
                .map(|feature| world.key(feature))
                .collect::<Result<_, _>>()?;
            let all = StatusOptions::default;
            let mut survey = world.store.survey(keys.iter().cloned(), all());
            let mut up_to_date = BTreeSet::new();
            for (feature, key) in keys.iter().enumerate() {
                let status = survey.status(key).await?;
                let alone = world.store.status(key, all()).await?;
                check_eq(&alone, &status, format!("the status of {key} by itself"))?;
                let found = match status.state {
                    FeatureState::UpToDate => Standing::UpToDate,
                    FeatureState::NeedsWork => Standing::NeedsWork,
                    _ => Standing::Waits,
                };
                let standing = world.model.standing(feature);
                check_eq(found, standing, format!("how {key} stands"))?;
                let awaited: Vec<&FeatureKey> =
                    status.waits_for.iter().map(|a| &a.feature).collect();
                let expected = world.model.awaited(feature);
                let expected: Vec<&FeatureKey> = expected.iter().map(|at| &keys[*at]).collect();
                let sorted: BTreeSet<&FeatureKey> = awaited.iter().copied().collect();
                check_eq(
                    sorted,
                    expected.into_iter().collect(),
                    format!("what {key} waits for"),
                )?;
                if status.state != FeatureState::UpToDate {
                    continue;
                }
                up_to_date.insert(feature);
                let deps = &world.model.graph.features[feature].deps;
                for dep in deps.iter().filter(|dep| !dep.optional) {
                    check(
                        up_to_date.contains(&dep.upstream),
                        format!(
                            "{key} is up to date, its upstream {} not",
                            keys[dep.upstream]
                        ),
                    )?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// The columns of any table, of any type at any depth, are read and resolved as they were written, or refused by name (§5, contract).
pub async fn tables_survive_or_are_refused(bed: &TestBed) -> Outcome {
    types::random_tables_survive_or_are_refused(bed, seeds()?).await
}

/// What is only counted has the sizes of what is collected, of what is streamed, and of what the model has (§6).
pub async fn counts_are_the_sizes_of_the_parts(bed: &TestBed) -> Outcome {
    for_all_histories(bed, |bed, name, history| {
        Box::pin(async move {
            let world = World::after(bed, name, history).await?;
            for feature in world.dependents() {
                let key = world.key(feature)?;
                let lazy = || world.store.resolve_lazy(&key, ResolveOptions::default());
                let Some(parts) = world.model.increment(feature) else {
                    refused(lazy().await, ErrorKind::FeatureNotFound)?;
                    continue;
                };
                let expected = Counts {
                    new: parts.new.len() as u64,
                    stale: parts.stale.len() as u64,
                    orphaned: parts.orphaned.len() as u64,
                };
                check_eq(
                    lazy().await?.counts().await?,
                    expected,
                    format!("what was counted for {key}"),
                )?;
                check_eq(
                    lazy().await?.collect().await?.counts(),
                    expected,
                    format!("what was collected for {key}"),
                )?;
            }
            Ok(())
        })
    })
    .await
}

/// What is copied a second time adds no row, whichever rows are copied, and changes none (§15).
pub async fn a_copy_twice_is_a_copy_once(bed: &TestBed) -> Outcome {
    for_few_histories(bed, |bed, name, history| {
        Box::pin(copies::twice_is_once(bed, name, history))
    })
    .await
}

/// Two stores with histories of their own that copy from each other, however their writes and clocks went, have the same samples (§15).
pub async fn stores_that_copy_in_turns_agree(bed: &TestBed) -> Outcome {
    for_few_histories(bed, |bed, name, history| {
        Box::pin(copies::turns_agree(bed, name, history))
    })
    .await
}

/// Fails unless `parts` take `all` apart by what is stored. Nothing is orphaned while the feature `waits`.
fn partition(
    all: &SeenParts,
    parts: &SeenParts,
    stored: &[Seen],
    by_parts: bool,
    waits: bool,
) -> Outcome {
    check(
        all.stale.is_empty() && all.orphaned.is_empty(),
        "without comparison all is new",
    )?;
    let expected = |row: &Seen| Id {
        y: row.id.y.filter(|_| by_parts),
        ..row.id
    };
    let ids = |rows: &[Seen]| -> BTreeSet<Id> { rows.iter().map(expected).collect() };
    let (wanted, there) = (ids(&all.new), ids(stored));

    let unchanged = without(&without(&all.new, &parts.new), &parts.stale);
    let sum = parts.new.len() + parts.stale.len() + unchanged.len();
    check_eq(
        sum,
        all.new.len(),
        "new, stale and unchanged rows, of those expected",
    )?;
    check(
        ids(&parts.new).is_disjoint(&there),
        "a new sample is stored already",
    )?;
    check(
        ids(&parts.stale).is_subset(&there),
        "a stale sample is not stored",
    )?;
    for row in &unchanged {
        let agrees =
            |s: &&Seen| expected(s) == row.id && s.provenance.whole == row.provenance.whole;
        check(
            stored.iter().any(|s| agrees(&s)),
            format!("in no part, but not stored: {row}"),
        )?;
    }
    for row in &parts.stale {
        // Children of a parent that is stale may have its provenance, if they are not the last that were written.
        let alone = stored.iter().filter(|s| expected(s) == row.id).count() == 1;
        let agrees =
            |s: &&Seen| expected(s) == row.id && s.provenance.whole == row.provenance.whole;
        check(
            !alone || !stored.iter().any(|s| agrees(&s)),
            format!("stale, but as stored: {row}"),
        )?;
    }

    check(
        without(&parts.orphaned, stored).is_empty(),
        "an orphaned sample is not stored",
    )?;
    if waits {
        return check(parts.orphaned.is_empty(), "a sample is orphaned too early");
    }
    let unwanted: Vec<Seen> = stored
        .iter()
        .filter(|row| !wanted.contains(&expected(row)))
        .cloned()
        .collect();
    let rest = without(&parts.orphaned, &unwanted);
    check_eq(
        rest.len() + unwanted.len(),
        parts.orphaned.len(),
        "orphaned samples, of those that nothing expects",
    )?;
    // Children that their youngest siblings have superseded.
    let superseded = |row: &Seen| {
        stored
            .iter()
            .any(|s| expected(s) == expected(row) && s.provenance != row.provenance)
    };
    for row in &rest {
        check(superseded(row), format!("orphaned, but expected: {row}"))?;
    }
    Ok(())
}

/// A condition on `x`, as a filter and as what it means.
fn on_ids(pick: usize) -> (Expr, Box<dyn Fn(i64) -> bool + Send>) {
    let n = (pick % 5) as i64 + 1;
    match pick / 5 % 4 {
        0 => (col("x").le(n), Box::new(move |x| x <= n)),
        1 => (col("x").ne(n), Box::new(move |x| x != n)),
        2 => (
            col("x").is_in([n, n + 2]),
            Box::new(move |x| x == n || x == n + 2),
        ),
        _ => (
            !col("x").eq(n).or(col("x").gt(3)),
            Box::new(move |x| x != n && x <= 3),
        ),
    }
}

fn at(stop: Stop, operation: usize) -> Stop {
    of(stop, &format!("after operation {operation}"))
}
