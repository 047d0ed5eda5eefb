//! Steps run with the reference: a Python process per request.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use metaxy_store::Access;
use metaxy_store::json::Json;

use super::{Outcome, Request, Side};
use crate::root;

/// The reference, run by an interpreter that has it.
pub(super) struct Reference {
    pub(super) python: PathBuf,
}

impl Side for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn run(&self, request: &Request<'_>) -> Outcome<Vec<Json>> {
        let asked = request.directory.join("request.json");
        let answered = request.directory.join("answers.json");
        let access = match request.access {
            Access::Write => "w",
            _ => "r",
        };
        let json = Json::object([
            ("kind", Json::from(request.kind)),
            ("config", Json::from(request.config.display().to_string())),
            ("access", Json::from(access)),
            ("project", Json::from(request.scenario.project.as_str())),
            ("graphs", request.scenario.graphs_json()),
            ("steps", Json::from(request.steps.to_vec())),
        ]);
        fs::write(&asked, json.to_compact()).map_err(|e| about(&asked, &e))?;
        let script = root().join("xtask").join("interop").join("reference.py");
        let mut command = Command::new(&self.python);
        // No compiled copies beside the sources.
        command.arg("-B").arg(script).arg(&asked).arg(&answered);
        for (name, _) in std::env::vars_os() {
            // What the user has set for metaxy must not decide what is tested.
            if name.to_string_lossy().starts_with("METAXY_") {
                command.env_remove(name);
            }
        }
        let output = command.output().map_err(|e| about(&self.python, &e))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "the reference failed ({}):\n{}",
                output.status,
                last_lines(&log, 30)
            ));
        }
        let text = fs::read_to_string(&answered).map_err(|e| about(&answered, &e))?;
        let answers = Json::parse(&text).map_err(|e| about(&answered, &e))?;
        let answers = answers.as_array().unwrap_or_default().to_vec();
        match answers.len() == request.steps.len() {
            true => Ok(answers),
            false => Err(format!(
                "the reference answered {} of {} steps",
                answers.len(),
                request.steps.len()
            )),
        }
    }
}

/// The end of a log.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// An error with the file that it is about.
pub(super) fn about(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
