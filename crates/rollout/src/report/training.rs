//! How training went, step by step.

use std::collections::BTreeSet;

use super::facts::{Facts, mean};
use super::format;
use super::html::Html;
use super::page::{Key, Section, figure, folded, prose};
use super::plot::{Axis, Chart, Direction, HALF, Shape, THIRD, WIDE};
use crate::event::{Event, Metric, Seconds};

/// Longer runs are drawn in so many means of neighbouring steps.
const MOST_POINTS: usize = 300;

pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    let draw = |html: &mut Html| {
        let bin = facts.steps.len().div_ceil(MOST_POINTS);
        if bin > 1 {
            let note = format!("Each point is the mean of {bin} neighbouring steps.");
            prose(html, "p", "hint", &note);
        }
        html.element("div", &[("class", "halves")], |html| {
            reward(html, facts);
            metric(html, facts, Metric::Kl, "Divergence", "From the reference prompter.", "KL (nats a rewrite)");
            metric(
                html,
                facts,
                Metric::Entropy,
                "Entropy",
                "When it falls to 0, rewrites no longer differ.",
                "nats a token",
            );
            lengths(html, facts);
        });
        reward_against_divergence(html, facts);
        time(html, facts);
        other_metrics(html, facts);
    };
    (!facts.steps.is_empty()).then(|| Section::new("training", "Training", draw))
}

fn step_axis(facts: &Facts<'_>, label: &str) -> Axis {
    let first = facts.steps.first().map_or(1, |step| step.step);
    Axis::whole(label, first.min(1), facts.steps.last().map_or(1, |step| step.step))
}

/// Means of neighbouring points, so that long runs stay readable and small.
fn binned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let bin = points.len().div_ceil(MOST_POINTS).max(1);
    let middle = |bin: &[(f64, f64)]| (mean(bin.iter().map(|point| point.0)), mean(bin.iter().map(|point| point.1)));
    points.chunks(bin).map(middle).collect()
}

/// The mean over `window` points around each.
fn smoothed(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let around = |at: usize| &points[at.saturating_sub(window / 2)..(at + window / 2 + 1).min(points.len())];
    (0..points.len()).map(|at| (points[at].0, mean(around(at).iter().map(|point| point.1)))).collect()
}

struct Validation {
    step: f64,
    reward: f64,
    interval: [f64; 2],
}

fn validations(facts: &Facts<'_>) -> Vec<Validation> {
    let validation = |event: &Event| match event {
        Event::Validated { step, reward, interval, .. } => {
            Some(Validation { step: *step as f64, reward: *reward, interval: *interval })
        }
        _ => None,
    };
    facts.run.events.iter().filter_map(validation).collect()
}

fn reward(html: &mut Html, facts: &Facts<'_>) {
    let points = binned(&facts.metric(Metric::Reward));
    let window = (points.len() / 8).max(1) | 1;
    let smooth = smoothed(&points, window);
    let spread = smoothed(&binned(&facts.metric(Metric::RewardStd)), window);
    let band: Vec<_> = smooth.iter().zip(&spread).map(|(mean, std)| (mean.0, mean.1 - std.1, mean.1 + std.1)).collect();
    let tried = validations(facts);
    let seen = points.iter().map(|point| point.1).chain(band.iter().flat_map(|point| [point.1, point.2]));
    let seen = seen.chain(tried.iter().flat_map(|tried| [tried.reward, tried.interval[0], tried.interval[1]]));
    let mut chart = Chart::new(HALF, step_axis(facts, "step"), Axis::linear("reward", seen));
    chart.band("c2", &band);
    chart.line("c2 faint", &points);
    chart.line("c2", &smooth);
    let kept = facts.run.events.iter().rev().find_map(|event| match event {
        Event::Finished { kept_step, .. } => Some(*kept_step as f64),
        _ => None,
    });
    kept.into_iter().for_each(|kept| chart.upright(kept, "kept"));
    strips(&mut chart, &points, "reward");
    let digits = format::decimals_for(points.iter().map(|point| point.1));
    for tried in &tried {
        chart.interval("c1", Direction::Up, tried.step, tried.interval);
        let (reward, bounds) = (format::fixed(tried.reward, digits), format::interval(tried.interval, digits));
        let title = format!("validation after step {}: {reward} {bounds}", tried.step);
        chart.dot("c1", Shape::Square, (tried.step, tried.reward), &title);
    }
    let mut legend = vec![
        Key::line("c2", &format!("mean over {window} points")),
        Key::line("c2 faint", "each"),
        Key::area("c2 pale", "± deviation within groups"),
    ];
    if !tried.is_empty() {
        legend.push(Key::dot("c1", Shape::Square, "validation, 95 %"));
    }
    let caption = "Training prompts, rewards without penalties; validation on prompts of its own.";
    figure(html, "Reward", caption, &legend, chart.finish("Reward per training step"));
}

