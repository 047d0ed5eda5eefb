//! The versions that a write derives, keeps and sets (§4, §5).

use arrow::array::new_null_array;
use arrow::datatypes::DataType;
use metaxy_store::hash::Hasher;
use metaxy_store::{Error, ErrorKind, MetadataStore, ReadOptions, WriteOptions};

use super::refused_rows;
use crate::bed::TestBed;
use crate::bed::frames::{
    by_field, everything, frame, ints, read, samples, texts, times, videos, with_column,
};
use crate::bed::graphs::{key, pair, video};
use crate::outcome::{Outcome, check, check_eq, names, refused};

/// The provenance of a root's sample is the hash of its fields' provenances in the order of their names, and the data version is
/// the same (§4).
pub async fn derives_the_provenance_of_a_root(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    // The members stand in another order than that of the hash.
    let rows = frame([
        ("id", ints([1, 2])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("frames", &["f1", "f2"]), ("audio", &["a1", ""])])?,
        ),
    ])?;
    store.write(&key("video/raw")?, rows).await?;
    let rows = read(&store, "video/raw", ReadOptions::default()).await?;
    let expected = [hash(&store, "a1|f1"), hash(&store, "|f2")];
    check_eq(
        rows.words("metaxy_provenance")?,
        &expected[..],
        "provenance",
    )?;
    check_eq(
        rows.words("metaxy_data_version")?,
        &expected[..],
        "data version",
    )?;
    for column in ["metaxy_provenance_by_field", "metaxy_data_version_by_field"] {
        let audio = rows.words(&format!("{column}.audio"))?;
        check_eq(audio, ["a1", ""], format!("the sound in {column}"))?;
        let frames = rows.words(&format!("{column}.frames"))?;
        check_eq(frames, ["f1", "f2"], format!("the pictures in {column}"))?;
    }
    Ok(())
}

/// A provenance that the frame holds is kept, and is the data version too (§4).
pub async fn keeps_a_given_provenance(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "a"), (2, "b")])?;
    let rows = with_column(&rows, "metaxy_provenance", texts(["mine", "yours"]))?;
    store.write(&key("a")?, rows).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    for column in ["metaxy_provenance", "metaxy_data_version"] {
        check_eq(rows.words(column)?, ["mine", "yours"], column)?;
    }
    check_eq(
        rows.words("metaxy_provenance_by_field.default")?,
        ["a", "b"],
        "by field",
    )
}

/// Both provenance columns of a dependent feature, as an increment brings them, are stored as they are (§4).
pub async fn keeps_both_provenance_columns_of_a_dependent(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = samples(&[(1, "123"), (2, "456")])?;
    let rows = with_column(&rows, "metaxy_provenance", texts(["777", "888"]))?;
    store.write(&key("b")?, rows).await?;
    let rows = read(&store, "b", ReadOptions::default()).await?;
    let columns = [
        "id",
        "metaxy_provenance_by_field.default",
        "metaxy_provenance",
        "metaxy_data_version_by_field.default",
        "metaxy_data_version",
    ];
    let expected = ["1 123 777 123 777", "2 456 888 456 888"];
    check_eq(rows.lines(&columns)?, expected, "the versions")
}

/// A frame without `metaxy_provenance_by_field` is refused, for roots and for others (§4).
pub async fn refuses_rows_without_provenance(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    for feature in ["a", "b"] {
        let bare = frame([("id", ints([1]))])?;
        let derived = with_column(&bare, "metaxy_provenance", texts(["x"]))?;
        for rows in [bare, derived] {
            let named = format!("feature: {feature}");
            let expected = ["metaxy_provenance_by_field", &named, "default", "main"];
            refused_rows(&store, feature, rows, &expected).await?;
        }
    }
    Ok(())
}

/// A by-field column that lacks a field of the feature is refused; the error names the field (§4).
pub async fn refuses_provenance_that_lacks_a_field(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = frame([
        ("id", ints([1])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("audio", &["a"])])?,
        ),
    ])?;
    let expected = [
        "metaxy_provenance_by_field",
        "\"frames\"",
        "video/raw",
        "main",
    ];
    refused_rows(&store, "video/raw", rows, &expected).await
}

