//! The rewards of a plan, ready to score.

mod custom;
mod learned;

use rollout::reward::{Ingredient, Journaled, Mix, Reward, Scale, Whole};

use super::journals::Journals;
use super::models::Models;
use crate::config::plan::Plan;
use crate::config::reward::{OneReward, RewardModelPlan};

pub(super) use learned::learned_attribute;
pub(crate) use learned::{CARD, card, learned};

/// The only reward as it is, or all of them mixed, not yet on one scale.
pub(super) fn load(plan: &Plan, models: &mut Models<'_>, journals: &Journals) -> anyhow::Result<Whole> {
    if let [only] = plan.reward.0.as_slice() {
        return Ok(Whole::One(one(only, models, journals)?));
    }
    let ingredient = |reward: &OneReward| {
        let name = reward.name().to_owned();
        let weight = plan.reward_mix.weights.get(&name).copied().unwrap_or(1.0);
        Ok(Ingredient { name, reward: one(reward, models, journals)?, weight, scale: Scale::RAW })
    };
    let ingredients = plan.reward.0.iter().map(ingredient).collect::<anyhow::Result<_>>()?;
    Ok(Whole::Mix(Mix::new(ingredients, plan.reward_mix.rule())))
}

fn one(reward: &OneReward, models: &mut Models<'_>, journals: &Journals) -> anyhow::Result<Box<dyn Reward>> {
    let journal = || journals.reward(reward.name());
    Ok(match reward {
        OneReward::Verifier(verifier) => Box::new(verifier.clone()),
        OneReward::Model(plan) => {
            let RewardModelPlan { path, attribute, precision } = plan;
            Box::new(learned(path, attribute.as_deref(), *precision, models)?)
        }
        OneReward::Command(plan) => Box::new(Journaled::new(custom::command(plan), journal()?)),
        OneReward::Http(plan) => Box::new(Journaled::new(custom::http(plan)?, journal()?)),
    })
}
