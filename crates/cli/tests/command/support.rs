//! A folder to run `metaxy` in.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Two samples of the example's root feature.
pub(crate) const RAW: &str = r#"{"video_id": "v1", "seconds": 12, "metaxy_provenance_by_field": {"audio": "a1", "frames": "f1"}}
{"video_id": "007", "seconds": 8, "metaxy_provenance_by_field": {"audio": "a2", "frames": "f2"}}
"#;

/// The program that is tested: the one that cargo has built for this, unless the variable names another.
pub(crate) fn metaxy() -> String {
    let built = env!("CARGO_BIN_EXE_metaxy");
    std::env::var("METAXY_TEST_COMMAND").unwrap_or_else(|_| built.to_owned())
}

/// The kind of store that a new project has in this build.
pub(crate) const STORE: &str = if cfg!(feature = "sqlite") {
    "sqlite"
} else if cfg!(feature = "duckdb") {
    "duckdb"
} else if cfg!(feature = "delta") {
    "delta"
} else {
    "postgres"
};

pub(crate) struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder in which `metaxy init` was run.
    pub(crate) fn project() -> Self {
        let folder = Self::empty();
        folder.ok(&["init", "--project", "films"]);
        if STORE == "postgres" {
            // All projects of these tests are in one database.
            let own = folder.text("metaxy.toml");
            let schema = format!("schema = \"{}\"", folder.schema("own"));
            folder.write("metaxy.toml", &own.replace("schema = \"metaxy\"", &schema));
        }
        folder
    }

    /// A schema of this folder's own in the database of the tests.
    pub(crate) fn schema(&self, name: &str) -> String {
        let folder = self.path().file_name().unwrap().to_string_lossy();
        let letters = folder.chars().filter(char::is_ascii_alphanumeric);
        format!("t_{}_{name}", letters.collect::<String>().to_lowercase())
    }

    /// The settings of a store of the same kind as the project's own, which is beside `metaxy.toml`.
    pub(crate) fn store(&self, name: &str) -> String {
        let place = match STORE {
            "sqlite" => format!("database = \"{name}.db\""),
            "duckdb" => format!("database = \"{name}.duckdb\""),
            "delta" => format!("root_path = \"{name}\""),
            _ => {
                let schema = self.schema(name);
                format!("connection_string = \"${{DATABASE_URL}}\"\nschema = \"{schema}\"")
            }
        };
        format!("type = \"{STORE}\"\n{place}\nhash_algorithm = \"xxhash64\"\n")
    }

    /// A configuration in which an empty store called `mine` stands in front of the project's own, which is called `prod` there.
    pub(crate) fn behind_mine(&self) -> String {
        let config = self.text("metaxy.toml");
        let (head, own) = config.split_once("[stores.dev]\n").unwrap();
        let mine = self.store("mine");
        format!("{head}[stores.dev]\nfallback_stores = [\"prod\"]\n{mine}\n[stores.prod]\n{own}")
    }

    /// Writes [such a configuration](Self::behind_mine).
    pub(crate) fn put_in_front(&self, name: &str) {
        self.write(name, &self.behind_mine());
    }

    /// Asserts that the project's own store was not made, where it is a file or a folder.
    pub(crate) fn assert_no_store(&self, why: &str) {
        for place in ["dev.db", "dev.duckdb", "dev"] {
            assert!(!self.join(".metaxy").join(place).exists(), "{why}");
        }
    }

    /// A project whose root feature has the samples [`RAW`].
    pub(crate) fn with_raw() -> Self {
        let folder = Self::project();
        folder.ok_with(&["write", "video/raw", "-"], RAW);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.join(path)).unwrap()
    }

    /// `metaxy` with these arguments, in this folder and with none of the user's settings.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(&metaxy());
        command.args(args);
        command
    }

    /// A program in this folder, with none of the user's settings.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name
                .to_string_lossy()
                .to_ascii_uppercase()
                .starts_with("METAXY_")
            {
                command.env_remove(name);
            }
        }
        command.current_dir(self.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What a successful run prints. Nothing may go to standard error.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.ok_with(args, "")
    }

    pub(crate) fn ok_with(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && errors.is_empty(),
            "{args:?}: {errors}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a run says that fails with `code`. Nothing may go to standard output.
    pub(crate) fn fails(&self, args: &[&str], code: i32) -> String {
        self.fails_with(args, "", code)
    }

    pub(crate) fn fails_with(&self, args: &[&str], input: &str, code: i32) -> String {
        let output = self.run(args, input);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
        assert!(!errors.contains('\x1b'), "{errors:?}");
        errors
    }

    /// The rows that a run prints as NDJSON.
    pub(crate) fn rows(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let text = self.ok(args);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// `[samples, new, stale, orphaned]` of a feature, and its category.
    pub(crate) fn status(&self, feature: &str) -> ([Option<u64>; 4], String) {
        let rows = self.rows(&["status", feature, "--format", "ndjson"]);
        let row = &rows[0];
        let numbers = ["samples", "new", "stale", "orphaned"].map(|name| row[name].as_u64());
        (numbers, row["category"].as_str().unwrap().to_owned())
    }

    /// Asserts that nothing is to be done about a feature with so many samples.
    pub(crate) fn assert_up_to_date(&self, feature: &str, samples: u64) {
        let expected = [samples, 0, 0, 0].map(Some);
        assert_eq!(self.status(feature), (expected, "up_to_date".to_owned()));
    }
}
