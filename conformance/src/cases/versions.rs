//! Versions of samples (`semantics.md` §4).

use std::sync::Arc;

use arrow::array::{RecordBatch, StructArray};
use arrow::datatypes::{DataType, Field};
use metaxy_store::spec::{FieldDep, FieldDeps};
use metaxy_store::{
    Access, ErrorKind, FeatureDefinition, FeatureDep, FeatureGraph, FieldSpec, HashAlgorithm,
    ReadOptions, ResolveOptions, Result,
};

use crate::bed::TestBed;
use crate::bed::frames::{Table, by_field, frame, ints, read, samples, texts, videos, with_column};
use crate::bed::graphs::{PROJECT, feature, field, graph, key, pair, video};
use crate::bed::increments::{compute, hashed, resolve, resolve_with};
use crate::outcome::{Outcome, Stop, check, check_eq, names, refused};

cases! {
    "versions":
    are_the_documented_hashes,
    in_other_algorithms_are_refused,
    of_fields_are_joined_by_struct_key,
    of_upstream_fields_are_joined_by_qualified_name,
    of_nested_and_hyphenated_fields_are_kept_apart,
    of_a_root_are_hashed_from_its_fields,
    tell_empty_from_null,
    tell_texts_that_look_alike,
    of_code_concern_exactly_what_depends_on_it,
    of_data_concern_only_what_is_downstream,
    of_data_are_the_provenance_where_not_given,
    ignore_fields_that_nobody_depends_on,
}

/// What the reference's kernels make of two fields' texts, and of the two together cut to 8, 16 and 64 characters.
const DOCUMENTED: [(HashAlgorithm, &str, &str, [&str; 3]); 6] = [
    (
        HashAlgorithm::Xxhash32,
        "3588486188",
        "2216409808",
        ["13607494", "241863082", "241863082"],
    ),
    (
        HashAlgorithm::Xxhash64,
        "3339695337719962638",
        "9679577237130146250",
        ["11851122", "1744465542878984", "11342337509975162437"],
    ),
    (
        HashAlgorithm::Xxh3_64,
        "6159588143329602841",
        "10198014965484329636",
        ["21628498", "1567496062079981", "5178076773137376017"],
    ),
    (
        HashAlgorithm::Wyhash,
        "17236661738828744490",
        "14296197170572088082",
        ["92685027", "8831589106457305", "12142649360400239530"],
    ),
    (
        HashAlgorithm::Sha256,
        "5d5ab4425da788a192f25f571310153baebf092290053eee804a803d73d02768",
        "8708652ca8e6170efe92820a5aae2d74fc5e8166ceef69fe1fad81e1cbb7daff",
        [
            "901bc9e7",
            "560dde42e1f1d84b",
            "f5ccd4f52303eda2df96d79451397e0d533df4228e840de5d935f0a18b2969ad",
        ],
    ),
    (
        HashAlgorithm::Md5,
        "5bf5f7c02a2c40cb50a38a9c142f5110",
        "f3b4dbf5f736192c8d6d8d87ceac3cd8",
        [
            "4667bc9c",
            "4abd85a50f2fb232",
            "ff89facdb80017f37cfee984ec7ecdea",
        ],
    ),
];

