//! What a feature file can say, in words. The parser knows a key if it stands here, and no other.

use std::fmt;

use crate::options::REQUIRED;

/// One kind of table of a feature file, such as a feature or a dependency.
///
/// The [tables](TABLES) are the one list of keys: the parser, the chapter of the guide and the [JSON schema](super::json_schema)
/// are made from them.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyTable {
    /// What it is, as a title: `A feature`.
    pub title: &'static str,
    /// How a file writes it, and what holds for it as a whole: a sentence or two of Markdown.
    pub summary: &'static str,
    /// Its keys.
    pub keys: &'static [KeyDoc],
    /// Which of its keys go together.
    pub rules: &'static [KeyRule],
}

/// One key of a feature file.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyDoc {
    /// Its name.
    pub name: &'static str,
    /// What is written for it.
    pub form: KeyForm,
    /// What applies where it is left out, in words or as it would be written; [`REQUIRED`](crate::options::REQUIRED) where it must be given,
    /// and empty where nothing applies.
    pub default: &'static str,
    /// What it does, in a sentence or two of Markdown.
    pub summary: &'static str,
    /// TOML that uses it. Together with [`UPSTREAM`], which comes after it, it is a whole feature file.
    pub example: &'static str,
}

/// What is written for a key. `Display` says it in words.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyForm {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// The key of a feature or a field: `"a/b"`, or the list of its parts.
    Key,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list.
    List(&'static KeyForm),
    /// A table with names of the user's choice.
    Map(&'static KeyForm),
    /// A table with these keys.
    Table(&'static KeyTable),
    /// A table of anything.
    Anything,
    /// One of several forms.
    OneOf(&'static [KeyForm]),
}

/// Which keys of a table go together.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyRule {
    /// Exactly one of these is given.
    ExactlyOne(&'static [&'static str]),
    /// The first is given with the second only.
    With(&'static str, &'static str),
    /// It is given without any other key.
    Alone(&'static str),
}

/// The features that the [examples](KeyDoc::example) depend on.
pub const UPSTREAM: &str = r#"[[feature]]
key = "video/raw"
id_columns = ["video_id"]
fields = ["audio", "frames"]

[[feature]]
key = "video/scene"
id_columns = ["video_id", "scene_id"]
deps = [{ feature = "video/raw", lineage = { expansion = ["video_id"] } }]
fields = ["frames"]
"#;

/// Every kind of table that a feature file has, the file itself first.
pub static TABLES: [&KeyTable; 8] = [
    &FILE, &FEATURE, &DEP, &LINEAGE, &MAPPING, &FIELD, &FIELD_DEP, &EXTERNAL,
];

/// A file as a whole.
pub(super) static FILE: KeyTable = KeyTable {
    title: "The file",
    summary: "These keys stand at the top of the file, before the first `[[feature]]`.",
    keys: &[
        KeyDoc {
            name: "project",
            form: KeyForm::Text,
            default: "that of the configuration",
            summary: "The project of the features that name none.",
            example: r#"project = "sources"
"#,
        },
        KeyDoc {
            name: "feature",
            form: KeyForm::List(&KeyForm::Table(&FEATURE)),
            default: "[]",
            summary: "The features, each a table `[[feature]]`.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]
"#,
        },
    ],
    rules: &[],
};

/// One feature.
pub(super) static FEATURE: KeyTable = KeyTable {
    title: "A feature",
    summary: "A table `[[feature]]`, with two brackets.",
    keys: &[
        KeyDoc {
            name: "key",
            form: KeyForm::Key,
            default: REQUIRED,
            summary: "The name of the feature: parts joined with `/`. A part has lower-case letters, digits, `_` and `-`, and the first one \
                starts with a letter or `_`.",
            example: r#"[[feature]]
key = "audio/raw"                      # or ["audio", "raw"]
id_columns = ["recording_id"]
"#,
        },
        KeyDoc {
            name: "id_columns",
            form: KeyForm::List(&KeyForm::Text),
            default: REQUIRED,
            summary: "The columns that identify a sample, one at least. Upstream features are joined on the ID columns that they have in common.",
            example: r#"[[feature]]
key = "audio/word"
id_columns = ["recording_id", "word_id"]
"#,
        },
        KeyDoc {
            name: "deps",
            form: KeyForm::List(&KeyForm::OneOf(&[KeyForm::Key, KeyForm::Table(&DEP)])),
            default: "[]",
            summary: "The upstream features: the key alone, or [a table](#a-dependency-of-a-feature). A feature without any is a root: who writes it \
                says which version each field of a sample has.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
deps = ["video/raw"]
"#,
        },
        KeyDoc {
            name: "fields",
            form: KeyForm::OneOf(&[
                KeyForm::List(&KeyForm::Key),
                KeyForm::Map(&KeyForm::OneOf(&[KeyForm::Text, KeyForm::Table(&FIELD)])),
            ]),
            default: "[\"default\"]",
            summary: "The parts of a sample that change independently of each other: a list of keys, or a table that gives each its code version \
                or [a table](#a-field). Their order counts.",
            example: r#"[[feature]]
key = "video/faces"
id_columns = ["video_id"]
deps = ["video/raw"]

[feature.fields]
boxes = "2"                            # short for { code_version = "2" }
count = {}                             # the initial code version
names = { deps = [{ feature = "video/raw", fields = ["frames"] }] }
"#,
        },
        KeyDoc {
            name: "description",
            form: KeyForm::Text,
            default: "",
            summary: "What the feature is, for people. It changes no version but the definition's.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
deps = ["video/raw"]
description = "What a list of videos shows of each."
"#,
        },
        KeyDoc {
            name: "metadata",
            form: KeyForm::Anything,
            default: "{}",
            summary: "Whatever else is to be known of the feature. It changes no version but the definition's.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
deps = ["video/raw"]
metadata = { owner = "search", tags = ["public"] }
"#,
        },
        KeyDoc {
            name: "project",
            form: KeyForm::Text,
            default: "that of the file, or of the configuration",
            summary: "The project that the feature belongs to.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]
project = "sources"
"#,
        },
        KeyDoc {
            name: "schema",
            form: KeyForm::Anything,
            default: "",
            summary: "The JSON schema of the columns. It says what text of CSV and JSON files is, before the first write.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]

[feature.schema]
type = "object"
properties = { recording_id = { type = "string" }, seconds = { type = "number" } }
"#,
        },
        KeyDoc {
            name: "class_path",
            form: KeyForm::Text,
            default: "",
            summary: "Where the definition lives in code, if it does. A note for people.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]
class_path = "sources.audio.Raw"
"#,
        },
        KeyDoc {
            name: "external",
            form: KeyForm::OneOf(&[KeyForm::Flag, KeyForm::Table(&EXTERNAL)]),
            default: "false",
            summary: "Whether another project defines the feature: then this is a placeholder, until a sync or a lock file brings the definition. \
                [A table](#an-external-feature) says more.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]
project = "sources"
external = true
"#,
        },
    ],
    rules: &[],
};

/// A dependency of a feature on another.
pub(super) static DEP: KeyTable = KeyTable {
    title: "A dependency of a feature",
    summary: "An element of `deps` of a feature. Renames come first: `select`, `filters` and `lineage` speak of columns by their new names.",
    keys: &[
        KeyDoc {
            name: "feature",
            form: KeyForm::Key,
            default: REQUIRED,
            summary: "The upstream feature.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
deps = [{ feature = "video/raw" }]     # the same as deps = ["video/raw"]
"#,
        },
        KeyDoc {
            name: "select",
            form: KeyForm::List(&KeyForm::Text),
            default: "all columns",
            summary: "The columns that come along, by their new names. ID columns and what Metaxy needs come along anyway.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", select = ["path", "seconds"] }]
"#,
        },
        KeyDoc {
            name: "rename",
            form: KeyForm::Map(&KeyForm::Text),
            default: "{}",
            summary: "New names of columns: `old = \"new\"`. The old name is that of the upstream feature, the new one is what the step sees.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
# The column `path` of video/raw is called `video_path` here.
deps = [{ feature = "video/raw", rename = { path = "video_path" }, select = ["video_path"] }]
"#,
        },
        KeyDoc {
            name: "filters",
            form: KeyForm::List(&KeyForm::Text),
            default: "[]",
            summary: "Conditions, [in SQL's words](crate::guide::concepts#filters), that rows upstream must meet. All must hold. What does not meet them is not \
                there for this feature.",
            example: r#"[[feature]]
key = "video/trailer"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", filters = ["seconds < 300", "path LIKE '%.mp4'"] }]
"#,
        },
        KeyDoc {
            name: "optional",
            form: KeyForm::Flag,
            default: "false",
            summary: "Whether a sample can be there without a row of this upstream. Where all upstreams are optional, a sample is what any of them has.",
            example: r#"[[feature]]
key = "video/card"
id_columns = ["video_id"]
deps = ["video/raw", { feature = "video/subtitles", optional = true }]

[[feature]]
key = "video/subtitles"
id_columns = ["video_id"]
"#,
        },
        KeyDoc {
            name: "lineage",
            form: KeyForm::OneOf(&[
                KeyForm::Words(&["identity", "aggregation"]),
                KeyForm::Table(&LINEAGE),
            ]),
            default: "\"identity\"",
            summary: "How rows upstream become rows here: one to one (`identity`), many to one (`aggregation`, on the ID columns of this feature), or \
                as [a table](#lineage-of-a-dependency) says.",
            example: r#"[[feature]]
key = "video/summary"
id_columns = ["video_id"]
# All scenes of a video are one summary.
deps = [{ feature = "video/scene", lineage = "aggregation" }]
"#,
        },
        KeyDoc {
            name: "fields_mapping",
            form: KeyForm::OneOf(&[
                KeyForm::Words(&["default", "all", "none"]),
                KeyForm::Table(&MAPPING),
            ]),
            default: "\"default\"",
            summary: "Which upstream fields a field depends on that names none itself: the one of the same key, or all if there is none (`default`), \
                all of them, none, or as [a table](#fields_mapping-of-a-dependency) says.",
            example: r#"[[feature]]
key = "video/checksum"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", fields_mapping = "all" }]
fields = ["audio"]                     # depends on audio and on frames
"#,
        },
    ],
    rules: &[],
};

