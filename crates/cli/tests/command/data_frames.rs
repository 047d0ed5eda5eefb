//! The steps in Python of the chapter on pandas and Polars.

use std::process::Command;

use crate::support::{Folder, RAW};

/// The interpreter that runs the steps; it has pandas, Polars and PyArrow.
const PYTHON: &str = "METAXY_TEST_PYTHON";

/// Where there is no such interpreter, the steps are not run.
fn python() -> Option<String> {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    let output = command
        .args(["-c", "import pandas, polars, pyarrow"])
        .output();
    match output {
        Ok(output) if output.status.success() => Some(python),
        _ => {
            println!("not run: {python} has no pandas, Polars and PyArrow; {PYTHON} names another");
            None
        }
    }
}

/// The blocks in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let page = include_str!("../../../store/guide/pandas-and-polars.md");
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_steps_of_the_chapter_run() {
    let commands = blocks("console");
    let [commands] = &commands[..] else {
        panic!("{commands:?}")
    };
    let commands: Vec<&str> = commands
        .lines()
        .map(|line| line.strip_prefix("$ ").unwrap())
        .collect();
    let steps = blocks("python");
    let [polars, pandas, root] = &steps[..] else {
        panic!("{steps:?}")
    };
    let Some(python) = python() else {
        return;
    };
    let run = |folder: &Folder, step: &str| {
        folder.write("step.py", step);
        let output = folder.program(&python).arg("step.py").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{step}: {errors}");
    };
    for step in [polars, pandas] {
        let folder = Folder::project();
        let raw = RAW.replace("\"seconds\": 8", "\"seconds\": null");
        folder.ok_with(&["write", "video/raw", "-"], &raw);
        for command in &commands {
            match command.strip_prefix("metaxy ") {
                Some(words) => drop(folder.ok(&words.split(' ').collect::<Vec<_>>())),
                None => {
                    assert_eq!(*command, "python3 step.py");
                    run(&folder, step);
                }
            }
        }
        folder.assert_up_to_date("video/transcript", 2);
        let rows = folder.rows(&[
            "read",
            "video/transcript",
            "--filter",
            "video_id = '007'",
            "--columns",
            "text,seconds",
        ]);
        assert_eq!(
            rows[0].to_string(),
            r#"{"text":"Hello from 007","seconds":null}"#
        );
    }
    let folder = Folder::project();
    run(&folder, root);
    folder.ok(&["write", "video/raw", "files.parquet"]);
    let columns = [
        "read",
        "video/raw",
        "--filter",
        "seconds > 10",
        "--columns",
        "path,seconds",
    ];
    let rows = folder.rows(&columns);
    assert_eq!(rows[0].to_string(), r#"{"path":"1.mp4","seconds":12}"#);
    let asked = [
        "resolve",
        "video/raw",
        "--samples",
        "files.parquet",
        "--count",
        "--format",
        "csv",
    ];
    assert_eq!(folder.ok(&asked), "part,rows\nnew,0\nstale,0\norphaned,0\n");
}
