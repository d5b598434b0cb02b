//! The rewards of a plan, ready to score.

use std::sync::Arc;
use std::time::Duration;

use endpoint::{ApiKey, JsonClient, JsonOptions};
use rollout::reward::{CommandOptions, CommandReward, HttpReward, Ingredient, Journaled, Mix, Reward, Scale, Whole};

use super::journals::Journals;
use crate::config::custom::{CommandPlan, HttpPlan};
use crate::config::plan::Plan;
use crate::config::reward::OneReward;
use crate::output::say;

/// The only reward as it is, or all of them mixed, not yet on one scale.
pub(super) fn load(plan: &Plan, journals: &Journals) -> anyhow::Result<Whole> {
    if let [only] = plan.reward.0.as_slice() {
        return Ok(Whole::One(one(only, journals)?));
    }
    let ingredient = |reward: &OneReward| {
        let name = reward.name().to_owned();
        let weight = plan.reward_mix.weights.get(&name).copied().unwrap_or(1.0);
        Ok(Ingredient { name, reward: one(reward, journals)?, weight, scale: Scale::RAW })
    };
    let ingredients = plan.reward.0.iter().map(ingredient).collect::<anyhow::Result<_>>()?;
    Ok(Whole::Mix(Mix::new(ingredients, plan.reward_mix.rule())))
}

fn one(reward: &OneReward, journals: &Journals) -> anyhow::Result<Box<dyn Reward>> {
    let journal = || journals.reward(reward.name());
    Ok(match reward {
        OneReward::Verifier(verifier) => Box::new(verifier.clone()),
        OneReward::Command(plan) => Box::new(Journaled::new(command(plan), journal()?)),
        OneReward::Http(plan) => Box::new(Journaled::new(http(plan)?, journal()?)),
    })
}

/// A program of the user's own; what it says to people goes to them.
fn command(plan: &CommandPlan) -> CommandReward {
    CommandReward::new(CommandOptions::from(plan), Arc::new(|line: &str| say(format_args!("reward command: {line}"))))
}

/// A server of the user's own.
fn http(plan: &HttpPlan) -> anyhow::Result<HttpReward> {
    let options = JsonOptions {
        api_key: plan.api_key_env.as_deref().map(ApiKey::from_env).transpose()?,
        concurrency: plan.concurrency,
        timeout: Duration::try_from_secs_f64(plan.timeout).unwrap_or(Duration::MAX),
        max_retries: plan.max_retries,
        ..JsonOptions::new(&plan.url)
    };
    Ok(HttpReward::new(JsonClient::new(&options)?, &plan.url, plan.batch))
}
