//! Sampling with continuous batching: a finished sample leaves its row to the next one.
//!
//! Each prompt is computed once, into a segment that all its samples share; each sample owns a segment for its tail and its
//! tokens.

use std::collections::VecDeque;

use kernel::{Epilogue, LogSum, Pool, Rows};

use super::adapter::{PackedLora, Packing, Use};
use super::batch::{Batch, KvStore};
use super::forward::{Activations, Pass, gather};
use super::model::{Model, VOCABULARY_BLOCK};
use super::recording::Recorder;
use super::{CpuEngine, validate};
use crate::{
    Error, Finish, LogSums, Lora, Request, Sample, Sampler, ScoreOptions, StopStrings, TextStream, Token, Tokenizer,
};

/// Samples decoded side by side.
const ROWS: usize = 64;
/// Prompt tokens computed side by side.
const PREFILL_ROWS: usize = 2048;
/// Tokens a sample's segment has room for at first; it grows when there are more.
const FIRST_CAPACITY: usize = 256;

impl CpuEngine {
    pub(super) fn generate_requests(
        &mut self,
        requests: &[Request],
        adapter: Option<&Lora>,
    ) -> Result<Vec<Vec<Sample>>, Error> {
        validate::requests(&self.model.architecture, requests, self.tokenizer.is_some())?;
        validate::adapter(&self.model.architecture, adapter, &ScoreOptions::default())?;
        Ok(self.sample(requests, adapter, None)?.0)
    }

    /// The same, with a recording for [`score_with_tape`](crate::Engine::score_with_tape), unless there is nothing that it
    /// could serve or it would outgrow the tape's memory.
    pub(super) fn record_requests(&mut self, requests: &[Request], adapter: &Lora) -> Result<Vec<Vec<Sample>>, Error> {
        self.forget();
        let architecture = &self.model.architecture;
        validate::requests(architecture, requests, self.tokenizer.is_some())?;
        validate::adapter(architecture, Some(adapter), &ScoreOptions::default())?;
        let served = validate::trainable(self.model.precision).is_ok()
            && adapter.shape.heads == 0
            && adapter.dropout.is_none()
            && requests.iter().all(|request| request.tails.is_empty());
        let limit = self.tape_budget / super::tape_bytes_per_token(architecture, self.precision()).max(1);
        let tokens = |request: &Request| {
            let longest = request.max_tokens.min(architecture.context - request.prompt.len());
            request.prompt.len() + request.seeds.len() * longest
        };
        let rows = (requests.iter().map(tokens).sum(), limit);
        let recorder = served.then(|| Recorder::new(adapter, rows, architecture.layers, &mut self.spare));
        let (samples, recorder) = self.sample(requests, Some(adapter), recorder)?;
        self.recording = recorder.map(Recorder::finish);
        Ok(samples)
    }

    fn sample(
        &mut self,
        requests: &[Request],
        adapter: Option<&Lora>,
        recorder: Option<Recorder>,
    ) -> Result<(Vec<Vec<Sample>>, Option<Recorder>), Error> {
        let packed = adapter.map(|lora| PackedLora::pack(&self.pool, lora, Use::Forward));
        let CpuEngine { pool, model, packing, activations, tokenizer, .. } = self;
        let decoder = Decoder { pool, model, adapter: packed.as_ref(), tokenizer: tokenizer.as_deref() };
        Generation::new(decoder, requests, (packing, activations), recorder).run()
    }
}

/// What does not change while a batch of requests is served.
#[derive(Clone, Copy)]
struct Decoder<'a> {
    pool: &'a Pool,
    model: &'a Model,
    adapter: Option<&'a PackedLora<'a>>,
    tokenizer: Option<&'a Tokenizer>,
}

/// A request's prompt, once computed.
struct Prompt {
    segment: usize,
    /// The final hidden state of its last token, which predicts every sample's first token.
    last: Vec<f32>,
    /// Samples that still need the segment.
    users: usize,
}

/// A sample in the making.
struct Row<'a> {
    request: usize,
    sample: usize,
    segment: usize,
    /// The final hidden state of its tail's last token; empty without a tail, where the prompt's counts.
    last: Vec<f32>,
    sampler: Sampler,
    stops: Option<Stops<'a>>,
    tokens: Vec<Token>,
    token_logps: Vec<f32>,
    plain_token_logps: Vec<f32>,
    finish: Option<Finish>,
}

/// Tokens to be computed without drawing any.
struct Fill<'a> {
    segment: usize,
    prefix: Option<(usize, usize)>,
    tokens: &'a [Token],
}

/// Watches a sample's text for its stop strings.
struct Stops<'a> {
    tokenizer: &'a Tokenizer,
    stream: TextStream,
    strings: StopStrings,
}

