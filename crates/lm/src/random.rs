//! Random numbers whose streams never change: the same seed gives the same numbers in every version, on every machine.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): 64 bits of state,
//! equidistributed, passes BigCrush, and neighbouring seeds give unrelated streams, which is what one stream a sample
//! needs. Uniform numbers come from the top bits by exact arithmetic, so no maths library can change them.

/// A SplitMix64 stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    state: u64,
}

/// The odd integer closest to 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Generator {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Generator {
        Generator { state: seed }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [-bound, bound).
    pub fn symmetric(&mut self, bound: f64) -> f64 {
        (2.0 * self.uniform() - 1.0) * bound
    }
}

/// One seed from several numbers, such as (run seed, step, prompt, sample): a stable hash that depends on their order.
pub fn derive_seed(parts: &[u64]) -> u64 {
    parts.iter().fold(mix(GAMMA), |hash, &part| mix(hash.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA))))
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's first outputs (`splitmix64.c` by Vigna) for these seeds.
    #[test]
    fn the_stream_is_splitmix64() {
        let first = |seed, n| {
            let mut generator = Generator::new(seed);
            (0..n).map(|_| generator.bits()).collect::<Vec<_>>()
        };
        let expected = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f, 0xf88b_b8a8_724c_81ec];
        assert_eq!(first(0, 4), expected);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first(1_234_567, 3), expected);
    }

    #[test]
    fn uniform_numbers_fill_the_unit_interval() {
        let mut generator = Generator::new(7);
        let draws: Vec<f64> = (0..20_000).map(|_| generator.uniform()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
        let second = draws.iter().map(|draw| draw * draw).sum::<f64>() / draws.len() as f64;
        assert!((second - 1.0 / 3.0).abs() < 0.01, "second moment {second}");
    }

    #[test]
    fn derived_seeds_depend_on_every_part_and_on_their_order() {
        let seeds = [&[1u64, 2][..], &[2, 1], &[1, 3], &[0, 2], &[1], &[1, 2, 0], &[]].map(derive_seed);
        for (index, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..index].contains(seed), "seed {index} repeats");
        }
        assert_eq!(derive_seed(&[1, 2]), derive_seed(&[1, 2]));
    }
}
