//! The rewards of a plan, ready to score.

use rollout::reward::{Ingredient, Mix, Reward, Scale, Whole};

use crate::config::plan::Plan;
use crate::config::reward::OneReward;

/// The only reward as it is, or all of them mixed, not yet on one scale.
pub(super) fn load(plan: &Plan) -> anyhow::Result<Whole> {
    if let [only] = plan.reward.0.as_slice() {
        return Ok(Whole::One(one(only)?));
    }
    let ingredient = |reward: &OneReward| {
        let name = reward.name().to_owned();
        let weight = plan.reward_mix.weights.get(&name).copied().unwrap_or(1.0);
        Ok(Ingredient { name, reward: one(reward)?, weight, scale: Scale::RAW })
    };
    let ingredients = plan.reward.0.iter().map(ingredient).collect::<anyhow::Result<_>>()?;
    Ok(Whole::Mix(Mix::new(ingredients, plan.reward_mix.rule())))
}

fn one(reward: &OneReward) -> anyhow::Result<Box<dyn Reward>> {
    Ok(match reward {
        OneReward::Verifier(verifier) => Box::new(verifier.clone()),
    })
}
