//! What must not change a run, and what must.

use lm::Lora;
use rollout::event::{Event, Metric};
use train::options::Rloo;
use train::rloo;

use crate::support::{Scripted, Setup, prompter, tiny_engine};

fn adapter(change: impl Fn(&mut Setup)) -> (Vec<f32>, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(folder.path(), 4);
    change(&mut setup);
    let options = Rloo { lambda: 0.1, group_size: 4 };
    let outcome = setup
        .train(&prompter(tiny_engine(), 6), &mut &mut Scripted::default(), |run| rloo::train(&options, run))
        .unwrap();
    (outcome.adapter.parameters, setup.events())
}

#[test]
fn micro_batches_change_nothing_but_rounding() {
    let (whole, _) = adapter(|_| {});
    assert!(whole.iter().any(|&parameter| parameter != 0.0));
    for tokens in [1, 17, 40] {
        let (cut, _) = adapter(|setup| setup.micro_batch_tokens = tokens);
        let furthest = whole.iter().zip(&cut).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(furthest < 2e-4, "micro-batches of {tokens} tokens: {furthest}");
    }
}

#[test]
fn what_is_sampled_is_scored_the_same() {
    let (_, events) = adapter(|_| {});
    let mut n_steps = 0;
    for event in events {
        if let Event::StepDone(done) = event {
            assert_eq!(done.metrics[Metric::SamplingLogpDifferenceMax.name()], 0.0);
            n_steps += 1;
        }
    }
    assert_eq!(n_steps, 4);
}

#[test]
fn the_first_step_is_taken_at_the_reference() {
    let (_, events) = adapter(|_| {});
    let steps: Vec<_> =
        events.iter().filter_map(|event| if let Event::StepDone(done) = event { Some(done) } else { None }).collect();
    let kl = |index: usize| steps[index].metrics[Metric::Kl.name()];
    assert_eq!(kl(0), 0.0, "B is zero, so the adapter changes nothing");
    assert_ne!(kl(3), 0.0);
}

#[test]
fn a_reward_that_is_not_finite_leaves_the_update_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(folder.path(), 2);
    setup.optimizer.learning_rate = f64::MAX;
    setup.optimizer.max_grad_norm = f64::MAX;
    let options = Rloo { lambda: f64::MAX, group_size: 2 };
    let outcome =
        setup.train(&prompter(tiny_engine(), 4), &mut &mut Scripted::default(), |run| rloo::train(&options, run));
    // After a step of this length the prompter's log-probabilities are not finite; the engine says so, or the update is
    // left out with a word. Neither panics.
    if outcome.is_ok() {
        assert!(setup.events().iter().any(|event| matches!(event, Event::Warned { .. })));
    }
}

/// The adapter that training starts from is the reference: nothing has been left yet, and nothing costs anything.
#[test]
fn training_goes_on_from_an_adapter() {
    let (start, _) = adapter(|_| {});
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new(folder.path(), 1);
    let options = Rloo { lambda: 0.1, group_size: 4 };
    let outcome =
        setup.train(&prompter(tiny_engine(), 6), &mut &mut Scripted::default(), |run| rloo::train(&options, run));
    let started = Lora { parameters: start, ..outcome.unwrap().adapter };

    let (end, events) = adapter(|setup| {
        setup.start = Some(started.clone());
        setup.schedule.steps = 1;
        setup.optimizer.learning_rate = 0.0;
    });
    assert_eq!(end, started.parameters);
    let kl = events.iter().find_map(|event| match event {
        Event::StepDone(done) => Some(done.metrics[Metric::Kl.name()]),
        _ => None,
    });
    assert_eq!(kl, Some(0.0));
}

#[test]
fn an_adapter_of_another_shape_is_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(folder.path(), 1);
    let options = Rloo { lambda: 0.1, group_size: 2 };
    let train = |setup: &Setup| {
        setup.train(&prompter(tiny_engine(), 6), &mut &mut Scripted::default(), |run| rloo::train(&options, run))
    };
    setup.start = Some(train(&setup).unwrap().adapter);
    setup.lora.rank = 3;
    setup.folder = folder.path().join("other");
    std::fs::create_dir(&setup.folder).unwrap();
    let error = train(&setup).unwrap_err();
    assert!(error.to_string().contains("to start from has another rank"), "{error}");
}
