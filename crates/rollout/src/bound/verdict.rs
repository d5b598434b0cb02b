//! What the figures of a bound say, in plain sentences.

use super::{BoundReport, Comparison, Form, FormName, Optimality, Validity};
use crate::evaluate::MeanResult;

pub(super) fn verdict(report: &BoundReport) -> Vec<String> {
    let main = report.main();
    let mut verdict = vec![on_gap(report, main)];
    verdict.extend(on_terms(report, main));
    verdict.push(on_premise(report));
    verdict.extend(report.prompter.optimality.map(|optimality| on_optimality(report, optimality)));
    verdict.extend(cautions(report, main));
    verdict
}

impl FormName {
    /// Its name in results and in what is told.
    pub fn name(self) -> &'static str {
        match self {
            FormName::Theorem => "1.4",
            FormName::TheoremMeasured => "1.4-measured",
            FormName::Jeffreys => "1.5a",
            FormName::Merged => "1.5b",
            FormName::MergedMeasured => "1.5b-measured",
            FormName::Direct => "1.5c",
        }
    }

    /// What it is made of, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            FormName::Theorem => "(1.4)  terms 1, 2, 3",
            FormName::TheoremMeasured => "(1.4)  step 3 as measured",
            FormName::Jeffreys => "(1.5a) -lambda Jeffreys",
            FormName::Merged => "(1.5b) 1, 2 merged, -lambda Jeffreys",
            FormName::MergedMeasured => "(1.5b) step 3 as measured",
            FormName::Direct => "(1.5c) direct",
        }
    }
}

impl Validity {
    /// It in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Validity::Always => "for any prompter",
            Validity::Shown => "for rho*, and for this one",
            Validity::Open => "for rho*; for this one, not shown",
            Validity::OptimalOnly => "for rho* only",
        }
    }
}

impl Comparison {
    /// The policy that the prompter is compared with, in words.
    pub fn whom(&self) -> String {
        match self.beta {
            Some(beta) => format!("a target fine-tuned at beta {beta}"),
            None => "the oracle".to_owned(),
        }
    }
}

fn on_gap(report: &BoundReport, main: &Comparison) -> String {
    let whom = main.whom();
    let measured = match main.beta {
        Some(_) => "estimated",
        None => "measured",
    };
    let gap = format!("{measured} {}", main.gap.change());
    let lead = match main.gap.interval {
        [_, high] if high < 0.0 => " (below 0: the prompter does better, for fine-tuning is on a leash of its own)",
        _ => "",
    };
    match main.tightest() {
        Some(form) if form.bound.mean < report.range.span() => format!(
            "The bound says that {whom} wins at most {} over the trained prompter ({}, the tightest form that holds for it); \
             {gap}{lead}.",
            level(form.bound),
            form.name.name()
        ),
        _ => format!(
            "The bound says nothing that the reward's range of {:.3} does not; {whom} against the trained prompter: {gap}{lead}.",
            report.range.span()
        ),
    }
}

fn on_terms(report: &BoundReport, main: &Comparison) -> Option<String> {
    let (first, second) = (main.alignment.at_most.mean, report.rewrites.at_most.mean);
    let both = first + second;
    if both <= 0.0 {
        return None;
    }
    let of = |term: f64| format!("{term:.3} of the {both:.3} that its first two terms come to");
    Some(if first >= second {
        format!(
            "Most of (1.4) is term 1, {}: how far the frozen target is from {} on the prompt as it is. No prompter can change it.",
            of(first),
            main.whom()
        )
    } else {
        format!(
            "Most of (1.4) is term 2, {}: how differently the target answers the untuned prompter's rewrites. A reference \
             that stays closer to the prompt makes it smaller.",
            of(second)
        )
    })
}

/// Whether the theorem's own third term may be read as one about this prompter.
fn on_premise(report: &BoundReport) -> String {
    let prompter = &report.prompter;
    let validity = report.main().form(FormName::Theorem).map_or(Validity::Open, |form| form.validity);
    let begin = format!(
        "The theorem credits the best prompter with lambda KL; this one has {:.3}, and its reward less that is {} against the \
         untuned prompter's",
        -prompter.term.mean,
        prompter.objective_gain.change()
    );
    let end = match validity {
        Validity::Always | Validity::Shown => "so (1.4) holds for it as it stands.",
        Validity::Open => "so whether (1.4) holds for it is not shown; the measured forms do.",
        Validity::OptimalOnly => "so (1.4) is about the best prompter only; the measured forms hold.",
    };
    format!("{begin}, {end}")
}

fn on_optimality(
    report: &BoundReport,
    Optimality { gap, attainable, effective_samples, trusted }: Optimality,
) -> String {
    let samples = match trusted {
        true => String::new(),
        false => format!(
            " Only {effective_samples:.1} of {} rewrites a prompt carry that: more, with `--rewrites`, say more.",
            report.n_rewrites
        ),
    };
    match gap.interval {
        [_, high] if high < 0.0 => format!(
            "Training reached {} beyond what the untuned prompter's rewrites tell of (lambda log Z): it found rewrites that they \
             do not hold.{samples}",
            MeanResult { mean: -gap.mean, interval: [-gap.interval[1], -gap.interval[0]] }.change()
        ),
        _ => format!(
            "From the best prompter at lambda {} it is {} away (lambda KL to it, estimated), where the untuned one is {}.{samples}",
            report.lambda,
            gap.change(),
            attainable.change()
        ),
    }
}

fn cautions(report: &BoundReport, main: &Comparison) -> Vec<String> {
    let mut cautions = Vec::new();
    if !main.trusted {
        let enough = report.grid.iter().find(|row| row.trusted).map_or_else(
            || "More responses, with `--responses`, say more.".to_owned(),
            |row| {
                format!("`--beta {}` is the loosest leash that they can tell of; `--responses` brings more.", row.beta)
            },
        );
        cautions.push(format!(
            "Too few of the {} direct responses a prompt carry {} ({:.1}): it could win more than they tell, and term 1 be larger. \
             {enough}",
            report.n_direct,
            main.whom(),
            main.effective_samples.unwrap_or(0.0)
        ));
    }
    let loose = |form: &Form| form.bound.mean - form.at_least.mean > 0.5 * form.bound.mean.abs();
    if let Some(form) = main.tightest().filter(|form| loose(form)) {
        cautions.push(format!(
            "Much of the bound is the noise of counting: with more responses it would fall towards {:.3}, by the halves of these.",
            form.at_least.mean
        ));
    }
    if !report.range.known {
        cautions.push(format!(
            "The reward promises no range: what was seen lies in [{:.3}, {:.3}], and a wider one would make every term larger.",
            report.range.low, report.range.high
        ));
    }
    if report.penalised {
        cautions.push(
            "Training also took penalties off the reward. The figures are of the reward alone, and so is the best prompter that \
             they speak of."
                .to_owned(),
        );
    }
    if report.range.bin_width > 0.0 {
        cautions.push(format!(
            "The reward has many values, counted in bins of {:.3}; what they hide is added to each counted distance.",
            report.range.bin_width
        ));
    }
    cautions
}

/// A figure as `0.120 [0.090, 0.150]`.
fn level(figure: MeanResult) -> String {
    let [low, high] = figure.interval;
    format!("{:.3} [{low:.3}, {high:.3}]", figure.mean)
}
