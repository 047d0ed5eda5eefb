//! Rows made of Rust values, and Rust values made of rows.

use std::any::type_name;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use marrow::view::View;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Feature;
use crate::columns::{DATA_VERSION_BY_FIELD, PROVENANCE_BY_FIELD};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rows;

/// A row together with the versions that travel with it.
///
/// Rows of an increment have them; a root feature's samples are given theirs. The keys of both maps are the names of the feature's
/// fields in stored columns ([`FieldKey::struct_key`](crate::FieldKey::struct_key)).
///
/// ```
/// use metaxy_core::typed::Sample;
/// let video = Sample::new("a.mp4", [("audio", "5f1c"), ("frames", "09ab")]);
/// assert_eq!(video.map(str::len).row, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample<T> {
    /// The columns.
    pub row: T,
    /// The provenance of each field; empty for a null.
    pub provenance_by_field: BTreeMap<String, String>,
    /// The data version of each field. `None`: the provenance.
    pub data_version_by_field: Option<BTreeMap<String, String>>,
}

impl<T> Sample<T> {
    /// A row and the provenance of each of its fields.
    pub fn new<K: Into<String>, V: Into<String>>(
        row: T,
        provenance_by_field: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            row,
            provenance_by_field: pairs(provenance_by_field),
            data_version_by_field: None,
        }
    }

    /// Sets the data version of each field, on which the versions of downstream samples depend.
    #[must_use]
    pub fn with_data_versions<K: Into<String>, V: Into<String>>(
        mut self,
        versions: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.data_version_by_field = Some(pairs(versions));
        self
    }

    /// The sample with another row and the same versions: the work of a feature, done on a row of its increment.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Sample<U> {
        Sample {
            row: f(self.row),
            provenance_by_field: self.provenance_by_field,
            data_version_by_field: self.data_version_by_field,
        }
    }

    /// As [`map`](Self::map), with work that can fail.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Sample<U>, E> {
        let Self {
            row,
            provenance_by_field,
            data_version_by_field,
        } = self;
        Ok(Sample {
            row: f(row)?,
            provenance_by_field,
            data_version_by_field,
        })
    }
}

impl Rows {
    /// Rows with the columns of [`T::schema`](Feature::schema) and nothing else, in one batch, for any other user of Arrow. What a
    /// store takes is made by [`from_samples`](Self::from_samples).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] that names the feature and the column, when a value does not fit its column.
    pub fn serialize<T: Feature + Serialize>(rows: &[T]) -> Result<Self> {
        let rows: Vec<&T> = rows.iter().collect();
        let columns = arrays(T::schema().fields().iter().map(Arc::as_ref), &rows);
        let columns = columns.map_err(|e| unfit::<T>(&e))?;
        batch(T::schema().as_ref().clone(), columns)
    }

