//! Columns and names where upstreams meet (`semantics.md` §1, §2, §10).

mod ids;

use metaxy_store::{
    ErrorKind, FeatureDep, FeatureGraph, FeatureSpec, MetadataStore, ReadOptions, ResolveOptions,
    Result,
};

use crate::bed::TestBed;
use crate::bed::frames::{by_field, floats, frame, ints, read, samples, texts, times, with_column};
use crate::bed::graphs::{feature, graph, key};
use crate::bed::increments::{compute, hashed, resolve};
use crate::outcome::{Outcome, check_eq, names, refused};

pub use ids::{
    ids_meet_as_numbers, ids_of_other_types_meet,
    ids_of_other_types_meet_where_either_may_be_missing,
    ids_that_never_match_are_refused_when_they_are_written, lineage_follows_ids_of_other_types,
};

cases! {
    "joins":
    refuse_columns_of_two_upstreams,
    tell_columns_apart_by_new_names,
    leave_out_what_is_not_selected,
    refuse_renames_and_selections_that_do_not_fit,
    rename_ids,
    carry_the_types_of_columns,
    take_names_that_need_quotes,
    tell_columns_apart_by_case,
    keep_features_apart_whose_names_join_alike,
    keep_fields_apart_whose_names_join_alike,
    ids_of_other_types_meet,
    ids_of_other_types_meet_where_either_may_be_missing,
    ids_meet_as_numbers,
    lineage_follows_ids_of_other_types,
    ids_that_never_match_are_refused_when_they_are_written,
}

/// A column that two upstreams have and that is no ID is refused, with its name and both features, whatever is null in it (§2).
pub async fn refuse_columns_of_two_upstreams(bed: &TestBed) -> Outcome {
    let store = noted(bed, [FeatureDep::new("a")?, FeatureDep::new("b")?]).await?;
    let resolved = store
        .resolve_update(&key("c")?, ResolveOptions::default())
        .await;
    let error = refused(resolved, ErrorKind::InvalidFrame)?;
    names(
        &error,
        &["\"note\"", "feature c", "from both a and b", "main"],
    )?;
    // Where the definition shows it, it is refused there.
    let clash = two([
        FeatureDep::new("a")?.with_rename("note", "size"),
        FeatureDep::new("b")?.with_select(["size"]),
    ]);
    let error = refused(clash, ErrorKind::InvalidDefinition)?;
    names(&error, &["size", "`a`", "`b`", "`c`"])?;
    check_eq(
        store.has_feature(&key("c")?, false).await?,
        false,
        "whether anything was written",
    )
}

/// With other names both columns come along, each with the values of its upstream (§2).
pub async fn tell_columns_apart_by_new_names(bed: &TestBed) -> Outcome {
    let deps = [
        FeatureDep::new("a")?.with_rename("size", "size_a"),
        FeatureDep::new("b")?
            .with_rename("note", "note_b")
            .with_rename("size", "size_b"),
    ];
    let store = noted(bed, deps).await?;
    let parts = resolve(&store, "c").await?;
    check_eq(
        parts
            .new
            .lines(&["id", "note", "size_a", "note_b", "size_b"])?,
        ["1 a1 1 b1 10", "2 a2 2 b2 20"],
        "the rows",
    )?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()
}

/// A dependency that selects brings the columns named, by their new names, and its IDs: nothing else can clash (§2).
pub async fn leave_out_what_is_not_selected(bed: &TestBed) -> Outcome {
    let deps = [
        FeatureDep::new("a")?
            .with_rename("size", "length")
            .with_select(["length"]),
        FeatureDep::new("b")?.with_select(["note", "id"]),
    ];
    let store = noted(bed, deps).await?;
    let parts = resolve(&store, "c").await?;
    check_eq(
        parts.new.lines(&["id", "length", "note"])?,
        ["1 1 b1", "2 2 b2"],
        "the rows",
    )?;
    let columns = parts.new.columns();
    let own: Vec<_> = columns
        .iter()
        .filter(|c| !c.starts_with("metaxy_"))
        .collect();
    check_eq(own.len(), 3, "user columns")?;
    compute(&store, "c").await?;
    let rows = read(&store, "c", ReadOptions::default()).await?;
    check_eq(
        rows.lines(&["id", "length", "note"])?,
        ["1 1 b1", "2 2 b2"],
        "the rows that were written",
    )
}

