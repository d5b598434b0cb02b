//! What every loop does: take a step's share of the data, go down the gradient, and keep what is best.

use lm::{AdamW, Architecture, Lora, LoraGradients, clip_by_global_norm, derive_seed};
use rollout::event::{EventLog, FinishReason};

use crate::checkpoint::{Best, Checkpoints, StateFile};
use crate::options::{OptimizerOptions, ScheduleOptions};
use crate::{Error, Outcome};

/// Keeps the order of the data apart from other random numbers.
const ORDER: u64 = 0x6f72_6465;

/// What changes from step to step.
pub(crate) struct State {
    /// Steps made.
    pub(crate) step: u64,
    /// What is trained.
    pub(crate) adapter: Lora,
    optimizer: AdamW,
    best: Option<Best>,
    stale_trials: u64,
}

impl State {
    /// The state of the newest checkpoint, with what the reward had learned, or else that of a fresh adapter.
    pub(crate) fn begin(
        fresh: Lora,
        checkpoints: &Checkpoints,
        options: &OptimizerOptions,
        architecture: &Architecture,
    ) -> Result<(State, Vec<f64>), Error> {
        if let Some(restored) = checkpoints.newest(options.settings(), &fresh, architecture)? {
            let StateFile { step, best, stale_trials, reward, .. } = restored.state;
            let (adapter, optimizer) = (restored.adapter, restored.optimizer);
            return Ok((State { step, adapter, optimizer, best, stale_trials }, reward));
        }
        let optimizer = AdamW::new(options.settings(), fresh.parameters.len());
        Ok((State { step: 0, adapter: fresh, optimizer, best: None, stale_trials: 0 }, Vec::new()))
    }

    /// Whether another step is to be made.
    pub(crate) fn goes_on(&self, schedule: &ScheduleOptions) -> bool {
        self.step < schedule.steps && !self.is_stale(schedule)
    }

    fn is_stale(&self, schedule: &ScheduleOptions) -> bool {
        schedule.patience > 0 && self.stale_trials >= schedule.patience
    }

    /// Clip the gradients and update the adapter; returns their norm. Gradients that are not finite change nothing and give
    /// `None`.
    pub(crate) fn descend(
        &mut self,
        options: &OptimizerOptions,
        rate: f64,
        mut gradients: LoraGradients,
    ) -> Result<Option<f64>, Error> {
        let norm = match clip_by_global_norm(&mut gradients.flat, options.max_grad_norm) {
            Err(lm::Error::NotFinite { .. }) => return Ok(None),
            norm => norm?,
        };
        self.optimizer.step(&mut self.adapter.parameters, &gradients.flat, rate)?;
        Ok(Some(norm))
    }

    /// Take note of a trial; whether it was the best so far.
    pub(crate) fn tried(&mut self, reward: f64) -> bool {
        let best = self.best.is_none_or(|best| reward > best.reward);
        if best {
            self.best = Some(Best { step: self.step, reward });
        }
        self.stale_trials = if best { 0 } else { self.stale_trials + 1 };
        best
    }

    /// Write a checkpoint, to which all events so far belong.
    pub(crate) fn save(
        &self,
        checkpoints: &Checkpoints,
        events: &EventLog,
        reward: Vec<f64>,
        architecture: &Architecture,
    ) -> Result<(), Error> {
        events.sync()?;
        let &State { step, best, stale_trials, .. } = self;
        let mut file = StateFile { version: 0, step, events_length: events.length(), best, stale_trials, reward };
        checkpoints.save(&mut file, &self.adapter, &self.optimizer, architecture)
    }

    /// What is kept, and why there are no more steps.
    pub(crate) fn finish(
        self,
        checkpoints: &Checkpoints,
        schedule: &ScheduleOptions,
        architecture: &Architecture,
    ) -> Result<(Outcome, FinishReason), Error> {
        let reason = if self.is_stale(schedule) { FinishReason::EarlyStop } else { FinishReason::Steps };
        let kept_step = self.best.map_or(self.step, |best| best.step);
        let adapter = match kept_step == self.step {
            true => self.adapter,
            false => Lora::load_peft(&checkpoints.of_step(kept_step), architecture)?.0,
        };
        Ok((Outcome { steps: self.step, kept_step, adapter }, reason))
    }
}

/// Which of `n` items, at least one, a step takes: every epoch goes through all of them once, in an order of its own.
pub(crate) fn places_of_step(n: usize, per_step: usize, seed: u64, step: u64) -> Vec<usize> {
    let (n, per_step) = (n as u64, per_step as u64);
    let mut order = (u64::MAX, Vec::new());
    let pick = |position: u64| {
        let epoch = position / n;
        if order.0 != epoch {
            let mut places: Vec<u64> = (0..n).collect();
            places.sort_by_key(|&place| derive_seed(&[seed, ORDER, epoch, place]));
            order = (epoch, places);
        }
        order.1[(position % n) as usize] as usize
    };
    (step * per_step..(step + 1) * per_step).map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_takes_every_item_once() {
        let taken: Vec<usize> = (0..4).flat_map(|step| places_of_step(6, 3, 7, step)).collect();
        for epoch in taken.chunks(6) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
        assert_ne!(taken[..6], taken[6..]);
        assert_eq!(places_of_step(2, 5, 7, 0).len(), 5);
    }
}
