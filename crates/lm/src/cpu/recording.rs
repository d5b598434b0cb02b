//! What sampling leaves for the tape of the same texts.
//!
//! Token by token, sampling computes the very activations that scoring the samples under the same adapter would compute
//! again, to the bit. A recording keeps them in the order in which they came, and a tape says where its rows lie in them:
//! an on-policy step then has a forward pass less.

use std::collections::HashMap;
use std::sync::Arc;

use super::batch::Batch;
use super::forward::{Activations, Pass};
use super::tape::KeptActivations;
use crate::{Group, Lora, Reads, ScoreOptions, Token};

/// The activations of some prompts and their samples under an adapter.
pub(super) struct Recording {
    adapter: Lora,
    /// Prompts with their samples; where each token's row lies.
    texts: HashMap<Vec<Token>, RecordedPrompt>,
    layers: Vec<Arc<KeptActivations>>,
    /// Residual stream after the last layer (rows × hidden).
    last: Vec<f32>,
}

#[derive(Default)]
struct RecordedPrompt {
    rows: Vec<usize>,
    /// The last token of a sample was drawn and never read: it has no row.
    samples: HashMap<Vec<Token>, Vec<usize>>,
}

impl Recording {
    /// Whether scoring with `adapter` would compute what was recorded.
    pub(super) fn serves(&self, adapter: &Lora, options: &ScoreOptions) -> bool {
        let without_last_token = adapter.shape.heads == 0 && options.reads == Reads::Tokens;
        without_last_token && adapter.dropout.is_none() && *adapter == self.adapter
    }

    /// Where the rows of `groups` lie, in the order of a packed batch; `None` unless all were recorded.
    pub(super) fn rows(&self, groups: &[Group]) -> Option<Vec<usize>> {
        let mut rows = Vec::new();
        for group in groups {
            let prompt = self.texts.get(&group.prefix)?;
            rows.extend_from_slice(&prompt.rows);
            for continuation in group.continuations.iter().filter(|continuation| !continuation.is_empty()) {
                rows.extend_from_slice(prompt.samples.get(continuation)?);
            }
        }
        Some(rows)
    }

    pub(super) fn layers(&self) -> &[Arc<KeptActivations>] {
        &self.layers
    }

    pub(super) fn last(&self) -> &[f32] {
        &self.last
    }

    /// The memory of what no tape reads any more.
    pub(super) fn into_spare(self) -> impl Iterator<Item = KeptActivations> {
        self.layers.into_iter().filter_map(Arc::into_inner)
    }
}

/// A recording in the making.
pub(super) struct Recorder {
    adapter: Lora,
    /// Rows that it may have.
    limit: usize,
    rows: usize,
    /// Where the rows of each open segment lie.
    segments: Vec<Vec<usize>>,
    texts: HashMap<Vec<Token>, RecordedPrompt>,
    layers: Vec<KeptActivations>,
    last: Vec<f32>,
}

impl Recorder {
    /// Of `expected` rows at most; it must not have more than `limit`.
    pub(super) fn new(
        adapter: &Lora,
        (expected, limit): (usize, usize),
        layers: usize,
        spare: &mut Vec<KeptActivations>,
    ) -> Recorder {
        let mut layer = |_| spare.pop().unwrap_or_default().emptied(expected.min(limit));
        Recorder {
            adapter: adapter.clone(),
            limit,
            rows: 0,
            segments: Vec::new(),
            texts: HashMap::new(),
            layers: (0..layers).map(&mut layer).collect(),
            last: Vec::new(),
        }
    }

    pub(super) fn has_room(&self, batch: &Batch) -> bool {
        self.rows + batch.rows() <= self.limit
    }

    /// Append what layer `index` has computed for a batch.
    pub(super) fn layer(&mut self, pass: &Pass<'_>, index: usize, activations: &mut Activations) {
        self.layers[index].append(pass.pool, pass.batch.rows(), activations, pass.model.precision);
    }

    /// After all layers: the residual stream behind the last of them, and where the batch's rows lie.
    pub(super) fn conclude(&mut self, batch: &Batch, last: &[f32]) {
        self.last.extend_from_slice(last);
        for run in &batch.runs {
            if self.segments.len() <= run.segment {
                self.segments.resize_with(run.segment + 1, Vec::new);
            }
            self.segments[run.segment].extend(run.rows.clone().map(|row| self.rows + row));
        }
        self.rows += batch.rows();
    }

    /// A sample is whole; its segment may serve another.
    pub(super) fn sample(&mut self, prompt: &[Token], tokens: &[Token], segment: usize) {
        let rows = self.take(segment);
        self.texts.entry(prompt.to_vec()).or_default().samples.insert(tokens.to_vec(), rows);
    }

    /// A prompt has no more samples.
    pub(super) fn prompt(&mut self, prompt: &[Token], segment: usize) {
        let rows = self.take(segment);
        self.texts.entry(prompt.to_vec()).or_default().rows = rows;
    }

