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
//! - [`Weight`], [`Rows`]: packed operands in a common layout (below).
//! - [`attention`] over [`KvCache`]s: causal, with a shared past, a window, one token or a whole text at a time;
//!   [`attention_backward`] its gradient.
//! - [`RmsNorm`], [`RotaryTable`], [`Gated`], [`add_in_place`] and its neighbours: operations on rows, with gradients.
//! - [`LogSum`], [`exp_shifted`], [`scale_and_softcap`]: softmax over a vocabulary that comes in blocks.
//! - [`product`]: x Wᵀ with LoRA, bias and accumulation fused behind the sums; [`outer_accumulate`]: uᵀ x.
//!
//! # Packed operands
//! Weights are packed in panels of 48 outputs, activations in blocks of up to nine rows. Along the inputs both are cut
//! into groups of one 32-bit word (one f32, two bf16 or four bytes), and word `(group, lane)` of a panel or block stands
//! at `group · lanes + lane`. A tile of a product thus reads both operands front to back, and one driver serves all
//! precisions. Behind the groups of 64 bytes of a row stand the scales of either half.

mod attention;
mod attention_backward;
mod block_product;
mod buffer;
mod elementwise;
mod exponential;
mod gated;
mod interleave;
mod isa;
mod kv_cache;
mod lanes;
mod outer;
mod packed_rows;
mod pool;
mod product;
mod rms_norm;
mod rotary;
mod softmax;
#[cfg(test)]
mod test_support;
#[cfg(target_arch = "x86_64")]
mod tile_avx512;
mod tile_portable;
mod weight;

pub use attention::{AttentionShape, Span, attention};
pub use attention_backward::{AttentionGradients, AttentionTape, Branch, attention_backward};
pub use block_product::Update;
pub use elementwise::{add_in_place, from_bf16, round_to_bf16, scale_in_place, to_bf16};
pub use exponential::{probability, probability_mass};
pub use gated::{Activation, Gated};
pub use interleave::Precision;
pub use isa::Isa;
pub use kv_cache::{CacheNumbers, KvCache};
pub use outer::outer_accumulate;
pub use packed_rows::Rows;
pub use pool::Pool;
pub use product::{Columns, Epilogue, LowRank, product};
pub use rms_norm::RmsNorm;
pub use rotary::{Direction, RotaryTable};
pub use softmax::{LogSum, absorb_rows, exp_shifted, scale_and_softcap};
pub use weight::{PANEL, Weight, WeightSlice};
