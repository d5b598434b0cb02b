//! A run that is killed and goes on ends as if it had never stopped, and asks the target nothing twice.

use std::path::Path;

use rollout::event::{Event, FinishReason};
use rollout::journal::Journal;
use rollout::target::Journaled;
use train::options::{Method, Ppo, Rloo};
use train::{Outcome, ppo, rloo};

use crate::support::{Scripted, Setup, prompter, records, tiny_engine};

const STEPS: u64 = 6;

fn rloo_options() -> Method {
    Method::Rloo(Rloo { lambda: 0.1, group_size: 3 })
}

fn ppo_options() -> Method {
    Method::Ppo(Ppo {
        lambda: 0.1,
        group_size: 3,
        epochs: 2,
        mini_batches: 2,
        epsilon: 0.2,
        value_clip: 0.2,
        value_weight: 0.1,
        discount: 1.0,
        gae_decay: 0.95,
    })
}

fn setup(folder: &Path) -> Setup {
    let mut setup = Setup::new(folder, STEPS);
    setup.validation = records(9)[6..].to_vec();
    setup.schedule.validate_every = 3;
    setup
}

fn run(setup: &Setup, method: &Method, scripted: &mut Scripted) -> Result<Outcome, train::Error> {
    let journal = Journal::open(&setup.folder.join("journal.sqlite")).unwrap();
    let mut target = Journaled::new(scripted, journal);
    setup.train(&prompter(tiny_engine(), 6), &mut target, |run| match method {
        Method::Rloo(options) => rloo::train(options, run),
        Method::Ppo(options) => ppo::train(options, run),
    })
}

#[test]
fn a_killed_run_ends_like_one_that_was_not() {
    for method in [rloo_options(), ppo_options()] {
        let folder = tempfile::tempdir().unwrap();
        let whole = setup(folder.path());
        let mut never_killed = Scripted::default();
        let expected = run(&whole, &method, &mut never_killed).unwrap();
        let last = whole.events().pop().unwrap();
        assert!(matches!(last, Event::Finished { steps: STEPS, reason: FinishReason::Steps, .. }), "{last:?}");

        // Every multiple of a step's calls, and places in between, where a validation is cut.
        for dies_at in (0..never_killed.n_calls).step_by(5) {
            let folder = tempfile::tempdir().unwrap();
            let setup = setup(folder.path());
            let mut scripted = Scripted { n_calls: 0, dies_at: Some(dies_at) };
            assert!(run(&setup, &method, &mut scripted).is_err(), "killed at call {dies_at}");
            scripted.dies_at = None;
            let outcome = run(&setup, &method, &mut scripted).unwrap();
            assert_eq!(outcome, expected, "killed at call {dies_at}");
            assert_eq!(setup.events(), whole.events(), "killed at call {dies_at}");
            assert_eq!(scripted.n_calls, never_killed.n_calls, "no call was made twice");
        }
    }
}

#[test]
fn a_finished_run_does_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path());
    let mut scripted = Scripted::default();
    let outcome = run(&setup, &rloo_options(), &mut scripted).unwrap();
    let (events, n_calls) = (setup.events(), scripted.n_calls);
    assert_eq!(run(&setup, &rloo_options(), &mut scripted).unwrap(), outcome);
    assert_eq!((setup.events(), scripted.n_calls), (events, n_calls));
}

#[test]
fn a_checkpoint_of_another_adapter_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = setup(folder.path());
    run(&setup, &rloo_options(), &mut Scripted::default()).unwrap();
    setup.lora.rank = 2;
    let error = run(&setup, &rloo_options(), &mut Scripted::default()).unwrap_err();
    assert!(error.to_string().contains("another rank"), "{error}");
}

#[test]
fn training_stops_early_and_keeps_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = setup(folder.path());
    setup.schedule.steps = 40;
    setup.schedule.validate_every = 1;
    setup.schedule.patience = 2;
    // Without learning, every trial after the first draws the same rewrites and is no better.
    setup.optimizer.learning_rate = 0.0;
    let outcome = run(&setup, &rloo_options(), &mut Scripted::default()).unwrap();
    assert_eq!((outcome.steps, outcome.kept_step), (3, 1));
    let last = setup.events().pop().unwrap();
    assert_eq!(last, Event::Finished { steps: 3, kept_step: 1, reason: FinishReason::EarlyStop });
}
