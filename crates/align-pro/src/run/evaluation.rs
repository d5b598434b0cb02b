//! Evaluation: the arms of a plan on held-out prompts.

use lm::Lora;
use rollout::data::Record;
use rollout::evaluate::{About, Arm, Draw, EvaluatedPrompt, Evaluation, evaluate, summarise};
use rollout::prompter::{Identity, Likelihood, Prompter};

use super::world::World;
use crate::config::plan::{Plan, TargetPlan};
use crate::progress;

/// What stands behind the trained arm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trained<'a> {
    pub(crate) adapter: &'a Lora,
    pub(crate) steps: u64,
}

/// All arms of the plan on `prompts`, and their figures. The seconds are left for the caller to fill in.
pub(crate) fn arms(
    plan: &Plan,
    world: &mut World,
    prompts: &[Record],
    trained: Option<Trained<'_>>,
) -> anyhow::Result<(Vec<Vec<EvaluatedPrompt>>, Evaluation)> {
    let TargetPlan::Local(target) = &plan.target;
    let &crate::config::plan::EvalPlan { rewrites, responses, best_of, .. } = &plan.eval;
    let World { prompter, target: answerer, reward, start, .. } = world;
    let mut environment = rollout::rollouts::Environment { target: answerer, reward, responses, length_penalty: 0.0 };
    let (mut identity, mut reference, mut best) =
        (Identity, prompter.with(start.as_ref()), prompter.with(start.as_ref()));
    let mut adapted = trained.map(|trained| (prompter.with(Some(trained.adapter)), prompter.with(start.as_ref())));

    let in_all = rewrites * responses;
    let arm = |name: &str, prompter, draw| Arm { name: name.to_owned(), prompter, draw, reference: None };
    let mut arms = vec![
        arm("naive", &mut identity as &mut dyn Prompter, Draw::Once { responses: in_all }),
        arm("ref", &mut reference, Draw::Rewrites(rewrites)),
    ];
    if let Some((adapted, reference)) = &mut adapted {
        let reference: Option<&mut dyn Likelihood> = Some(reference);
        arms.push(Arm { reference, ..arm("trained", adapted, Draw::Rewrites(rewrites)) });
    }
    if best_of > 1 {
        arms.push(arm(&format!("best-of-{best_of}"), &mut best, Draw::BestOf { n: best_of, responses: in_all }));
    }
    let mut evaluated = Vec::new();
    for mut arm in arms {
        let bar = progress::count(&format!("evaluating {}", arm.name), prompts.len() as u64);
        let told = evaluate(&mut arm, prompts, &mut environment, plan.seed, &mut |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        evaluated.push(told);
    }
    let about = About {
        seed: plan.seed,
        model: plan.prompter.model.clone(),
        target: target.model.clone(),
        reward: plan.reward.name().to_owned(),
        steps: trained.map_or(0, |trained| trained.steps),
        seconds: 0.0,
    };
    let evaluation = summarise(&evaluated, about)?;
    Ok((evaluated, evaluation))
}
