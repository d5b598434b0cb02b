//! CPU kernels: the only crate with `unsafe`, behind a safe interface.
//!
//! Everything that a decoder-only transformer does per token runs here, in f32 with the matrix products optionally in
//! bf16 or 8-bit integers, on AVX-512 where the machine has it and in plain Rust elsewhere ([`Isa`]).
//!
//! A result never depends on its company: each number is summed in one fixed order, whatever the number of rows beside
//! it, its place among them, and the number of threads. So sampling a text one token at a time and scoring it whole
//! give the same bits.
//!
//! # Layout
//! - [`Pool`]: fork-join threads, and the instruction set of their kernels.

mod isa;
mod pool;

pub use isa::Isa;
pub use pool::Pool;
