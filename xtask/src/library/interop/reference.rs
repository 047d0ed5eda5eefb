//! Steps run with the reference: a Python process that starts one of its own for each request.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use metaxy_store::Access;
use metaxy_store::json::Json;

use super::{Outcome, Request, Side};
use crate::root;

/// The reference, run by an interpreter that has it.
pub(super) struct Reference {
    process: Mutex<Process>,
}

/// The script, which answers a line with a line.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    /// Starts the interpreter.
    pub(super) fn start(python: &Path) -> Outcome<Self> {
        let script = root().join("xtask").join("interop").join("reference.py");
        let mut command = Command::new(python);
        // No compiled copies beside the sources.
        command.arg("-B").arg(script);
        for (name, _) in std::env::vars_os() {
            // What the user has set for metaxy must not decide what is tested.
            if name.to_string_lossy().starts_with("METAXY_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| about(python, &e))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the reference has no input or no output".into());
        };
        Ok(Self {
            process: Mutex::new(Process {
                child,
                input,
                output: BufReader::new(output),
            }),
        })
    }
}

impl Process {
    /// Has the request of a folder run; returns the exit code of that.
    fn ask(&mut self, folder: &Path) -> Outcome<String> {
        let asked = writeln!(self.input, "{}", folder.display());
        asked.map_err(|e| format!("the reference does not listen: {e}"))?;
        let mut answer = String::new();
        let read = self.output.read_line(&mut answer);
        match read.map_err(|e| format!("the reference does not answer: {e}"))? {
            0 => Err("the reference has ended".into()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let code = process.ask(request.directory)?;
        if code != "0" {
            let log = fs::read_to_string(request.directory.join("log")).unwrap_or_default();
            return Err(format!(
                "the reference failed (exit code {code}):\n{}",
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