/// The lineage of a dependency, where it is a table.
pub(super) static LINEAGE: KeyTable = KeyTable {
    title: "`lineage` of a dependency",
    summary: "One of `aggregation` and `expansion`.",
    keys: &[
        KeyDoc {
            name: "aggregation",
            form: KeyForm::List(&KeyForm::Text),
            default: "",
            summary: "Many rows upstream are one here: those that agree on these columns.",
            example: r#"[[feature]]
key = "video/summary"
id_columns = ["video_id"]
deps = [{ feature = "video/scene", lineage = { aggregation = ["video_id"] } }]
"#,
        },
        KeyDoc {
            name: "expansion",
            form: KeyForm::List(&KeyForm::Text),
            default: "",
            summary: "One row upstream is many here. These columns say which row upstream one comes from; the step makes the other ID columns.",
            example: r#"[[feature]]
key = "video/shot"
id_columns = ["video_id", "shot_id"]
deps = [{ feature = "video/raw", lineage = { expansion = ["video_id"] } }]
"#,
        },
        KeyDoc {
            name: "id_generation_pattern",
            form: KeyForm::Text,
            default: "",
            summary: "How the step makes the IDs of an expansion. A note for whoever writes it: nothing is made of it.",
            example: r#"[[feature]]
key = "video/shot"
id_columns = ["video_id", "shot_id"]

[[feature.deps]]
feature = "video/raw"
lineage = { expansion = ["video_id"], id_generation_pattern = "the first frame" }
"#,
        },
    ],
    rules: &[
        KeyRule::ExactlyOne(&["aggregation", "expansion"]),
        KeyRule::With("id_generation_pattern", "expansion"),
    ],
};

