//! Every analytic derivative against finite differences, over 10,000 seeded cases a method.
//!
//! `cargo test -p objective --test it gradients -- --nocapture` prints the largest error per method: the difference of
//! analytic and numeric gradient, divided by the largest component of the case's gradient.

use objective::{
    Advantage, Aipo, AlphaDpo, Cdpo, Clip, Distance, Dpo, DpoRw, ExoPref, ExoRw, Group, GroupGradient, GroupObjective,
    Ipo, KlEstimator, KlPenalty, Kto, Label, LabelNoise, Normaliser, Pair, PairObjective, PolicyObjective, RatioLevel,
    Rewrite, Rpo, Sides, Simpo, Sppo, dapo, dr_grpo, grpo, gspo, kto, policy_loss, ppo, reinforce, rloo, rloo_clipped,
    sft_masked, value_loss,
};

use crate::random::Random;

const CASES: usize = 10_000;
const TOLERANCE: f64 = 1e-8;

type Value<'a> = Box<dyn Fn(&[f64]) -> f64 + 'a>;

/// A point at which a function and its gradient are compared.
struct Case<'a> {
    at: Vec<f64>,
    gradient: Vec<f64>,
    value: Value<'a>,
}

/// Central difference of fourth order.
fn slope(case: &Case<'_>, index: usize) -> f64 {
    let step = 1e-3;
    let value = |shift: f64| {
        let mut at = case.at.clone();
        at[index] += shift;
        (case.value)(&at)
    };
    (8.0 * (value(step) - value(-step)) - (value(2.0 * step) - value(-2.0 * step))) / (12.0 * step)
}

/// Largest error over the cases; `make` returns `None` for a case too close to a kink.
fn largest_error<'a>(seed: u64, make: impl Fn(&mut Random) -> Option<Case<'a>>) -> f64 {
    let mut random = Random::new(seed);
    let mut largest: f64 = 0.0;
    for _ in 0..CASES {
        let case = std::iter::repeat_with(|| make(&mut random)).flatten().next().unwrap();
        let scale = case.gradient.iter().fold(1e-3, |scale: f64, slope| scale.max(slope.abs()));
        for index in 0..case.at.len() {
            let error = (case.gradient[index] - slope(&case, index)).abs() / scale;
            assert!(error.is_finite(), "{:?}", case.at);
            largest = largest.max(error);
        }
    }
    largest
}

fn report(method: &str, error: f64) {
    println!("{method:<28} {error:.1e}");
    assert!(error < TOLERANCE, "{method}: {error}");
}

fn pair_of(at: &[f64], lengths: Sides) -> Pair {
    Pair {
        policy: Sides::new(at[0], at[1]),
        reference: Sides::new(at[2], at[3]),
        rewards: Sides::new(at[4], at[5]),
        lengths,
    }
}

fn pair_case(random: &mut Random, objective: PairObjective, average: bool) -> Case<'static> {
    let mut at = random.vector(4, -30.0, -1.0);
    at.extend(random.vector(2, -2.0, 2.0));
    let lengths = Sides::new(random.integer(1, 30) as f64, random.integer(1, 30) as f64);
    let loss = move |at: &[f64]| {
        let pair = pair_of(at, lengths);
        if average { objective.loss(&pair.averaged()).per_token(lengths) } else { objective.loss(&pair) }
    };
    let found = loss(&at);
    let sides = [found.d_policy, found.d_reference, found.d_rewards];
    let gradient = sides.iter().flat_map(|side| [side.chosen, side.rejected]).collect();
    Case { at, gradient, value: Box::new(move |at| loss(at).loss) }
}

