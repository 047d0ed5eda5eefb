//! `metaxy config print`: every setting, and where it came from.

use serde_json::{Value, json};

use crate::documented::assert_shape;
use crate::support::Folder;

const OWN: &str = r#"
extend = "base.toml"
project = "films"
features = ["features/*.toml"]

[stores.dev]
type = "sqlite"

[stores.dev.config]
database = "${PLACE:-here}/dev.db"

[stores.prod]
type = "postgres"
connection_string = "postgresql://me:hunter2@db/x"

[stores.lake]
type = "delta"
root_path = "s3://bucket/${ACCESS_TOKEN}/metaxy"
storage_options = { AWS_REGION = "eu-1", AWS_SECRET_ACCESS_KEY = "hunter2" }
mirrors = [{ url = "https://me:hunter2@host/x", api_key = "hunter2" }]
"#;

fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("metaxy.toml", OWN);
    folder.write("base.toml", "hash_truncation_length = 20\nfeatures = []\n");
    folder
}

/// What a run prints with these environment variables.
fn printed(folder: &Folder, args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = folder
        .command(&[&["config", "print"], args].concat())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn settings(folder: &Folder, args: &[&str], variables: &[(&str, &str)]) -> Value {
    let text = printed(folder, &[args, &["--format", "json"]].concat(), variables);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_shape("metaxy config print", 0, &document);
    document
}

fn setting<'a>(document: &'a Value, path: &str) -> &'a Value {
    let all = document["settings"].as_array().unwrap();
    all.iter()
        .find(|one| one["setting"] == path)
        .unwrap_or_else(|| panic!("no setting {path} in {document:#}"))
}

#[test]
fn every_value_says_where_it_came_from() {
    let folder = folder();
    let variables = [("METAXY_SYNC", "false"), ("ACCESS_TOKEN", "tok-en")];
    let said = settings(&folder, &["--project", "mine"], &variables);
    let of = |path: &str| {
        let one = setting(&said, path);
        (
            one["from"].clone(),
            one["value"].clone(),
            one["line"].clone(),
        )
    };
    assert_eq!(
        of("project"),
        (json!("argument"), json!("mine"), Value::Null)
    );
    assert_eq!(
        of("sync"),
        (json!("environment"), json!("false"), Value::Null)
    );
    assert_eq!(setting(&said, "sync")["variable"], "METAXY_SYNC");
    assert_eq!(of("store"), (json!("default"), json!("dev"), Value::Null));
    assert_eq!(
        of("stores.dev.type"),
        (json!("file"), json!("sqlite"), json!(7))
    );
    assert_eq!(
        of("stores.dev.database"),
        (json!("file"), json!("here/dev.db"), json!(10)),
        "an option below config"
    );
    assert_eq!(
        setting(&said, "stores.dev.database")["refers_to"],
        json!(["PLACE"])
    );
    assert_eq!(
        of("hash_truncation_length"),
        (json!("file"), json!(20), json!(1))
    );
    let base = setting(&said, "hash_truncation_length")["file"]
        .as_str()
        .unwrap();
    assert!(base.ends_with("base.toml"), "{base}");
    assert_eq!(said["files"].as_array().unwrap().len(), 2);
    assert_eq!(of("features").1, json!(["features/*.toml"]));

    let chosen = settings(&folder, &["--store", "prod"], &variables);
    let store = setting(&chosen, "store");
    assert_eq!(
        (&store["from"], &store["value"]),
        (&json!("argument"), &json!("prod"))
    );
}

