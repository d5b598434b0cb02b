//! A training run as it is watched: a progress bar on a terminal, a line a step elsewhere.

use std::time::Instant;

use indicatif::ProgressBar;
use rollout::event::{Event, EventSink, Metric, StepDone};

use crate::output::say;
use crate::progress;

/// Shows the steps of a run on standard error.
pub(crate) struct Watcher {
    bar: ProgressBar,
    started: Instant,
    tokens: f64,
    steps: u64,
    lines: bool,
}

impl Watcher {
    pub(crate) fn new(steps: u64, lines: bool) -> Watcher {
        let bar = progress::steps("training", steps);
        Watcher { bar, started: Instant::now(), tokens: 0.0, steps, lines }
    }

    fn step(&mut self, done: &StepDone) {
        let figure = |metric: Metric| done.metrics.get(metric.name()).copied().unwrap_or_default();
        self.tokens += figure(Metric::NumTokens);
        let rate = self.tokens / self.started.elapsed().as_secs_f64().max(1e-9);
        let (reward, kl, length) = (figure(Metric::Reward), figure(Metric::Kl), figure(Metric::RewritesMeanLength));
        let told = format!("reward {reward:.3}  kl {kl:.2}  rewrite {length:.0} tokens  {rate:.0} tokens/s");
        if self.lines && self.bar.is_hidden() {
            say(format_args!("step {}/{}  {told}  {:.1} s", done.step, self.steps, done.seconds.total));
        }
        self.bar.set_position(done.step);
        self.bar.set_message(told);
    }
}

impl EventSink for Watcher {
    fn emit(&mut self, event: &Event) -> Result<(), rollout::Error> {
        match event {
            Event::StepDone(done) => self.step(done),
            Event::Validated { step, reward, interval: [low, high], best } => {
                let best = if *best { ", the best so far" } else { "" };
                self.bar.suspend(|| {
                    say(format_args!("step {step}: validation reward {reward:.3} [{low:.3}, {high:.3}]{best}"));
                });
            }
            Event::Warned { message, .. } => self.bar.suspend(|| say(format_args!("warning: {message}"))),
            Event::Finished { .. } => self.bar.finish_and_clear(),
            Event::Started(_) | Event::Rollouts { .. } | Event::CheckpointSaved { .. } => {}
        }
        Ok(())
    }
}
