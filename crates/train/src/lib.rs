//! The training loops: one file a method, everything below the loop shared.
//!
//! # Layout
//! - [`options`]: what a user decides

pub mod options;
