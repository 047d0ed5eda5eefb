//! What several of these tests need.

#![allow(dead_code, unused_imports)] // no test uses all of it
#![allow(clippy::unwrap_used, clippy::panic)] // a test panics where something is wrong

pub(crate) mod faults;
#[cfg(feature = "s3")]
pub(crate) mod s3;
pub(crate) mod tables;

pub(crate) use faults::{Dice, Fault, FaultyStore, Request, Rule, Shares};
pub(crate) use tables::{NOON, add, at, batch, commits, key, lines, live, notes, rows, stamps};
