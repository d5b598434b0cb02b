//! What all loops share: prompts for a step, rollouts, gradients in micro-batches, the update, and what follows it.

use std::time::Instant;

use lm::{Architecture, Dropout, Engine, Lora, LoraGradients, ScoreOptions, Scores, derive_seed};
use rollout::data::{Record, stable_hash};
use rollout::evaluate::{Arm, Draw, EvaluatedPrompt, MeanResult, evaluate, interval_of};
use rollout::event::{Event, EventLog, EventSink, Seconds, StepDone};
use rollout::prompter::{LocalPrompter, RewriteJob};
use rollout::reward::Score;
use rollout::rollouts::{Environment, collect};

use crate::Error;
use crate::batch::Batch;
use crate::checkpoint::Checkpoints;
use crate::descent::{State, places_of_step};
use crate::metrics::Figures;
use crate::options::{LoraOptions, OptimizerOptions, ScheduleOptions};

/// Keep the streams of random numbers apart.
const REWRITES: u64 = 0x7265_7772;
const ADAPTER: u64 = 0x6c6f_7261;
const DROPOUT: u64 = 0x6472_6f70;

/// Rollouts of a step that are recorded for people to read.
const SHOWN: usize = 2;

/// Everything a loop works on.
pub struct Run<'a, E> {
    /// The prompter, whose adapter is trained.
    pub prompter: &'a LocalPrompter<E>,
    /// Target and reward.
    pub environment: Environment<'a>,
    /// The prompts to train on.
    pub prompts: &'a [Record],
    /// The prompts on which the prompter is tried on the way.
    pub validation: &'a [Record],
    /// The adapter that training starts from and that is the reference; without it, the model itself is.
    pub start: Option<&'a Lora>,
    /// The adapter's shape.
    pub lora: &'a LoraOptions,
    /// The optimiser's options.
    pub optimizer: &'a OptimizerOptions,
    /// How long, and what happens on the way.
    pub schedule: &'a ScheduleOptions,
    /// The run's seed.
    pub seed: u64,
    /// Most tokens of a backward pass.
    pub micro_batch_tokens: usize,
    /// Where checkpoints go.
    pub checkpoints: Checkpoints,
    /// The record of the run.
    pub events: EventLog,
    /// Who else wants to know: progress bars, TensorBoard.
    pub watcher: &'a mut dyn EventSink,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps made.
    pub steps: u64,
    /// The step whose prompter is kept: the best on the validation prompts, or the last.
    pub kept_step: u64,
    /// That prompter's adapter.
    pub adapter: Lora,
}

impl<'a, E: Engine> Run<'a, E> {
    /// The state of the newest checkpoint, or a fresh one with `heads` heads on the adapter.
    pub(crate) fn begin(&mut self, heads: usize) -> Result<State, Error> {
        if self.prompts.is_empty() {
            return Err(Error::NoPrompts);
        }
        let architecture = self.architecture();
        let mut fresh = Lora::new(self.lora.shape(&architecture, heads), derive_seed(&[self.seed, ADAPTER]));
        if let Some(start) = self.start {
            if start.shape != self.lora.shape(&architecture, 0) {
                return Err(Error::OtherStart);
            }
            // Heads lie behind everything else.
            fresh.parameters[..start.parameters.len()].copy_from_slice(&start.parameters);
        }
        let (state, reward) = State::begin(fresh, &self.checkpoints, self.optimizer, &architecture)?;
        if state.step > 0 {
            self.environment.reward.restore(&reward);
        }
        Ok(state)
    }

    /// Whether another step is to be made.
    pub(crate) fn goes_on(&self, state: &State) -> bool {
        state.goes_on(self.schedule)
    }

