//! A local model as target: frozen, without adapter.

use std::rc::Rc;

use lm::{Engine, Finish, Request, Sampling};

use super::{Call, Response, Target, TargetOptions};
use crate::Error;
use crate::data::Message;
use crate::model::LocalModel;

/// A frozen local model.
pub struct LocalTarget<E> {
    model: Rc<LocalModel<E>>,
    options: TargetOptions,
}

impl<E: Engine> LocalTarget<E> {
    /// A target that answers with `model`.
    pub fn new(model: Rc<LocalModel<E>>, options: TargetOptions) -> LocalTarget<E> {
        LocalTarget { model, options }
    }

    fn sampling(&self) -> Sampling {
        let &TargetOptions { temperature, top_p, top_k, min_p, .. } = &self.options;
        if temperature == 0.0 { Sampling::Greedy } else { Sampling::Random { temperature, top_k, top_p, min_p } }
    }

    fn request(&self, messages: &[Message], seeds: Vec<u64>) -> Result<Request, Error> {
        let system = self.options.system.iter();
        let system = system.map(|system| Message { role: "system".to_owned(), content: system.clone() });
        let messages: Vec<Message> = system.chain(messages.iter().cloned()).collect();
        Ok(Request {
            prompt: self.model.render(&messages)?,
            seeds,
            sampling: self.sampling(),
            max_tokens: self.options.max_tokens,
            stop_tokens: self.model.stop_tokens().to_vec(),
            stop_strings: Vec::new(),
        })
    }
}

impl<E: Engine> Target for LocalTarget<E> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn identity(&self) -> String {
        self.model.fingerprint().to_owned()
    }

    fn parameters(&self) -> String {
        // Every field of the options changes the answer, so all of them are part of the key.
        format!("{:?}", self.options)
    }

    fn respond(&mut self, calls: &[Call]) -> Result<Vec<Response>, Error> {
        // Neighbouring calls with the same messages share one prefix.
        let runs: Vec<&[Call]> = calls.chunk_by(|one, other| one.messages == other.messages).collect();
        let requests =
            runs.iter().map(|run| self.request(&run[0].messages, run.iter().map(|call| call.seed).collect()));
        let requests = requests.collect::<Result<Vec<_>, Error>>()?;
        let samples = self.model.engine().generate(&requests, None).map_err(|source| self.model.failed(source))?;
        let responses = samples.into_iter().flatten().map(|sample| Response {
            text: self.model.text(&sample),
            tokens: sample.tokens.len(),
            cut: sample.finish == Finish::Length,
        });
        Ok(responses.collect())
    }
}
