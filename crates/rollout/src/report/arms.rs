//! Arms side by side: reward, wins, variance, rails.

use std::collections::BTreeSet;

use super::facts::{Arm, Facts, TRAINED};
use super::format;
use super::html::Html;
use super::page::{Head, Key, Section, columns, figure, prose, table};
use super::plot::{Axis, Chart, Direction, HALF, Size, WIDE};
use crate::evaluate::{ArmResult, EvaluatedPrompt, Evaluation, WinRateResult};

/// Bins of a distribution of rewards.
const BINS: usize = 20;

pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    let draw = |evaluation: &Evaluation| {
        Section::new("arms", "Arms side by side", |html| {
            html.element("div", &[("class", "halves")], |html| {
                rewards(html, facts);
                wins(html, facts, evaluation);
                variance(html, facts);
                variance_table(html, facts);
            });
            distribution(html, facts);
            rails(html, facts);
        })
    };
    facts.run.evaluation.map(draw)
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

/// The rewards of an arm's single responses.
fn rewards_of(facts: &Facts<'_>, arm: &str) -> Vec<f64> {
    let rewards = |prompt: &EvaluatedPrompt| -> Vec<f64> {
        prompt.rewrites.iter().flat_map(|rewrite| &rewrite.responses).map(|response| response.reward).collect()
    };
    let prompts = facts.prompts.values().filter_map(|arms| arms.get(arm));
    prompts.flat_map(|prompt| rewards(prompt)).filter(|reward| reward.is_finite()).collect()
}

/// A histogram of the rewards of single responses, the arms' bars side by side in each bin.
fn distribution(html: &mut Html, facts: &Facts<'_>) {
    let arms: Vec<_> = facts.arms.iter().map(|arm| (arm, rewards_of(facts, &arm.name))).collect();
    let arms: Vec<_> = arms.into_iter().filter(|(_, rewards)| !rewards.is_empty()).collect();
    let all = || arms.iter().flat_map(|(_, rewards)| rewards).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let width = (high - low) / BINS as f64;
    // Nothing to see where all rewards are one, or none is there; a span that overflows has no bins.
    if !(width.is_finite() && width > 0.0) {
        return;
    }
    // A hair of a bin is forgiven, so that 0.3 of rewards in tenths is not taken for a little less.
    let bin = |reward: f64| (((reward - low) / width + 1e-9) as usize).min(BINS - 1);
    let shares = |rewards: &[f64]| {
        let mut shares = [0.0; BINS];
        rewards.iter().for_each(|&reward| shares[bin(reward)] += 1.0 / rewards.len() as f64);
        shares
    };
    let shares: Vec<_> = arms.iter().map(|(arm, rewards)| (*arm, shares(rewards))).collect();
    let heights = shares.iter().flat_map(|(_, shares)| *shares).map(|share| 100.0 * share).chain([0.0]);
    let mut chart = Chart::new(WIDE, Axis::linear("reward", [low, high]), Axis::linear("% of responses", heights));
    let bar = 0.9 * width / shares.len() as f64;
    for at in 0..BINS {
        let from = low + at as f64 * width;
        for (place, (arm, shares)) in shares.iter().enumerate().filter(|(_, (_, shares))| shares[at] > 0.0) {
            let left = from + 0.05 * width + place as f64 * bar;
            let [from, to] = [from, from + width].map(|bound| format::fixed(bound, facts.decimals));
            let share = format::percent(shares[at]);
            let below = if at + 1 < BINS { "to below" } else { "to" };
            let title = format!("{}: {share} of responses from {from} {below} {to}", arm.name);
            chart.bar(arm.class, [left, left + bar], [0.0, 100.0 * shares[at]], &title);
        }
    }
    let legend: Vec<Key> = shares.iter().map(|(arm, _)| Key::area(arm.class, &arm.name)).collect();
    let caption = "Single responses. A mean can rise because many answers get a little better, or a few get right.";
    let plot = chart.finish("Share of responses by reward for each arm");
    figure(html, "Distribution of rewards", caption, &legend, plot);
}

fn wins(html: &mut Html, facts: &Facts<'_>, evaluation: &Evaluation) {
    if evaluation.win_rate.is_empty() {
        return;
    }
    let mut rates = facts.versus(&evaluation.win_rate);
    rates.reverse();
    let names: Vec<String> = rates.iter().map(|(other, _)| (*other).to_owned()).collect();
    // As high as the plot beside it.
    let size = rows(facts.results().count(), 34.0);
    let mut chart = Chart::new(size, Axis::share("share of prompts"), Axis::names(&names));
    for (at, (other, rate)) in rates.iter().enumerate() {
        let better = rate.mean - rate.ties / 2.0;
        let edges = [0.0, better, better + rate.ties, 1.0];
        let kinds = [("better", "gain"), ("no better or worse", "tie"), ("worse", "loss")];
        for (pair, (kind, class)) in edges.windows(2).zip(kinds) {
            let title = format!("{kind} than {other} on {}", format::percent(pair[1] - pair[0]));
            chart.bar(class, [pair[0], pair[1]], [at as f64 + 0.25, at as f64 + 0.75], &title);
        }
    }
    let share = |rate: &WinRateResult| {
        let [low, high] = rate.interval.map(format::percent);
        format!("{} [{low}, {high}]", format::percent(rate.mean))
    };
    let told = rates.iter().rev().map(|(other, rate)| format!("{} against `{other}`", share(rate)));
    let caption = format!("Wins of `{TRAINED}`, ties counted half: {}.", told.collect::<Vec<_>>().join("; "));
    let legend = [Key::area("gain", "better"), Key::area("tie", "equally good"), Key::area("loss", "worse")];
    let description = format!("Share of prompts on which {TRAINED} does better, equally well and worse");
    figure(html, "Prompts won against each arm", &caption, &legend, chart.finish(&description));
}

