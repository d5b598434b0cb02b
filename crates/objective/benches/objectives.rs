//! Groups per second of every objective at K = 8 rewrites of 64 tokens each.
//!
//! Run with `cargo bench -p objective`. One element is one group: its advantages where the method has any, the losses
//! and gradients of all its rewrites (for pairwise methods its 8 · 7 / 2 pairs), written into reused buffers.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use objective::{
    Advantage, Aipo, AlphaDpo, BatchSize, Cdpo, Clip, Distance, Dpo, DpoRw, Error, ExoPref, ExoRw, Gae, Group,
    GroupGradient, GroupObjective, Ipo, KlEstimator, Kto, Label, LabelNoise, Pair, PairObjective, PolicyObjective,
    Rewrite, Rpo, Sides, Simpo, Sppo, ZScore, dapo, dr_grpo, gae, group_mean, grpo, gspo, kto, leave_one_out,
    policy_loss, ppo, reinforce, rloo, rloo_clipped, sft_masked, shape_token_rewards, value_loss, z_score,
};

const K: usize = 8;
const TOKENS: usize = 64;

/// Token log-probabilities of a group, whose entries are spread but reproducible.
struct Logps([[f64; TOKENS]; K]);

impl Logps {
    fn near(centre: f64) -> Self {
        let spread = |k: usize, t: usize| ((k * 37 + t * 17) % 101) as f64 / 202.0;
        Logps(std::array::from_fn(|k| std::array::from_fn(|t| centre - spread(k, t))))
    }

    fn sums(&self) -> [f64; K] {
        self.0.map(|row| row.iter().sum())
    }
}

const REWARDS: [f64; K] = [0.1, 0.9, 0.4, 0.3, 0.2, 0.8, 0.7, 0.6];

fn pairwise(bench: &mut Criterion) {
    let rpo = |distance| PairObjective::Rpo(Rpo { beta: 0.1, eta: 1.0, distance });
    let preference = AlphaDpo { beta: 0.1, alpha: 0.09 };
    let noise = LabelNoise::Conservative;
    let methods = [
        ("dpo", PairObjective::Dpo(Dpo { beta: 0.1 })),
        ("cdpo", PairObjective::Cdpo(Cdpo { beta: 0.1, label_smoothing: 0.1, noise })),
        ("ipo", PairObjective::Ipo(Ipo { beta: 0.1 })),
        ("simpo", PairObjective::Simpo(Simpo { beta: 2.0, gamma: 0.5 })),
        ("rpo_sq", rpo(Distance::Square)),
        ("rpo_bwd", rpo(Distance::Backward)),
        ("rpo_fwd", rpo(Distance::Forward)),
        ("exo_pref", PairObjective::ExoPref(ExoPref { beta: 0.1, label_smoothing: 1e-3 })),
        ("alpha_dpo", PairObjective::AlphaDpo(preference)),
        ("aipo", PairObjective::Aipo(Aipo { preference, nll_weight: 0.5 })),
        ("sppo", PairObjective::Sppo(Sppo { beta: 0.1 })),
    ];
    let (policy, reference) = (Logps::near(-1.0).sums(), Logps::near(-1.1).sums());
    let mut group = bench.benchmark_group("pairs_of_a_group");
    group.throughput(Throughput::Elements(1));
    for (name, objective) in methods {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let (policy, reference, mut gradient) = (black_box(&policy), black_box(&reference), [0.0; K]);
                for i in 0..K {
                    for j in i + 1..K {
                        let pair = Pair {
                            policy: Sides::new(policy[i], policy[j]),
                            reference: Sides::new(reference[i], reference[j]),
                            rewards: Sides::new(REWARDS[i], REWARDS[j]),
                            lengths: Sides::new(TOKENS as f64, TOKENS as f64),
                        };
                        let loss = objective.loss(&pair);
                        gradient[i] += loss.d_policy.chosen;
                        gradient[j] += loss.d_policy.rejected;
                    }
                }
                gradient
            });
        });
    }
    group.finish();
}