/// Each algorithm that the backend has, at each length, gives the text that the rule says, resolved and read back (§4).
pub async fn are_the_documented_hashes(bed: &TestBed) -> Outcome {
    let backend = bed.backend("main", Access::Write).await?;
    let known = backend.capabilities().hash_algorithms;
    check(!known.is_empty(), "the backend has no algorithm")?;
    for (algorithm, words, boxes, whole) in DOCUMENTED {
        if !known.contains(&algorithm) {
            continue;
        }
        for (length, whole) in [8, 16, 64].into_iter().zip(whole) {
            let what = format!("{algorithm} cut to {length}");
            let store = bed
                .builder(&format!("{algorithm}-{length}"))
                .await?
                .with_graph(documented()?.with_truncation_length(length)?)
                .with_hash_algorithm(algorithm)
                .build()?;
            let rows = videos(&[(1, "ä-1", "")])?;
            store.write(&key("video/raw")?, rows).await?;
            let cut = |text: &str| text[..text.len().min(length)].to_owned();
            let expected = [cut(boxes), cut(words), whole.to_owned()];
            let found = |table: &Table| -> Outcome<[String; 3]> {
                Ok([
                    table.words("metaxy_provenance_by_field.boxes")?.concat(),
                    table.words("metaxy_provenance_by_field.a-b_c")?.concat(),
                    table.words("metaxy_provenance")?.concat(),
                ])
            };
            let parts = resolve(&store, "child").await?;
            check_eq(found(&parts.new)?, expected.clone(), &what)?;
            compute(&store, "child").await?;
            let rows = read(&store, "child", ReadOptions::default()).await?;
            check_eq(found(&rows)?, expected, &what)?;
            resolve(&store, "child").await?.nothing()?;
        }
    }
    Ok(())
}

/// A store cannot be built with an algorithm that its backend lacks; the error names both (§4).
pub async fn in_other_algorithms_are_refused(bed: &TestBed) -> Outcome {
    let backend = bed.backend("main", Access::Write).await?;
    let known = backend.capabilities().hash_algorithms;
    for algorithm in HashAlgorithm::ALL {
        let builder = bed.builder("main").await?.with_hash_algorithm(algorithm);
        if known.contains(&algorithm) {
            check_eq(
                builder.build()?.hash().algorithm,
                algorithm,
                "the algorithm",
            )?;
            continue;
        }
        let error = refused(builder.build(), ErrorKind::Unsupported)?;
        names(&error, &[algorithm.as_str(), "main"])?;
    }
    Ok(())
}

/// A sample's version joins those of its fields in the order of their struct keys, not in that of keys or definitions (§4).
pub async fn of_fields_are_joined_by_struct_key(bed: &TestBed) -> Outcome {
    // As keys `a/c` comes first, as struct keys `a0` does.
    let specs = [
        feature("a", &["default"], &[])?,
        feature("b", &["z", "a/c", "a0"], &["a"])?,
    ];
    let store = bed.store(graph(specs)?).await?;
    store.write(&key("a")?, samples(&[(1, "x")])?).await?;
    let parts = resolve(&store, "b").await?;
    let version = |field: &str| hashed(&store, &format!("{field}|1|a.default|x"));
    let [a0, ac, z] = [version("a0")?, version("a/c")?, version("z")?];
    let member = |name: &str| {
        let member = format!("metaxy_provenance_by_field.{name}");
        Ok::<_, Stop>(parts.new.words(&member)?.concat())
    };
    check_eq(
        [member("a0")?, member("a_c")?, member("z")?],
        [a0.clone(), ac.clone(), z.clone()],
        "the fields",
    )?;
    check_eq(
        parts.new.words("metaxy_provenance")?,
        [hashed(&store, &format!("{a0}|{ac}|{z}"))?],
        "the whole",
    )
}

/// A field's version joins its upstream fields in the order of `feature/key.field/key`, not in that of the dependencies (§4).
pub async fn of_upstream_fields_are_joined_by_qualified_name(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a/b", &["default"], &[])?,
        feature("a", &["y", "x/z", "x-z"], &[])?,
        feature("a-b", &["default"], &[])?,
        feature("child", &[], &["a/b", "a", "a-b"])?.with_field(
            FieldSpec::new("all")?
                .with_code_version("1")
                .with_deps(FieldDeps::All),
        ),
    ];
    let store = bed.store(graph(specs)?).await?;
    for (name, version) in [("a/b", "1"), ("a-b", "2")] {
        store.write(&key(name)?, samples(&[(1, version)])?).await?;
    }
    let versions = by_field(&[("y", &["3"]), ("x_z", &["4"]), ("x-z", &["5"])])?;
    let rows = [("id", ints([1])), ("metaxy_provenance_by_field", versions)];
    store.write(&key("a")?, frame(rows)?).await?;
    let text = "all|1|a-b.default|2|a.x-z|5|a.x/z|4|a.y|3|a/b.default|1";
    check_eq(
        resolve(&store, "child")
            .await?
            .new
            .words("metaxy_provenance_by_field.all")?,
        [hashed(&store, text)?],
        "the version",
    )
}

