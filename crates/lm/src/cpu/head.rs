//! The language-model head: logits where they are used, in vocabulary blocks, never a tokens × vocabulary matrix.
//!
//! log p(y) = z_y − log Σ_v exp z_v,   z = softcap(W h) / T.
//!
//! Its gradient needs only one vector more a state: ∂ log p(y)/∂h = (c_y W_y − g) / T with g = Σ_v p_v c_v W_v (c = 1
//! without a soft cap). g depends on no upstream weight, so it is accumulated in the same sweep over the vocabulary as
//! the log-sum, rescaled whenever a block raises the running maximum: attention over the vocabulary, with W as keys and
//! as values. Backward is then a handful of operations a token.

use kernel::{Epilogue, LogSum, Pool, Rows};

use super::model::{Model, VOCABULARY_BLOCK};
use crate::Token;

/// States swept together; the logits of one sweep stay in cache.
const STATES: usize = 256;

/// Log-probabilities of the wanted tokens at some states.
pub(super) struct HeadScores {
    /// [state][wanted token]
    pub(super) logps: Vec<Vec<f32>>,
    /// c_y of the wanted tokens, when the gradient was asked for.
    slopes: Vec<Vec<f32>>,
    /// g of every state (states × hidden), when the gradient was asked for.
    expected: Vec<f32>,
}

/// What a sweep has gathered about its states so far.
struct Gathered<'a> {
    wanted: &'a [Vec<Token>],
    log_sums: Vec<LogSum>,
    /// z and c of the wanted tokens met so far, [state][wanted token].
    logits: Vec<Vec<f32>>,
    slopes: Vec<Vec<f32>>,
}

/// z = softcap(W h) / T.
#[derive(Clone, Copy)]
struct Shape {
    temperature: f32,
    softcap: Option<f32>,
}

impl Shape {
    /// c = T · dz/d(W h): one without a soft cap, 1 − tanh² with one.
    fn slope(self, logit: f32) -> f32 {
        self.softcap.map_or(1.0, |cap| {
            let share = logit * self.temperature / cap;
            1.0 - share * share
        })
    }
}

/// Buffers of a sweep.
pub(super) struct Sweep {
    states: Rows,
    weights: Rows,
    logits: Vec<f32>,
    exponentials: Vec<f32>,
}

/// What to compute at each state besides its log-sum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gradient {
    No,
    Yes,
}

impl Sweep {
    pub(super) fn new(model: &Model) -> Sweep {
        let rows = || Rows::new(model.precision);
        Sweep { states: rows(), weights: rows(), logits: Vec::new(), exponentials: Vec::new() }
    }

    /// Score `wanted[i]` at state i of `hidden` (states × hidden, after the final norm).
    pub(super) fn score(
        &mut self,
        (pool, model): (&Pool, &Model),
        hidden: &[f32],
        wanted: &[Vec<Token>],
        temperature: f32,
        gradient: Gradient,
    ) -> HeadScores {
        let width = model.architecture.hidden;
        let shape = Shape { temperature, softcap: model.architecture.logit_softcap };
        let mut scores = HeadScores { logps: Vec::new(), slopes: Vec::new(), expected: Vec::new() };
        if gradient == Gradient::Yes {
            scores.expected.resize(hidden.len(), 0.0);
        }
        if wanted.iter().all(Vec::is_empty) {
            // Heads alone read these states: the vocabulary has no part in them.
            let nothing = || vec![Vec::new(); wanted.len()];
            return HeadScores { logps: nothing(), slopes: nothing(), expected: Vec::new() };
        }
        for (turn, (hidden, wanted)) in hidden.chunks(STATES * width).zip(wanted.chunks(STATES)).enumerate() {
            let mut gathered = Gathered::new(wanted);
            self.states.pack(pool, hidden, wanted.len(), width);
            let range = turn * STATES * width..turn * STATES * width + hidden.len();
            let expected = scores.expected.get_mut(range).unwrap_or_default();
            for block in 0..model.head.blocks.len() {
                self.block((pool, model), block, &mut gathered, shape, expected);
            }
            pool.chunks(expected, width, |row, g| scale(g, 1.0 / gathered.log_sums[row].sum));
            scores.absorb(gathered);
        }
        scores
    }

