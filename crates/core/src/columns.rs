//! Names of the columns that the system adds to every feature table (`semantics.md` §4).

/// What every system column's name starts with; user columns must not.
pub const SYSTEM_PREFIX: &str = "metaxy_";
/// Struct of text, one member per field: the provenance hash of each field.
pub const PROVENANCE_BY_FIELD: &str = "metaxy_provenance_by_field";
/// Text: the hash of [`PROVENANCE_BY_FIELD`].
pub const PROVENANCE: &str = "metaxy_provenance";
/// Struct of text, one member per field: provenance, unless the user overrode it.
pub const DATA_VERSION_BY_FIELD: &str = "metaxy_data_version_by_field";
/// Text: the hash of [`DATA_VERSION_BY_FIELD`].
pub const DATA_VERSION: &str = "metaxy_data_version";
/// Text: the version of the feature's definition that the row was written under.
pub const FEATURE_VERSION: &str = "metaxy_feature_version";
/// Text: the version of the whole project that the row was written under.
pub const PROJECT_VERSION: &str = "metaxy_project_version";
/// UTC microseconds: when the sample was first written.
pub const CREATED_AT: &str = "metaxy_created_at";
/// UTC microseconds: when this row was written.
pub const UPDATED_AT: &str = "metaxy_updated_at";
/// UTC microseconds: when the sample was soft-deleted; null while it is alive.
pub const DELETED_AT: &str = "metaxy_deleted_at";
/// Text: the run of an orchestrator that wrote the row.
pub const MATERIALIZATION_ID: &str = "metaxy_materialization_id";

/// True or null: the row says that its parent was looked at and has no children. Only tables in which there is such a row have the
/// column, and reads leave out both (`semantics.md` §15).
pub const EMPTY: &str = "metaxy_empty";

/// The system columns of every feature table, in the order in which new tables get them.
pub const ALL: [&str; 10] = [
    PROVENANCE_BY_FIELD,
    PROVENANCE,
    DATA_VERSION_BY_FIELD,
    DATA_VERSION,
    FEATURE_VERSION,
    PROJECT_VERSION,
    CREATED_AT,
    UPDATED_AT,
    DELETED_AT,
    MATERIALIZATION_ID,
];

/// Whether `name` is one of the system columns.
#[must_use]
pub fn is_system(name: &str) -> bool {
    name == EMPTY || ALL.contains(&name)
}
