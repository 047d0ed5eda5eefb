//! `#[derive(Feature)]`: definitions, columns, rows and compile errors.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod definitions;
mod rows;

/// What the compiler says of each mistake. `TRYBUILD=overwrite` writes the expected messages anew.
#[test]
fn compile_errors() {
    trybuild::TestCases::new().compile_fail("tests/derive/ui/*.rs");
}
