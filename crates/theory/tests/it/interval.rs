//! Intervals and tests: exact cases, and coverage in simulation.

use crate::close;
use theory::distribution::{binomial_tail, normal_cdf, normal_quantile, student_cdf, student_quantile};
use theory::{
    Bootstrap, Error, Interval, PairedSequence, Stream, Verdict, bca_bootstrap, bernstein_interval, estimate_tilted,
    paired_bootstrap, sign_test, student_interval, studentised_bootstrap, win_rate,
};

#[test]
fn quantiles_invert_the_distributions() {
    for step in 1..200 {
        let probability = f64::from(step) / 200.0;
        close(normal_cdf(normal_quantile(probability)), probability, 1e-14);
        for degrees in [1.0, 2.0, 7.5, 100.0] {
            close(student_cdf(student_quantile(probability, degrees), degrees), probability, 1e-12);
        }
    }
    close(normal_quantile(1e-10), -6.361340902404056, 1e-9);
    close(student_quantile(0.975, 1e6), 1.9599663, 1e-6);
    close(student_cdf(1.0, 1.0), 0.75, 1e-14); // Cauchy
}

#[test]
fn binomial_tails_are_the_sums() {
    let mut mass = 0.3f64.powi(12); // P(X = 12) of 12 trials of 0.3, then downwards
    let mut tail = 0.0;
    for successes in (1..=12u32).rev() {
        tail += mass;
        close(binomial_tail(u64::from(successes), 12, 0.3), tail, 1e-14);
        mass *= f64::from(successes) / f64::from(13 - successes) * 0.7 / 0.3;
    }
    assert_eq!(binomial_tail(0, 12, 0.3), 1.0);
    close(sign_test(5, 5), 1.0, 0.0);
    close(sign_test(0, 6), 2.0 / 64.0, 1e-15);
}

#[test]
fn ties_narrow_a_win_rate_and_swapped_sides_mirror_it() {
    let sharp = win_rate(50, 0, 50, 0.95).unwrap();
    let tied = win_rate(10, 80, 10, 0.95).unwrap();
    assert_eq!((sharp.rate, tied.rate), (0.5, 0.5));
    assert!(tied.interval.high - tied.interval.low < 0.6 * (sharp.interval.high - sharp.interval.low));
    let (forth, back) = (win_rate(30, 5, 15, 0.95).unwrap(), win_rate(15, 5, 30, 0.95).unwrap());
    close(forth.rate + back.rate, 1.0, 1e-15);
    close(forth.interval.low + back.interval.high, 1.0, 1e-14);
    let ties_only = win_rate(0, 40, 0, 0.95).unwrap();
    assert!(ties_only.interval.contains(0.5) && ties_only.interval.high > 0.5);
    // Without ties it is Wilson's interval: 8 of 10 at 95 %.
    let wilson = win_rate(8, 0, 2, 0.95).unwrap().interval;
    close(wilson.low, 0.4901625, 1e-6);
    close(wilson.high, 0.9433178, 1e-6);
}

#[test]
fn resampling_is_reproducible_and_pairing_pays() {
    let mut stream = Stream::new(51);
    let baseline: Vec<f64> = (0..40).map(|_| 3.0 * stream.normal()).collect();
    let arm: Vec<f64> = baseline.iter().map(|reward| reward + 0.5 + 0.2 * stream.normal()).collect();
    let options = Bootstrap { seed: 9, ..Bootstrap::default() };
    let paired = paired_bootstrap(&arm, &baseline, options).unwrap();
    assert_eq!(paired, paired_bootstrap(&arm, &baseline, options).unwrap());
    assert!(paired.interval.low > 0.3 && paired.interval.high < 0.7);
    let alone = studentised_bootstrap(&arm, options).unwrap();
    assert!(alone.interval.high - alone.interval.low > 1.0);
}

#[test]
fn degenerate_samples_get_degenerate_intervals() {
    let point = Interval::around(0.25, 0.0);
    assert_eq!(studentised_bootstrap(&[0.25; 8], Bootstrap::default()).unwrap().interval, point);
    assert_eq!(bca_bootstrap(&[0.25; 8], |items| items[0], Bootstrap::default()).unwrap().interval, point);
    assert_eq!(student_interval(&[0.25; 8], 0.95).unwrap().interval, point);
    assert!(matches!(student_interval(&[1.0], 0.95), Err(Error::TooFewSamples { found: 1, .. })));
    assert!(matches!(student_interval(&[1.0, 2.0], 95.0), Err(Error::OutOfRange { .. })));
    assert!(matches!(bernstein_interval(&[0.5, 1.5], [0.0, 1.0], 0.95), Err(Error::OutOfRange { .. })));
    assert!(bca_bootstrap(&[0.0, 1.0], |_| f64::NAN, Bootstrap::default()).is_err());
    assert!(win_rate(0, 0, 0, 0.95).is_err());
}

#[test]
fn a_real_gain_is_found_and_a_difference_out_of_range_is_refused() {
    let mut comparison = PairedSequence::new(1.0, 0.95).unwrap();
    let mut stream = Stream::new(52);
    for _ in 0..400 {
        comparison.observe(-0.2 + 0.3 * (2.0 * stream.uniform() - 1.0)).unwrap();
    }
    assert_eq!(comparison.verdict(), Verdict::Worse);
    assert!(comparison.interval().contains(-0.2) && comparison.interval().high < 0.0);
    assert!(comparison.p_value() < 1e-6);
    let before = comparison.clone();
    assert!(comparison.observe(1.5).is_err());
    assert_eq!(comparison, before);
}

