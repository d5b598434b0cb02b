//! The parts that the reward is made of, arm by arm; for constraints, their types.

use std::collections::BTreeMap;

use super::facts::{Facts, NAIVE, REF, TRAINED};
use super::format;
use super::html::Html;
use super::page::{Head, Key, Section, figure, table};
use super::plot::{Axis, Chart, Size, WIDE};
use crate::evaluate::{Evaluation, PartMean};

/// More parts than this are in the table only.
const MOST_PARTS: usize = 40;

pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    let evaluation = facts.run.evaluation.filter(|evaluation| !evaluation.parts.is_empty())?;
    let other = [NAIVE, REF].into_iter().find(|other| facts.result(TRAINED).and(facts.result(other)).is_some());
    let difference = |(name, arms): (&_, &BTreeMap<String, PartMean>)| {
        let other = other.and_then(|other| arms.get(other));
        let gain = arms.get(TRAINED).zip(other).map_or(f64::NAN, |(trained, other)| trained.mean - other.mean);
        let name: &String = name;
        (name.clone(), gain)
    };
    let mut order: Vec<(String, f64)> = evaluation.parts.iter().map(difference).collect();
    // What gained most on top; what cannot be compared at the end.
    order.sort_by(|one, two| {
        let key = |gain: f64| if gain.is_finite() { -gain } else { f64::INFINITY };
        key(one.1).total_cmp(&key(two.1)).then_with(|| one.0.cmp(&two.0))
    });
    Some(Section::new("parts", "Parts of the reward", |html| {
        plot(html, facts, evaluation, &order, other);
        means(html, facts, evaluation, &order, other);
    }))
}

fn plot(html: &mut Html, facts: &Facts<'_>, evaluation: &Evaluation, order: &[(String, f64)], other: Option<&str>) {
    let drawn: Vec<&String> = order.iter().take(MOST_PARTS).map(|(name, _)| name).rev().collect();
    let names: Vec<String> = drawn.iter().map(|name| (*name).clone()).collect();
    let size = Size { height: 60.0 + 24.0 * names.len() as f64, left: 300.0, ..WIDE };
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
    let sorted = other.map_or(String::new(), |other| format!("Sorted by the gain of `{TRAINED}` over `{other}`. "));
    let caption = format!("{sorted}A part at 0 for every arm carries no signal.{more}");
    let legend: Vec<Key> = facts.arms.iter().map(Key::arm).collect();
    figure(html, "Means by part and arm", &caption, &legend, chart.finish("Mean of each part of the reward by arm"));
}

fn means(html: &mut Html, facts: &Facts<'_>, evaluation: &Evaluation, order: &[(String, f64)], other: Option<&str>) {
    let head = ["Part".to_owned(), "Prompts".to_owned()].into_iter();
    let head = head.chain(facts.arms.iter().map(|arm| arm.name.clone()));
    let head: Vec<String> = head.chain(other.map(|other| format!("{TRAINED} − {other}"))).collect();
    let row = |(name, gain): &(String, f64)| {
        let arms = &evaluation.parts[name];
        let (fewest, most) =
            arms.values().fold((usize::MAX, 0), |(low, high), p| (low.min(p.n_prompts), high.max(p.n_prompts)));
        let count = if fewest < most { format!("{fewest}–{most}") } else { most.to_string() };
        let means = facts.arms.iter().map(|arm| arms.get(&arm.name).map_or(f64::NAN, |part| part.mean));
        let cells = [count].into_iter().chain(means.map(|mean| format::fixed(mean, 3)));
        (Head::Text(name.clone()), cells.chain(other.map(|_| format::signed(*gain, 3))).collect())
    };
    table(html, &head, &order.iter().map(row).collect::<Vec<_>>());
}
