//! Advantages against their definitions, and what they refuse.

use objective::{
    Deviation, Error, Gae, KlEstimator, WhitenedMean, ZScore, gae, group_mean, leave_one_out, shape_reward,
    shape_token_rewards, whiten, z_score,
};

use crate::assert_close;
use crate::random::Random;

#[test]
fn leave_one_out_is_reward_minus_the_mean_of_the_others() {
    let mut random = Random::new(1);
    for _ in 0..1000 {
        let size = random.integer(2, 9);
        let rewards = random.vector(size, -2.0, 2.0);
        let mut found = vec![0.0; size];
        leave_one_out(&rewards, &mut found).unwrap();
        for k in 0..size {
            let others: f64 = rewards.iter().enumerate().filter(|(j, _)| *j != k).map(|(_, reward)| reward).sum();
            assert_close(found[k], rewards[k] - others / (size - 1) as f64);
        }
    }
}

#[test]
fn equal_rewards_have_no_advantage() {
    let mut advantages = [1.0; 3];
    z_score(&[0.7; 3], ZScore { deviation: Deviation::Sample, epsilon: 0.0 }, &mut advantages).unwrap();
    assert_eq!(advantages, [0.0; 3]);
}

#[test]
fn z_scores_have_unit_deviation_in_their_own_convention() {
    let rewards = [1.0, 4.0, -2.0, 0.5];
    for (deviation, divisor) in [(Deviation::Sample, 3.0), (Deviation::Population, 4.0)] {
        let mut advantages = [0.0; 4];
        z_score(&rewards, ZScore { deviation, epsilon: 0.0 }, &mut advantages).unwrap();
        assert_close(advantages.iter().map(|a| a * a).sum::<f64>() / divisor, 1.0);
    }
}

#[test]
fn gae_is_the_discounted_sum_of_surprises() {
    let mut random = Random::new(2);
    for _ in 0..200 {
        let n = random.integer(1, 12);
        let (rewards, values) = (random.vector(n, -1.0, 1.0), random.vector(n, -1.0, 1.0));
        let options = Gae { discount: random.uniform(0.5, 1.0), decay: random.uniform(0.0, 1.0) };
        let (mut advantages, mut returns) = (vec![0.0; n], vec![0.0; n]);
        gae(&rewards, &values, options, &mut advantages, &mut returns).unwrap();
        let surprise = |t: usize| rewards[t] + options.discount * values.get(t + 1).unwrap_or(&0.0) - values[t];
        for t in 0..n {
            let weight = |l: usize| (options.discount * options.decay).powi(l as i32);
            assert_close(advantages[t], (t..n).map(|l| weight(l - t) * surprise(l)).sum());
            assert_close(returns[t], advantages[t] + values[t]);
        }
    }
}

#[test]
fn gae_of_decay_one_ignores_the_value_head_in_its_targets() {
    let (mut advantages, mut returns) = ([0.0; 3], [0.0; 3]);
    gae(&[1.0, 2.0, 4.0], &[9.0, -3.0, 5.0], Gae { discount: 1.0, decay: 1.0 }, &mut advantages, &mut returns).unwrap();
    assert_eq!(returns, [7.0, 6.0, 4.0]);
}

#[test]
fn whitened_values_have_unit_variance() {
    let values = [0.3, -1.2, 4.0, 0.0, 2.5];
    let mean = |values: &[f64]| values.iter().sum::<f64>() / 5.0;
    for (choice, expected_mean) in [(WhitenedMean::Zero, 0.0), (WhitenedMean::Kept, mean(&values))] {
        let mut found = values;
        whiten(&mut found, choice).unwrap();
        assert!((mean(&found) - expected_mean).abs() < 1e-12);
        let variance = found.iter().map(|v| (v - expected_mean).powi(2)).sum::<f64>() / 4.0;
        assert!((variance - 1.0).abs() < 1e-8);
    }
}

#[test]
fn token_rewards_add_up_to_the_shaped_reward() {
    let (sampled, reference) = ([-1.0, -0.5, -2.0], [-1.5, -0.25, -1.0]);
    let mut shaped = [0.0; 3];
    shape_token_rewards(0.8, &sampled, &reference, (0.05, KlEstimator::K1), &mut shaped).unwrap();
    let total = |row: &[f64]| row.iter().sum::<f64>();
    assert_close(total(&shaped), shape_reward(0.8, total(&sampled), total(&reference), 0.05));
    assert_close(shaped[0], -0.05 * 0.5);
}

#[test]
fn a_rewrite_without_tokens_is_left_empty() {
    shape_token_rewards(0.8, &[], &[], (0.05, KlEstimator::K1), &mut []).unwrap();
    gae(&[], &[], Gae::default(), &mut [], &mut []).unwrap();
}

#[test]
fn what_is_refused() {
    let too_small = |method| Err(Error::GroupTooSmall { method, least: 2, found: 1 });
    assert_eq!(leave_one_out(&[1.0], &mut [0.0]), too_small("leave-one-out"));
    assert_eq!(z_score(&[1.0], ZScore::default(), &mut [0.0]), too_small("the z-score"));
    assert_eq!(whiten(&mut [1.0], WhitenedMean::Zero), too_small("whitening"));
    let ragged = Err(Error::Length { field: "advantages", expected: 2, found: 1 });
    assert_eq!(group_mean(&[1.0, 2.0], &mut [0.0]), ragged);
    let message = leave_one_out(&[], &mut []).unwrap_err().to_string();
    assert_eq!(message, "a group of 0 is too small, leave-one-out needs at least 2");
}
