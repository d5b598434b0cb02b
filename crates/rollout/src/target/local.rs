//! A local model as target: frozen.

use std::rc::Rc;

use lm::{Engine, Finish, Lora, Request, Sampling, Token};

use super::{Answered, Call, Response, Take, Target, TargetOptions, with_system};
use crate::Error;
use crate::data::stable_hash;
use crate::model::LocalModel;

/// Calls that are answered, and handed over, together: what a kill can lose.
const CALLS_AT_ONCE: usize = 128;

/// A frozen local model.
pub struct LocalTarget<E> {
    model: Rc<LocalModel<E>>,
    options: TargetOptions,
    adapter: Option<Lora>,
    identity: String,
}

impl<E: Engine> LocalTarget<E> {
    /// A target that answers with `model`.
    pub fn new(model: Rc<LocalModel<E>>, options: TargetOptions) -> LocalTarget<E> {
        let identity = model.fingerprint().to_owned();
        LocalTarget { model, options, adapter: None, identity }
    }

    /// The oracle: the target with an adapter that was trained on the reward.
    pub fn tuned(model: Rc<LocalModel<E>>, options: TargetOptions, adapter: Lora) -> LocalTarget<E> {
        let parameters: Vec<u8> = adapter.parameters.iter().flat_map(|parameter| parameter.to_le_bytes()).collect();
        let scale = (adapter.shape.alpha / adapter.shape.rank as f32).to_le_bytes();
        let identity = format!("{} adapter {:016x}", model.fingerprint(), stable_hash(&[&parameters, &scale]));
        LocalTarget { model, options, adapter: Some(adapter), identity }
    }

    fn sampling(&self) -> Sampling {
        let &TargetOptions { temperature, top_p, top_k, min_p, .. } = &self.options;
        if temperature == 0.0 { Sampling::Greedy } else { Sampling::Random { temperature, top_k, top_p, min_p } }
    }

    /// Neighbouring calls that begin alike share that beginning.
    fn requests(&self, calls: &[Call]) -> Result<Vec<Request>, Error> {
        let mut requests: Vec<Request> = Vec::new();
        for call in calls {
            let read = self.read(call)?;
            match requests.last_mut().filter(|request| request.prompt == read.prompt) {
                Some(request) => request.tails.push(read.tail),
                None => requests.push(self.request(read)),
            }
            if let Some(request) = requests.last_mut() {
                request.seeds.push(call.seed);
            }
        }
        Ok(requests)
    }

    fn request(&self, Read { prompt, tail }: Read) -> Request {
        Request {
            prompt,
            tails: vec![tail],
            seeds: Vec::new(),
            sampling: self.sampling(),
            max_tokens: self.options.max_tokens,
            stop_tokens: self.model.stop_tokens().to_vec(),
            stop_strings: Vec::new(),
        }
    }

    /// The call's tokens, cut where its stem ends.
    fn read(&self, call: &Call) -> Result<Read, Error> {
        let mut messages = with_system(self.options.system.as_deref(), call.messages.clone());
        let mut prompt = self.model.render(&messages)?;
        let Some(last) = messages.last_mut().filter(|_| call.stem > 0) else {
            return Ok(Read { prompt, tail: Vec::new() });
        };
        last.content.truncate(call.stem);
        let stem = self.model.render(&messages)?;
        let shared = prompt.iter().zip(&stem).take_while(|(one, other)| one == other).count();
        let tail = prompt.split_off(shared.clamp(1, prompt.len()));
        Ok(Read { prompt, tail })
    }
}

/// What a call makes the model read.
struct Read {
    prompt: Vec<Token>,
    tail: Vec<Token>,
}

impl<E: Engine> Target for LocalTarget<E> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn parameters(&self) -> String {
        // Every field of the options changes the answer, so all of them are part of the key.
        format!("{:?}", self.options)
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        for (chunk, calls) in calls.chunks(CALLS_AT_ONCE).enumerate() {
            let samples = self.model.engine().generate(&self.requests(calls)?, self.adapter.as_ref());
            let samples = samples.map_err(|source| self.model.failed(source))?;
            let responses = samples.into_iter().flatten().map(|sample| Response {
                text: self.model.text(&sample),
                tokens: sample.tokens.len(),
                prompt_tokens: 0,
                cut: sample.finish == Finish::Length,
            });
            let first = chunk * CALLS_AT_ONCE;
            take(responses.enumerate().map(|(call, response)| Answered { call: first + call, response }).collect())?;
        }
        Ok(())
    }
}
