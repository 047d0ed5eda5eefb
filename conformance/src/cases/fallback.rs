//! Chains of stores (`semantics.md` §7).

use metaxy_store::backend::Access;
use metaxy_store::config::{ConfigLoader, Environment, FallbackBy};
use metaxy_store::spec::Lineage;
use metaxy_store::store::{StatusCategory, StatusOptions};
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureDefinition, FeatureDep, FeatureGraph, FeatureSpec,
    HashAlgorithm, MetadataStore, ReadOptions, ResolveOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{ints, read, samples, stored, with_column};
use crate::bed::graphs::{feature, graph, key, pair, pair_of};
use crate::bed::increments::{compute, resolve, resolve_with};
use crate::bed::observed::Observed;
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "fallback":
    reads_the_first_store_that_has_rows,
    never_mixes_rows_of_two_stores,
    searches_depth_first,
    is_hidden_by_rows_of_another_version,
    is_hidden_by_soft_deletes,
    is_not_hidden_by_a_table_without_rows,
    is_never_written_to,
    compares_with_local_samples_only,
    compares_with_the_chain_where_asked,
    compares_expansions_with_the_chain,
    is_not_hidden_by_rows_of_another_version_where_asked,
    tells_of_which_store_the_numbers_are,
    shows_what_was_pushed_to_the_chain,
    joins_upstreams_of_several_stores,
    refuses_a_soft_delete_of_what_is_elsewhere,
    tells_which_store_has_a_feature,
    refuses_another_algorithm_at_any_depth,
    refuses_another_truncation_length,
    refuses_a_cycle,
    is_opened_when_needed,
}

/// A store of the case over others.
async fn over(
    bed: &TestBed,
    name: &str,
    graph: FeatureGraph,
    fallbacks: &[&MetadataStore],
) -> Outcome<MetadataStore> {
    let mut builder = bed.builder(name).await?.with_graph(graph);
    for fallback in fallbacks {
        builder = builder.with_fallback((*fallback).clone());
    }
    Ok(builder.build()?)
}

/// `dev` over `prod`, both over [`pair`].
async fn two(bed: &TestBed) -> Outcome<[MetadataStore; 2]> {
    let prod = over(bed, "prod", pair()?, &[]).await?;
    let dev = over(bed, "dev", pair()?, &[&prod]).await?;
    Ok([dev, prod])
}

async fn ids(store: &MetadataStore, feature: &str) -> Outcome<Vec<i64>> {
    read(store, feature, ReadOptions::default()).await?.ids()
}

/// A feature is read from the first store of the chain that has rows of it (§7).
pub async fn reads_the_first_store_that_has_rows(bed: &TestBed) -> Outcome {
    let far = over(bed, "far", pair()?, &[]).await?;
    let near = over(bed, "near", pair()?, &[]).await?;
    let dev = over(bed, "dev", pair()?, &[&near, &far]).await?;
    let a = key("a")?;
    let missing = refused(
        dev.read(&a, ReadOptions::default()).await,
        ErrorKind::FeatureNotFound,
    )?;
    names(&missing, &["feature a", "dev"])?;
    far.write(&a, samples(&[(1, "x")])?).await?;
    check_eq(ids(&dev, "a").await?, [1], "rows of the second fallback")?;
    near.write(&a, samples(&[(2, "x")])?).await?;
    check_eq(ids(&dev, "a").await?, [2], "rows of the first fallback")?;
    dev.write(&a, samples(&[(3, "x")])?).await?;
    check_eq(ids(&dev, "a").await?, [3], "rows of the store itself")
}

/// Samples that only another store of the chain has are not added, not even to a history (§7).
pub async fn never_mixes_rows_of_two_stores(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let a = key("a")?;
    prod.write(&a, samples(&[(1, "old"), (2, "old")])?).await?;
    dev.write(&a, samples(&[(2, "new"), (3, "new")])?).await?;
    let all = ReadOptions::default()
        .with_sample_history(true)
        .with_feature_history(true);
    for options in [ReadOptions::default(), all] {
        let rows = read(&dev, "a", options).await?;
        check_eq(rows.ids()?, [2, 3], "the samples")?;
        let versions = rows.words("metaxy_provenance_by_field.default")?;
        check_eq(versions, ["new", "new"], "their versions")?;
    }
    Ok(())
}

