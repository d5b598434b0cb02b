//! The record itself: configuration, warnings, what happened how often, skipped steps.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::format;
use super::html::Html;
use super::page::{Head, Section, columns, folded, table};
use crate::event::Event;

/// More kinds of warnings than this are folded away.
const MOST_WARNINGS: usize = 10;

pub(crate) fn warnings_section(facts: &Facts<'_>) -> Option<Section> {
    let warnings = warnings(facts);
    let draw = |html: &mut Html| {
        let (first, rest) = warnings.split_at(warnings.len().min(MOST_WARNINGS));
        list(html, first);
        if !rest.is_empty() {
            folded(html, &format::counted(rest.len() as u64, "more warning"), |html| list(html, rest));
        }
    };
    (!warnings.is_empty()).then(|| Section::new("warnings", "Warnings", draw))
}

pub(crate) fn section(facts: &Facts<'_>) -> Section {
    Section::new("record", "Record", |html| {
        counts(html, facts);
        skipped(html, facts);
        html.leaf("h3", &[], "Configuration");
        match facts.run.config_toml.trim() {
            "" => html.leaf("p", &[("class", "nothing")], "(none recorded)"),
            config => html.leaf("pre", &[("class", "config")], config),
        }
    })
}

fn list(html: &mut Html, items: &[String]) {
    html.element("ul", &[], |html| items.iter().for_each(|item| html.leaf("li", &[], item)));
}

/// Each warning once, with the steps it came at.
fn warnings(facts: &Facts<'_>) -> Vec<String> {
    let mut found: Vec<(&str, Vec<u64>, u64)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for event in facts.run.events {
        if let Event::Warned { step, message } = event {
            let at = *places.entry(message).or_insert_with(|| {
                found.push((message, Vec::new(), 0));
                found.len() - 1
            });
            found[at].1.extend(step);
            found[at].2 += 1;
        }
    }
    let told = |(message, steps, times): (&str, Vec<u64>, u64)| match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if first != last => {
            format!("{message} ({times} times, first at step {first}, last at step {last})")
        }
        (Some(step), _) => format!("{message} (step {step})"),
        _ if times > 1 => format!("{message} ({times} times)"),
        _ => message.to_owned(),
    };
    found.into_iter().map(told).collect()
}

fn counts(html: &mut Html, facts: &Facts<'_>) {
    let count = |kind: &&str| facts.run.events.iter().filter(|event| kind_of(event) == *kind).count() as u64;
    let counts = KINDS.iter().map(|kind| (*kind, count(kind))).filter(|(_, count)| *count > 0);
    let mut rows: Vec<_> = counts.map(|(kind, n)| (Head::Text(kind.to_owned()), vec![format::count(n)])).collect();
    if rows.is_empty() {
        rows.push((Head::Text("no events".to_owned()), vec!["0".to_owned()]));
    }
    let seconds: f64 = facts.steps.iter().map(|step| step.seconds.total).filter(|seconds| seconds.is_finite()).sum();
    if seconds > 0.0 {
        rows.push((Head::Text("time in steps".to_owned()), vec![format::duration(seconds)]));
    }
    if let Some(evaluation) = facts.run.evaluation {
        rows.push((Head::Text("time of the whole run".to_owned()), vec![format::duration(evaluation.about.seconds)]));
    }
    table(html, &columns(["What happened", "how often"]), &rows);
}

/// What can happen, in the order in which it is told.
const KINDS: [&str; 8] = [
    "starts",
    "steps with an update",
    "steps without an update",
    "steps with rollouts recorded",
    "validations",
    "checkpoints",
    "warnings",
    "ends",
];

fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Started(_) => KINDS[0],
        Event::StepDone(step) if step.skipped => KINDS[2],
        Event::StepDone(_) => KINDS[1],
        Event::Rollouts { .. } => KINDS[3],
        Event::Validated { .. } => KINDS[4],
        Event::CheckpointSaved { .. } => KINDS[5],
        Event::Warned { .. } => KINDS[6],
        Event::Finished { .. } => KINDS[7],
    }
}

fn skipped(html: &mut Html, facts: &Facts<'_>) {
    let skipped: Vec<String> =
        facts.steps.iter().filter(|step| step.skipped).map(|step| format::count(step.step)).collect();
    if !skipped.is_empty() {
        html.leaf("p", &[], &format!("No update was made in steps {}.", skipped.join(", ")));
    }
}
