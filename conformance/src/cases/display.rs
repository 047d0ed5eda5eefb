//! What a store shows of itself: enough to find it, and no secret.

use metaxy_store::backend::Access;
use metaxy_store::config::redact;
use metaxy_store::{
    DeleteOptions, Error, ErrorKind, MetadataStore, ReadOptions, ResolveOptions, col,
};

use crate::bed::TestBed;
use crate::bed::frames::{floats, samples, stored, texts, with_column};
use crate::bed::graphs::{key, pair};
use crate::bed::observed::Observed;
use crate::outcome::{Outcome, check, check_eq, names, refused};

cases! { "display":
    describes_its_kind_and_location,
    shows_its_name,
    shows_no_secret,
    names_feature_and_store_in_errors,
    explains_a_resolve_without_computing_it,
}

/// The description names the kind of store and where it is, the same from every handle, and has nothing in it that would be
/// masked.
pub async fn describes_its_kind_and_location(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let described = store.describe();
    check(!described.kind.is_empty(), "a kind")?;
    check(!described.location.is_empty(), "a location")?;
    let text = described.to_string();
    check(
        text.contains(described.kind) && text.contains(&described.location),
        format!("both are shown: {text}"),
    )?;
    check_eq(redact("location", &text).as_ref(), text.as_str(), "masked")?;
    let reader = bed.backend("main", Access::Read).await?;
    check_eq(reader.describe(), described.clone(), "of another handle")?;
    let other = bed.builder("other").await?.build()?.describe();
    check_eq(other.kind, described.kind, "the kind of another store")?;
    check(
        other.location != described.location,
        format!("another store is elsewhere: {}", other.location),
    )
}

/// A store that was given a name shows it, beside what its backend shows.
pub async fn shows_its_name(bed: &TestBed) -> Outcome {
    let builder = bed.builder("main").await?.with_graph(pair()?);
    let store = builder.with_name("warehouse").build()?;
    check_eq(store.name(), "warehouse", "the name")?;
    let shown = format!("{store:?}");
    check(shown.contains("warehouse"), format!("shown: {shown}"))?;
    check(
        shown.contains(store.describe().kind),
        format!("shown: {shown}"),
    )
}

/// Nothing that the store shows holds a secret: `Debug`, `Display`, its backend's, and errors with their causes and hints.
pub async fn shows_no_secret(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let mut shown = vec![
        format!("{store:?}"),
        format!("{:?}", store.backend()),
        format!("{:?} {0}", store.describe()),
        format!("{:?}", store.capabilities()),
        format!("{:?}", store.backend().tables().await?),
    ];
    for error in failures(&store).await? {
        shown.push(format!("{error:?} {error} {:?}", error.hint()));
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            shown.push(format!("{source:?} {source}"));
            cause = source.source();
        }
    }
    if let Some(settings) = bed.settings("main") {
        let text = format!("type = '{}'\nno_such_option = 1\n", settings.type_path);
        let text = format!("[stores.dev]\n{text}{}\n", settings.options);
        let error = super::registration::open(&text, "dev", Access::Write).err();
        shown.extend(error.map(|error| format!("{error:?}")));
    }
    for secret in bed.secrets() {
        for text in &shown {
            // The secret itself must not be shown here either.
            let masked = text.replace(&secret, "<secret>");
            check(!text.contains(&secret), format!("a secret in: {masked}"))?;
        }
    }
    for text in &shown {
        check_eq(redact("text", text).as_ref(), text.as_str(), "masked")?;
    }
    Ok(())
}

/// Errors of reads, writes and deletes name the feature and the store (`style.md` 4).
pub async fn names_feature_and_store_in_errors(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store
        .write(
            &key("a")?,
            with_column(&samples(&[(1, "x")])?, "note", texts(["text"]))?,
        )
        .await?;
    let before = stored(&store, "a").await?;
    for error in failures(&store).await? {
        names(&error, &["main"])?;
        let context: Vec<_> = error.context().collect();
        let named = error.message().contains("feature a")
            || context.iter().any(|(k, v)| *k == "feature" && *v == "a");
        check(named, format!("the feature is named: {error}"))?;
    }
    check_eq(stored(&store, "a").await?, before, "what is stored")?;
    let error = refused(
        store.read(&key("b")?, ReadOptions::default()).await,
        ErrorKind::FeatureNotFound,
    )?;
    names(&error, &["feature b", "main"])?;

    let broken = Observed::new(bed.backend("main", Access::Write).await?);
    broken.fail(ErrorKind::Storage);
    let broken = bed
        .over(broken)
        .with_name("broken")
        .with_graph(pair()?)
        .build()?;
    let a = key("a")?;
    let failures = [
        broken.read(&a, ReadOptions::default()).await.err(),
        broken.write(&a, samples(&[(1, "x")])?).await.err(),
        broken.delete(&a, DeleteOptions::soft()).await.err(),
        broken.has_feature(&a, true).await.err(),
        broken.drop_feature(&a).await.err(),
    ];
    for error in failures.into_iter().flatten() {
        names(&error, &["feature: a", "store: broken"])?;
    }
    Ok(())
}

/// What goes wrong with `a`: reads, a write and deletes that do not fit what is stored.
async fn failures(store: &MetadataStore) -> Outcome<Vec<Error>> {
    let a = key("a")?;
    let unknown = || [col("nope").eq(1)];
    let misfit = with_column(&samples(&[(2, "x")])?, "metaxy_created_at", floats([1.5]))?;
    Ok(vec![
        refused(
            store
                .read(&a, ReadOptions::default().with_filters(unknown()))
                .await,
            ErrorKind::InvalidFilter,
        )?,
        refused(
            store
                .read(&a, ReadOptions::default().with_columns(["nope"]))
                .await,
            ErrorKind::InvalidArgument,
        )?,
        refused(store.write(&a, misfit).await, ErrorKind::InvalidFrame)?,
        refused(
            store
                .delete(&a, DeleteOptions::soft().with_filters(unknown()))
                .await,
            ErrorKind::InvalidFilter,
        )?,
    ])
}

/// A resolve is explained, by whatever engine, and nothing is different afterwards.
pub async fn explains_a_resolve_without_computing_it(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let b = key("b")?;
    for given in [false, true] {
        let options = || -> metaxy_store::Result<ResolveOptions> {
            let options = ResolveOptions::default();
            Ok(match given {
                true => options.with_samples(samples(&[(2, "y")])?),
                false => options,
            })
        };
        let explained = store.resolve_lazy(&b, options()?).await?.explain().await?;
        check(!explained.engine.is_empty(), "no engine is named")?;
        let empty = |text: &String| text.trim().is_empty();
        check(
            !explained.statements.iter().any(empty),
            "an empty statement",
        )?;
        let plan = explained.engine_plan.as_ref();
        check(!plan.is_some_and(empty), "an empty plan")?;
        let counts = store.resolve_lazy(&b, options()?).await?.counts().await?;
        check_eq((counts.new, counts.stale), (1, 0), "what is new after that")?;
    }
    check(!store.has_feature(&b, false).await?, "a table was made")
}
