//! Evaluation: the arms of a plan on held-out prompts.

use lm::Lora;
use rollout::data::Record;
use rollout::evaluate::{About, Arm, Draw, EvaluatedPrompt, Evaluation, evaluate, summarise};
use rollout::prompter::{Identity, Likelihood, Prompter};
use rollout::rollouts::Environment;
use rollout::target::Target;

use super::reward;
use super::world::World;
use crate::config::plan::{EvalPlan, Plan, What};
use crate::progress;

/// The arm of a tuned target.
const ORACLE: &str = "oracle";

/// What an arm does with some prompts, under a progress bar.
pub(crate) fn watched(
    what: &str,
    arm: &mut Arm<'_>,
    prompts: &[Record],
    environment: &mut Environment<'_>,
    seed: u64,
) -> Result<Vec<EvaluatedPrompt>, rollout::Error> {
    let bar = progress::count(what, prompts.len() as u64);
    let evaluated = evaluate(arm, prompts, environment, seed, &mut |done| bar.set_position(done as u64));
    bar.finish_and_clear();
    evaluated
}

/// What was trained, for the arms that need it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tuned<'a> {
    /// The prompter's adapter.
    pub(crate) prompter: Option<&'a Lora>,
    /// The target's: the oracle.
    pub(crate) oracle: Option<&'a Lora>,
    /// Steps behind the one that the evaluation is about.
    pub(crate) steps: u64,
}

impl<'a> Tuned<'a> {
    /// What a run of this plan has trained.
    pub(crate) fn of(plan: &Plan, adapter: Option<&'a Lora>, steps: u64) -> Tuned<'a> {
        match plan.train.what {
            What::Prompter => Tuned { prompter: adapter, oracle: None, steps },
            What::Target => Tuned { prompter: None, oracle: adapter, steps },
        }
    }
}

/// All arms of the plan on `prompts`, and their figures. The seconds are left for the caller to fill in.
pub(crate) fn arms(
    plan: &Plan,
    world: &mut World,
    prompts: &[Record],
    tuned: Tuned<'_>,
) -> anyhow::Result<(Vec<Vec<EvaluatedPrompt>>, Evaluation)> {
    let &EvalPlan { rewrites, responses, best_of, .. } = &plan.eval;
    let mut oracle = tuned.oracle.map(|adapter| world.oracle(adapter)).transpose()?;
    let World { prompter, target: frozen, reward, start, .. } = world;
    let start = start.as_ref();
    let mut identity = [Identity; 2];
    let [naive, unchanged] = &mut identity;
    let (mut reference, mut best) = (prompter.with(start), prompter.with(start));
    let mut adapted = tuned.prompter.map(|adapter| (prompter.with(Some(adapter)), prompter.with(start)));

    let in_all = rewrites * responses;
    let arm = |name: &str, prompter, draw| Arm { name: name.to_owned(), prompter, draw, reference: None };
    let mut arms = vec![arm("naive", naive as &mut dyn Prompter, Draw::Once { responses: in_all })];
    if plan.train.what == What::Prompter {
        arms.push(arm("ref", &mut reference, Draw::Rewrites(rewrites)));
        if let Some((adapted, reference)) = &mut adapted {
            let reference: Option<&mut dyn Likelihood> = Some(reference);
            arms.push(Arm { reference, ..arm("trained", adapted, Draw::Rewrites(rewrites)) });
        }
        if best_of > 1 {
            arms.push(arm(&format!("best-of-{best_of}"), &mut best, Draw::BestOf { n: best_of, responses: in_all }));
        }
    }
    if oracle.is_some() {
        arms.push(arm(ORACLE, unchanged, Draw::Once { responses: in_all }));
    }
    let mut evaluated = Vec::new();
    for mut arm in arms {
        let target: &mut dyn Target = match &mut oracle {
            Some(oracle) if arm.name == ORACLE => oracle,
            _ => frozen,
        };
        let mut environment = Environment { target, reward, responses, length_penalty: 0.0 };
        let what = format!("evaluating {}", arm.name);
        evaluated.push(watched(&what, &mut arm, prompts, &mut environment, plan.seed)?);
    }
    let about = About {
        seed: plan.seed,
        model: plan.trained_model().to_owned(),
        target: plan.target.model().to_owned(),
        reward: plan.reward.name(),
        learned: reward::learned_attribute(plan)?,
        steps: tuned.steps,
        seconds: 0.0,
    };
    let evaluation = summarise(&evaluated, &plan.reward.mixed(), about)?;
    Ok((evaluated, evaluation))
}
