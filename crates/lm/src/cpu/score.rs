//! Scoring given continuations after shared prefixes, and the gradients of their log-probabilities.

use std::sync::Arc;

use kernel::Update;

use super::adapter::{PackedLora, Use};
use super::backward::{Gradients, branches};
use super::batch::{Batch, KvStore};
use super::forward::{Pass, gather};
use super::head::{Gradient, Sweep};
use super::model::Model;
use super::recording::Recording;
use super::tape::{Chunk, KeptLayer, States, Tape};
use super::{CpuEngine, heads, validate};
use crate::{Error, Group, Lora, LoraGradients, Reads, ScoreOptions, Scores, Token, Upstream};

/// Rows of one packed batch while scoring; a longer single group is taken whole.
const CHUNK_ROWS: usize = 4096;

/// What a chunk keeps for its backward pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    /// All of so many layers, and the entries of the others.
    Layers(usize),
}

impl CpuEngine {
    pub(super) fn score_groups(
        &mut self,
        groups: &[Group],
        adapter: Option<&Lora>,
        options: &ScoreOptions,
    ) -> Result<Scores, Error> {
        validate::groups(&self.model.architecture, groups)?;
        validate::adapter(&self.model.architecture, adapter, options)?;
        let packed = adapter.map(|lora| PackedLora::pack(&self.pool, lora, Use::Forward));
        let mut scores = Scores::default();
        for groups in chunks(groups) {
            let scored = self.forward(groups, packed.as_ref(), options, Keep::Nothing);
            collect(&mut scores, &scored, adapter);
        }
        Ok(scores)
    }

    pub(super) fn score_groups_with_tape(
        &mut self,
        groups: &[Group],
        adapter: &Lora,
        options: &ScoreOptions,
    ) -> Result<(Scores, Tape), Error> {
        validate::groups(&self.model.architecture, groups)?;
        validate::adapter(&self.model.architecture, Some(adapter), options)?;
        validate::trainable(self.model.precision)?;
        self.model.prepare_backward(&self.pool);
        // Not needed where everything was recorded.
        let mut packed = None;
        let mut scores = Scores::default();
        let mut tape = Tape { chunks: Vec::new(), shape: adapter.shape.clone(), options: *options };
        let mut budget = self.tape_budget;
        let layers = self.model.layers.len();
        let layer_bytes = super::tape_bytes_per_token(&self.model.architecture, self.precision()) / layers.max(1);
        for groups in chunks(groups) {
            let chunk = match self.recalled(groups, adapter, options) {
                Some(chunk) => chunk,
                None => {
                    let kept = budget.checked_div(rows(groups) * layer_bytes).unwrap_or(layers).min(layers);
                    budget -= rows(groups) * layer_bytes * kept;
                    self.forget();
                    let packed = packed.get_or_insert_with(|| PackedLora::pack(&self.pool, adapter, Use::Forward));
                    self.forward(groups, Some(packed), options, Keep::Layers(kept))
                }
            };
            collect(&mut scores, &chunk, Some(adapter));
            tape.chunks.push(chunk);
        }
        Ok((scores, tape))
    }

    /// Pack the groups, run all layers, and sweep the head over the states that are read.
    fn forward(
        &mut self,
        groups: &[Group],
        adapter: Option<&PackedLora<'_>>,
        options: &ScoreOptions,
        keep: Keep,
    ) -> Chunk {
        let CpuEngine { pool, model, packing, activations, spare, .. } = self;
        let with_heads = adapter.is_some_and(|adapter| adapter.lora.shape.heads > 0);
        let mut packed = Packed::new(model, groups, options.reads, with_heads);
        let mut layers = Vec::new();
        let pass = Pass::new(pool, model, adapter, &packed.batch);
        pass.embed(activations);
        let last = match keep {
            Keep::Nothing => pass.read_layers(&mut packed.store, (packing, activations), &packed.states.rows),
            Keep::Layers(kept) => {
                pass.layers(&mut packed.store, (packing, activations), |index, activations| {
                    if index >= kept {
                        return layers.push(KeptLayer::Entry(activations.entry.clone()));
                    }
                    let rows = pass.batch.rows();
                    let mut all = spare.pop().unwrap_or_default().emptied(rows);
                    all.append(pool, rows, activations, model.precision);
                    layers.push(KeptLayer::All(Arc::new(all)));
                });
                gather(&activations.entry, &packed.states.rows, model.architecture.hidden)
            }
        };
        let gradient = if keep == Keep::Nothing { Gradient::No } else { Gradient::Yes };
        self.read(packed, last, options.temperature, gradient).with_layers(layers, None)
    }

