//! What was really written: held-out prompts with all arms, and rollouts of training.

use super::facts::{Arm, ByArm, Facts, TRAINED};
use super::format;
use super::html::Html;
use super::page::{Section, folded, prose, quoted};
use super::plot::shortened;
use crate::evaluate::{EvaluatedPrompt, EvaluatedResponse, EvaluatedRewrite};
use crate::event::{Event, ShownRollout};

/// So many of the largest gains and of the largest losses.
const MOST_EXTREME: usize = 5;
/// So many from between.
const MOST_MIDDLE: usize = 4;
/// So many rollouts of a training step.
const MOST_ROLLOUTS: usize = 4;

/// Held-out prompts with what each arm made of them.
pub(crate) fn section(facts: &Facts<'_>) -> Option<Section> {
    (!facts.prompts.is_empty()).then(|| Section::new("examples", "Examples", |html| held_out(html, facts)))
}

/// What was written in training.
pub(crate) fn rollouts_section(facts: &Facts<'_>) -> Option<Section> {
    let shown = shown_steps(facts);
    let draw = |html: &mut Html| {
        prose(html, "p", "hint", "From the first, a middle and the last recorded step.");
        shown.iter().for_each(|(step, rollouts)| training_step(html, *step, rollouts));
    };
    (!shown.is_empty()).then(|| Section::new("rollouts", "Rollouts in training", draw))
}

/// A prompt worth showing and how much the trained arm gains on it.
struct Example<'a> {
    arms: &'a ByArm<'a>,
    prompt: &'a str,
    gain: f64,
}

fn held_out(html: &mut Html, facts: &Facts<'_>) {
    let baseline = facts.baseline();
    let mut examples = Vec::new();
    for (id, trained, other) in facts.pairs(TRAINED, baseline) {
        let gain = trained.mean_reward() - other.mean_reward();
        examples.push(Example { arms: &facts.prompts[id], prompt: &trained.prompt, gain });
    }
    examples.sort_by(|one, two| two.gain.total_cmp(&one.gain));
    if examples.is_empty() {
        prose(html, "p", "hint", "There is nothing to compare with; these are the first prompts.");
        let first = facts.prompts.values().take(2 * MOST_EXTREME);
        for arms in first {
            let prompt = arms.values().next().map_or("", |prompt| prompt.prompt.as_str());
            one(html, facts, &Example { arms, prompt, gain: f64::NAN });
        }
        return;
    }
    let hint = format!(
        "Sorted by reward of `{TRAINED}` less that of `{baseline}`. Rewards are means over all rewrites and responses of the \
         prompt; the texts are the first of each."
    );
    prose(html, "p", "hint", &hint);
    let n_up = examples.iter().filter(|example| example.gain > 0.0).count().min(MOST_EXTREME);
    let n_down = examples.iter().filter(|example| example.gain < 0.0).count().min(MOST_EXTREME);
    let between = &examples[n_up..examples.len() - n_down];
    let stride = between.len().div_ceil(MOST_MIDDLE).max(1);
    group(html, facts, "Largest gains", examples[..n_up].iter());
    group(html, facts, "Largest losses", examples[examples.len() - n_down..].iter().rev());
    group(html, facts, "In between", between.iter().skip(stride / 2).step_by(stride));
}

fn group<'a>(html: &mut Html, facts: &Facts<'_>, title: &str, examples: impl Iterator<Item = &'a Example<'a>>) {
    let examples: Vec<_> = examples.collect();
    if !examples.is_empty() {
        html.leaf("h3", &[], title);
        examples.into_iter().for_each(|example| one(html, facts, example));
    }
}

fn one(html: &mut Html, facts: &Facts<'_>, example: &Example<'_>) {
    html.element("details", &[("class", "example")], |html| {
        html.element("summary", &[], |html| {
            let class = match example.gain {
                gain if gain > 0.0 => "score gain",
                gain if gain < 0.0 => "score loss",
                _ => "score",
            };
            if example.gain.is_finite() {
                html.leaf("span", &[("class", class)], &format::signed(example.gain, 3));
            }
            html.leaf("span", &[("dir", "auto")], &shortened(&one_line(example.prompt), 150));
        });
        html.leaf("h4", &[], "Prompt x");
        quoted(html, example.prompt);
        html.element("div", &[("class", "arms")], |html| {
            for arm in &facts.arms {
                if let Some(prompt) = example.arms.get(arm.name.as_str()) {
                    side(html, arm, prompt);
                }
            }
        });
    });
}

