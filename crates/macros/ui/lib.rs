//! Nothing but tests: `tests/ui` holds a struct with a mistake for each message, which `cargo test` compares with what the compiler says.
