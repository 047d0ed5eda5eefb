//! `metaxy graph-diff` and `metaxy history`.

use serde_json::{Value, json};

use crate::documented::assert_shape;
use crate::documents::document;
use crate::support::{Folder, RAW};

const TRANSCRIPT: &str = "video/transcript";

/// The document that a run prints, checked against the section of its command.
fn json(folder: &Folder, args: &[&str]) -> Value {
    let document = document(folder, args, "");
    let (command, nth) = match (args.contains(&"history"), args.contains(&TRANSCRIPT)) {
        (false, _) => ("metaxy graph-diff", 0),
        (true, false) => ("metaxy history", 0),
        (true, true) => ("metaxy history", 1),
    };
    assert_shape(command, nth, &document);
    document
}

fn edit(folder: &Folder, from: &str, to: &str) {
    let features = folder.text("features/example.toml");
    assert!(features.contains(from), "{features}");
    folder.write("features/example.toml", &features.replace(from, to));
}

/// A pushed project whose two samples are all computed.
fn pushed() -> Folder {
    let folder = Folder::with_raw();
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    folder.ok(&["push", "--tag", "commit=4f1c"]);
    folder
}

#[test]
fn nothing_has_changed_after_a_push() {
    let folder = pushed();
    let said = folder.ok(&["graph-diff"]);
    assert!(
        said.ends_with("Nothing has changed: 2 features.\n"),
        "{said}"
    );
    let diff = json(&folder, &["graph-diff"]);
    assert_eq!(diff["from"]["version"], diff["to"]["version"]);
    assert_eq!(
        (&diff["from"]["current"], &diff["to"]["current"]),
        (&false.into(), &true.into())
    );
    assert_eq!(diff["features"], json!([]));
    assert_eq!(
        diff["counts"],
        json!({ "added": 0, "removed": 0, "changed": 0, "affected": 0, "unchanged": 2, "new_samples": 0, "removed_samples": 0 })
    );
}

#[test]
fn a_new_code_version_makes_samples_new() {
    let folder = pushed();
    edit(&folder, "code_version = \"1\"", "code_version = \"2\"");
    let diff = json(&folder, &["graph-diff"]);
    let change = &diff["features"][0];
    assert_eq!(
        (&change["feature"], &change["change"]),
        (&TRANSCRIPT.into(), &"changed".into())
    );
    assert_eq!(change["new_samples"], 2);
    assert_eq!(diff["counts"]["new_samples"], 2);
    assert_ne!(change["version"]["from"], change["version"]["to"]);
    let field = &change["fields"][0];
    assert_eq!(
        (&field["field"], &field["change"]),
        (&"text".into(), &"changed".into())
    );
    assert_eq!(field["code_version"], json!({ "from": "1", "to": "2" }));
    assert_eq!(
        field["parents"]["from"],
        json!([{ "feature": "video/raw", "field": "audio" }])
    );
    assert_eq!(
        (&change["dependencies"], &change["members"]),
        (&json!([]), &json!({}))
    );

    let said = folder.ok(&["graph-diff"]);
    let [old, new] = ["from", "to"].map(|side| &change["version"][side].as_str().unwrap()[..8]);
    assert!(
        said.contains(&format!(
            "changed video/transcript  {old} → {new}  2 samples new\n"
        )),
        "{said}"
    );
    assert!(said.contains("  field text: code 1 → 2\n"), "{said}");
    assert!(
        said.ends_with("1 changed, 1 unchanged, 2 samples new\n"),
        "{said}"
    );

    // What is computed again is no longer stale.
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    let one: String = todo
        .lines()
        .take(1)
        .map(|line| format!("{line}\n"))
        .collect();
    folder.ok_with(&["write", TRANSCRIPT, "-"], &one);
    assert_eq!(json(&folder, &["graph-diff"])["counts"]["new_samples"], 1);
    let uncounted = json(&folder, &["graph-diff", "--no-counts"]);
    assert_eq!(uncounted["counts"]["new_samples"], Value::Null);
    assert_eq!(uncounted["features"][0]["new_samples"], Value::Null);
    let said = folder.ok(&["graph-diff", "--no-counts"]);
    assert!(!said.contains("samples new"), "{said}");
}