/// A version of what is no field of the feature is refused by its name: such rows are of another feature (§15). A member without values says
/// nothing; rows that keep their version may have the fields of another.
pub async fn refuses_versions_of_what_is_no_field(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = |other: Option<&'static str>| {
        frame([
            ("id", ints([1, 2])),
            (
                "metaxy_provenance_by_field",
                by_field(&[
                    ("aaa", &[None, other]),
                    ("default", &[Some("d"), Some("e")]),
                ])?,
            ),
        ])
    };
    let named = ["\"aaa\"", "row 2", "default", "feature: a", "main"];
    refused_rows(&store, "a", rows(Some("x"))?, &named).await?;
    let data = samples(&[(1, "d"), (2, "e")])?;
    let others = by_field(&[("default", &["d", "e"]), ("bbb", &["x", "y"])])?;
    let data = with_column(&data, "metaxy_data_version_by_field", others)?;
    refused_rows(&store, "a", data, &["\"bbb\"", "row 1", "main"]).await?;
    store.write(&key("a")?, rows(None)?).await?;
    let found = read(&store, "a", ReadOptions::default()).await?;
    let expected = [hash(&store, "d"), hash(&store, "e")];
    check_eq(found.words("metaxy_provenance")?, expected, "provenance")?;
    let kept = rows(Some("x"))?;
    let kept = with_column(&kept, "metaxy_feature_version", texts(["v", "v"]))?;
    let kept = with_column(&kept, "metaxy_project_version", texts(["p", "p"]))?;
    let keep = WriteOptions::default().with_preserve_feature_version(true);
    store.write_with(&key("a")?, kept, keep).await?;
    Ok(())
}

/// Where every field has to have a version, one without is refused by row and field, and nothing is written (§15).
pub async fn refuses_fields_without_a_version_where_asked(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = frame([
        ("id", ints([1, 2])),
        (
            "metaxy_provenance_by_field",
            by_field(&[("default", &[Some("d"), None])])?,
        ),
    ])?;
    let all = || WriteOptions::default().with_require_versions(true);
    let error = refused(
        store.write_with(&key("a")?, rows.clone(), all()).await,
        ErrorKind::InvalidFrame,
    )?;
    names(&error, &["\"default\"", "row 2", "feature: a", "main"])?;
    check(
        store.feature_schema(&key("a")?).await?.is_none(),
        "a table was made",
    )?;
    store
        .write_with(&key("a")?, rows.slice(0, 1), all())
        .await?;
    store.write(&key("a")?, rows).await?;
    Ok(())
}

/// A frame without rows need not know the types of its columns.
pub async fn an_empty_frame_may_lack_types(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let nothing = || new_null_array(&DataType::Null, 0);
    let empty = || frame([("id", nothing()), ("metaxy_provenance_by_field", nothing())]);
    store.write(&key("a")?, empty()?).await?;
    store.write(&key("a")?, samples(&[(1, "d")])?).await?;
    store.write(&key("a")?, empty()?).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1], "samples")?;
    let untyped = frame([
        ("id", ints([1])),
        (
            "metaxy_provenance_by_field",
            new_null_array(&DataType::Null, 1),
        ),
    ])?;
    refused_rows(
        &store,
        "a",
        untyped,
        &["metaxy_provenance_by_field", "default", "main"],
    )
    .await
}

/// A by-field column that holds something else than texts by field is refused with its type (§4).
pub async fn refuses_provenance_that_is_no_struct(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let text = frame([
        ("id", ints([1])),
        ("metaxy_provenance_by_field", texts(["a"])),
    ])?;
    let column = "metaxy_provenance_by_field";
    refused_rows(&store, "a", text, &[column, "Utf8", "feature: a", "main"]).await?;
    let data = with_column(
        &samples(&[(1, "a")])?,
        "metaxy_data_version_by_field",
        ints([1]),
    )?;
    let column = "metaxy_data_version_by_field";
    refused_rows(&store, "a", data, &[column, "Int64", "feature: a", "main"]).await
}

/// A given data version by field is kept and hashed; rows in which it is null have the provenance (§4).
pub async fn hashes_a_given_data_version(bed: &TestBed) -> Outcome {
    let store = bed.store(video()?).await?;
    let rows = videos(&[(1, "a1", "f1"), (2, "a2", "f2")])?;
    let given = by_field(&[("audio", &["da", "unused"]), ("frames", &["df", "unused"])])?;
    let first_only = arrow::array::BooleanArray::from(vec![false, true]);
    let given = arrow::compute::nullif(&given, &first_only).map_err(Error::from)?;
    let rows = with_column(&rows, "metaxy_data_version_by_field", given)?;
    store.write(&key("video/raw")?, rows).await?;
    let rows = read(&store, "video/raw", ReadOptions::default()).await?;
    let provenance = [hash(&store, "a1|f1"), hash(&store, "a2|f2")];
    check_eq(
        rows.words("metaxy_provenance")?,
        &provenance[..],
        "provenance",
    )?;
    let expected = [hash(&store, "da|df"), provenance[1].clone()];
    check_eq(rows.words("metaxy_data_version")?, expected, "data version")?;
    let audio = rows.words("metaxy_data_version_by_field.audio")?;
    check_eq(audio, ["da", "a2"], "the sound's")?;
    let frames = rows.words("metaxy_data_version_by_field.frames")?;
    check_eq(frames, ["df", "f2"], "the pictures'")
}

/// `metaxy_data_version` without its by-field column is refused; the error says what to add (§10).
pub async fn refuses_a_data_version_without_its_fields(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let rows = with_column(&samples(&[(1, "a")])?, "metaxy_data_version", texts(["x"]))?;
    let expected = ["metaxy_data_version_by_field", "feature: a", "main"];
    refused_rows(&store, "a", rows, &expected).await
}

