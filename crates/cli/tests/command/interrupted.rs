//! Signals: nothing is half-written, and the exit code says what happened.
#![cfg(unix)]

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::support::{Folder, RAW};

/// So many samples, one per line.
fn samples(count: usize) -> String {
    (0..count)
        .map(|i| {
            format!(
                "{{\"video_id\": \"v{i}\", \"metaxy_provenance_by_field\": {{\"audio\": \"a{i}\", \"frames\": \"f\"}}}}\n"
            )
        })
        .collect()
}

/// A write that has taken `rows` samples from a pipe, and waits for more.
fn waiting(folder: &Folder, rows: usize) -> (Child, impl Write) {
    let mut child = folder
        .command(&["write", "video/raw", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A pipe holds 64 KiB: when more is in, the program has read.
    let text = samples(rows);
    assert!(text.len() > 100_000);
    input.write_all(text.as_bytes()).unwrap();
    (child, input)
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn a_write_that_is_interrupted_leaves_nothing() {
    // While the types of the columns are still looked for, and in the midst of the rows.
    for rows in [2_000, 60_000] {
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let folder = Folder::project();
            let (child, input) = waiting(&folder, rows);
            send(signal, &child);
            let output = child.wait_with_output().unwrap();
            // The pipe stays open until here: it was not the end of the input that ended the program.
            drop(input);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{rows} {signal}: {told}");
            assert_eq!(told, "interrupted: what was not finished is not there\n");
            assert_eq!(String::from_utf8_lossy(&output.stdout), "");
            assert_eq!(folder.status("video/raw").1, "missing", "{rows} {signal}");
            // The store is none the worse for it.
            folder.ok_with(&["write", "video/raw", "-"], RAW);
            assert_eq!(folder.rows(&["read", "video/raw"]).len(), 2);
        }
    }
}

#[test]
fn what_was_there_before_stays() {
    let folder = Folder::with_raw();
    let before = folder.ok(&["read", "video/raw", "--with-sample-history"]);
    let (child, input) = waiting(&folder, 60_000);
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        folder.ok(&["read", "video/raw", "--with-sample-history"]),
        before
    );
}