/// Tells each point's figures wherever the pointer is above or below it.
fn strips(chart: &mut Chart, points: &[(f64, f64)], name: &str) {
    let half = points.windows(2).map(|pair| (pair[1].0 - pair[0].0) / 2.0).next().unwrap_or(0.5);
    for &(x, value) in points {
        let title = format!("step {}: {name} {}", format::fixed(x, 0), format::significant(value));
        chart.strip([x - half, x + half], &title);
    }
}

/// One metric as a line; nothing where the run does not have it.
fn metric(html: &mut Html, facts: &Facts<'_>, metric: Metric, title: &str, caption: &str, unit: &str) {
    let points = binned(&facts.metric(metric));
    if points.iter().all(|point| !point.1.is_finite()) {
        return;
    }
    let values = points.iter().map(|point| point.1).chain([0.0]);
    let mut chart = Chart::new(HALF, step_axis(facts, "step"), Axis::linear(unit, values));
    chart.line("c2", &points);
    strips(&mut chart, &points, title);
    figure(html, title, caption, &[], chart.finish(&format!("{title} per training step")));
}

/// What reward each nat of divergence bought: one dot a step, and the way that training took.
fn reward_against_divergence(html: &mut Html, facts: &Facts<'_>) {
    let (kl, reward) = (binned(&facts.metric(Metric::Kl)), binned(&facts.metric(Metric::Reward)));
    let window = (kl.len() / 8).max(1) | 1;
    let path = |kl: &[(f64, f64)], reward: &[(f64, f64)]| -> Vec<(f64, f64)> {
        kl.iter().zip(reward).map(|(kl, reward)| (kl.1, reward.1)).collect()
    };
    let points = path(&kl, &reward);
    if points.iter().all(|(kl, reward)| !kl.is_finite() || !reward.is_finite()) {
        return;
    }
    let x = Axis::linear("KL (nats a rewrite)", points.iter().map(|point| point.0).chain([0.0]));
    let mut chart = Chart::new(WIDE, x, Axis::linear("reward", points.iter().map(|point| point.1)));
    for (&(step, _), &(kl, reward)) in kl.iter().zip(&points) {
        let [step, kl_text] = [format::fixed(step, 0), format::significant(kl)];
        let title = format!("step {step}: reward {} at {kl_text} nats", format::significant(reward));
        chart.dot("c2 pale", Shape::Circle, (kl, reward), &title);
    }
    chart.line("c2", &path(&smoothed(&kl, window), &smoothed(&reward, window)));
    let legend = [Key::dot("c2 pale", Shape::Circle, "step"), Key::line("c2", "way of the smoothed means")];
    let caption = "Training prompts, rewards without penalties. Where the way goes right and no longer up, divergence buys no more reward.";
    let plot = chart.finish("Reward against divergence from the reference, step by step");
    figure(html, "Reward against divergence", caption, &legend, plot);
}

fn lengths(html: &mut Html, facts: &Facts<'_>) {
    let rewrites = binned(&facts.metric(Metric::RewritesMeanLength));
    let responses = binned(&facts.metric(Metric::CompletionsMeanLength));
    let values = rewrites.iter().chain(&responses).map(|point| point.1);
    if values.clone().all(|value| !value.is_finite()) {
        return;
    }
    let mut chart = Chart::new(HALF, step_axis(facts, "step"), Axis::linear("tokens", values.chain([0.0])));
    chart.line("c2", &rewrites);
    chart.line("c0", &responses);
    let half = responses.windows(2).map(|pair| (pair[1].0 - pair[0].0) / 2.0).next().unwrap_or(0.5);
    for (&(step, rewrite), &(_, response)) in rewrites.iter().zip(&responses) {
        let [step_text, rewrite, response] = [step, rewrite, response].map(|value| format::fixed(value, 0));
        let title = format!("step {step_text}: rewrites {rewrite} tokens, responses {response} tokens");
        chart.strip([step - half, step + half], &title);
    }
    let legend = [Key::line("c2", "rewrites"), Key::line("c0", "responses")];
    figure(
        html,
        "Length",
        "Mean tokens written in the step.",
        &legend,
        chart.finish("Length of rewrites and responses"),
    );
}