/// The mapping of fields of a dependency, where it is a table.
pub(super) static MAPPING: KeyTable = KeyTable {
    title: "`fields_mapping` of a dependency",
    summary: "The default with changes, or `specific` alone. A field whose own `deps` name upstream fields is not asked.",
    keys: &[
        KeyDoc {
            name: "match_suffix",
            form: KeyForm::Flag,
            default: "false",
            summary: "Whether a field depends also on upstream fields whose keys end with its own.",
            example: r#"[[feature]]
key = "voice/raw"
id_columns = ["video_id"]
fields = ["left/audio", "right/audio", "notes"]

[[feature]]
key = "voice/words"
id_columns = ["video_id"]
deps = [{ feature = "voice/raw", fields_mapping = { match_suffix = true } }]
fields = ["audio"]                     # depends on left/audio and right/audio
"#,
        },
        KeyDoc {
            name: "exclude_fields",
            form: KeyForm::List(&KeyForm::Key),
            default: "[]",
            summary: "Upstream fields that no field depends on.",
            example: r#"[[feature]]
key = "video/transcript"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", fields_mapping = { exclude_fields = ["frames"] } }]
fields = ["text"]                      # depends on audio
"#,
        },
        KeyDoc {
            name: "specific",
            form: KeyForm::Map(&KeyForm::List(&KeyForm::Key)),
            default: "",
            summary: "The upstream fields of each field: `here = [\"upstream\"]`. A field that is not named depends on none.",
            example: r#"[[feature]]
key = "video/index"
id_columns = ["video_id"]
fields = ["words", "faces"]

[[feature.deps]]
feature = "video/raw"
fields_mapping = { specific = { words = ["audio"], faces = ["frames"] } }
"#,
        },
    ],
    rules: &[KeyRule::Alone("specific")],
};