/// In a chain of any depth the first fallback is asked with all that it falls back to, then the second (§7).
pub async fn searches_depth_first(bed: &TestBed) -> Outcome {
    let deep = over(bed, "deep", pair()?, &[]).await?;
    let near = over(bed, "near", pair()?, &[&deep]).await?;
    let other = over(bed, "other", pair()?, &[]).await?;
    let dev = over(bed, "dev", pair()?, &[&near, &other]).await?;
    let a = key("a")?;
    other.write(&a, samples(&[(2, "x")])?).await?;
    check_eq(ids(&dev, "a").await?, [2], "rows of the second fallback")?;
    deep.write(&a, samples(&[(1, "x")])?).await?;
    let (_, owner) = dev.read_with_store(&a, ReadOptions::default()).await?;
    check_eq(owner.name(), "deep", "who had it")?;
    check_eq(ids(&dev, "a").await?, [1], "rows below the first fallback")
}

/// A local table whose rows are all of another feature version hides the fallback (§7, §10 (60)).
pub async fn is_hidden_by_rows_of_another_version(bed: &TestBed) -> Outcome {
    let prod = over(bed, "prod", pair()?, &[]).await?;
    let dev = over(bed, "dev", pair_of("2", "1")?, &[&prod]).await?;
    let a = key("a")?;
    dev.write(&a, samples(&[(2, "x")])?).await?;
    let dev = dev.with_graph(pair()?);
    prod.write(&a, samples(&[(1, "x")])?).await?;
    check_eq(ids(&dev, "a").await?.len(), 0, "samples of this version")?;
    let owner = dev.find_store(&a).await?;
    check_eq(owner.as_ref().map(MetadataStore::name), Some("dev"), "who")
}

/// Samples that were deleted softly here stay deleted: the fallback does not bring them back (§7, §10 (60)).
pub async fn is_hidden_by_soft_deletes(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let a = key("a")?;
    prod.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    dev.write(&a, samples(&[(1, "x")])?).await?;
    check_eq(dev.delete(&a, DeleteOptions::soft()).await?, 1, "deleted")?;
    check_eq(ids(&dev, "a").await?.len(), 0, "samples that are left")
}

/// A table that was emptied, dropped, or never had a row does not hide the fallback (§7, §10 (60)).
pub async fn is_not_hidden_by_a_table_without_rows(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let a = key("a")?;
    prod.write(&a, samples(&[(1, "x")])?).await?;
    dev.write(&a, samples(&[])?).await?;
    check_eq(ids(&dev, "a").await?, [1], "after a write of no rows")?;
    dev.write(&a, samples(&[(2, "x")])?).await?;
    check_eq(ids(&dev, "a").await?, [2], "with a row")?;
    if dev.capabilities().hard_delete {
        check_eq(dev.delete(&a, DeleteOptions::hard()).await?, 1, "removed")?;
        check_eq(ids(&dev, "a").await?, [1], "after all rows were removed")?;
        dev.write(&a, samples(&[(2, "x")])?).await?;
    }
    check(dev.drop_feature(&a).await?, "there was a table")?;
    check_eq(ids(&dev, "a").await?, [1], "after the table was dropped")
}

/// Writes, deletes and drops change the store itself only (§7).
pub async fn is_never_written_to(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let a = key("a")?;
    prod.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    compute(&prod, "b").await?;
    let tables = prod.backend().tables().await?;
    let before = [stored(&prod, "a").await?, stored(&prod, "b").await?];

    compute(&dev, "b").await?;
    dev.write(&a, samples(&[(1, "y"), (3, "y")])?).await?;
    compute(&dev, "b").await?;
    let one = || [col("id").eq(1)];
    let soft = DeleteOptions::soft().with_filters(one());
    check_eq(dev.delete(&a, soft).await?, 1, "deleted softly")?;
    if dev.capabilities().hard_delete {
        let hard = || DeleteOptions::hard().with_filters(one());
        check_eq(dev.delete(&a, hard()).await?, 2, "rows removed")?;
        dev.drop_feature(&a).await?;
        check_eq(dev.delete(&a, hard()).await?, 0, "rows that are elsewhere")?;
    }
    dev.drop_feature(&a).await?;
    check(!dev.drop_feature(&a).await?, "nothing is left to drop")?;

    let after = [stored(&prod, "a").await?, stored(&prod, "b").await?];
    check_eq(after, before, "the rows of the fallback")?;
    check_eq(prod.backend().tables().await?, tables, "its tables")
}

