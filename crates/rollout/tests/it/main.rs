//! Tests of the crate from outside.

#[cfg(test)]
mod gsm8k;
#[cfg(test)]
mod ifeval;
#[cfg(test)]
mod report;
#[cfg(test)]
mod shared;
