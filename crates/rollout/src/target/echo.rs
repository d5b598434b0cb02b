//! A target that gives back what it reads.

use std::rc::Rc;

use lm::Engine;

use super::{Answered, Call, Response, Take, Target};
use crate::Error;
use crate::model::LocalModel;

/// Stands behind a policy whose text is the response already: the target itself, when it is what is trained.
pub struct Echo<E> {
    model: Rc<LocalModel<E>>,
    max_tokens: usize,
}

impl<E: Engine> Echo<E> {
    /// Responses are counted in tokens of `model`; those with `max_tokens` or more of them are taken for cut.
    pub fn new(model: Rc<LocalModel<E>>, max_tokens: usize) -> Echo<E> {
        Echo { model, max_tokens }
    }
}

impl<E: Engine> Target for Echo<E> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn identity(&self) -> String {
        "echo".to_owned()
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        let respond = |(index, call): (usize, &Call)| {
            let text = call.messages.last().map_or_else(String::new, |message| message.content.clone());
            let tokens = self.model.n_tokens(&text)?;
            Ok(Answered {
                call: index,
                response: Response { text, tokens, prompt_tokens: 0, cut: tokens >= self.max_tokens },
            })
        };
        take(calls.iter().enumerate().map(respond).collect::<Result<_, Error>>()?)
    }
}
