//! A learned reward: a language model with a head that was trained on preference pairs.

mod card;

use std::rc::Rc;

use lm::{Engine, Group, Lora, Reads, ScoreOptions, Token};
use serde::{Deserialize, Serialize};

use super::{Exchange, Part, Reward, Score};
use crate::Error;
use crate::data::{Prompt, Record, conversation};
use crate::model::LocalModel;

pub use card::{Attribute, Backbone, CARD_VERSION, HeldOutPair, HeldOutResult, ReliabilityBin, RewardCard};

/// Tokens after which no more exchanges are scored together: it bounds the memory, and more would not be faster.
const SCORED_AT_ONCE: usize = 4096;

/// How much of an exchange a reward model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Tokens of the conversation; of a longer one the last.
    pub max_prompt_tokens: usize,
    /// Tokens of the response; of a longer one the first.
    pub max_response_tokens: usize,
}

impl Reading {
    /// The tokens of the conversation up to the response. A text that is a dialogue in the manner of HH-RLHF is read as one, here
    /// as in training.
    pub fn prompt<E: Engine>(self, model: &LocalModel<E>, prompt: &Prompt) -> Result<Vec<Token>, Error> {
        let dialogue = match prompt {
            Prompt::Text(text) => conversation(text),
            Prompt::Messages(_) => None,
        };
        let tokens = model.render(&dialogue.unwrap_or_else(|| prompt.with_text(prompt.text())))?;
        Ok(tokens[tokens.len().saturating_sub(self.max_prompt_tokens.max(1))..].to_vec())
    }

    /// The tokens of a response and the one that ends it, whose state the head reads.
    pub fn response<E: Engine>(self, model: &LocalModel<E>, response: &str) -> Result<Vec<Token>, Error> {
        let mut tokens = model.tokens(response)?;
        tokens.truncate(self.max_response_tokens);
        tokens.extend(model.stop_tokens().first());
        Ok(tokens)
    }
}

/// What the heads give to each continuation: their outputs at its last token, if it has any, else at its prefix's last.
/// `[group][continuation][head]`
pub fn sequence_values<E: Engine>(
    model: &LocalModel<E>,
    groups: &[Group],
    adapter: &Lora,
) -> Result<Vec<Vec<Vec<f64>>>, Error> {
    let options = ScoreOptions { reads: Reads::Ends, ..ScoreOptions::default() };
    let scores = model.engine().score(groups, Some(adapter), &options);
    let values = scores.map_err(|source| model.failed(source))?.values.unwrap_or_default();
    let widened = |line: Vec<f32>| line.into_iter().map(f64::from).collect();
    Ok(values.into_iter().map(|group| group.into_iter().map(widened).collect()).collect())
}

/// A reward model, one of whose attributes is the reward.
pub struct LearnedReward<E> {
    model: Rc<LocalModel<E>>,
    adapter: Lora,
    card: RewardCard,
    attribute: usize,
}

impl<E: Engine> LearnedReward<E> {
    /// `adapter` with one head for each attribute of `card`, on `model`; the reward is the attribute of that number.
    pub fn new(model: Rc<LocalModel<E>>, adapter: Lora, card: RewardCard, attribute: usize) -> LearnedReward<E> {
        LearnedReward { model, adapter, card, attribute }
    }

    /// What is known about it.
    pub fn card(&self) -> &RewardCard {
        &self.card
    }

    /// Every attribute's reward of some responses to a prompt each, in order. `[exchange][attribute]`
    pub fn attributes(&self, exchanges: &[(&Prompt, &str)]) -> Result<Vec<Vec<f64>>, Error> {
        let mut found = Vec::with_capacity(exchanges.len());
        let (mut groups, mut n_tokens): (Vec<Group>, usize) = (Vec::new(), 0);
        for (index, &(prompt, response)) in exchanges.iter().enumerate() {
            let continuation = self.card.reading.response(&self.model, response)?;
            n_tokens += continuation.len();
            // Responses that follow each other with one prompt share its computation.
            match groups.last_mut().filter(|_| index > 0 && exchanges[index - 1].0 == prompt) {
                Some(group) => group.continuations.push(continuation),
                None => {
                    let prefix = self.card.reading.prompt(&self.model, prompt)?;
                    n_tokens += prefix.len();
                    groups.push(Group { prefix, continuations: vec![continuation] });
                }
            }
            if n_tokens >= SCORED_AT_ONCE || index + 1 == exchanges.len() {
                let values = sequence_values(&self.model, &groups, &self.adapter)?;
                found.extend(values.into_iter().flatten().map(|values| self.card.centred(&values)));
                groups.clear();
                n_tokens = 0;
            }
        }
        Ok(found)
    }
}

impl<E: Engine> Reward for LearnedReward<E> {
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error> {
        let exchanges: Vec<(&Prompt, &str)> =
            batch.iter().map(|exchange| (&exchange.record.prompt, exchange.response)).collect();
        let score = |rewards: Vec<f64>| {
            let name = |attribute: &Attribute| format!("model.{}", attribute.name).into();
            let parts = self.card.attributes.iter().zip(&rewards);
            let parts = parts.map(|(attribute, &value)| Part { name: name(attribute), value }).collect();
            Score { value: rewards[self.attribute], parts }
        };
        Ok(self.attributes(&exchanges)?.into_iter().map(score).collect())
    }

    fn check(&self, record: &Record) -> Result<(), Error> {
        self.card.reading.prompt(&self.model, &record.prompt).map(drop)
    }
}
