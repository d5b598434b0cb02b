//! An evaluation as a table and a few plain sentences.

use rollout::evaluate::{
    EvaluatedPrompt, EvaluatedRewrite, Evaluation, Gain, JudgeResult, JudgedResult, MeanResult, RewardsResult,
    WinRateResult,
};
use rollout::reward::{Attribute, HeldOutResult};

/// The arms in the order in which they are shown.
const ORDER: [&str; 4] = ["naive", "ref", "trained", "oracle"];

/// The table of arms, and what it says.
pub(crate) fn tell(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<12} {:>7}  {:<17} {:>8}  {:>15}  {:>15}",
        "arm", "reward", "95 % interval", "variance", "response tokens", "rewrite tokens"
    )];
    let known = ORDER.iter().filter_map(|name| evaluation.arms.get_key_value(*name));
    let others = evaluation.arms.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
    for (name, arm) in known.chain(others) {
        let [low, high] = arm.interval;
        lines.push(format!(
            "{name:<12} {:>7.3}  [{low:.3}, {high:.3}]    {:>8.3}  {:>15.1}  {:>15.1}",
            arm.mean_reward, arm.variance, arm.mean_response_tokens, arm.mean_rewrite_tokens
        ));
    }
    if let Some(rewards) = &evaluation.rewards {
        lines.extend(tell_rewards(rewards));
    }
    let n_prompts = evaluation.arms.values().next().map_or(0, |arm| arm.n_prompts);
    lines.push(String::new());
    lines.push(format!("{n_prompts} held-out prompts, each comparison paired by prompt:"));
    let others = [("vs_ref", "the untuned prompter"), ("vs_naive", "the prompt as it is"), ("vs_oracle", "the oracle")];
    for (versus, whom) in others {
        if let Some(gain) = evaluation.gain.get(versus) {
            let wins = evaluation.win_rate.get(versus).map(told_wins).unwrap_or_default();
            lines.push(sentence(gain, whom) + &wins);
        }
    }
    if let Some(share) = evaluation.oracle_share {
        let [low, high] = share.interval.map(|end| 100.0 * end);
        lines.push(format!(
            "  share of the oracle's gain over the prompt as it is: {:.0} % [{low:.0}, {high:.0}]",
            100.0 * share.mean
        ));
    }
    if let Some(kl) = evaluation.arms.get("trained").and_then(|arm| arm.kl) {
        let [low, high] = kl.interval;
        lines.push(format!(
            "  divergence from the untuned prompter: {:.2} nats a rewrite [{low:.2}, {high:.2}]",
            kl.mean
        ));
    }
    lines.extend(evaluation.about.learned.as_ref().map(told_learned));
    if let Some(judge) = &evaluation.judge {
        lines.extend(tell_judge(judge));
    }
    lines
}

/// A learned reward is not truth: how often it agrees with people stands beside every gain.
pub(crate) fn told_learned(attribute: &Attribute) -> String {
    let HeldOutResult { n_pairs, accuracy, length_accuracy, .. } = &attribute.held_out;
    format!(
        "the reward model agrees with people on {} of {n_pairs} held-out pairs (`{}`); length alone on {}",
        accuracy.level(),
        attribute.name,
        length_accuracy.level()
    )
}

/// `; wins 61 % of prompts (20 % ties, counted half; sign test p = 0.003)`
fn told_wins(rate: &WinRateResult) -> String {
    let [wins, ties] = [rate.mean, rate.ties].map(|share| 100.0 * share);
    format!("; wins {wins:.0} % of prompts ({ties:.0} % ties, counted half; sign test p = {:.3})", rate.p_value)
}

/// What a judge of pairs says, and what speaks against believing it.
fn tell_judge(result: &JudgeResult) -> Vec<String> {
    let JudgeResult { judge, arm, win_rate, canaries } = result;
    let mut lines =
        vec![String::new(), format!("`{judge}` as judge of the answers of `{arm}`, each pair asked in both orders:")];
    for (versus, judged) in win_rate {
        let JudgedResult { rate, n_pairs, flip_rate, abstention_rate, longer_wins } = judged;
        let [mean, ties, flips, abstentions] =
            [rate.mean, rate.ties, *flip_rate, *abstention_rate].map(|share| 100.0 * share);
        let [low, high] = rate.interval.map(|end| 100.0 * end);
        let other = versus.strip_prefix("vs_").unwrap_or(versus);
        let won = format!("wins {mean:.0} % of prompts against {other} [{low:.0}, {high:.0}]");
        let p_value = rate.p_value;
        lines.push(format!("  {won} ({ties:.0} % ties, counted half; sign test p = {p_value:.3})"));
        let longer = longer_wins.map_or_else(String::new, |share| {
            format!("; the longer answer won {:.0} % of decided pairs", 100.0 * share)
        });
        let unclear = format!("{abstentions:.0} % of replies unclear{longer}");
        lines.push(format!("    {n_pairs} pairs, {flips:.0} % decided by the order, {unclear}"));
    }
    let doubt = if canaries.is_sound() { "" } else { ": it is NOT to be trusted" };
    lines.push(format!("  canaries: {} of {} lost, as all must{doubt}", canaries.passed, canaries.n));
    lines
}

