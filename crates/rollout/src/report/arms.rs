//! Arms side by side: reward, wins, variance, rails, parts of the reward.

use std::collections::BTreeSet;

use super::facts::{Arm, Facts, NAIVE, REF, TRAINED};
use super::format;
use super::html::Html;
use super::page::{Head, Key, columns, figure, section, table};
use super::plot::{Axis, Chart, Direction, HALF, Size};
use crate::evaluate::{ArmResult, Evaluation, PartMean};

pub(crate) fn draw(html: &mut Html, facts: &Facts<'_>) {
    let Some(evaluation) = facts.run.evaluation else { return };
    section(html, "arms", "Arms side by side", |html| {
        html.element("div", &[("class", "halves")], |html| {
            rewards(html, facts);
            wins(html, evaluation);
            variance(html, facts);
        });
        variance_table(html, facts);
        rails(html, facts);
    });
    if !evaluation.parts.is_empty() {
        section(html, "parts", "Parts of the reward", |html| parts(html, facts, evaluation));
    }
}

/// A plot with a row for each name.
fn rows(n_rows: usize, row: f64) -> Size {
    Size { height: 60.0 + row * n_rows.max(1) as f64, left: 96.0, ..HALF }
}

/// The names of arms from the bottom up, so that the first one stands on top.
fn upwards<'a>(facts: &'a Facts<'_>) -> (Vec<(&'a Arm, &'a ArmResult)>, Axis) {
    let mut results: Vec<_> = facts.results().collect();
    results.reverse();
    let names: Vec<String> = results.iter().map(|(arm, _)| arm.name.clone()).collect();
    (results, Axis::names(&names))
}

fn rewards(html: &mut Html, facts: &Facts<'_>) {
    let (results, names) = upwards(facts);
    let ends = results.iter().flat_map(|(_, result)| [result.mean_reward, result.interval[0], result.interval[1]]);
    let mut chart = Chart::new(rows(results.len(), 34.0), Axis::linear("mean reward", ends), names);
    for (at, (arm, result)) in results.iter().enumerate() {
        let y = at as f64 + 0.5;
        chart.interval(arm.class, Direction::Across, y, result.interval);
        let mean = format::fixed(result.mean_reward, facts.decimals);
        let title = format!("{}: {mean} {}", arm.name, format::interval(result.interval, facts.decimals));
        chart.dot(arm.class, arm.shape, (result.mean_reward, y), &title);
        chart.note(result.mean_reward, y + 0.3, &mean);
    }
    let caption = "Held-out prompts; bars are 95 % intervals of the mean.";
    figure(html, "Reward by arm", caption, &[], chart.finish("Mean held-out reward of each arm with its interval"));
}

fn wins(html: &mut Html, evaluation: &Evaluation) {
    if evaluation.win_rate.is_empty() {
        return;
    }
    let mut rates: Vec<_> = evaluation.win_rate.iter().collect();
    rates.reverse();
    let names: Vec<String> = rates.iter().map(|(name, _)| name.replace("vs_", "against ")).collect();
    let mut chart = Chart::new(rows(rates.len(), 40.0), Axis::share("share of prompts"), Axis::names(&names));
    for (at, (name, rate)) in rates.iter().enumerate() {
        let better = rate.mean - rate.ties / 2.0;
        let edges = [0.0, better, better + rate.ties, 1.0];
        let kinds = [("better", "gain"), ("equally good", "tie"), ("worse", "loss")];
        for (pair, (kind, class)) in edges.windows(2).zip(kinds) {
            let title = format!("{}: {kind} on {}", name.replace('_', " "), format::percent(pair[1] - pair[0]));
            chart.bar(class, [pair[0], pair[1]], [at as f64 + 0.2, at as f64 + 0.8], &title);
        }
    }
    let share = |rate: &crate::evaluate::WinRateResult| {
        let [low, high] = rate.interval.map(format::percent);
        format!("{} [{low}, {high}]", format::percent(rate.mean))
    };
    let told =
        evaluation.win_rate.iter().map(|(name, rate)| format!("{} {}", name.replace("vs_", "against "), share(rate)));
    let caption = format!("Wins of `{TRAINED}`, ties counted half: {}.", told.collect::<Vec<_>>().join("; "));
    let legend = [Key::area("gain", "better"), Key::area("tie", "equally good"), Key::area("loss", "worse")];
    let description = format!("Share of prompts on which {TRAINED} does better, equally well and worse");
    figure(html, "Prompts won", &caption, &legend, chart.finish(&description));
}

