//! Rewards of the user's own: `[reward.command]` and `[reward.http]`.

use std::sync::Arc;
use std::time::Duration;

use endpoint::{ApiKey, JsonClient, JsonOptions};
use rollout::reward::{CommandOptions, CommandReward, HttpReward};

use crate::config::custom::{CommandPlan, HttpPlan};
use crate::output::say;

/// A program of the user's own; what it says to people goes to them.
pub(super) fn command(plan: &CommandPlan) -> CommandReward {
    CommandReward::new(CommandOptions::from(plan), Arc::new(|line: &str| say(format_args!("reward command: {line}"))))
}

/// A server of the user's own.
pub(super) fn http(plan: &HttpPlan) -> anyhow::Result<HttpReward> {
    let options = JsonOptions {
        api_key: plan.api_key_env.as_deref().map(ApiKey::from_env).transpose()?,
        concurrency: plan.concurrency,
        timeout: Duration::try_from_secs_f64(plan.timeout).unwrap_or(Duration::MAX),
        max_retries: plan.max_retries,
        ..JsonOptions::new(&plan.url)
    };
    Ok(HttpReward::new(JsonClient::new(&options)?, &plan.url, plan.batch))
}
