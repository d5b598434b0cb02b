//! Measures how often nominal 95 % intervals cover the truth, and how often repeated looks mislead.
//!
//! `cargo run --release -p theory --example coverage [TRIALS]`; prints one line a case. Simulation error of a measured
//! 95 % is ±0.6 points at 5,000 trials (two standard errors).

use std::io::Write as _;

use theory::{
    Bootstrap, Interval, PairedSequence, Stream, Verdict, bca_bootstrap, bernstein_interval, estimate_tilted,
    mean_over_prompts, student_interval, studentised_bootstrap, tilt, win_rate,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trials: u64 = std::env::args().nth(1).map_or(Ok(5_000), |trials| trials.parse())?;
    let mut out = std::io::stdout().lock();
    for (case, measured) in [means(trials)?, win_rates(trials)?, log_partitions(trials)?, peeking(trials)?].concat() {
        writeln!(out, "{case:<64} {:6.2} %", 100.0 * measured)?;
    }
    Ok(())
}

type Case = (String, f64);
type Cases = Result<Vec<Case>, theory::Error>;

/// Share of trials whose interval covers the truth.
fn covered(
    trials: u64,
    truth: f64,
    interval: impl Fn(&mut Stream, u64) -> Result<Interval, theory::Error>,
) -> Result<f64, theory::Error> {
    let mut count = 0;
    for trial in 0..trials {
        let mut stream = Stream::new(trial);
        count += u32::from(interval(&mut stream, trial)?.contains(truth));
    }
    Ok(f64::from(count) / trials as f64)
}

fn sample(n: usize, mut draw: impl FnMut() -> f64) -> Vec<f64> {
    (0..n).map(|_| draw()).collect()
}

fn means(trials: u64) -> Cases {
    let mut cases = Vec::new();
    let options = |trial| Bootstrap { resamples: 1_000, seed: trial ^ 0xB007, ..Bootstrap::default() };
    type Draw = fn(&mut Stream) -> f64;
    let populations: [(&str, f64, Draw); 3] = [
        ("normal gains", 0.0, Stream::normal),
        ("uniform gains", 0.5, Stream::uniform),
        ("skewed gains (exponential)", 1.0, |stream| -(1.0 - stream.uniform()).ln()),
    ];
    for (name, truth, draw) in populations {
        for n in [25, 100] {
            let student =
                covered(trials, truth, |stream, _| Ok(student_interval(&sample(n, || draw(stream)), 0.95)?.interval))?;
            let studentised = covered(trials, truth, |stream, trial| {
                Ok(studentised_bootstrap(&sample(n, || draw(stream)), options(trial))?.interval)
            })?;
            let bca = covered(trials, truth, |stream, trial| {
                let mean = |items: &[f64]| items.iter().sum::<f64>() / items.len() as f64;
                Ok(bca_bootstrap(&sample(n, || draw(stream)), mean, options(trial))?.interval)
            })?;
            cases.push((format!("mean, {name}, n = {n}, Student"), student));
            cases.push((format!("mean, {name}, n = {n}, studentised bootstrap"), studentised));
            cases.push((format!("mean, {name}, n = {n}, BCa bootstrap"), bca));
        }
    }
    let bernstein = covered(trials, 0.5, |stream, _| {
        Ok(bernstein_interval(&sample(100, || stream.uniform()), [0.0, 1.0], 0.95)?.interval)
    })?;
    cases.push(("mean, uniform figures, n = 100, Bernstein (at least 95)".into(), bernstein));
    Ok(cases)
}

fn win_rates(trials: u64) -> Cases {
    let mut cases = Vec::new();
    for (wins, ties) in [(0.5, 0.0), (0.6, 0.1), (0.45, 0.3), (0.8, 0.1), (0.2, 0.7)] {
        let truth = wins + 0.5 * ties;
        for n in [50, 200] {
            let measured = covered(trials, truth, |stream, _| {
                let mut verdicts = [0; 3];
                for _ in 0..n {
                    let u = stream.uniform();
                    verdicts[if u < wins {
                        0
                    } else if u < wins + ties {
                        1
                    } else {
                        2
                    }] += 1;
                }
                Ok(win_rate(verdicts[0], verdicts[1], verdicts[2], 0.95)?.interval)
            })?;
            cases.push((format!("win rate {truth:.2} with {:.0} % ties, n = {n}", 100.0 * ties), measured));
            if n == 200 {
                let options = Bootstrap { resamples: 500, ..Bootstrap::default() };
                let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
                let resampled = covered(trials, truth, |stream, seed| {
                    let score = |u: f64| {
                        if u < wins {
                            1.0
                        } else if u < wins + ties {
                            0.5
                        } else {
                            0.0
                        }
                    };
                    let scores = sample(n as usize, || score(stream.uniform()));
                    Ok(bca_bootstrap(&scores, mean, Bootstrap { seed, ..options })?.interval)
                })?;
                cases.push((format!("  the same, BCa bootstrap over prompts, n = {n}"), resampled));
            }
        }
    }
    Ok(cases)
}