/// Each of several rewards for itself, and how they go together in the answers to the prompt as it is.
fn tell_rewards(rewards: &RewardsResult) -> Vec<String> {
    let mut lines = vec![String::new(), "each reward for itself, 95 % intervals".to_owned()];
    for (index, name) in rewards.names.iter().enumerate() {
        let known = ORDER.iter().filter_map(|arm| Some((arm, rewards.arms.get(*arm)?)));
        let told = known.map(|(arm, of_arm)| {
            let MeanResult { mean, interval: [low, high] } = of_arm.means[index];
            format!("{arm} {mean:.3} [{low:.3}, {high:.3}]")
        });
        lines.push(format!("  {name:<14} {}", told.collect::<Vec<_>>().join("   ")));
    }
    let naive = rewards.arms.get("naive");
    for (one, other) in (0..rewards.names.len()).flat_map(|one| (0..one).map(move |other| (other, one))) {
        if let Some(correlation) = naive.and_then(|naive| naive.correlations[one][other]) {
            let (one, other) = (&rewards.names[one], &rewards.names[other]);
            lines.push(format!("  correlation of {one} and {other}: {correlation:+.2}"));
        }
    }
    lines
}

fn sentence(gain: &Gain, whom: &str) -> String {
    let [low, high] = gain.interval;
    let (mean, interval) = (gain.mean, format!("[{low:+.3}, {high:+.3}]"));
    match (gain.significant, mean > 0.0) {
        (true, true) => format!("  better than {whom}: {mean:+.3} {interval}"),
        (true, false) => format!("  WORSE than {whom}: {mean:+.3} {interval}"),
        (false, _) if low > 0.0 || high < 0.0 => {
            format!("  too few prompts to tell from {whom}: {mean:+.3} {interval}")
        }
        (false, _) => format!("  no clear difference to {whom}: {mean:+.3} {interval}"),
    }
}

/// Some prompts whose reward rose, fell, and stayed, with what was written and answered.
pub(crate) fn examples(arms: &[Vec<EvaluatedPrompt>], n: usize) -> Vec<String> {
    let arm = |wanted: &str| arms.iter().find(|prompts| prompts.first().is_some_and(|prompt| prompt.arm == wanted));
    let (Some(reference), Some(trained)) = (arm("ref"), arm("trained")) else { return Vec::new() };
    let mut pairs: Vec<(f64, &EvaluatedPrompt, &EvaluatedPrompt)> = reference
        .iter()
        .zip(trained)
        .map(|(before, after)| (after.mean_reward() - before.mean_reward(), before, after))
        .collect();
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
    // From the best to the worst, evenly: a reader must see what went wrong as well.
    let last = pairs.len().saturating_sub(1);
    let places = (0..n.min(pairs.len())).map(|index| index * last / n.saturating_sub(1).max(1));
    places.flat_map(|place| example(&pairs[place])).collect()
}

fn example((gain, before, after): &(f64, &EvaluatedPrompt, &EvaluatedPrompt)) -> Vec<String> {
    let mut lines = vec![String::new(), format!("prompt   {}", short(&before.prompt))];
    for (name, prompt) in [("untuned", before), ("trained", after)] {
        if let Some(rewrite) = prompt.rewrites.first() {
            lines.push(format!("{name}  writes   {}", short(rewrite.written.as_deref().unwrap_or(&rewrite.rewrite))));
            lines.push(format!("         answer   {}  (reward {:.2})", answer(rewrite), rewrite.mean_reward()));
        }
    }
    lines.push(format!("         change   {gain:+.2} over all its rewrites"));
    lines
}

fn answer(rewrite: &EvaluatedRewrite) -> String {
    rewrite.responses.first().map_or_else(String::new, |response| short(&response.text))
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
