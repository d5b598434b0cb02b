//! The rewards of a plan, ready to score.

use rollout::reward::{Ingredient, Judge, JudgeOptions, Mix, Reward, Scale, Whole};

use super::journals::Journals;
use super::shelf::Shelf;
use crate::config::plan::Plan;
use crate::config::reward::OneReward;

/// The only reward as it is, or all of them mixed, not yet on one scale. What a reward asks of others is kept in a journal
/// of its own.
pub(super) fn load(plan: &Plan, journals: &Journals, shelf: &mut Shelf<'_>) -> anyhow::Result<Whole> {
    if let [only] = plan.reward.0.as_slice() {
        return Ok(Whole::One(one(only, journals, shelf)?));
    }
    let ingredient = |reward: &OneReward| {
        let name = reward.name().to_owned();
        let weight = plan.reward_mix.weights.get(&name).copied().unwrap_or(1.0);
        Ok(Ingredient { name, reward: one(reward, journals, shelf)?, weight, scale: Scale::RAW })
    };
    let ingredients = plan.reward.0.iter().map(ingredient).collect::<anyhow::Result<_>>()?;
    Ok(Whole::Mix(Mix::new(ingredients, plan.reward_mix.rule())))
}

fn one(reward: &OneReward, journals: &Journals, shelf: &mut Shelf<'_>) -> anyhow::Result<Box<dyn Reward>> {
    Ok(match reward {
        OneReward::Verifier(verifier) => Box::new(verifier.clone()),
        OneReward::Judge(plan) => {
            let judge = shelf.judge(plan.model(), &plan.budget, journals.reward(reward.name())?)?;
            Box::new(Judge::new(judge, JudgeOptions::from(&**plan)))
        }
    })
}
