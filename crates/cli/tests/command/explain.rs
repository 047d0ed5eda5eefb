//! `metaxy explain`: a plan, and what it becomes in the engine.

use crate::documents::{document, documented};
use crate::support::{Folder, RAW};

const TRANSCRIPT: &str = "video/transcript";

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "what it expects is SQLite's")]
fn a_resolve_becomes_one_statement() {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    let said = documented(&folder, "metaxy explain", &["explain", TRANSCRIPT], "");
    assert_eq!(
        (&said["engine"], &said["store"]),
        (&"SQLite".into(), &"dev".into())
    );
    let plan = said["plan"].as_str().unwrap();
    for words in [
        "compare on video_id: ",
        "  expected: columns ",
        "  stored: ",
        "table of video/raw, version ",
        ", the latest row per video_id",
        "text|1|video/raw.audio|",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let statements = said["statements"].as_array().unwrap();
    let sql = statements[0].as_str().unwrap();
    assert!(
        statements.len() == 1 && sql.starts_with("SELECT ") && sql.contains("video__transcript"),
        "{sql}"
    );
    let steps = said["engine_plan"].as_str().unwrap();
    assert!(
        steps.contains("SEARCH ") || steps.contains("SCAN "),
        "{steps}"
    );

    let plain = folder.ok(&["explain", TRANSCRIPT]);
    for words in [
        "The plan\ncompare on",
        "What SQLite is given\nSELECT ",
        "How SQLite runs it\n",
    ] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    folder.assert_up_to_date(TRANSCRIPT, 2);
}

#[test]
fn filters_are_in_the_plan() {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    let args = [
        "explain",
        TRANSCRIPT,
        "--filter",
        "seconds > 3",
        "--stale-if",
        "seconds = 8",
    ];
    let plan = document(&folder, &args, "")["plan"].clone();
    let plan = plan.as_str().unwrap();
    assert!(
        plan.contains("seconds > 3") && plan.contains("stale too where seconds = 8"),
        "{plan}"
    );
    let error = folder.fails(&["explain", TRANSCRIPT, "--filter", "second > 3"], 1);
    assert!(error.contains("hint:"), "{error}");
}

#[test]
#[cfg_attr(not(feature = "sqlite"), ignore = "what it expects is SQLite's")]
fn rows_from_elsewhere_are_frames() {
    let folder = Folder::project();
    folder.write("raw.ndjson", RAW);
    let args = ["explain", "video/raw", "--samples", "raw.ndjson"];
    let said = document(&folder, &args, "");
    assert!(
        said["plan"]
            .as_str()
            .unwrap()
            .contains("rows handed in (0)"),
        "{said}"
    );
    assert!(
        said["statements"][0]
            .as_str()
            .unwrap()
            .contains("metaxy.frame.0"),
        "{said}"
    );
    folder.assert_no_store("nothing is made to look at it");
    let error = folder.fails(&["explain", "video/raw"], 1);
    assert!(error.contains("--samples FILE"), "{error}");

    let folder = Folder::with_raw();
    folder.put_in_front("chain.toml");
    let said = document(
        &folder,
        &["--config-file", "chain.toml", "explain", TRANSCRIPT],
        "",
    );
    assert!(
        said["plan"]
            .as_str()
            .unwrap()
            .contains("rows handed in (0)"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_resolved_cannot_be_explained() {
    let folder = Folder::project();
    let error = folder.fails(&["explain", TRANSCRIPT], 1);
    assert!(
        error.contains("its upstream video/raw has never been written"),
        "{error}"
    );
    let error = folder.fails(&["explain", "video/rew"], 1);
    assert!(error.contains("hint: did you mean `video/raw`?"), "{error}");
}