/// A resolve reads upstream through the chain, but what a fallback has of the feature itself does not count (§6, §7).
pub async fn compares_with_local_samples_only(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let a = key("a")?;
    prod.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    compute(&prod, "b").await?;
    resolve(&prod, "b").await?.nothing()?;
    resolve(&dev, "b").await?.are(&[1, 2], &[], &[])?;
    compute(&dev, "b").await?;
    resolve(&dev, "b").await?.nothing()?;
    prod.write(&a, samples(&[(1, "y"), (3, "y")])?).await?;
    resolve(&dev, "b").await?.are(&[3], &[1], &[])?;
    // Now the upstream is local.
    dev.write(&a, samples(&[(1, "x")])?).await?;
    resolve(&dev, "b").await?.are(&[], &[], &[2])
}

/// Where a store or a resolve asks for it, the stored side is what the chain has of the feature: only what differs from it is new, stale
/// or orphaned, in rows and in numbers (§15). As soon as the store has rows itself, they count (§7).
pub async fn compares_with_the_chain_where_asked(bed: &TestBed) -> Outcome {
    let prod = over(bed, "prod", pair()?, &[]).await?;
    let builder = bed.builder("dev").await?.with_graph(pair()?);
    let asking = builder.with_fallback(prod.clone());
    let dev = asking.with_compare_with_fallback(true).build()?;
    let plain = over(bed, "dev", pair()?, &[&prod]).await?;
    let (a, b) = (key("a")?, key("b")?);
    let chain = |with: bool| ResolveOptions::default().with_compare_with_fallback(with);
    prod.write(&a, samples(&[(1, "x"), (2, "x"), (3, "x")])?)
        .await?;
    compute(&prod, "b").await?;
    resolve(&dev, "b").await?.nothing()?;
    prod.write(&a, samples(&[(2, "y"), (4, "y")])?).await?;
    let three = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    prod.delete(&a, three).await?;
    let before = [stored(&prod, "a").await?, stored(&prod, "b").await?];
    let there = resolve(&prod, "b").await?;
    there.are(&[4], &[2], &[3])?;
    for (store, options) in [(&dev, ResolveOptions::default()), (&plain, chain(true))] {
        let here = resolve_with(store, "b", options).await?;
        here.are(&[4], &[2], &[3])?;
        let version = "metaxy_provenance";
        check_eq(
            here.stale.words(version)?,
            there.stale.words(version)?,
            version,
        )?;
        check_eq(
            here.orphaned.words(version)?,
            there.orphaned.words(version)?,
            version,
        )?;
    }
    for (store, options) in [(&plain, ResolveOptions::default()), (&dev, chain(false))] {
        resolve_with(store, "b", options)
            .await?
            .are(&[1, 2, 4], &[], &[])?;
    }
    // Filters and predicates see those rows.
    let one = chain(true).with_target_filters([col("id").eq(1)]);
    resolve_with(&plain, "b", one)
        .await?
        .are(&[2, 4], &[], &[])?;
    let old = chain(true).with_staleness_predicates([col("id").eq(1)]);
    resolve_with(&plain, "b", old)
        .await?
        .are(&[4], &[1, 2], &[3])?;
    let counts = dev.resolve_lazy(&b, ResolveOptions::default()).await?;
    check_eq(counts.compared_with(), "prod", "what was compared with")?;
    let counts = counts.sample_counts().await?;
    check_eq(
        (counts.new, counts.stale, counts.orphaned),
        (1, 1, 1),
        "samples",
    )?;
    let progress = dev.progress(&b, ResolveOptions::default()).await?;
    check_eq(
        progress,
        prod.progress(&b, ResolveOptions::default()).await?,
        "progress",
    )?;

    // Orphans of another store cannot be deleted here; nothing is written there.
    let orphaned = dev
        .resolve_update(&b, ResolveOptions::default())
        .await?
        .orphaned;
    let error = refused(
        dev.delete_rows(&b, orphaned).await,
        ErrorKind::FeatureNotFound,
    )?;
    names(&error, &["feature: b", "prod", "dev"])?;
    let after = [stored(&prod, "a").await?, stored(&prod, "b").await?];
    check_eq(after, before, "the rows of the fallback")?;
    // Rows of two stores are never mixed.
    let todo = dev.resolve_update(&b, ResolveOptions::default()).await?;
    dev.write(&b, todo.new_and_stale()).await?;
    let rest = dev.resolve_lazy(&b, ResolveOptions::default()).await?;
    check_eq(rest.compared_with(), "dev", "what is compared with now")?;
    resolve(&dev, "b").await?.are(&[1], &[], &[])
}

