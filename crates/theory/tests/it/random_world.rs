//! Seeded random worlds, and Fixture A.

use theory::{Stream, World, WorldTables};

/// Fixture A: four rewrites, three responses, one prompt, a uniform reference for the RLHF optimum.
pub(crate) fn fixture_a() -> World {
    World::new(fixture_a_tables()).unwrap()
}

pub(crate) fn fixture_a_tables() -> WorldTables {
    WorldTables {
        rho_ref: vec![vec![0.4, 0.3, 0.2, 0.1]],
        pi_f: vec![vec![vec![0.6, 0.3, 0.1], vec![0.2, 0.5, 0.3], vec![0.1, 0.2, 0.7], vec![0.3, 0.3, 0.4]]],
        reward: vec![vec![0.0, 0.5, 1.0]],
        lambda: 0.5,
        beta: 0.5,
        weights: None,
        pi_sft: Some(vec![vec![1.0 / 3.0; 3]]),
        reward_range: None,
    }
}

/// A distribution whose sharpness varies from flat to almost a point mass.
pub(crate) fn distribution(stream: &mut Stream, n: usize) -> Vec<f64> {
    let sharpness = 4.0 * stream.uniform();
    let logits: Vec<f64> = (0..n).map(|_| sharpness * stream.normal()).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let masses: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let total: f64 = masses.iter().sum();
    masses.into_iter().map(|mass| mass / total).collect()
}

/// A world of `n_prompts` prompts with 1 to 6 rewrites and 2 to 6 responses each, rewards in [−1, 2], λ and β log-uniform
/// over three decades.
pub(crate) fn random_world(stream: &mut Stream, n_prompts: usize) -> World {
    let mut tables = WorldTables {
        lambda: 10f64.powf(3.0 * stream.uniform() - 2.0),
        beta: 10f64.powf(3.0 * stream.uniform() - 2.0),
        weights: Some((0..n_prompts).map(|_| stream.uniform() + 0.1).collect()),
        pi_sft: (stream.uniform() < 0.5).then(Vec::new),
        ..WorldTables::default()
    };
    for _ in 0..n_prompts {
        let (n_rewrites, n_responses) = (1 + stream.below(6), 2 + stream.below(5));
        tables.rho_ref.push(distribution(stream, n_rewrites));
        tables.pi_f.push((0..n_rewrites).map(|_| distribution(stream, n_responses)).collect());
        tables.reward.push((0..n_responses).map(|_| 3.0 * stream.uniform() - 1.0).collect());
        if let Some(pi_sft) = &mut tables.pi_sft {
            pi_sft.push(distribution(stream, n_responses));
        }
    }
    World::new(tables).unwrap()
}
