//! How far the trained prompter is from fine-tuning the target, where that was measured.

use super::facts::Facts;
use super::format;
use super::html::Html;
use super::page::{Head, Section, columns, prose, table};
use crate::bound::{BoundReport, Comparison};
use crate::evaluate::MeanResult;

/// Digits after the point.
const DECIMALS: usize = 3;

pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    let draw = |report: &BoundReport| {
        Section::new("bound", "Against fine-tuning the target", |html| {
            html.element("ul", &[], |html| report.verdict.iter().for_each(|line| prose(html, "li", "", line)));
            for comparison in report.oracle.iter().chain([&report.optimum]) {
                html.leaf("h3", &[], &format!("From {} to the trained prompter", comparison.whom()));
                steps(html, report, comparison);
                forms(html, comparison);
            }
            let hint = format!(
                "{}, 95 % intervals over them. Each step of the gap stands beside the term of the bound that it cannot exceed; \
                 \"from below\" is what halves of the samples confirm.",
                format::counted(report.n_prompts as u64, "held-out prompt")
            );
            prose(html, "p", "hint", &hint);
        })
    };
    facts.run.bound.map(draw)
}

fn steps(html: &mut Html, report: &BoundReport, comparison: &Comparison) {
    let prompter = &report.prompter;
    let row = |name: &str, measured: MeanResult, bound: Option<MeanResult>| {
        let bound = bound.map_or_else(|| format::MISSING.to_owned(), told);
        (Head::Text(name.to_owned()), vec![told(measured), bound])
    };
    let rows = [
        row("1 the target as it is", comparison.alignment_step, Some(comparison.alignment.at_most)),
        row("2 behind the untuned prompter", comparison.rewrites_step, Some(report.rewrites.at_most)),
        row("3 training it: −λ KL, for ρ*", prompter.step, Some(prompter.term)),
        row("gap", comparison.gap, None),
    ];
    table(html, &columns(["Step", "measured", "at most"]), &rows);
}

fn forms(html: &mut Html, comparison: &Comparison) {
    let rows: Vec<_> = comparison
        .forms
        .iter()
        .map(|form| {
            let below = format::signed(form.at_least.mean, DECIMALS);
            let cells = vec![told(form.bound), told(form.clipped), below, form.validity.meaning().to_owned()];
            (Head::Text(form.name.meaning().to_owned()), cells)
        })
        .collect();
    table(html, &columns(["Bound on the gap", "unclipped", "clipped", "from below", "holds"]), &rows);
}

fn told(figure: MeanResult) -> String {
    format!("{} {}", format::signed(figure.mean, DECIMALS), format::interval(figure.interval, DECIMALS))
}
