//! Tests of the objectives against exact values, identities, enumeration, finite differences and golden vectors.

mod fixtures;
mod golden;
mod methods;