/// What one arm did: its first rewrite and response in full, the others folded away.
fn side(html: &mut Html, arm: &Arm, prompt: &EvaluatedPrompt) {
    html.element("div", &[("class", &format!("arm {}", arm.class))], |html| {
        html.element("h4", &[], |html| {
            html.text(&arm.name);
            html.leaf("span", &[("class", "score")], &format::fixed(prompt.mean_reward(), 3));
        });
        let mut rewrites = prompt.rewrites.iter();
        match rewrites.next() {
            Some(first) => rewrite(html, &prompt.prompt, first),
            None => html.leaf("p", &[("class", "nothing")], "(no rewrite)"),
        }
        let rest = rewrites.as_slice();
        if !rest.is_empty() {
            let summary = format::counted(rest.len() as u64, "more rewrite");
            folded(html, &summary, |html| rest.iter().for_each(|other| rewrite(html, &prompt.prompt, other)));
        }
    });
}

fn rewrite(html: &mut Html, prompt: &str, rewrite: &EvaluatedRewrite) {
    if let Some(written) = &rewrite.written {
        let mut notes = vec![format::counted(rewrite.tokens as u64, "token")];
        notes.extend(rewrite.kl.map(|kl| format!("log ρ/ρ_ref {}", format::signed(kl, 2))));
        notes.extend(rewrite.findings.iter().cloned());
        notes.extend(rewrite.fell_back.then(|| "fell back to x".to_owned()));
        captioned(html, "Written", &notes.join(" · "), written);
    }
    // In augment mode and after repairs the target reads something else than what was written.
    if rewrite.written.as_ref() != Some(&rewrite.rewrite) && rewrite.rewrite != prompt {
        folded(html, "What the target read", |html| quoted(html, &rewrite.rewrite));
    }
    let mut responses = rewrite.responses.iter();
    let told = |response: &EvaluatedResponse| {
        let parts = response.parts.iter().map(|(name, value)| format!("{name} {}", format::plain(*value)));
        let cut = response.cut.then(|| "cut".to_owned());
        let reward = format!("reward {}", format::fixed(response.reward, 3));
        let tokens = format::counted(response.tokens as u64, "token");
        [reward, tokens].into_iter().chain(cut).chain(parts).collect::<Vec<_>>().join(" · ")
    };
    if let Some(first) = responses.next() {
        captioned(html, "Response", &told(first), &first.text);
    }
    let rest = responses.as_slice();
    if !rest.is_empty() {
        folded(html, &format::counted(rest.len() as u64, "more response"), |html| {
            rest.iter().for_each(|response| captioned(html, "Response", &told(response), &response.text));
        });
    }
}

fn captioned(html: &mut Html, title: &str, note: &str, text: &str) {
    html.element("p", &[("class", "caption")], |html| {
        html.leaf("b", &[], title);
        html.text(" ");
        html.leaf("span", &[], note);
    });
    quoted(html, text);
}

/// The first, the middle and the last step of which rollouts were recorded.
fn shown_steps<'a>(facts: &Facts<'a>) -> Vec<(u64, &'a [ShownRollout])> {
    let shown = |event: &'a Event| match event {
        Event::Rollouts { step, rollouts } if !rollouts.is_empty() => Some((*step, rollouts.as_slice())),
        _ => None,
    };
    let all: Vec<_> = facts.run.events.iter().filter_map(shown).collect();
    let Some(last) = all.len().checked_sub(1) else { return Vec::new() };
    let mut wanted = vec![0, last / 2, last];
    wanted.dedup();
    wanted.into_iter().map(|at| all[at]).collect()
}

fn training_step(html: &mut Html, step: u64, rollouts: &[ShownRollout]) {
    html.leaf("h3", &[], &format!("Step {}", format::count(step)));
    for rollout in rollouts.iter().take(MOST_ROLLOUTS) {
        html.element("details", &[("class", "example")], |html| {
            html.element("summary", &[], |html| {
                html.leaf("span", &[("class", "score")], &format::fixed(rollout.reward, 3));
                html.leaf("span", &[("dir", "auto")], &shortened(&one_line(&rollout.prompt), 150));
            });
            captioned(html, "Prompt x", "", &rollout.prompt);
            captioned(html, "Written", &rollout.findings.join(" · "), &rollout.written);
            if rollout.rewrite != rollout.written && rollout.rewrite != rollout.prompt {
                folded(html, "What the target read", |html| quoted(html, &rollout.rewrite));
            }
            captioned(html, "Response", "", &rollout.response);
        });
    }
}

/// A text without its line ends, for a heading.
fn one_line(text: &str) -> String {
    text.split_whitespace().take(60).collect::<Vec<_>>().join(" ")
}
