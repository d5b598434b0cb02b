//! What speaks against believing the verdict.

use super::facts::{Facts, NAIVE, REF, TRAINED, mean, relative};
use super::format;
use super::gains;
use super::html::Html;
use super::judged;
use super::page::prose;
use super::verdict::described;
use crate::evaluate::MeanResult;
use crate::event::Metric;

/// Responses that grew or shrank by more than this share may be what the reward really saw.
const LENGTH_SHIFT: f64 = 0.2;
/// Intervals over fewer prompts are coarse.
const FEW_PROMPTS: usize = 30;
/// So large a share of rewrites or responses is worth a word.
const NOTABLE_SHARE: f64 = 0.1;
/// Log-probabilities of sampling and scoring that differ by more belong to different distributions.
const LOGP_DIFFERENCE: f64 = 0.01;

pub(crate) fn draw(html: &mut Html, facts: &Facts<'_>) {
    let lists = [
        learned(facts),
        lengths(facts),
        equal_length(facts),
        fell_back(facts),
        few_prompts(facts),
        cut_responses(facts),
    ];
    let training = [judged::caution(facts), skipped(facts), numerics(facts)];
    let cautions: Vec<String> = lists.into_iter().chain(training).flatten().collect();
    if cautions.is_empty() {
        return;
    }
    html.element("aside", &[("class", "caution")], |html| {
        html.leaf("strong", &[], "Before you believe it");
        html.element("ul", &[], |html| cautions.iter().for_each(|caution| prose(html, "li", "", caution)));
    });
}

/// A learned reward is not truth.
fn learned(facts: &Facts<'_>) -> Option<String> {
    let attribute = facts.run.evaluation?.about.learned.as_ref()?;
    let told = |mean: MeanResult| format!("{} {}", format::fixed(mean.mean, 3), format::interval(mean.interval, 3));
    let held_out = &attribute.held_out;
    Some(format!(
        "The reward `{}` was learned: it agrees with people on {} of {} held-out pairs, where a coin has 0.5 and length \
         alone {}.",
        attribute.name,
        told(held_out.accuracy),
        format::count(held_out.n_pairs as u64),
        told(held_out.length_accuracy)
    ))
}

/// Arms whose responses are of another length than those they are compared with.
fn lengths(facts: &Facts<'_>) -> Option<String> {
    let others = facts.results().map(|(arm, _)| (arm.name.as_str(), NAIVE)).filter(|(arm, _)| *arm != NAIVE);
    let shift = |(arm, other): (&str, &str)| {
        let (after, before) = (facts.result(arm)?.mean_response_tokens, facts.result(other)?.mean_response_tokens);
        let change = relative(after, before);
        let percent = format::whole_percent(change.abs());
        let which = if change > 0.0 { "longer" } else { "shorter" };
        let tokens = format!("{} tokens against {}", format::fixed(after, 0), format::fixed(before, 0));
        (change.abs() > LENGTH_SHIFT).then(|| format!("`{arm}` {percent} {which} than `{other}` ({tokens})"))
    };
    let shifts: Vec<String> = others.chain([(TRAINED, REF)]).filter_map(shift).collect();
    (!shifts.is_empty()).then(|| {
        format!(
            "Responses differ in length: {}. Length is the cheapest way to game a reward, so look at reward against \
             response length below before believing a gain.",
            shifts.join("; ")
        )
    })
}

/// A gain that was significant until lengths were made equal.
fn equal_length(facts: &Facts<'_>) -> Option<String> {
    let evaluation = facts.run.evaluation?;
    let explained = |other: &str| {
        let gain = evaluation.gain.get(&format!("vs_{other}")).filter(|gain| gain.significant && gain.mean > 0.0)?;
        let left = gains::gain_at_equal_length(facts, other)?;
        let (rest, whole) = (format::signed(left.value, facts.decimals), format::signed(gain.mean, facts.decimals));
        let bounds = format::interval([left.interval.low, left.interval.high], facts.decimals);
        (left.interval.low <= 0.0).then(|| format!("{rest} {bounds} instead of {whole} over {}", described(other)))
    };
    let explained: Vec<String> = [NAIVE, REF].into_iter().filter_map(explained).collect();
    (!explained.is_empty()).then(|| {
        format!(
            "Length may explain a gain: at equal response length it would be {}, by a straight line through the prompts.",
            explained.join(" and ")
        )
    })
}

fn fell_back(facts: &Facts<'_>) -> Option<String> {
    let share = *facts.result(TRAINED)?.rails.get("fell-back")?;
    (share > NOTABLE_SHARE).then(|| {
        let share = format::percent(share);
        format!("On {share} of the trained rewrites a guard rail sent the user’s own prompt instead.")
    })
}

fn few_prompts(facts: &Facts<'_>) -> Option<String> {
    let fewest = facts.results().map(|(_, result)| result.n_prompts).min()?;
    let prompts = format::counted(fewest as u64, "prompt");
    (fewest < FEW_PROMPTS).then(|| format!("Evaluated on {prompts} only: the intervals are coarse."))
}

fn cut_responses(facts: &Facts<'_>) -> Option<String> {
    let rewrites = facts.run.prompts.iter().flat_map(|prompt| &prompt.rewrites);
    let cut = rewrites.flat_map(|rewrite| &rewrite.responses).map(|response| f64::from(u8::from(response.cut)));
    let share = Some(mean(cut)).filter(|&share| share > NOTABLE_SHARE)?;
    let share = format::percent(share);
    Some(format!("{share} of all responses were cut at the limit of tokens; their rewards judge only the beginning."))
}

fn skipped(facts: &Facts<'_>) -> Option<String> {
    let skipped = facts.steps.iter().filter(|step| step.skipped).count() as u64;
    let steps = format::counted(skipped, "step");
    (skipped > 0)
        .then(|| format!("{steps} made no update because a figure was not finite; the record below names them."))
}

/// Sampling and scoring must agree; a gap means that the gradient belongs to another distribution.
fn numerics(facts: &Facts<'_>) -> Option<String> {
    let differences = facts.metric(Metric::SamplingLogpDifferenceMax);
    let largest = differences.into_iter().map(|(_, difference)| difference).fold(0.0f64, f64::max);
    (largest > LOGP_DIFFERENCE).then(|| {
        let largest = format::significant(largest);
        format!("Log-probabilities of sampling and of scoring differed by up to {largest}; they should agree.")
    })
}
