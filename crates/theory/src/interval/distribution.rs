//! The normal, Student and binomial distributions, to about 12 digits.

use std::f64::consts::{PI, SQRT_2};

/// P(N ≤ z) for a standard normal N.
///
/// ```
/// assert!((theory::distribution::normal_cdf(1.959963984540054) - 0.975).abs() < 1e-14);
/// assert!((theory::distribution::normal_cdf(-10.0) / 7.61985302416053e-24 - 1.0).abs() < 1e-9);
/// ```
pub fn normal_cdf(z: f64) -> f64 {
    let tail = 0.5 * upper_error(z.abs() / SQRT_2);
    if z > 0.0 { 1.0 - tail } else { tail }
}

/// The z with P(N ≤ z) = `probability`; ∓∞ at 0 and 1.
///
/// ```
/// assert!((theory::distribution::normal_quantile(0.975) - 1.959963984540054).abs() < 1e-12);
/// assert_eq!(theory::distribution::normal_quantile(0.5), 0.0);
/// ```
pub fn normal_quantile(probability: f64) -> f64 {
    if probability == 0.5 {
        return 0.0;
    }
    if probability > 0.5 {
        return -normal_quantile(1.0 - probability); // the lower tail keeps its digits
    }
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    -rising_root(|z| probability - normal_cdf(-z))
}

/// P(T ≤ t) for Student's T with `degrees` degrees of freedom.
///
/// ```
/// assert!((theory::distribution::student_cdf(2.2281388519649385, 10.0) - 0.975).abs() < 1e-12);
/// ```
pub fn student_cdf(t: f64, degrees: f64) -> f64 {
    let tail = 0.5 * incomplete_beta(degrees / (degrees + t * t), 0.5 * degrees, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The t with P(T ≤ t) = `probability` for Student's T with `degrees` degrees of freedom.
///
/// ```
/// assert!((theory::distribution::student_quantile(0.975, 10.0) - 2.2281388519649385).abs() < 1e-10);
/// assert!((theory::distribution::student_quantile(0.025, 1.0) + 12.706204736174698).abs() < 1e-9);
/// ```
pub fn student_quantile(probability: f64, degrees: f64) -> f64 {
    if probability == 0.5 {
        return 0.0;
    }
    if probability > 0.5 {
        return -student_quantile(1.0 - probability, degrees);
    }
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    -rising_root(|t| probability - student_cdf(-t, degrees))
}

/// P(X ≥ `successes`) for X binomial with `trials` trials of the given probability.
///
/// ```
/// assert!((theory::distribution::binomial_tail(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-14);
/// ```
pub fn binomial_tail(successes: u64, trials: u64, probability: f64) -> f64 {
    if successes == 0 {
        1.0
    } else if successes > trials {
        0.0
    } else {
        incomplete_beta(probability, successes as f64, (trials - successes) as f64 + 1.0)
    }
}

/// The root above 0 of a rising function that is not positive at 0: doubling, then bisection to the last bit.
fn rising_root(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while f(high) < 0.0 && high < 1e300 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if middle == low || middle == high {
            break;
        }
        if f(middle) < 0.0 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// erfc(x) for x ≥ 0: the series of erf below 2, the continued fraction above.
fn upper_error(x: f64) -> f64 {
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > 1e-17 * sum {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum;
    }
    // erfc(x) = exp(−x²)/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …)))), from the inside out.
    let fraction = (1..=120).rev().fold(x, |inner, n| x + 0.5 * f64::from(n) / inner);
    (-x * x).exp() / (PI.sqrt() * fraction)
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a); // where the fraction converges fast
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for n in 1..10_000 {
        let m = f64::from(n);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() <= 1e-16 * fraction.abs() {
            break;
        }
    }
    front * fraction
}

/// log Γ(x) for x > 0, by Lanczos' approximation (g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let shifted = x - 1.0;
    let series: f64 = TERMS.iter().zip(1..).map(|(term, k)| term / (shifted + f64::from(k))).sum();
    let base = shifted + 7.5;
    0.5 * (2.0 * PI).ln() + (shifted + 0.5) * base.ln() - base + (0.999_999_999_999_809_9 + series).ln()
}
