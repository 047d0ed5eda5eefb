//! Stores from a configuration (`semantics.md` §9).

use metaxy_store::backend::Access;
use metaxy_store::config::{ConfigLoader, Environment};
use metaxy_store::{Error, ErrorKind, MetadataStore, ReadOptions, Result};

use crate::bed::TestBed;
use crate::bed::frames::{read, samples, stored};
use crate::bed::graphs::{key, pair};
use crate::factory::Settings;
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! { "registration":
    opens_a_store_by_its_type,
    takes_options_under_config,
    refuses_an_unknown_option,
    cannot_write_what_is_opened_for_reading,
    opens_a_chain,
}

/// The store `name` of a configuration with this text.
pub(super) fn open(text: &str, name: &str, access: Access) -> Result<MetadataStore> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("metaxy.toml");
    std::fs::write(&file, text)?;
    let config = ConfigLoader::new()
        .with_file(&file)
        .with_environment(Environment::empty())
        .load()?;
    MetadataStore::from_config(&config, Some(name), access, &pair()?)
}

fn settings(bed: &TestBed, store: &str) -> Outcome<Settings> {
    let none = "the factory does not say how a configuration describes its stores";
    bed.settings(store).ok_or_else(|| Stop::ignored(none))
}

/// What a configuration says of a store of the case, `more` beside its options.
async fn described(bed: &TestBed, store: &str, more: &str) -> Outcome<String> {
    let Settings { type_path, options } = settings(bed, store)?;
    let algorithm = bed.builder(store).await?.build()?.hash().algorithm;
    Ok(format!(
        "[stores.{store}]\ntype = '{type_path}'\nhash_algorithm = '{algorithm}'\n{more}\n{options}\n"
    ))
}

/// A configured store is the store that the options name: each sees what was written through the other.
pub async fn opens_a_store_by_its_type(bed: &TestBed) -> Outcome {
    let text = described(bed, "main", "").await?;
    let handle = bed.store(pair()?).await?;
    let a = key("a")?;
    handle.write(&a, samples(&[(1, "x")])?).await?;
    let configured = open(&text, "main", Access::Write)?;
    check_eq(configured.name(), "main", "its name")?;
    check_eq(
        configured.describe(),
        handle.describe(),
        "how it shows itself",
    )?;
    check_eq(
        configured.capabilities(),
        handle.capabilities(),
        "what it can do",
    )?;
    let expected = stored(&handle, "a").await?;
    check_eq(stored(&configured, "a").await?, expected, "what is stored")?;
    configured.write(&a, samples(&[(2, "y")])?).await?;
    let rows = read(&handle, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1, 2], "the samples")
}

/// Options may stand under `config` instead of beside `type`.
pub async fn takes_options_under_config(bed: &TestBed) -> Outcome {
    let Settings { type_path, options } = settings(bed, "main")?;
    let handle = bed.store(pair()?).await?;
    handle.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let algorithm = handle.hash().algorithm;
    let text = format!(
        "[stores.main]\ntype = '{type_path}'\nhash_algorithm = '{algorithm}'\n[stores.main.config]\n{options}\n"
    );
    let configured = open(&text, "main", Access::Read)?;
    let rows = read(&configured, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1], "the samples")
}

/// An option that the backend does not know is refused, naming the nearest that it knows, the store and the file.
pub async fn refuses_an_unknown_option(bed: &TestBed) -> Outcome {
    let options = settings(bed, "main")?.options;
    let known = options
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .find(|name| !name.is_empty() && !name.contains(['.', '#']));
    let Some(known) = known else {
        return Err(Stop::ignored("the settings have no option to misspell"));
    };
    let misspelt = format!("{known}x");
    let text = described(bed, "main", &format!("{misspelt} = 'y'")).await?;
    let opened = open(&text, "main", Access::Write);
    let error = refused(opened, ErrorKind::InvalidConfig)?;
    names(&error, &[&misspelt, "main", "metaxy.toml"])?;
    let hint = error.hint().unwrap_or_default();
    let nearest = hint.replace(&misspelt, "");
    check(nearest.contains(known), format!("{known} is near: {hint}"))
}

/// A store that is opened for reading reads and refuses to write, delete and drop; nothing is changed.
pub async fn cannot_write_what_is_opened_for_reading(bed: &TestBed) -> Outcome {
    let text = described(bed, "main", "").await?;
    let handle = bed.store(pair()?).await?;
    let a = key("a")?;
    handle.write(&a, samples(&[(1, "x")])?).await?;
    let before = stored(&handle, "a").await?;
    let reader = open(&text, "main", Access::Read)?;
    check_eq(reader.access(), Access::Read, "the access")?;
    let rows = read(&reader, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1], "the samples")?;
    let soft = metaxy_store::DeleteOptions::soft();
    let attempts: [Option<Error>; 4] = [
        reader.write(&a, samples(&[(2, "x")])?).await.err(),
        reader.delete(&a, soft).await.err(),
        reader.drop_feature(&a).await.err(),
        reader.push_graph(None, &Default::default()).await.err(),
    ];
    for attempt in attempts {
        let error = attempt.map_or(Ok(()), Err);
        names(&refused(error, ErrorKind::ReadOnly)?, &["main"])?;
    }
    check_eq(stored(&handle, "a").await?, before, "what is stored")
}

/// Stores that are named as fallbacks are read through, and never opened for writing (§7).
pub async fn opens_a_chain(bed: &TestBed) -> Outcome {
    let near = described(bed, "near", "fallback_stores = ['far']").await?;
    let dev = described(bed, "dev", "fallback_stores = ['near']").await?;
    let text = [near, dev, described(bed, "far", "").await?].concat();
    let far = bed.builder("far").await?.with_graph(pair()?).build()?;
    let a = key("a")?;
    far.write(&a, samples(&[(1, "x")])?).await?;
    let before = stored(&far, "a").await?;
    let dev = open(&text, "dev", Access::Write)?;
    let (_, owner) = dev.read_with_store(&a, ReadOptions::default()).await?;
    check_eq(owner.name(), "far", "who has the feature")?;
    check_eq(owner.access(), Access::Read, "what it was opened for")?;
    let rows = read(&dev, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1], "the samples")?;
    let written = owner.write(&a, samples(&[(2, "x")])?).await;
    refused(written, ErrorKind::ReadOnly)?;
    dev.write(&a, samples(&[(3, "x")])?).await?;
    check_eq(stored(&far, "a").await?, before, "the rows of the fallback")
}
