//! `metaxy graph render`: every format, and what is drawn.

use crate::documents::documented;
use crate::support::{Folder, RAW};

/// A third feature beside those of the example, which depends on both.
const INDEX: &str = r#"
[[feature]]
key = "video/index"
id_columns = ["video_id"]
deps = [{ feature = "video/raw", select = [] }, { feature = "video/transcript", select = [], optional = true }]
"#;

fn project() -> Folder {
    let folder = Folder::project();
    folder.write("features/index.toml", INDEX);
    folder
}

/// The document of a graph, checked against the section of the command.
fn rendered(folder: &Folder, args: &[&str]) -> serde_json::Value {
    let args = [&["graph", "render"], args].concat();
    documented(folder, "metaxy graph render", &args, "")
}

#[test]
fn a_terminal_gets_boxes() {
    let drawing = project().ok(&["graph", "render"]);
    let expected = [
        "         ╭───────────╮",
        "         │ video/raw │",
        "         │ 44205236  │",
        "         │ • audio   │",
        "         │ • frames  │",
        "         ╰─────┬─────╯",
        "               ├─────╮",
        "╭──────────────▼───╮ │",
        "│ video/transcript │ │",
        "│ c81ad600         │ │",
        "│ • text  code 1   │ │",
        "╰─────────┬────────╯ │",
        "          ╰──╮   ╭───╯",
        "        ╭────▼───▼────╮",
        "        │ video/index │",
        "        │ 2bc7425c    │",
        "        │ • default   │",
        "        ╰─────────────╯",
    ];
    assert_eq!(drawing.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_drawing_fits_the_width() {
    let folder = project();
    for width in ["24", "30", "44", "100"] {
        for more in [&[][..], &["--no-fields"]] {
            let args = [&["graph", "render", "--width", width], more].concat();
            let drawing = folder.ok(&args);
            let widest = drawing.lines().map(|line| line.chars().count()).max();
            assert!(widest <= width.parse().ok(), "{width}: {drawing}");
            for feature in ["video/raw", "video/transcript", "video/index"] {
                assert!(drawing.contains(feature), "{width}: {drawing}");
            }
        }
    }
}

#[test]
fn what_is_too_wide_for_boxes_is_a_list() {
    let folder = Folder::project();
    let mut features = String::new();
    for n in 0..60 {
        features.push_str(&format!(
            "[[feature]]\nkey = \"many/number-{n}\"\nid_columns = [\"video_id\"]\ndeps = [{{ feature = \"video/raw\", select = [] }}]\n"
        ));
    }
    folder.write("features/many.toml", &features);
    let drawing = folder.ok(&["graph", "render", "--width", "80"]);
    assert!(drawing.contains("layer 2\n"), "{drawing}");
    assert!(drawing.contains("many/number-59"), "{drawing}");
    assert!(drawing.contains("    ← video/raw\n"), "{drawing}");
    assert!(
        drawing.lines().all(|line| line.chars().count() <= 80),
        "{drawing}"
    );
}

#[test]
fn features_around_others_are_drawn() {
    let folder = project();
    let drawn = |args: &[&str]| {
        let document = rendered(&folder, args);
        let features = document["features"].as_array().unwrap().iter();
        features
            .map(|f| f["feature"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = ["video/raw", "video/transcript", "video/index"];
    assert_eq!(drawn(&[]), all);
    assert_eq!(drawn(&["video/transcript"]), all);
    assert_eq!(drawn(&["video/transcript", "--downstream", "0"]), all[..2]);
    assert_eq!(drawn(&["video/transcript", "--upstream", "0"]), all[1..]);
    assert_eq!(
        drawn(&[
            "video/raw",
            "video/index",
            "--upstream",
            "0",
            "--downstream",
            "0"
        ]),
        ["video/raw", "video/index"]
    );

    let error = folder.fails(&["graph", "render", "video/transcrip"], 1);
    assert!(
        error.contains("did you mean `video/transcript`?"),
        "{error}"
    );
    let error = folder.fails(&["graph", "render", "--upstream", "1"], 2);
    assert!(error.contains("FEATURE"), "{error}");
    folder.assert_no_store("no store is needed");
}

#[test]
fn mermaid_and_dot_are_text() {
    let folder = project();
    let mermaid = folder.ok(&[
        "graph",
        "render",
        "video/transcript",
        "--downstream",
        "0",
        "--format",
        "mermaid",
    ]);
    let dot = folder.ok(&[
        "graph",
        "render",
        "video/transcript",
        "--downstream",
        "0",
        "--format",
        "dot",
        "--direction",
        "TB",
    ]);
    let document = rendered(&folder, &[]);
    let [raw, transcript] =
        [0, 1].map(|at| &document["features"][at]["version"].as_str().unwrap()[..8]);
    assert_eq!(
        mermaid,
        format!(
            "flowchart LR
    f0[\"<b>video/raw</b><br/><small>{raw}</small><br/>audio<br/>frames\"]
    f1[\"<b>video/transcript</b><br/><small>{transcript}</small><br/>text (1)\"]
    f0 --> f1
"
        )
    );
    assert_eq!(
        dot,
        format!(
            "digraph \"films\" {{
    rankdir=TB;
    node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11, margin=\"0.15,0.08\"];
    edge [color=\"#8a94a3\", arrowsize=0.7];
    \"video/raw\" [label=\"video/raw\\l{raw}\\l• audio\\l• frames\\l\"];
    \"video/transcript\" [label=\"video/transcript\\l{transcript}\\l• text (1)\\l\"];
    \"video/raw\" -> \"video/transcript\";
}}
"
        )
    );
    let optional = folder.ok(&["graph", "render", "--format", "mermaid"]);
    assert!(optional.contains("f1 -.-> f2"), "{optional}");
}

#[test]
fn files_say_their_format() {
    let folder = project();
    for (file, start) in [
        ("graph.mmd", "flowchart LR\n"),
        ("graph.dot", "digraph"),
        ("graph.svg", "<svg xmlns"),
        ("graph.html", "<!doctype html>"),
        ("graph.json", "{\n"),
        ("graph.txt", "  "),
    ] {
        let said = folder.ok(&["graph", "render", "--output", file]);
        assert_eq!(said, format!("{file}: 3 features\n"));
        assert!(folder.text(file).starts_with(start), "{file}");
    }
    let svg = folder.text("graph.svg");
    assert!(
        svg.ends_with("</svg>\n") && svg.matches("class=\"card\"").count() == 3,
        "{svg}"
    );
    assert_eq!(folder.ok(&["graph", "render", "-f", "svg", "-o", "-"]), svg);
    let page = folder.text("graph.html");
    for loads in ["src=", "href=", "@import", "url(http", "//cdn"] {
        assert!(!page.contains(loads), "{loads}");
    }
    let error = folder.fails(&["graph", "render", "-o", "nowhere/graph.svg"], 1);
    assert!(error.contains("nowhere/graph.svg"), "{error}");
}

#[test]
fn status_is_of_the_store() {
    let folder = Folder::with_raw();
    let document = |args: &[&str]| rendered(&folder, args);
    let plain = document(&[]);
    assert!(plain["store"].is_null() && plain["features"][1]["status"].is_null());
    let told = document(&["--status"]);
    assert_eq!(told["store"], "dev");
    let transcript = &told["features"][1];
    assert_eq!(transcript["feature"], "video/transcript");
    assert_eq!(
        transcript["status"],
        serde_json::json!({
            "category": "missing", "samples": 0, "new": 2, "stale": 0, "orphaned": 0, "store": null,
            "compared_with": "dev", "missing_upstream": null,
            "state": "needs_work", "failure": null, "waits_for": [],
        })
    );
    assert_eq!(
        transcript["fields"][0]["parents"],
        serde_json::json!([{ "feature": "video/raw", "field": "audio" }])
    );
    assert_eq!(transcript["dependencies"][0]["feature"], "video/raw");
    assert_eq!(
        told["features"][0]["dependents"],
        serde_json::json!(["video/transcript"])
    );
    let drawing = folder.ok(&["graph", "render", "--status"]);
    assert!(
        drawing.contains("│ 2 samples") && drawing.contains("never written · 2 new"),
        "{drawing}"
    );
    assert!(!drawing.contains('\x1b'), "{drawing:?}");
    let mermaid = folder.ok(&["graph", "render", "--status", "--format", "mermaid"]);
    assert!(mermaid.contains("    class f1 missing\n"), "{mermaid}");
}

#[test]
fn a_pushed_graph_is_drawn() {
    let folder = project();
    folder.ok(&["push"]);
    std::fs::remove_file(folder.join("features/index.toml")).unwrap();
    let document = |args: &[&str]| rendered(&folder, args);
    assert_eq!(document(&[])["features"].as_array().unwrap().len(), 2);
    let pushed = document(&["--snapshot", "latest"]);
    assert_eq!(pushed["features"].as_array().unwrap().len(), 3);
    let version = pushed["version"].as_str().unwrap();
    assert!(
        pushed["graph"].as_str().unwrap().starts_with("pushed 20"),
        "{pushed}"
    );
    assert_eq!(document(&["--snapshot", &version[..5]]), pushed);
    assert_eq!(
        document(&["--snapshot", version, "--status"])["features"][2]["status"]["category"],
        "upstream_missing"
    );
    let error = folder.fails(&["graph", "render", "--snapshot", "nothing"], 1);
    assert!(
        error.contains("\"nothing\"") && error.contains(&format!("hint: there are {version}")),
        "{error}"
    );
    let error = folder.fails(
        &[
            "--project",
            "other",
            "graph",
            "render",
            "--snapshot",
            "latest",
        ],
        1,
    );
    assert!(
        error.contains("project \"other\"") && error.contains("metaxy push"),
        "{error}"
    );
}

#[test]
fn names_of_all_kinds_are_escaped() {
    let folder = Folder::project();
    let nasty = r#"</script><script>alert("1")</script>&'`\\"#;
    let feature = format!(
        "[[feature]]\nkey = \"a\"\nid_columns = [\"id\"]\ndescription = '''{nasty}'''\n[feature.fields]\nf = {{ code_version = '''{nasty}''' }}\n"
    );
    folder.write("features/nasty.toml", &feature);
    let html = folder.ok(&["graph", "render", "--format", "html"]);
    assert_eq!(
        html.matches("<script").count(),
        2,
        "the data and the program of the page"
    );
    assert_eq!(html.matches("</script>").count(), 2);
    let svg = folder.ok(&["graph", "render", "--format", "svg"]);
    assert!(
        !svg.contains("<script") && svg.contains("&lt;/script&gt;"),
        "{svg}"
    );
    let mermaid = folder.ok(&["graph", "render", "--format", "mermaid"]);
    let line = mermaid
        .lines()
        .find(|line| line.contains("<b>a</b>"))
        .unwrap();
    assert_eq!(line.matches('"').count(), 2, "{line}");
    assert!(!line.contains("script>") && line.contains("#60;"), "{line}");
    let dot = folder.ok(&["graph", "render", "--format", "dot"]);
    let line = dot.lines().find(|line| line.contains("\"a\" [")).unwrap();
    assert!(
        line.contains(r#"alert(\"1\")"#) && line.contains(r"`\\\\"),
        "{line}"
    );
    let document = rendered(&folder, &[]);
    assert_eq!(document["features"][0]["description"], nasty);
}

#[test]
fn a_feature_that_the_graph_lacks_is_drawn_as_such() {
    let folder = Folder::project();
    folder.write(
        "features/more.toml",
        "[[feature]]\nkey = \"b\"\nid_columns = [\"id\"]\ndeps = [\"elsewhere/a\"]\n",
    );
    let document = rendered(&folder, &[]);
    let features = document["features"].as_array().unwrap();
    let lacking = features
        .iter()
        .find(|f| f["feature"] == "elsewhere/a")
        .unwrap();
    assert_eq!(
        (&lacking["in_graph"], &lacking["version"]),
        (&false.into(), &serde_json::Value::Null)
    );
    let drawing = folder.ok(&["graph", "render"]);
    assert!(drawing.contains("│ not in this graph │"), "{drawing}");
}

#[test]
fn a_graph_of_five_hundred_features_is_drawn() {
    let folder = Folder::project();
    let mut features = String::new();
    for n in 0..498 {
        let above = match n {
            0..20 => "video/raw".to_owned(),
            n => format!("many/n{}", n - 20 + (n * 7) % 19),
        };
        features.push_str(&format!(
            "[[feature]]\nkey = \"many/n{n}\"\nid_columns = [\"video_id\"]\ndeps = [{{ feature = \"{above}\", select = [] }}]\n"
        ));
    }
    folder.write("features/many.toml", &features);
    for format in ["terminal", "mermaid", "dot", "svg", "html", "json"] {
        let drawing = folder.ok(&["graph", "render", "--format", format]);
        assert!(drawing.contains("n497"), "{format}");
    }
    let one = Folder::empty();
    one.write(
        "metaxy.toml",
        "project = \"one\"\nfeatures = [\"a.toml\"]\n",
    );
    one.write(
        "a.toml",
        "[[feature]]\nkey = \"a\"\nid_columns = [\"id\"]\n",
    );
    for format in ["terminal", "mermaid", "dot", "svg", "html", "json"] {
        assert!(
            one.ok(&["graph", "render", "--format", format])
                .contains("default"),
            "{format}"
        );
    }
}

#[test]
fn without_samples_of_upstream_the_status_says_so() {
    let folder = Folder::project();
    let drawing = folder.ok(&["graph", "render", "--status"]);
    assert!(drawing.contains("upstream missing"), "{drawing}");
    folder.ok_with(&["write", "video/raw", "-"], RAW);
    let drawing = folder.ok(&["graph", "render", "--status"]);
    assert!(!drawing.contains("upstream missing"), "{drawing}");
}