/// Columns that a dependency renames or selects and the upstream's rows lack are refused by name (§2).
pub async fn refuse_renames_and_selections_that_do_not_fit(bed: &TestBed) -> Outcome {
    let b = || Ok::<_, metaxy_store::Error>(FeatureDep::new("b")?.with_select(["size"]));
    let store = noted(bed, [FeatureDep::new("a")?, b()?]).await?;
    for (dep, column) in [
        (FeatureDep::new("a")?.with_select(["nothing"]), "nothing"),
        (FeatureDep::new("a")?.with_select(["Note"]), "Note"),
        (FeatureDep::new("a")?.with_rename("nothing", "x"), "nothing"),
        // Two columns under one name.
        (
            FeatureDep::new("a")?
                .with_select(["note"])
                .with_rename("size", "note"),
            "note",
        ),
    ] {
        let store = store.with_graph(two([dep, b()?])?);
        let resolved = store
            .resolve_update(&key("c")?, ResolveOptions::default())
            .await;
        let error = refused(resolved, ErrorKind::InvalidFrame)?;
        names(&error, &[column, "feature c", "upstream: a"])?;
    }
    // A selection of an old name shows in the definition already.
    let old = FeatureDep::new("a")?
        .with_rename("note", "word")
        .with_select(["note"]);
    let error = refused(two([old, b()?]), ErrorKind::InvalidDefinition)?;
    names(&error, &["`note`", "feature `c`", "dependency on `a`"])
}

/// Upstreams that call their IDs differently are joined under the new name (§2).
pub async fn rename_ids(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["default"], &[])?,
        FeatureSpec::new("b", ["key"])?,
        feature("c", &["default"], &["a"])?
            .with_dep(FeatureDep::new("b")?.with_rename("key", "id")),
    ];
    let store = bed.store(graph(specs)?).await?;
    let a = samples(&[(1, "x"), (2, "y"), (3, "z")])?;
    store.write(&key("a")?, a).await?;
    let versions = by_field(&[("default", &["p", "q"])])?;
    let rows = [
        ("key", ints([3, 2])),
        ("metaxy_provenance_by_field", versions),
    ];
    store.write(&key("b")?, frame(rows)?).await?;
    let parts = resolve(&store, "c").await?;
    let version =
        |a: &str, b: &str| hashed(&store, &format!("default|1|a.default|{a}|b.default|{b}"));
    check_eq(
        parts
            .new
            .lines(&["id", "metaxy_provenance_by_field.default"])?,
        [
            format!("2 {}", version("y", "q")?),
            format!("3 {}", version("z", "p")?),
        ],
        "the rows",
    )?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()
}

/// Columns of every upstream come out with the types that they were written with (§6).
pub async fn carry_the_types_of_columns(bed: &TestBed) -> Outcome {
    let store = bed
        .store(two([FeatureDep::new("a")?, FeatureDep::new("b")?])?)
        .await?;
    let a = samples(&[(1, "x")])?;
    let a = with_column(&a, "share", floats([0.1]))?;
    let a = with_column(&a, "at", times([1_706_702_400_000_001]))?;
    let b = samples(&[(1, "x")])?;
    let b = with_column(&b, "large", ints([9_007_199_254_740_993]))?;
    let b = with_column(&b, "word", texts(["007"]))?;
    store.write(&key("a")?, a.clone()).await?;
    store.write(&key("b")?, b.clone()).await?;
    let parts = resolve(&store, "c").await?;
    for (batch, name) in [(&a, "share"), (&a, "at"), (&b, "large"), (&b, "word")] {
        check_eq(
            parts.new.batch().column_by_name(name),
            batch.column_by_name(name),
            name,
        )?;
    }
    Ok(())
}

/// Names mean nothing to the engine, and are told apart by every blank and quote (§2).
pub async fn take_names_that_need_quotes(bed: &TestBed) -> Outcome {
    let store = named(
        bed,
        ["select", "a b", "say \"hi\"", "größe", "x.y", "label"],
        ["from", "a  b", "say 'hi'", "grösse", "x_y", "%s"],
    )
    .await?;
    compute(&store, "c").await?;
    resolve(&store, "c").await?.nothing()?;
    let rows = read(&store, "c", ReadOptions::default()).await?;
    let found = ["a b", "a  b", "say \"hi\"", "x.y", "x_y", "%s"];
    check_eq(rows.lines(&found)?, ["1 101 2 4 104 105"], "what is read")
}

/// Columns of two upstreams whose names differ in case alone are two columns (§2).
pub async fn tell_columns_apart_by_case(bed: &TestBed) -> Outcome {
    let store = named(
        bed,
        ["path", "SELECT", "größe", "Count", "id2", "ID3"],
        ["Path", "select", "Größe", "count", "ID2", "id3"],
    )
    .await?;
    // Whether a table can hold both is the backend's matter; what a child leaves out, it need not hold.
    let select = |name: &str, column: &str| {
        Ok::<_, metaxy_store::Error>(FeatureDep::new(name)?.with_select([column]))
    };
    let store = store.with_graph(two([select("a", "path")?, select("b", "count")?])?);
    compute(&store, "c").await?;
    let rows = read(&store, "c", ReadOptions::default()).await?;
    check_eq(rows.lines(&["path", "count"])?, ["0 103"], "what is read")
}

