//! `metaxy metadata`: whole features are copied, deleted, rebased and dropped.

use serde_json::{Value, json};

use crate::documents::{document, documented};
use crate::support::{Folder, RAW};

const TRANSCRIPT: &str = "video/transcript";

/// A project whose store `prod` has both features, and whose store `dev` has nothing.
fn two_stores() -> Folder {
    let folder = Folder::project();
    let own = folder.text("metaxy.toml");
    let prod = folder.store("prod");
    folder.write("metaxy.toml", &format!("{own}\n[stores.prod]\n{prod}"));
    folder.ok_with(&["--store", "prod", "write", "video/raw", "-"], RAW);
    let todo = folder.ok(&["--store", "prod", "resolve", TRANSCRIPT]);
    folder.ok_with(&["--store", "prod", "write", TRANSCRIPT, "-"], &todo);
    folder
}

/// Another version of the feature that the transcript depends on, and of the transcript.
fn another_version(folder: &Folder) {
    let features = folder.text("features/example.toml");
    let changed = features.replace("code_version = \"1\"", "code_version = \"2\"");
    assert_ne!(features, changed);
    folder.write("features/example.toml", &changed);
}

fn version(folder: &Folder) -> String {
    let rows = folder.rows(&["status", TRANSCRIPT, "--format", "ndjson"]);
    rows[0]["version"].as_str().unwrap().to_owned()
}

fn rows(folder: &Folder, args: &[&str]) -> usize {
    folder.rows(args).len()
}