/// Fields whose keys are nested or hyphenated keep their members through a write, and those depend on the right one who depend on
/// one (§1, §4).
pub async fn of_nested_and_hyphenated_fields_are_kept_apart(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["x-y/z", "x/y/z", "w"], &[])?,
        feature("b", &[], &["a"])?.with_field(field("default", "a", &["x-y/z"])?),
        feature("c", &[], &["a"])?.with_field(field("default", "a", &["x/y/z"])?),
    ];
    let store = bed.store(graph(specs)?).await?;
    let write = async |hyphen: &str, nested: &str| -> Outcome {
        let members = [
            ("w", &["w"][..]),
            ("x-y_z", &[hyphen]),
            ("x_y_z", &[nested]),
        ];
        let rows = [
            ("id", ints([1])),
            ("metaxy_provenance_by_field", by_field(&members)?),
        ];
        store.write(&key("a")?, frame(rows)?).await?;
        Ok(())
    };
    write("hyphen", "nested").await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    let members = ["x-y_z", "x_y_z", "w"].map(|m| format!("metaxy_data_version_by_field.{m}"));
    check_eq(
        rows.lines(&members.each_ref().map(String::as_str))?,
        ["hyphen nested w"],
        "the members",
    )?;
    compute(&store, "b").await?;
    compute(&store, "c").await?;
    write("hyphen", "changed").await?;
    resolve(&store, "b").await?.nothing()?;
    let parts = resolve(&store, "c").await?;
    check_eq(
        parts.stale.words("metaxy_provenance_by_field.default")?,
        [hashed(&store, "default|1|a.x/y/z|changed")?],
        "the version",
    )
}

/// The version of a root's sample is hashed from those of its fields, by struct key, where it is not given (§4).
pub async fn of_a_root_are_hashed_from_its_fields(bed: &TestBed) -> Outcome {
    let store = bed
        .store(graph([feature("a", &["z", "a/c", "a0"], &[])?])?)
        .await?;
    let versions = by_field(&[("z", &["1"]), ("a_c", &["2"]), ("a0", &["3"])])?;
    let rows = [("id", ints([1])), ("metaxy_provenance_by_field", versions)];
    store.write(&key("a")?, frame(rows)?).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    let whole = hashed(&store, "3|2|1")?;
    check_eq(
        rows.lines(&["metaxy_provenance", "metaxy_data_version"])?,
        [format!("{whole} {whole}")],
        "provenance and data version",
    )
}

/// The empty text is a version like any other; a null makes what rests on it null (§4).
pub async fn tell_empty_from_null(bed: &TestBed) -> Outcome {
    let child = feature("both", &[], &["video/raw"])?
        .with_field(field("text", "video/raw", &["audio"])?)
        .with_field(field("boxes", "video/raw", &["frames"])?);
    let store = bed
        .store(graph([
            feature("video/raw", &["audio", "frames"], &[])?,
            child,
        ])?)
        .await?;
    let versions = by_field(&[
        ("audio", &[Some(""), None, Some("a")]),
        ("frames", &[Some("f"), Some("f"), Some("")]),
    ])?;
    let rows = videos(&[(1, "", ""), (2, "", ""), (3, "", "")])?;
    let rows = with_column(&rows, "metaxy_provenance_by_field", versions)?;
    store.write(&key("video/raw")?, rows).await?;
    let text = |sound: &str| hashed(&store, &format!("text|1|video/raw.audio|{sound}"));
    let boxes = |pictures: &str| hashed(&store, &format!("boxes|1|video/raw.frames|{pictures}"));
    let whole = |b: &str, t: &str| hashed(&store, &format!("{b}|{t}"));
    let expected = [
        format!(
            "1 {} {} {}",
            text("")?,
            boxes("f")?,
            whole(&boxes("f")?, &text("")?)?
        ),
        format!("2 - {} -", boxes("f")?),
        format!(
            "3 {} {} {}",
            text("a")?,
            boxes("")?,
            whole(&boxes("")?, &text("a")?)?
        ),
    ];
    let columns = [
        "id",
        "metaxy_provenance_by_field.text",
        "metaxy_provenance_by_field.boxes",
        "metaxy_provenance",
    ];
    let parts = resolve(&store, "both").await?;
    check_eq(parts.new.lines(&columns)?, expected.to_vec(), "resolved")?;
    compute(&store, "both").await?;
    let rows = read(&store, "both", ReadOptions::default()).await?;
    check_eq(rows.lines(&columns)?, expected.to_vec(), "read")
}

