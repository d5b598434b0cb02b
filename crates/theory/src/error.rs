//! What can be wrong with the tables and samples this crate is given.

/// Everything a caller of this crate can act on.
///
/// `place` names the offending entry as its caller wrote it: `pi_f[1][2]` is the distribution over responses of
/// prompt 1 under rewrite 2, counted from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Two tables that belong together differ in length.
    #[error("`{place}` has {found} entries where {expected} are needed")]
    Length {
        /// The table.
        place: String,
        /// Entries its companions have.
        expected: usize,
        /// Entries it has.
        found: usize,
    },
    /// A table has no entries.
    #[error("`{place}` is empty")]
    Empty {
        /// The table.
        place: String,
    },
    /// A number is NaN or infinite.
    #[error("`{place}` must be a finite number, found {found}")]
    NotFinite {
        /// The entry.
        place: String,
        /// What stands there.
        found: f64,
    },
    /// A probability or weight is negative.
    #[error("`{place}` must not be negative, found {found}")]
    Negative {
        /// The entry.
        place: String,
        /// What stands there.
        found: f64,
    },
    /// A strength or scale is zero or negative.
    #[error("`{place}` must be above 0, found {found}")]
    NotPositive {
        /// The entry.
        place: String,
        /// What stands there.
        found: f64,
    },
    /// A row of probabilities does not sum to one.
    #[error("`{place}` must sum to 1, its entries sum to {found}")]
    RowSum {
        /// The row.
        place: String,
        /// The sum of its entries.
        found: f64,
    },
    /// A number lies outside the range it was promised to lie in.
    #[error("`{place}` must lie in [{low}, {high}], found {found}")]
    OutOfRange {
        /// The entry.
        place: String,
        /// Smallest allowed.
        low: f64,
        /// Largest allowed.
        high: f64,
        /// What stands there.
        found: f64,
    },
    /// Fewer samples than the estimate needs.
    #[error("{method} needs at least {least} samples, found {found}")]
    TooFewSamples {
        /// What was asked for.
        method: &'static str,
        /// Smallest number that works.
        least: usize,
        /// Samples given.
        found: usize,
    },
    /// A weight of an ordered weighted average exceeds the one before it.
    #[error("OWA weights must not increase: `weights[{index}]` is {found}, after {previous}")]
    IncreasingWeights {
        /// Where.
        index: usize,
        /// The weight before it.
        previous: f64,
        /// The weight there.
        found: f64,
    },
    /// An objective refused what it was given.
    #[error("the objective cannot be evaluated")]
    Objective(#[from] objective::Error),
}

/// Refuses a table whose length differs from that of its companions.
pub(crate) fn same_length(place: &str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { place: place.into(), expected, found }) }
}

/// Refuses a table without entries and entries that are not finite.
pub(crate) fn finite(place: &str, entries: &[f64]) -> Result<(), Error> {
    if entries.is_empty() {
        return Err(Error::Empty { place: place.into() });
    }
    match entries.iter().position(|entry| !entry.is_finite()) {
        Some(index) => Err(Error::NotFinite { place: format!("{place}[{index}]"), found: entries[index] }),
        None => Ok(()),
    }
}

/// Refuses a number that is not finite or not above zero.
pub(crate) fn positive(place: &str, found: f64) -> Result<(), Error> {
    if !found.is_finite() {
        Err(Error::NotFinite { place: place.into(), found })
    } else if found <= 0.0 {
        Err(Error::NotPositive { place: place.into(), found })
    } else {
        Ok(())
    }
}

/// Refuses entries that are not finite or negative.
pub(crate) fn not_negative(place: &str, entries: &[f64]) -> Result<(), Error> {
    finite(place, entries)?;
    match entries.iter().position(|entry| *entry < 0.0) {
        Some(index) => Err(Error::Negative { place: format!("{place}[{index}]"), found: entries[index] }),
        None => Ok(()),
    }
}

/// Refuses a number outside `[low, high]`.
pub(crate) fn within(place: &str, low: f64, high: f64, found: f64) -> Result<(), Error> {
    if found.is_finite() && (low..=high).contains(&found) {
        Ok(())
    } else {
        Err(Error::OutOfRange { place: place.into(), low, high, found })
    }
}

/// Refuses fewer samples than `method` needs.
pub(crate) fn at_least(method: &'static str, least: usize, found: usize) -> Result<(), Error> {
    if found >= least { Ok(()) } else { Err(Error::TooFewSamples { method, least, found }) }
}
