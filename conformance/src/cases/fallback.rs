//! Chains of stores (`semantics.md` §7).

use metaxy_store::backend::Access;
use metaxy_store::config::{ConfigLoader, Environment};
use metaxy_store::{
    DeleteOptions, ErrorKind, FeatureGraph, HashAlgorithm, MetadataStore, ReadOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{read, samples, stored};
use crate::bed::graphs::{feature, graph, key, pair, pair_of};
use crate::bed::increments::{compute, resolve};
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
