//! Prompt by prompt: who gained, who lost, and what length has to do with it.

use theory::interval::{Bootstrap, Estimate, bca_bootstrap};

use super::facts::{Facts, NAIVE, REF, TRAINED, mean, mean_response_tokens};
use super::format;
use super::html::Html;
use super::page::{Head, Key, Section, columns, figure, prose, table};
use super::plot::{Axis, Chart, HALF, Size, shortened};
use crate::evaluate::EvaluatedPrompt;

/// More bars and dots than this only make the file larger.
const MOST_BARS: usize = 800;
const MOST_DOTS: usize = 400;
/// Rewards closer than this are the same: what is left is rounding.
const SAME: f64 = 1e-9;

pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    let draw = |html: &mut Html| {
        html.element("div", &[("class", "halves")], |html| {
            waterfall(html, facts, REF);
            waterfall(html, facts, NAIVE);
        });
        length(html, facts);
        equal_length(html, facts);
    };
    (!facts.prompts.is_empty()).then(|| Section::new("prompts", "Prompt by prompt", draw))
}

fn waterfall(html: &mut Html, facts: &Facts<'_>, other: &str) {
    let gain = |(_, trained, other): (&str, &EvaluatedPrompt, &EvaluatedPrompt)| {
        (trained.mean_reward() - other.mean_reward(), shortened(&trained.prompt, 120))
    };
    let mut gains: Vec<(f64, String)> = facts.pairs(TRAINED, other).into_iter().map(gain).collect();
    if gains.is_empty() {
        return;
    }
    gains.sort_by(|one, two| two.0.total_cmp(&one.0));
    let (better, worse) =
        (gains.iter().filter(|gain| gain.0 > SAME).count(), gains.iter().filter(|gain| gain.0 < -SAME).count());
    let stride = gains.len().div_ceil(MOST_BARS);
    let drawn: Vec<&(f64, String)> = gains.iter().step_by(stride).collect();
    let label = format!("{} prompts, sorted", format::count(gains.len() as u64));
    let y = Axis::linear("gain in reward", drawn.iter().map(|gain| gain.0).chain([0.0]));
    let mut chart = Chart::new(HALF, Axis::row(&label, drawn.len()), y);
    // Many bars are too thin for gaps.
    let gap = if drawn.len() > 200 { 0.0 } else { 0.06 };
    for (at, (gain, prompt)) in drawn.into_iter().enumerate() {
        let class = if *gain > SAME { "gain" } else { "loss" };
        let title = format!("{}: {prompt}", format::signed(*gain, 3));
        if gain.abs() > SAME {
            chart.bar(class, [at as f64 + gap, at as f64 + 1.0 - gap], [0.0, *gain], &title);
        }
    }
    chart.level(0.0);
    let same = gains.len() - better - worse;
    let average = format::signed(mean(gains.iter().map(|gain| gain.0)), facts.decimals);
    let some = if stride > 1 { format!(" One in {stride} is drawn.") } else { String::new() };
    let caption = format!("{better} better, {same} equal, {worse} worse; mean {average}.{some}");
    let legend = [Key::area("gain", "better"), Key::area("loss", "worse")];
    let title = format!("Gain over {other}");
    figure(html, &title, &caption, &legend, chart.finish(&format!("{title} for each prompt, sorted")));
}

/// Reward and response tokens of every prompt under an arm.
fn by_length(facts: &Facts<'_>, arm: &str) -> Vec<(f64, f64, String)> {
    let point = |prompt: &&EvaluatedPrompt| {
        (mean_response_tokens(prompt), prompt.mean_reward(), shortened(&prompt.prompt, 120))
    };
    let prompts = facts.prompts.values().filter_map(|arms| arms.get(arm).copied());
    let points = prompts.collect::<Vec<_>>();
    points.iter().map(point).filter(|point| point.0.is_finite() && point.1.is_finite()).collect()
}

