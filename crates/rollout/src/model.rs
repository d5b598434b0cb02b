//! A local language model: an engine with what turns messages into its tokens and tokens into text.

use std::cell::{RefCell, RefMut};
use std::sync::Arc;

use lm::{ChatTemplate, Engine, Framing, NextTurn, Role, Sample, Token, Tokenizer};

use crate::Error;
use crate::data::Message;

/// An engine, its tokenizer and its chat template. Prompter and target share one where they are the same model.
pub struct LocalModel<E> {
    engine: RefCell<E>,
    parts: ModelParts,
}

/// What a [`LocalModel`] is made of besides its engine.
pub struct ModelParts {
    /// Its name, for people.
    pub name: String,
    /// What tells its weights and their precision from all others, for the journal.
    pub fingerprint: String,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Its chat template; a base model has none and continues plain text.
    pub template: Option<ChatTemplate>,
    /// The tokens that end a text.
    pub stop_tokens: Vec<Token>,
}

impl<E: Engine> LocalModel<E> {
    /// A model from its parts.
    pub fn new(engine: E, parts: ModelParts) -> LocalModel<E> {
        LocalModel { engine: RefCell::new(engine), parts }
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// What tells its weights from all others.
    pub fn fingerprint(&self) -> &str {
        &self.parts.fingerprint
    }

    /// The tokens that end a text.
    pub fn stop_tokens(&self) -> &[Token] {
        &self.parts.stop_tokens
    }

    /// The engine, for one call: nobody else may use it until the guard is gone.
    pub fn engine(&self) -> RefMut<'_, E> {
        self.engine.borrow_mut()
    }

    /// The tokens of a conversation that the model goes on with; for a model without template, of its messages' texts
    /// with blank lines between and after them.
    pub fn render(&self, messages: &[Message]) -> Result<Vec<Token>, Error> {
        let Some(template) = &self.parts.template else {
            let text: String = messages.iter().map(|message| message.content.clone() + "\n\n").collect();
            return self.parts.tokenizer.encode(&text, Framing::Framed).map_err(|source| self.failed(source));
        };
        let messages = messages.iter().map(|message| {
            let role = match message.role.as_str() {
                "system" => Role::System,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                role => return Err(Error::Role { role: role.to_owned() }),
            };
            Ok(lm::Message::new(role, &message.content))
        });
        let messages = messages.collect::<Result<Vec<_>, Error>>()?;
        template.render(&self.parts.tokenizer, &messages, NextTurn::Assistant).map_err(|source| self.failed(source))
    }

    /// The tokens of a text alone; none of them is special, whatever it spells.
    pub fn tokens(&self, text: &str) -> Result<Vec<Token>, Error> {
        self.parts.tokenizer.encode(text, Framing::Bare).map_err(|source| self.failed(source))
    }

    /// How many tokens a text has.
    pub fn n_tokens(&self, text: &str) -> Result<usize, Error> {
        Ok(self.tokens(text)?.len())
    }

    /// The text of a sample, without the token that ended it.
    pub fn text(&self, sample: &Sample) -> String {
        self.parts.tokenizer.decode(&sample.tokens)
    }

    /// One token for people to see.
    pub fn token_text(&self, token: Token) -> String {
        self.parts.tokenizer.token_text(token).unwrap_or_default()
    }

    /// An engine's error, with the model's name.
    pub fn failed(&self, source: lm::Error) -> Error {
        Error::Model { model: self.parts.name.clone(), source: Box::new(source) }
    }
}
