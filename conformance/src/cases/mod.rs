//! The cases: one named function per behaviour, each on stores of its own.
//!
//! Each function can also be called by itself. What it proves stands in its documentation, with the section of the semantics; it
//! ends as an [`Outcome`](crate::outcome::Outcome): an error says what the backend did instead.

use crate::suite::Case;

/// Lists the cases of a module: its path within [`cases`](self), then the names of its functions.
macro_rules! cases {
    ($module:literal: $($name:ident),+ $(,)?) => {
        /// The cases of this module.
        pub(super) const CASES: &[$crate::suite::Case] = &[$(
            $crate::suite::Case::new(
                concat!($module, "::", stringify!($name)),
                |bed| Box::pin($name(bed)),
            )
        ),+];
    };
}
pub(crate) use cases;

pub mod backend;
pub mod buffered;
pub mod capabilities;
pub mod childless;
pub mod concurrency;
pub mod copy;
pub mod delete;
pub mod diff;
pub mod display;
pub mod fallback;
pub mod filters;
pub mod history;
pub mod increments;
pub mod joins;
pub mod lineage;
pub mod lock;
pub mod maintain;
pub mod materialization;
pub mod multi;
pub mod optional;
pub mod progress;
pub mod provenance;
pub mod push;
pub mod read;
pub mod rebase;
pub mod registration;
pub mod samples;
pub mod staleness;
pub mod status;
pub mod sync;
pub mod times;
pub mod types;
pub mod versions;
pub mod waits;
pub mod write;

/// Every case, in the order in which they are listed.
#[must_use]
pub fn all() -> Vec<Case> {
    let modules: &[&[Case]] = &[
        history::CASES,
        read::CASES,
        delete::CASES,
        maintain::CASES,
        types::CASES,
        materialization::CASES,
        times::CASES,
        write::CASES,
        filters::CASES,
        increments::CASES,
        lineage::CASES,
        waits::CASES,
        status::CASES,
        progress::CASES,
        provenance::CASES,
        staleness::CASES,
        joins::CASES,
        optional::CASES,
        samples::CASES,
        versions::CASES,
        crate::laws::CASES,
        backend::CASES,
        buffered::CASES,
        capabilities::CASES,
        childless::CASES,
        concurrency::CASES,
        copy::CASES,
        display::CASES,
        fallback::CASES,
        multi::CASES,
        push::CASES,
        sync::CASES,
        lock::CASES,
        diff::CASES,
        rebase::CASES,
        registration::CASES,
        filters::LONG,
    ];
    modules.concat()
}
