//! `metaxy config print`.

use std::path::Path;

use metaxy_store::Result;
use metaxy_store::config::{Entry, Origin};
use serde_json::{Value, json};

use super::place::{Files, Place};
use crate::args::{ConfigPrint, View};
use crate::project::Project;
use crate::screen::Screen;

pub(super) fn run(project: &Project, args: &ConfigPrint, screen: &Screen) -> Result<()> {
    let mut files = Files::default();
    let settings: Vec<Setting> = project
        .entries()
        .into_iter()
        .map(|entry| Setting::new(entry, &mut files))
        .collect();
    match args.format.view {
        View::Json => {
            let files = project.config.files();
            screen.document(&json!({
                "files": files.map(|file| file.display().to_string()).collect::<Vec<_>>(),
                "settings": settings.iter().map(Setting::document).collect::<Vec<_>>(),
            }))
        }
        View::Plain => show(project, &settings, screen),
    }
}

/// A setting, and the place in a file where it stands.
struct Setting {
    entry: Entry,
    place: Option<Place>,
}

impl Setting {
    fn new(entry: Entry, files: &mut Files) -> Self {
        let file = entry.origin.file();
        let place = file.and_then(|file| files.place(file, &entry.path));
        Self { entry, place }
    }

    fn document(&self) -> Value {
        let (from, file, variable) = match &self.entry.origin {
            Origin::File(file) => ("file", Some(file.display().to_string()), None),
            Origin::Env(name) => ("environment", None, Some(name.to_string())),
            Origin::Argument => ("argument", None, None),
            _ => ("default", None, None),
        };
        let variables = self.place.as_ref().map(|place| &place.variables[..]);
        json!({
            "setting": self.entry.path,
            "value": self.value(),
            "hidden": self.entry.masked,
            "from": from,
            "file": file,
            "line": self.place.as_ref().map(|place| place.line),
            "variable": variable,
            "refers_to": variables.unwrap_or_default(),
        })
    }

    /// The value as JSON.
    fn value(&self) -> Value {
        let text = format!("value = {}", self.entry.value);
        let table: Option<toml::Table> = text.parse().ok();
        let value = table.and_then(|mut table| table.remove("value"));
        value.map_or(Value::Null, |value| {
            metaxy_store::json::Json::from_toml(value).map_or(Value::Null, Value::from)
        })
    }

    /// Where it came from, for people who know the folder `base`.
    fn comment(&self, base: Option<&Path>) -> String {
        let mut words = match &self.entry.origin {
            Origin::File(file) => {
                let near = base.and_then(|base| file.strip_prefix(base).ok());
                let name = near.unwrap_or(file).display();
                match &self.place {
                    Some(place) => format!("{name}:{}", place.line),
                    None => name.to_string(),
                }
            }
            Origin::Env(name) => format!("environment variable {name}"),
            other => other.to_string(),
        };
        for variable in self.place.iter().flat_map(|place| &place.variables) {
            words.push_str(&format!(", ${{{variable}}}"));
        }
        words
    }
}

/// TOML, with a comment behind each value.
fn show(project: &Project, settings: &[Setting], screen: &Screen) -> Result<()> {
    let base = project.config.file().and_then(Path::parent);
    match project.config.file() {
        Some(file) => screen.note(format_args!("# {}", file.display()))?,
        None => screen.note("# There is no configuration file.")?,
    }
    let lines: Vec<(String, String, String)> = settings
        .iter()
        .map(|setting| {
            let (table, key) = split(&setting.entry.path);
            let line = format!("{key} = {}", setting.entry.value);
            (table, line, setting.comment(base))
        })
        .collect();
    let width = lines.iter().map(|(_, line, _)| line.chars().count());
    // Comments stand below each other, except behind long lines.
    let width = width.filter(|width| *width <= 60).max().unwrap_or_default();
    // What belongs to no table comes first.
    let (mut top, below): (Vec<_>, Vec<_>) = lines.iter().partition(|(table, ..)| table.is_empty());
    top.extend(below);
    let mut current = "";
    for (table, line, comment) in top {
        if table != current {
            screen.blank()?;
            screen.heading(format_args!("[{table}]"))?;
            current = table;
        }
        let gap = " ".repeat(width.saturating_sub(line.chars().count()));
        let comment = screen.style.dim(format_args!("# {comment}"));
        screen.line(format_args!("{line}{gap}  {comment}"))?;
    }
    Ok(())
}

/// The table that a setting stands in, and its key there: stores have tables of their own.
fn split(path: &str) -> (String, String) {
    let Some(rest) = path.strip_prefix("stores.") else {
        return (String::new(), path.to_owned());
    };
    // The name of a store may be quoted, and hold a dot.
    let end = match rest.strip_prefix('"').and_then(|name| name.find("\".")) {
        Some(quote) => Some(quote + 2),
        None => rest.find('.'),
    };
    match end {
        Some(end) => (
            format!("stores.{}", &rest[..end]),
            rest[end + 1..].to_owned(),
        ),
        None => ("stores".to_owned(), rest.to_owned()),
    }
}
