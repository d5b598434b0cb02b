use super::*;
use crate::lanes::Lanes;
use crate::test_support::pools;

struct Exp(Lanes);

impl Kernel for Exp {
    type Output = Lanes;

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> Lanes {
        self.0.map(exp::<A>)
    }
}

fn exp_on(pool: &Pool, x: f32) -> f32 {
    dispatch(pool, Exp(Lanes([x; 16]))).0[7]
}

#[test]
fn exp_is_within_one_and_a_half_units_in_the_last_place() {
    for pool in pools(1) {
        let mut worst = 0.0_f64;
        for step in 0..400_000 {
            let x = -87.33 + (88.72 + 87.33) * step as f32 / 400_000.0;
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp_on(&pool, x)) / expected - 1.0).abs());
        }
        assert!(worst < 1.5 * f64::from(f32::EPSILON), "{pool:?}: {:.3} units", worst / f64::from(f32::EPSILON));
    }
}

#[test]
fn exp_at_its_edges() {
    for pool in pools(1) {
        assert_eq!(exp_on(&pool, 0.0), 1.0);
        assert_eq!(exp_on(&pool, f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_on(&pool, -1e30), 0.0);
        assert_eq!(exp_on(&pool, -88.0), 0.0);
        assert_eq!(exp_on(&pool, f32::INFINITY), f32::INFINITY);
        assert_eq!(exp_on(&pool, 88.73), f32::INFINITY);
        assert!(exp_on(&pool, 88.722).is_finite());
        assert!(exp_on(&pool, f32::NAN).is_nan());
    }
}

#[test]
fn the_exponential_of_sampling_is_accurate_over_its_range() {
    let mut x = -87.0f32;
    while x <= 88.0 {
        let (ours, exact) = (f64::from(exp_anywhere(x)), f64::from(x).exp());
        assert!((ours / exact - 1.0).abs() < 2e-7, "e^{x}: {ours}, not {exact}");
        x += 0.0137;
    }
    assert_eq!(exp_anywhere(0.0), 1.0);
    assert_eq!(exp_anywhere(f32::NEG_INFINITY), 0.0);
    assert_eq!(exp_anywhere(-1e30), 0.0);
    assert!(exp_anywhere(f32::NAN).is_nan());
    assert_eq!(probability(3.0, 0.5, 1.0), exp_anywhere(0.5));
}

#[test]
fn a_mass_has_the_same_bits_with_every_instruction_set() {
    let logits: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 9.0 - 3.0).collect();
    for len in [0, 1, 15, 16, 17, 100, 1000] {
        let logits = &logits[..len];
        let mass = |pool: &Pool| probability_mass(pool, logits, 0.7, 2.5);
        let exact: f64 = logits.iter().map(|&logit| (f64::from(logit) * 0.7 - 2.5).exp()).sum();
        let masses: Vec<f32> = pools(1).iter().map(mass).collect();
        assert!((f64::from(masses[0]) - exact).abs() <= 1e-5 * exact, "{len} logits");
        assert!(masses.iter().all(|mass| mass.to_bits() == masses[0].to_bits()), "{len} logits: {masses:?}");
    }
}