impl<'a> Stops<'a> {
    fn new(tokenizer: &'a Tokenizer, strings: &[String]) -> Stops<'a> {
        Stops { tokenizer, stream: TextStream::new(), strings: StopStrings::new(strings) }
    }

    /// Whether `token` completes a stop string.
    fn push(&mut self, token: Token) -> bool {
        self.strings.push(&self.stream.push(self.tokenizer, token)).is_some()
    }
}

struct Generation<'a> {
    decoder: Decoder<'a>,
    requests: &'a [Request],
    work: (&'a mut Packing, &'a mut Activations),
    store: KvStore,
    prompts: Vec<Option<Prompt>>,
    /// (request, sample) not begun yet, in order.
    waiting: VecDeque<(usize, usize)>,
    rows: Vec<Row<'a>>,
    logits: Logits,
    done: Vec<Vec<Option<Sample>>>,
    recorder: Option<Recorder>,
}

impl<'a> Generation<'a> {
    fn new(
        decoder: Decoder<'a>,
        requests: &'a [Request],
        work: (&'a mut Packing, &'a mut Activations),
        recorder: Option<Recorder>,
    ) -> Generation<'a> {
        let samples = |(request, each): (usize, &Request)| (0..each.seeds.len()).map(move |sample| (request, sample));
        Generation {
            decoder,
            requests,
            work,
            store: KvStore::new(decoder.model),
            prompts: requests.iter().map(|_| None).collect(),
            waiting: requests.iter().enumerate().flat_map(samples).collect(),
            rows: Vec::new(),
            logits: Logits::new(decoder.model),
            done: requests.iter().map(|request| vec![None; request.seeds.len()]).collect(),
            recorder,
        }
    }

    fn run(mut self) -> Result<(Vec<Vec<Sample>>, Option<Recorder>), Error> {
        while !self.waiting.is_empty() || !self.rows.is_empty() {
            let begun = self.admit();
            if begun < self.rows.len() {
                self.step(begun)?;
            }
            if begun > 0 {
                self.first_tokens(begun)?;
            }
            self.retire();
        }
        let samples = self.done.into_iter().map(|samples| samples.into_iter().flatten().collect()).collect();
        Ok((samples, self.recorder))
    }

    /// Fill free rows with waiting samples, computing prompts and tails as they are needed; how many rows are new (at the
    /// end).
    fn admit(&mut self) -> usize {
        let free = ROWS.saturating_sub(self.rows.len()).min(self.waiting.len());
        let next: Vec<(usize, usize)> = self.waiting.drain(..free).collect();
        self.open_prompts(&next);
        for &(request, sample) in &next {
            let asked = &self.requests[request];
            let stops = self.decoder.tokenizer.filter(|_| !asked.stop_strings.is_empty());
            self.rows.push(Row {
                request,
                sample,
                segment: self.store.open(asked.tail(sample).len() + asked.max_tokens.min(FIRST_CAPACITY)),
                last: Vec::new(),
                sampler: Sampler::new(asked.seeds[sample]),
                stops: stops.map(|tokenizer| Stops::new(tokenizer, &asked.stop_strings)),
                tokens: Vec::new(),
                token_logps: Vec::new(),
                plain_token_logps: Vec::new(),
                finish: None,
            });
        }
        self.read_tails(next.len());
        next.len()
    }

    /// Compute the prompts of these samples' requests that are not there yet.
    fn open_prompts(&mut self, next: &[(usize, usize)]) {
        let mut needed: Vec<usize> =
            next.iter().map(|&(request, _)| request).filter(|&request| self.prompts[request].is_none()).collect();
        needed.dedup();
        let requests = self.requests;
        let fill = |&request: &usize| {
            let tokens = requests[request].prompt.as_slice();
            Fill { segment: self.store.open(tokens.len()), prefix: None, tokens }
        };
        let fills: Vec<Fill<'_>> = needed.iter().map(fill).collect();
        for ((request, last), fill) in needed.into_iter().zip(self.prefill(&fills)).zip(&fills) {
            let users = requests[request].seeds.len();
            self.prompts[request] = Some(Prompt { segment: fill.segment, last, users });
        }
    }

    /// Compute the tails of the `begun` new rows.
    fn read_tails(&mut self, begun: usize) {
        let requests = self.requests;
        let new = self.rows.len() - begun..self.rows.len();
        let with_tail = |&index: &usize| !requests[self.rows[index].request].tail(self.rows[index].sample).is_empty();
        let rows: Vec<usize> = new.filter(with_tail).collect();
        let fill = |&index: &usize| {
            let row = &self.rows[index];
            let tokens = requests[row.request].tail(row.sample);
            Fill { segment: row.segment, prefix: self.prefix(row.request), tokens }
        };
        let fills: Vec<Fill<'_>> = rows.iter().map(fill).collect();
        for (index, last) in rows.into_iter().zip(self.prefill(&fills)) {
            self.rows[index].last = last;
        }
    }

    /// Segment and length of a request's prompt.
    fn prefix(&self, request: usize) -> Option<(usize, usize)> {
        self.prompts[request].as_ref().map(|prompt| (prompt.segment, self.requests[request].prompt.len()))
    }

    /// Compute tokens, [`PREFILL_ROWS`] at a time; the final hidden state of each fill's last one, in order.
    fn prefill(&mut self, fills: &[Fill<'_>]) -> Vec<Vec<f32>> {
        let mut lasts = Vec::with_capacity(fills.len());
        let mut batch = Batch::default();
        let mut ends = Vec::new();
        for &Fill { segment, prefix, tokens } in fills {
            let mut held = 0;
            while held < tokens.len() {
                let room = PREFILL_ROWS - batch.rows();
                let piece = &tokens[held..tokens.len().min(held + room)];
                batch.push(segment, held, prefix, piece);
                held += piece.len();
                if held == tokens.len() {
                    ends.push(batch.rows() - 1);
                }
                if batch.rows() == PREFILL_ROWS {
                    self.finish_prefill(&mut batch, &mut ends, &mut lasts);
                }
            }
        }
        self.finish_prefill(&mut batch, &mut ends, &mut lasts);
        lasts
    }

    fn finish_prefill(&mut self, batch: &mut Batch, ends: &mut Vec<usize>, lasts: &mut Vec<Vec<f32>>) {
        if batch.rows() > 0 {
            let hidden = self.pass(batch, ends);
            lasts.extend(hidden.chunks(self.decoder.model.architecture.hidden).map(<[f32]>::to_vec));
            ends.clear();
            *batch = Batch::default();
        }
    }

    /// One decoding step of all rows but the `begun` new ones at the end.
    fn step(&mut self, begun: usize) -> Result<(), Error> {
        let old = self.rows.len() - begun;
        let mut batch = Batch::default();
        for row in &self.rows[..old] {
            let tail = self.requests[row.request].tail(row.sample).len();
            let last = row.tokens.len() - 1;
            batch.push(row.segment, tail + last, self.prefix(row.request), &row.tokens[last..]);
        }
        let states: Vec<usize> = (0..old).collect();
        let hidden = self.pass(&batch, &states);
        self.draw(0..old, &hidden)
    }

    /// The first token of the new rows, from the last states of what they have read.
    fn first_tokens(&mut self, begun: usize) -> Result<(), Error> {
        let new = self.rows.len() - begun..self.rows.len();
        let hidden: Vec<f32> = self.rows[new.clone()]
            .iter()
            .flat_map(|row| match &self.prompts[row.request] {
                Some(prompt) if row.last.is_empty() => &prompt.last,
                _ => &row.last,
            })
            .copied()
            .collect();
        self.draw(new, &hidden)
    }

    /// Run the layers over `batch`; final hidden states of some of its rows.
    fn pass(&mut self, batch: &Batch, states: &[usize]) -> Vec<f32> {
        let Decoder { pool, model, adapter, .. } = self.decoder;
        let pass = Pass::new(pool, model, adapter, batch);
        let (packing, activations) = &mut self.work;
        pass.embed(activations);
        // Given up, and its memory with it, when there would be more than tapes may take.
        self.recorder.take_if(|recorder| !recorder.has_room(batch));
        let last = match &mut self.recorder {
            None => pass.read_layers(&mut self.store, (packing, activations), states),
            Some(recorder) => {
                pass.layers(&mut self.store, (packing, activations), |index, activations| {
                    recorder.layer(&pass, index, activations);
                });
                recorder.conclude(batch, &activations.entry);
                gather(&activations.entry, states, model.architecture.hidden)
            }
        };
        let mut normed = vec![0.0; last.len()];
        model.last_norm().forward(pool, &last, &mut normed);
        normed
    }

    /// Draw the next token of some rows from their hidden states.
    fn draw(&mut self, range: std::ops::Range<usize>, hidden: &[f32]) -> Result<(), Error> {
        let (requests, context) = (self.requests, self.decoder.model.architecture.context);
        let vocabulary = self.decoder.model.architecture.vocabulary;
        let softcap = self.decoder.model.architecture.logit_softcap;
        self.logits.compute(&self.decoder, hidden, range.len());
        let rows = &mut self.rows[range];
        let mut outcomes: Vec<Result<(), Error>> = rows.iter().map(|_| Ok(())).collect();
        let pool = self.decoder.pool;
        pool.chunks3((rows, 1), (&mut self.logits.plain, vocabulary), (&mut outcomes, 1), |_, row, logits, outcome| {
            let row = &mut row[0];
            let request = &requests[row.request];
            outcome[0] = row.draw(pool, request, logits, softcap).map(|token| row.push(token, request, context));
        });
        outcomes.into_iter().collect()
    }

    /// Move finished rows out.
    fn retire(&mut self) {
        for index in (0..self.rows.len()).rev() {
            let Some(finish) = self.rows[index].finish else { continue };
            let row = self.rows.remove(index);
            self.store.close(row.segment);
            if let Some(recorder) = &mut self.recorder {
                recorder.sample(&self.requests[row.request].prompt, &row.tokens, row.segment);
            }
            let Row { tokens, token_logps, plain_token_logps, .. } = row;
            self.done[row.request][row.sample] = Some(Sample { tokens, token_logps, plain_token_logps, finish });
            if let Some(prompt) = &mut self.prompts[row.request] {
                prompt.users -= 1;
                if prompt.users == 0 {
                    self.store.close(prompt.segment);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.prompt(&self.requests[row.request].prompt, prompt.segment);
                    }
                    self.prompts[row.request] = None;
                }
            }
        }
    }
}

