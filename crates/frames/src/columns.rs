//! Which type a column gets, and arrays under another name of the same type.

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef, TimeUnit};
use indexmap::IndexSet;
use metaxy_core::{Result, columns};

/// What is known about a frame's columns before it is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints(Option<SchemaRef>);

impl Hints {
    pub(crate) fn new(schema: Option<SchemaRef>) -> Self {
        Self(schema)
    }

    /// The schema that the caller gave.
    pub(crate) fn schema(&self) -> Option<&SchemaRef> {
        self.0.as_ref()
    }

    /// The type that column `name` must have, if that is known. By-field columns follow [`Hints::members`] instead.
    pub(crate) fn column(&self, name: &str) -> Option<DataType> {
        if is_by_field(name) {
            return None;
        }
        let hinted = self
            .0
            .as_ref()
            .and_then(|schema| schema.field_with_name(name).ok());
        match hinted.map(Field::data_type) {
            // An all-null column of the hint says nothing.
            Some(DataType::Null) | None => system_type(name),
            Some(data_type) => Some(data_type.clone()),
        }
    }

    /// The members known of by-field column `name`, in the hint's order.
    pub(crate) fn members(&self, name: &str) -> IndexSet<String> {
        let hinted = self
            .0
            .as_ref()
            .and_then(|schema| schema.field_with_name(name).ok());
        match hinted.map(Field::data_type) {
            Some(DataType::Struct(fields)) => {
                fields.iter().map(|field| field.name().clone()).collect()
            }
            _ => IndexSet::new(),
        }
    }
}

/// Whether `name` is one of the columns that hold a struct of text.
pub(crate) fn is_by_field(name: &str) -> bool {
    name == columns::PROVENANCE_BY_FIELD || name == columns::DATA_VERSION_BY_FIELD
}

/// Splits the name of a flattened CSV column, `metaxy_provenance_by_field.audio`, into column and member. Struct keys hold
/// no dot (`semantics.md` §1), so the first one separates.
pub(crate) fn split_flattened(name: &str) -> Option<(&str, &str)> {
    name.split_once('.')
        .filter(|(column, member)| is_by_field(column) && !member.is_empty())
}

/// The name of a flattened CSV column.
pub(crate) fn flattened(column: &str, member: &str) -> String {
    format!("{column}.{member}")
}

/// The type of a by-field column with these members.
pub(crate) fn by_field_type<'a>(members: impl IntoIterator<Item = &'a str>) -> DataType {
    DataType::Struct(
        members
            .into_iter()
            .map(|member| Field::new(member, DataType::Utf8, true))
            .collect(),
    )
}

/// The fixed type of a system column.
fn system_type(name: &str) -> Option<DataType> {
    match name {
        columns::CREATED_AT | columns::UPDATED_AT | columns::DELETED_AT => Some(
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        columns::EMPTY => Some(DataType::Boolean),
        _ if is_by_field(name) => None,
        _ => columns::is_system(name).then_some(DataType::Utf8),
    }
}

/// `data_type` without time zones, at any depth. Arrow keeps times in UTC whatever the zone, and its kernels only know
/// zones given as offsets; so values are handled without one and get it back by [`retype`].
pub(crate) fn zoneless(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| -> FieldRef {
        field
            .as_ref()
            .clone()
            .with_data_type(zoneless(field.data_type()))
            .into()
    };
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, None),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::ListView(item) => DataType::ListView(inner(item)),
        DataType::LargeListView(item) => DataType::LargeListView(inner(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(inner(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Fields>()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// `array` under the type `to`, which lays its values out in the same way, such as [`zoneless`] of its type or back.
pub(crate) fn retype(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    Ok(make_array(retype_data(array.to_data(), to)?))
}

fn retype_data(data: ArrayData, to: &DataType) -> Result<ArrayData> {
    let wanted: Vec<&DataType> = match to {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        _ => data.child_data().iter().map(ArrayData::data_type).collect(),
    };
    let children = data
        .child_data()
        .iter()
        .zip(wanted)
        .map(|(child, wanted)| retype_data(child.clone(), wanted))
        .collect::<Result<Vec<_>>>()?;
    Ok(data
        .into_builder()
        .data_type(to.clone())
        .child_data(children)
        .build()?)
}
