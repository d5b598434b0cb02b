//! A pair of rewrites and what a pairwise loss says about it.

use std::ops::{Add, Div, Mul, Sub};

/// A quantity of the chosen rewrite beside the same quantity of the rejected one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sides {
    /// Of the chosen rewrite.
    pub chosen: f64,
    /// Of the rejected rewrite.
    pub rejected: f64,
}

impl Sides {
    /// Chosen and rejected, in this order.
    pub const fn new(chosen: f64, rejected: f64) -> Self {
        Sides { chosen, rejected }
    }

    /// chosen − rejected.
    pub const fn margin(self) -> f64 {
        self.chosen - self.rejected
    }

    /// `slope` on the chosen side, −`slope` on the rejected one: the gradient of anything that sees only the margin.
    pub const fn opposite(slope: f64) -> Self {
        Sides { chosen: slope, rejected: -slope }
    }
}

impl Add for Sides {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Sides::new(self.chosen + other.chosen, self.rejected + other.rejected)
    }
}

impl Sub for Sides {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Sides::new(self.chosen - other.chosen, self.rejected - other.rejected)
    }
}

impl Mul<f64> for Sides {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Sides::new(self.chosen * factor, self.rejected * factor)
    }
}

impl Div for Sides {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        Sides::new(self.chosen / other.chosen, self.rejected / other.rejected)
    }
}

/// Everything a pairwise objective may look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// log ρ(x'|x) under the prompter, summed over the rewrite's tokens.
    pub policy: Sides,
    /// log ρ_ref(x'|x) under the reference prompter, likewise.
    pub reference: Sides,
    /// Rewards, for RPO; win probabilities, for SPPO.
    pub rewards: Sides,
    /// Rewrite lengths in tokens, at least 1, for SimPO, AIPO and averaging.
    pub lengths: Sides,
}

impl Pair {
    /// A pair known by its log-probabilities alone: the chosen rewrite has reward 1, the rejected one 0 (RPO's
    /// published default, SPPO's hard label), both have length 1.
    pub const fn of_logps(policy: Sides, reference: Sides) -> Self {
        Pair { policy, reference, rewards: Sides::new(1.0, 0.0), lengths: Sides::new(1.0, 1.0) }
    }

    /// The same pair in log-probabilities per token, the convention of SimPO and of TRL's IPO.
    ///
    /// Any pairwise loss can be taken of it; [`PairLoss::per_token`] carries the gradient back to the sums.
    pub fn averaged(&self) -> Self {
        Pair {
            policy: self.policy / self.lengths,
            reference: self.reference / self.lengths,
            lengths: Sides::new(1.0, 1.0),
            ..*self
        }
    }

    /// log ρ − log ρ_ref of both rewrites.
    pub fn log_ratios(&self) -> Sides {
        self.policy - self.reference
    }
}

/// Loss of one pair with its exact derivatives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairLoss {
    /// The loss, unreduced.
    pub loss: f64,
    /// d loss / d [`Pair::policy`].
    pub d_policy: Sides,
    /// d loss / d [`Pair::reference`].
    pub d_reference: Sides,
    /// d loss / d [`Pair::rewards`]; zero for objectives that read no reward.
    pub d_rewards: Sides,
    /// The rewards that the policy implies, in the method's own scale: TRL's `rewards/chosen` and `rewards/rejected`.
    pub implicit_rewards: Sides,
}

impl PairLoss {
    /// A loss of a = β (s_θ − s_ref) alone, s being the margin of log-probabilities; `slope` is d loss / d a.
    pub(crate) fn of_scaled_margin(pair: &Pair, beta: f64, loss: f64, slope: f64) -> Self {
        PairLoss {
            loss,
            d_policy: Sides::opposite(beta * slope),
            d_reference: Sides::opposite(-beta * slope),
            d_rewards: Sides::default(),
            implicit_rewards: pair.log_ratios() * beta,
        }
    }

    /// The loss of [`Pair::averaged`], differentiated with respect to the summed log-probabilities.
    pub fn per_token(self, lengths: Sides) -> Self {
        PairLoss { d_policy: self.d_policy / lengths, d_reference: self.d_reference / lengths, ..self }
    }
}
