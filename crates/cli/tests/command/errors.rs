//! What people read when something is wrong.

use crate::support::{Folder, STORE};

#[test]
fn names_that_are_nearly_right() {
    let folder = Folder::with_raw();
    for command in [
        &["read", "video/rew"][..],
        &["resolve", "video/rew"],
        &["status", "video/rew"],
        &["delete", "video/rew", "--all"],
        &["write", "video/rew", "-"],
    ] {
        let error = folder.fails(command, 1);
        assert_eq!(
            error,
            "error: feature `video/rew` is not in the graph\nhint: did you mean `video/raw`?\n",
            "{command:?}"
        );
    }
    let error = folder.fails(&["--store", "def", "status"], 1);
    assert!(
        error.contains("store `def` is not configured")
            && error.contains("hint: did you mean `dev`?"),
        "{error}"
    );
    let error = folder.fails(&["read", "video/raw", "--columns", "second"], 1);
    assert!(error.contains("hint: did you mean \"seconds\"?"), "{error}");
    let error = folder.fails(&["read", "Video/Raw"], 1);
    assert!(
        error.contains("is not a feature key") && error.contains("hint:"),
        "{error}"
    );
    let error = folder.fails(&["read", "video/raw", "--filter", "seconds >"], 1);
    assert!(
        error.starts_with("error: ") && error.contains("hint:"),
        "{error}"
    );
}

#[test]
fn a_store_that_this_build_lacks() {
    let folder = Folder::empty();
    folder.write(
        "metaxy.toml",
        "project = \"p\"\nfeatures = [\"f.toml\"]\n[stores.dev]\ntype = \"metaxy.ext.clickhouse.ClickHouseMetadataStore\"\nconnection_string = \"clickhouse://localhost/x\"\n",
    );
    folder.write("f.toml", "[[feature]]\nkey = \"a\"\nid_columns = [\"x\"]\n");
    let error = folder.fails(&["status"], 1);
    assert!(
        error.contains("is not in this build; it has: ") && error.contains(&format!("{STORE} (")),
        "{error}"
    );
    assert!(
        error.contains("hint: this store of the Python package has no counterpart here"),
        "{error}"
    );
    let stores = folder.ok(&["list", "stores"]);
    assert!(
        stores
            .contains("cannot be opened: this store of the Python package has no counterpart here"),
        "{stores}"
    );
    // What needs no store works.
    assert!(folder.ok(&["list", "features"]).contains('a'));
}

#[test]
fn arguments_that_make_no_sense() {
    let folder = Folder::project();
    folder.fails(&["reed"], 2);
    folder.fails(&["read"], 2);
    folder.fails(&["read", "video/raw", "--format", "xml"], 2);
    folder.fails(&["read", "video/raw", "--as-of", "yesterday"], 2);
    folder.fails(&["resolve", "video/transcript", "--part", "old"], 2);
    folder.fails(&["push", "--tag", "x"], 2);
    let error = folder.fails(&["--store", "dev", "init", "x"], 1);
    assert!(error.contains("--store means nothing to it"), "{error}");
    assert!(folder.ok(&["--help"]).contains("Usage: metaxy"));
    let version = folder.ok(&["--version"]);
    assert!(version.starts_with("metaxy "), "{version}");
    for (there, store) in [
        (cfg!(feature = "sqlite"), "sqlite"),
        (cfg!(feature = "duckdb"), "duckdb"),
        (cfg!(feature = "postgres"), "postgres"),
    ] {
        let stores = version.lines().find(|line| line.starts_with("stores: "));
        assert_eq!(stores.unwrap().contains(store), there, "{version}");
    }
    assert_eq!(version.contains("mcp"), cfg!(feature = "mcp"), "{version}");
    assert_eq!(folder.ok(&["-V"]).lines().count(), 1);
}

#[test]
fn nothing_to_work_with() {
    let folder = Folder::empty();
    let error = folder.fails(&["status"], 1);
    assert!(error.contains("metaxy init"), "{error}");
    let error = folder.fails(&["--config-file", "no.toml", "status"], 1);
    assert!(error.contains("no.toml"), "{error}");

    let folder = Folder::project();
    let error = folder.fails(&["read", "video/raw"], 1);
    assert!(
        error.contains("has never been written") && error.contains("(store: dev)")
            || error.contains("\"dev\""),
        "{error}"
    );
    let error = folder.fails(&["resolve", "video/transcript"], 1);
    assert!(
        error.contains("its upstream video/raw has never been written"),
        "{error}"
    );
    let error = folder.fails(&["resolve", "video/raw"], 1);
    assert!(
        error.contains("hint: name a file that lists them: --samples FILE"),
        "{error}"
    );
    folder.write("features/example.toml", "");
    std::fs::remove_file(folder.join("features/example.toml")).unwrap();
    let error = folder.fails(&["status"], 1);
    assert!(
        error.contains("no feature file matches `features` = \"features/*.toml\""),
        "{error}"
    );
}

#[test]
fn samples_that_cannot_be_written() {
    let folder = Folder::project();
    folder.write("raw.csv", "video_id,seconds\nv1,3\n");
    let error = folder.fails(&["write", "video/raw", "raw.csv"], 1);
    assert!(
        error.contains(
            "in CSV the columns metaxy_provenance_by_field.audio, metaxy_provenance_by_field.frames"
        ),
        "{error}"
    );
    folder.write(
        "raw.csv",
        "video,metaxy_provenance_by_field.audio,metaxy_provenance_by_field.frames\nv1,a,b\n",
    );
    let error = folder.fails(&["write", "video/raw", "raw.csv"], 1);
    assert!(error.contains("no ID column \"video_id\""), "{error}");
    let error = folder.fails(&["write", "video/raw", "raw.xml"], 1);
    assert!(error.contains("--samples-format"), "{error}");
    let error = folder.fails(&["write", "video/raw", "none.csv"], 1);
    assert!(error.contains("none.csv"), "{error}");
    assert_eq!(
        error.matches("No such file").count(),
        1,
        "a cause is told once: {error}"
    );
    assert_eq!(folder.status("video/raw").1, "missing");
}

#[test]
fn relative_paths_start_from_the_folder_of_the_file() {
    let folder = Folder::with_raw();
    let mut command = folder.command(&["status", "video/raw"]);
    let output = command
        .current_dir(folder.join("features"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("root feature"),
        "{text}"
    );
}