fn listwise(bench: &mut Criterion) {
    let rpo = |distance| GroupObjective::Rpo(Rpo { beta: 0.1, eta: 1.0, distance });
    let methods = [
        ("rpo_sq", rpo(Distance::Square)),
        ("rpo_bwd", rpo(Distance::Backward)),
        ("rpo_fwd", rpo(Distance::Forward)),
        ("exo_rw", GroupObjective::ExoRw(ExoRw { beta_pi: 0.7, beta_r: 0.5 })),
        ("dpo_rw", GroupObjective::DpoRw(DpoRw { beta_pi: 0.7, beta_r: 0.5 })),
    ];
    let (policy, reference) = (Logps::near(-1.0).sums(), Logps::near(-1.1).sums());
    let mut group = bench.benchmark_group("groups");
    group.throughput(Throughput::Elements(1));
    for (name, objective) in methods {
        group.bench_function(name, |bench| {
            let (mut d_logps, mut d_rewards) = ([0.0; K], [0.0; K]);
            bench.iter(|| {
                let own = Group { policy_logps: black_box(&policy), ref_logps: &reference, rewards: &REWARDS };
                let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
                objective.loss(own, gradient)
            });
        });
    }
    group.bench_function("kto", |bench| {
        let options = Kto { beta: 0.1, reference_point: 0.0, desirable_weight: 1.0, undesirable_weight: 1.0 };
        bench.iter(|| {
            let policy = black_box(&policy);
            let label = |k: usize| if REWARDS[k] > 0.5 { Label::Desirable } else { Label::Undesirable };
            (0..K).map(|k| kto(policy[k], reference[k], label(k), options).d_policy).sum::<f64>()
        });
    });
    group.finish();
}

type Baseline = fn(&[f64], &mut [f64]) -> Result<(), Error>;

fn online(bench: &mut Criterion) {
    let z_scored: Baseline = |rewards, out| z_score(rewards, ZScore::default(), out);
    let methods: [(&str, PolicyObjective, Baseline); 7] = [
        ("reinforce", reinforce(), group_mean),
        ("rloo", rloo(), leave_one_out),
        ("rloo_clipped", rloo_clipped(Clip::symmetric(0.2)), leave_one_out),
        ("grpo", grpo(0.2, 0.04), z_scored),
        ("dr_grpo", dr_grpo(0.2, TOKENS as f64), group_mean),
        ("dapo", dapo(0.2, 0.28), z_scored),
        ("gspo", gspo(3e-4, 4e-4), z_scored),
    ];
    let (now, old, reference) = (Logps::near(-1.0), Logps::near(-1.05), Logps::near(-1.1));
    let size = BatchSize { rewrites: K, tokens: K * TOKENS };
    let mut group = bench.benchmark_group("tokens");
    group.throughput(Throughput::Elements(1));
    for (name, objective, baseline) in methods {
        group.bench_function(name, |bench| {
            let mut gradient = [[0.0; TOKENS]; K];
            bench.iter(|| -> Result<f64, Error> {
                let mut advantages = [0.0; K];
                baseline(black_box(&REWARDS), &mut advantages)?;
                let mut total = 0.0;
                for k in 0..K {
                    let rewrite = Rewrite {
                        token_logps: black_box(&now.0[k]),
                        old_token_logps: Some(&old.0[k]),
                        ref_token_logps: Some(&reference.0[k]),
                    };
                    let advantage = Advantage::Rewrite(advantages[k]);
                    let loss = policy_loss(&rewrite, advantage, &objective, &mut gradient[k])?;
                    total += objective.normaliser.weight(loss.tokens, size) * loss.loss;
                }
                Ok(total)
            });
        });
    }
    group.bench_function("ppo", |bench| {
        let (mut gradient, mut d_values) = ([[0.0; TOKENS]; K], [0.0; TOKENS]);
        bench.iter(|| actor_and_critic([&now, &old, &reference], &mut gradient, &mut d_values));
    });
    group.bench_function("sft", |bench| {
        let (mut gradient, mask) = ([0.0; TOKENS], [true; TOKENS]);
        bench.iter(|| {
            (0..K).map(|k| sft_masked(black_box(&now.0[k]), &mask, &mut gradient).map_or(0.0, |l| l.0)).sum::<f64>()
        });
    });
    group.finish();
}

/// Token rewards, GAE, policy and value losses of a group.
fn actor_and_critic(
    [now, old, reference]: [&Logps; 3],
    gradient: &mut [[f64; TOKENS]; K],
    d_values: &mut [f64; TOKENS],
) -> Result<f64, Error> {
    let (mut rewards, mut advantages, mut returns) = ([0.0; TOKENS], [0.0; TOKENS], [0.0; TOKENS]);
    let values = black_box([0.5; TOKENS]);
    let mut total = 0.0;
    for k in 0..K {
        let price = (0.05, KlEstimator::K1);
        shape_token_rewards(REWARDS[k], &old.0[k], &reference.0[k], price, &mut rewards)?;
        gae(&rewards, &values, Gae::default(), &mut advantages, &mut returns)?;
        let rewrite =
            Rewrite { token_logps: black_box(&now.0[k]), old_token_logps: Some(&old.0[k]), ref_token_logps: None };
        total += policy_loss(&rewrite, Advantage::Tokens(&advantages), &ppo(0.2), &mut gradient[k])?.loss;
        total += 0.1 * value_loss(&values, &values, &returns, 0.2, d_values)?.loss;
    }
    Ok(total)
}

criterion_group!(benches, pairwise, listwise, online);
criterion_main!(benches);