const PARTS_OF_VARIANCE: [(&str, &str); 3] =
    [("s0", "between prompts"), ("s1", "between rewrites"), ("s3", "between responses")];

/// What the second part is where a rewrite got one response.
const BOTH: &str = "between rewrites and their responses";

fn three_parts(result: &ArmResult) -> [Option<f64>; 3] {
    let parts = result.variance_parts;
    [Some(parts.between_prompts), Some(parts.between_rewrites), parts.within]
}

/// Whether an arm has rewrites to choose from with one response each, so that chance and choice look alike.
fn is_mixed(result: &ArmResult) -> bool {
    result.variance_parts.within.is_none() && result.n_rewrites > 1
}

fn variance(html: &mut Html, facts: &Facts<'_>) {
    let (results, names) = upwards(facts);
    // What is not a number, or below 0, cannot be drawn.
    let drawn = |part: Option<f64>| part.filter(|part| part.is_finite()).map_or(0.0, |part| part.max(0.0));
    let totals = results.iter().map(|(_, result)| three_parts(result).into_iter().map(drawn).sum()).chain([0.0]);
    let mut chart = Chart::new(rows(results.len(), 34.0), Axis::linear("variance of the reward", totals), names);
    for (at, (arm, result)) in results.iter().enumerate() {
        let mut from = 0.0;
        for ((class, name), part) in PARTS_OF_VARIANCE.iter().zip(three_parts(result)) {
            let part = drawn(part);
            let name = if *class == "s1" && is_mixed(result) { BOTH } else { name };
            let title = format!("{}: {} {name}", arm.name, format::significant(part));
            chart.bar(class, [from, from + part], [at as f64 + 0.2, at as f64 + 0.8], &title);
            from += part;
        }
    }
    let legend = PARTS_OF_VARIANCE.map(|(class, name)| Key::area(class, name));
    let told = "Of one response to one rewrite of one prompt, by where it comes from. What lies between rewrites is what \
                choosing rewrites can win";
    let caption = match results.iter().any(|(_, result)| is_mixed(result)) {
        true => format!(
            "{told}, and, where a rewrite got one response, the chance of its response too: `responses = 2` in `[eval]` tells \
             them apart."
        ),
        false => format!("{told}."),
    };
    figure(html, "Variance", &caption, &legend, chart.finish("Variance of each arm's reward in three parts"));
}

fn variance_table(html: &mut Html, facts: &Facts<'_>) {
    let decimals = format::decimals_for(facts.results().map(|(_, result)| result.variance));
    let row = |(arm, result): (_, &ArmResult)| {
        let share = |part: f64| {
            let share = if result.variance > 0.0 { part / result.variance } else { f64::NAN };
            format!("{} ({})", format::fixed(part, decimals), format::whole_percent(share))
        };
        let mut cells = vec![format::fixed(result.variance, decimals)];
        cells.extend(three_parts(result).map(|part| part.map_or_else(|| format::MISSING.to_owned(), share)));
        if is_mixed(result) {
            cells[2] += ", responses included";
        }
        (Head::Arm(arm), cells)
    };
    let head = ["Variance", "in all", "between prompts", "between rewrites", "between responses"];
    table(html, &columns(head), &facts.results().map(row).collect::<Vec<_>>());
}

/// What the rails found in the rewrites of every arm that has a prompter.
fn rails(html: &mut Html, facts: &Facts<'_>) {
    let rewrites = |result: &ArmResult| result.mean_rewrite_tokens != 0.0 || !result.rails.is_empty();
    let results: Vec<_> = facts.results().filter(|(_, result)| rewrites(result)).collect();
    if results.is_empty() {
        return;
    }
    let share = |result: &ArmResult, name: &str| result.rails.get(name).copied().unwrap_or(0.0);
    let names: BTreeSet<&String> = results.iter().flat_map(|(_, result)| result.rails.keys()).collect();
    let found = |name: &&String| results.iter().any(|(_, result)| share(result, name) != 0.0);
    html.leaf("h3", &[], "Guard rails");
    let cell = |(_, result): &(&Arm, &ArmResult), name: &str| {
        let share = share(result, name);
        let number = (share * result.n_prompts as f64 * result.n_rewrites as f64).round().max(0.0) as u64;
        format!("{} ({})", format::percent(share), format::count(number))
    };
    let row =
        |name: &String| (Head::Text(name.clone()), results.iter().map(|result| cell(result, name)).collect::<Vec<_>>());
    let rows: Vec<_> = names.into_iter().filter(found).map(row).collect();
    if rows.is_empty() {
        prose(html, "p", "hint", "They found nothing in any rewrite.");
        return;
    }
    let head = ["Share of rewrites (number)".to_owned()].into_iter();
    let head: Vec<String> = head.chain(results.iter().map(|(arm, _)| arm.name.clone())).collect();
    table(html, &head, &rows);
}
