//! A LoRA adapter packed for the kernels, and the linear maps of a layer with it applied.
//!
//! y = W x + b + s · B (A x). Linear maps that read the same input form a [`Fan`]: their input is packed once and their
//! A matrices are stacked, so that one skinny product gives u = A x for all of them. s · B u is added inside the tile of
//! W x before it is stored.

use kernel::{Columns, Epilogue, LowRank, Pool, Precision, Rows, Weight};

use super::dropout;
use super::model::{Layer, LinearMap};
use crate::{Linear, Lora};

/// Linear maps that share their input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fan {
    Attention,
    AttentionOut,
    FeedForward,
    FeedForwardOut,
}

impl Fan {
    pub(super) const ALL: [Fan; 4] = [Fan::Attention, Fan::AttentionOut, Fan::FeedForward, Fan::FeedForwardOut];

    pub(super) fn linears(self) -> &'static [Linear] {
        match self {
            Fan::Attention => &[Linear::Q, Linear::K, Linear::V],
            Fan::AttentionOut => &[Linear::O],
            Fan::FeedForward => &[Linear::Gate, Linear::Up],
            Fan::FeedForwardOut => &[Linear::Down],
        }
    }
}

/// An adapter in the kernels' layout; repacked whenever its parameters change.
pub(super) struct PackedLora<'a> {
    pub(super) lora: &'a Lora,
    /// [layer][fan]
    fans: Vec<Vec<Option<PackedFan>>>,
}

struct PackedFan {
    /// The stacked A matrices (R × inputs), R = rank × number of adapted members.
    a: Weight,
    members: Vec<PackedPair>,
}

struct PackedPair {
    linear: Linear,
    /// s · B (outputs × rank): y += u (s B)ᵀ.
    b: Weight,
    backward: Option<BackwardPair>,
}

struct BackwardPair {
    /// s · Bᵀ (rank × outputs): du = dy (s B).
    b: Weight,
    /// Aᵀ (inputs × rank): dx += du A.
    a: Weight,
}

/// Whether an adapter is packed for gradients too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Forward,
    ForwardAndBackward,
}

impl<'a> PackedLora<'a> {
    pub(super) fn pack(pool: &Pool, lora: &'a Lora, purpose: Use) -> PackedLora<'a> {
        let fan = |layer: usize, fan: &Fan| PackedFan::pack(pool, lora, layer, *fan, purpose);
        let fans =
            (0..lora.shape.layers()).map(|layer| Fan::ALL.iter().map(|each| fan(layer, each)).collect()).collect();
        PackedLora { lora, fans }
    }

    fn fan(&self, layer: usize, fan: Fan) -> Option<&PackedFan> {
        self.fans[layer][fan as usize].as_ref()
    }
}

impl PackedFan {
    fn pack(pool: &Pool, lora: &Lora, layer: usize, fan: Fan, purpose: Use) -> Option<PackedFan> {
        let shape = &lora.shape;
        let (rank, scale) = (shape.rank, shape.scale());
        let mut stacked = Vec::new();
        let mut members = Vec::new();
        for &linear in fan.linears() {
            let (Some(a), Some(b)) = (shape.a(layer, linear), shape.b(layer, linear)) else { continue };
            let a = &lora.parameters[a];
            let b: Vec<f32> = lora.parameters[b].iter().map(|value| value * scale).collect();
            let (inputs, outputs) = (a.len() / rank, b.len() / rank);
            stacked.extend_from_slice(a);
            let backward = (purpose == Use::ForwardAndBackward).then(|| BackwardPair {
                b: Weight::pack(pool, &b, rank, outputs, Precision::F32),
                a: Weight::pack_transposed(pool, a, inputs, rank, Precision::F32),
            });
            let b = Weight::pack_transposed(pool, &b, outputs, rank, Precision::F32);
            members.push(PackedPair { linear, b, backward });
        }
        let rows = rank * members.len();
        (rows > 0)
            .then(|| PackedFan { a: Weight::pack(pool, &stacked, rows, stacked.len() / rows, Precision::F32), members })
    }
}

/// Reused buffers for packed activations.
pub(super) struct Packing {
    rows: Rows,
    rows_f32: Rows,
    dropped: Vec<f32>,
}

impl Packing {
    pub(super) fn new(precision: Precision) -> Packing {
        Packing { rows: Rows::new(precision), rows_f32: Rows::new(Precision::F32), dropped: Vec::new() }
    }

