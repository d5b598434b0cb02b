//! The rewards of a plan, ready to score.

mod custom;
mod learned;

use rollout::reward::{Ingredient, Journaled, Judge, JudgeOptions, Mix, Reward, Scale, Whole};

use super::journals::Journals;
use super::shelf::Shelf;
use crate::config::plan::Plan;
use crate::config::reward::{OneReward, RewardModelPlan};

pub(crate) use learned::{CARD, card, check, files, learned, learned_attribute};

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
    let journal = || journals.reward(reward.name());
    Ok(match reward {
        OneReward::Verifier(verifier) => Box::new(verifier.clone()),
        OneReward::Model(plan) => {
            let RewardModelPlan { path, attribute, precision } = plan;
            Box::new(learned(path, attribute.as_deref(), *precision, shelf)?)
        }
        OneReward::Judge(plan) => {
            let judge = shelf.judge(plan.model(), &plan.budget, journal()?)?;
            Box::new(Judge::new(judge, JudgeOptions::from(&**plan)))
        }
        OneReward::Command(plan) => Box::new(Journaled::new(custom::command(plan), journal()?)),
        OneReward::Http(plan) => Box::new(Journaled::new(custom::http(plan)?, journal()?)),
    })
}