    fn take(&mut self, segment: usize) -> Vec<usize> {
        self.segments.get_mut(segment).map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn finish(self) -> Recording {
        let Recorder { adapter, texts, layers, last, .. } = self;
        Recording { adapter, texts, layers: layers.into_iter().map(Arc::new).collect(), last }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        Checkpoint, CpuEngine, Dropout, Engine, EngineOptions, Linear, LoraShape, Precision, Request, Sampling,
    };

    fn engine(precision: Precision, tape_budget: usize) -> CpuEngine {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models/llama");
        let options = EngineOptions { precision, tape_budget, ..EngineOptions::default() };
        CpuEngine::load(&Checkpoint::open(&folder).unwrap(), options, &mut |_, _| {}).unwrap()
    }

    fn adapter(engine: &CpuEngine, heads: usize) -> Lora {
        Lora::new(LoraShape::new(engine.architecture(), 2, 4.0, &Linear::ALL, heads), 1)
    }

    fn request(prompt: &[Token]) -> Request {
        Request {
            prompt: prompt.to_vec(),
            tails: Vec::new(),
            seeds: vec![1, 2, 3],
            sampling: Sampling::at_temperature(1.0),
            max_tokens: 5,
            stop_tokens: Vec::new(),
            stop_strings: Vec::new(),
        }
    }

    /// Samples of two prompts, recorded.
    fn sampled(engine: &mut CpuEngine, adapter: &Lora) -> Vec<Group> {
        let requests = [request(&[5, 9, 7]), request(&[8])];
        let samples = engine.generate_recorded(&requests, adapter).unwrap();
        let group = |(request, samples): (&Request, Vec<crate::Sample>)| Group {
            prefix: request.prompt.clone(),
            continuations: samples.into_iter().map(|sample| sample.tokens).collect(),
        };
        requests.iter().zip(samples).map(group).collect()
    }

    /// Nothing in a result shows whether a recording was used, so this looks behind it.
    #[test]
    fn serves_the_same_texts_under_the_same_adapter() {
        let options = ScoreOptions::default();
        for precision in [Precision::F32, Precision::Bf16] {
            let mut engine = engine(precision, 1 << 30);
            let lora = adapter(&engine, 0);
            let groups = sampled(&mut engine, &lora);
            engine.model.prepare_backward(&engine.pool);
            let recalled = |groups: &[Group], lora: &Lora, options: &ScoreOptions| {
                engine.recalled(groups, lora, options).is_some()
            };
            assert!(recalled(&groups, &lora, &options));
            assert!(recalled(&groups, &lora, &ScoreOptions { temperature: 0.5, ..options }));
            assert!(recalled(&groups[1..], &lora, &options));

            assert!(!recalled(&groups, &lora, &ScoreOptions { reads: Reads::Ends, ..options }));
            let mut other = lora.clone();
            other.parameters[0] += 1.0;
            assert!(!recalled(&groups, &other, &options));
            assert!(!recalled(&groups, &adapter(&engine, 1), &options));
            let dropping = Lora { dropout: Some(Dropout { rate: 0.1, seed: 1 }), ..lora.clone() };
            assert!(!recalled(&groups, &dropping, &options));
            let mut longer = groups.clone();
            longer[0].continuations[0].push(1);
            assert!(!recalled(&longer, &lora, &options));

            engine.score_with_tape(&longer, &lora, &options).unwrap();
            assert!(engine.recording.is_none(), "what serves nobody is given back");
        }
    }

    #[test]
    fn is_given_up_when_it_outgrows_the_memory_for_tapes() {
        let mut roomy = engine(Precision::F32, usize::MAX);
        let lora = adapter(&roomy, 0);
        // Three samples of each prompt, whose last token is never read.
        let rows = 3 + 1 + 6 * 4;
        let bytes = crate::tape_bytes_per_token(roomy.architecture(), Precision::F32);
        let groups = sampled(&mut roomy, &lora);
        for (budget, recorded) in [(rows * bytes, true), (rows * bytes - 1, false), (0, false)] {
            let mut engine = engine(Precision::F32, budget);
            assert_eq!(sampled(&mut engine, &lora), groups);
            assert_eq!(engine.recording.is_some(), recorded, "{budget} bytes");
        }
    }

    #[test]
    fn samples_without_a_limit_of_their_own_end_with_the_context() {
        let mut engine = engine(Precision::F32, 1 << 20);
        let lora = adapter(&engine, 0);
        let mut request = request(&[5, 9]);
        request.max_tokens = usize::MAX;
        request.stop_tokens = (0..engine.architecture().vocabulary as Token).collect();
        let samples = engine.generate_recorded(&[request], &lora).unwrap();
        assert!(samples[0].iter().all(|sample| sample.tokens.len() == 1));
        assert!(engine.recording.is_some());
    }

    #[test]
    fn is_not_made_where_it_would_serve_nobody() {
        let mut exact = engine(Precision::F32, 1 << 30);
        let heads = adapter(&exact, 1);
        sampled(&mut exact, &heads);
        assert!(exact.recording.is_none());
        let mut bytes = engine(Precision::Int8, 1 << 30);
        let lora = adapter(&bytes, 0);
        sampled(&mut bytes, &lora);
        assert!(bytes.recording.is_none(), "int8 has no gradients");
    }
}
