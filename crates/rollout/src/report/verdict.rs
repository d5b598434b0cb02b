//! The verdict on top: what was done, what came of it, and what to be careful about, in words.

use super::facts::{Arm, Facts, NAIVE, REF, TRAINED, mean, relative};
use super::format;
use super::html::Html;
use super::page::{Head, columns, prose, table};
use crate::evaluate::{ArmResult, Gain, WinRateResult};
use crate::event::{Event, FinishReason, Metric};

/// How a verdict is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Better,
    Worse,
    Even,
}

pub(crate) fn draw(html: &mut Html, facts: &Facts<'_>) {
    let (tone, headline) = headline(facts);
    let class = match tone {
        Tone::Better => "verdict better",
        Tone::Worse => "verdict worse",
        Tone::Even => "verdict",
    };
    html.element("section", &[("id", "verdict"), ("class", class)], |html| {
        prose(html, "p", "headline", &headline);
        html.element("ul", &[], |html| findings(facts).iter().for_each(|finding| prose(html, "li", "", finding)));
    });
}

/// One sentence: did it work?
fn headline(facts: &Facts<'_>) -> (Tone, String) {
    let gains = facts.run.evaluation.map(|evaluation| &evaluation.gain);
    let first = gains.and_then(|gains| gains.get("vs_naive").map(|gain| (NAIVE, gain)));
    let first = first.or_else(|| gains.and_then(|gains| gains.get("vs_ref").map(|gain| (REF, gain))));
    if let Some((other, gain)) = first {
        return (tone(gain), format!("The trained prompter {}.", compared(facts, other, gain)));
    }
    let headline = match facts.run.evaluation {
        Some(evaluation) if evaluation.arms.contains_key(TRAINED) => {
            "There is nothing to tell a gain by: too few prompts, or no other arm."
        }
        Some(_) => "The trained prompter is not among the arms evaluated: there is no gain to tell.",
        None if facts.steps.is_empty() => "Nothing has been trained or evaluated yet.",
        None => "No evaluation on held-out prompts yet: whether training helped is not known.",
    };
    (Tone::Even, headline.to_owned())
}

fn tone(gain: &Gain) -> Tone {
    match gain {
        gain if !gain.significant || !gain.mean.is_finite() => Tone::Even,
        gain if gain.mean > 0.0 => Tone::Better,
        _ => Tone::Worse,
    }
}

/// A gain in words that do not say more than its interval.
fn compared(facts: &Facts<'_>, other: &str, gain: &Gain) -> String {
    let other = described(other);
    let bounds = format::interval(gain.interval, facts.decimals);
    if !gain.mean.is_finite() || gain.interval.iter().any(|bound| !bound.is_finite()) {
        return format!("was compared with {other}, but the difference could not be determined");
    }
    let difference = format::signed(gain.mean, facts.decimals);
    match tone(gain) {
        Tone::Better => format!("is significantly better than {other}: {difference} reward {bounds}"),
        Tone::Worse => format!("is significantly worse than {other}: {difference} reward {bounds}"),
        Tone::Even => format!("shows no significant difference to {other}: {difference} reward {bounds}"),
    }
}

pub(crate) fn described(arm: &str) -> String {
    match arm {
        NAIVE => "the naive prompt".to_owned(),
        REF => "the untrained prompter".to_owned(),
        "oracle" => "the oracle".to_owned(),
        other => format!("`{other}`"),
    }
}

fn findings(facts: &Facts<'_>) -> Vec<String> {
    let mut findings = vec![what_was_done(facts)];
    findings.extend(progress(facts));
    if let Some(evaluation) = facts.run.evaluation {
        let rates = facts.versus(&evaluation.win_rate);
        for (other, gain) in facts.versus(&evaluation.gain) {
            let won = rates.iter().find(|(name, _)| *name == other).map(|(_, rate)| win_rate(rate)).unwrap_or_default();
            findings.push(format!("On held-out prompts it {}{won}.", compared(facts, other, gain)));
        }
        findings.extend(lengths(facts));
        findings.extend(oracle_share(facts));
        findings.extend(divergence(facts));
    } else {
        findings.extend(training_trend(facts));
    }
    findings
}

/// What was trained for what, from the record of its start or else of its evaluation.
fn what_was_done(facts: &Facts<'_>) -> String {
    let reward = |name: &str| format!("judged by the reward `{name}`");
    match (facts.started, facts.run.evaluation) {
        (Some(started), _) => format!(
            "Trained by `{}`: `{}` as prompter for the target `{}`, {}, on {}.",
            started.method,
            started.prompter,
            started.target,
            reward(&started.reward),
            format::counted(started.n_prompts as u64, "prompt"),
        ),
        (None, Some(evaluation)) => format!(
            "Evaluated: `{}` as prompter for the target `{}`, {}; no record of training.",
            evaluation.about.model,
            evaluation.about.target,
            reward(&evaluation.about.reward),
        ),
        (None, None) => "The record holds neither the start of a training nor an evaluation.".to_owned(),
    }
}