impl Row<'_> {
    /// Draw a token from raw logits and note its log-probabilities.
    fn draw(
        &mut self,
        pool: &Pool,
        request: &Request,
        logits: &mut [f32],
        softcap: Option<f32>,
    ) -> Result<Token, Error> {
        kernel::scale_and_softcap(pool, logits, 1.0, softcap);
        let inverse_temperature = request.sampling.inverse_temperature();
        let plain = log_sum(pool, logits, 1.0);
        let tempered = if inverse_temperature == 1.0 { plain } else { log_sum(pool, logits, inverse_temperature) };
        let drawn = self.sampler.draw(pool, logits, &request.sampling, LogSums { plain, tempered })?;
        self.token_logps.push(drawn.logp);
        self.plain_token_logps.push(drawn.plain_logp);
        Ok(drawn.token)
    }

    /// Append a token and see whether the sample ends with it.
    fn push(&mut self, token: Token, request: &Request, context: usize) {
        self.tokens.push(token);
        let stopped = self.stops.as_mut().is_some_and(|stops| stops.push(token));
        let full = self.tokens.len() >= request.max_tokens
            || request.prompt.len() + request.tail(self.sample).len() + self.tokens.len() >= context;
        self.finish = if request.stop_tokens.contains(&token) {
            Some(Finish::StopToken)
        } else if stopped {
            Some(Finish::StopString)
        } else {
            full.then_some(Finish::Length)
        };
    }
}

