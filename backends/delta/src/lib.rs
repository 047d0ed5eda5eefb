//! The Delta Lake store.
