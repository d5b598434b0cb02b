//! What can be wrong with the numbers an objective is given.

/// Everything a caller of this crate can act on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Two columns that belong together differ in length.
    #[error("`{field}` has {found} entries where {expected} are needed")]
    Length {
        /// The column.
        field: &'static str,
        /// Entries its companions have.
        expected: usize,
        /// Entries it has.
        found: usize,
    },
    /// A group is too small for the method: leave-one-out and deviations need two rewrites.
    #[error("a group of {found} is too small, {method} needs at least {least}")]
    GroupTooSmall {
        /// What was asked for.
        method: &'static str,
        /// Smallest size that works.
        least: usize,
        /// Size given.
        found: usize,
    },
    /// An option lies outside the range in which the method is defined.
    #[error("option `{option}` must be {range}, got {given}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its range, in words.
        range: &'static str,
        /// The value given.
        given: f64,
    },
    /// The method needs a column that was not given.
    #[error("{method} needs `{field}`")]
    Missing {
        /// The method.
        method: &'static str,
        /// The column.
        field: &'static str,
    },
    /// A ratio over whole rewrites cannot carry an advantage per token.
    #[error("a ratio over whole rewrites takes one advantage a rewrite, not one a token")]
    TokenAdvantage,
}

/// Refuses a column whose length differs from that of its companions.
pub(crate) fn same_length(field: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { field, expected, found }) }
}

/// Refuses an option that is not a finite number above zero.
pub(crate) fn positive(option: &'static str, given: f64) -> Result<(), Error> {
    in_range(option, "a finite number above 0", given, given > 0.0)
}

/// Refuses an option that is not a finite number.
pub(crate) fn finite(option: &'static str, given: f64) -> Result<(), Error> {
    in_range(option, "a finite number", given, true)
}

/// Refuses an option that is not finite or for which `holds` is false.
pub(crate) fn in_range(option: &'static str, range: &'static str, given: f64, holds: bool) -> Result<(), Error> {
    if given.is_finite() && holds { Ok(()) } else { Err(Error::Option { option, range, given }) }
}
