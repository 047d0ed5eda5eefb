//! Three steps of processing that stand for real work. Two read one part of a file only, the third what these two found.
//!
//! [`keywords`] looks at prose alone and [`symbols`] at the outline alone. So the results of a feature that depends on the
//! field `prose` cannot change when only code does, and Metaxy does well not to compute them again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use metaxy_store::{Error, ErrorKind, Result, columns};

use super::parts::Document;

/// How many words or names a result shows.
const SHOWN: usize = 5;

/// The result of one step on one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How many there are.
    pub count: i64,
    /// The foremost of them, joined by `, `; empty when there are none.
    pub text: String,
}

/// The number of words in a file's prose, and its most frequent telling words, the most frequent first.
///
/// # Errors
/// `Io` when the file cannot be read.
pub fn keywords(path: &Path) -> Result<Outcome> {
    let words = Document::read(path)?.prose;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &words {
        if word.chars().count() > 3 && !COMMON.contains(&word.as_str()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    Ok(outcome(
        words.len(),
        ranked.into_iter().map(|(word, _)| word),
    ))
}

/// The number of a file's definitions and headings, and the names of the first of them.
///
/// # Errors
/// `Io` when the file cannot be read.
pub fn symbols(path: &Path) -> Result<Outcome> {
    let outline = Document::read(path)?.outline;
    Ok(outcome(
        outline.len(),
        outline.iter().map(|item| item.name.as_str()),
    ))
}

/// `samples` with the columns `words` (64-bit integer) and `keywords` (text) of the file that its column `path` names below
/// `folder`.
///
/// # Errors
/// - `InvalidFrame`: there is no text column `path`.
/// - `Io`: a file cannot be read.
pub fn with_keywords(folder: &Path, samples: &RecordBatch) -> Result<RecordBatch> {
    extend(folder, samples, ["words", "keywords"], keywords)
}

/// `samples` with the columns `definitions` (64-bit integer) and `symbols` (text), as [`with_keywords`].
///
/// # Errors
/// As [`with_keywords`].
pub fn with_symbols(folder: &Path, samples: &RecordBatch) -> Result<RecordBatch> {
    extend(folder, samples, ["definitions", "symbols"], symbols)
}

/// `path`, the version columns and a column `card`: a line made of the columns `symbols` and `keywords`. Nothing else of
/// `samples` is kept, so that a card holds what it depends on and no more.
///
/// # Errors
/// `InvalidFrame`: there is no text column `symbols` or `keywords`.
pub fn with_card(samples: &RecordBatch) -> Result<RecordBatch> {
    let text = |name: &str| {
        let column = samples
            .column_by_name(name)
            .and_then(|column| cast(column, &DataType::Utf8).ok());
        column.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidFrame,
                format!("the samples have no text column '{name}'"),
            )
        })
    };
    let (symbols, keywords) = (text("symbols")?, text("keywords")?);
    let cards: StringArray = symbols
        .as_string::<i32>()
        .iter()
        .zip(keywords.as_string::<i32>())
        .map(|parts| {
            let parts: Vec<&str> = [parts.0, parts.1].into_iter().flatten().collect();
            let told: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            Some(told.join(" · "))
        })
        .collect();
    let mut fields = Vec::new();
    let mut kept: Vec<ArrayRef> = Vec::new();
    for (field, column) in samples.schema_ref().fields().iter().zip(samples.columns()) {
        let name = field.name();
        if name == "path" || name.starts_with(columns::SYSTEM_PREFIX) {
            fields.push(field.clone());
            kept.push(column.clone());
        }
    }
    fields.push(Arc::new(Field::new("card", DataType::Utf8, true)));
    kept.push(Arc::new(cards));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), kept)?)
}

fn extend(
    folder: &Path,
    samples: &RecordBatch,
    names: [&str; 2],
    step: impl Fn(&Path) -> Result<Outcome>,
) -> Result<RecordBatch> {
    let missing = || {
        Error::new(
            ErrorKind::InvalidFrame,
            "the samples have no text column 'path'",
        )
        .with_hint("the path identifies a file: keep it when columns are selected")
    };
    let paths = samples.column_by_name("path").ok_or_else(missing)?;
    let paths = cast(paths, &DataType::Utf8).map_err(|_| missing())?;
    let outcomes = paths
        .as_string::<i32>()
        .iter()
        .map(|path| path.map(|path| step(&folder.join(path))).transpose())
        .collect::<Result<Vec<_>>>()?;

    let counts: Int64Array = outcomes
        .iter()
        .map(|o| o.as_ref().map(|o| o.count))
        .collect();
    let texts: StringArray = outcomes
        .iter()
        .map(|o| o.as_ref().map(|o| o.text.as_str()))
        .collect();
    let added: [(&str, ArrayRef); 2] = [(names[0], Arc::new(counts)), (names[1], Arc::new(texts))];
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in samples.schema_ref().fields().iter().zip(samples.columns()) {
        // A sample that was processed before carries the columns already.
        if !names.contains(&field.name().as_str()) {
            fields.push(field.clone());
            columns.push(column.clone());
        }
    }
    for (name, column) in added {
        fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

fn outcome<'a>(count: usize, names: impl Iterator<Item = &'a str>) -> Outcome {
    Outcome {
        count: i64::try_from(count).unwrap_or(i64::MAX),
        text: names.take(SHOWN).collect::<Vec<_>>().join(", "),
    }
}

/// Frequent words that tell nothing.
const COMMON: [&str; 40] = [
    "about", "also", "another", "because", "been", "before", "being", "both", "does", "each",
    "else", "even", "from", "have", "here", "into", "like", "more", "most", "must", "only",
    "other", "over", "same", "should", "some", "such", "than", "that", "their", "them", "then",
    "there", "these", "they", "this", "used", "when", "which", "with",
];