/// Versions are compared byte by byte: case, blanks, numbers written differently and accents put together differently all
/// differ (§4).
pub async fn tell_texts_that_look_alike(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let all = [
        "é", "e\u{301}", "E", "e", "e ", "1", "1.0", "01", "1e0", "ß", "ss", "😀", "|", "",
    ];
    for (i, text) in all.into_iter().enumerate() {
        store.write(&key("a")?, samples(&[(1, text)])?).await?;
        let parts = resolve(&store, "b").await?;
        let (table, counts) = match i {
            0 => (&parts.new, (1, 0, 0)),
            _ => (&parts.stale, (0, 1, 0)),
        };
        parts.count(counts.0, counts.1, counts.2)?;
        check_eq(
            table.words("metaxy_provenance_by_field.default")?,
            [hashed(&store, &format!("default|1|a.default|{text}"))?],
            text,
        )?;
        compute(&store, "b").await?;
        resolve(&store, "b").await?.nothing()?;
    }
    Ok(())
}

/// Another code version of a field asks for the samples of what depends on that field again, and of nothing else (§3, §6).
pub async fn of_code_concern_exactly_what_depends_on_it(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = || videos(&[(1, "a", "f"), (2, "a", "f")]);
    store.write(&key("video/raw")?, rows()?).await?;
    compute(&store, "video/transcript").await?;
    compute(&store, "video/faces").await?;
    let mut newer = video()?;
    let raw = feature("video/raw", &["frames"], &[])?
        .with_field(FieldSpec::new("audio")?.with_code_version("2"));
    newer.replace(FeatureDefinition::new(raw, PROJECT))?;
    let newer = store.with_graph(newer);
    newer.write(&key("video/raw")?, rows()?).await?;
    resolve(&newer, "video/transcript")
        .await?
        .are(&[1, 2], &[], &[])?;
    resolve(&newer, "video/faces").await?.nothing()?;
    compute(&newer, "video/transcript").await?;
    resolve(&newer, "video/transcript").await?.nothing()
}

