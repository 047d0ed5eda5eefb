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

/// A third feature, which depends on the transcript; all is computed.
fn chain() -> Folder {
    let folder = Folder::with_raw();
    folder.write(
        "features/words.toml",
        "[[feature]]\nkey = \"video/words\"\nid_columns = [\"video_id\"]\ndeps = [\"video/transcript\"]\n",
    );
    for feature in [TRANSCRIPT, "video/words"] {
        let todo = folder.ok(&["resolve", feature]);
        folder.ok_with(&["write", feature, "-"], &todo);
    }
    folder
}

/// Another code version of a field of the root on which nothing depends.
fn bump_frames(folder: &Folder) {
    let features = folder.text("features/example.toml");
    let fields = "[feature.fields]\naudio = {}\nframes = { code_version = \"2\" }";
    let changed = features.replace("fields = [\"audio\", \"frames\"]", fields);
    assert_ne!(changed, features);
    folder.write("features/example.toml", &changed);
}

#[test]
fn a_feature_waits_for_what_is_upstream_of_it() {
    let folder = chain();
    let words = || document(&folder, &["video/words"])[0].clone();
    let in_sync = |code: i32| {
        let output = folder.run(&["status", "video/words", "--assert-in-sync"], "");
        assert_eq!(output.status.code(), Some(code));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        (&words()["state"], in_sync(0).as_str()),
        (&json!("up_to_date"), "")
    );
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    let row = words();
    assert_eq!(
        [
            "state",
            "category",
            "waits_for",
            "upstream_to_compute",
            "stale"
        ]
        .map(|name| &row[name]),
        [
            &json!("waits"),
            &json!("waits"),
            &json!([TRANSCRIPT]),
            &json!(1),
            &json!(0)
        ]
    );
    assert_eq!(
        in_sync(3),
        "not in sync: video/words (waits for video/transcript (1 to compute))\n"
    );
    let plain = folder.ok(&["status", "--format", "plain"]);
    let line = |feature: &str| {
        let line = plain.lines().find(|line| line.starts_with(feature));
        line.unwrap_or_else(|| panic!("{plain}")).to_owned()
    };
    assert!(line(TRANSCRIPT).ends_with("compute 1"), "{plain}");
    let end = "waits for video/transcript (1 to compute)";
    assert!(line("video/words").ends_with(end), "{plain}");
    let csv = folder.ok(&["status", "video/words", "--format", "csv"]);
    assert!(csv.contains(",waits,video/transcript,1,0,"), "{csv}");
    let drawn = folder.ok(&["graph", "render", "--status", "--format", "json"]);
    let drawn: Value = serde_json::from_str(&drawn).unwrap();
    let status = &drawn["features"][2]["status"];
    assert_eq!(
        (&status["state"], &status["waits_for"]),
        (&row["state"], &row["waits_for"])
    );
    let drawn = folder.ok(&["graph", "render", "--status", "--width", "200"]);
    assert!(drawn.contains("waits for video/transcript"), "{drawn}");
}

