//! The store through its public interface, on real SQLite files.

#![allow(clippy::unwrap_used)] // a test panics where something is wrong

mod buffered;
mod configuration;
mod copies;
mod crash;
mod diffs;
mod fallback;
mod fixture;
mod history;
mod increments;
mod lock;
mod maintain;
mod multi;
mod progress;
mod provenance;
mod readme;
mod rebases;
mod shapes;
mod status;
mod sync;
mod writes;