/// Children of an expansion that the chain has are compared as those of the store itself (§6, §15).
pub async fn compares_expansions_with_the_chain(bed: &TestBed) -> Outcome {
    let expanded = || {
        let dep = FeatureDep::new("a")?.with_lineage(Lineage::expansion(["id"]));
        let child = FeatureSpec::new("child", ["id", "part"])?.with_dep(dep);
        graph([feature("a", &["default"], &[])?, child])
    };
    let prod = over(bed, "prod", expanded()?, &[]).await?;
    let dev = bed.builder("dev").await?.with_graph(expanded()?);
    let dev = dev.with_fallback(prod.clone());
    let dev = dev.with_compare_with_fallback(true).build()?;
    let (a, child) = (key("a")?, key("child")?);
    prod.write(&a, samples(&[(1, "x"), (2, "x"), (3, "x")])?)
        .await?;
    let todo = prod
        .resolve_update(&child, ResolveOptions::default())
        .await?;
    let todo = todo.new.to_batch()?;
    for part in [1, 2] {
        let parts = ints((0..todo.num_rows()).map(|_| part));
        prod.write(&child, with_column(&todo, "part", parts)?)
            .await?;
    }
    prod.write(&a, samples(&[(2, "y"), (4, "y")])?).await?;
    let three = DeleteOptions::soft().with_filters([col("id").eq(3)]);
    prod.delete(&a, three).await?;
    let [here, there] = [&dev, &prod].map(|store| resolve(store, "child"));
    let (here, there) = (here.await?, there.await?);
    for (part, of) in [(&here.new, &there.new), (&here.stale, &there.stale)] {
        let columns = ["id", "metaxy_provenance"];
        check_eq(part.lines(&columns)?, of.lines(&columns)?, "expected rows")?;
    }
    let columns = ["id", "part", "metaxy_provenance"];
    let (found, expected) = (
        here.orphaned.lines(&columns)?,
        there.orphaned.lines(&columns)?,
    );
    check_eq(found, expected, "orphaned rows")?;
    check(!there.orphaned.is_empty(), "there are orphans")
}

