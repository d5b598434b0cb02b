//! Rewards: how good a response is as an answer to the user's own prompt.
//!
//! A reward is always scored against the prompt x, never against the rewrite x' that the target read. [`Reward`] is the
//! seam; the [`Verifier`]s behind it need no model and are pure functions of one exchange. The [`Judge`] is a model, a
//! [`LearnedReward`] one that was trained to be a reward. A [`Scorer`] asks somebody, a program or a server of the user's own, and
//! stands behind a journal: [`Journaled`].

mod command;
pub mod constraint;
mod constraints;
mod http;
mod journaled;
mod json_schema;
mod judge;
mod language;
mod length;
mod mix;
mod model;
mod number;
mod text;
mod verifier;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data::Record;
use crate::judge::CanaryResult;

pub use command::{CommandError, CommandOptions, CommandReward, Fault, Listener};
pub use constraints::{Constraints, Merge, Strictness};
pub use http::HttpReward;
pub use journaled::{Journaled, Scored, Scorer, TakeScores};
pub use json_schema::JsonSchema;
pub use judge::{Abstention, Judge, JudgeOptions};
pub use language::{Language, detect, language_change, passes_for_english};
pub use length::{Length, LengthUnit};
pub use mix::{Fairness, Ingredient, Mix, OwaShape, Rule, Scale, Whole, scales};
pub use model::{
    Attribute, Backbone, CARD_VERSION, HeldOutPair, HeldOutResult, LearnedReward, Reading, ReliabilityBin, RewardCard,
    sequence_values,
};
pub use number::{ExactNumber, Number};
pub use text::{Contains, ExactMatch, LetterCase, Matches, Wanted};
pub use verifier::{Verifier, Verify};

/// What happened to one prompt.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The user's prompt x.
    pub prompt: &'a str,
    /// The rewrite x' that the target read; x itself where nothing was rewritten.
    pub rewrite: &'a str,
    /// The target's response y.
    pub response: &'a str,
    /// The prompt's record, with whatever the reward needs to know.
    pub record: &'a Record,
}

/// A reward with the parts it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The reward.
    pub value: f64,
    /// Named figures behind it, for reports; a name may occur more than once.
    pub parts: Vec<Part>,
}

/// One figure behind a reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it measures.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: f64,
}

impl Score {
    /// A reward without parts.
    pub fn plain(value: f64) -> Score {
        Score { value, parts: Vec::new() }
    }

    /// 1 where the answer is yes, else 0.
    pub fn binary(yes: bool) -> Score {
        Score::plain(f64::from(u8::from(yes)))
    }
}

/// Scores exchanges in batches. Concurrency lives inside the implementation.
pub trait Reward {
    /// One score for each exchange, in order.
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error>;

    /// That responses to this prompt can be scored: a run must not end in the middle for a prompt.
    fn check(&self, _record: &Record) -> Result<(), Error> {
        Ok(())
    }

    /// Told once a training step what it gave, after everything was made of it. Most rewards have nothing to learn.
    fn learn(&mut self, _scores: &[&Score]) {}

    /// What it has learned, which becomes part of a checkpoint.
    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Go on from what an earlier run of the same configuration had learned.
    fn restore(&mut self, _state: &[f64]) {}

    /// That it can be asked at all, as far as that shows without asking: what is mended before a run begins costs nothing.
    fn ready(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Ask what it must not fall for, where it is somebody who could: a judge, before it is trusted.
    fn canaries(&mut self) -> Result<Option<CanaryResult>, Error> {
        Ok(None)
    }
}

#[cfg(test)]
mod fixture {
    //! Exchanges for tests.

    use serde_json::Value;

    use super::Exchange;
    use crate::data::{Prompt, Record};

    pub(super) fn record(fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        Record { id: "p1".to_owned(), prompt: Prompt::Text("x".to_owned()), fields }
    }

    pub(super) fn respond<'a>(record: &'a Record, response: &'a str) -> Exchange<'a> {
        Exchange { prompt: record.prompt.text(), rewrite: "x'", response, record }
    }
}
