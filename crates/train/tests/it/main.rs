//! Training loops on models and targets that are small enough to know everything about them.

mod invariances;
mod resume;
mod support;
mod tabular;
