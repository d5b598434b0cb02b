//! Reward models: heads on a language model's last hidden state, trained on preference pairs.
//!
//! ## Algorithm
//! Bradley-Terry, as in arXiv:2203.02155. Each step:
//! 1. take some pairs (x, y_c, y_r), each about one attribute a, of which people chose y_c;
//! 2. r_a(x, y) = w_a · h(last token of y) + b_a, where both responses share the computation of x;
//! 3. descend −log σ(r_a(x, y_c) − r_a(x, y_r) + handicap) through the heads and the adapter;
//! 4. now and then, take the loss on validation pairs; the adapter with the lowest is kept.
//!
//! ## Choices
//! Several attributes are heads of one adapter: what helps to tell one helps with the others, and all are had for one
//! forward pass. With a frozen backbone the last hidden states never change: see [`frozen`].

pub mod frozen;

use std::time::Instant;

use lm::{Dropout, Engine, Group, Lora, LoraGradients, Reads, ScoreOptions, Scores, Token, Upstream, derive_seed};
use objective::{BradleyTerry, RewardLoss, Sides, bradley_terry};
use rollout::evaluate::{MeanResult, interval_of};
use rollout::event::{EVENT_SCHEMA, Event, EventLog, EventSink, Metric, Seconds, Started, StepDone};
use rollout::model::LocalModel;
use rollout::reward::sequence_values;

use crate::checkpoint::Checkpoints;
use crate::descent::{State, places_of_step};
use crate::options::{LoraOptions, OptimizerOptions, ScheduleOptions};
use crate::{Error, Outcome};

/// Keep the streams of random numbers apart.
const ADAPTER: u64 = 0x6c6f_7261;
const DROPOUT: u64 = 0x6472_6f70;

/// A reward is what a head says at the end of a response.
const READ_ENDS: ScoreOptions = ScoreOptions { temperature: 1.0, reads: Reads::Ends };

/// Two responses to one prompt, as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardPair {
    /// The conversation up to the responses.
    pub prefix: Vec<Token>,
    /// The response that was chosen, at least one token.
    pub chosen: Vec<Token>,
    /// The other, likewise.
    pub rejected: Vec<Token>,
    /// Which head it teaches.
    pub attribute: usize,
    /// What is known of the pair besides its rewards, in log-odds; see [`bradley_terry`].
    pub handicap: f64,
}

/// Everything the loop works on.
pub struct RewardModelRun<'a, E> {
    /// The language model.
    pub model: &'a LocalModel<E>,
    /// Pairs to train on, at least one.
    pub pairs: &'a [RewardPair],
    /// Pairs that say when to stop; without any, the last step is kept.
    pub validation: &'a [RewardPair],
    /// The attributes' names, one a head.
    pub attributes: &'a [String],
    /// The loss.
    pub objective: BradleyTerry,
    /// The adapter's shape.
    pub lora: &'a LoraOptions,
    /// The optimiser's options.
    pub optimizer: &'a OptimizerOptions,
    /// How long, how many pairs a step, and what happens on the way.
    pub schedule: &'a ScheduleOptions,
    /// The run's seed.
    pub seed: u64,
    /// Most tokens of a backward pass.
    pub micro_batch_tokens: usize,
    /// Where checkpoints go.
    pub checkpoints: Checkpoints,
    /// The record of the run.
    pub events: EventLog,
    /// Who else wants to know.
    pub watcher: &'a mut dyn EventSink,
}

/// What a step's pairs came to.
#[derive(Default)]
struct Tally {
    loss: f64,
    /// Pairs whose chosen response has the higher reward.
    right: usize,
    seconds: Seconds,
}

/// Train until the schedule ends or the validation loss stops falling.
pub fn train<E: Engine>(mut run: RewardModelRun<'_, E>) -> Result<Outcome, Error> {
    let mut state = run.begin()?;
    while state.goes_on(run.schedule) {
        let clock = Instant::now();
        // 1. Pairs.
        let places = places_of_step(run.pairs.len(), run.schedule.prompts_per_step, run.seed, state.step);
        let pairs: Vec<&RewardPair> = places.into_iter().map(|place| &run.pairs[place]).collect();
        // 2. and 3. Rewards, loss, gradients, update.
        let (gradients, mut tally) = run.gradients(&state, &pairs)?;
        let rate = run.optimizer.rate(state.step, run.schedule.steps);
        let norm = state.descend(run.optimizer, rate, gradients)?;
        tally.seconds.total = clock.elapsed().as_secs_f64();
        // 4. Report and, when due, validate and save.
        run.conclude(&mut state, pairs.len(), rate, norm, &tally)?;
    }
    run.finish(state)
}

