//! Shell completions and man pages.

use std::process::Command;

use crate::support::Folder;

#[test]
fn every_shell_gets_a_script() {
    let folder = Folder::empty();
    folder.write("metaxy.toml", "this is no configuration");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.ok(&["completions", shell]);
        for word in ["assert-in-sync", "metadata", "rebase"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    folder.fails(&["completions", "tcl"], 2);
    folder.fails(&["completions"], 2);
}

#[test]
fn bash_completes_a_command() {
    let folder = Folder::empty();
    folder.write("complete.bash", &folder.ok(&["completions", "bash"]));
    let ask = "source complete.bash; COMP_WORDS=(metaxy metadata re); COMP_CWORD=2; _metaxy metaxy re metadata; echo \"${COMPREPLY[@]}\"";
    let Ok(output) = Command::new("bash")
        .args(["-c", ask])
        .current_dir(folder.path())
        .output()
    else {
        // Where there is no bash, nobody completes with it.
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        "rebase\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_command_has_a_man_page() {
    let folder = Folder::empty();
    let page = folder.ok(&["man"]);
    assert!(
        page.contains(".TH metaxy 1") && page.contains("metaxy\\-status(1)"),
        "{page}"
    );
    let said = folder.ok(&["man", "pages/man1"]);
    assert!(said.contains("pages/man1/metaxy.1"), "{said}");
    for name in [
        "metaxy.1",
        "metaxy-status.1",
        "metaxy-metadata-rebase.1",
        "metaxy-list.1",
    ] {
        assert!(
            folder.text(&format!("pages/man1/{name}")).contains(".TH "),
            "{name}"
        );
    }
    let status = folder.text("pages/man1/metaxy-status.1");
    assert!(status.contains("assert\\-in\\-sync"), "{status}");
    folder.write("file", "x");
    let error = folder.fails(&["man", "file"], 1);
    assert!(
        error.contains("'file'") && error.contains("hint:"),
        "{error}"
    );
}
