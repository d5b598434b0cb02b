//! Rotary position embedding, "half" convention: pair `i` of a head is its components `i` and `i + rotated / 2`.

use crate::Pool;
use crate::elementwise::rows_per_task;
use crate::lanes::{Arithmetic, Kernel, dispatch};

/// Cosines and sines of a batch of positions, made once and used for the queries and keys of every layer.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    /// Pairs of a head that are turned; the rest of a head is left as it is.
    pairs: usize,
    /// `pairs` cosines, then `pairs` sines, for each row.
    turns: Vec<f32>,
}

/// Which way to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By the angle of the position.
    Forward,
    /// The transpose of that, which gradients go through (the inverse, if the magnitude is 1).
    Backward,
}

impl RotaryTable {
    /// A table for rows at these positions. Pair `i` is turned by `position · frequencies[i]` (in f32, as transformers
    /// has it) and multiplied by `magnitude`.
    pub fn new(pool: &Pool, positions: &[usize], frequencies: &[f32], magnitude: f32) -> RotaryTable {
        let pairs = frequencies.len();
        let mut turns = vec![0.0; positions.len() * pairs * 2];
        let rows = rows_per_task(pairs * 32);
        pool.chunks(&mut turns, (rows * pairs * 2).max(1), |index, turns| {
            for (turn, &position) in turns.chunks_exact_mut(pairs * 2).zip(&positions[index * rows..]) {
                let (cosines, sines) = turn.split_at_mut(pairs);
                for ((cosine, sine), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
                    let (s, c) = (position as f32 * frequency).sin_cos();
                    (*cosine, *sine) = (c * magnitude, s * magnitude);
                }
            }
        });
        RotaryTable { pairs, turns }
    }

    /// Turns every head of every row of `x`, which is `positions × (heads · head_dim)` with any number of heads.
    ///
    /// # Panics
    /// If `x` is no whole number of heads for each position, or a head is narrower than the pairs.
    pub fn apply(&self, pool: &Pool, x: &mut [f32], head_dim: usize, direction: Direction) {
        let rows = self.turns.len() / (2 * self.pairs).max(1);
        assert!(head_dim >= 2 * self.pairs, "{} pairs in a head of {head_dim}", self.pairs);
        if rows == 0 {
            assert!(self.pairs == 0 || x.is_empty(), "rows without a position");
            return;
        }
        assert!(x.len().is_multiple_of(rows * head_dim), "{} numbers are no heads for {rows} positions", x.len());
        let width = x.len() / rows;
        let part = rows_per_task(width);
        pool.chunks(x, (part * width).max(1), |index, x| {
            let turns = &self.turns[index * part * 2 * self.pairs..];
            dispatch(pool, Turn { pairs: self.pairs, turns, x, width, head_dim, direction });
        });
    }
}

struct Turn<'a> {
    pairs: usize,
    turns: &'a [f32],
    x: &'a mut [f32],
    width: usize,
    head_dim: usize,
    direction: Direction,
}

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let sign = if self.direction == Direction::Forward { 1.0 } else { -1.0 };
        for (row, turns) in self.x.chunks_exact_mut(self.width).zip(self.turns.chunks_exact(2 * self.pairs)) {
            let (cosines, sines) = turns.split_at(self.pairs);
            for head in row.chunks_exact_mut(self.head_dim) {
                let (first, second) = head[..2 * self.pairs].split_at_mut(self.pairs);
                for ((a, b), (cosine, sine)) in first.iter_mut().zip(second).zip(cosines.iter().zip(sines)) {
                    let sine = sign * sine;
                    (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_close, assert_same_bits, pools, random};

    #[test]
    fn it_turns_pairs_by_the_angle_of_the_position() {
        for pool in pools(2) {
            for (heads, head_dim, pairs) in [(9, 64, 32), (1, 8, 4), (2, 96, 20), (3, 16, 0), (4, 256, 128)] {
                let positions: Vec<usize> = (0..70).map(|i| (i * 37) % 1000).collect();
                let frequencies: Vec<f32> = (0..pairs).map(|i| 1e4_f32.powf(-(i as f32) / pairs as f32)).collect();
                let table = RotaryTable::new(&pool, &positions, &frequencies, 1.25);
                let x = random(1, positions.len() * heads * head_dim);
                let mut found = x.clone();
                table.apply(&pool, &mut found, head_dim, Direction::Forward);
                let expected = |index: usize| {
                    let (row, place) = (index / (heads * head_dim), index % head_dim);
                    if place >= 2 * pairs {
                        return f64::from(x[index]);
                    }
                    let angle = f64::from(positions[row] as f32 * frequencies[place % pairs]);
                    let (other, sign) = if place < pairs { (index + pairs, -1.0) } else { (index - pairs, 1.0) };
                    1.25 * (f64::from(x[index]) * angle.cos() + sign * f64::from(x[other]) * angle.sin())
                };
                let expected: Vec<f64> = (0..x.len()).map(expected).collect();
                assert_close("turned", &found, &expected, 1e-6);
            }
        }
    }

    #[test]
    fn backward_is_the_transpose() {
        for pool in pools(1) {
            let positions: Vec<usize> = (0..9).collect();
            let table = RotaryTable::new(&pool, &positions, &[1.0, 0.3, 0.01], 1.5);
            let (x, dy) = (random(1, 9 * 3 * 8), random(2, 9 * 3 * 8));
            let (mut y, mut dx) = (x.clone(), dy.clone());
            table.apply(&pool, &mut y, 8, Direction::Forward);
            table.apply(&pool, &mut dx, 8, Direction::Backward);
            let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum() };
            assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-5, "⟨Rx, dy⟩ = ⟨x, Rᵀdy⟩");
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_company() {
        for pool in pools(2) {
            let positions: Vec<usize> = (100..160).collect();
            let frequencies: Vec<f32> = (0..32).map(|i| 1e5_f32.powf(-(i as f32) / 32.0)).collect();
            let x = random(4, 60 * 576);
            let mut all = x.clone();
            RotaryTable::new(&pool, &positions, &frequencies, 1.0).apply(&pool, &mut all, 64, Direction::Forward);
            for (row, position) in positions.iter().enumerate() {
                let mut alone = x[row * 576..][..576].to_vec();
                let table = RotaryTable::new(&pool, &[*position], &frequencies, 1.0);
                table.apply(&pool, &mut alone, 64, Direction::Forward);
                assert_same_bits("row", &alone, &all[row * 576..][..576]);
            }
        }
    }
}
