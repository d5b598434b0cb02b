//! Tests of the crate through its public face.

#[cfg(test)]
mod real_models;

#[cfg(test)]
mod peft;

#[cfg(test)]
mod golden;

#[cfg(test)]
mod reference;

#[cfg(test)]
mod checkpoints;

#[cfg(test)]
mod ends;
#[cfg(test)]
mod engines;

#[cfg(test)]
mod parity;

#[cfg(test)]
mod gradients;

#[cfg(test)]
mod invariances;

#[cfg(test)]
mod tokenizers;

#[cfg(test)]
mod real_engines;
