//! Scoring given continuations after shared prefixes, and the gradients of their log-probabilities.

use kernel::Update;

use super::adapter::{PackedLora, Use};
use super::backward::{Gradients, branches};
use super::batch::{Batch, KvStore};
use super::forward::{Pass, gather};
use super::head::{Gradient, HeadScores, Sweep};
use super::tape::{Chunk, KeptLayer, States, Tape};
use super::{CpuEngine, heads, validate};
use crate::{Error, Group, Lora, LoraGradients, Reads, ScoreOptions, Scores, Upstream};

/// Rows of one packed batch while scoring; a longer single group is taken whole.
const CHUNK_ROWS: usize = 4096;

/// What the forward pass of a chunk leaves.
struct Scored {
    batch: Batch,
    store: KvStore,
    states: States,
    last: Vec<f32>,
    normed: Vec<f32>,
    head: HeadScores,
    layers: Vec<KeptLayer>,
}

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
            collect(&mut scores, &scored.states, &scored.head, adapter.map(|lora| (lora, &scored.normed[..])));
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
        let packed = PackedLora::pack(&self.pool, adapter, Use::Forward);
        let mut scores = Scores::default();
        let mut tape = Tape { chunks: Vec::new(), shape: adapter.shape.clone(), options: *options };
        let mut budget = self.tape_budget;
        let layers = self.model.layers.len();
        let layer_bytes = super::tape_bytes_per_token(&self.model.architecture, self.precision()) / layers.max(1);
        for groups in chunks(groups) {
            let kept = budget.checked_div(rows(groups) * layer_bytes).unwrap_or(layers).min(layers);
            budget -= rows(groups) * layer_bytes * kept;
            let scored = self.forward(groups, Some(&packed), options, Keep::Layers(kept));
            collect(&mut scores, &scored.states, &scored.head, Some((adapter, &scored.normed[..])));
            let Scored { batch, store, states, last, normed, head, layers } = scored;
            tape.chunks.push(Chunk { batch, store, states, head, last, normed, layers });
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
    ) -> Scored {
        let CpuEngine { pool, model, packing, activations, spare, .. } = self;
        let architecture = &model.architecture;
        let mut store = KvStore::passing(model);
        let with_heads = adapter.is_some_and(|adapter| adapter.lora.shape.heads > 0);
        let (batch, states) = pack(groups, &mut store, (options.reads, with_heads));
        let mut layers = Vec::new();
        let pass = Pass::new(pool, model, adapter, &batch);
        pass.embed(activations);
        let last = match keep {
            Keep::Nothing => pass.read_layers(&mut store, (packing, activations), &states.rows),
            Keep::Layers(kept) => {
                pass.layers(&mut store, (packing, activations), |index, activations| {
                    if index >= kept {
                        return layers.push(KeptLayer::Entry(activations.entry.clone()));
                    }
                    let mut all = spare.pop().unwrap_or_default();
                    all.keep(pool, activations, model.precision);
                    layers.push(KeptLayer::All(Box::new(all)));
                });
                gather(&activations.entry, &states.rows, architecture.hidden)
            }
        };
        let mut normed = vec![0.0; last.len()];
        model.last_norm().forward(pool, &last, &mut normed);
        let gradient = if keep == Keep::Nothing { Gradient::No } else { Gradient::Yes };
        let head = Sweep::new(model).score((pool, model), &normed, &states.wanted, options.temperature, gradient);
        Scored { batch, store, states, last, normed, head, layers }
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
                    kept.restore(pool, model.precision, activations);
                    spare.push(*kept);
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

/// Lay out a batch: each prefix once, then its continuations as branches of it.
fn pack(groups: &[Group], store: &mut KvStore, (reads, with_heads): (Reads, bool)) -> (Batch, States) {
    let (mut batch, mut states) = (Batch::default(), States::default());
    for group in groups {
        let prefix = store.open(group.prefix.len());
        let rows = batch.push(prefix, 0, None, &group.prefix);
        let starts: Vec<usize> = group
            .continuations
            .iter()
            .map(|tokens| batch.push(store.open(tokens.len()), 0, Some((prefix, group.prefix.len())), tokens).start)
            .collect();
        match reads {
            Reads::Tokens => states.push(group, rows.end - 1, &starts, with_heads),
            Reads::Ends => states.push_ends(group, rows.end - 1, &starts),
        }
    }
    (batch, states)
}

/// Bring the log-probs of one chunk into the shape of its groups.
fn collect(scores: &mut Scores, states: &States, head: &HeadScores, heads: Option<(&Lora, &[f32])>) {
    let logp = |&(state, place): &(usize, usize)| head.logps[state][place];
    scores
        .token_logps
        .extend(states.places.iter().map(|group| group.iter().map(|line| line.iter().map(logp).collect()).collect()));
    if let Some((lora, normed)) = heads.filter(|(lora, _)| lora.shape.heads > 0) {
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
