//! What the compiler says of each mistake in a struct that is to be a feature.

/// `TRYBUILD=overwrite` writes the expected messages anew. The structs are built with the default features of `metaxy-store` and `derive`, whatever
/// else this is built with.
#[test]
fn mistakes_are_told() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
