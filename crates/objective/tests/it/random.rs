//! A small seeded generator (SplitMix64), so that every run sees the same cases.

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [low, high).
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in {low, …, high}.
    pub(crate) fn integer(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    pub(crate) fn vector(&mut self, size: usize, low: f64, high: f64) -> Vec<f64> {
        (0..size).map(|_| self.uniform(low, high)).collect()
    }

    /// Probabilities of a table of this size.
    pub(crate) fn distribution(&mut self, size: usize) -> Vec<f64> {
        let weights: Vec<f64> = (0..size).map(|_| -self.uniform(1e-3, 1.0).ln()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }
}
