//! Chat templates: from messages to the tokens a model was trained to see.
//!
//! The template runs on the messages themselves, so that whatever it does with their text (trimming, splitting, asking
//! what it contains) works. But in every message, text that could become part of a special token's text loses one
//! character to a private placeholder; the placeholders are put back only inside runs of plain text, after special
//! tokens have been found. So a special token in the result always comes from the template.

mod mask;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};

use crate::error::{Fault, Problem};
use crate::tokenizer::Tokenizer;
use crate::{Error, Token};
use mask::Mask;

/// Templates of real models have some thousands of bytes.
const SOURCE_LIMIT: usize = 1 << 20;
/// Steps a template may take, so that none runs for ever or fills the memory (64 bytes of new text count as one), and how many more for every message and its bytes.
///
/// The template engine does not charge for adding lists to themselves, which a template made for it can misuse.
const FUEL: u64 = 500_000;
const FUEL_PER_MESSAGE: u64 = 10_000;
const FUEL_PER_BYTE: u64 = 16;
const RECURSION_LIMIT: usize = 100;
const NAME: &str = "chat_template";

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions from whoever runs the model.
    System,
    /// The person, or the program, that asks.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Role {
    /// As templates and files call it.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

impl Message {
    /// A message of the given role.
    pub fn new(role: Role, content: impl Into<String>) -> Message {
        Message { role, content: content.into() }
    }

    /// The message as templates see it.
    fn value(&self) -> Value {
        context! { role => self.role.name(), content => self.content.as_str() }
    }
}

/// What a rendered conversation ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTurn {
    /// The opening of the assistant's turn (`add_generation_prompt`): the model goes on with its answer.
    Assistant,
    /// Nothing after the last message.
    None,
}

/// A model's chat template, compiled.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// Compiles a Jinja template as transformers would.
    pub(crate) fn new(source: String) -> Result<ChatTemplate, Fault> {
        if source.len() > SOURCE_LIMIT {
            let bound = format!("the limit is {SOURCE_LIMIT} bytes");
            return Err(Fault::number("the length of the chat template", source.len() as i128, bound));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|source| Problem::Template { source })?);
        environment.set_recursion_limit(RECURSION_LIMIT);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("trim", trim);
        environment.add_function("raise_exception", |message: String| -> Result<(), minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        let added = environment.add_template_owned(NAME, source.clone());
        added.map_err(|source| Problem::Template { source })?;
        Ok(ChatTemplate { source, environment })
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The conversation as tokens; no special token comes from a message's content.
    ///
    /// Templates that ask for the date find no clock (`strftime_now` is undefined) and fall back on their own default.
    pub fn render(&self, tokenizer: &Tokenizer, messages: &[Message], next: NextTurn) -> Result<Vec<Token>, Error> {
        let contents: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
        let mask = Mask::new(tokenizer.special_texts(), &contents, &self.source)?;
        let masked =
            messages.iter().map(|message| Message { role: message.role, content: mask.cover(&message.content) });
        let text = self.text(tokenizer, &masked.collect::<Vec<_>>(), next)?;
        tokenizer.encode_masked(&text, |run| mask.uncover(run))
    }

    /// The text the template makes of messages.
    fn text(&self, tokenizer: &Tokenizer, messages: &[Message], next: NextTurn) -> Result<String, Error> {
        let special = |token: Option<Token>| token.and_then(|token| tokenizer.token_text(token)).unwrap_or_default();
        let values = context! {
            messages => messages.iter().map(Message::value).collect::<Vec<_>>(),
            add_generation_prompt => next == NextTurn::Assistant,
            bos_token => special(tokenizer.bos()),
            eos_token => special(tokenizer.eos()),
            tools => (),
            documents => (),
        };
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + FUEL_PER_MESSAGE * messages.len() as u64 + FUEL_PER_BYTE * bytes as u64));
        let template = environment.get_template(NAME);
        template.and_then(|template| template.render(values)).map_err(|source| Error::Template { source })
    }
}

/// Jinja's `trim` as Python does it: besides Unicode's white space, the four information separators are space.
fn trim(text: &str, characters: Option<&str>) -> String {
    let is_space = |letter: char| letter.is_whitespace() || matches!(letter, '\u{1C}'..='\u{1F}');
    let trimmed = match characters {
        Some(characters) => text.trim_matches(|letter| characters.contains(letter)),
        None => text.trim_matches(is_space),
    };
    trimmed.to_owned()
}

#[cfg(test)]
mod tests;
