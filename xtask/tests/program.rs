//! The program itself. That there is such a test makes `cargo test` build it, for the stages that run it.

use std::process::Command;

#[test]
fn it_knows_what_a_developer_repeats() {
    let help = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--help")
        .output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for command in [
        "bench", "examples", "fuzz", "golden", "interop", "pipe", "soak", "test",
    ] {
        assert!(help.contains(command), "{help}");
    }
}