    /// `x` (m × k), which `rows` already hold, in f32: the same rows where those are f32 too.
    fn exact(&mut self, pool: &Pool, x: &[f32], m: usize, k: usize) -> &Rows {
        if self.rows.precision() == Precision::F32 {
            return &self.rows;
        }
        self.rows_f32.pack(pool, x, m, k);
        &self.rows_f32
    }
}

/// Which linear maps of which layer, under which adapter.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) pool: &'a Pool,
    pub(super) layer: &'a Layer,
    pub(super) index: usize,
    pub(super) fan: Fan,
    pub(super) adapter: Option<&'a PackedLora<'a>>,
}

/// Whether a product replaces what its output holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    Overwrite,
    Add,
}

impl Maps<'_> {
    fn packed(&self) -> Option<&PackedFan> {
        self.adapter.and_then(|adapter| adapter.fan(self.index, self.fan))
    }

    /// outs[i] (=|+=) W_i x + b_i + s B_i (A_i x) for the fan's linear maps in order; `u` receives A x (m × width).
    pub(super) fn forward(
        &self,
        packing: &mut Packing,
        input: &[f32],
        u: &mut Vec<f32>,
        outs: &mut [&mut Vec<f32>],
        into: Into,
    ) {
        let inputs = self.layer.linear(self.fan.linears()[0]).forward.inputs();
        let m = input.len() / inputs;
        packing.rows.pack(self.pool, input, m, inputs);
        self.low_rank_inputs(packing, input, m, u);
        for (&linear, out) in self.fan.linears().iter().zip(outs) {
            let LinearMap { forward, bias, .. } = self.layer.linear(linear);
            out.resize(m * forward.outputs(), 0.0);
            let epilogue =
                Epilogue { low_rank: self.low_rank(linear, u), bias: bias.as_deref(), accumulate: into == Into::Add };
            kernel::product(self.pool, &packing.rows, forward, &epilogue, out);
        }
    }

    /// u = A x for every adapted member, side by side.
    fn low_rank_inputs(&self, packing: &mut Packing, input: &[f32], m: usize, u: &mut Vec<f32>) {
        let (Some(fan), Some(adapter)) = (self.packed(), self.adapter) else { return u.clear() };
        let width = fan.a.outputs();
        u.resize(m * width, 0.0);
        match adapter.lora.dropout {
            None => {
                let rows = packing.exact(self.pool, input, m, fan.a.inputs());
                kernel::product(self.pool, rows, &fan.a, &Epilogue::default(), u);
            }
            Some(dropout) => {
                // Every linear map has a mask of its own, as in PEFT: one product a member.
                let rank = adapter.lora.shape.rank;
                let mut part = vec![0.0; m * width];
                for (place, member) in fan.members.iter().enumerate() {
                    dropout::apply(dropout, self.index, member.linear, input, fan.a.inputs(), &mut packing.dropped);
                    packing.rows_f32.pack(self.pool, &packing.dropped, m, fan.a.inputs());
                    kernel::product(self.pool, &packing.rows_f32, &fan.a, &Epilogue::default(), &mut part);
                    for (row, from) in u.chunks_mut(width).zip(part.chunks(width)) {
                        row[place * rank..][..rank].copy_from_slice(&from[place * rank..][..rank]);
                    }
                }
            }
        }
    }

    /// u (s B)ᵀ of one adapted member.
    fn low_rank<'b>(&'b self, linear: Linear, u: &'b [f32]) -> Option<LowRank<'b>> {
        let (fan, place, rank) = self.place(linear)?;
        let u = Columns::new(u, fan.a.outputs(), place * rank..(place + 1) * rank);
        Some(LowRank { u, b: (&fan.members[place].b).into() })
    }

    /// An adapted member's fan, its place in it, and the rank.
    fn place(&self, linear: Linear) -> Option<(&PackedFan, usize, usize)> {
        let fan = self.packed()?;
        let place = fan.members.iter().position(|member| member.linear == linear)?;
        Some((fan, place, fan.a.outputs() / fan.members.len()))
    }

    /// The backward pass of [`forward`](Maps::forward): `d_input` = Σ_i d_outs[i] (W_i + s B_i A_i), and the gradients of
    /// A_i and B_i added to `gradients` (the flat vector of the adapter).
    pub(super) fn backward(
        &self,
        packing: &mut Packing,
        (input, u): (&[f32], &[f32]),
        d_outs: &[&[f32]],
        d_input: &mut Vec<f32>,
        gradients: &mut [f32],
    ) {
        let mut du = Vec::new();
        for (turn, (&linear, d_out)) in self.fan.linears().iter().zip(d_outs).enumerate() {
            let map = self.layer.linear(linear);
            let (inputs, outputs) = (map.forward.inputs(), map.forward.outputs());
            let m = d_out.len() / outputs;
            d_input.resize(m * inputs, 0.0);
            packing.rows.pack(self.pool, d_out, m, outputs);
            let low_rank = self.pair_backward(packing, linear, (input, u), (d_out, m), &mut du, gradients);
            let Some(transposed) = &map.transposed else { continue };
            let epilogue = Epilogue { low_rank, bias: None, accumulate: turn > 0 };
            kernel::product(self.pool, &packing.rows, transposed, &epilogue, d_input);
            self.dropped_backward(packing, linear, &du, d_input);
        }
    }

    /// du = s · dy B, dB = s · uᵀ dy, dA = duᵀ x; returns du A for the epilogue of the input gradient.
    fn pair_backward<'b>(
        &'b self,
        packing: &mut Packing,
        linear: Linear,
        (input, u): (&[f32], &[f32]),
        (d_out, m): (&[f32], usize),
        du: &'b mut Vec<f32>,
        gradients: &mut [f32],
    ) -> Option<LowRank<'b>> {
        let ((fan, place, rank), lora) = (self.place(linear)?, self.adapter?.lora);
        let backward = fan.members[place].backward.as_ref()?;
        let (inputs, outputs) = (fan.a.inputs(), d_out.len() / m.max(1));
        du.resize(m * rank, 0.0);
        let rows = packing.exact(self.pool, d_out, m, outputs);
        kernel::product(self.pool, rows, &backward.b, &Epilogue::default(), du);
        let (a, b) = (lora.shape.a(self.index, linear)?, lora.shape.b(self.index, linear)?);
        let u = Columns::new(u, fan.a.outputs(), place * rank..(place + 1) * rank);
        let (d_out, du) = (Columns::all(d_out, outputs), Columns::all(du, rank));
        kernel::outer_accumulate(self.pool, u, d_out, lora.shape.scale(), &mut gradients[b]);
        match lora.dropout {
            None => {
                kernel::outer_accumulate(self.pool, du, Columns::all(input, inputs), 1.0, &mut gradients[a]);
                Some(LowRank { u: du, b: (&backward.a).into() })
            }
            Some(dropout) => {
                dropout::apply(dropout, self.index, linear, input, inputs, &mut packing.dropped);
                kernel::outer_accumulate(self.pool, du, Columns::all(&packing.dropped, inputs), 1.0, &mut gradients[a]);
                None
            }
        }
    }

    /// With dropout, du A passes through the mask before it joins the input gradient.
    fn dropped_backward(&self, packing: &mut Packing, linear: Linear, du: &[f32], d_input: &mut [f32]) {
        let Some(dropout) = self.adapter.and_then(|adapter| adapter.lora.dropout) else { return };
        let Some((fan, place, rank)) = self.place(linear) else { return };
        let Some(backward) = &fan.members[place].backward else { return };
        let (inputs, m) = (fan.a.inputs(), du.len() / rank);
        let mut through = vec![0.0; m * inputs];
        packing.rows_f32.pack(self.pool, du, m, rank);
        kernel::product(self.pool, &packing.rows_f32, &backward.a, &Epilogue::default(), &mut through);
        dropout::apply(dropout, self.index, linear, &through, inputs, &mut packing.dropped);
        for (value, add) in d_input.iter_mut().zip(&packing.dropped) {
            *value += add;
        }
    }
}
