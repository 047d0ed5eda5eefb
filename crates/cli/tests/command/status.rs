//! `metaxy status`: what it counts, and what scripts make of it.

use serde_json::{Value, json};

use crate::documented::assert_shape;
use crate::support::{Folder, RAW};

const TRANSCRIPT: &str = "video/transcript";

/// Two samples, one of which has a transcript that is stale.
fn half_done() -> Folder {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT, "--filter", "video_id = 'v1'"]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    folder
}

fn document(folder: &Folder, args: &[&str]) -> Value {
    let text = folder.ok(&[&["status"], args, &["--format", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn counts_and_progress() {
    let folder = half_done();
    let all = document(&folder, &["--progress"]);
    assert_shape("metaxy status", 0, &all);
    let row = &all[1];
    assert_eq!(
        (
            &row["samples"],
            &row["new"],
            &row["stale"],
            &row["progress"]
        ),
        (&json!(1), &json!(1), &json!(1), &json!(50.0))
    );
    assert_eq!(all[0]["progress"], Value::Null, "a root has no input");
    assert_eq!(document(&folder, &[TRANSCRIPT])[0]["progress"], Value::Null);

    let plain = folder.ok(&["status", "--progress"]);
    assert!(
        plain.contains("progress") && plain.contains("50%"),
        "{plain}"
    );
    let plain = folder.ok(&["status", "--format", "plain"]);
    assert!(
        !plain.contains("progress") && plain.contains("compute 2"),
        "{plain}"
    );
    let csv = folder.ok(&["status", TRANSCRIPT, "--progress", "--format", "csv"]);
    assert!(
        csv.lines().nth(1).unwrap().contains(",50.0,needs_update,"),
        "{csv}"
    );
}

#[test]
fn a_script_can_insist_that_all_is_in_sync() {
    let folder = Folder::project();
    let assert = ["status", "--assert-in-sync", "--format", "ndjson"];
    let run = |code: i32, words: &str| {
        let output = folder.run(&assert, "");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert_eq!(told, words);
        assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), 2);
    };
    run(
        3,
        "not in sync: video/raw (never written), video/transcript (its upstream was never written)\n",
    );
    folder.ok_with(&["write", "video/raw", "-"], RAW);
    run(
        3,
        "not in sync: video/transcript (2 new, 0 stale, 0 orphaned)\n",
    );
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    run(0, "");
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    folder.ok(&[
        "delete",
        "video/raw",
        "--filter",
        "video_id = '007'",
        "--yes",
    ]);
    run(
        3,
        "not in sync: video/transcript (0 new, 1 stale, 1 orphaned)\n",
    );
    // What is not looked at may be as it is.
    let raw = folder.run(&["status", "video/raw", "--assert-in-sync"], "");
    assert_eq!(raw.status.code(), Some(0));
    let error = folder.run(&["status", "video/rew", "--assert-in-sync"], "");
    assert_eq!(error.status.code(), Some(1), "a failure is no answer");
}

#[test]
fn conditions_change_what_counts() {
    let folder = half_done();
    let counts = |args: &[&str]| {
        let row = document(&folder, &[&[TRANSCRIPT], args].concat())[0].clone();
        ["samples", "new", "stale", "orphaned"].map(|name| row[name].as_u64().unwrap())
    };
    assert_eq!(counts(&[]), [1, 1, 1, 0]);
    assert_eq!(counts(&["--filter", "seconds < 10"]), [0, 1, 0, 0]);
    assert_eq!(counts(&["--global-filter", "seconds < 10"]), [0, 1, 0, 0]);
    assert_eq!(counts(&["--target-filter", "seconds < 10"]), [0, 2, 0, 0]);
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    assert_eq!(counts(&[]), [2, 0, 0, 0]);
    assert_eq!(counts(&["--stale-if", "seconds < 10"]), [2, 0, 1, 0]);
    assert_eq!(
        counts(&["--stale-if", "seconds < 10", "--stale-if", "seconds > 10"]),
        [2, 0, 2, 0]
    );
    let error = folder.fails(&["status", "--stale-if", "second > 1"], 1);
    assert!(
        error.contains("second") && error.contains("hint:"),
        "{error}"
    );
}

#[test]
fn the_first_rows_of_each_part() {
    let folder = half_done();
    folder.ok_with(
        &["write", "video/raw", "-"],
        &RAW.replace("007", "008").replace("v1", "v2"),
    );
    let all = document(&folder, &["--preview", "1"]);
    assert_shape("metaxy status", 1, &all);
    assert_eq!(all[0]["preview"], Value::Null);
    let preview = &all[1]["preview"];
    let length = |part: &str| preview[part].as_array().unwrap().len();
    assert_eq!((all[1]["new"].as_u64(), length("new")), (Some(3), 1));
    assert_eq!((length("stale"), length("orphaned")), (1, 0));
    assert_eq!(preview["stale"][0]["video_id"], "v1");
    assert!(preview["stale"][0].get("metaxy_part").is_none());
    let lines = folder.rows(&["status", "--preview", "9", "--format", "ndjson"]);
    assert_eq!(lines[1]["preview"]["new"].as_array().unwrap().len(), 3);

    let plain = folder.ok(&["status", "--preview", "2"]);
    let rows = |part: &str| plain.lines().filter(|line| line.starts_with(part)).count();
    assert_eq!((rows("new "), rows("stale ")), (2, 1), "{plain}");
    let error = folder.fails(&["status", "--preview", "1", "--format", "csv"], 1);
    assert!(error.contains("hint: add --format json"), "{error}");
    folder.fails(&["status", "--preview", "0"], 2);
}

#[test]
fn fallback_stores_count_or_do_not() {
    let folder = Folder::with_raw();
    folder.put_in_front("chain.toml");
    let row = |more: &[&str]| {
        let args = [
            &["--config-file", "chain.toml", "status", "--format", "json"],
            more,
        ]
        .concat();
        let all: Value = serde_json::from_str(&folder.ok(&args)).unwrap();
        all[0].clone()
    };
    assert_eq!(row(&[])["store"], "prod");
    assert_eq!(row(&[])["samples"], 2);
    for flag in ["--no-fallback", "--no-allow-fallback-stores"] {
        let alone = row(&[flag]);
        assert_eq!(
            (&alone["store"], &alone["samples"], &alone["category"]),
            (&Value::Null, &json!(0), &json!("missing"))
        );
    }
}

#[test]
fn what_production_has_is_compared_where_asked() {
    let folder = half_done();
    folder.put_in_front("plain.toml");
    let options = "compare_with_fallback = true\nfallback_by = \"version\"\n";
    let set = folder.behind_mine();
    let set = set.replace("[stores.dev]\n", &format!("[stores.dev]\n{options}"));
    folder.write("asking.toml", &set);
    let row = |config: &str, more: &[&str]| {
        let args = ["--config-file", config, "status", TRANSCRIPT];
        let args = [&args[..], &["--format", "json"], more].concat();
        let all: Value = serde_json::from_str(&folder.ok(&args)).unwrap();
        let of = ["samples", "store", "new", "stale", "compared_with"];
        of.map(|name| all[0][name].clone())
    };
    let alone = [json!(1), json!("prod"), json!(2), json!(0), json!("dev")];
    let chain = [json!(1), json!("prod"), json!(1), json!(1), json!("prod")];
    let (with, without) = (["--compare-with-fallback"], ["--no-compare-with-fallback"]);
    assert_eq!(row("plain.toml", &[]), alone);
    assert_eq!(row("plain.toml", &with), chain);
    assert_eq!(row("asking.toml", &[]), chain);
    assert_eq!(row("asking.toml", &without), alone);

    let said = |config: &str| folder.ok(&["--config-file", config, "status", TRANSCRIPT]);
    let (plain, asking) = (said("plain.toml"), said("asking.toml"));
    let both = "compute 2 (samples of store prod, compared with store dev)";
    assert!(plain.contains(both), "{plain}");
    assert!(asking.contains("compute 2 (in store prod)"), "{asking}");
    let resolve = [
        "--config-file",
        "plain.toml",
        "resolve",
        TRANSCRIPT,
        "--count",
    ];
    let counted = [&resolve[..], &with, &["--format", "json"]].concat();
    let counted: Value = serde_json::from_str(&folder.ok(&counted)).unwrap();
    assert_eq!(
        (&counted["new"], &counted["compared_with"]),
        (&json!(1), &json!("prod"))
    );
}

#[test]
fn what_was_pushed_to_production_is_seen() {
    let folder = Folder::with_raw();
    folder.ok(&["push"]);
    folder.put_in_front("chain.toml");
    let told = |args: &[&str]| -> Value {
        let args = [
            &["--config-file", "chain.toml"],
            args,
            &["--format", "json"],
        ]
        .concat();
        serde_json::from_str(&folder.ok(&args)).unwrap()
    };
    let history = told(&["history"]);
    assert_eq!(
        (&history["store"], &history["total"]),
        (&json!("dev"), &json!(1))
    );
    assert_eq!(history["pushes"][0]["store"], "prod");
    let feature = told(&["history", "video/raw"]);
    assert_eq!(
        (&feature["store"], &feature["versions"][0]["rows"]),
        (&json!("prod"), &json!(2))
    );
    let difference = told(&["graph-diff"]);
    assert_eq!(difference["from"]["store"], "prod");
    assert_eq!(difference["counts"]["unchanged"], 2);
    let plain = folder.ok(&["--config-file", "chain.toml", "history"]);
    assert!(plain.contains("store") && plain.contains("prod"), "{plain}");
}