/// Upstreams such as `x/y` and `x_y` are never taken for each other (§1, §10, 2).
pub async fn keep_features_apart_whose_names_join_alike(bed: &TestBed) -> Outcome {
    let specs = [
        feature("x/y", &["default"], &[])?,
        feature("x_y", &["default"], &[])?,
        feature("c", &["default"], &["x_y", "x/y"])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    let write = async |name: &str, version: &str| -> Outcome {
        store.write(&key(name)?, samples(&[(1, version)])?).await?;
        Ok(())
    };
    write("x/y", "nested").await?;
    write("x_y", "flat").await?;
    let version = |nested: &str, flat: &str| {
        let text = format!("default|1|x/y.default|{nested}|x_y.default|{flat}");
        hashed(&store, &text)
    };
    let member = "metaxy_provenance_by_field.default";
    let parts = resolve(&store, "c").await?;
    check_eq(
        parts.new.words(member)?,
        [version("nested", "flat")?],
        "the version",
    )?;
    compute(&store, "c").await?;
    write("x_y", "changed").await?;
    let parts = resolve(&store, "c").await?;
    check_eq(
        parts.stale.words(member)?,
        [version("nested", "changed")?],
        "the version",
    )
}

/// Fields of one feature whose struct keys are equal are refused with the definition; of two upstreams they are kept apart
/// (§1, §10, 3).
pub async fn keep_fields_apart_whose_names_join_alike(bed: &TestBed) -> Outcome {
    let twins = graph([feature("a", &["x/y", "x_y"], &[])?]);
    let error = refused(twins, ErrorKind::InvalidDefinition)?;
    names(&error, &["feature `a`", "x/y", "x_y"])?;
    let specs = [
        feature("a", &["x/y"], &[])?,
        feature("b", &["x_y"], &[])?,
        feature("c", &["default"], &["a", "b"])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    for (name, version) in [("a", "nested"), ("b", "flat")] {
        let versions = by_field(&[("x_y", &[version])])?;
        let rows = [("id", ints([1])), ("metaxy_provenance_by_field", versions)];
        store.write(&key(name)?, frame(rows)?).await?;
    }
    check_eq(
        resolve(&store, "c")
            .await?
            .new
            .words("metaxy_provenance_by_field.default")?,
        [hashed(&store, "default|1|a.x/y|nested|b.x_y|flat")?],
        "the version",
    )
}

/// Roots `a` and `b`, and `c`, which depends on them as said.
fn two(deps: [FeatureDep; 2]) -> Result<FeatureGraph> {
    graph([
        feature("a", &["default"], &[])?,
        feature("b", &["default"], &[])?,
        feature("c", &["default"], &[])?.with_deps(deps),
    ])
}

/// A store of [`two`] where both roots have the samples 1 and 2 with a note and a size.
async fn noted(bed: &TestBed, deps: [FeatureDep; 2]) -> Outcome<MetadataStore> {
    let store = bed.store(two(deps)?).await?;
    for (name, notes, sizes) in [("a", ["a1", "a2"], [1, 2]), ("b", ["b1", "b2"], [10, 20])] {
        let rows = samples(&[(1, name), (2, name)])?;
        let rows = with_column(&rows, "note", texts(notes))?;
        let rows = with_column(&rows, "size", ints(sizes))?;
        store.write(&key(name)?, rows).await?;
    }
    Ok(store)
}

/// A store of [`two`] where the roots' one sample has these columns, numbered from 0 and from 100: a resolve has them all.
async fn named(bed: &TestBed, of_a: [&str; 6], of_b: [&str; 6]) -> Outcome<MetadataStore> {
    let deps = [FeatureDep::new("a")?, FeatureDep::new("b")?];
    let store = bed.store(two(deps)?).await?;
    let mut expected = Vec::new();
    for (offset, name, columns) in [(0, "a", of_a), (100, "b", of_b)] {
        let mut rows = samples(&[(1, name)])?;
        for (i, column) in (offset..).zip(columns) {
            rows = with_column(&rows, column, ints([i]))?;
            expected.push((column, i));
        }
        store.write(&key(name)?, rows).await?;
    }
    let parts = resolve(&store, "c").await?;
    for (column, value) in expected {
        check_eq(parts.new.ints(column)?, [Some(value)], column)?;
    }
    Ok(store)
}
