//! A run as one file to read: what came of it, how it went, what was written.
//!
//! [`render`] makes a single HTML file with inline style and SVG. It loads nothing and runs nothing: there is no script in
//! it, and a content policy forbids any. All text goes through one function that escapes it.
//!
//! # Layout
//! - `verdict`, `cautions`: the answer, and what speaks against it.
//! - `arms`, `parts`, `gains`, `judged`, `bound`, `examples`, `training`, `record`: the sections, from top to bottom.
//! - `facts`: the record, sorted out once for all of them.
//! - `page`, `html`, `format`: figures and tables, markup, numbers.
//! - `plot`: axes and marks.

mod arms;
mod bound;
mod cautions;
mod examples;
mod facts;
mod format;
mod gains;
mod html;
mod judged;
mod page;
mod parts;
mod plot;
mod record;
mod training;
mod verdict;

use crate::bound::BoundReport;
use crate::evaluate::{EvaluatedPrompt, Evaluation};
use crate::event::Event;
use facts::Facts;
use html::Html;
use page::Section;

/// All that is known of a run; what is not there yet is empty.
#[derive(Clone, Copy, Debug)]
pub struct RunRecord<'a> {
    /// The run's name.
    pub name: &'a str,
    /// The configuration as written.
    pub config_toml: &'a str,
    /// What happened, in order.
    pub events: &'a [Event],
    /// The evaluation, once there is one.
    pub evaluation: Option<&'a Evaluation>,
    /// What each arm did with each prompt.
    pub prompts: &'a [EvaluatedPrompt],
    /// How far the prompter is from fine-tuning the target, where that was measured.
    pub bound: Option<&'a BoundReport>,
}

/// The run as an HTML file.
///
/// ```
/// use rollout::report::{RunRecord, render};
/// let run = RunRecord { name: "first <try>", config_toml: "", events: &[], evaluation: None, prompts: &[], bound: None };
/// let html = render(&run);
/// assert!(html.starts_with("<!DOCTYPE html>") && html.contains("first &lt;try&gt;"));
/// ```
pub fn render(run: &RunRecord<'_>) -> String {
    let facts = Facts::new(run);
    let sections = [
        arms::section(&facts),
        parts::section(&facts),
        gains::section(&facts),
        judged::section(&facts),
        bound::section(&facts),
        examples::section(&facts),
        training::section(&facts),
        examples::rollouts_section(&facts),
        record::warnings_section(&facts),
        Some(record::section(&facts)),
    ];
    let sections: Vec<Section> = sections.into_iter().flatten().collect();

    let mut html = Html::default();
    html.markup("<!DOCTYPE html>\n");
    html.element("html", &[("lang", "en")], |html| {
        html.element("head", &[], |html| head(html, run.name));
        html.element("body", &[], |html| {
            html.element("main", &[], |html| {
                title(html, &facts);
                html.element("nav", &[], |html| sections.iter().for_each(|section| section.link(html)));
                verdict::draw(html, &facts);
                cautions::draw(html, &facts);
                verdict::arm_table(html, &facts);
                sections.into_iter().for_each(|section| section.draw(html));
            });
        });
    });
    html.into_string()
}

fn head(html: &mut Html, name: &str) {
    html.markup("<meta charset=\"utf-8\"/>");
    // Nothing may be loaded or run, even if some text found a way to ask for it.
    html.markup(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>",
    );
    html.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
    html.markup("<meta name=\"color-scheme\" content=\"light dark\"/>");
    html.leaf("title", &[], &format!("{name} · Align-Pro"));
    html.element("style", &[], |html| html.markup(include_str!("report/style.css")));
}

/// The run's name and what it is, in a row of words.
fn title(html: &mut Html, facts: &Facts<'_>) {
    html.element("header", &[], |html| {
        html.leaf("p", &[("class", "brand")], "Align-Pro report");
        html.leaf("h1", &[], facts.run.name);
        html.element("dl", &[], |html| {
            for (key, value) in chips(facts) {
                html.element("div", &[], |html| {
                    html.leaf("dt", &[], key);
                    html.leaf("dd", &[], &value);
                });
            }
        });
    });
}

fn chips(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let mut chips = Vec::new();
    if let Some(started) = facts.started {
        let steps = facts.steps.last().map_or(0, |step| step.step);
        chips.push(("method", started.method.clone()));
        chips.push(("prompter", started.prompter.clone()));
        chips.push(("target", started.target.clone()));
        chips.push(("reward", started.reward.clone()));
        chips.push(("steps", format!("{} of {}", format::count(steps), format::count(started.steps))));
        chips.push(("training prompts", format::count(started.n_prompts as u64)));
        chips.push(("seed", started.seed.to_string()));
    } else if let Some(evaluation) = facts.run.evaluation {
        chips.push(("prompter", evaluation.about.model.clone()));
        chips.push(("target", evaluation.about.target.clone()));
        chips.push(("reward", evaluation.about.reward.clone()));
        chips.push(("steps behind it", format::count(evaluation.about.steps)));
        chips.push(("seed", evaluation.about.seed.to_string()));
    }
    chips
}
