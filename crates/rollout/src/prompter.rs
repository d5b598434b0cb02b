//! Prompters: from the user's prompt x to rewrites x'.

use serde::{Deserialize, Serialize};

use crate::instruction::Mode;

/// `[prompter]`, but for its model and its adapter: how rewrites are asked for and drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrompterOptions {
    /// What the prompter does to the user's prompt.
    pub mode: Mode,
    /// Divides the logits: the prompter's policy is this tempered softmax, in sampling, scoring and training alike.
    pub temperature: f32,
    /// Most tokens it may write.
    pub max_tokens: usize,
    /// The instruction asks for fewer words than this.
    pub word_limit: usize,
    /// An instruction of the user's own, with the slot `{prompt}`; FIPO's modular template without it.
    pub instruction: Option<String>,
}