    /// One vocabulary block: logits, log-sums, wanted logits, and the block's share of g.
    fn block(
        &mut self,
        (pool, model): (&Pool, &Model),
        block: usize,
        gathered: &mut Gathered<'_>,
        shape: Shape,
        expected: &mut [f32],
    ) {
        let weight = &model.head.blocks[block];
        let (states, columns) = (gathered.wanted.len(), weight.outputs());
        self.logits.resize(states * columns, 0.0);
        kernel::product(pool, &self.states, weight, &Epilogue::default(), &mut self.logits);
        kernel::scale_and_softcap(pool, &mut self.logits, 1.0 / shape.temperature, shape.softcap);
        gathered.pick(block * VOCABULARY_BLOCK, &self.logits, columns, shape);
        let before: Vec<f32> = gathered.log_sums.iter().map(|sum| sum.max).collect();
        kernel::absorb_rows(pool, &self.logits, &mut gathered.log_sums);
        if !expected.is_empty() {
            let after: Vec<f32> = gathered.log_sums.iter().map(|sum| sum.max).collect();
            pool.chunks(expected, model.architecture.hidden, |row, g| {
                if after[row] > before[row] {
                    scale(g, (before[row] - after[row]).exp());
                }
            });
            self.exponentials.resize(states * columns, 0.0);
            kernel::exp_shifted(pool, &self.logits, &after, &mut self.exponentials);
            if shape.softcap.is_some() {
                self.exponentials.iter_mut().zip(&self.logits).for_each(|(p, &logit)| *p *= shape.slope(logit));
            }
            self.weights.pack(pool, &self.exponentials, states, columns);
            let epilogue = Epilogue { accumulate: true, ..Epilogue::default() };
            kernel::product(pool, &self.weights, &model.head.transposed[block], &epilogue, expected);
        }
    }
}

impl<'a> Gathered<'a> {
    fn new(wanted: &'a [Vec<Token>]) -> Gathered<'a> {
        let blank: Vec<Vec<f32>> = wanted.iter().map(|wanted| vec![0.0; wanted.len()]).collect();
        Gathered { wanted, log_sums: vec![LogSum::EMPTY; wanted.len()], logits: blank.clone(), slopes: blank }
    }

    /// Note the wanted tokens that lie in the block which starts at token `first`.
    fn pick(&mut self, first: usize, logits: &[f32], columns: usize, shape: Shape) {
        for (state, (wanted, logits)) in self.wanted.iter().zip(logits.chunks(columns)).enumerate() {
            for (place, &token) in wanted.iter().enumerate() {
                if let Some(&logit) = (token as usize).checked_sub(first).and_then(|index| logits.get(index)) {
                    self.logits[state][place] = logit;
                    self.slopes[state][place] = shape.slope(logit);
                }
            }
        }
    }
}

fn scale(values: &mut [f32], factor: f32) {
    values.iter_mut().for_each(|value| *value *= factor);
}

impl HeadScores {
    fn absorb(&mut self, gathered: Gathered<'_>) {
        for ((logits, slopes), sum) in gathered.logits.into_iter().zip(gathered.slopes).zip(gathered.log_sums) {
            let log_sum = sum.value();
            self.logps.push(logits.iter().map(|logit| logit - log_sum).collect());
            self.slopes.push(slopes);
        }
    }

    /// d_hidden (states × hidden) += Σ weight · ∂ log p(y)/∂h, from one weight a wanted token.
    pub(super) fn backward(
        &self,
        (pool, model): (&Pool, &Model),
        wanted: &[Vec<Token>],
        weights: &[Vec<f32>],
        temperature: f32,
        d_hidden: &mut [f32],
    ) {
        if self.expected.is_empty() {
            return;
        }
        let width = model.architecture.hidden;
        pool.chunks(d_hidden, width, |state, out| {
            let mut row = vec![0.0; width];
            let g = &self.expected[state * width..][..width];
            for ((&token, &weight), slope) in wanted[state].iter().zip(&weights[state]).zip(&self.slopes[state]) {
                model.head.row(token as usize, &mut row);
                for ((out, w), g) in out.iter_mut().zip(&row).zip(g) {
                    *out += weight / temperature * (slope * w - g);
                }
            }
        });
    }
}
