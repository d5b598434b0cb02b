//! What happens in a run, as it is recorded and shown.
//!
//! [`Event`] is the only hook: a loop emits events to one [`EventSink`], and everything that shows a run (progress bar,
//! TensorBoard file, report) reads them. The file of events is the record of the run.

mod log;
mod metric;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;

pub use log::{EventLog, read_events};
pub use metric::Metric;

/// Version of the events' format, written with [`Event::Started`].
pub const EVENT_SCHEMA: u32 = 1;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began; the first event of every run.
    Started(Started),
    /// An update of the prompter was made, or skipped.
    StepDone(StepDone),
    /// Some rollouts of a step, for people to read.
    Rollouts {
        /// The step, counted from 1.
        step: u64,
        /// A few of its rollouts.
        rollouts: Vec<ShownRollout>,
    },
    /// The prompter was tried on the validation prompts.
    Validated {
        /// Steps made so far.
        step: u64,
        /// Mean reward.
        reward: f64,
        /// Its 95 % interval over prompts.
        interval: [f64; 2],
        /// Whether it is the best so far.
        best: bool,
    },
    /// A checkpoint is whole on disk.
    CheckpointSaved {
        /// Steps made so far.
        step: u64,
    },
    /// Something a user should know.
    Warned {
        /// The step it happened in; `None` outside of steps.
        step: Option<u64>,
        /// What.
        message: String,
    },
    /// The run ended.
    Finished {
        /// Steps made.
        steps: u64,
        /// The steps after which the prompter that is kept was saved.
        kept_step: u64,
        /// Why it ended.
        reason: FinishReason,
    },
}

/// What a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// [`EVENT_SCHEMA`].
    pub schema: u32,
    /// The method's name, as in the configuration.
    pub method: String,
    /// The prompter's model.
    pub prompter: String,
    /// The target's model.
    pub target: String,
    /// The reward's name.
    pub reward: String,
    /// The run's seed.
    pub seed: u64,
    /// Steps planned.
    pub steps: u64,
    /// Prompts to train on.
    pub n_prompts: usize,
}

/// The figures of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepDone {
    /// The step, counted from 1.
    pub step: u64,
    /// Its metrics, by the names of [`Metric`] and, for parts of the reward, `rewards/NAME/mean`.
    pub metrics: BTreeMap<String, f64>,
    /// Where its seconds went. They differ from run to run, unlike everything else.
    pub seconds: Seconds,
    /// Whether the update was left out because a figure was not finite.
    pub skipped: bool,
}

/// Where the seconds of a step went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// The prompter wrote rewrites.
    pub sampling: f64,
    /// The target answered.
    pub target: f64,
    /// The reward judged.
    pub reward: f64,
    /// Log-probabilities under the reference and the prompter.
    pub scoring: f64,
    /// Gradients.
    pub backward: f64,
    /// Everything.
    pub total: f64,
}

/// A rollout for people to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownRollout {
    /// The user's prompt x.
    pub prompt: String,
    /// What the prompter wrote.
    pub written: String,
    /// The target's prompt x'.
    pub rewrite: String,
    /// The target's first response.
    pub response: String,
    /// Mean reward over the responses.
    pub reward: f64,
    /// Which rails found something.
    pub findings: Vec<String>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// All planned steps are done.
    Steps,
    /// The validation reward stopped rising.
    EarlyStop,
}

/// Whoever wants to know.
pub trait EventSink {
    /// Take note.
    fn emit(&mut self, event: &Event) -> Result<(), Error>;
}

/// Nobody.
impl EventSink for () {
    fn emit(&mut self, _: &Event) -> Result<(), Error> {
        Ok(())
    }
}

impl EventSink for Vec<Event> {
    fn emit(&mut self, event: &Event) -> Result<(), Error> {
        self.push(event.clone());
        Ok(())
    }
}
