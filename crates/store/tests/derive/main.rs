//! `#[derive(Feature)]`: definitions, columns, rows and compile errors.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod definitions;
mod rows;

/// What the compiler says of each mistake. `TRYBUILD=overwrite` writes the expected messages anew.
// With DuckDB it would be built from its source once more: the stage `derive` of `cargo xtask test` runs this without.
#[cfg(not(feature = "duckdb"))]
#[test]
fn compile_errors() {
    trybuild::TestCases::new().compile_fail("tests/derive/ui/*.rs");
}