#[test]
fn pairwise() {
    let beta = |random: &mut Random| random.uniform(0.02, 1.0);
    let smoothing = |random: &mut Random| random.uniform(1e-3, 0.4);
    let alpha_dpo = |random: &mut Random| AlphaDpo { beta: beta(random), alpha: random.uniform(-0.2, 0.5) };
    let rpo = |distance| {
        move |random: &mut Random| {
            PairObjective::Rpo(Rpo { beta: beta(random), eta: random.uniform(0.1, 3.0), distance })
        }
    };
    let cdpo = |noise| {
        move |random: &mut Random| {
            PairObjective::Cdpo(Cdpo { beta: beta(random), label_smoothing: smoothing(random), noise })
        }
    };
    type Options<'a> = Box<dyn Fn(&mut Random) -> PairObjective + 'a>;
    let methods: [(&str, Options<'_>); 12] = [
        ("dpo", Box::new(|random| PairObjective::Dpo(Dpo { beta: beta(random) }))),
        ("cdpo, conservative", Box::new(cdpo(LabelNoise::Conservative))),
        ("cdpo, unbiased", Box::new(cdpo(LabelNoise::Unbiased))),
        ("ipo", Box::new(|random| PairObjective::Ipo(Ipo { beta: beta(random) }))),
        (
            "simpo",
            Box::new(|random| PairObjective::Simpo(Simpo { beta: beta(random), gamma: random.uniform(0.0, 2.0) })),
        ),
        ("rpo, sq", Box::new(rpo(Distance::Square))),
        ("rpo, bwd", Box::new(rpo(Distance::Backward))),
        ("rpo, fwd", Box::new(rpo(Distance::Forward))),
        (
            "exo_pref",
            Box::new(|random| {
                PairObjective::ExoPref(ExoPref { beta: beta(random), label_smoothing: smoothing(random) })
            }),
        ),
        ("alpha_dpo", Box::new(move |random| PairObjective::AlphaDpo(alpha_dpo(random)))),
        (
            "aipo",
            Box::new(move |random| {
                PairObjective::Aipo(Aipo { preference: alpha_dpo(random), nll_weight: random.uniform(0.0, 1.0) })
            }),
        ),
        ("sppo", Box::new(|random| PairObjective::Sppo(Sppo { beta: beta(random) }))),
    ];
    for (seed, (name, options)) in methods.into_iter().enumerate() {
        let make = |random: &mut Random, average| {
            let objective = options(random);
            Some(pair_case(random, objective, average))
        };
        report(name, largest_error(seed as u64, |random| make(random, false)));
        report(&format!("{name}, per token"), largest_error(seed as u64, |random| make(random, true)));
    }
}

fn group_case(random: &mut Random, objective: GroupObjective) -> Case<'static> {
    let size = random.integer(2, 6);
    let loss = move |at: &[f64], d_policy: &mut [f64], d_rewards: &mut [f64]| {
        let group = Group { policy_logps: &at[..size], ref_logps: &at[size..2 * size], rewards: &at[2 * size..] };
        objective.loss(group, GroupGradient { policy_logps: d_policy, rewards: d_rewards }).unwrap().loss
    };
    let mut at = random.vector(2 * size, -20.0, -1.0);
    at.extend(random.vector(size, -2.0, 2.0));
    let (mut d_policy, mut d_rewards) = (vec![0.0; size], vec![0.0; size]);
    loss(&at, &mut d_policy, &mut d_rewards);
    let d_ref: Vec<f64> = d_policy.iter().map(|slope| -slope).collect();
    let gradient = [d_policy, d_ref, d_rewards].concat();
    Case { at, gradient, value: Box::new(move |at| loss(at, &mut vec![0.0; size], &mut vec![0.0; size])) }
}

#[test]
fn groups() {
    for (seed, distance) in [Distance::Square, Distance::Backward, Distance::Forward].into_iter().enumerate() {
        let error = largest_error(seed as u64, |random| {
            let options = Rpo { beta: random.uniform(0.02, 1.0), eta: random.uniform(0.1, 3.0), distance };
            Some(group_case(random, GroupObjective::Rpo(options)))
        });
        report(&format!("rpo of K, {distance:?}"), error);
    }
    let scales = |random: &mut Random| (random.uniform(0.05, 1.0), random.uniform(0.1, 1.0));
    let exo_rw = largest_error(10, |random| {
        let (beta_pi, beta_r) = scales(random);
        Some(group_case(random, GroupObjective::ExoRw(ExoRw { beta_pi, beta_r })))
    });
    report("exo_rw", exo_rw);
    let dpo_rw = largest_error(11, |random| {
        let (beta_pi, beta_r) = scales(random);
        Some(group_case(random, GroupObjective::DpoRw(DpoRw { beta_pi, beta_r })))
    });
    report("dpo_rw", dpo_rw);
}

#[test]
fn single_rewrites() {
    let error = largest_error(0, |random| {
        let label = if random.uniform(0.0, 1.0) < 0.5 { Label::Desirable } else { Label::Undesirable };
        let options = Kto {
            beta: random.uniform(0.02, 1.0),
            reference_point: random.uniform(0.0, 3.0),
            desirable_weight: random.uniform(0.5, 2.0),
            undesirable_weight: random.uniform(0.5, 2.0),
        };
        let at = random.vector(2, -15.0, -1.0);
        let d_policy = kto(at[0], at[1], label, options).d_policy;
        let value = move |at: &[f64]| kto(at[0], at[1], label, options).loss;
        Some(Case { at, gradient: vec![d_policy, -d_policy], value: Box::new(value) })
    });
    report("kto", error);
    let error = largest_error(1, |random| {
        let at = random.vector(5, -6.0, 0.0);
        let mask: Vec<bool> = (0..5).map(|_| random.uniform(0.0, 1.0) < 0.7).collect();
        let mut gradient = vec![0.0; 5];
        sft_masked(&at, &mask, &mut gradient).unwrap();
        let value = move |at: &[f64]| sft_masked(at, &mask, &mut [0.0; 5]).unwrap().0;
        Some(Case { at, gradient, value: Box::new(value) })
    });
    report("sft", error);
}