/// A pair for the engine.
fn group(pair: &RewardPair) -> Group {
    Group { prefix: pair.prefix.clone(), continuations: vec![pair.chosen.clone(), pair.rejected.clone()] }
}

/// Pairs in micro-batches of at most `limit` tokens; one that is longer alone makes a micro-batch of its own.
fn micro_batches<'a>(pairs: &[&'a RewardPair], limit: usize) -> Vec<Vec<&'a RewardPair>> {
    let mut batches: Vec<Vec<&RewardPair>> = Vec::new();
    let mut room = 0;
    for &pair in pairs {
        let length = pair.prefix.len() + pair.chosen.len() + pair.rejected.len();
        match batches.last_mut().filter(|_| room >= length) {
            Some(batch) => batch.push(pair),
            None => {
                batches.push(vec![pair]);
                room = limit;
            }
        }
        room = room.saturating_sub(length);
    }
    batches
}

/// Told what every head says at the end of a pair's chosen and of its rejected response.
pub type Hear<'a> = dyn FnMut(&RewardPair, [&[f64]; 2]) -> Result<(), Error> + 'a;

/// What the heads of an adapter say of pairs, in order, in micro-batches of at most `limit` tokens.
pub fn ends<E: Engine>(
    model: &LocalModel<E>,
    adapter: &Lora,
    pairs: &[&RewardPair],
    limit: usize,
    hear: &mut Hear<'_>,
) -> Result<(), Error> {
    for batch in micro_batches(pairs, limit) {
        let groups: Vec<Group> = batch.iter().map(|pair| group(pair)).collect();
        for (pair, values) in batch.iter().zip(sequence_values(model, &groups, adapter)?) {
            // A group has the two responses of its pair.
            if let [chosen, rejected] = values.as_slice() {
                hear(pair, [chosen, rejected])?;
            }
        }
    }
    Ok(())
}

/// The rewards of a pair's responses: its head at their last tokens.
fn rewards(scores: &Scores, index: usize, pair: &RewardPair) -> Sides {
    let values = scores.values.as_ref().and_then(|values| values.get(index));
    let at = |continuation: usize| {
        let line = values.and_then(|values| values.get(continuation));
        line.and_then(|line| line.get(pair.attribute)).map_or(f64::NAN, |&value| f64::from(value))
    };
    Sides::new(at(0), at(1))
}