#[test]
fn people_read_toml_with_comments() {
    let folder = folder();
    let text = printed(
        &folder,
        &[],
        &[("ACCESS_TOKEN", "tok-en"), ("PLACE", "there")],
    );
    let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(
        table["stores"]["dev"]["database"].as_str(),
        Some("there/dev.db")
    );
    assert_eq!(table["project"].as_str(), Some("films"));
    for words in [
        "project = \"films\"",
        "# metaxy.toml:3\n",
        "# base.toml:1\n",
        "# metaxy.toml:10, ${PLACE}\n",
        "# default\n",
        "[stores.prod]",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn no_secret_is_printed() {
    let folder = folder();
    let variables = [
        ("ACCESS_TOKEN", "tok-en"),
        (
            "METAXY_STORES__PROD__CONNECTION_STRING",
            "postgresql://me:hunter2@other/x",
        ),
        ("METAXY_STORES__LAKE__PASSWORD", "hunter2"),
    ];
    for format in ["plain", "json"] {
        let text = printed(&folder, &["--format", format], &variables);
        for secret in ["hunter2", "tok-en"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("s3://bucket/***/metaxy"), "{text}");
    }
    let said = settings(&folder, &[], &variables);
    assert_eq!(setting(&said, "stores.lake.root_path")["hidden"], true);
    let connection = setting(&said, "stores.prod.connection_string");
    assert_eq!(
        (&connection["value"], &connection["from"]),
        (&json!("***"), &json!("environment"))
    );
    assert_eq!(setting(&said, "stores.lake.password")["value"], "***");
    let mirrors = setting(&said, "stores.lake.mirrors");
    assert_eq!(
        mirrors["value"],
        json!([{"url": "https://me:***@host/x", "api_key": "***"}])
    );
    assert_eq!(setting(&said, "stores.dev.type")["hidden"], false);
}

#[test]
fn without_a_file_there_are_defaults() {
    let folder = Folder::empty();
    let said = settings(&folder, &[], &[]);
    assert_eq!(said["files"], json!([]));
    assert_eq!(setting(&said, "hash_truncation_length")["value"], 8);
    let text = folder.ok(&["config", "print"]);
    assert!(text.contains("There is no configuration file."), "{text}");
    folder.fails(&["config"], 2);
    folder.write("metaxy.toml", "projet = \"x\"\n");
    let error = folder.fails(&["config", "print"], 1);
    assert!(error.contains("hint: did you mean `project`?"), "{error}");
}

#[test]
fn a_pyproject_says_its_lines_too() {
    let folder = Folder::empty();
    folder.write(
        "pyproject.toml",
        "[project]\nname = \"x\"\n[tool.metaxy]\nproject = \"films\"\n",
    );
    let said = settings(&folder, &[], &[]);
    let project = setting(&said, "project");
    assert_eq!(
        (&project["value"], &project["line"]),
        (&json!("films"), &json!(4))
    );
}

/// What stands below `config` and is no option of the store is a setting of its engine, and is printed so that it can be read again.
#[cfg(feature = "duckdb")]
#[test]
fn settings_of_an_engine_stand_below_config() {
    let folder = Folder::empty();
    let own = "project = \"films\"\n[stores.dev]\ntype = \"duckdb\"\ndatabase = \"dev.duckdb\"\nconfig = { memory_limit = \"1GB\" }\n";
    folder.write("metaxy.toml", own);
    let said = settings(&folder, &[], &[]);
    let limit = setting(&said, "stores.dev.config.memory_limit");
    assert_eq!(
        (&limit["value"], &limit["line"]),
        (&json!("1GB"), &json!(5))
    );
    let text = printed(&folder, &[], &[]);
    let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}: {text}"));
    let dev = &table["stores"]["dev"];
    assert_eq!(dev["config"]["memory_limit"].as_str(), Some("1GB"));
    folder.write("metaxy.toml", &text);
    let stores = folder.ok(&["list", "stores"]);
    assert!(stores.contains("dev.duckdb"), "{stores}");
    // It has an effect, and what DuckDB does not know is refused by name.
    folder.write(
        "features.toml",
        "[[feature]]\nkey = \"a\"\nid_columns = [\"x\"]\n",
    );
    folder.write(
        "metaxy.toml",
        &format!(
            "features = [\"features.toml\"]\n{}",
            own.replace("memory_limit", "memory_limits")
        ),
    );
    let error = folder.fails(&["push"], 1);
    assert!(error.contains("memory_limits"), "{error}");
}

/// Whoever may write to a folder above the working directory could put a configuration there that runs statements.
#[test]
#[cfg(unix)]
fn files_of_other_users_are_not_believed() {
    use std::os::unix::fs::chown;

    let folder = Folder::empty();
    folder.write(
        "metaxy.toml",
        "[stores.dev]\ntype = \"sqlite\"\nconfig = { database = \"dev.db\" }\n",
    );
    folder.write("below/.keep", "");
    let file = folder.path().join("metaxy.toml");
    if chown(&file, Some(12345), None).is_err() {
        eprintln!("not tested: only the administrator can give files away");
        return;
    }
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = folder.command(args);
        command.current_dir(folder.path().join("below"));
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (well, said) = run(&["list", "stores"], &[]);
    assert!(
        !well && said.contains("metaxy.toml was found, and belongs to another user (number 12345)"),
        "{said}"
    );
    assert!(
        said.contains("hint: ") && said.contains("METAXY_TRUSTED_FOLDERS="),
        "{said}"
    );
    let named = file.to_str().unwrap();
    assert!(run(&["--config-file", named, "list", "stores"], &[]).0);
    let trusted = folder.path().to_str().unwrap();
    assert!(run(&["list", "stores"], &[("METAXY_TRUSTED_FOLDERS", trusted)]).0);
    assert!(run(&["list", "stores"], &[("METAXY_TRUSTED_FOLDERS", "*")]).0);
    assert!(
        !run(
            &["list", "stores"],
            &[("METAXY_TRUSTED_FOLDERS", "below:/else")]
        )
        .0
    );
    assert!(run(&["list", "stores"], &[("SUDO_UID", "12345")]).0);
    // A link is as good as whoever made it.
    chown(&file, Some(0), None).unwrap();
    std::fs::rename(&file, folder.path().join("real.toml")).unwrap();
    std::os::unix::fs::symlink("real.toml", &file).unwrap();
    assert!(run(&["list", "stores"], &[]).0);
    std::os::unix::fs::lchown(&file, Some(12345), None).unwrap();
    assert!(!run(&["list", "stores"], &[]).0);
    // So are variables.
    std::fs::remove_file(&file).unwrap();
    std::fs::copy(folder.path().join("real.toml"), &file).unwrap();
    folder.write("below/.env", "METAXY_STORE=dev\nMETAXY_TRUSTED_FOLDERS=*\n");
    assert!(run(&["list", "stores"], &[]).0);
    chown(folder.path().join("below/.env"), Some(12345), None).unwrap();
    let (well, said) = run(&["list", "stores"], &[]);
    assert!(
        !well && said.contains(".env was found, and belongs to another user"),
        "{said}"
    );
}

/// What is run in [`secrets_are_in_no_output`].
const SOME_COMMANDS: &[&[&str]] = &[
    &["status"],
    &["read", "video/raw"],
    &["write", "video/raw", "-"],
    &["list", "stores"],
    &["config", "print"],
    &["config", "print", "--format", "json"],
    &["push"],
    &["history"],
    &["maintain", "--dry-run"],
];

/// What is run beside that with `CONFORMANCE_ALL=1`: with the others, 312 runs.
const OTHER_COMMANDS: &[&[&str]] = &[
    &["list", "features", "--format", "json"],
    &["list", "backends"],
    &["status", "--format", "json"],
    &["resolve", "video/transcript"],
    &["resolve", "video/transcript", "--format", "csv"],
    &["resolve", "video/transcript", "--count"],
    &["read", "video/raw", "--format", "csv"],
    &["delete", "video/raw", "--filter", "true", "--yes"],
    &["maintain", "--yes"],
    &["maintain", "--verify"],
    &["lock"],
    &["graph", "render"],
    &["graph", "render", "--format", "html"],
    &["graph-diff"],
    &["history", "--format", "json"],
    &["describe", "feature", "video/raw"],
    &["describe", "graph"],
    &["metadata", "copy", "--from", "lite", "--all-features"],
    &["metadata", "delete", "video/raw", "--filter", "true"],
    &["metadata", "rebase", "video/raw", "--from", "abc", "--yes"],
    &["metadata", "drop", "video/raw", "--yes"],
    &["metadata", "status"],
    &["schema", "config"],
    &["explain", "video/raw"],
    &["completions", "bash"],
    &["man"],
    &["mcp"],
    &["demo"],
    &["init"],
    &["no-such-command"],
];

/// What comes from a variable that is called a secret, or stands where secrets stand, is in no output: traces and errors included.
#[test]
fn secrets_are_in_no_output() {
    let folder = Folder::project();
    let stores = r#"
project = "films"
features = ["features/*.toml"]

[stores.prod]
type = "postgres"
connection_string = "postgresql://me:hunter2@127.0.0.1:1/x?application_name=${APP_TOKEN}"
connect_timeout = 0.3

[stores.lake]
type = "delta"
root_path = "nowhere/${ACCESS_TOKEN}/metaxy"
storage_options = { AWS_SECRET_ACCESS_KEY = "hunter2" }

[stores.duck]
type = "duckdb"
database = "nowhere/${ACCESS_TOKEN}/x.duckdb"
extensions = [{ name = "httpfs", init_sql = ["CREATE SECRET s (TYPE s3, SECRET 'hunter2')"] }]

[stores.lite]
type = "sqlite"
database = "nowhere/${ACCESS_TOKEN}/x.db"
"#;
    folder.write("metaxy.toml", stores);
    let all = std::env::var("CONFORMANCE_ALL").is_ok_and(|value| value == "1");
    let others = if all { OTHER_COMMANDS } else { &[] };
    let commands = SOME_COMMANDS.iter().chain(others).copied();
    let mut runs = 0;
    for trace in [None, Some("trace")] {
        for store in ["prod", "lake", "duck", "lite"] {
            for args in commands.clone() {
                let mut command = folder.command(&[args, &["--store", store]].concat());
                runs += 1;
                command
                    .env("ACCESS_TOKEN", "tok-en-123")
                    .env("APP_TOKEN", "tok-en-456");
                command.envs(trace.map(|level| ("METAXY_LOG", level)));
                let output = command.stdin(std::process::Stdio::null()).output().unwrap();
                for said in [&output.stdout, &output.stderr] {
                    let said = String::from_utf8_lossy(said);
                    for secret in ["hunter2", "tok-en-123", "tok-en-456"] {
                        assert!(!said.contains(secret), "{args:?} --store {store}: {said}");
                    }
                }
            }
        }
    }
    println!("{runs} runs, no secret");
}