/// Where the seconds went, from the ground up.
type Share = (&'static str, &'static str, fn(&Seconds) -> f64);
const SHARES: [Share; 6] = [
    ("s0", "sampling", |seconds| seconds.sampling),
    ("s1", "target", |seconds| seconds.target),
    ("s2", "reward", |seconds| seconds.reward),
    ("s3", "scoring", |seconds| seconds.scoring),
    ("s4", "backward", |seconds| seconds.backward),
    ("s5", "rest", |seconds| {
        let told = seconds.sampling + seconds.target + seconds.reward + seconds.scoring + seconds.backward;
        (seconds.total - told).max(0.0)
    }),
];

fn time(html: &mut Html, facts: &Facts<'_>) {
    let series = |share: fn(&Seconds) -> f64| {
        let points = facts.steps.iter().map(|step| (step.step as f64, share(&step.seconds)));
        binned(&points.collect::<Vec<_>>())
    };
    let shares = SHARES.map(|(class, name, share)| (class, name, series(share)));
    let n_points = shares[0].2.len();
    let height =
        |at: usize| shares.iter().map(|share| share.2[at].1).filter(|seconds| seconds.is_finite()).sum::<f64>();
    let heights: Vec<f64> = (0..n_points).map(height).collect();
    if heights.iter().all(|&height| height <= 0.0) {
        return;
    }
    let first = facts.steps.first().map_or(1, |step| step.step).min(1);
    let last = facts.steps.last().map_or(1, |step| step.step);
    let mut chart = Chart::new(
        WIDE,
        Axis::whole("step", first.saturating_sub(1), last),
        Axis::linear("seconds a step", heights.iter().copied().chain([0.0])),
    );
    for at in 0..n_points {
        let x = shares[0].2[at].0;
        let width = (shares[0].2.get(1).map_or(1.0, |next| next.0 - shares[0].2[0].0)).max(1e-9);
        let mut ground = 0.0;
        for (class, name, points) in &shares {
            let seconds = if points[at].1.is_finite() { points[at].1.max(0.0) } else { 0.0 };
            let title = format!("step {}: {name} {}", format::fixed(x, 0), format::duration(seconds));
            if seconds > 0.0 {
                chart.bar(class, [x - 0.95 * width, x - 0.05 * width], [ground, ground + seconds], &title);
            }
            ground += seconds;
        }
    }
    let total =
        |points: &[(f64, f64)]| points.iter().map(|point| point.1).filter(|seconds| seconds.is_finite()).sum::<f64>();
    let everything = heights.iter().sum::<f64>();
    let key = |(class, name, points): &(&'static str, &'static str, Vec<(f64, f64)>)| {
        Key::area(class, &format!("{name} {}", format::whole_percent(total(points) / everything)))
    };
    let bin = facts.steps.len().div_ceil(MOST_POINTS) as f64;
    let caption = format!("{} in all steps together.", format::duration(everything * bin));
    figure(
        html,
        "Time",
        &caption,
        &shares.iter().map(key).collect::<Vec<_>>(),
        chart.finish("Seconds per training step"),
    );
}

/// Everything else that was measured, small.
fn other_metrics(html: &mut Html, facts: &Facts<'_>) {
    let shown =
        [Metric::Reward, Metric::Kl, Metric::Entropy, Metric::RewritesMeanLength, Metric::CompletionsMeanLength];
    let shown = shown.map(Metric::name);
    let names: BTreeSet<&str> = facts
        .steps
        .iter()
        .flat_map(|step| step.metrics.keys())
        .map(String::as_str)
        .filter(|name| !shown.contains(name))
        .collect();
    if names.is_empty() {
        return;
    }
    folded(html, &format!("All other metrics ({})", names.len()), |html| {
        html.element("div", &[("class", "thirds")], |html| {
            for name in names {
                let points = binned(&facts.series(name));
                let values = points.iter().map(|point| point.1);
                let mut chart = Chart::new(THIRD, step_axis(facts, ""), Axis::linear("", values));
                chart.line("c2", &points);
                strips(&mut chart, &points, name);
                figure(html, name, "", &[], chart.finish(&format!("{name} per training step")));
            }
        });
    });
}
