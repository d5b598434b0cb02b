//! Tests of the crate through its public face.

#[cfg(test)]
mod real_models;

#[cfg(test)]
mod peft;
