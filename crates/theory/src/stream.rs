//! A small stable generator of pseudo-random numbers.
//!
//! SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): sixty-four bits of state, passes BigCrush, and the same numbers on
//! every machine and in every version of this crate. Resampling needs no more; it is no generator for secrets.

/// A stream of pseudo-random numbers, fixed by its seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of a seed.
    ///
    /// ```
    /// let (mut one, mut two) = (theory::Stream::new(7), theory::Stream::new(7));
    /// assert_eq!(one.next_bits(), two.next_bits());
    /// ```
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    ///
    /// ```
    /// assert_eq!(theory::Stream::new(0).next_bits(), 0xE220_A839_7B1D_CDAF);
    /// ```
    pub fn next_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number in [0, 1), a multiple of 2⁻⁵³.
    ///
    /// ```
    /// assert!((0.0..1.0).contains(&theory::Stream::new(3).uniform()));
    /// ```
    pub fn uniform(&mut self) -> f64 {
        (self.next_bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A whole number below `n`; 0 when `n` is 0. The bias of the multiplication is below n / 2⁶⁴.
    ///
    /// ```
    /// assert!(theory::Stream::new(3).below(5) < 5);
    /// ```
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_bits()) * n as u128) >> 64) as usize
    }

    /// A draw from the standard normal distribution (Box and Muller 1958, the cosine branch).
    ///
    /// ```
    /// let mut stream = theory::Stream::new(1);
    /// let mean = (0..10_000).map(|_| stream.normal()).sum::<f64>() / 1e4;
    /// assert!(mean.abs() < 0.05);
    /// ```
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
