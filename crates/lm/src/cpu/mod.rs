//! The CPU engine.
//!
//! ## Layout, in reading order
//! - [`model`]: frozen weights, packed once
//! - [`batch`]: packed batches of token runs, keys and values
//! - [`adapter`]: LoRA beside the frozen products
//! - [`forward`], [`backward`]: one layer each way
//! - [`head`]: log-probabilities without a logits matrix; [`heads`]: value and reward heads
//! - [`score`], [`generate`]: the engine's calls; [`recording`]: what the one spares the other

mod adapter;
mod backward;
mod batch;
mod dropout;
mod forward;
mod generate;
mod head;
mod heads;
mod machine;
mod model;
mod recording;
mod score;
mod tape;
mod validate;

use std::num::NonZeroUsize;
use std::sync::Arc;

use kernel::Pool;

use self::adapter::Packing;
use self::forward::Activations;
pub use self::machine::{default_precision, frozen_precision, instruction_set};
use self::model::Model;
use self::recording::Recording;
use self::tape::KeptActivations;
pub use self::tape::{Tape, tape_bytes_per_token};
use crate::{
    Architecture, Checkpoint, Engine, Error, Group, Lora, LoraGradients, Request, Sample, ScoreOptions, Scores,
    Tokenizer, Upstream,
};

/// Frozen weights and the threads that compute with them.
pub struct CpuEngine {
    pool: Pool,
    model: Model,
    tokenizer: Option<Arc<Tokenizer>>,
    tape_budget: usize,
    packing: Packing,
    activations: Activations,
    /// Memory of tapes gone by, for the next one.
    spare: Vec<KeptActivations>,
    /// What the last recorded samples left.
    recording: Option<Recording>,
}

/// In which precision the frozen products are computed; LoRA and accumulators are f32 in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// bf16 where the CPU multiplies it natively, f32 elsewhere.
    #[default]
    Auto,
    /// The reference path.
    F32,
    /// bf16 weights and activations.
    Bf16,
    /// 8-bit weights and activations, a scale for 32 numbers: half the memory traffic of bf16; no gradients.
    Int8,
}

/// How to load an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Number of threads; `None` takes all cores.
    pub threads: Option<NonZeroUsize>,
    /// Precision of the frozen products.
    pub precision: Precision,
    /// Bytes of activations a tape may keep; what exceeds it is computed again in the backward pass.
    pub tape_budget: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { threads: None, precision: Precision::Auto, tape_budget: 1 << 30 }
    }
}

impl CpuEngine {
    /// Read and pack all weights; `progress` hears (layers done, layers in all).
    ///
    /// # Errors
    /// What [`Checkpoint::tensor`] reports.
    pub fn load(
        checkpoint: &Checkpoint,
        options: EngineOptions,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<CpuEngine, Error> {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let pool = Pool::new(options.threads.unwrap_or(cores));
        let precision = match options.precision {
            Precision::Auto if pool.isa().multiplies(kernel::Precision::Bf16) => kernel::Precision::Bf16,
            Precision::Auto | Precision::F32 => kernel::Precision::F32,
            Precision::Bf16 => kernel::Precision::Bf16,
            Precision::Int8 => kernel::Precision::Int8,
        };
        let model = Model::load(&pool, checkpoint, precision, progress)?;
        Ok(CpuEngine {
            pool,
            model,
            tokenizer: None,
            tape_budget: options.tape_budget,
            packing: Packing::new(precision),
            activations: Activations::default(),
            spare: Vec::new(),
            recording: None,
        })
    }

    /// Give the engine the model's tokenizer, which requests with stop strings need.
    pub fn set_tokenizer(&mut self, tokenizer: Arc<Tokenizer>) {
        self.tokenizer = Some(tokenizer);
    }

    /// Bytes of packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.model.bytes()
    }

    /// The precision the frozen products run in.
    pub fn precision(&self) -> Precision {
        match self.model.precision {
            kernel::Precision::F32 => Precision::F32,
            kernel::Precision::Bf16 => Precision::Bf16,
            kernel::Precision::Int8 => Precision::Int8,
        }
    }
}

impl Engine for CpuEngine {
    type Tape = Tape;

    fn architecture(&self) -> &Architecture {
        &self.model.architecture
    }

    fn generate(&mut self, requests: &[Request], adapter: Option<&Lora>) -> Result<Vec<Vec<Sample>>, Error> {
        self.generate_requests(requests, adapter)
    }

    fn generate_recorded(&mut self, requests: &[Request], adapter: &Lora) -> Result<Vec<Vec<Sample>>, Error> {
        self.record_requests(requests, adapter)
    }

    fn score(&mut self, groups: &[Group], adapter: Option<&Lora>, options: &ScoreOptions) -> Result<Scores, Error> {
        self.score_groups(groups, adapter, options)
    }

    fn score_with_tape(
        &mut self,
        groups: &[Group],
        adapter: &Lora,
        options: &ScoreOptions,
    ) -> Result<(Scores, Tape), Error> {
        self.score_groups_with_tape(groups, adapter, options)
    }

    fn backward(&mut self, tape: Tape, adapter: &Lora, upstream: &Upstream) -> Result<LoraGradients, Error> {
        self.backward_tape(tape, adapter, upstream)
    }
}