impl<E: Engine> RewardModelRun<'_, E> {
    fn begin(&mut self) -> Result<State, Error> {
        if self.pairs.is_empty() {
            return Err(Error::NoPrompts);
        }
        let architecture = self.model.engine().architecture().clone();
        let shape = self.lora.shape(&architecture, self.attributes.len());
        let fresh = Lora::new(shape, derive_seed(&[self.seed, ADAPTER]));
        let (state, _) = State::begin(fresh, &self.checkpoints, self.optimizer, &architecture)?;
        if state.step > 0 {
            return Ok(state);
        }
        self.emit(&Event::Started(Started {
            schema: EVENT_SCHEMA,
            method: "bradley-terry".to_owned(),
            prompter: self.model.name().to_owned(),
            target: String::new(),
            reward: self.attributes.join(" + "),
            seed: self.seed,
            steps: self.schedule.steps,
            n_prompts: self.pairs.len(),
        }))?;
        Ok(state)
    }

    /// Gradients of the mean loss over some pairs, micro-batch by micro-batch.
    fn gradients(&self, state: &State, pairs: &[&RewardPair]) -> Result<(LoraGradients, Tally), Error> {
        let mut adapter = state.adapter.clone();
        if self.lora.dropout > 0.0 {
            let seed = derive_seed(&[self.seed, DROPOUT, state.step]);
            adapter.dropout = Some(Dropout { rate: self.lora.dropout, seed });
        }
        let mut sum = LoraGradients::zeros(adapter.parameters.len());
        let mut tally = Tally::default();
        for batch in micro_batches(pairs, self.micro_batch_tokens) {
            let clock = Instant::now();
            let groups: Vec<Group> = batch.iter().map(|pair| group(pair)).collect();
            let mut engine = self.model.engine();
            let (scores, tape) = engine.score_with_tape(&groups, &adapter, &READ_ENDS)?;
            tally.seconds.scoring += clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            let upstream = self.upstream(&batch, &scores, pairs.len(), &mut tally)?;
            sum.add(&engine.backward(tape, &adapter, &upstream)?)?;
            tally.seconds.backward += clock.elapsed().as_secs_f64();
        }
        Ok((sum, tally))
    }

    /// The derivatives of a micro-batch's share of the mean loss, in the shapes of its scores.
    fn upstream(
        &self,
        batch: &[&RewardPair],
        scores: &Scores,
        n_pairs: usize,
        tally: &mut Tally,
    ) -> Result<Upstream, Error> {
        let heads = self.attributes.len();
        let (mut d_token_logps, mut d_values) = (Vec::new(), Vec::new());
        for (index, pair) in batch.iter().enumerate() {
            let rewards = rewards(scores, index, pair);
            let RewardLoss { loss, d_rewards } = bradley_terry(rewards, pair.handicap, self.objective)?;
            tally.loss += loss / n_pairs as f64;
            tally.right += usize::from(rewards.margin() > 0.0);
            let line = |slope: f64| {
                let mut line = vec![0.0; heads];
                line[pair.attribute] = (slope / n_pairs as f64) as f32;
                line
            };
            d_values.push(vec![line(d_rewards.chosen), line(d_rewards.rejected)]);
            d_token_logps.push(vec![Vec::new(), Vec::new()]);
        }
        Ok(Upstream { d_token_logps, d_values: Some(d_values) })
    }

    fn conclude(
        &mut self,
        state: &mut State,
        n_pairs: usize,
        rate: f64,
        norm: Option<f64>,
        tally: &Tally,
    ) -> Result<(), Error> {
        state.step += 1;
        let step = state.step;
        let mut metrics = std::collections::BTreeMap::new();
        metrics.insert(Metric::Loss.name().to_owned(), tally.loss);
        metrics.insert(Metric::Accuracy.name().to_owned(), tally.right as f64 / n_pairs.max(1) as f64);
        metrics.insert(Metric::LearningRate.name().to_owned(), rate);
        metrics.extend(norm.map(|norm| (Metric::GradNorm.name().to_owned(), norm)));
        self.emit(&Event::StepDone(StepDone { step, metrics, seconds: tally.seconds, skipped: norm.is_none() }))?;
        let is_trial = self.schedule.is_due(self.schedule.validate_every, step);
        let is_checkpoint = self.schedule.is_due(self.schedule.checkpoint_every, step);
        let tried = is_trial && !self.validation.is_empty() && self.validate(state)?;
        if tried || is_checkpoint || !state.goes_on(self.schedule) {
            self.save(state)?;
        }
        Ok(())
    }

    /// Whether the validation loss is the lowest so far. What is recorded as a trial's reward is −loss.
    fn validate(&mut self, state: &mut State) -> Result<bool, Error> {
        let pairs: Vec<&RewardPair> = self.validation.iter().collect();
        let mut losses = Vec::with_capacity(pairs.len());
        ends(self.model, &state.adapter, &pairs, self.micro_batch_tokens, &mut |pair, [chosen, rejected]| {
            let rewards = Sides::new(chosen[pair.attribute], rejected[pair.attribute]);
            losses.push(-bradley_terry(rewards, pair.handicap, BradleyTerry { center_weight: 0.0 })?.loss);
            Ok(())
        })?;
        let MeanResult { mean: reward, interval } = interval_of(&losses)?;
        let best = state.tried(reward);
        self.emit(&Event::Validated { step: state.step, reward, interval, best })?;
        Ok(best)
    }

    fn save(&mut self, state: &State) -> Result<(), Error> {
        self.emit(&Event::CheckpointSaved { step: state.step })?;
        let architecture = self.model.engine().architecture().clone();
        state.save(&self.checkpoints, &self.events, Vec::new(), &architecture)
    }

    fn finish(mut self, state: State) -> Result<Outcome, Error> {
        let architecture = self.model.engine().architecture().clone();
        let (outcome, reason) = state.finish(&self.checkpoints, self.schedule, &architecture)?;
        self.emit(&Event::Finished { steps: outcome.steps, kept_step: outcome.kept_step, reason })?;
        self.events.sync()?;
        Ok(outcome)
    }

    fn emit(&mut self, event: &Event) -> Result<(), Error> {
        self.events.emit(event)?;
        Ok(self.watcher.emit(event)?)
    }
}