    /// Sample `group_size` rewrites of each of the step's prompts, answer and judge them.
    pub(crate) fn rollouts(&mut self, state: &State, group_size: usize) -> Result<Batch<'a>, Error> {
        let records = self.step_prompts(state.step);
        // A prompt that comes twice in one step, where there are fewer than the step takes, is rewritten differently.
        let seed = |place: usize, record: &Record, number| {
            let prompt = stable_hash(&[record.prompt.text().as_bytes()]);
            derive_seed(&[self.seed, REWRITES, state.step, place as u64, prompt, number])
        };
        let jobs: Vec<RewriteJob<'_>> = records
            .iter()
            .enumerate()
            .map(|(place, &record)| {
                let seeds = (0..group_size as u64).map(|number| seed(place, record, number)).collect();
                RewriteJob { record, seeds }
            })
            .collect();
        let mut seconds = Seconds::default();
        // Dropout masks what scoring computes, so that nothing of the sampling could serve it.
        let mut prompter = match self.lora.dropout > 0.0 {
            true => self.prompter.with(Some(&state.adapter)),
            false => self.prompter.learning(&state.adapter),
        };
        let groups = collect(&mut prompter, &mut self.environment, &jobs, &mut seconds)?;
        let prefixes = records.iter().map(|record| self.prompter.prefix(record)).collect::<Result<_, _>>()?;
        Ok(Batch { records, prefixes, groups, seconds })
    }

    /// log ρ_ref of every token of every rollout: the same weights with the adapter of the start, or with none.
    /// [group][rollout][token]
    pub(crate) fn reference(&mut self, batch: &mut Batch<'_>) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        self.score(batch, self.start, |scores| scores.token_logps)
    }

    /// The value head before each token of every rollout, and after the last. [group][rollout][token + 1]
    pub(crate) fn values(&mut self, state: &State, batch: &mut Batch<'_>) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        self.score(batch, Some(&state.adapter), |scores| scores.values.unwrap_or_default())
    }

    /// One part of the scores of every rollout. [group][rollout][figure]
    fn score(
        &self,
        batch: &mut Batch<'_>,
        adapter: Option<&Lora>,
        part: impl Fn(Scores) -> Vec<Vec<Vec<f32>>>,
    ) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        let clock = Instant::now();
        let mut figures: Vec<Vec<Vec<f64>>> = vec![Vec::new(); batch.groups.len()];
        for pieces in batch.micro_batches(0..batch.groups.len(), self.micro_batch_tokens) {
            let groups = batch.engine_groups(&pieces);
            let scores = self.prompter.model().engine().score(&groups, adapter, &self.score_options())?;
            for (piece, scored) in pieces.iter().zip(part(scores)) {
                figures[piece.group].extend(scored.iter().map(|line| widened(line)));
            }
        }
        batch.seconds.scoring += clock.elapsed().as_secs_f64();
        Ok(figures)
    }

    /// Gradients of a loss over some of the batch's prompts, micro-batch by micro-batch.
    ///
    /// `slopes` is asked once a rollout for the loss's derivatives with respect to its token log-probabilities and, where
    /// the adapter has a head, to the values.
    pub(crate) fn gradients(
        &mut self,
        state: &State,
        batch: &mut Batch<'_>,
        prompts: std::ops::Range<usize>,
        slopes: &mut dyn FnMut(Scored<'_>) -> Result<Slopes, Error>,
    ) -> Result<LoraGradients, Error> {
        let mut adapter = state.adapter.clone();
        if self.lora.dropout > 0.0 {
            let seed = derive_seed(&[self.seed, DROPOUT, state.step]);
            adapter.dropout = Some(Dropout { rate: self.lora.dropout, seed });
        }
        let mut sum = LoraGradients::zeros(adapter.parameters.len());
        for pieces in batch.micro_batches(prompts, self.micro_batch_tokens) {
            let clock = Instant::now();
            let groups = batch.engine_groups(&pieces);
            let mut engine = self.prompter.model().engine();
            let (scores, tape) = engine.score_with_tape(&groups, &adapter, &self.score_options())?;
            batch.seconds.scoring += clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            let upstream = crate::gradient::upstream(&pieces, &scores, slopes)?;
            sum.add(&engine.backward(tape, &adapter, &upstream)?)?;
            batch.seconds.backward += clock.elapsed().as_secs_f64();
        }
        Ok(sum)
    }

    /// Clip the gradients and update the adapter; returns their norm. Gradients that are not finite change nothing and
    /// give `None`.
    pub(crate) fn update(&mut self, state: &mut State, gradients: LoraGradients) -> Result<Option<f64>, Error> {
        let rate = self.learning_rate(state.step);
        state.descend(self.optimizer, rate, gradients)
    }

    /// The learning rate of a step.
    pub(crate) fn learning_rate(&self, step: u64) -> f64 {
        self.optimizer.rate(step, self.schedule.steps)
    }

    /// Count the step, record its figures and, when due, try the prompter and save a checkpoint.
    pub(crate) fn conclude(&mut self, state: &mut State, batch: &Batch<'_>, figures: Figures) -> Result<(), Error> {
        state.step += 1;
        let step = state.step;
        let scores: Vec<&Score> = batch.rollouts().flat_map(|rollout| &rollout.scores).collect();
        self.environment.reward.learn(&scores);
        for message in figures.warnings {
            self.emit(&Event::Warned { step: Some(step), message })?;
        }
        let (metrics, skipped) = (figures.metrics, figures.skipped);
        self.emit(&Event::StepDone(StepDone { step, metrics, seconds: batch.seconds, skipped }))?;
        let shown =
            batch.records.iter().zip(&batch.groups).filter_map(|(record, group)| Some(group.first()?.shown(record)));
        self.emit(&Event::Rollouts { step, rollouts: shown.take(SHOWN).collect() })?;
        let tried = self.schedule.is_due(self.schedule.validate_every, step) && self.validate(state)?;
        let last = !self.goes_on(state);
        if tried || last || self.schedule.is_due(self.schedule.checkpoint_every, step) {
            self.save(state)?;
        }
        Ok(())
    }

    /// The prompter that is kept.
    pub(crate) fn finish(mut self, state: State) -> Result<Outcome, Error> {
        let (outcome, reason) = state.finish(&self.checkpoints, self.schedule, &self.architecture())?;
        self.emit(&Event::Finished { steps: outcome.steps, kept_step: outcome.kept_step, reason })?;
        self.events.sync()?;
        Ok(outcome)
    }

    /// Whether the step was the best on the validation prompts so far.
    fn validate(&mut self, state: &mut State) -> Result<bool, Error> {
        let mut prompter = self.prompter.with(Some(&state.adapter));
        let mut arm =
            Arm { name: "validation".to_owned(), prompter: &mut prompter, draw: Draw::Rewrites(1), reference: None };
        let tried = evaluate(&mut arm, self.validation, &mut self.environment, self.seed, &mut |_| {})?;
        let rewards: Vec<f64> = tried.iter().map(EvaluatedPrompt::mean_reward).collect();
        let MeanResult { mean: reward, interval } = interval_of(&rewards)?;
        let best = state.tried(reward);
        self.emit(&Event::Validated { step: state.step, reward, interval, best })?;
        Ok(best)
    }

    fn save(&mut self, state: &State) -> Result<(), Error> {
        // Told before it is so: the events up to here are part of the checkpoint, and a run that is killed in between
        // resumes from an older one, which forgets this event.
        self.emit(&Event::CheckpointSaved { step: state.step })?;
        state.save(&self.checkpoints, &self.events, self.environment.reward.state(), &self.architecture())
    }

    pub(crate) fn emit(&mut self, event: &Event) -> Result<(), Error> {
        self.events.emit(event)?;
        Ok(self.watcher.emit(event)?)
    }

    /// The step's prompts: every epoch goes through all of them once, in an order of its own.
    fn step_prompts(&self, step: u64) -> Vec<&'a Record> {
        let places = places_of_step(self.prompts.len(), self.schedule.prompts_per_step, self.seed, step);
        places.into_iter().map(|place| &self.prompts[place]).collect()
    }

    fn score_options(&self) -> ScoreOptions {
        ScoreOptions { temperature: self.prompter.temperature(), ..ScoreOptions::default() }
    }

    fn architecture(&self) -> Architecture {
        self.prompter.model().engine().architecture().clone()
    }
}

/// One rollout's log-probabilities and values under the current prompter.
pub(crate) struct Scored<'a> {
    /// Its prompt's place in the batch.
    pub(crate) group: usize,
    /// Its place in the group.
    pub(crate) rollout: usize,
    /// log ρ of each token.
    pub(crate) token_logps: &'a [f32],
    /// The head's value before each token and one after the last; empty without a head.
    pub(crate) values: &'a [f32],
}

/// A loss's derivatives with respect to the parts of a [`Scored`].
pub(crate) struct Slopes {
    pub(crate) token_logps: Vec<f64>,
    /// As many as there are values.
    pub(crate) values: Vec<f64>,
}

/// f32 values as f64.
pub(crate) fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}