/// Whether a ratio is so close to a bound that the finite difference would step over it.
fn near_a_kink(objective: &PolicyObjective, rewrite: &Rewrite<'_>) -> bool {
    let Clip::Range { low, high } = objective.clip else { return false };
    let old = rewrite.old_token_logps.unwrap();
    let token_log_ratios: Vec<f64> = rewrite.token_logps.iter().zip(old).map(|(now, old)| now - old).collect();
    let total: f64 = token_log_ratios.iter().sum();
    let log_ratios = match objective.ratio {
        RatioLevel::Score => return false,
        RatioLevel::Token => token_log_ratios,
        RatioLevel::Sequence => vec![total],
        RatioLevel::SequenceMean => vec![total / old.len() as f64],
    };
    let close = |log_ratio: &f64, bound: f64| (log_ratio - bound.max(1e-300).ln()).abs() < 5e-3;
    log_ratios.iter().any(|log_ratio| close(log_ratio, 1.0 - low) || close(log_ratio, 1.0 + high))
}

fn policy_case(random: &mut Random, objective: PolicyObjective, per_token: bool) -> Option<Case<'static>> {
    let tokens = random.integer(1, 6);
    let at = random.vector(tokens, -4.0, -0.1);
    let old: Vec<f64> = at.iter().map(|logp| logp + random.uniform(-0.5, 0.5)).collect();
    let reference: Vec<f64> = at.iter().map(|logp| logp + random.uniform(-1.0, 1.0)).collect();
    let advantages = random.vector(tokens, -2.0, 2.0);
    let loss = move |at: &[f64], gradient: &mut [f64]| {
        let rewrite = Rewrite { token_logps: at, old_token_logps: Some(&old), ref_token_logps: Some(&reference) };
        let advantage = if per_token { Advantage::Tokens(&advantages) } else { Advantage::Rewrite(advantages[0]) };
        let kink = near_a_kink(&objective, &rewrite);
        (policy_loss(&rewrite, advantage, &objective, gradient).unwrap().loss, kink)
    };
    let mut gradient = vec![0.0; tokens];
    let (_, kink) = loss(&at, &mut gradient);
    (!kink).then(|| Case { at, gradient, value: Box::new(move |at| loss(at, &mut vec![0.0; tokens]).0) })
}

#[test]
fn policies() {
    let penalised = |estimator| PolicyObjective {
        ratio: RatioLevel::Token,
        clip: Clip::Range { low: 0.1, high: 0.3 },
        kl: Some(KlPenalty { lambda: 0.2, estimator }),
        normaliser: Normaliser::PerToken,
    };
    let unclipped = |ratio| PolicyObjective { ratio, clip: Clip::Unclipped, ..ppo(0.2) };
    let methods = [
        ("reinforce", reinforce(), false),
        ("rloo", rloo(), false),
        ("rloo, clipped", rloo_clipped(Clip::symmetric(0.2)), false),
        ("ppo", ppo(0.2), true),
        ("grpo", grpo(0.2, 0.1), false),
        ("dr_grpo", dr_grpo(0.2, 64.0), false),
        ("dapo", dapo(0.2, 0.28), false),
        ("gspo", gspo(0.1, 0.2), false),
        ("token ratio, k1", penalised(KlEstimator::K1), false),
        ("token ratio, k2", penalised(KlEstimator::K2), false),
        ("token ratio, k3", penalised(KlEstimator::K3), true),
        ("token ratio, unclipped", unclipped(RatioLevel::Token), true),
        ("sequence ratio, unclipped", unclipped(RatioLevel::Sequence), false),
    ];
    for (seed, (name, objective, per_token)) in methods.into_iter().enumerate() {
        report(name, largest_error(seed as u64, |random| policy_case(random, objective, per_token)));
    }
}

#[test]
fn critic() {
    let error = largest_error(0, |random| {
        let at = random.vector(4, -1.0, 1.0);
        let (old, returns) = (random.vector(4, -1.0, 1.0), random.vector(4, -1.5, 1.5));
        let clip = 0.2;
        // The kinks: where clipping sets in, and where the clipped error overtakes the other.
        let kink = (0..4).any(|t| {
            let held = old[t] + (at[t] - old[t]).clamp(-clip, clip);
            let tie = (at[t] - returns[t]).abs() - (held - returns[t]).abs();
            ((at[t] - old[t]).abs() - clip).abs() < 5e-3 || (held != at[t] && tie.abs() < 5e-3)
        });
        let mut gradient = vec![0.0; 4];
        value_loss(&at, &old, &returns, clip, &mut gradient).unwrap();
        let value = move |at: &[f64]| value_loss(at, &old, &returns, clip, &mut [0.0; 4]).unwrap().loss;
        (!kink).then(|| Case { at, gradient, value: Box::new(value) })
    });
    report("ppo, value head", error);
}
