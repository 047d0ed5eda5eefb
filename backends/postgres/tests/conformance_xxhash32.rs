//! What hashes can change of the suite, on PostgreSQL with an algorithm that is computed here: `cargo test -p metaxy-postgres --test conformance_xxhash32`.

use std::process::ExitCode;

use metaxy_conformance::Part;
use metaxy_store::HashAlgorithm;

#[path = "support/suite.rs"]
mod suite;

fn main() -> ExitCode {
    suite::run(HashAlgorithm::Xxhash32, |suite| {
        suite.with_part(Part::Resolving)
    })
}
