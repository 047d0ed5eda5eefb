//! Plans on Polars.
