//! The gated activation of a feed-forward layer, and its gradient.

use crate::Pool;
use crate::exponential::sigmoid;
use crate::lanes::{Arithmetic, Kernel, dispatch};

/// Numbers of a task.
const TASK: usize = 1 << 12;

/// √(2/π) and the cubic coefficient of GELU's tanh form.
const GELU_SCALE: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;

/// Activation of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · σ(x)` (SwiGLU).
    Silu,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))` (GeGLU).
    GeluTanh,
}

/// `out = activation(gate) ∘ up`.
#[derive(Clone, Copy, Debug)]
pub struct Gated<'a> {
    /// The activation.
    pub activation: Activation,
    /// Its argument.
    pub gate: &'a [f32],
    /// The other factor.
    pub up: &'a [f32],
}

impl Gated<'_> {
    /// Writes the products to `out`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn forward(&self, pool: &Pool, out: &mut [f32]) {
        self.check(&[out.len()]);
        pool.chunks(out, TASK, |index, out| {
            let inputs = self.part(index, out.len());
            match self.activation {
                Activation::Silu => dispatch(pool, Forward { inputs, curve: Silu, out }),
                Activation::GeluTanh => dispatch(pool, Forward { inputs, curve: GeluTanh, out }),
            }
        });
    }

    /// The gradients with respect to `gate` and `up` from that with respect to `out`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward(&self, pool: &Pool, d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
        self.check(&[d_out.len(), d_gate.len(), d_up.len()]);
        pool.chunks2((d_gate, TASK), (d_up, TASK), |index, d_gate, d_up| {
            let inputs = self.part(index, d_gate.len());
            let d_out = &d_out[index * TASK..][..d_gate.len()];
            match self.activation {
                Activation::Silu => dispatch(pool, Backward { inputs, curve: Silu, d_out, d_gate, d_up }),
                Activation::GeluTanh => dispatch(pool, Backward { inputs, curve: GeluTanh, d_out, d_gate, d_up }),
            }
        });
    }

    fn check(&self, lengths: &[usize]) {
        assert_eq!(self.gate.len(), self.up.len(), "as many gates as ups");
        assert!(lengths.iter().all(|&length| length == self.gate.len()), "results as long as the gate");
    }

    fn part(&self, index: usize, length: usize) -> Gated<'_> {
        let (gate, up) = (&self.gate[index * TASK..][..length], &self.up[index * TASK..][..length]);
        Gated { activation: self.activation, gate, up }
    }
}

/// A curve and its slope.
trait Curve: Copy {
    fn value<A: Arithmetic>(self, x: f32) -> f32;
    fn value_and_slope<A: Arithmetic>(self, x: f32) -> (f32, f32);
}

#[derive(Clone, Copy)]
struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        x * sigmoid::<A>(x)
    }

    #[inline(always)]
    fn value_and_slope<A: Arithmetic>(self, x: f32) -> (f32, f32) {
        let s = sigmoid::<A>(x);
        let value = x * s;
        (value, A::multiply_add(value, 1.0 - s, s))
    }
}

/// With `(1 + tanh u) / 2 = σ(2u)`.
#[derive(Clone, Copy)]
struct GeluTanh;

impl GeluTanh {
    #[inline(always)]
    fn twice_u<A: Arithmetic>(x: f32) -> f32 {
        2.0 * GELU_SCALE * x * A::multiply_add(GELU_CUBIC, x * x, 1.0)
    }
}

impl Curve for GeluTanh {
    #[inline(always)]
    fn value<A: Arithmetic>(self, x: f32) -> f32 {
        x * sigmoid::<A>(GeluTanh::twice_u::<A>(x))
    }

    #[inline(always)]
    fn value_and_slope<A: Arithmetic>(self, x: f32) -> (f32, f32) {
        let s = sigmoid::<A>(GeluTanh::twice_u::<A>(x));
        let value = x * s;
        let slope_of_twice_u = 2.0 * GELU_SCALE * A::multiply_add(3.0 * GELU_CUBIC, x * x, 1.0);
        (value, A::multiply_add(value * (1.0 - s), slope_of_twice_u, s))
    }
}

struct Forward<'a, C> {
    inputs: Gated<'a>,
    curve: C,
    out: &'a mut [f32],
}

impl<C: Curve> Kernel for Forward<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for ((out, gate), up) in self.out.iter_mut().zip(self.inputs.gate).zip(self.inputs.up) {
            *out = self.curve.value::<A>(*gate) * up;
        }
    }
}

struct Backward<'a, C> {
    inputs: Gated<'a>,
    curve: C,
    d_out: &'a [f32],
    d_gate: &'a mut [f32],
    d_up: &'a mut [f32],
}

impl<C: Curve> Kernel for Backward<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let inputs = self.inputs.gate.iter().zip(self.inputs.up).zip(self.d_out);
        for (((gate, up), d_out), (d_gate, d_up)) in inputs.zip(self.d_gate.iter_mut().zip(self.d_up)) {
            let (value, slope) = self.curve.value_and_slope::<A>(*gate);
            (*d_gate, *d_up) = (d_out * up * slope, d_out * value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_close, pools, random};

    fn reference(activation: Activation, gate: f64, up: f64) -> f64 {
        up * match activation {
            Activation::Silu => gate / (1.0 + (-gate).exp()),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (gate + 0.044715 * gate.powi(3));
                0.5 * gate * (1.0 + u.tanh())
            }
        }
    }

    #[test]
    fn it_agrees_with_the_definition_and_with_finite_differences() {
        for pool in pools(2) {
            for activation in [Activation::Silu, Activation::GeluTanh] {
                for length in [0, 1, 17, TASK - 1, 2 * TASK + 33] {
                    let mut gate: Vec<f32> = random(1, length).iter().map(|x| x * 9.0).collect();
                    gate.iter_mut().zip([-200.0, 60.0, 0.0, -30.0]).for_each(|(gate, extreme)| *gate = extreme);
                    let (up, d_out) = (random(2, length), random(3, length));
                    let gated = Gated { activation, gate: &gate, up: &up };
                    let mut out = vec![f32::NAN; length];
                    gated.forward(&pool, &mut out);
                    let (mut d_gate, mut d_up) = (vec![f32::NAN; length], vec![f32::NAN; length]);
                    gated.backward(&pool, &d_out, &mut d_gate, &mut d_up);
                    let expect = |f: &dyn Fn(f64, f64, f64) -> f64| -> Vec<f64> {
                        let inputs = gate.iter().zip(&up).zip(&d_out);
                        inputs.map(|((g, u), d)| f(f64::from(*g), f64::from(*u), f64::from(*d))).collect()
                    };
                    let of = |gate: f64, up: f64| reference(activation, gate, up);
                    assert_close("out", &out, &expect(&|g, u, _| of(g, u)), 1e-6);
                    assert_close("d_up", &d_up, &expect(&|g, _, d| d * of(g, 1.0)), 1e-6);
                    let slope = |g: f64, u: f64| (of(g + 1e-5, u) - of(g - 1e-5, u)) / 2e-5;
                    assert_close("d_gate", &d_gate, &expect(&|g, u, d| d * slope(g, u)), 3e-6);
                }
            }
        }
    }
}
