//! Reward-aware Preference Optimization, for pairs and for K rewrites.
//!
//! ## Objective
//! L = D[a ‖ b], a = β log(ρ/ρ_ref), b = η r. For a pair, with a and b the chosen-minus-rejected differences:
//! - (1) sq   ½ (a − b)²
//! - (2) bwd  KL( Bern(σ(b)) ‖ Bern(σ(a)) )   target first, mass-covering
//! - (3) fwd  KL( Bern(σ(a)) ‖ Bern(σ(b)) )   policy first, mode-seeking
//!
//! For K rewrites, p = softmax(a), q = softmax(b), bars the means over k:
//! - (4) sq   1/(2K) Σ_k [(a_k − ā) − (b_k − b̄)]²
//! - (5) bwd  KL(q ‖ p)
//! - (6) fwd  KL(p ‖ q)
//!
//! arXiv:2502.00203; (4)–(6) are the K-way form of (1)–(3), which depends on differences alone.
//!
//! ## Symbols
//! β `beta`; η `eta`; r `rewards`.
//!
//! ## Choices
//! The authors' code has (a − b)² without the half. "Backward" and "forward" are the authors' words: most texts call
//! bwd the forward divergence. K = 2 makes (5) and (6) equal to (2) and (3), while (4) is a quarter of (1), being a
//! mean of squares around the mean. The order of the pair need not follow the reward: b may be negative.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/rpo.json`, written by `tools/golden/objective/rpo.py`.

use super::group::{Group, GroupGradient, GroupLoss, Scores};
use super::pair::{Pair, PairLoss, Sides};
use crate::error::{Error, finite, positive};
use crate::logspace::{log_sigmoid, sigmoid};

/// How far the policy's rewards are from the given ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Half the squared difference.
    Square,
    /// KL from the target to the policy; DPO's side.
    Backward,
    /// KL from the policy to the target; EXO's side.
    Forward,
}

/// Options of [`rpo`] and [`rpo_group`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rpo {
    /// β: scale of the implicit reward.
    pub beta: f64,
    /// η: scale of the given reward.
    pub eta: f64,
    /// The distance between them.
    pub distance: Distance,
}

impl Rpo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)?;
        finite("eta", self.eta)
    }

    /// KL strength of the minimiser: ρ_ref exp(r / `lambda_eff`), whatever the distance.
    pub fn lambda_eff(&self) -> f64 {
        self.beta / self.eta
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{Distance, Pair, Rpo, Sides, rpo};
/// let pair = Pair {
///     rewards: Sides::new(0.8, 0.0),
///     ..Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5))
/// };
/// let options = Rpo { beta: 0.1, eta: 1.0, distance: Distance::Backward };
/// assert!((rpo(&pair, options).loss - 0.0483397945747025).abs() < 1e-15);
/// ```
pub fn rpo(pair: &Pair, options: Rpo) -> PairLoss {
    let a = options.beta * pair.log_ratios().margin();
    let b = options.eta * pair.rewards.margin();
    let (loss, d_a, d_b) = match options.distance {
        Distance::Square => (0.5 * (a - b) * (a - b), a - b, b - a), // (1)
        Distance::Backward => bernoulli_divergence(b, a).swapped(),  // (2)
        Distance::Forward => bernoulli_divergence(a, b).in_order(),  // (3)
    };
    let by_margin = PairLoss::of_scaled_margin(pair, options.beta, loss, d_a);
    PairLoss { d_rewards: Sides::opposite(options.eta * d_b), ..by_margin }
}

/// KL( Bern(σ(first)) ‖ Bern(σ(second)) ) with its derivatives.
struct BernoulliDivergence {
    value: f64,
    d_first: f64,
    d_second: f64,
}

fn bernoulli_divergence(first: f64, second: f64) -> BernoulliDivergence {
    let (yes, no) = (sigmoid(first), sigmoid(-first));
    BernoulliDivergence {
        value: yes * (log_sigmoid(first) - log_sigmoid(second)) + no * (log_sigmoid(-first) - log_sigmoid(-second)),
        d_first: yes * no * (first - second),
        // σ(second) − σ(first) from whichever tail keeps its digits.
        d_second: if second > 0.0 { no - sigmoid(-second) } else { sigmoid(second) - yes },
    }
}

impl BernoulliDivergence {
    /// Loss, derivative in the first argument, derivative in the second.
    fn in_order(self) -> (f64, f64, f64) {
        (self.value, self.d_first, self.d_second)
    }

    /// Loss, derivative in the second argument, derivative in the first.
    fn swapped(self) -> (f64, f64, f64) {
        (self.value, self.d_second, self.d_first)
    }
}

/// Loss of one group of K ≥ 2 rewrites; writes the gradient.
///
/// ```
/// use objective::{Distance, Group, GroupGradient, Rpo, rpo_group};
/// let group = Group { policy_logps: &[0.3, -0.2, 1.1], ref_logps: &[0.0; 3], rewards: &[1.0, 0.0, 0.5] };
/// let (mut d_logps, mut d_rewards) = ([0.0; 3], [0.0; 3]);
/// let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
/// let loss = rpo_group(group, Rpo { beta: 1.0, eta: 1.0, distance: Distance::Backward }, gradient)?;
/// assert!((loss.loss - 0.17061935792732305).abs() < 1e-15);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn rpo_group(group: Group<'_>, options: Rpo, gradient: GroupGradient<'_>) -> Result<GroupLoss, Error> {
    let s = Scores::new("rpo", group, (options.beta, options.eta), &gradient)?;
    let p = |k| s.log_p(k).exp();
    let q = |k| s.log_q(k).exp();
    let log_p_over_q = |k| s.log_p(k) - s.log_q(k);
    Ok(match options.distance {
        Distance::Square => {
            let weight = 1.0 / s.size() as f64;
            let shift = s.mean_over(|_| weight, |k| s.a(k) - s.b(k));
            let centred = |k| s.a(k) - s.b(k) - shift;
            let loss = 0.5 * s.mean_over(|_| weight, |k| centred(k) * centred(k)); // (4)
            s.finish(loss, gradient, |k| weight * centred(k), |k| -weight * centred(k))
        }
        Distance::Backward => {
            let loss = -s.mean_over(q, log_p_over_q); // (5)
            s.finish(loss, gradient, |k| p(k) - q(k), |k| -q(k) * (log_p_over_q(k) + loss))
        }
        Distance::Forward => {
            let loss = s.mean_over(p, log_p_over_q); // (6)
            s.finish(loss, gradient, |k| p(k) * (log_p_over_q(k) - loss), |k| q(k) - p(k))
        }
    })
}
