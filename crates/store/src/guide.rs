//! The guide, chapter by chapter.
//!
//! | chapter | what it is about |
//! |---|---|
//! | [Concepts](concepts) | features, fields, versions, increments, history, and what they are for |
//! | [A first pipeline](a_first_pipeline) | a whole program in Rust |
//! | [Pipelines in any language](pipelines) | the command, in shell scripts and other programs |
//! | [Stores](stores) | each store with its limits and measured figures |
//! | [Configuration](configuration) | every setting and every option |
//! | [Feature files](feature_files) | every key of the files that define features, with an example |
//! | [Failed samples](failed_samples) | steps that do not manage every sample |
//! | [Parallel workers](parallel_workers) | many processes that work on one feature |
//! | [pandas and Polars](pandas_and_polars) | steps that are data frames |
//! | [Moving between stores](moving_stores) | a project that goes on in another store |
//! | [Write a backend](write_a_backend) | a store of your own, and the suite that proves it |
//! | [Moving from the Python package](moving_from_python) | what each of its methods is called here |

#[doc = include_str!("../guide/concepts.md")]
pub mod concepts {}

#[cfg_attr(feature = "sqlite", doc = include_str!("../guide/a-first-pipeline.md"))]
#[cfg_attr(
    not(feature = "sqlite"),
    doc = "This chapter needs the Cargo feature `sqlite`."
)]
pub mod a_first_pipeline {}

#[doc = include_str!("../guide/pipelines.md")]
pub mod pipelines {}

#[doc = include_str!("../guide/stores.md")]
pub mod stores {}

#[doc = include_str!("../guide/configuration.md")]
pub mod configuration {}

#[doc = include_str!("../guide/feature-files.md")]
pub mod feature_files {}

#[doc = include_str!("../guide/failed-samples.md")]
pub mod failed_samples {}

#[doc = include_str!("../guide/parallel-workers.md")]
pub mod parallel_workers {}

#[doc = include_str!("../guide/pandas-and-polars.md")]
pub mod pandas_and_polars {}

#[doc = include_str!("../guide/moving-stores.md")]
pub mod moving_stores {}

// Parts of files, which a test holds to the files.
#[allow(rustdoc::invalid_rust_codeblocks)]
#[doc = include_str!("../guide/write-a-backend.md")]
pub mod write_a_backend {}

#[doc = include_str!("../guide/moving-from-python.md")]
pub mod moving_from_python {}