    /// The same from the recording of the samples, if the groups are such.
    pub(super) fn recalled(&self, groups: &[Group], adapter: &Lora, options: &ScoreOptions) -> Option<Chunk> {
        let recording = self.recording.as_ref().filter(|recording| recording.serves(adapter, options))?;
        let rows = recording.rows(groups)?;
        let packed = Packed::new(&self.model, groups, options.reads, false);
        let read: Vec<usize> = packed.states.rows.iter().map(|&row| rows[row]).collect();
        let last = gather(recording.last(), &read, self.model.architecture.hidden);
        let layers = recording.layers().iter().map(|layer| KeptLayer::All(Arc::clone(layer))).collect();
        Some(self.read(packed, last, options.temperature, Gradient::Yes).with_layers(layers, Some(rows)))
    }

    /// Sweep the head over the states that are read, whose residual streams after the last layer are `last`.
    fn read(&self, packed: Packed, last: Vec<f32>, temperature: f32, gradient: Gradient) -> Chunk {
        let CpuEngine { pool, model, .. } = self;
        let Packed { batch, store, states } = packed;
        let mut normed = vec![0.0; last.len()];
        model.last_norm().forward(pool, &last, &mut normed);
        let head = Sweep::new(model).score((pool, model), &normed, &states.wanted, temperature, gradient);
        Chunk { batch, store, states, head, last, normed, layers: Vec::new(), rows: None }
    }

    /// Give back the memory of what was recorded.
    pub(super) fn forget(&mut self) {
        self.spare.extend(self.recording.take().into_iter().flat_map(Recording::into_spare));
    }

    pub(super) fn backward_tape(
        &mut self,
        tape: Tape,
        adapter: &Lora,
        upstream: &Upstream,
    ) -> Result<LoraGradients, Error> {
        validate::upstream(&tape, adapter, upstream)?;
        let packed = PackedLora::pack(&self.pool, adapter, Use::ForwardAndBackward);
        let mut flat = vec![0.0; adapter.parameters.len()];
        let mut first_group = 0;
        let mut gradients = Gradients::default();
        for chunk in tape.chunks {
            let groups = first_group..first_group + chunk.states.places.len();
            first_group = groups.end;
            self.chunk_backward(
                chunk,
                (&packed, tape.options.temperature),
                (upstream, groups),
                &mut gradients,
                &mut flat,
            );
        }
        Ok(LoraGradients { flat })
    }

