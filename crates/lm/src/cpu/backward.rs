//! The backward pass: from d loss / d token log-prob to LoRA gradients.
//!
//! Frozen weights get no gradients; gradients of a shared prefix collect from every continuation inside
//! [`kernel::attention_backward`].

use kernel::{AttentionGradients, AttentionTape, Branch, Direction, Update};

use super::adapter::{Fan, Packing};
use super::batch::Batch;
use super::forward::{Activations, Pass};

/// Gradients with respect to a layer's activations, reused from layer to layer.
#[derive(Default)]
pub(super) struct Gradients {
    /// d loss / d residual stream (rows × hidden): of the layer's exit on entry, of its entry on return.
    pub(super) residual: Vec<f32>,
    gated: Vec<f32>,
    attended: Vec<f32>,
    /// What a norm's backward pass writes before it replaces its input.
    scratch: Vec<f32>,
    normed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// The branches of a batch for attention's backward pass: runs and the rows of their prefixes.
pub(super) fn branches(batch: &Batch) -> Vec<Branch> {
    let rows_of = |segment: usize| batch.runs.iter().find(|run| run.segment == segment).map(|run| run.rows.clone());
    let branch = |run: &super::batch::Run| Branch { rows: run.rows.clone(), prefix: run.prefix.and_then(rows_of) };
    batch.runs.iter().map(branch).collect()
}

impl Pass<'_> {
    /// One layer backward; `a` holds its activations, `flat` collects the adapter's gradients.
    pub(super) fn layer_backward(
        &self,
        index: usize,
        branches: &[Branch],
        packing: &mut Packing,
        (a, d): (&mut Activations, &mut Gradients),
        flat: &mut [f32],
    ) {
        self.feed_forward_backward(index, packing, (a, d), flat);
        self.attention_half_backward(index, branches, packing, (a, d), flat);
    }

    /// residual: d exit → d middle.
    fn feed_forward_backward(
        &self,
        index: usize,
        packing: &mut Packing,
        (a, d): (&mut Activations, &mut Gradients),
        flat: &mut [f32],
    ) {
        let layer = &self.model.layers[index];
        self.gate(a);
        let d_out = self.through_post_norm(
            layer.post_feed_forward_norm.as_deref(),
            &a.feed_forward_out,
            &d.residual,
            &mut d.normed,
        );
        self.maps(index, Fan::FeedForwardOut).backward(packing, (&a.gated, &a.u[3]), &[d_out], &mut d.gated, flat);
        d.gate.resize(a.gate.len(), 0.0);
        d.up.resize(a.up.len(), 0.0);
        self.gated(&a.gate, &a.up).backward(self.pool, &d.gated, &mut d.gate, &mut d.up);
        self.norm_middle(index, a);
        self.maps(index, Fan::FeedForward).backward(
            packing,
            (&a.normed, &a.u[2]),
            &[&d.gate, &d.up],
            &mut d.normed,
            flat,
        );
        let norm = self.rms_norm(&layer.feed_forward_norm);
        norm.backward(self.pool, &a.middle, &d.normed, &mut d.residual, Update::Accumulate);
    }

    /// residual: d middle → d entry.
    fn attention_half_backward(
        &self,
        index: usize,
        branches: &[Branch],
        packing: &mut Packing,
        (a, d): (&mut Activations, &mut Gradients),
        flat: &mut [f32],
    ) {
        let (layer, architecture) = (&self.model.layers[index], &self.model.architecture);
        let d_out =
            self.through_post_norm(layer.post_attention_norm.as_deref(), &a.attention_out, &d.residual, &mut d.normed);
        self.maps(index, Fan::AttentionOut).backward(packing, (&a.attended, &a.u[1]), &[d_out], &mut d.attended, flat);

        let (_, window) = architecture.layer_reach(index);
        for (out, like) in [(&mut d.queries, &a.queries), (&mut d.keys, &a.keys), (&mut d.values, &a.values)] {
            out.resize(like.len(), 0.0);
        }
        let tape = AttentionTape { q: &a.queries, k: &a.keys, v: &a.values, out: &a.attended, log_sums: &a.log_sums };
        let outs = AttentionGradients { q: &mut d.queries, k: &mut d.keys, v: &mut d.values };
        kernel::attention_backward(self.pool, &self.attention_shape(window), branches, tape, &d.attended, outs);

        let rotation = self.rotation(window);
        rotation.apply(self.pool, &mut d.queries, architecture.head_dim, Direction::Backward);
        rotation.apply(self.pool, &mut d.keys, architecture.head_dim, Direction::Backward);
        self.head_norm_backward(layer.query_norm.as_deref(), &a.raw_queries, &mut d.queries, &mut d.scratch);
        self.head_norm_backward(layer.key_norm.as_deref(), &a.raw_keys, &mut d.keys, &mut d.scratch);

        self.norm_input(index, a);
        let d_outs = [&d.queries[..], &d.keys, &d.values];
        self.maps(index, Fan::Attention).backward(packing, (&a.normed, &a.u[0]), &d_outs, &mut d.normed, flat);
        let norm = self.rms_norm(&layer.attention_norm);
        norm.backward(self.pool, &a.entry, &d.normed, &mut d.residual, Update::Accumulate);
    }

    /// The gradient of a half's linear output: the residual's own, or through the half's post-norm.
    fn through_post_norm<'d>(
        &self,
        weight: Option<&[f32]>,
        input: &[f32],
        residual: &'d [f32],
        scratch: &'d mut Vec<f32>,
    ) -> &'d [f32] {
        let Some(weight) = weight else { return residual };
        scratch.resize(input.len(), 0.0);
        self.rms_norm(weight).backward(self.pool, input, residual, scratch, Update::Overwrite);
        scratch
    }

    /// Gradient through the per-head norm of queries or keys, in place.
    fn head_norm_backward(&self, weight: Option<&[f32]>, raw: &[f32], gradient: &mut Vec<f32>, scratch: &mut Vec<f32>) {
        let Some(weight) = weight else { return };
        scratch.resize(raw.len(), 0.0);
        self.rms_norm(weight).backward(self.pool, raw, gradient, scratch, Update::Overwrite);
        std::mem::swap(gradient, scratch);
    }
}