const PARTS_OF_VARIANCE: [(&str, &str); 3] =
    [("s0", "between prompts"), ("s1", "between rewrites"), ("s3", "between responses")];

fn three_parts(result: &ArmResult) -> [f64; 3] {
    let parts = result.variance_parts;
    [parts.between_prompts, parts.between_rewrites, parts.within]
}

fn variance(html: &mut Html, facts: &Facts<'_>) {
    let (results, names) = upwards(facts);
    // Unbiased estimates may be a little below 0; there is nothing to draw then.
    let total =
        |result: &ArmResult| three_parts(result).iter().filter(|part| part.is_finite()).map(|part| part.max(0.0)).sum();
    let totals = results.iter().map(|(_, result)| total(result)).chain([0.0]);
    let mut chart = Chart::new(rows(results.len(), 34.0), Axis::linear("variance of the reward", totals), names);
    for (at, (arm, result)) in results.iter().enumerate() {
        let mut from = 0.0;
        for ((class, name), part) in PARTS_OF_VARIANCE.iter().zip(three_parts(result)) {
            let part = if part.is_finite() { part.max(0.0) } else { 0.0 };
            let title = format!("{}: {} {name}", arm.name, format::significant(part));
            chart.bar(class, [from, from + part], [at as f64 + 0.2, at as f64 + 0.8], &title);
            from += part;
        }
    }
    let legend = PARTS_OF_VARIANCE.map(|(class, name)| Key::area(class, name));
    let caption = "Of one response to one rewrite of one prompt, by where it comes from. What lies between rewrites is what \
                   choosing rewrites can win.";
    figure(html, "Variance", caption, &legend, chart.finish("Variance of each arm's reward in three parts"));
}

fn variance_table(html: &mut Html, facts: &Facts<'_>) {
    let row = |(arm, result): (_, &ArmResult)| {
        let share = |part: f64| {
            let share = if result.variance > 0.0 { part / result.variance } else { f64::NAN };
            format!("{} ({})", format::significant(part), format::percent((share * 100.0).round() / 100.0))
        };
        let mut cells = vec![format::significant(result.variance)];
        cells.extend(three_parts(result).map(share));
        (Head::Arm(arm), cells)
    };
    let head = ["Variance of the reward", "in all", "between prompts", "between rewrites", "between responses"];
    table(html, &columns(head), &facts.results().map(row).collect::<Vec<_>>());
}

fn rails(html: &mut Html, facts: &Facts<'_>) {
    let results: Vec<_> = facts.results().collect();
    let names: BTreeSet<&String> = results.iter().flat_map(|(_, result)| result.rails.keys()).collect();
    let found =
        |name: &String| results.iter().any(|(_, result)| result.rails.get(name).is_some_and(|&share| share > 0.0));
    let (found, quiet): (Vec<&String>, Vec<&String>) = names.into_iter().partition(|name| found(name));
    if found.is_empty() && quiet.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Guard rails");
    let share = |result: &ArmResult, name: &str| match result.rails.get(name) {
        Some(&share) if share.is_finite() => {
            let rewrites = (result.n_prompts * result.n_rewrites) as f64;
            format!("{} ({})", format::percent(share), format::count((share * rewrites).round().max(0.0) as u64))
        }
        _ => format::MISSING.to_owned(),
    };
    if !found.is_empty() {
        let head: Vec<String> = ["Share of rewrites (number)".to_owned()]
            .into_iter()
            .chain(results.iter().map(|(arm, _)| arm.name.clone()))
            .collect();
        let row = |name: &&String| {
            let cells = results.iter().map(|(_, result)| share(result, name)).collect();
            (Head::Text((*name).clone()), cells)
        };
        table(html, &head, &found.iter().map(row).collect::<Vec<_>>());
    }
    if !quiet.is_empty() {
        let quiet = quiet.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        html.leaf("p", &[("class", "hint")], &format!("Found nothing: {quiet}."));
    }
}

