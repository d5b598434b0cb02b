//! Hashes and draws that are the same in every version and on every machine.

use sha2::{Digest, Sha256};

/// 64 bits that depend on every part, on the order of the parts, and on nothing else: the first of [`stable_digest`].
pub fn stable_hash(parts: &[&[u8]]) -> u64 {
    stable_digest(parts).iter().take(8).fold(0, |bits, &byte| (bits << 8) | u64::from(byte))
}

/// SHA-256 of the parts, each after its length, so that no other parts give the same.
pub fn stable_digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A number in [0, 1) from 64 bits, a multiple of 2^-53.
pub(crate) fn unit_interval(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws that depend on a seed, a stream and their position in it, so that no stream disturbs another.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    seed: u64,
    stream: u64,
    position: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, stream: u64) -> Draws {
        Draws { seed, stream, position: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.position += 1;
        stable_hash(&[&self.seed.to_le_bytes(), &self.stream.to_le_bytes(), &self.position.to_le_bytes()])
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        unit_interval(self.bits())
    }

    /// One of the items, each as likely as the others; `None` where there are none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = (self.uniform() * items.len() as f64) as usize;
        items.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_pinned_and_depend_on_the_cuts_between_parts() {
        // SHA-256 of eight zero bytes begins af5570f5a1810b7a.
        assert_eq!(stable_hash(&[b""]), 0xaf55_70f5_a181_0b7a);
        assert_ne!(stable_hash(&[b"ab", b"c"]), stable_hash(&[b"a", b"bc"]));
        assert_ne!(stable_hash(&[b"a", b"b"]), stable_hash(&[b"b", b"a"]));
    }

    #[test]
    fn draws_repeat_and_are_even() {
        let draw = |stream| {
            let mut draws = Draws::new(7, stream);
            (0..4000).map(|_| *draws.pick(&[0usize, 1, 2, 3]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for item in 0..4 {
            let n = draw(1).iter().filter(|&&drawn| drawn == item).count();
            assert!((900..1100).contains(&n), "{item} drawn {n} times");
        }
        assert_eq!(Draws::new(1, 1).pick::<u8>(&[]), None);
    }
}