/// Whatever the frame says, feature and project version, `metaxy_updated_at` and `metaxy_deleted_at` are the store's to set (§5).
pub async fn sets_versions_and_times_itself(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let now = bed.clock().peek();
    let mut rows = samples(&[(1, "a")])?;
    for column in ["metaxy_feature_version", "metaxy_project_version"] {
        rows = with_column(&rows, column, texts(["mine"]))?;
    }
    for column in ["metaxy_updated_at", "metaxy_deleted_at"] {
        rows = with_column(&rows, column, times([now + 86_400_000_000]))?;
    }
    store.write(&key("a")?, rows).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    let graph = store.graph();
    let expected = [graph.feature_version("a")?];
    check_eq(
        rows.words("metaxy_feature_version")?,
        expected,
        "feature version",
    )?;
    let expected = [graph.project_version("demo")];
    check_eq(
        rows.words("metaxy_project_version")?,
        expected,
        "project version",
    )?;
    check_eq(rows.times("metaxy_updated_at")?, [Some(now)], "updated")?;
    check_eq(rows.times("metaxy_created_at")?, [Some(now)], "created")?;
    check_eq(rows.times("metaxy_deleted_at")?, [None], "deleted")
}

/// `metaxy_created_at` is kept where the frame has it, and set where it is null (§5).
pub async fn keeps_the_creation_time_that_is_given(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let now = bed.clock().peek();
    let rows = samples(&[(1, "a"), (2, "a")])?;
    let created = times([Some(1_234_567_890_123_456), None]);
    let rows = with_column(&rows, "metaxy_created_at", created)?;
    store.write(&key("a")?, rows).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(
        rows.times("metaxy_created_at")?,
        [Some(1_234_567_890_123_456), Some(now)],
        "created",
    )?;
    check_eq(
        rows.times("metaxy_updated_at")?,
        [Some(now), Some(now)],
        "updated",
    )
}

/// Asked to preserve them, a write keeps the versions of a frame that has both, and sets them otherwise (§5).
pub async fn keeps_versions_when_asked(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let keep = || WriteOptions::default().with_preserve_feature_version(true);
    let one = with_column(
        &samples(&[(1, "a")])?,
        "metaxy_feature_version",
        texts(["theirs"]),
    )?;
    let both = with_column(&one, "metaxy_project_version", texts(["old"]))?;
    store.write_with(&key("a")?, both, keep()).await?;
    let other = with_column(&one, "id", ints([2]))?;
    store.write_with(&key("a")?, other, keep()).await?;
    let rows = read(&store, "a", everything()).await?;
    let graph = store.graph();
    let expected = ["theirs", graph.feature_version("a")?];
    check_eq(rows.words("metaxy_feature_version")?, expected, "features")?;
    let expected = ["old", graph.project_version("demo")];
    check_eq(rows.words("metaxy_project_version")?, expected, "projects")
}

/// Columns whose names look like joined system columns, which frames of the reference may hold, change no system column (§10).
pub async fn stray_system_columns_do_no_harm(bed: &TestBed) -> Outcome {
    let store = bed.store(pair()?).await?;
    let now = bed.clock().peek();
    let mut rows = samples(&[(1, "a")])?;
    for column in [
        "metaxy_provenance__upstream",
        "metaxy_feature_version__a",
        "__metaxy_duplicated_data_version",
    ] {
        rows = with_column(&rows, column, texts(["stray"]))?;
    }
    rows = with_column(&rows, "metaxy_deleted_at_right", times([5]))?;
    store.write(&key("a")?, rows.clone()).await?;
    // Once more over the table that has them, and without them.
    store.write(&key("a")?, rows).await?;
    store.write(&key("a")?, samples(&[(2, "a")])?).await?;
    let rows = read(&store, "a", ReadOptions::default()).await?;
    check_eq(rows.ids()?, [1, 2], "the samples")?;
    let version = store.graph().feature_version("a")?;
    check_eq(
        rows.words("metaxy_feature_version")?,
        [version, version],
        "feature version",
    )?;
    let provenance = hash(&store, "a");
    check_eq(
        rows.words("metaxy_provenance")?,
        [provenance.clone(), provenance],
        "provenance",
    )?;
    check_eq(
        rows.times("metaxy_updated_at")?,
        [Some(now + 1_000), Some(now + 2_000)],
        "updated",
    )?;
    check_eq(rows.times("metaxy_deleted_at")?, [None, None], "deleted")
}

/// The hash of a text as the store writes it.
fn hash(store: &MetadataStore, text: &str) -> String {
    let hash = store.hash();
    let mut hasher = Hasher::new(hash.algorithm);
    hasher.update(text.as_bytes());
    hasher.finish().truncated(hash.length).as_str().to_owned()
}