/// log Σ exp(logit · inverse_temperature), block by block as the scoring sweep does it, so that the bits agree.
fn log_sum(pool: &Pool, logits: &[f32], inverse_temperature: f32) -> f32 {
    let mut sum = LogSum::default();
    let mut scaled = [0.0; VOCABULARY_BLOCK];
    for block in logits.chunks(VOCABULARY_BLOCK) {
        let scaled = &mut scaled[..block.len()];
        scaled.copy_from_slice(block);
        kernel::scale_and_softcap(pool, scaled, inverse_temperature, None);
        sum.absorb(pool, scaled);
    }
    sum.value()
}

/// Logits of a few states over the whole vocabulary.
struct Logits {
    states: Rows,
    block: Vec<f32>,
    /// (states × vocabulary)
    plain: Vec<f32>,
}

impl Logits {
    fn new(model: &Model) -> Logits {
        Logits { states: Rows::new(model.precision), block: Vec::new(), plain: Vec::new() }
    }

    fn compute(&mut self, decoder: &Decoder<'_>, hidden: &[f32], states: usize) {
        let Decoder { pool, model, .. } = decoder;
        let vocabulary = model.architecture.vocabulary;
        self.plain.resize(states * vocabulary, 0.0);
        self.states.pack(pool, hidden, states, model.architecture.hidden);
        for (index, weight) in model.head.blocks.iter().enumerate() {
            let columns = weight.outputs();
            self.block.resize(states * columns, 0.0);
            kernel::product(pool, &self.states, weight, &Epilogue::default(), &mut self.block);
            let start = index * VOCABULARY_BLOCK;
            let block = &self.block;
            pool.chunks(&mut self.plain, vocabulary, |row, logits| {
                logits[start..start + columns].copy_from_slice(&block[row * columns..][..columns]);
            });
        }
    }
}
