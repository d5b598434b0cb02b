//! What a judge of pairs says, with what speaks against believing it.

use super::facts::Facts;
use super::format;
use super::html::Html;
use super::page::{Head, Section, columns, prose, table};
use crate::evaluate::{JudgeResult, JudgedResult};

/// So many flips, and the order decides more than the answers do.
const MANY_FLIPS: f64 = 0.3;
/// So many unclear replies are worth a word.
const MANY_ABSTENTIONS: f64 = 0.1;
/// A judge that goes by length decides so many pairs for the longer answer.
const MANY_LONGER: f64 = 0.75;

pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    let result = facts.run.evaluation?.judge.as_ref()?;
    Some(Section::new("judge", "In the eyes of a judge", |html| draw(html, facts, result)))
}

fn draw(html: &mut Html, facts: &Facts<'_>, result: &JudgeResult) {
    let intro = format!(
        "`{}` read every prompt with an answer of `{}` and one of another arm, in both orders, without knowing which is \
         which. It saw no rewrite.",
        result.judge, result.arm
    );
    prose(html, "p", "", &intro);
    let head = [
        "Against",
        "wins, ties half",
        "95 % interval",
        "ties",
        "sign test p",
        "pairs",
        "flips",
        "unclear replies",
        "longer answer wins",
    ];
    let row = |(other, judged): (&str, &JudgedResult)| {
        let cells = vec![
            format::percent(judged.rate.mean),
            format!("[{}, {}]", format::percent(judged.rate.interval[0]), format::percent(judged.rate.interval[1])),
            format::percent(judged.rate.ties),
            format::fixed(judged.rate.p_value, 3),
            format::count(judged.n_pairs as u64),
            format::percent(judged.flip_rate),
            format::percent(judged.abstention_rate),
            judged.longer_wins.map_or_else(|| format::MISSING.to_owned(), format::percent),
        ];
        (Head::Text(other.to_owned()), cells)
    };
    table(html, &columns(head), &facts.versus(&result.win_rate).into_iter().map(row).collect::<Vec<_>>());
    let hint = "A pair whose two orders give different verdicts is a flip, and a tie. The interval is over prompts. Shares of \
                the longer answer are of decided pairs: far from a half, length may be what the judge goes by.";
    prose(html, "p", "hint", hint);
    let canaries = &result.canaries;
    let lost =
        format!("{} of {} canaries, bad answers to simple questions, lost as they must.", canaries.passed, canaries.n);
    prose(html, "p", "", &lost);
    if !canaries.failed.is_empty() {
        html.element("ul", &[], |html| canaries.failed.iter().for_each(|what| html.leaf("li", &[], what)));
    }
}

/// What speaks against the judge.
pub(crate) fn caution(facts: &Facts<'_>) -> Option<String> {
    let result = facts.run.evaluation?.judge.as_ref()?;
    let canaries = &result.canaries;
    let mut doubts = Vec::new();
    if !canaries.is_sound() {
        doubts.push(format!("it let {} of {} canaries win", canaries.n - canaries.passed, canaries.n));
    }
    for (other, judged) in facts.versus(&result.win_rate) {
        let mut worse = |share: f64, limit: f64, what: &str| {
            if share > limit {
                doubts.push(format!("{} {what} against `{other}`", format::percent(share)));
            }
        };
        worse(judged.flip_rate, MANY_FLIPS, "of its verdicts changed with the order of the answers");
        worse(judged.abstention_rate, MANY_ABSTENTIONS, "of its replies were unclear");
        worse(judged.longer_wins.unwrap_or(0.0), MANY_LONGER, "of its decided pairs went to the longer answer");
    }
    (!doubts.is_empty())
        .then(|| format!("The judge `{}` may not be worth its verdicts: {}.", result.judge, doubts.join("; ")))
}
