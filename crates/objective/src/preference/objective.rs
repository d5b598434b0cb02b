//! The preference objectives as values: what a configuration chooses and a training loop calls.

use super::{
    Aipo, AlphaDpo, Cdpo, Dpo, DpoRw, ExoPref, ExoRw, Group, GroupGradient, GroupLoss, Ipo, Pair, PairLoss, Rpo, Simpo,
    Sppo, aipo, alpha_dpo, cdpo, dpo, dpo_rw, exo_pref, exo_rw, ipo, rpo, rpo_group, simpo, sppo,
};
use crate::error::Error;

/// A pairwise objective with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented by the options it carries")]
pub enum PairObjective {
    Dpo(Dpo),
    Cdpo(Cdpo),
    Ipo(Ipo),
    Simpo(Simpo),
    Rpo(Rpo),
    ExoPref(ExoPref),
    AlphaDpo(AlphaDpo),
    Aipo(Aipo),
    Sppo(Sppo),
}

impl PairObjective {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            PairObjective::Dpo(options) => options.check(),
            PairObjective::Cdpo(options) => options.check(),
            PairObjective::Ipo(options) => options.check(),
            PairObjective::Simpo(options) => options.check(),
            PairObjective::Rpo(options) => options.check(),
            PairObjective::ExoPref(options) => options.check(),
            PairObjective::AlphaDpo(options) => options.check(),
            PairObjective::Aipo(options) => options.check(),
            PairObjective::Sppo(options) => options.check(),
        }
    }

    /// Loss of one pair, unreduced.
    ///
    /// ```
    /// use objective::{Dpo, Pair, PairObjective, Sides, dpo};
    /// let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
    /// let options = Dpo { beta: 0.1 };
    /// assert_eq!(PairObjective::Dpo(options).loss(&pair), dpo(&pair, options));
    /// ```
    pub fn loss(&self, pair: &Pair) -> PairLoss {
        match *self {
            PairObjective::Dpo(options) => dpo(pair, options),
            PairObjective::Cdpo(options) => cdpo(pair, options),
            PairObjective::Ipo(options) => ipo(pair, options),
            PairObjective::Simpo(options) => simpo(pair, options),
            PairObjective::Rpo(options) => rpo(pair, options),
            PairObjective::ExoPref(options) => exo_pref(pair, options),
            PairObjective::AlphaDpo(options) => alpha_dpo(pair, options),
            PairObjective::Aipo(options) => aipo(pair, options),
            PairObjective::Sppo(options) => sppo(pair, options),
        }
    }
}

/// A group objective with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant is documented by the options it carries")]
pub enum GroupObjective {
    Rpo(Rpo),
    ExoRw(ExoRw),
    DpoRw(DpoRw),
}

impl GroupObjective {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            GroupObjective::Rpo(options) => options.check(),
            GroupObjective::ExoRw(options) => options.check(),
            GroupObjective::DpoRw(options) => options.check(),
        }
    }

    /// KL strength of the minimiser: what to match when methods are compared.
    pub fn lambda_eff(&self) -> f64 {
        match self {
            GroupObjective::Rpo(options) => options.lambda_eff(),
            GroupObjective::ExoRw(options) => options.lambda_eff(),
            GroupObjective::DpoRw(options) => options.lambda_eff(),
        }
    }

    /// Loss of one group, unreduced; writes the gradient.
    pub fn loss(&self, group: Group<'_>, gradient: GroupGradient<'_>) -> Result<GroupLoss, Error> {
        match *self {
            GroupObjective::Rpo(options) => rpo_group(group, options, gradient),
            GroupObjective::ExoRw(options) => exo_rw(group, options, gradient),
            GroupObjective::DpoRw(options) => dpo_rw(group, options, gradient),
        }
    }
}
