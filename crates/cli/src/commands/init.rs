//! `metaxy init`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use metaxy_store::config::{ConfigLoader, ConfigOverrides, Environment};
use metaxy_store::{Error, ErrorKind, Result};

use serde_json::json;

use super::schema;
use crate::args::{Init, SchemaOf, View};
use crate::screen::{Screen, program, shell_word};
use crate::starter::Starter;

/// Where the store of a new project is, beside `metaxy.toml`.
const STORE: &str = ".metaxy/dev";

/// The files of a new project; `{project}` stands for its name, `{settings}` for those of its store.
const TEXTS: [(&str, &str); 3] = [
    ("metaxy.toml", include_str!("init/metaxy.toml")),
    ("features/example.toml", include_str!("init/example.toml")),
    (
        ".metaxy/.gitignore",
        "# What the store holds is not for the repository. The schemas are: files of the project name them.\n*\n!.gitignore\n!*.schema.json\n",
    ),
];

/// The schemas that the first lines of the others name.
const SCHEMAS: [(&str, SchemaOf); 2] = [
    (".metaxy/config.schema.json", SchemaOf::Config),
    (".metaxy/features.schema.json", SchemaOf::Features),
];

pub(super) fn run(args: &Init, project: Option<&str>, screen: &Screen) -> Result<()> {
    let starter = Starter::of_this_build()?;
    let folder = &args.folder;
    for path in paths() {
        if folder.join(path).exists() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "'{}' exists already; nothing was written",
                    folder.join(path).display()
                ),
            )
            .with_hint("a project is there: try `metaxy status`, or name another folder"));
        }
    }
    // What the configuration would refuse later is refused before anything is written.
    let given = project.map(|name| ConfigOverrides::new().with_project(name));
    if let Some(given) = given {
        let environment = Environment::empty();
        let loader = ConfigLoader::new().without_file();
        loader
            .with_environment(environment)
            .with_overrides(given)
            .load()?;
    }
    fs::create_dir_all(folder).map_err(|e| failed("create", folder, e))?;
    let project = match project {
        Some(name) => name.to_owned(),
        None => project_name(folder),
    };
    for (path, content) in TEXTS {
        let content = content.replace("{project}", &project);
        let content = content.replace("{settings}", &starter.settings(STORE));
        write(&folder.join(path), &content)?;
    }
    for (path, of) in SCHEMAS {
        write(&folder.join(path), &schema::text(of)?)?;
    }
    let view = args.format.view;
    if view == View::Json {
        let files: Vec<&str> = paths().collect();
        return screen.document(&json!({
            "project": project,
            "folder": folder.display().to_string(),
            "files": files,
        }));
    }
    screen.line(format_args!(
        "Project {project} starts in {}:",
        folder.display()
    ))?;
    let place = starter.place(STORE);
    screen.line(format_args!(
        "  metaxy.toml             the configuration: {place}"
    ))?;
    screen.line("  features/example.toml   two features to begin with")?;
    screen.blank()?;
    let sample =
        r#"{"video_id": "v1", "metaxy_provenance_by_field": {"audio": "a1", "frames": "f1"}}"#;
    let enter = format!("cd {}", shell_word(&folder.display().to_string()));
    let metaxy = program();
    let steps = [
        (folder != Path::new(".")).then_some(enter),
        Some(format!("{metaxy} list features")),
        Some(format!("echo '{sample}' | {metaxy} write video/raw -")),
        Some(format!("{metaxy} status")),
        Some(format!("{metaxy} resolve video/transcript")),
    ];
    screen.next(steps.into_iter().flatten())
}

/// Where all of the files are.
fn paths() -> impl Iterator<Item = &'static str> {
    let texts = TEXTS.iter().map(|(path, _)| *path);
    texts.chain(SCHEMAS.iter().map(|(path, _)| *path))
}

/// The folder's name with what a project's name cannot have replaced (`semantics.md` §9).
fn project_name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut project = String::new();
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '-' };
        if c != '-' || !project.ends_with('-') {
            project.push(c);
        }
    }
    match project.trim_matches('-') {
        "" => "project".to_owned(),
        name => name.to_owned(),
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| failed("create", folder, e))?;
    }
    // Never over a file that somebody else wrote meanwhile.
    File::create_new(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|e| failed("write", path, e))
}

fn failed(doing: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot {doing} '{}': {source}", path.display()),
    )
    .with_source(source)
    .with_hint("name another folder, or make this one writable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_gives_a_project_name() {
        assert_eq!(
            project_name(Path::new("/x/My video.project__2")),
            "My-video-project-2"
        );
        assert_eq!(project_name(Path::new("/x/_ü_")), "project");
        assert_eq!(project_name(Path::new("/")), "project");
    }
}
