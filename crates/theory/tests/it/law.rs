//! The bound at the level of the reward's law, for any prompter, on worlds where everything can be counted.

use crate::close;
use crate::random_world::{distribution, random_world};
use theory::divergence::{expectation, jeffreys, kl, total_variation};
use theory::{
    Prompt, RewardCells, RewardLaw, Stream, World, estimate_tilted, regularised_value, split_total_variation, tilt,
};

const ROUNDING: f64 = 1e-12;

/// A random prompt whose responses share rewards: three levels for two to six responses.
fn prompt_with_ties(stream: &mut Stream) -> (World, Prompt) {
    let mut world = random_world(stream, 1);
    let mut prompt = world.prompts.remove(0);
    prompt.reward = prompt.reward.iter().map(|_| stream.below(3) as f64 / 2.0).collect();
    prompt.pi_sft.clone_from(&prompt.pi_f[0]);
    (world, prompt)
}

fn law(policy: &[f64], reward: &[f64]) -> RewardLaw {
    RewardCells::Values.law(reward.iter().copied().zip(policy.iter().copied())).unwrap()
}

#[test]
fn the_law_of_the_reward_bounds_every_step_and_is_never_wider_than_responses() {
    let mut stream = Stream::new(71);
    let (mut sharper, instances) = (0, 5_000);
    for instance in 0..instances {
        let (world, prompt) = prompt_with_ties(&mut stream);
        let (reward, beta) = (&prompt.reward, world.beta);
        let distance = |p: &[f64], q: &[f64]| {
            let (of_laws, of_responses) = (law(p, reward).total_variation(&law(q, reward)), total_variation(p, q));
            assert!(of_laws <= of_responses + ROUNDING, "instance {instance}: {of_laws} {of_responses}");
            let difference = (expectation(p, reward) - expectation(q, reward)).abs();
            assert!(difference <= of_laws + ROUNDING, "instance {instance}: {difference} {of_laws}"); // (1), b − a = 1
            (of_laws, of_responses)
        };
        let oracle = tilt(&prompt.pi_f[0], reward, beta).unwrap().policy;
        let (first, first_of_responses) = distance(&oracle, &prompt.pi_f[0]);
        close(first, first_of_responses, ROUNDING); // (2)
        let spreads = prompt.pi_f.iter().map(|rewritten| distance(&prompt.pi_f[0], rewritten));
        let (second, second_of_responses): (Vec<f64>, Vec<f64>) = spreads.unzip();
        let second = [second, second_of_responses].map(|spread| expectation(&prompt.rho_ref, &spread));
        sharper += u32::from(second[0] < second[1] - 1e-6);

        // Any prompter, not only the best one.
        let prompter = distribution(&mut stream, prompt.rho_ref.len());
        let (induced, reference) = (prompt.induced(&prompter), prompt.induced(&prompt.rho_ref));
        let (merged, direct) = (distance(&oracle, &reference).0, distance(&oracle, &induced).0);
        let j = |policy: &[f64]| expectation(policy, reward);
        let (gap, last) = (j(&oracle) - j(&induced), j(&reference) - j(&induced));
        for bound in [first + second[0] + last, merged + last, direct] {
            assert!(gap <= bound + ROUNDING, "instance {instance}: the gap {gap}, the bound {bound}");
        }
        assert!(merged <= first + second[0] + ROUNDING, "the triangle inequality and convexity");
    }
    assert!(sharper > instances / 4, "rewards tell less apart than responses: {sharper} of {instances}");
}

#[test]
fn what_the_theorem_says_of_the_best_prompter_holds_for_others_under_its_premises() {
    let mut stream = Stream::new(72);
    let mut held = [0, 0];
    for _ in 0..5_000 {
        let (world, prompt) = prompt_with_ties(&mut stream);
        let (lambda, reference, value) = (world.lambda.max(0.05), &prompt.rho_ref, prompt.value());
        let best = tilt(reference, &value, lambda).unwrap();
        // Between the reference and anything, as training leaves it.
        let (other, share) = (distribution(&mut stream, reference.len()), 0.3 * stream.uniform());
        let prompter: Vec<f64> =
            best.policy.iter().zip(&other).map(|(best, other)| (1.0 - share) * best + share * other).collect();
        let last = expectation(reference, &value) - expectation(&prompter, &value);
        let objective = |policy: &[f64]| regularised_value(policy, reference, &value, lambda).unwrap();
        let credit = lambda * kl(&prompter, reference);
        let scale = 1.0 + credit + lambda * jeffreys(&prompter, reference);
        close(last, -credit + objective(reference) - objective(&prompter), 1e-10 * scale);
        close(best.optimum - objective(&prompter), lambda * kl(&prompter, &best.policy), 1e-9 * scale);
        let rest = kl(reference, &prompter) + kl(&prompter, &best.policy) - best.reverse_kl;
        if best.reverse_kl < 100.0 {
            close(last, -lambda * jeffreys(&prompter, reference) + lambda * rest, 1e-9 * scale);
        }
        if objective(&prompter) >= objective(reference) {
            assert!(last <= -credit + ROUNDING * scale);
            held[0] += 1;
        }
        if rest <= 0.0 {
            assert!(last <= -lambda * jeffreys(&prompter, reference) + 1e-9 * scale);
            held[1] += 1;
        }
    }
    assert!(held[0] > 1_000 && held[1] > 500, "the premises are met often enough to be tried: {held:?}");
}

