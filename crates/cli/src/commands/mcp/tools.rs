//! The tools: their names, what they take, and what they give.

use std::sync::Arc;

use metaxy_store::{Error, ErrorKind, Result};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::answers;
use crate::project::Project;

/// The most rows that a read gives at once: they go into somebody's context.
pub(super) const MOST_ROWS: u64 = 1000;

/// What is said of a tool.
pub(super) struct Described {
    pub(super) name: &'static str,
    words: &'static str,
    /// Name, type (or that of a list's items), whether it is a list, whether it must be given, words.
    takes: &'static [Argument],
}

struct Argument {
    name: &'static str,
    kind: Kind,
    required: bool,
    words: &'static str,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Number,
    Flag,
}

const fn argument(name: &'static str, kind: Kind, words: &'static str) -> Argument {
    Argument {
        name,
        kind,
        required: false,
        words,
    }
}

const FEATURE: Argument = Argument {
    name: "feature",
    kind: Kind::Text,
    required: true,
    words: "The feature, such as video/raw.",
};
const FILTERS: Argument = argument(
    "filters",
    Kind::Texts,
    "SQL conditions that must all hold for a sample, such as \"size > 3 AND kind IN ('a', 'b')\".",
);
const STALE_IF: Argument = argument(
    "stale_if",
    Kind::Texts,
    "SQL conditions; stored samples for which one holds count as stale.",
);

/// All tools. Each only reads.
pub(super) const TOOLS: &[Described] = &[
    Described {
        name: "list_features",
        words: "Lists the features of the project, upstream first: version, ID columns, fields, dependencies.",
        takes: &[],
    },
    Described {
        name: "describe_feature",
        words: "Everything known of a feature: fields and their versions, dependencies, what is up- and downstream, and what is stored.",
        takes: &[FEATURE],
    },
    Described {
        name: "describe_graph",
        words: "The graph as a whole: how many features, how deep, roots, leaves, projects and their versions.",
        takes: &[],
    },
    Described {
        name: "status",
        words: "How many samples each feature has, how many are new, stale or orphaned, and what upstream it waits for.",
        takes: &[
            argument(
                "features",
                Kind::Texts,
                "Only these features; without it all.",
            ),
            FILTERS,
            STALE_IF,
            argument(
                "progress",
                Kind::Flag,
                "Whether to compute which percentage of the input has been processed.",
            ),
        ],
    },
    Described {
        name: "resolve_counts",
        words: "How many rows of a feature are new, stale or orphaned. A feature without upstream has no answer.",
        takes: &[FEATURE, FILTERS, STALE_IF],
    },
    Described {
        name: "read",
        words: "Reads samples of a feature: the latest row of each.",
        takes: &[
            FEATURE,
            FILTERS,
            argument("columns", Kind::Texts, "Only these columns, in this order."),
            argument(
                "limit",
                Kind::Number,
                "At most this many rows: 20 by default, 1000 at most.",
            ),
        ],
    },
    Described {
        name: "history",
        words: "The graphs that were pushed to the store, newest first, and what each push changed.",
        takes: &[
            argument(
                "project",
                Kind::Text,
                "Graphs of this project, instead of the configured one.",
            ),
            argument("limit", Kind::Number, "At most the newest so many."),
        ],
    },
];

impl Described {
    pub(super) fn tool(&self) -> Tool {
        let properties: Map<String, Value> = self
            .takes
            .iter()
            .map(|argument| (argument.name.to_owned(), argument.schema()))
            .collect();
        let required = self.takes.iter().filter(|argument| argument.required);
        let required: Vec<&str> = required.map(|argument| argument.name).collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), properties.into());
        schema.insert("required".to_owned(), required.into());
        schema.insert("additionalProperties".to_owned(), false.into());
        let annotations = ToolAnnotations::new().read_only(true).open_world(false);
        Tool::new(self.name, self.words, Arc::new(schema)).with_annotations(annotations)
    }
}

impl Argument {
    fn schema(&self) -> Value {
        let words = self.words;
        match self.kind {
            Kind::Text => json!({"type": "string", "description": words}),
            Kind::Texts => {
                json!({"type": "array", "items": {"type": "string"}, "description": words})
            }
            Kind::Number => json!({"type": "integer", "minimum": 0, "description": words}),
            Kind::Flag => json!({"type": "boolean", "description": words}),
        }
    }

    fn fits(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Text => value.is_string(),
            Kind::Texts => {
                let items = value.as_array();
                items.is_some_and(|items| items.iter().all(Value::is_string))
            }
            Kind::Number => value.is_u64(),
            Kind::Flag => value.is_boolean(),
        }
    }
}

/// What a tool answers; `None` if there is none of that name.
pub(super) async fn call(project: &Project, name: &str, given: Value) -> Option<Result<Value>> {
    let described = TOOLS.iter().find(|tool| tool.name == name)?;
    let given = match Given::check(described, given) {
        Ok(given) => given,
        Err(error) => return Some(Err(error)),
    };
    Some(match name {
        "list_features" => answers::list_features(project).await,
        "describe_feature" => answers::describe_feature(project, &given).await,
        "describe_graph" => answers::describe_graph(project).await,
        "status" => answers::status(project, &given).await,
        "resolve_counts" => answers::resolve_counts(project, &given).await,
        "read" => answers::read(project, &given).await,
        "history" => answers::history(project, &given).await,
        _ => return None,
    })
}

/// Arguments that fit what the tool takes.
pub(super) struct Given(Map<String, Value>);

impl Given {
    fn check(tool: &Described, given: Value) -> Result<Self> {
        let Value::Object(given) = given else {
            return Ok(Self(Map::new()));
        };
        let names: Vec<&str> = tool.takes.iter().map(|argument| argument.name).collect();
        let invalid = |message: String| {
            Error::new(ErrorKind::InvalidArgument, message).with_hint(match names.as_slice() {
                [] => "it takes no arguments".to_owned(),
                names => format!("it takes {}", names.join(", ")),
            })
        };
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            let argument = tool.takes.iter().find(|argument| argument.name == name);
            match argument {
                None => {
                    return Err(invalid(format!("{} has no argument {name:?}", tool.name)));
                }
                Some(argument) if !argument.fits(value) => {
                    let schema = argument.schema();
                    let kind = schema["type"].as_str().unwrap_or_default().to_owned();
                    return Err(invalid(format!(
                        "the argument {name:?} must be of type {kind}"
                    )));
                }
                Some(_) => {}
            }
        }
        for argument in tool.takes.iter().filter(|argument| argument.required) {
            if given.get(argument.name).is_none_or(Value::is_null) {
                return Err(invalid(format!(
                    "{} needs the argument {:?}",
                    tool.name, argument.name
                )));
            }
        }
        Ok(Self(given))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }
}