/// How far training came and which prompter was kept.
fn progress(facts: &Facts<'_>) -> Option<String> {
    let planned = facts.started.map(|started| started.steps);
    // A run that goes on after its end has not ended.
    let last = facts.run.events.iter().rev().find_map(|event| match event {
        Event::Finished { steps, kept_step, reason } => Some(Some((*steps, *kept_step, *reason))),
        Event::StepDone(_) => Some(None),
        _ => None,
    });
    let Some((steps, kept, reason)) = last.flatten() else {
        let made = facts.steps.last().map_or(0, |step| step.step);
        return planned.map(|planned| format!("Unfinished: {} of {planned} steps are recorded.", format::count(made)));
    };
    let why = match reason {
        FinishReason::Steps => "all that were planned",
        FinishReason::EarlyStop => "stopped early because the validation reward no longer rose",
    };
    let kept = match kept {
        0 => "the untrained one, because no step did better on the validation prompts".to_owned(),
        kept => format!("that of step {}", format::count(kept)),
    };
    Some(format!("{} made, {why}; the prompter kept is {kept}.", format::counted(steps, "step")))
}

fn win_rate(rate: &WinRateResult) -> String {
    let [low, high] = rate.interval.map(format::percent);
    let (mean, ties) = (format::percent(rate.mean), format::percent(rate.ties));
    format!("; it wins {mean} of the prompts [{low}, {high}], ties counted half ({ties} are ties)")
}

/// Length beside reward, whether it moved or not.
fn lengths(facts: &Facts<'_>) -> Option<String> {
    let trained = facts.result(TRAINED)?;
    let told = [NAIVE, REF].iter().filter_map(|&name| {
        let other = facts.result(name)?;
        let change = relative(trained.mean_response_tokens, other.mean_response_tokens);
        let tokens = format::fixed(other.mean_response_tokens, 0);
        Some(format!("{tokens} with {} ({})", described(name), format::signed_percent(change)))
    });
    let told = told.collect::<Vec<_>>().join(" and ");
    let against = if told.is_empty() { String::new() } else { format!(", against {told}") };
    let (response, rewrite) = (trained.mean_response_tokens, trained.mean_rewrite_tokens);
    Some(format!(
        "Responses to its rewrites take {} tokens on average{against}; the prompter writes {} tokens.",
        format::fixed(response, 0),
        format::fixed(rewrite, 0)
    ))
}

/// How much of what training the target itself would win is won by rewriting.
fn oracle_share(facts: &Facts<'_>) -> Option<String> {
    let share = facts.run.evaluation?.oracle_share?;
    let [low, high] = share.interval.map(format::whole_percent);
    let mean = format::whole_percent(share.mean);
    Some(format!("It reaches {mean} [{low}, {high}] of the gain that training the target itself brings."))
}

/// How far training moved the prompter.
fn divergence(facts: &Facts<'_>) -> Option<String> {
    let kl = facts.result(TRAINED)?.kl?;
    Some(format!(
        "It diverges from the untrained prompter by {} nats a rewrite, {}.",
        format::fixed(kl.mean, 2),
        format::interval(kl.interval, 2)
    ))
}

/// Reward in training, which is not held out and therefore only a hint.
fn training_trend(facts: &Facts<'_>) -> Option<String> {
    let rewards: Vec<f64> = facts.metric(Metric::Reward).into_iter().map(|(_, reward)| reward).collect();
    let few = (rewards.len() / 5).clamp(1, 20);
    if rewards.len() < 2 * few {
        return None;
    }
    let (first, last) = (mean(rewards[..few].to_vec()), mean(rewards[rewards.len() - few..].to_vec()));
    let decimals = format::decimals_for([first, last]);
    Some(format!(
        "Training reward went from {} to {} (means of the first and the last {}); it is measured on the prompts trained on.",
        format::fixed(first, decimals),
        format::fixed(last, decimals),
        format::counted(few as u64, "step"),
    ))
}

/// Every arm's reward with its length beside it.
pub(crate) fn arm_table(html: &mut Html, facts: &Facts<'_>) {
    if facts.run.evaluation.is_none() {
        return;
    }
    let head = [
        "Arm",
        "Mean reward",
        "95 % interval",
        "Response tokens",
        "against naive",
        "Rewrite tokens",
        "Prompts",
        "Drawn",
        "What it is",
    ];
    let naive = facts.result(NAIVE).map(|naive| naive.mean_response_tokens);
    let tenths = |tokens| format::fixed(tokens, 1);
    let row = |(arm, result): (_, &ArmResult)| {
        let arm: &Arm = arm;
        let change = naive.filter(|_| arm.name != NAIVE).map(|before| relative(result.mean_response_tokens, before));
        let cells = vec![
            format::fixed(result.mean_reward, facts.decimals),
            format::interval(result.interval, facts.decimals),
            tenths(result.mean_response_tokens),
            change.map_or(String::new(), format::signed_percent),
            Some(result.mean_rewrite_tokens).filter(|&tokens| tokens != 0.0).map_or(String::new(), tenths),
            format::count(result.n_prompts as u64),
            format!("{} × {}", result.n_rewrites, result.n_responses),
            arm.meaning.to_owned(),
        ];
        (Head::Arm(arm), cells)
    };
    table(html, &columns(head), &facts.results().map(row).collect::<Vec<_>>());
    let hint = "Rewards are means over held-out prompts, drawn as rewrites a prompt × responses a rewrite. Differences are \
                paired by prompt, so they can be sharper than the arms’ own intervals suggest.";
    prose(html, "p", "hint", hint);
}