/// More parts than this are in the table only.
const MOST_PARTS: usize = 40;

fn parts(html: &mut Html, facts: &Facts<'_>, evaluation: &Evaluation) {
    let other = if facts.arm(NAIVE).is_some() { NAIVE } else { REF };
    let difference = |(name, arms): (&_, &std::collections::BTreeMap<String, PartMean>)| {
        let gain =
            arms.get(TRAINED).zip(arms.get(other)).map_or(f64::NAN, |(trained, other)| trained.mean - other.mean);
        let name: &String = name;
        (name.clone(), gain)
    };
    let mut order: Vec<(String, f64)> = evaluation.parts.iter().map(difference).collect();
    // What gained most on top; what cannot be compared at the end.
    order.sort_by(|one, two| {
        let key = |gain: f64| if gain.is_finite() { -gain } else { f64::INFINITY };
        key(one.1).total_cmp(&key(two.1)).then_with(|| one.0.cmp(&two.0))
    });
    parts_plot(html, facts, evaluation, &order, other);
    parts_table(html, facts, evaluation, &order, other);
}

fn parts_plot(html: &mut Html, facts: &Facts<'_>, evaluation: &Evaluation, order: &[(String, f64)], other: &str) {
    let drawn: Vec<&String> = order.iter().take(MOST_PARTS).map(|(name, _)| name).rev().collect();
    let names: Vec<String> = drawn.iter().map(|name| (*name).clone()).collect();
    let size = Size { width: 1064.0, height: 60.0 + 24.0 * names.len() as f64, left: 300.0 };
    let means = drawn.iter().flat_map(|name| evaluation.parts[*name].values().map(|part| part.mean)).chain([0.0]);
    let mut chart = Chart::new(size, Axis::linear("mean of the part", means), Axis::names(&names));
    for (at, name) in drawn.iter().enumerate() {
        let y = at as f64 + 0.5;
        let means = evaluation.parts[*name].values().map(|part| part.mean).filter(|mean| mean.is_finite());
        let (low, high) = means.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), m| (low.min(m), high.max(m)));
        chart.line("span", &[(low, y), (high, y)]);
        for arm in &facts.arms {
            if let Some(part) = evaluation.parts[*name].get(&arm.name) {
                let mean = format::fixed(part.mean, 3);
                let title =
                    format!("{name}, {}: {mean} on {}", arm.name, format::counted(part.n_prompts as u64, "prompt"));
                chart.dot(arm.class, arm.shape, (part.mean, y), &title);
            }
        }
    }
    let left_out = order.len().saturating_sub(MOST_PARTS);
    let more = if left_out > 0 { format!(" {left_out} more are in the table.") } else { String::new() };
    let caption =
        format!("Sorted by the gain of `{TRAINED}` over `{other}`. A part at 0 for every arm carries no signal.{more}");
    let legend: Vec<Key> = facts.arms.iter().map(Key::arm).collect();
    figure(html, "Means by part and arm", &caption, &legend, chart.finish("Mean of each part of the reward by arm"));
}

fn parts_table(html: &mut Html, facts: &Facts<'_>, evaluation: &Evaluation, order: &[(String, f64)], other: &str) {
    let head = ["Part".to_owned(), "Prompts".to_owned()].into_iter();
    let head = head.chain(facts.arms.iter().map(|arm| arm.name.clone()));
    let head: Vec<String> = head.chain([format!("{TRAINED} − {other}")]).collect();
    let row = |(name, gain): &(String, f64)| {
        let arms = &evaluation.parts[name];
        let (fewest, most) =
            arms.values().fold((usize::MAX, 0), |(low, high), p| (low.min(p.n_prompts), high.max(p.n_prompts)));
        let count = if fewest < most { format!("{fewest}–{most}") } else { most.to_string() };
        let means = facts.arms.iter().map(|arm| arms.get(&arm.name).map_or(f64::NAN, |part| part.mean));
        let cells = [count].into_iter().chain(means.map(|mean| format::fixed(mean, 3)));
        (Head::Text(name.clone()), cells.chain([format::signed(*gain, 3)]).collect())
    };
    table(html, &head, &order.iter().map(row).collect::<Vec<_>>());
}