    fn chunk_backward(
        &mut self,
        mut chunk: Chunk,
        (adapter, temperature): (&PackedLora<'_>, f32),
        (upstream, groups): (&Upstream, std::ops::Range<usize>),
        gradients: &mut Gradients,
        flat: &mut [f32],
    ) {
        let CpuEngine { pool, model, packing, activations, spare, .. } = self;
        let hidden = model.architecture.hidden;
        let states = &chunk.states;
        let weights = scatter_weights(states, &upstream.d_token_logps[groups.clone()]);
        let mut d_normed = vec![0.0; chunk.normed.len()];
        chunk.head.backward((pool, model), &states.wanted, &weights, temperature, &mut d_normed);
        if let Some(d_values) = &upstream.d_values {
            heads::backward(adapter.lora, states, &chunk.normed, &d_values[groups], &mut d_normed, flat);
        }
        let mut d_last = vec![0.0; d_normed.len()];
        model.last_norm().backward(pool, &chunk.last, &d_normed, &mut d_last, Update::Overwrite);
        gradients.residual.clear();
        gradients.residual.resize(chunk.batch.rows() * hidden, 0.0);
        for (&row, d_last) in states.rows.iter().zip(d_last.chunks(hidden)) {
            gradients.residual[row * hidden..][..hidden].iter_mut().zip(d_last).for_each(|(out, add)| *out += add);
        }
        let branches = branches(&chunk.batch);
        let pass = Pass::new(pool, model, Some(adapter), &chunk.batch);
        for (index, kept) in chunk.layers.drain(..).enumerate().rev() {
            match kept {
                KeptLayer::All(kept) => {
                    kept.restore(pool, chunk.rows.as_deref(), model.precision, activations);
                    spare.extend(Arc::into_inner(kept));
                }
                KeptLayer::Entry(entry) => {
                    activations.entry = entry;
                    pass.layer(index, &mut chunk.store, packing, activations);
                }
            }
            pass.layer_backward(index, &branches, packing, (activations, gradients), flat);
        }
    }
}

/// Split groups into packed batches of at most [`CHUNK_ROWS`] rows.
fn chunks(groups: &[Group]) -> Vec<&[Group]> {
    let mut out = Vec::new();
    let (mut start, mut rows) = (0, 0);
    for (index, group) in groups.iter().enumerate() {
        let more = group_rows(group);
        if rows + more > CHUNK_ROWS && index > start {
            out.push(&groups[start..index]);
            (start, rows) = (index, 0);
        }
        rows += more;
    }
    if start < groups.len() {
        out.push(&groups[start..]);
    }
    out
}

fn group_rows(group: &Group) -> usize {
    group.prefix.len() + group.continuations.iter().map(Vec::len).sum::<usize>()
}

fn rows(groups: &[Group]) -> usize {
    groups.iter().map(group_rows).sum()
}

/// A packed batch, not computed yet.
struct Packed {
    batch: Batch,
    store: KvStore,
    states: States,
}

impl Packed {
    /// Lay out a batch: each prefix once, then its continuations as branches of it. The last token of a continuation has a row
    /// only where its own state is read.
    fn new(model: &Model, groups: &[Group], reads: Reads, with_heads: bool) -> Packed {
        let (mut batch, mut store, mut states) = (Batch::default(), KvStore::passing(model), States::default());
        for group in groups {
            let prefix = store.open(group.prefix.len());
            let rows = batch.push(prefix, 0, None, &group.prefix);
            let mut start = |tokens: &Vec<Token>| {
                let read = match reads {
                    Reads::Tokens if !with_heads => tokens.len().saturating_sub(1),
                    Reads::Tokens | Reads::Ends => tokens.len(),
                };
                batch.push(store.open(read), 0, Some((prefix, group.prefix.len())), &tokens[..read]).start
            };
            let starts: Vec<usize> = group.continuations.iter().map(&mut start).collect();
            match reads {
                Reads::Tokens => states.push(group, rows.end - 1, &starts, with_heads),
                Reads::Ends => states.push_ends(group, rows.end - 1, &starts),
            }
        }
        Packed { batch, store, states }
    }
}

/// Bring the log-probs of one chunk into the shape of its groups.
fn collect(scores: &mut Scores, chunk: &Chunk, adapter: Option<&Lora>) {
    let Chunk { states, head, normed, .. } = chunk;
    let logp = |&(state, place): &(usize, usize)| head.logps[state][place];
    scores
        .token_logps
        .extend(states.places.iter().map(|group| group.iter().map(|line| line.iter().map(logp).collect()).collect()));
    if let Some(lora) = adapter.filter(|lora| lora.shape.heads > 0) {
        scores.values.get_or_insert_default().extend(heads::values(lora, states, normed));
    }
}

/// Upstream weights [group][continuation][token] → [state][wanted].
fn scatter_weights(states: &States, d_token_logps: &[Vec<Vec<f32>>]) -> Vec<Vec<f32>> {
    let mut weights: Vec<Vec<f32>> = states.wanted.iter().map(|wanted| vec![0.0; wanted.len()]).collect();
    for (places, weight) in states.places.iter().flatten().flatten().zip(d_token_logps.iter().flatten().flatten()) {
        weights[places.0][places.1] = *weight;
    }
    weights
}
