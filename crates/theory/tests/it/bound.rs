//! The suboptimality bound on many random worlds, and where it is tight.

use crate::close;
use crate::random_world::random_world;
use theory::divergence::{expectation, kl, total_variation};
use theory::{Bound, Stream, World, WorldTables, tilt};

/// Rounding of a handful of additions of figures of order one.
const ROUNDING: f64 = 1e-12;

/// The forms in the order of `sizes`.
const FORMS: [&str; 4] = ["1.4", "1.5a", "1.5b", "1.5c"];
/// Random worlds tried.
const INSTANCES: usize = 30_000;

fn sizes(bound: &Bound) -> [f64; 4] {
    [bound.total(), bound.jeffreys, bound.merged, bound.direct]
}

#[test]
fn no_random_world_violates_a_bound() {
    let mut stream = Stream::new(20_000);
    let mut tightness = Tightness::default();
    for instance in 0..INSTANCES {
        let world = random_world(&mut stream, 1);
        let solved = &world.solve().unwrap().prompts[0];
        let (gap, bound) = (solved.gap, solved.bound);
        for (form, size) in FORMS.iter().zip(sizes(&bound)) {
            assert!(gap <= size + ROUNDING, "instance {instance}: ({form}) is {size}, the gap {gap}");
        }
        assert!(bound.jeffreys <= bound.total() + ROUNDING); // a larger credit
        assert!(bound.merged <= bound.jeffreys + ROUNDING); // the triangle inequality
        assert!(gap <= bound.tightest() + ROUNDING);
        let credit = -world.lambda * (solved.kl_star + solved.kl_ref_star);
        close(solved.j_ref - solved.j_star, credit, 1e-12); // (1.5a) is an equality
        if solved.rho_star.len() > 1 {
            tightness.add(gap, &bound); // with a single rewrite all forms are one
        }
    }
    tightness.report();
}

/// How often and by how much the sharper forms pay; printed with `--nocapture`.
#[derive(Default)]
struct Tightness {
    count: usize,
    tightest: [usize; 4],
    below_first: [usize; 4],
    informative: [usize; 4],
    ratios: [Vec<f64>; 4],
}

impl Tightness {
    fn add(&mut self, gap: f64, bound: &Bound) {
        self.count += 1;
        let sizes = sizes(bound);
        let smallest = sizes.iter().copied().fold(f64::INFINITY, f64::min);
        for (form, size) in sizes.into_iter().enumerate() {
            self.tightest[form] += usize::from(size <= smallest + ROUNDING);
            self.below_first[form] += usize::from(size < sizes[0] - 1e-9);
            self.informative[form] += usize::from(size < bound.reward_span);
            if gap > 0.01 * bound.reward_span {
                self.ratios[form].push(size / gap);
            }
        }
    }

    fn report(mut self) {
        println!("{INSTANCES} random worlds, no violation; {} with several rewrites:", self.count);
        println!("ratios over the {} of them whose gap is above 1 % of the range", self.ratios[0].len());
        for (form, name) in FORMS.iter().enumerate() {
            let share = |count: usize| 100.0 * count as f64 / self.count as f64;
            let ratios = &mut self.ratios[form];
            ratios.sort_by(f64::total_cmp);
            println!(
                "({name}) tightest in {:.1} %, below (1.4) in {:.1} %, below r_max in {:.1} %, median ratio to the gap {:.3}",
                share(self.tightest[form]),
                share(self.below_first[form]),
                share(self.informative[form]),
                ratios[ratios.len() / 2]
            );
        }
    }
}

#[test]
fn the_weighted_mean_is_bounded_too() {
    let mut stream = Stream::new(11);
    for _ in 0..2_000 {
        let n_prompts = 1 + stream.below(5);
        let mean = random_world(&mut stream, n_prompts).solve().unwrap().mean;
        for size in [mean.bound, mean.bound_jeffreys, mean.bound_merged, mean.bound_direct] {
            assert!(mean.gap <= size + ROUNDING);
        }
    }
}

#[test]
fn a_reference_that_never_rewrites_leaves_the_first_term() {
    let mut stream = Stream::new(12);
    for _ in 0..200 {
        let world = random_world(&mut stream, 1);
        let prompt = &world.prompts[0];
        let mut rho_ref = vec![0.0; prompt.rho_ref.len()];
        rho_ref[0] = 1.0;
        let world = World::new(WorldTables {
            rho_ref: vec![rho_ref],
            pi_f: vec![prompt.pi_f.clone()],
            reward: vec![prompt.reward.clone()],
            lambda: world.lambda,
            beta: world.beta,
            ..WorldTables::default()
        })
        .unwrap();
        let solved = &world.solve().unwrap().prompts[0];
        let alone = world.reward_span * total_variation(&solved.pi_star, &world.prompts[0].pi_f[0]);
        close(solved.bound.total(), alone, 1e-12);
        close(solved.bound.terms[1], 0.0, 0.0);
        close(solved.bound.terms[2], 0.0, 1e-12);
    }
}

#[test]
fn two_responses_make_the_direct_bound_an_equality() {
    let mut stream = Stream::new(13);
    let mut tried = 0;
    while tried < 100 {
        let world = random_world(&mut stream, 1);
        let solved = &world.solve().unwrap().prompts[0];
        if world.prompts[0].reward.len() == 2 {
            close(solved.gap.abs(), solved.bound.direct, 1e-12);
            tried += 1;
        }
    }
}

#[test]
fn the_gap_can_be_negative() {
    let mut stream = Stream::new(14);
    let negative = (0..500).filter(|_| random_world(&mut stream, 1).solve().unwrap().mean.gap < 0.0).count();
    assert!(negative > 0, "an oracle on a short leash loses to a prompter on a long one (1.5f)");
}

#[test]
fn a_tighter_strength_never_loosens_the_direct_bound_of_a_free_oracle() {
    // With β → 0 the oracle is the best response, and the gap falls as the prompter is freed (check 4).
    let mut stream = Stream::new(15);
    for _ in 0..200 {
        let world = random_world(&mut stream, 1);
        let (prompt, value) = (&world.prompts[0], world.prompts[0].value());
        let best = prompt.reward.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let gap = |lambda: f64| {
            let prompter = tilt(&prompt.rho_ref, &value, lambda).unwrap();
            assert!(
                kl(&prompter.policy, &prompt.rho_ref)
                    <= -prompt.rho_ref.iter().copied().fold(1.0, f64::min).ln() + 1e-12
            );
            best - expectation(&prompter.policy, &value)
        };
        assert!(gap(0.1) <= gap(1.0) + 1e-14);
    }
}