/// Where a store falls back by version, its rows of other versions hide nothing, in reads and upstream (§15); those of this
/// version do, and so do tombstones. If nobody has the version, the store answers as it does otherwise.
pub async fn is_not_hidden_by_rows_of_another_version_where_asked(bed: &TestBed) -> Outcome {
    let far = over(bed, "far", pair()?, &[]).await?;
    let prod = over(bed, "prod", pair()?, &[&far]).await?;
    let builder = bed.builder("dev").await?.with_graph(pair()?);
    let builder = builder.with_fallback(prod.clone());
    let dev = builder.with_fallback_by(FallbackBy::Version).build()?;
    let a = key("a")?;
    let other = dev.with_graph(pair_of("2", "1")?);
    let who = async |store: &MetadataStore| -> Outcome<Option<String>> {
        let owner = store.find_store(&key("a")?).await?;
        Ok(owner.map(|owner| owner.name().to_owned()))
    };
    other.write(&a, samples(&[(9, "x")])?).await?;
    check_eq(
        who(&dev).await?.as_deref(),
        Some("dev"),
        "who, if nobody has it",
    )?;
    check_eq(ids(&dev, "a").await?.len(), 0, "samples of this version")?;
    // Rows of another version in the middle of the chain hide nothing, either.
    prod.with_graph(pair_of("3", "1")?)
        .write(&a, samples(&[(8, "x")])?)
        .await?;
    check_eq(
        who(&dev).await?.as_deref(),
        Some("dev"),
        "who, if nobody has it",
    )?;
    far.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    check_eq(
        who(&dev).await?.as_deref(),
        Some("far"),
        "who has this version",
    )?;
    check_eq(
        who(&other).await?.as_deref(),
        Some("dev"),
        "who has the other",
    )?;
    check_eq(ids(&dev, "a").await?, [1, 2], "samples of this version")?;
    check_eq(ids(&other, "a").await?, [9], "samples of the other")?;
    resolve(&dev, "b").await?.are(&[1, 2], &[], &[])?;
    let version = far.graph().feature_version("a")?.to_owned();
    let by_name = ReadOptions::default().with_feature_history(true);
    let by_name = by_name.with_feature_version(version);
    check_eq(
        read(&other, "a", by_name).await?.ids()?,
        [1, 2],
        "by its name",
    )?;
    let all = ReadOptions::default().with_feature_history(true);
    check_eq(read(&dev, "a", all).await?.ids()?, [9], "all versions")?;
    dev.write(&a, samples(&[(3, "x")])?).await?;
    check_eq(
        ids(&dev, "a").await?,
        [3],
        "with an own row of this version",
    )?;
    check_eq(dev.delete(&a, DeleteOptions::soft()).await?, 1, "deleted")?;
    check_eq(ids(&dev, "a").await?.len(), 0, "samples that are left")
}

/// A status says whose samples it counts and with whose it compares (§15).
pub async fn tells_of_which_store_the_numbers_are(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let b = key("b")?;
    prod.write(&key("a")?, samples(&[(1, "x"), (2, "x")])?)
        .await?;
    compute(&prod, "b").await?;
    let asked = |chain: Option<bool>, fallback: bool| {
        let mut options = StatusOptions::default().with_use_fallback(fallback);
        options.compare_with_fallback = chain;
        options
    };
    for (options, samples, new, store, compared) in [
        (asked(None, true), 2, 2, Some("prod"), "dev"),
        (asked(Some(true), true), 2, 0, Some("prod"), "prod"),
        (asked(Some(false), true), 2, 2, Some("prod"), "dev"),
        (asked(Some(true), false), 0, 2, None, "dev"),
    ] {
        let status = dev.status(&b, options.clone()).await?;
        let what = |what| format!("{what} with {options:?}");
        check_eq(status.samples, samples, what("samples"))?;
        check_eq(
            status.counts.map(|counts| counts.new),
            Some(new),
            what("new"),
        )?;
        check_eq(status.store.as_deref(), store, what("the store"))?;
        check_eq(
            status.compared_with.as_deref(),
            Some(compared),
            what("compared"),
        )?;
    }
    let up_to_date = dev.status(&b, asked(Some(true), true)).await?;
    check_eq(
        up_to_date.category,
        StatusCategory::UpToDate,
        "the category",
    )
}

/// The graphs that were pushed to a store of the chain are listed and loaded, those of a project from the first store that has some (§15).
pub async fn shows_what_was_pushed_to_the_chain(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let pushed = prod.push_graph(None, &Default::default()).await?;
    let found = dev.snapshots(None).await?;
    check_eq(found.len(), 1, "graphs")?;
    check_eq(found[0].store.as_str(), "prod", "where it was pushed to")?;
    check_eq(
        found[0].project_version.clone(),
        pushed.project_version,
        "its version",
    )?;
    let latest = dev.latest_project_version(None).await?;
    check_eq(
        latest.as_deref(),
        Some(found[0].project_version.as_str()),
        "the latest",
    )?;
    check_eq(
        dev.pushed_features().await?.len(),
        0,
        "what was pushed to the store",
    )?;
    let loaded = dev.load_graph(None, None).await?;
    let loaded = loaded.ok_or_else(|| Stop::failed("the graph cannot be loaded"))?;
    check_eq(loaded.keys().count(), 2, "features of the graph")?;
    let difference = dev.diff(&found[0].project_version, &found[0].project_version, None);
    check_eq(
        difference.await?.nodes().count(),
        2,
        "features that are compared",
    )?;

    // An own push of the project is the answer from now on; that of another project stays.
    let other = [FeatureDefinition::new(
        feature("z", &["default"], &[])?,
        "other",
    )];
    let other = prod.with_graph(FeatureGraph::from_definitions(other)?);
    other.push_graph(None, &Default::default()).await?;
    let own = dev.with_graph(pair_of("2", "1")?);
    let own = own.push_graph(None, &Default::default()).await?;
    let found = dev.snapshots(None).await?;
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.project.as_str(), one.store.as_str()))
        .collect();
    check_eq(
        told,
        [("demo", "dev"), ("other", "prod")],
        "projects and stores",
    )?;
    check_eq(
        found[0].project_version.clone(),
        own.project_version,
        "its version",
    )
}