/// One draw of a reward.
fn draw(stream: &mut Stream, policy: &[f64], reward: &[f64]) -> f64 {
    let mut left = stream.uniform();
    for (mass, reward) in policy.iter().zip(reward) {
        left -= mass;
        if left < 0.0 {
            return *reward;
        }
    }
    reward[reward.len() - 1]
}

#[test]
fn the_plug_in_errs_upwards_the_split_downwards_and_both_converge() {
    let (p, q, reward) = ([0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [0.0, 0.5, 1.0]);
    let truth = total_variation(&p, &q);
    let mut stream = Stream::new(73);
    let mut estimates = |n: usize| {
        let mut half = |policy: &[f64]| -> Vec<f64> { (0..n).map(|_| draw(&mut stream, policy, &reward)).collect() };
        let [p1, p2, q1, q2] = [half(&p), half(&p), half(&q), half(&q)];
        let law = |rewards: &[f64]| RewardCells::Values.law(rewards.iter().map(|reward| (*reward, 1.0))).unwrap();
        let plug_in = law(&[p1.as_slice(), &p2].concat()).total_variation(&law(&[q1.as_slice(), &q2].concat()));
        [plug_in, split_total_variation([&law(&p1), &law(&p2)], [&law(&q1), &law(&q2)])]
    };
    for n in [4u16, 16, 256] {
        // Of the order √(cells / samples).
        let (rounds, tolerance) = (4_000, 0.4 / f64::from(n).sqrt());
        let mut means = [0.0; 2];
        for _ in 0..rounds {
            let estimates = estimates(usize::from(n));
            means.iter_mut().zip(estimates).for_each(|(mean, estimate)| *mean += estimate / f64::from(rounds));
        }
        let [above, below] = means;
        assert!(below <= truth + 0.005 && truth <= above + 0.005, "{n}: {below} {truth} {above}");
        assert!(truth - below < tolerance && above - truth < tolerance, "{n}: {below} {truth} {above}");
    }
}

#[test]
fn the_distance_to_a_tilted_policy_needs_no_cells() {
    // A continuous reward: no two samples are equal, and the plug-in over values would say 1.
    let mut stream = Stream::new(74);
    let rewards: Vec<f64> = (0..4_000).map(|_| stream.uniform()).collect();
    let beta = 0.5;
    // Of density e^{r/β}/Z on [0, 1] and the uniform one: they cross where r = β log Z.
    let z = beta * (f64::exp(1.0 / beta) - 1.0);
    let crossing = beta * z.ln();
    let truth = crossing - (f64::exp(crossing / beta) - 1.0) * beta / z;
    let found = estimate_tilted(&rewards, beta, 0.95).unwrap().total_variation;
    close(found.value, truth, 0.01);
    // Bins tell less apart, which their width makes up for.
    let cells = RewardCells::of(rewards.iter().copied(), [0.0, 1.0]);
    assert!(cells.width() > 0.0);
    let law = cells.law(rewards.iter().map(|reward| (*reward, 1.0))).unwrap();
    let binned = cells.tilted_law(&rewards, beta).unwrap().total_variation(&law);
    assert!(binned <= found.value + 0.01 && truth <= cells.largest_difference(binned, 1.0), "{binned} {truth}");
}

#[test]
fn bins_of_any_width_bound_the_difference_of_means() {
    let mut stream = Stream::new(75);
    for _ in 0..2_000 {
        let rewards: Vec<f64> = (0..40).map(|_| stream.uniform()).collect();
        let (p, q) = (distribution(&mut stream, 40), distribution(&mut stream, 40));
        let cells = RewardCells::of(rewards.iter().copied(), [0.0, 1.0]);
        let law = |policy: &[f64]| cells.law(rewards.iter().copied().zip(policy.iter().copied())).unwrap();
        let bound = cells.largest_difference(law(&p).total_variation(&law(&q)), 1.0);
        assert!((expectation(&p, &rewards) - expectation(&q, &rewards)).abs() <= bound + ROUNDING);
        assert!(bound <= 1.0 + ROUNDING);
    }
}

#[test]
fn what_is_no_law_is_refused() {
    let values = RewardCells::Values;
    assert!(values.law([]).is_err() && values.law([(f64::NAN, 1.0)]).is_err() && values.law([(0.0, -1.0)]).is_err());
    assert!(values.law([(0.0, 0.0)]).is_err() && values.tilted_law(&[1.0], 0.0).is_err());
    assert!(values.tilted_law(&[], 1.0).is_err());
    let two = values.law([(0.0, 1.0), (-0.0, 1.0)]).unwrap();
    assert_eq!(two.total_variation(&values.law([(0.0, 1.0)]).unwrap()), 0.0, "zero is zero");
}