/// Trials of every simulation below: two standard errors of a measured 95 % are 0.6 points.
const TRIALS: u64 = 5_000;

/// Share of trials whose interval covers the truth, in per cent.
fn coverage(truth: f64, interval: impl Fn(&mut Stream) -> Result<Interval, Error>) -> f64 {
    let covers = |trial: &u64| interval(&mut Stream::new(*trial)).is_ok_and(|interval| interval.contains(truth));
    100.0 * (0..TRIALS).filter(covers).count() as f64 / TRIALS as f64
}

#[track_caller]
fn keeps_its_level(measured: f64) {
    assert!((93.0..=97.0).contains(&measured), "nominal 95 %, measured {measured} %");
}

fn sample(stream: &mut Stream, n: usize, draw: fn(&mut Stream) -> f64) -> Vec<f64> {
    (0..n).map(|_| draw(stream)).collect()
}

#[test]
fn intervals_for_means_keep_their_level() {
    let exponential: fn(&mut Stream) -> f64 = |stream| -(1.0 - stream.uniform()).ln();
    let options = Bootstrap { resamples: 500, ..Bootstrap::default() };
    keeps_its_level(coverage(0.0, |stream| Ok(student_interval(&sample(stream, 25, Stream::normal), 0.95)?.interval)));
    for draw in [Stream::normal as fn(&mut Stream) -> f64, |stream| exponential_gain(stream)] {
        let gains = |stream: &mut Stream| sample(stream, 25, draw);
        keeps_its_level(coverage(0.0, |stream| Ok(studentised_bootstrap(&gains(stream), options)?.interval)));
    }
    let mean = |items: &[f64]| items.iter().sum::<f64>() / items.len() as f64;
    let covered = coverage(1.0, |stream| Ok(bca_bootstrap(&sample(stream, 40, exponential), mean, options)?.interval));
    keeps_its_level(covered);
}

/// A skewed gain of mean 0.
fn exponential_gain(stream: &mut Stream) -> f64 {
    -(1.0 - stream.uniform()).ln() - 1.0
}

#[test]
fn intervals_for_win_rates_keep_their_level() {
    for (wins, ties) in [(0.5, 0.0), (0.6, 0.1), (0.45, 0.3), (0.8, 0.1), (0.2, 0.7)] {
        let covered = coverage(wins + 0.5 * ties, |stream| {
            let mut verdicts = [0; 3];
            for _ in 0..100 {
                let u = stream.uniform();
                verdicts[usize::from(u >= wins) + usize::from(u >= wins + ties)] += 1;
            }
            Ok(win_rate(verdicts[0], verdicts[1], verdicts[2], 0.95)?.interval)
        });
        keeps_its_level(covered);
    }
}

#[test]
fn intervals_for_log_partitions_keep_their_level() {
    // Values uniform on [0, 1]: Z = λ (e^{1/λ} − 1) and J(ρ*) = 1/(1 − e^{−1/λ}) − λ.
    for (lambda, n) in [(1.0f64, 16), (0.5, 16), (0.2, 64)] {
        let log_z = (lambda * lambda.recip().exp_m1()).ln();
        let reached = -1.0 / (-lambda.recip()).exp_m1() - lambda;
        let tilted = |stream: &mut Stream| estimate_tilted(&sample(stream, n, Stream::uniform), lambda, 0.95);
        keeps_its_level(coverage(log_z, |stream| Ok(tilted(stream)?.log_partition.interval)));
        keeps_its_level(coverage(reached, |stream| Ok(tilted(stream)?.mean_value.interval)));
    }
}

#[test]
fn bernstein_never_falls_short() {
    let covered = coverage(0.1, |stream| {
        let rare = sample(stream, 30, |stream| f64::from(u8::from(stream.uniform() < 0.1)));
        Ok(bernstein_interval(&rare, [0.0, 1.0], 0.95)?.interval)
    });
    assert!(covered >= 95.0, "{covered}");
}

#[test]
fn looking_again_and_again_does_not_mislead() {
    let draws: [fn(&mut Stream) -> f64; 3] = [
        |stream| 2.0 * stream.uniform() - 1.0,
        |stream| stream.below(3) as f64 - 1.0,
        |stream| if stream.uniform() < 0.1 { 0.9 } else { -0.1 },
    ];
    for draw in draws {
        let (mut better, mut missed) = (0, 0);
        for trial in 0..TRIALS {
            let mut stream = Stream::new(trial);
            let mut comparison = PairedSequence::new(1.0, 0.95).unwrap();
            for _ in 0..300 {
                comparison.observe(draw(&mut stream)).unwrap();
            }
            // The verdict and the sequence remember every look there was.
            better += u64::from(comparison.verdict() == Verdict::Better);
            missed += u64::from(!comparison.interval().contains(0.0));
        }
        assert!(better * 20 <= TRIALS && missed * 20 <= TRIALS, "{better} false, {missed} missed of {TRIALS}");
    }
}
