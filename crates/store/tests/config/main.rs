//! Configurations, the registry that they name stores of, and lock files. One program: each takes seconds to link.

mod errors;
mod loading;
mod lock_file;
mod registry;