fn log_partitions(trials: u64) -> Cases {
    let mut cases = Vec::new();
    // R uniform on [0, 1]: Z = λ (e^{1/λ} − 1), J(ρ*) = 1/(1 − e^{−1/λ}) − λ.
    for (lambda, n) in [(1.0, 16), (0.5, 16), (0.5, 64), (0.2, 64), (0.1, 256)] {
        let inverse: f64 = 1.0 / lambda;
        let log_z = (lambda * inverse.exp_m1()).ln();
        let reached = 1.0 / -(-inverse).exp_m1() - lambda;
        let measured = |truth: f64, figure: fn(theory::TiltedEstimate) -> Interval| {
            covered(trials, truth, |stream, _| {
                Ok(figure(estimate_tilted(&sample(n, || stream.uniform()), lambda, 0.95)?))
            })
        };
        cases.push((
            format!("log Z, uniform values, λ = {lambda}, N = {n}"),
            measured(log_z, |e| e.log_partition.interval)?,
        ));
        cases.push((
            format!("J(ρ*), uniform values, λ = {lambda}, N = {n}"),
            measured(reached, |e| e.mean_value.interval)?,
        ));
    }
    // Forty prompts drawn from a population of worlds, sixteen rewrites each.
    let levels: Vec<f64> = (0..21).map(|k| f64::from(k) / 20.0).collect();
    let prompt_values = |shift: f64| levels.iter().map(|level| shift * level * level).collect::<Vec<f64>>();
    let shifts: Vec<f64> = (0..10).map(|k| 0.4 + 0.1 * f64::from(k)).collect();
    let mut truth = 0.0;
    for shift in &shifts {
        truth += tilt(&[1.0 / 21.0; 21], &prompt_values(*shift), 0.5)?.log_partition / shifts.len() as f64;
    }
    let measured = covered(trials, truth, |stream, _| {
        let mut estimates = Vec::with_capacity(40);
        for _ in 0..40 {
            let values = prompt_values(shifts[stream.below(shifts.len())]);
            let drawn = sample(16, || values[stream.below(values.len())]);
            estimates.push(estimate_tilted(&drawn, 0.5, 0.95)?.log_partition);
        }
        Ok(mean_over_prompts(&estimates, 0.95)?.interval)
    })?;
    cases.push(("E_x log Z, 40 prompts of 16 rewrites, λ = 0.5".into(), measured));
    Ok(cases)
}

fn peeking(trials: u64) -> Cases {
    let mut cases = Vec::new();
    type Draw = fn(&mut Stream) -> f64;
    let populations: [(&str, Draw); 3] = [
        ("uniform in [−1, 1]", |stream| 2.0 * stream.uniform() - 1.0),
        ("−1, 0 or 1", |stream| stream.below(3) as f64 - 1.0),
        ("skewed: 0.9 once in ten, else −0.1", |stream| if stream.uniform() < 0.1 { 0.9 } else { -0.1 }),
    ];
    for (name, draw) in populations {
        let (mut better, mut missed, mut naive) = (0, 0, 0);
        for trial in 0..trials {
            let mut stream = Stream::new(trial);
            let mut comparison = PairedSequence::new(1.0, 0.95)?;
            let (mut sum, mut squares, mut misled) = (0.0, 0.0, false);
            for n in 1..=1_000 {
                let difference = draw(&mut stream);
                comparison.observe(difference)?;
                sum += difference;
                squares += difference * difference;
                let error = ((squares - sum * sum / f64::from(n)) / f64::from(n - 1).max(1.0) * f64::from(n)).sqrt();
                misled |= n >= 10 && sum > 1.96 * error;
            }
            better += u32::from(comparison.verdict() == Verdict::Better);
            missed += u32::from(!comparison.interval().contains(0.0));
            naive += u32::from(misled);
        }
        let share = |count: u32| f64::from(count) / trials as f64;
        cases.push((format!("false \"better\" in 1,000 looks, {name}"), share(better)));
        cases.push((format!("  confidence sequence ever missing the truth, {name}"), share(missed)));
        cases.push((format!("  for comparison, z-test at every look, {name}"), share(naive)));
    }
    Ok(cases)
}
