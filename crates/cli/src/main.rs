//! The `metaxy` command. Everything it does is in the library, so that another program can be it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    metaxy_cli::run(std::env::args_os())
}