#[test]
fn nothing_is_orphaned_while_upstream_has_rows_of_other_versions_only() {
    let folder = chain();
    bump_frames(&folder);
    let all = document(&folder, &[]);
    assert_shape("metaxy status", 0, &all);
    let of = |at: usize, names: [&str; 4]| names.map(|name| all[at][name].clone());
    assert_eq!(
        of(0, ["category", "state", "samples", "other_versions"]),
        [
            json!("root_feature"),
            json!("needs_work"),
            json!(0),
            json!(2)
        ]
    );
    for at in [1, 2] {
        assert_eq!(
            of(at, ["state", "samples", "orphaned", "upstream_to_compute"]),
            [json!("waits"), json!(2), json!(0), json!(2)]
        );
    }
    let plain = folder.ok(&["status"]);
    assert!(plain.contains("write 2 under this version"), "{plain}");
    assert!(
        plain.contains("waits for video/raw (2 to compute)"),
        "{plain}"
    );

    let error = folder.fails(&["delete", TRANSCRIPT, "--orphaned", "--yes"], 1);
    for words in [
        "video/transcript",
        "video/raw",
        "other feature versions",
        "hint: ",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
    let told = folder.run(&["resolve", TRANSCRIPT, "--count", "--format", "csv"], "");
    assert_eq!(
        String::from_utf8_lossy(&told.stdout),
        "part,rows\nnew,0\nstale,0\norphaned,0\n"
    );
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(
        told.starts_with("video/transcript waits for video/raw"),
        "{told}"
    );

    folder.ok_with(&["write", "video/raw", "-"], RAW.lines().next().unwrap());
    folder.ok(&["delete", TRANSCRIPT, "--orphaned", "--yes"]);
    assert_eq!(folder.status(TRANSCRIPT).0, [1, 0, 0, 0].map(Some));
}

#[test]
fn a_read_of_nothing_says_which_versions_have_rows() {
    let folder = chain();
    let old = folder.rows(&["status", "video/raw", "--format", "ndjson"])[0]["version"].clone();
    let old = old.as_str().unwrap()[..8].to_owned();
    bump_frames(&folder);
    for format in ["plain", "ndjson"] {
        let read = folder.run(&["read", "video/raw", "--format", format], "");
        let told = String::from_utf8(read.stderr).unwrap();
        assert!(read.status.success(), "{told}");
        assert!(
            told.starts_with("video/raw has no rows under its version"),
            "{told}"
        );
        assert!(told.contains(&format!("under {old} (2 rows)")), "{told}");
    }
    folder.ok(&["read", "video/raw", "--feature-version", &old]);
    // Rows that a filter leaves out are there.
    folder.ok(&["read", TRANSCRIPT, "--filter", "seconds > 99"]);
}

#[test]
fn rows_of_a_history_show_what_tells_them_apart() {
    let folder = chain();
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    let plain = folder.ok(&[
        "read",
        "video/raw",
        "--with-sample-history",
        "--format",
        "plain",
    ]);
    let title = plain.lines().next().unwrap();
    let at = |name: &str| title.find(name).unwrap_or_else(|| panic!("{plain}"));
    assert!(at("video_id") < at("metaxy_updated_at"), "{plain}");
    assert!(at("metaxy_updated_at") < at("metaxy_provenance"), "{plain}");
    assert!(at("metaxy_data_version") < at("seconds"), "{plain}");
    assert!(!title.contains("metaxy_deleted_at"), "{plain}");
    let rows: Vec<&str> = plain
        .lines()
        .filter(|line| line.starts_with("v1"))
        .collect();
    assert!(rows.len() == 2 && rows[0] != rows[1], "{plain}");
    let all = [
        "--with-sample-history",
        "--include-deleted",
        "--with-feature-history",
    ];
    let plain = folder.ok(&[&["read", "video/raw", "--format", "plain"][..], &all].concat());
    for name in ["metaxy_deleted_at", "metaxy_feature_version"] {
        assert!(plain.lines().next().unwrap().contains(name), "{plain}");
    }
    let plain = folder.ok(&["read", "video/raw", "--format", "plain"]);
    assert!(!plain.contains("metaxy_updated_at"), "{plain}");
}

/// One feature that cannot be compared hides no other.
#[test]
fn a_feature_that_cannot_be_compared_is_a_row_with_its_reason() {
    let folder = Folder::with_raw();
    let odd = r#"
[[feature]]
key = "video/odd"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", filters = ["nothing > 1"] }]

[[feature]]
key = "video/after"
id_columns = ["video_id"]
deps = ["video/odd"]
"#;
    folder.write("features/odd.toml", odd);
    let output = folder.run(&["status", "--format", "ndjson"], "");
    assert_eq!(output.status.code(), Some(1));
    let [told, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(
        said.contains("features cannot be compared: video/odd"),
        "{said}"
    );
    let rows: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let row = |feature: &str| rows.iter().find(|row| row["feature"] == feature).unwrap();
    assert_eq!(row("video/odd")["state"], "failed");
    assert!(
        row("video/odd")["failure"]
            .as_str()
            .unwrap()
            .contains("nothing")
    );
    assert_eq!(
        row("video/after")["waits_for"],
        serde_json::json!(["video/odd"])
    );
    assert_eq!(row("video/raw")["failure"], serde_json::Value::Null);
    let drawn = folder.ok(&["graph", "render", "--status"]);
    assert!(
        drawn.contains("cannot be compared") && drawn.contains("video/raw"),
        "{drawn}"
    );
    // By itself it is an error with all that there is to say.
    let said = folder.fails(&["status", "video/odd"], 1);
    assert!(
        said.contains("nothing") && said.contains("hint: "),
        "{said}"
    );
}
