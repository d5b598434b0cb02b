//! What the prompter is told, and how its text becomes the target's prompt.
//!
//! ## Template
//! The modular template of FIPO (arXiv 2402.11811): a role, the user's prompt in a fenced block, optionally a response to
//! it and a reference answer in blocks of their own, then the task. Both optional blocks are shown when preferences are
//! collected, a random subset in training, none in use.
//!
//! ## Choices
//! - The words are our own; the published ones are not reproduced, nor its spelling "sliver".
//! - Everything is rendered in one pass: a slot's name inside the user's prompt is only text.
//! - Fences are longer than any run of backticks inside, so that no prompt can end its own block.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::template::Template;

/// What the prompter does to the user's prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The prompter writes the whole new prompt.
    Rewrite,
    /// The prompter writes an addition, and the user's own words stay in front of it.
    Augment,
}

/// What the prompter is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The user's prompt x.
    pub prompt: String,
    /// A response of the target to x.
    pub response: Option<String>,
    /// A response known to be good.
    pub reference: Option<String>,
}

/// Which of the two options of a multiple-choice prompt comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionOrder {
    /// The reference is option A.
    ReferenceFirst,
    /// The target's response is option A.
    ResponseFirst,
}

const OPENING: &str =
    "You are an expert in prompt optimization. A user has written this silver prompt:\n\n{prompt}\n\n";
const RESPONSE: &str = "A model answered the silver prompt like this:\n\n{response}\n\n";
const REFERENCE: &str = "A good answer to the silver prompt is:\n\n{reference}\n\n";
const REWRITE: &str = "Rewrite the silver prompt as a golden prompt that leads the model to a more correct answer{hint}. Be \
                       instructive and concise, keep every fact and requirement of the silver prompt, do not answer it, \
                       and use fewer than {words} words. Output only the golden prompt.";
const AUGMENT: &str = "Write a short addition that, placed after the silver prompt, leads the model to a more correct \
                       answer{hint}. Be instructive and concise, contradict nothing in the silver prompt, do not answer \
                       it, do not repeat it, and use fewer than {words} words. Output only the addition.";
const HINT: &str = ", with the optional reference in mind";

impl Mode {
    /// The instruction for the prompter, asking for fewer than `word_limit` words.
    pub fn instruction(self, shown: &Shown, word_limit: usize) -> Result<String, Error> {
        let task = match self {
            Mode::Rewrite => REWRITE,
            Mode::Augment => AUGMENT,
        };
        let response_block = shown.response.as_ref().map_or("", |_| RESPONSE);
        let reference_block = shown.reference.as_ref().map_or("", |_| REFERENCE);
        let hint = if shown.response.is_some() || shown.reference.is_some() { HINT } else { "" };
        let words = word_limit.to_string();
        let fence = |text: &Option<String>| fenced(text.as_deref().unwrap_or_default());
        let values = [
            ("prompt", &*fenced(&shown.prompt)),
            ("response", &fence(&shown.response)),
            ("reference", &fence(&shown.reference)),
            ("hint", hint),
            ("words", &words),
        ];
        Template::parse(&[OPENING, response_block, reference_block, task].concat())?.render(&values)
    }

    /// The target's prompt x' from the user's x and what the prompter wrote.
    pub fn compose(self, prompt: &str, written: &str) -> String {
        match self {
            Mode::Rewrite => written.to_owned(),
            Mode::Augment => format!("{}\n\n{}", prompt.trim_end(), written.trim_start()),
        }
    }
}

impl Shown {
    /// The same as a choice between the response and the reference, which become the letters of the options. Without
    /// both there is nothing to choose between, and it stays as it is.
    pub fn as_multiple_choice(&self, order: OptionOrder) -> Shown {
        let (Some(response), Some(reference)) = (&self.response, &self.reference) else { return self.clone() };
        let (first, second, right, wrong) = match order {
            OptionOrder::ReferenceFirst => (reference, response, "A", "B"),
            OptionOrder::ResponseFirst => (response, reference, "B", "A"),
        };
        Shown {
            prompt: format!("{}\nA: {first}\nB: {second}\nAnswer:", self.prompt),
            response: Some(wrong.to_owned()),
            reference: Some(right.to_owned()),
        }
    }
}

/// The text in a block whose fence is longer than any run of backticks in it.
fn fenced(text: &str) -> String {
    let (mut run, mut longest) = (0, 0);
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}\n{text}\n{fence}")
}

#[cfg(test)]
mod tests;