#[test]
fn a_copy_says_what_it_finds_before_it_starts() {
    let folder = two_stores();
    let copy = ["metadata", "copy", "--from", "prod", "--all-features"];
    let with = |more: &[&'static str]| [&copy[..], more].concat();
    let dry = documented(&folder, "metaxy metadata copy", &with(&["--dry-run"]), "");
    assert_eq!(
        (&dry["dry_run"], &dry["rows"], &dry["to"]),
        (&json!(true), &json!(4), &json!("dev"))
    );
    folder.assert_no_store("a dry run makes no store");
    let error = folder.fails(&copy, 1);
    assert!(
        error.contains("copy 4 rows from store prod to dev") && error.contains("hint: add --yes"),
        "{error}"
    );
    assert_eq!(folder.status("video/raw").1, "missing");

    let done = documented(&folder, "metaxy metadata copy", &with(&["--yes"]), "");
    assert_eq!((&done["rows"], &done["skipped"]), (&json!(4), &json!([])));
    folder.assert_up_to_date(TRANSCRIPT, 2);
    // Once more: nothing is left to do, and nobody is asked.
    let again = folder.ok(&copy);
    assert_eq!(
        again.trim(),
        "0 rows copied from store prod to dev; 4 rows were there already."
    );
    let plain = folder.ok(&with(&["-y", "--append"]));
    assert!(
        plain.contains("4 rows copied from store prod to dev."),
        "{plain}"
    );
    assert!(plain.contains("video/raw             2\n"), "{plain}");
}

#[test]
fn a_copy_takes_what_is_asked_for() {
    let folder = two_stores();
    let prod = |args: &[&'static str]| [&["--store", "prod"], args].concat();
    folder.ok(&prod(&[
        "delete",
        "video/raw",
        "--filter",
        "seconds < 10",
        "-y",
    ]));
    another_version(&folder);
    let copy = |more: &[&str]| {
        let base = [
            "metadata",
            "copy",
            "--from",
            "prod",
            "--to",
            "dev",
            "--dry-run",
        ];
        document(&folder, &[&base[..], more].concat(), "")
    };
    // The deletion is a row like others; an append leaves it out.
    assert_eq!(copy(&["video/raw"])["rows"], 2);
    assert_eq!(copy(&["video/raw", "--append"])["rows"], 1);
    assert_eq!(copy(&["video/raw", "--with-sample-history"])["rows"], 3);
    assert_eq!(copy(&["video/raw", "--filter", "seconds > 99"])["rows"], 0);
    assert_eq!(copy(&[TRANSCRIPT])["rows"], 2);
    let current = copy(&[TRANSCRIPT, "--no-with-feature-history"]);
    assert_eq!(
        (&current["rows"], &current["skipped"]),
        (&json!(0), &json!([TRANSCRIPT]))
    );
    assert_eq!(copy(&[TRANSCRIPT, "--with-feature-history"])["rows"], 2);

    let fails = |more: &[&str], code| folder.fails(&[&["metadata", "copy"], more].concat(), code);
    let error = fails(&["--from", "prud", "--all-features", "-y"], 1);
    assert!(error.contains("hint: did you mean `prod`?"), "{error}");
    let error = fails(&["--from", "dev", "video/raw", "-y"], 1);
    assert!(error.contains("hint:"), "{error}");
    let error = fails(&["--from", "prod", "video/rew", "-y"], 1);
    assert!(error.contains("hint: did you mean `video/raw`?"), "{error}");
    fails(&["--from", "prod"], 2);
    fails(&["--all-features"], 2);
    fails(&["--from", "prod", "video/raw", "--all-features"], 2);
}

#[test]
fn a_copy_is_a_merge() {
    let folder = two_stores();
    let copy = |more: &[&str]| {
        let base = ["metadata", "copy", "--from", "prod", "video/raw", "-y"];
        document(&folder, &[&base[..], more].concat(), "")
    };
    assert_eq!(copy(&[])["rows"], 2);
    // Later in the destination: it stays. Later in the source: it comes, deletions too.
    let one = |path: &str| {
        let lines = RAW.lines();
        let found: Vec<&str> = lines.filter(|line| line.contains("v1")).collect();
        found.join("\n").replace("a1", path)
    };
    folder.ok_with(&["write", "video/raw", "-"], &one("a8"));
    let delete = ["delete", "video/raw", "--filter", "video_id <> 'v1'", "-y"];
    folder.ok(&[&["--store", "prod"], &delete[..]].concat());
    let merged = copy(&[]);
    assert_eq!(
        (&merged["rows"], &merged["present"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(merged["features"][0]["present"], 1);
    let here = folder.rows(&["read", "video/raw", "--format", "ndjson"]);
    assert_eq!(here.len(), 1);
    assert!(here[0].to_string().contains("a8"), "{}", here[0]);
    let history = copy(&["--with-sample-history"]);
    assert_eq!(
        (&history["rows"], &history["present"]),
        (&json!(0), &json!(3))
    );
}

#[test]
fn pushed_graphs_come_along_where_asked() {
    let folder = two_stores();
    folder.ok(&["--store", "prod", "push"]);
    let copy = |more: &[&str]| {
        let base = ["metadata", "copy", "--from", "prod", "video/raw", "-y"];
        document(&folder, &[&base[..], more].concat(), "")["graphs"].clone()
    };
    let pushes = || document(&folder, &["history"], "")["total"].clone();
    assert_eq!((copy(&[]), pushes()), (json!(0), json!(0)));
    assert_eq!((copy(&["--with-graphs"]), pushes()), (json!(1), json!(1)));
    assert_eq!((copy(&["--with-graphs"]), pushes()), (json!(0), json!(1)));
    let fresh = two_stores();
    fresh.ok(&["--store", "prod", "push"]);
    let all = ["metadata", "copy", "--from", "prod", "--all-features"];
    let said = fresh.ok(&[&all[..], &["--with-graphs", "-y"]].concat());
    assert!(said.contains("4 rows and 1 pushed graph copied"), "{said}");
}

#[test]
fn several_features_are_deleted_together() {
    let folder = two_stores();
    let delete = ["--store", "prod", "metadata", "delete"];
    let with = |more: &[&'static str]| [&delete[..], more].concat();
    let some = with(&["--all-features", "--filter", "video_id = 'v1'"]);
    let dry = [&some[..], &["--dry-run"]].concat();
    let said = documented(&folder, "metaxy metadata delete", &dry, "");
    assert_eq!((&said["matched"], &said["deleted"]), (&json!(2), &json!(0)));
    let plain = folder.ok(&dry);
    assert!(
        plain.contains("2 samples would be marked as deleted."),
        "{plain}"
    );
    let error = folder.fails(&some, 1);
    assert!(
        error.contains("mark 2 samples of 2 features in store prod as deleted"),
        "{error}"
    );
    let said = document(&folder, &[&some[..], &["--yes"]].concat(), "");
    assert_eq!((&said["matched"], &said["deleted"]), (&json!(2), &json!(2)));
    let read = ["--store", "prod", "read", "video/raw"];
    assert_eq!(rows(&folder, &read), 1);

    let hard = with(&[TRANSCRIPT, "video/raw", "--hard", "--yes"]);
    let error = folder.fails(&hard, 1);
    assert!(
        error.contains("1 of 1 sample of video/raw") && error.contains("hint:"),
        "{error}"
    );
    let dry = [&hard[..], &["--dry-run"]].concat();
    let plain = folder.ok(&dry);
    assert!(
        plain.contains("1 of 1 sample of video/transcript would need --max-share"),
        "{plain}"
    );
    assert_eq!(rows(&folder, &read), 1);
    let hard = [&hard[..], &["--max-share", "1"]].concat();
    let said = document(&folder, &hard, "");
    assert_eq!((&said["hard"], &said["deleted"]), (&json!(true), &json!(6)));
    assert_eq!(
        said["features"][0]["feature"], "video/raw",
        "upstream first"
    );
    let again = folder.ok(&hard);
    assert!(again.contains("0 rows removed for good."), "{again}");
    // Where nothing was ever written there is nothing to delete.
    let said = document(&folder, &["metadata", "delete", "--all-features", "-y"], "");
    assert_eq!(said["matched"], 0);
    let error = folder.fails(&["metadata", "delete", "video/raw", "-y"], 1);
    assert!(error.contains("has never been written"), "{error}");
}

#[test]
fn a_delete_over_all_versions() {
    let folder = two_stores();
    another_version(&folder);
    let delete = ["--store", "prod", "metadata", "delete", TRANSCRIPT, "--yes"];
    assert_eq!(document(&folder, &delete, "")["deleted"], 0);
    let all = [
        &delete[..],
        &["--with-feature-history", "--hard", "--max-share", "1"],
    ]
    .concat();
    assert_eq!(document(&folder, &all, "")["deleted"], 2);
}

#[test]
fn samples_are_carried_over_to_another_version() {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    folder.ok(&["push"]);
    let old = version(&folder);
    another_version(&folder);
    let new = version(&folder);
    assert_ne!(old, new);
    assert_eq!(folder.status(TRANSCRIPT).0, [0, 2, 0, 0].map(Some));

    let start = &old[..6];
    let rebase = ["metadata", "rebase", TRANSCRIPT, "--from", start];
    let with = |more: &[&'static str]| [&rebase[..], more].concat();
    let dry = documented(&folder, "metaxy metadata rebase", &with(&["--dry-run"]), "");
    assert_eq!((&dry["samples"], &dry["rebased"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&dry["from_version"], &dry["to_version"]),
        (&json!(old), &json!(new))
    );
    assert_eq!(folder.status(TRANSCRIPT).0[0], Some(0));
    let error = folder.fails(&rebase, 1);
    assert!(
        error.contains("carry 2 samples of video/transcript"),
        "{error}"
    );

    folder.ok(&["delete", "video/raw", "--filter", "video_id = '007'", "-y"]);
    let said = document(&folder, &with(&["--yes"]), "");
    let parts = [
        "samples", "rebased", "current", "stale", "orphaned", "left_out",
    ]
    .map(|part| &said[part]);
    assert_eq!(parts, [2, 2, 1, 0, 1, 0].map(Value::from).each_ref());
    assert_eq!(folder.status(TRANSCRIPT).0, [2, 0, 0, 1].map(Some));
    let again = folder.ok(&with(&["--yes"]));
    assert!(
        again.contains("2 of 2 samples carried over")
            && again.contains("1 current, 0 stale, 1 orphaned")
            && again.contains("had 2 samples before"),
        "{again}"
    );

    // And back, to a version that was pushed.
    let back = [
        "metadata", "rebase", TRANSCRIPT, "--from", &new, "--to", start, "-y",
    ];
    let said = document(&folder, &back, "");
    assert_eq!(
        (&said["to_version"], &said["rebased"]),
        (&json!(old), &json!(2))
    );
}

#[test]
fn a_rebase_that_cannot_be() {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    let own = version(&folder);
    let fails = |feature: &str, from: &str, more: &[&str]| {
        let args = [
            &["metadata", "rebase", feature, "--from", from, "--yes"],
            more,
        ]
        .concat();
        let error = folder.fails(&args, 1);
        assert!(error.contains("hint:"), "{error}");
        error
    };
    assert!(fails(TRANSCRIPT, &own, &[]).contains("have version"));
    let error = fails(TRANSCRIPT, "zz", &[]);
    assert!(
        error.contains("no version \"zz\"") && error.contains(&own),
        "{error}"
    );
    let error = fails(TRANSCRIPT, &own, &["--to", "zz"]);
    assert!(error.contains("that was pushed"), "{error}");
    fails("video/rew", &own, &[]);
    folder.fails(&["metadata", "rebase", TRANSCRIPT], 2);
    assert_eq!(
        rows(&folder, &["read", TRANSCRIPT, "--with-sample-history"]),
        2
    );
}

#[test]
fn features_are_dropped_with_all_their_rows() {
    let folder = two_stores();
    let drop = ["--store", "prod", "metadata", "drop"];
    let with = |more: &[&'static str]| [&drop[..], more].concat();
    let all = with(&["--all-features", "--dry-run"]);
    let dry = documented(&folder, "metaxy metadata drop", &all, "");
    assert_eq!(
        dry["features"][1],
        json!({"feature": TRANSCRIPT, "rows": 2, "dropped": false})
    );
    let error = folder.fails(&with(&[TRANSCRIPT]), 1);
    assert!(
        error.contains("remove 1 feature with 2 rows of every version from store prod for good"),
        "{error}"
    );
    let said = document(&folder, &with(&[TRANSCRIPT, "--yes"]), "");
    assert_eq!(said["features"][0]["dropped"], true);
    let again = document(&folder, &with(&[TRANSCRIPT, "--yes"]), "");
    assert_eq!(
        again["features"][0],
        json!({"feature": TRANSCRIPT, "rows": null, "dropped": false})
    );

    // What the graph does not have any more.
    let features = folder.text("features/example.toml");
    folder.write(
        "features/example.toml",
        &features.replace("video/raw", "video/new"),
    );
    let plain = folder.ok(&with(&["video/raw", "--yes"]));
    assert!(
        plain.contains("1 feature removed from store prod."),
        "{plain}"
    );
    let error = folder.fails(&with(&["video/raw", "--yes"]), 1);
    assert!(
        error.contains("video/raw") && error.contains("hint:"),
        "{error}"
    );
    let error = folder.fails(&with(&["metaxy-system/feature_versions", "--yes"]), 1);
    assert!(error.contains("is a table of the system"), "{error}");
}

#[test]
fn what_others_define_is_left_alone() {
    let folder = Folder::with_raw();
    folder.write(
        "features/other.toml",
        "[[feature]]\nkey = \"other/one\"\nid_columns = [\"id\"]\nproject = \"others\"\nexternal = true\n",
    );
    let drop = [
        "metadata",
        "drop",
        "--all-features",
        "--dry-run",
        "--format",
        "json",
    ];
    // That the other project pushed nothing is told to standard error.
    let said: Value = serde_json::from_slice(&folder.run(&drop, "").stdout).unwrap();
    let named: Vec<&Value> = said["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["feature"])
        .collect();
    assert_eq!(named, ["video/raw", TRANSCRIPT]);
}

#[test]
fn status_is_there_under_its_old_name() {
    let folder = Folder::with_raw();
    assert_eq!(folder.ok(&["metadata", "status"]), folder.ok(&["status"]));
    let output = folder.run(&["metadata", "status", "--assert-in-sync"], "");
    assert_eq!(output.status.code(), Some(3));
}
