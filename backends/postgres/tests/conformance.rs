//! The suite on PostgreSQL with an algorithm that the server computes: `cargo test -p metaxy-postgres --test conformance`.

use std::process::ExitCode;

use metaxy_store::HashAlgorithm;

#[path = "support/suite.rs"]
mod suite;

fn main() -> ExitCode {
    suite::run(HashAlgorithm::Md5, |suite| suite)
}
