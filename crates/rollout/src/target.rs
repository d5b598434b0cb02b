//! Targets: the frozen model that answers what the prompter wrote.

mod echo;
mod endpoint;
mod journaled;
mod local;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data::Message;

pub use self::endpoint::{EndpointTarget, EndpointTargetOptions};
pub use echo::Echo;
pub use journaled::Journaled;
pub use local::LocalTarget;

/// `[target.local]`, but for its model: how responses are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetOptions {
    /// Divides the logits; 0 always takes the most likely token.
    pub temperature: f32,
    /// Keep the most likely tokens that together have this probability.
    pub top_p: f32,
    /// Keep so many of the most likely tokens.
    pub top_k: Option<usize>,
    /// Drop tokens less likely than this share of the most likely one.
    pub min_p: f32,
    /// Most tokens of a response.
    pub max_tokens: usize,
    /// A message before the prompt that tells the target how to behave.
    pub system: Option<String>,
}

/// What a target answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The text.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// Tokens that the target read for it, which an endpoint may charge for; 0 where nobody counts them.
    pub prompt_tokens: usize,
    /// Whether it was cut at the limit.
    pub cut: bool,
}

/// One question to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The conversation, whose last message is the target's prompt x'.
    pub messages: Vec<Message>,
    /// Bytes at the beginning of the last message that other calls beside this one have too, or 0: a local target reads
    /// them once. They depend on x and x' alone, so that an answer does not depend on its company.
    pub stem: usize,
    /// The same seed gives the same answer, where the target can.
    pub seed: u64,
}

/// A response, and which call it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The call's place in the batch.
    pub call: usize,
    /// The response.
    pub response: Response,
}

/// Takes answers as soon as they are there: what was answered must be stored before anything else can go wrong.
pub type Take<'a> = dyn FnMut(Vec<Answered>) -> Result<(), Error> + 'a;

/// Answers calls in batches. Concurrency lives inside the implementation.
pub trait Target {
    /// Its name, for people.
    fn name(&self) -> &str;

    /// What tells the model from all others, for the journal.
    fn identity(&self) -> String;

    /// How answers are drawn, for the journal.
    fn parameters(&self) -> String;

    /// Answer every call once, in any order. Each answer is handed to `take` as soon as it is there; an error of `take`
    /// ends the batch.
    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error>;

    /// One response for each call, in order.
    fn respond(&mut self, calls: &[Call]) -> Result<Vec<Response>, Error> {
        let mut responses = vec![None; calls.len()];
        self.answer(calls, &mut |answered| {
            for Answered { call, response } in answered {
                responses[call] = Some(response);
            }
            Ok(())
        })?;
        responses.into_iter().collect::<Option<_>>().ok_or(Error::Unanswered)
    }
}

impl<T: Target + ?Sized> Target for Box<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn identity(&self) -> String {
        (**self).identity()
    }

    fn parameters(&self) -> String {
        (**self).parameters()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        (**self).answer(calls, take)
    }
}

/// A conversation with a system message in front of it.
pub(crate) fn with_system(system: Option<&str>, messages: Vec<Message>) -> Vec<Message> {
    let system = system.map(|content| Message { role: "system".to_owned(), content: content.to_owned() });
    system.into_iter().chain(messages).collect()
}