/// A field of a feature, where it is a table.
pub(super) static FIELD: KeyTable = KeyTable {
    title: "A field",
    summary: "An entry of `fields` of a feature, where that is a table. Text in its place is the code version.",
    keys: &[
        KeyDoc {
            name: "code_version",
            form: KeyForm::Text,
            default: "the initial one",
            summary: "The version of the code that computes the field: any text. Another text makes all samples new, here and downstream.",
            example: r#"[[feature]]
key = "video/transcript"
id_columns = ["video_id"]
deps = ["video/raw"]
fields = { text = { code_version = "2024-05" } }
"#,
        },
        KeyDoc {
            name: "deps",
            form: KeyForm::OneOf(&[
                KeyForm::Words(&["all"]),
                KeyForm::List(&KeyForm::OneOf(&[KeyForm::Key, KeyForm::Table(&FIELD_DEP)])),
            ]),
            default: "what `fields_mapping` says",
            summary: "The upstream fields that the field is computed from: `\"all\"`, or a list of features and [tables](#a-dependency-of-a-field).",
            example: r#"[[feature]]
key = "video/index"
id_columns = ["video_id"]
deps = ["video/raw"]

[feature.fields]
words = { deps = [{ feature = "video/raw", fields = ["audio"] }] }
total = { deps = "all" }
"#,
        },
    ],
    rules: &[],
};

/// A dependency of a field.
pub(super) static FIELD_DEP: KeyTable = KeyTable {
    title: "A dependency of a field",
    summary: "An element of `deps` of a field.",
    keys: &[
        KeyDoc {
            name: "feature",
            form: KeyForm::Key,
            default: REQUIRED,
            summary: "An upstream feature, which the `deps` of the feature name too.",
            example: r#"[[feature]]
key = "video/index"
id_columns = ["video_id"]
deps = ["video/raw"]
# All fields of video/raw; the same as deps = ["video/raw"].
fields = { words = { deps = [{ feature = "video/raw" }] } }
"#,
        },
        KeyDoc {
            name: "fields",
            form: KeyForm::OneOf(&[KeyForm::Words(&["all"]), KeyForm::List(&KeyForm::Key)]),
            default: "\"all\"",
            summary: "Which of its fields.",
            example: r#"[[feature]]
key = "video/transcript"
id_columns = ["video_id"]
deps = ["video/raw"]
fields = { text = { deps = [{ feature = "video/raw", fields = ["audio"] }] } }
"#,
        },
    ],
    rules: &[],
};

/// A placeholder for a feature of another project, where it is a table.
pub(super) static EXTERNAL: KeyTable = KeyTable {
    title: "An external feature",
    summary: "`external` of a feature, where it is a table.",
    keys: &[
        KeyDoc {
            name: "provenance_by_field",
            form: KeyForm::Map(&KeyForm::Text),
            default: "",
            summary: "Versions of fields that stand for the computed ones. Then the upstream features of this one need not be known.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]
project = "sources"
external = { provenance_by_field = { default = "2024-05" } }
"#,
        },
        KeyDoc {
            name: "on_version_mismatch",
            form: KeyForm::Words(&["warn", "error"]),
            default: "\"warn\"",
            summary: "What a sync does if the feature has another version in the store than the placeholder says.",
            example: r#"[[feature]]
key = "audio/raw"
id_columns = ["recording_id"]
project = "sources"
external = { on_version_mismatch = "error" }
"#,
        },
    ],
    rules: &[],
};

impl KeyTable {
    /// The names of its keys.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

/// In words, such as "list of texts".
impl fmt::Display for KeyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Flag => f.write_str("truth value"),
            Self::Key => f.write_str("key"),
            Self::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                f.write_str(&words.join(", "))
            }
            Self::List(Self::OneOf(_)) => f.write_str("list"),
            Self::List(of) => write!(f, "list of {of}s"),
            Self::Map(Self::OneOf(_)) | Self::Table(_) | Self::Anything => f.write_str("table"),
            Self::Map(Self::List(_)) => f.write_str("table of lists"),
            Self::Map(of) => write!(f, "table of {of}s"),
            Self::OneOf(forms) => {
                let forms: Vec<String> = forms.iter().map(ToString::to_string).collect();
                f.write_str(&forms.join(" or "))
            }
        }
    }
}
