//! A training run as it is watched: a progress bar on a terminal, a line a step elsewhere, and curves for TensorBoard.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use indicatif::ProgressBar;
use rollout::event::{Event, EventSink, Metric, StepDone};
use rollout::tensorboard::TensorBoard;

use crate::output::say;
use crate::progress;

/// Shows the steps of a run on standard error and in its folder of curves.
pub(crate) struct Watcher {
    bar: ProgressBar,
    board: TensorBoard,
    started: Instant,
    tokens: f64,
    steps: u64,
}

impl Watcher {
    /// A watcher of a run of `steps` steps that has told `earlier` so far.
    pub(crate) fn new(steps: u64, metrics: &Path, earlier: &[Event]) -> anyhow::Result<Watcher> {
        let done = earlier.iter().filter_map(|event| if let Event::StepDone(done) = event { Some(done) } else { None });
        let seconds: f64 = done.clone().map(|done| done.seconds.total).sum();
        let board = TensorBoard::rebuild(metrics, wall_time() - seconds, earlier)?;
        let bar = progress::steps("training", steps);
        bar.set_position(done.count() as u64);
        bar.reset_eta();
        Ok(Watcher { bar, board, started: Instant::now(), tokens: 0.0, steps })
    }

    fn step(&mut self, done: &StepDone) {
        let figure = |metric: Metric| done.metrics.get(metric.name()).copied().unwrap_or_default();
        self.tokens += figure(Metric::NumTokens);
        let rate = self.tokens / self.started.elapsed().as_secs_f64().max(1e-9);
        let (reward, kl, length) = (figure(Metric::Reward), figure(Metric::Kl), figure(Metric::RewritesMeanLength));
        let told = format!("reward {reward:.3}  kl {kl:.2}  rewrite {length:.0} tokens  {rate:.0} tokens/s");
        if self.bar.is_hidden() {
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
        self.board.record(event, wall_time())
    }
}

/// Seconds since 1970, by which TensorBoard can order its points; nothing else of a run depends on the clock.
#[expect(clippy::disallowed_methods, reason = "TensorBoard's points have a time")]
fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
