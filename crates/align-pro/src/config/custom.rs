//! `[reward.command]` and `[reward.http]`: rewards of the user's own, resolved.

use std::path::PathBuf;
use std::time::Duration;

use rollout::reward::CommandOptions;
use serde::{Deserialize, Serialize};

/// `[reward.command]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CommandPlan {
    pub(crate) argv: Vec<String>,
    /// Where it runs: the configuration's folder.
    pub(crate) folder: PathBuf,
    /// Seconds that it may say nothing.
    pub(crate) timeout: f64,
    pub(crate) max_restarts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<usize>,
}

/// `[reward.http]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct HttpPlan {
    pub(crate) url: String,
    /// The environment variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_env: Option<String>,
    /// The most exchanges in one request.
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    /// Seconds that one attempt may take.
    pub(crate) timeout: f64,
    pub(crate) max_retries: u32,
}

impl CommandPlan {
    /// Take over what does not decide a score.
    pub(super) fn connect_as(&mut self, now: &CommandPlan) {
        (self.timeout, self.max_restarts) = (now.timeout, now.max_restarts);
    }
}

impl HttpPlan {
    /// Take over what does not decide a score.
    pub(super) fn connect_as(&mut self, now: &HttpPlan) {
        self.api_key_env.clone_from(&now.api_key_env);
        (self.concurrency, self.timeout, self.max_retries) = (now.concurrency, now.timeout, now.max_retries);
    }
}

impl From<&CommandPlan> for CommandOptions {
    fn from(plan: &CommandPlan) -> CommandOptions {
        let &CommandPlan { ref argv, ref folder, timeout, max_restarts, batch } = plan;
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX);
        CommandOptions { argv: argv.clone(), folder: folder.clone(), timeout, max_restarts, batch }
    }
}
