//! Running a program for what it prints.

use std::process::{Command, Stdio};

/// What a program prints on its standard output; its standard error is ours.
///
/// # Errors
/// If it cannot be started, or fails.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let ran = ran.map_err(|e| format!("{name} cannot be started: {e}"))?;
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
    match ran.status.success() {
        true => Ok(printed),
        false => {
            let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
            Err(format!(
                "{name} {} failed ({}){}",
                arguments.join(" "),
                ran.status,
                match printed.trim() {
                    "" => String::new(),
                    printed => format!(": {printed}"),
                }
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_ran() {
        let why = output(Command::new("sh").args(["-c", "echo sorry; exit 3"])).unwrap_err();
        assert!(why.starts_with("sh -c echo sorry; exit 3 failed"), "{why}");
        assert!(why.ends_with(": sorry"), "{why}");
        let printed = output(Command::new("sh").args(["-c", "echo well"])).unwrap();
        assert_eq!(printed, "well\n");
    }
}