    /// Rows with the columns of [`T::schema`](Feature::schema) and `metaxy_provenance_by_field`, and with `metaxy_data_version_by_field` if any
    /// sample has data versions of its own: what a write takes, and the samples of a root feature's resolve. The columns may be null,
    /// as those of a table: a row of another write may lack one (`semantics.md` §5).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] that names the feature and the column, when a value does not fit its column or a version is
    /// given for a field that the feature has not; and those of [`Feature::definition`].
    pub fn from_samples<T: Feature + Serialize>(samples: &[Sample<T>]) -> Result<Self> {
        let spec = T::definition()?.spec;
        let members: Vec<String> = spec.fields().iter().map(|f| f.key.struct_key()).collect();
        for sample in samples {
            let data = sample.data_version_by_field.iter().flatten();
            for (name, _) in sample.provenance_by_field.iter().chain(data) {
                if !members.contains(name) {
                    return Err(Error::new(
                        ErrorKind::InvalidFrame,
                        format!(
                            "a sample of feature `{}` has a version of field `{name}`, which the feature has not",
                            T::KEY
                        ),
                    )
                    .with_hint(format!("its fields are {}", members.join(", "))));
                }
            }
        }
        let of_text = members
            .iter()
            .map(|name| Field::new(name, DataType::Utf8, true));
        let of_text = DataType::Struct(of_text.collect());
        let by_field = |name: &str| Field::new(name, of_text.clone(), true);
        let mut versions = vec![by_field(PROVENANCE_BY_FIELD)];
        if samples.iter().any(|s| s.data_version_by_field.is_some()) {
            versions.push(by_field(DATA_VERSION_BY_FIELD));
        }
        let rows: Vec<&T> = samples.iter().map(|sample| &sample.row).collect();
        let of_samples: Vec<Versions> = samples.iter().map(Versions::of).collect();
        let schema = T::schema();
        let mut columns =
            arrays(schema.fields().iter().map(Arc::as_ref), &rows).map_err(|e| unfit::<T>(&e))?;
        columns.extend(arrays(versions.iter(), &of_samples).map_err(|e| unfit::<T>(&e))?);
        let fields = schema
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true));
        let fields: Vec<Field> = fields.chain(versions).collect();
        batch(Schema::new(fields), columns)
    }

    /// The rows as values of `T`. Columns that `T` has no member for are left out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFrame`] that names the type and the column, when a column that `T` needs is missing, is null where `T`
    /// has no `Option`, or holds what does not fit.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let mut all = Vec::with_capacity(self.num_rows());
        for batch in self.batches() {
            let (mut fields, mut views, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
            for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
                match (
                    marrow::datatypes::Field::try_from(field.as_ref()),
                    View::try_from(column.as_ref()),
                ) {
                    (Ok(field), Ok(view)) => {
                        fields.push(field);
                        views.push(view);
                    }
                    _ => left_out.push(format!("{:?} ({})", field.name(), field.data_type())),
                }
            }
            let rows: Result<Vec<T>, _> = serde_arrow::from_marrow(&fields, &views);
            all.extend(rows.map_err(|e| {
                let error = Error::new(
                    ErrorKind::InvalidFrame,
                    format!("rows cannot be read as `{}`: {e}", type_name::<T>()),
                );
                error.with_hint(match left_out.as_slice() {
                    [] => {
                        let names = fields.iter().map(|f| f.name.as_str());
                        format!(
                            "the columns are {}; one that may be null is an `Option`",
                            names.collect::<Vec<_>>().join(", ")
                        )
                    }
                    some => format!("no Rust type takes the columns {}", some.join(", ")),
                })
            })?);
        }
        Ok(all)
    }

    /// The rows as values of `T`, each with its versions: rows of an increment, or rows that were read from a store.
    ///
    /// # Errors
    /// Those of [`deserialize`](Self::deserialize), and [`ErrorKind::InvalidFrame`] when there is no column `metaxy_provenance_by_field`.
    pub fn samples<T: DeserializeOwned>(&self) -> Result<Vec<Sample<T>>> {
        if self.schema().field_with_name(PROVENANCE_BY_FIELD).is_err() {
            return Err(Error::new(
                ErrorKind::InvalidFrame,
                format!("the rows have no column {PROVENANCE_BY_FIELD:?}"),
            )
            .with_hint("use `deserialize` for rows without versions"));
        }
        let versions = self.deserialize::<Versions>()?;
        let samples = self.deserialize::<T>()?.into_iter().zip(versions);
        Ok(samples
            .map(|(row, versions)| Sample {
                row,
                provenance_by_field: pairs(present(versions.provenance.unwrap_or_default())),
                data_version_by_field: versions.data.map(|data| pairs(present(data))),
            })
            .collect())
    }
}

/// The by-field columns of one row.
#[derive(Serialize, Deserialize)]
struct Versions {
    #[serde(rename = "metaxy_provenance_by_field")]
    provenance: Option<BTreeMap<String, Option<String>>>,
    #[serde(rename = "metaxy_data_version_by_field")]
    data: Option<BTreeMap<String, Option<String>>>,
}

impl Versions {
    fn of<T>(sample: &Sample<T>) -> Self {
        let given = |map: &BTreeMap<String, String>| {
            let pairs = map.iter().map(|(k, v)| (k.clone(), Some(v.clone())));
            pairs.collect()
        };
        let provenance = &sample.provenance_by_field;
        Self {
            provenance: (!provenance.is_empty()).then(|| given(provenance)),
            data: sample.data_version_by_field.as_ref().map(given),
        }
    }
}

fn present(map: BTreeMap<String, Option<String>>) -> impl Iterator<Item = (String, String)> {
    map.into_iter().filter_map(|(k, v)| v.map(|v| (k, v)))
}

fn pairs<K: Into<String>, V: Into<String>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter().map(|(k, v)| (k.into(), v.into()));
    pairs.collect()
}

/// One array per column. The conversion is that of `marrow`, which stays the same whatever other Arrow versions a program uses.
fn arrays<'a, T: Serialize>(
    columns: impl Iterator<Item = &'a Field>,
    rows: &[T],
) -> Result<Vec<ArrayRef>, Box<dyn std::error::Error>> {
    let columns = columns
        .map(marrow::datatypes::Field::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let arrays = serde_arrow::to_marrow(&columns, rows)?;
    let arrays = arrays.into_iter().map(ArrayRef::try_from);
    Ok(arrays.collect::<Result<_, _>>()?)
}

fn batch(schema: Schema, columns: Vec<ArrayRef>) -> Result<Rows> {
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?.into())
}

fn unfit<T: Feature>(cause: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidFrame,
        format!(
            "values of `{}` do not fit the columns of feature `{}`: {cause}",
            type_name::<T>(),
            T::KEY
        ),
    )
    .with_hint("the serde form of each member has to fit the type that its `ColumnType` states")
}
