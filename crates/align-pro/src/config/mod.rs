//! The configuration of a run: one TOML file, checked against one table of fields and resolved into a [`plan::Plan`].

pub(crate) mod data;
pub(crate) mod plan;
