//! Pairwise methods over vectors of pairs.

use objective::{MethodId, Pair, PairLoss, PairMetrics, PairObjective, Sides};

use super::batch::{Batch, same_length};
use super::options::Options;
use super::problem::Problem;
use super::report::{Column, Evaluation};

pub(super) fn evaluate(
    batch: &Batch<'_>,
    options: &Options<'_>,
    objective: PairObjective,
) -> Result<Evaluation, Problem> {
    objective.check()?;
    let average = options.switch("average", false)?;
    let columns = Columns::read(batch, average)?;
    let losses: Vec<PairLoss> = columns
        .pairs()
        .map(|pair| match average {
            true => objective.loss(&pair.averaged()).per_token(pair.lengths),
            false => objective.loss(&pair),
        })
        .collect();
    Ok(report(batch, &columns, &losses))
}

/// Chosen and rejected column of one quantity.
struct Both {
    names: [&'static str; 2],
    chosen: Vec<f64>,
    rejected: Vec<f64>,
}

impl Both {
    fn at(&self, pair: usize) -> Sides {
        Sides::new(self.chosen[pair], self.rejected[pair])
    }
}

struct Columns {
    policy: Both,
    reference: Option<Both>,
    rewards: Option<Both>,
    lengths: Option<Both>,
}

const POLICY: [&str; 2] = ["policy_chosen_logps", "policy_rejected_logps"];
const REFERENCE: [&str; 2] = ["ref_chosen_logps", "ref_rejected_logps"];
const REWARDS: [&str; 2] = ["chosen_rewards", "rejected_rewards"];
const LENGTHS: [&str; 2] = ["chosen_lengths", "rejected_lengths"];

impl Columns {
    fn read(batch: &Batch<'_>, average: bool) -> Result<Self, Problem> {
        let policy_chosen = batch.needed_vector(POLICY[0], "")?;
        let both = |names: [&'static str; 2], reason| -> Result<Both, Problem> {
            let [chosen, rejected] = [batch.needed_vector(names[0], reason)?, batch.needed_vector(names[1], reason)?];
            same_length((names[0], &chosen), (POLICY[0], &policy_chosen))?;
            same_length((names[1], &rejected), (POLICY[0], &policy_chosen))?;
            Ok(Both { names, chosen, rejected })
        };
        let given = |names: [&str; 2]| names.iter().any(|name| batch.has(name));
        let method = batch.method;
        let reads_reference = method != MethodId::Simpo;
        let reads_rewards = method == MethodId::Rpo || (method == MethodId::Sppo && given(REWARDS));
        let length_reason = match method {
            MethodId::Simpo => Some(""),
            MethodId::Aipo => Some(", whose likelihood term is per token"),
            _ if average => Some(" to average over"),
            _ => None,
        };
        let lengths = length_reason.map(|reason| both(LENGTHS, reason)).transpose()?;
        lengths.as_ref().map_or(Ok(()), positive)?;
        Ok(Columns {
            policy: both(POLICY, "")?,
            reference: reads_reference.then(|| both(REFERENCE, "")).transpose()?,
            rewards: reads_rewards.then(|| both(REWARDS, "")).transpose()?,
            lengths,
        })
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let at = |column: &Option<Both>, pair: usize, default: Sides| column.as_ref().map_or(default, |c| c.at(pair));
        (0..self.policy.chosen.len()).map(move |pair| {
            let default = Pair::of_logps(self.policy.at(pair), Sides::default());
            Pair {
                reference: at(&self.reference, pair, default.reference),
                rewards: at(&self.rewards, pair, default.rewards),
                lengths: at(&self.lengths, pair, default.lengths),
                ..default
            }
        })
    }
}

fn positive(lengths: &Both) -> Result<(), Problem> {
    for (field, column) in lengths.names.into_iter().zip([&lengths.chosen, &lengths.rejected]) {
        if let Some(entry) = column.iter().position(|length| *length < 1.0) {
            return Err(Problem::Entry { field, entry, expected: "a length of at least 1", found: column[entry] });
        }
    }
    Ok(())
}

fn report(batch: &Batch<'_>, columns: &Columns, losses: &[PairLoss]) -> Evaluation {
    let mut evaluation = Evaluation::new(batch.method, losses.iter().map(|loss| loss.loss).collect());
    let weight = 1.0 / losses.len() as f64;
    let mut insert = |names: [&'static str; 2], slope: fn(&PairLoss) -> Sides| {
        let side = |of: fn(Sides) -> f64| Column::Vector(losses.iter().map(|l| weight * of(slope(l))).collect());
        evaluation.gradient.insert(names[0], side(|sides| sides.chosen));
        evaluation.gradient.insert(names[1], side(|sides| sides.rejected));
    };
    insert(POLICY, |loss| loss.d_policy);
    if columns.reference.is_some() {
        insert(REFERENCE, |loss| loss.d_reference);
    }
    if columns.rewards.is_some() {
        insert(REWARDS, |loss| loss.d_rewards);
    }
    let metrics = PairMetrics::of(losses.iter());
    evaluation.metrics.extend([
        ("rewards/chosen", metrics.rewards.chosen),
        ("rewards/rejected", metrics.rewards.rejected),
        ("rewards/margins", metrics.margin),
        ("rewards/accuracies", metrics.accuracy),
    ]);
    evaluation
}