/// A data version that the user sets is what downstream sees, and does not make the feature itself stale (§4).
pub async fn of_data_concern_only_what_is_downstream(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    let plain = || samples(&[(1, "x"), (2, "y"), (3, "z")]);
    let with = |versions: &[Option<&str>]| -> Result<RecordBatch> {
        let versions = by_field(&[("default", versions)])?;
        with_column(&plain()?, "metaxy_data_version_by_field", versions)
    };
    store
        .write(&a, with(&[Some("x"), Some("y"), Some("z")])?)
        .await?;
    compute(&store, "b").await?;
    store
        .write(&a, with(&[Some("own"), Some("y"), Some("z")])?)
        .await?;
    let given = ResolveOptions::default().with_samples(plain()?);
    resolve_with(&store, "a", given).await?.nothing()?;
    let parts = resolve(&store, "b").await?;
    parts.are(&[], &[1], &[])?;
    check_eq(
        parts.stale.words("metaxy_provenance_by_field.default")?,
        [hashed(&store, "default|1|a.default|own")?],
        "the version downstream",
    )?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(
        rows.lines(&["id", "metaxy_provenance", "metaxy_data_version"])?
            .first(),
        Some(&format!(
            "1 {} {}",
            hashed(&store, "x")?,
            hashed(&store, "own")?
        )),
        "provenance and data version",
    )?;
    // The other way round: another provenance under the same data version concerns nobody downstream.
    compute(&store, "b").await?;
    let rows = samples(&[(1, "other"), (2, "y"), (3, "z")])?;
    let own = by_field(&[("default", &["own", "y", "z"])])?;
    let rows = with_column(&rows, "metaxy_data_version_by_field", own)?;
    store.write(&a, rows).await?;
    resolve(&store, "b").await?.nothing()?;
    let given = ResolveOptions::default().with_samples(plain()?);
    resolve_with(&store, "a", given).await?.are(&[], &[1], &[])
}

/// Rows whose data version is null, or that have none, have their provenance as data version (§4).
pub async fn of_data_are_the_provenance_where_not_given(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let a = key("a")?;
    store.write(&a, samples(&[(1, "x")])?).await?;
    let own = StructArray::try_new(
        vec![Field::new("default", DataType::Utf8, true)].into(),
        vec![texts(["own", "hidden"])],
        Some(vec![true, false].into()),
    );
    let own = own.map_err(metaxy_store::Error::from)?;
    let rows = samples(&[(2, "y"), (3, "z")])?;
    let rows = with_column(&rows, "metaxy_data_version_by_field", Arc::new(own))?;
    store.write(&a, rows).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(
        rows.words("metaxy_data_version_by_field.default")?,
        ["x", "own", "z"],
        "data versions by field",
    )?;
    check_eq(
        rows.words("metaxy_data_version")?,
        [
            hashed(&store, "x")?,
            hashed(&store, "own")?,
            hashed(&store, "z")?,
        ],
        "data versions",
    )
}

/// A change of a field that nobody depends on changes nothing downstream (§4).
pub async fn ignore_fields_that_nobody_depends_on(bed: &TestBed) -> Outcome {
    let specs = [
        feature("a", &["used", "unused"], &[])?,
        feature("b", &[], &["a"])?.with_field(field("default", "a", &["used"])?),
        feature("c", &[], &[])?
            .with_dep(FeatureDep::new("a")?)
            .with_field(FieldSpec::new("used")?.with_dep(FieldDep::new("a", ["used"])?)),
    ];
    let store = bed.store(graph(specs)?).await?;
    let write = async |used: &str, unused: Option<&str>| -> Outcome {
        let members = by_field(&[("used", &[Some(used)]), ("unused", &[unused])])?;
        let rows = [("id", ints([1])), ("metaxy_provenance_by_field", members)];
        store.write(&key("a")?, frame(rows)?).await?;
        Ok(())
    };
    write("u", Some("1")).await?;
    compute(&store, "b").await?;
    compute(&store, "c").await?;
    for unused in [Some("2"), Some(""), None] {
        write("u", unused).await?;
        resolve(&store, "b").await?.nothing()?;
        resolve(&store, "c").await?.nothing()?;
    }
    write("v", None).await?;
    resolve(&store, "b").await?.are(&[], &[1], &[])?;
    resolve(&store, "c").await?.are(&[], &[1], &[])
}

/// `child` with the fields of [`DOCUMENTED`].
fn documented() -> Result<FeatureGraph> {
    let words = FieldSpec::new("a-b/c")?
        .with_code_version("2")
        .with_dep(FieldDep::new("video/raw", ["audio"])?);
    graph([
        feature("video/raw", &["audio", "frames"], &[])?,
        feature("child", &[], &["video/raw"])?
            .with_field(field("boxes", "video/raw", &["frames", "audio"])?)
            .with_field(words),
    ])
}
