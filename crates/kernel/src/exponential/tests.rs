use super::*;
use crate::Pool;
use crate::lanes::{Kernel, Lanes, dispatch};
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