/// Upstreams that live in different stores are joined, each read whole from its own (§7).
pub async fn joins_upstreams_of_several_stores(bed: &TestBed) -> Outcome {
    let joined = || {
        graph([
            feature("a", &["default"], &[])?,
            feature("c", &["default"], &[])?,
            feature("both", &["default"], &["a", "c"])?,
        ])
    };
    let far = over(bed, "far", joined()?, &[]).await?;
    let prod = over(bed, "prod", joined()?, &[&far]).await?;
    let dev = over(bed, "dev", joined()?, &[&prod]).await?;
    let whole = over(bed, "whole", joined()?, &[]).await?;
    for (store, feature, rows) in [
        (&far, "a", [(1, "x"), (2, "x"), (3, "x")]),
        (&dev, "c", [(2, "y"), (3, "y"), (4, "y")]),
    ] {
        store.write(&key(feature)?, samples(&rows)?).await?;
        whole.write(&key(feature)?, samples(&rows)?).await?;
    }
    let (here, there) = (resolve(&dev, "both").await?, resolve(&whole, "both").await?);
    here.are(&[2, 3], &[], &[])?;
    let version = "metaxy_provenance";
    let expected = there.new.words(version)?;
    check_eq(here.new.words(version)?, expected, "as from one store")
}

/// A soft delete of a feature that only a fallback has is an error that says where it lives; nothing is written (§10 (59)).
pub async fn refuses_a_soft_delete_of_what_is_elsewhere(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let a = key("a")?;
    prod.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    let before = stored(&prod, "a").await?;
    let one = DeleteOptions::soft().with_filters([col("id").eq(1)]);
    let error = refused(dev.delete(&a, one).await, ErrorKind::FeatureNotFound)?;
    names(&error, &["feature: a", "dev", "prod", "copy"])?;
    check(dev.feature_schema(&a).await?.is_none(), "no table was made")?;
    check_eq(
        stored(&prod, "a").await?,
        before,
        "the rows of the fallback",
    )?;
    check_eq(ids(&dev, "a").await?, [1, 2], "what is read")
}

/// Whether a feature is there can be asked of the store alone or of its chain, and who has it (§7, §10 (61)).
pub async fn tells_which_store_has_a_feature(bed: &TestBed) -> Outcome {
    let [dev, prod] = two(bed).await?;
    let (a, b) = (key("a")?, key("b")?);
    prod.write(&a, samples(&[(1, "x")])?).await?;
    check(!dev.has_feature(&a, false).await?, "not here")?;
    check(dev.has_feature(&a, true).await?, "in the chain")?;
    check(!dev.has_feature(&b, true).await?, "b is nowhere")?;
    check(dev.find_store(&b).await?.is_none(), "nobody has b")?;
    let owner = dev.find_store(&a).await?;
    check_eq(owner.as_ref().map(MetadataStore::name), Some("prod"), "who")?;
    let (_, owner) = dev.read_with_store(&a, ReadOptions::default()).await?;
    check_eq(owner.name(), "prod", "who was read")?;
    let here = ReadOptions::default().with_local_only(true);
    refused(dev.read(&a, here).await, ErrorKind::FeatureNotFound)?;
    dev.write(&a, samples(&[(2, "x")])?).await?;
    check(dev.has_feature(&a, false).await?, "here now")?;
    let owner = dev.find_store(&a).await?;
    check_eq(owner.as_ref().map(MetadataStore::name), Some("dev"), "who")
}

