//! The three parts of a reward's variance.

use crate::close;
use crate::random_world::{distribution, random_world};
use theory::{Stream, sample_variance_parts, sample_variance_parts_unbiased, variance_parts};

#[test]
fn exact_parts_sum_to_the_pooled_variance() {
    let mut stream = Stream::new(31);
    for _ in 0..300 {
        let world = random_world(&mut stream, 4);
        let rho: Vec<Vec<f64>> =
            world.prompts.iter().map(|prompt| distribution(&mut stream, prompt.rho_ref.len())).collect();
        let moment = |power: i32| {
            world.mean(world.prompts.iter().zip(&rho).map(|(prompt, rho)| {
                let induced = prompt.induced(rho);
                induced.iter().zip(&prompt.reward).map(|(p, r)| p * r.powi(power)).sum()
            }))
        };
        let pooled = moment(2) - moment(1) * moment(1);
        close(variance_parts(&world, &rho).unwrap().total(), pooled, 1e-12);
    }
}

fn nested(stream: &mut Stream, n_prompts: usize, n_rewrites: usize, n_responses: usize) -> Vec<Vec<Vec<f64>>> {
    (0..n_prompts)
        .map(|_| {
            let prompt = stream.normal();
            let rewrites = (0..n_rewrites).map(|_| {
                let rewrite = prompt + 0.7 * stream.normal();
                (0..n_responses).map(|_| rewrite + 0.5 * stream.normal()).collect()
            });
            rewrites.collect()
        })
        .collect()
}

#[test]
fn sampled_parts_sum_to_the_pooled_variance() {
    let rewards = nested(&mut Stream::new(32), 5, 4, 3);
    let pooled: Vec<f64> = rewards.iter().flatten().flatten().copied().collect();
    let mean = pooled.iter().sum::<f64>() / pooled.len() as f64;
    let variance = pooled.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>() / pooled.len() as f64;
    close(sample_variance_parts(&rewards).unwrap().total(), variance, 1e-12);
}

#[test]
fn corrected_parts_are_unbiased() {
    // True parts 1, 0.49 and 0.25; 4,000 small samples.
    let (mut stream, trials) = (Stream::new(33), 4_000);
    let mut sums = [0.0; 3];
    for _ in 0..trials {
        let parts = sample_variance_parts_unbiased(&nested(&mut stream, 4, 3, 2)).unwrap();
        for (sum, part) in sums.iter_mut().zip([parts.between_prompts, parts.between_rewrites, parts.within]) {
            *sum += part / f64::from(trials);
        }
    }
    close(sums[0], 1.0, 0.06);
    close(sums[1], 0.49, 0.02);
    close(sums[2], 0.25, 0.01);
}

#[test]
fn malformed_samples_are_refused() {
    assert!(sample_variance_parts(&[]).is_err());
    assert_eq!(sample_variance_parts(&[vec![]]).unwrap_err().to_string(), "`rewards[0]` is empty");
    let spoiled = sample_variance_parts(&[vec![vec![1.0, f64::NAN]]]).unwrap_err();
    assert_eq!(spoiled.to_string(), "`rewards[0][0][1]` must be a finite number, found NaN");
    assert!(sample_variance_parts_unbiased(&[vec![vec![1.0, 2.0]]]).is_err());
}