fn length(html: &mut Html, facts: &Facts<'_>) {
    let arms: Vec<_> = facts.arms.iter().map(|arm| (arm, by_length(facts, &arm.name))).collect();
    let all = || arms.iter().flat_map(|(_, points)| points);
    if all().next().is_none() {
        return;
    }
    let size = Size { width: 1064.0, height: 320.0, ..HALF };
    let x = Axis::linear("mean response tokens", all().map(|point| point.0).chain([0.0]));
    let mut chart = Chart::new(size, x, Axis::linear("mean reward", all().map(|point| point.1)));
    let mut legend = Vec::new();
    for (arm, points) in &arms {
        let stride = points.len().div_ceil(MOST_DOTS).max(1);
        for (tokens, reward, prompt) in points.iter().step_by(stride) {
            let title = format!(
                "{}: {} at {} tokens: {prompt}",
                arm.name,
                format::fixed(*reward, 3),
                format::fixed(*tokens, 0)
            );
            chart.dot(&format!("{} pale", arm.class), arm.shape, (*tokens, *reward), &title);
        }
        let correlation = correlation(&points.iter().map(|point| (point.0, point.1)).collect::<Vec<_>>());
        let label = format!("{}: correlation {}", arm.name, format::fixed(correlation, 2));
        legend.push(Key::dot(arm.class, arm.shape, &label));
    }
    let caption = "One dot a prompt. If long responses earn more whoever writes them, a gain may be length.";
    figure(
        html,
        "Reward against response length",
        caption,
        &legend,
        chart.finish("Reward against response tokens by arm"),
    );
}

/// Differences of the trained arm to another one, prompt by prompt: tokens more, reward more.
fn differences(facts: &Facts<'_>, other: &str) -> Vec<(f64, f64)> {
    let difference = |(_, trained, other): (&str, &EvaluatedPrompt, &EvaluatedPrompt)| {
        let longer = mean_response_tokens(trained) - mean_response_tokens(other);
        (longer, trained.mean_reward() - other.mean_reward())
    };
    facts.pairs(TRAINED, other).into_iter().map(difference).filter(|difference| difference.0.is_finite()).collect()
}

/// What is left of the gain over another arm when a straight line in the difference of lengths is taken off it.
pub(crate) fn gain_at_equal_length(facts: &Facts<'_>, other: &str) -> Option<Estimate> {
    let options = Bootstrap { resamples: 1_000, ..Bootstrap::default() };
    bca_bootstrap(&differences(facts, other), height_at_zero, options).ok()
}

fn equal_length(html: &mut Html, facts: &Facts<'_>) {
    let row = |other: &str| {
        let estimate = gain_at_equal_length(facts, other)?;
        let differences = differences(facts, other);
        let cells = vec![
            format::signed(mean(differences.iter().map(|difference| difference.1)), facts.decimals),
            format::signed(mean(differences.iter().map(|difference| difference.0)), 1),
            format::signed(estimate.value, facts.decimals),
            format::interval([estimate.interval.low, estimate.interval.high], facts.decimals),
        ];
        Some((Head::Text(format!("{TRAINED} − {other}")), cells))
    };
    let rows: Vec<_> = [NAIVE, REF].into_iter().filter_map(row).collect();
    if rows.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Gain at equal length");
    table(html, &columns(["Paired by prompt", "gain", "tokens more", "gain at equal length", "95 % interval"]), &rows);
    let hint = "The gain that a straight line through (tokens more, gain) of all prompts has where responses are equally \
                long; bootstrap over prompts. A straight line is a rough account of what length does.";
    prose(html, "p", "hint", hint);
}

/// Σ (x − x̄)², Σ (x − x̄)(y − ȳ), Σ (y − ȳ)² and both means.
fn moments(points: &[(f64, f64)]) -> ([f64; 3], (f64, f64)) {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    let sums = points.iter().fold([0.0; 3], |[xx, xy, yy], (px, py)| {
        let (dx, dy) = (px - x, py - y);
        [xx + dx * dx, xy + dx * dy, yy + dy * dy]
    });
    (sums, (x, y))
}

/// The height at 0 of the line of least squares, which is level where every x is the same.
fn height_at_zero(points: &[(f64, f64)]) -> f64 {
    let ([xx, xy, _], (x, y)) = moments(points);
    if xx > 0.0 { y - xy / xx * x } else { y }
}

/// Pearson's correlation; not a number where one side does not vary.
fn correlation(points: &[(f64, f64)]) -> f64 {
    let ([xx, xy, yy], _) = moments(points);
    if xx > 0.0 && yy > 0.0 { xy / (xx * yy).sqrt() } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_fitted_and_its_correlation_told() {
        let points = [(1.0, 3.0), (2.0, 5.0), (3.0, 7.0)];
        assert!((height_at_zero(&points) - 1.0).abs() < 1e-12);
        assert_eq!(height_at_zero(&[(1.0, 2.0), (1.0, 4.0)]), 3.0);
        assert!((correlation(&points) - 1.0).abs() < 1e-12);
        assert!((correlation(&[(0.0, 1.0), (1.0, 0.0)]) + 1.0).abs() < 1e-12);
        assert!(correlation(&[(0.0, 1.0), (1.0, 1.0)]).is_nan());
        assert!(correlation(&[]).is_nan());
    }
}