/// A store anywhere in the chain that hashes otherwise is refused when the chain is built, naming both (§7, §10 (62)).
pub async fn refuses_another_algorithm_at_any_depth(bed: &TestBed) -> Outcome {
    let build = async |name: &str, algorithm: HashAlgorithm, below: Option<MetadataStore>| {
        let builder = bed.builder(name).await?.with_hash_algorithm(algorithm);
        match below {
            Some(below) => builder.with_fallback(below).build(),
            None => builder.build(),
        }
    };
    let algorithms = bed.builder("dev").await?.build()?.capabilities();
    let [one, other, ..] = *algorithms.hash_algorithms else {
        return Err(Stop::ignored("the backend has one hash algorithm only"));
    };
    let far = build("far", other, None).await?;
    let error = refused(
        build("dev", one, Some(far.clone())).await,
        ErrorKind::HashMismatch,
    )?;
    let both = [one.as_str(), other.as_str(), "\"dev\"", "\"far\""];
    names(&error, &both)?;
    // One that cannot be made in the right way, in the middle of a chain that is otherwise right.
    let near = build("near", other, Some(far)).await?;
    let error = refused(build("dev", one, Some(near)).await, ErrorKind::HashMismatch)?;
    names(&error, &[one.as_str(), other.as_str(), "\"dev\""])
}

/// A store of the chain whose graph cuts hashes otherwise is refused when the chain is built, naming both (§7).
pub async fn refuses_another_truncation_length(bed: &TestBed) -> Outcome {
    let longer = || pair()?.with_truncation_length(16);
    let far = over(bed, "far", longer()?, &[]).await?;
    let dev = bed.builder("dev").await?.with_graph(pair()?);
    let error = refused(
        dev.with_fallback(far.clone()).build(),
        ErrorKind::HashMismatch,
    )?;
    names(
        &error,
        &["\"dev\"", "\"far\"", "8 characters", "16 characters"],
    )?;
    over(bed, "dev", longer()?, &[&far]).await?;
    Ok(())
}

/// Stores that fall back to each other are refused before any is opened, naming the way round (§7).
pub async fn refuses_a_cycle(_: &TestBed) -> Outcome {
    let folder = tempfile::tempdir().map_err(metaxy_store::Error::from)?;
    let link = |from: &str, to: &str| {
        format!("[stores.{from}]\ntype = \"nobody::opens_this\"\nfallback_stores = [\"{to}\"]\n")
    };
    let text = [
        link("dev", "near"),
        link("near", "far"),
        link("far", "near"),
    ]
    .concat();
    let file = folder.path().join("metaxy.toml");
    std::fs::write(&file, text).map_err(metaxy_store::Error::from)?;
    let config = ConfigLoader::new()
        .with_file(&file)
        .with_environment(Environment::empty())
        .load()?;
    let opened = MetadataStore::from_config(&config, Some("dev"), Access::Read, &pair()?);
    let error = refused(opened, ErrorKind::InvalidConfig)?;
    names(&error, &["near -> far -> near"])
}

/// A fallback store that cannot be opened is no trouble to what is local, and an error of what needs it (§7).
pub async fn is_opened_when_needed(bed: &TestBed) -> Outcome {
    let broken = Observed::new(bed.backend("prod", Access::Read).await?);
    broken.fail(ErrorKind::CannotOpen);
    let dev = bed.builder("dev").await?;
    let prod = bed
        .over(broken.clone())
        .with_name("prod")
        .with_access(Access::Read)
        .build()?;
    let dev = dev.with_graph(pair()?).with_fallback(prod).build()?;
    let a = key("a")?;
    dev.write(&a, samples(&[(1, "x"), (2, "x")])?).await?;
    let one = DeleteOptions::soft().with_filters([col("id").eq(2)]);
    check_eq(dev.delete(&a, one).await?, 1, "deleted")?;
    compute(&dev, "b").await?;
    resolve(&dev, "b").await?.nothing()?;
    check_eq(ids(&dev, "b").await?, [1], "what is local")?;
    check_eq(broken.calls(), 0, "calls to the fallback")?;
    dev.drop_feature(&a).await?;
    let error = refused(
        dev.read(&a, ReadOptions::default()).await,
        ErrorKind::CannotOpen,
    )?;
    names(&error, &["feature: a", "prod"])
}