#[test]
fn what_is_upstream_affects_what_is_downstream() {
    let folder = pushed();
    edit(
        &folder,
        "fields = [\"audio\", \"frames\"]",
        "[feature.fields]\naudio = { code_version = \"2\" }\nframes = {}",
    );
    let diff = json(&folder, &["graph-diff"]);
    let changes: Vec<_> = diff["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (&f["feature"], &f["change"]))
        .collect();
    assert_eq!(
        changes,
        [
            (&"video/raw".into(), &"changed".into()),
            (&TRANSCRIPT.into(), &"affected".into())
        ]
    );
    assert_eq!(diff["features"][1]["fields"][0]["change"], "affected");
    assert_eq!(diff["counts"]["new_samples"], 4);
    let said = folder.ok(&["graph-diff"]);
    assert!(said.contains("affected video/transcript"), "{said}");
}

#[test]
fn each_feature_comes_after_what_it_depends_on() {
    let folder = Folder::with_raw();
    let last = |code: &str| {
        let fields = format!("[feature.fields]\nwords = {{ code_version = \"{code}\" }}\n");
        let feature = "[[feature]]\nkey = \"a/last\"\nid_columns = [\"video_id\"]\ndeps = [\"video/transcript\"]\n";
        folder.write("features/more.toml", &format!("{feature}{fields}"));
    };
    last("1");
    folder.ok(&["push"]);
    last("2");
    edit(
        &folder,
        "fields = [\"audio\", \"frames\"]",
        "[feature.fields]\naudio = { code_version = \"2\" }\nframes = {}",
    );
    let diff = json(&folder, &["graph-diff"]);
    let order = diff["features"].as_array().unwrap().iter();
    let order: Vec<_> = order.map(|f| f["feature"].as_str().unwrap()).collect();
    assert_eq!(order, ["video/raw", TRANSCRIPT, "a/last"]);
}

#[test]
fn everything_in_a_definition_is_compared() {
    let folder = pushed();
    let first = json(&folder, &["graph-diff"])["from"]["version"]
        .as_str()
        .unwrap()
        .to_owned();
    edit(
        &folder,
        "deps = [\"video/raw\"]",
        "deps = [{ feature = \"video/raw\", select = [\"seconds\"], filters = [\"seconds > 3\"] }]",
    );
    edit(
        &folder,
        "description = \"What is said in a video.\"",
        "description = \"What is said.\"\nmetadata = { owner = \"me\" }",
    );
    folder.write("features/more.toml", "[[feature]]\nkey = \"video/length\"\nid_columns = [\"video_id\"]\ndeps = [{ feature = \"video/raw\", select = [] }]\n");
    let diff = json(&folder, &["graph-diff"]);
    let [added, changed] = [0, 1].map(|at| &diff["features"][at]);
    assert_eq!(
        (&added["feature"], &added["change"]),
        (&"video/length".into(), &"added".into())
    );
    assert_eq!(
        (&added["version"]["from"], &added["new_samples"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        changed["dependencies"],
        json!([{ "feature": "video/raw", "change": "changed", "members": {
            "select": { "from": null, "to": ["seconds"] },
            "sql_filters": { "from": null, "to": ["seconds > 3"] },
        } }])
    );
    assert_eq!(
        changed["members"]["description"],
        json!({ "from": "What is said in a video.", "to": "What is said." })
    );
    assert_eq!(
        changed["members"]["metadata"]["to"],
        json!({ "owner": "me" })
    );
    // None of that changes a version.
    assert_eq!(changed["version"]["from"], changed["version"]["to"]);
    assert_eq!(changed["new_samples"], 0);
    let said = folder.ok(&["graph-diff"]);
    for line in [
        "added video/length  ",
        "  dependency video/raw: select none → [\"seconds\"]\n",
        "  description: \"What is said in a video.\" → \"What is said.\"\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }

    // The other way round, between two pushed graphs.
    folder.ok(&["push"]);
    let back = json(&folder, &["graph-diff", "latest", &first[..6]]);
    assert_eq!(back["to"]["version"], first.as_str());
    // What is gone comes last.
    let gone = &back["features"][1];
    assert_eq!(gone["change"], "removed");
    assert_eq!(
        (&gone["version"]["to"], &gone["removed_samples"]),
        (&Value::Null, &0.into())
    );
}

#[test]
fn other_id_columns_and_dependencies_are_told() {
    let folder = pushed();
    edit(
        &folder,
        "id_columns = [\"video_id\"]\ndescription = \"What is said in a video.\"\ndeps = [\"video/raw\"]",
        "id_columns = [\"video_id\", \"part\"]\ndescription = \"What is said in a video.\"\ndeps = [{ feature = \"video/raw\", lineage = { expansion = [\"video_id\"] } }]",
    );
    let change = &json(&folder, &["graph-diff"])["features"][0];
    assert_eq!(
        change["id_columns"],
        json!({ "from": ["video_id"], "to": ["video_id", "part"] })
    );
    assert_eq!(
        change["dependencies"][0]["members"]["lineage"]["to"]["relationship"]["type"],
        "1:N"
    );
    let said = folder.ok(&["graph-diff"]);
    assert!(
        said.contains("  identified by: video_id → video_id, part\n"),
        "{said}"
    );
}

#[test]
fn samples_of_a_removed_feature_are_counted() {
    let folder = pushed();
    let features = folder.text("features/example.toml");
    let (kept, _) = features.split_once("# A transcript").unwrap();
    folder.write("features/example.toml", kept);
    let diff = json(&folder, &["graph-diff"]);
    let gone = &diff["features"][0];
    assert_eq!(
        (
            &gone["change"],
            &gone["removed_samples"],
            &gone["new_samples"]
        ),
        (&"removed".into(), &2.into(), &Value::Null)
    );
    assert_eq!(diff["counts"]["removed_samples"], 2);
    let said = folder.ok(&["graph-diff"]);
    assert!(
        said.contains("2 samples left\n") && said.contains("2 samples of removed features"),
        "{said}"
    );
}

#[test]
fn a_difference_is_drawn() {
    let folder = pushed();
    edit(&folder, "code_version = \"1\"", "code_version = \"2\"");
    let drawing = folder.ok(&["graph-diff", "--format", "terminal"]);
    assert!(
        drawing.contains("changed · was ") && drawing.contains(" · 2 new"),
        "{drawing}"
    );
    for (file, contains) in [
        ("diff.mmd", "class f1 stale"),
        ("diff.dot", "color=\"#b96a00\""),
        ("diff.svg", "class=\"feature stale\""),
        ("diff.html", "\"tone\":\"stale\""),
        ("diff.json", "\"new_samples\": 2"),
        ("diff.txt", "2 samples new"),
    ] {
        folder.ok(&["graph-diff", "-o", file]);
        assert!(folder.text(file).contains(contains), "{file}");
    }
}

#[test]
fn graphs_that_were_never_pushed_are_errors() {
    let folder = Folder::project();
    let error = folder.fails(&["graph-diff"], 1);
    assert!(
        error.contains("no graph of project \"films\" was pushed") && error.contains("metaxy push"),
        "{error}"
    );
    folder.assert_no_store("reading makes no store");
    folder.ok(&["push"]);
    let error = folder.fails(&["graph-diff", "12345678", "latest"], 1);
    assert!(
        error.contains("\"12345678\"") && error.contains("hint: "),
        "{error}"
    );
}

#[test]
fn pushes_are_listed_with_what_they_changed() {
    let folder = Folder::project();
    let said = folder.ok(&["history"]);
    assert!(
        said.starts_with("No graph of project films was pushed to store dev yet."),
        "{said}"
    );
    assert_eq!(json(&folder, &["history"])["pushes"], json!([]));

    folder.ok(&["push", "--tag", "commit=4f1c"]);
    edit(&folder, "code_version = \"1\"", "code_version = \"2\"");
    folder.ok(&["push"]);
    // The first graph again: a third push.
    edit(&folder, "code_version = \"2\"", "code_version = \"1\"");
    folder.ok(&["push"]);
    edit(
        &folder,
        "fields = [\"audio\", \"frames\"]",
        "[feature.fields]\naudio = { code_version = \"2\" }\nframes = {}",
    );
    folder.write(
        "features/more.toml",
        "[[feature]]\nkey = \"more\"\nid_columns = [\"video_id\"]\n",
    );
    folder.ok(&["push"]);

    let history = json(&folder, &["history"]);
    assert_eq!(
        (&history["store"], &history["project"], &history["total"]),
        (&"dev".into(), &"films".into(), &4.into())
    );
    let pushes = history["pushes"].as_array().unwrap();
    assert_eq!(pushes[3]["changes"], Value::Null);
    assert_eq!(pushes[3]["tags"]["commit"], "4f1c");
    let changed = json!({ "added": [], "removed": [], "changed": [TRANSCRIPT], "affected": [] });
    assert_eq!(
        (&pushes[2]["changes"], &pushes[1]["changes"]),
        (&changed, &changed)
    );
    assert_eq!(pushes[1]["version"], pushes[3]["version"]);
    assert_eq!(pushes[0]["features"], 3);
    assert_eq!(
        pushes[0]["changes"],
        json!({ "added": ["more"], "removed": [], "changed": ["video/raw"], "affected": [TRANSCRIPT] })
    );
    let times: Vec<&str> = pushes
        .iter()
        .map(|push| push["pushed_at"].as_str().unwrap())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] > pair[1]), "{times:?}");

    let limited = json(&folder, &["history", "--limit", "1"]);
    assert_eq!(limited["pushes"], json!([pushes[0]]));
    assert_eq!(limited["total"], 4);
    let said = folder.ok(&["history"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(
        lines[1].contains("more added, video/raw changed, video/transcript affected"),
        "{said}"
    );
    assert!(
        lines[4].contains("first") && lines[4].ends_with("commit=4f1c"),
        "{said}"
    );
    assert!(
        folder
            .ok(&["history", "--limit", "2"])
            .ends_with("and 2 more before\n")
    );
    assert_eq!(
        json(&folder, &["--project", "other", "history"])["total"],
        0
    );
}

#[test]
fn versions_of_a_feature_have_rows() {
    let folder = pushed();
    // A row of a sample that is there already.
    folder.ok_with(&["write", "video/raw", "-"], &RAW.replace("a1", "a9"));
    let todo = folder.ok(&["resolve", TRANSCRIPT]);
    folder.ok_with(&["write", TRANSCRIPT, "-"], &todo);
    edit(&folder, "code_version = \"1\"", "code_version = \"2\"");
    let history = json(&folder, &["history", TRANSCRIPT]);
    assert_eq!(
        (&history["feature"], &history["total"]),
        (&TRANSCRIPT.into(), &2.into())
    );
    let [new, old] = [0, 1].map(|at| &history["versions"][at]);
    assert_eq!(history["current_version"], new["version"]);
    assert_eq!(
        (&new["current"], &new["first_pushed_at"], &new["rows"]),
        (&true.into(), &Value::Null, &0.into())
    );
    assert_eq!(
        (&old["current"], &old["rows"], &old["samples"]),
        (&false.into(), &3.into(), &2.into())
    );
    assert_eq!(old["project_versions"].as_array().unwrap().len(), 1);
    assert!(
        old["first_pushed_at"].as_str().unwrap().ends_with('Z'),
        "{old}"
    );

    let said = folder.ok(&["history", TRANSCRIPT]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[1].contains("not pushed") && lines[1].ends_with("current"),
        "{said}"
    );
    assert!(lines[2].contains("UTC"), "{said}");
    folder.ok(&["push"]);
    let history = json(&folder, &["history", TRANSCRIPT, "--limit", "1"]);
    assert!(
        history["versions"][0]["first_pushed_at"].is_string(),
        "{history}"
    );
    assert_eq!(history["total"], 2);

    let error = folder.fails(&["history", "video/transcrip"], 1);
    assert!(
        error.contains("did you mean `video/transcript`?"),
        "{error}"
    );
    folder.fails(&["history", "Video"], 1);
}

#[test]
fn a_project_without_files_has_a_history_too() {
    let folder = pushed();
    let bare: String = folder
        .text("metaxy.toml")
        .lines()
        .filter(|line| !line.starts_with("features"))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("bare.toml", &bare);
    let history = json(
        &folder,
        &["--config-file", "bare.toml", "history", TRANSCRIPT],
    );
    assert_eq!(history["versions"][0]["current"], true);
    assert_eq!(
        json(&folder, &["--config-file", "bare.toml", "history"])["total"],
        1
    );
    let said = folder.ok(&["--config-file", "bare.toml", "graph-diff"]);
    assert!(said.contains("Nothing has changed"), "{said}");
}
