//! Losses and gradients against other implementations; `testdata/golden` says which, at what versions.

use std::path::Path;

use objective::{
    Advantage, Aipo, AlphaDpo, BatchSize, Cdpo, Clip, Distance, Dpo, DpoRw, ExoPref, ExoRw, Gae, Group, GroupGradient,
    GroupObjective, Ipo, KlEstimator, KlPenalty, Kto, Label, LabelNoise, MethodId, Normaliser, Pair, PairLoss,
    PairObjective, PolicyObjective, RatioLevel, Rewrite, Rpo, Sides, Simpo, Sppo, WhitenedMean, ZScore, gae,
    group_mean, kto, leave_one_out, policy_loss, ppo, reference_point, rloo, rloo_clipped, sft_masked, shape_reward,
    shape_token_rewards, value_loss, whiten, z_score,
};
use serde_json::Value;

/// Columns of losses and gradients, named as in the files.
struct Found {
    losses: Vec<f64>,
    gradient: Vec<(&'static str, Vec<Vec<f64>>)>,
}

#[test]
fn losses_and_gradients_agree_with_other_implementations() {
    for method in MethodId::ALL {
        for file in method.provenance().golden {
            check_file(file);
        }
    }
}

fn check_file(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden").join(file);
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let tolerance = golden["header"]["tolerance"].as_f64().unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let place = format!("{file}, {}", case["name"]);
        let expected = &case["expected"];
        let found = evaluate(&Batch(&case["batch"]));
        assert_all_close(&found.losses, &numbers(&expected["losses"]), tolerance, &format!("{place}: losses"));
        let columns = expected["gradient"].as_object().unwrap();
        assert_eq!(columns.len(), found.gradient.len(), "{place}: columns of the gradient");
        for (field, rows) in found.gradient {
            let expected = rows_of(&columns[field]);
            assert_eq!(rows.len(), expected.len(), "{place}: rows of `{field}`");
            for (row, expected) in rows.iter().zip(&expected) {
                assert_all_close(row, expected, tolerance, &format!("{place}: gradient of `{field}`"));
            }
        }
    }
}

fn assert_all_close(found: &[f64], expected: &[f64], tolerance: f64, place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}: entries");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{place}: {found}, not {expected}");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// A column as rows: rewrites × tokens and groups × K as they are, a vector as one row.
fn rows_of(value: &Value) -> Vec<Vec<f64>> {
    match value.as_array().unwrap().first() {
        Some(Value::Array(_)) => value.as_array().unwrap().iter().map(numbers).collect(),
        _ => vec![numbers(value)],
    }
}

struct Batch<'a>(&'a Value);

impl Batch<'_> {
    fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some()
    }
    fn column(&self, field: &str) -> Vec<f64> {
        numbers(&self.0[field])
    }
    fn rows(&self, field: &str) -> Vec<Vec<f64>> {
        rows_of(&self.0[field])
    }
    fn option(&self, name: &str) -> f64 {
        self.0["options"][name].as_f64().unwrap_or_else(|| panic!("option {name}"))
    }
    fn choice(&self, name: &str) -> &str {
        self.0["options"][name].as_str().unwrap_or_default()
    }
    fn switch(&self, name: &str) -> bool {
        self.0["options"][name].as_bool().unwrap_or_default()
    }
}

fn evaluate(batch: &Batch<'_>) -> Found {
    let option = |name| batch.option(name);
    let beta = || option("beta");
    let label_smoothing = || option("label_smoothing");
    let preference = || AlphaDpo { beta: beta(), alpha: option("alpha") };
    let noise = if batch.choice("noise") == "unbiased" { LabelNoise::Unbiased } else { LabelNoise::Conservative };
    let method = MethodId::from_name(batch.0["method"].as_str().unwrap()).unwrap();
    match method {
        MethodId::Dpo => pairs(batch, PairObjective::Dpo(Dpo { beta: beta() })),
        MethodId::Cdpo => {
            pairs(batch, PairObjective::Cdpo(Cdpo { beta: beta(), label_smoothing: label_smoothing(), noise }))
        }
        MethodId::Ipo => pairs(batch, PairObjective::Ipo(Ipo { beta: beta() })),
        MethodId::Simpo => pairs(batch, PairObjective::Simpo(Simpo { beta: beta(), gamma: option("gamma") })),
        MethodId::ExoPref => {
            pairs(batch, PairObjective::ExoPref(ExoPref { beta: beta(), label_smoothing: label_smoothing() }))
        }
        MethodId::AlphaDpo => pairs(batch, PairObjective::AlphaDpo(preference())),
        MethodId::Aipo => {
            pairs(batch, PairObjective::Aipo(Aipo { preference: preference(), nll_weight: option("nll_weight") }))
        }
        MethodId::Sppo => pairs(batch, PairObjective::Sppo(Sppo { beta: beta() })),
        MethodId::Rpo => {
            let distance = match batch.choice("distance") {
                "sq" => Distance::Square,
                "bwd" => Distance::Backward,
                _ => Distance::Forward,
            };
            let options = Rpo { beta: beta(), eta: option("eta"), distance };
            match batch.has("policy_logps") {
                true => groups(batch, GroupObjective::Rpo(options)),
                false => pairs(batch, PairObjective::Rpo(options)),
            }
        }
        MethodId::ExoRw => {
            groups(batch, GroupObjective::ExoRw(ExoRw { beta_pi: option("beta_pi"), beta_r: option("beta_r") }))
        }
        MethodId::DpoRw => {
            groups(batch, GroupObjective::DpoRw(DpoRw { beta_pi: option("beta_pi"), beta_r: option("beta_r") }))
        }
        MethodId::Kto => unpaired(batch),
        MethodId::Sft => likelihood(batch),
        MethodId::Rloo | MethodId::Reinforce => leave_one_out_policy(batch),
        MethodId::Ppo => actor_and_critic(batch),
        MethodId::Grpo => group_relative_policy(batch),
    }
}

fn pairs(batch: &Batch<'_>, objective: PairObjective) -> Found {
    objective.check().unwrap();
    let chosen = batch.column("policy_chosen_logps");
    let n = chosen.len();
    let column = |field: &str, default: f64| if batch.has(field) { batch.column(field) } else { vec![default; n] };
    let sides = |pattern: &str, chosen: f64, rejected: f64, i: usize| {
        Sides::new(
            column(&pattern.replace('*', "chosen"), chosen)[i],
            column(&pattern.replace('*', "rejected"), rejected)[i],
        )
    };
    let losses: Vec<_> = (0..n)
        .map(|i| {
            let pair = Pair {
                policy: sides("policy_*_logps", 0.0, 0.0, i),
                reference: sides("ref_*_logps", 0.0, 0.0, i),
                rewards: sides("*_rewards", 1.0, 0.0, i),
                lengths: sides("*_lengths", 1.0, 1.0, i),
            };
            match batch.switch("average") {
                true => objective.loss(&pair.averaged()).per_token(pair.lengths),
                false => objective.loss(&pair),
            }
        })
        .collect();
    type Slope = fn(&PairLoss) -> f64;
    let columns: [(&'static str, Slope); 6] = [
        ("policy_chosen_logps", |l| l.d_policy.chosen),
        ("policy_rejected_logps", |l| l.d_policy.rejected),
        ("ref_chosen_logps", |l| l.d_reference.chosen),
        ("ref_rejected_logps", |l| l.d_reference.rejected),
        ("chosen_rewards", |l| l.d_rewards.chosen),
        ("rejected_rewards", |l| l.d_rewards.rejected),
    ];
    let gradient = columns
        .into_iter()
        .filter(|(field, _)| batch.has(field))
        .map(|(field, slope)| (field, vec![losses.iter().map(|loss| slope(loss) / n as f64).collect()]))
        .collect();
    Found { losses: losses.iter().map(|loss| loss.loss).collect(), gradient }
}

fn groups(batch: &Batch<'_>, objective: GroupObjective) -> Found {
    objective.check().unwrap();
    let (policy, reference, rewards) = (batch.rows("policy_logps"), batch.rows("ref_logps"), batch.rows("rewards"));
    let weight = 1.0 / policy.len() as f64;
    let (mut losses, mut d_policy, mut d_ref, mut d_rewards) = (vec![], vec![], vec![], vec![]);
    for ((policy_logps, ref_logps), rewards) in policy.iter().zip(&reference).zip(&rewards) {
        let (mut logps, mut given) = (vec![0.0; policy_logps.len()], vec![0.0; policy_logps.len()]);
        let gradient = GroupGradient { policy_logps: &mut logps, rewards: &mut given };
        losses.push(objective.loss(Group { policy_logps, ref_logps, rewards }, gradient).unwrap().loss);
        d_policy.push(logps.iter().map(|slope| weight * slope).collect());
        d_ref.push(logps.iter().map(|slope| -weight * slope).collect());
        d_rewards.push(given.iter().map(|slope| weight * slope).collect());
    }
    Found { losses, gradient: vec![("policy_logps", d_policy), ("ref_logps", d_ref), ("rewards", d_rewards)] }
}

fn unpaired(batch: &Batch<'_>) -> Found {
    let mismatched = (batch.column("policy_mismatched_logps"), batch.column("ref_mismatched_logps"));
    let options = Kto {
        beta: batch.option("beta"),
        reference_point: reference_point(&mismatched.0, &mismatched.1).unwrap(),
        desirable_weight: batch.option("desirable_weight"),
        undesirable_weight: batch.option("undesirable_weight"),
    };
    options.check().unwrap();
    let side = |policy: &str, reference: &str, label| -> Vec<_> {
        let columns = batch.column(policy).into_iter().zip(batch.column(reference));
        columns.map(|(policy, reference)| kto(policy, reference, label, options)).collect()
    };
    let chosen = side("policy_chosen_logps", "ref_chosen_logps", Label::Desirable);
    let rejected = side("policy_rejected_logps", "ref_rejected_logps", Label::Undesirable);
    let weight = 1.0 / (chosen.len() + rejected.len()) as f64;
    let slopes = |losses: &[objective::KtoLoss], sign: f64| {
        vec![losses.iter().map(|loss| sign * weight * loss.d_policy).collect::<Vec<f64>>()]
    };
    Found {
        gradient: vec![
            ("policy_chosen_logps", slopes(&chosen, 1.0)),
            ("policy_rejected_logps", slopes(&rejected, 1.0)),
            ("ref_chosen_logps", slopes(&chosen, -1.0)),
            ("ref_rejected_logps", slopes(&rejected, -1.0)),
        ],
        losses: chosen.iter().chain(&rejected).map(|loss| loss.loss).collect(),
    }
}

fn likelihood(batch: &Batch<'_>) -> Found {
    let rows = batch.rows("token_logps");
    let size = BatchSize::of(rows.iter().map(Vec::len));
    let mut found = Found { losses: vec![], gradient: vec![("token_logps", vec![])] };
    for row in &rows {
        let mut gradient = vec![0.0; row.len()];
        let (loss, counted) = sft_masked(row, &vec![true; row.len()], &mut gradient).unwrap();
        let weight = Normaliser::PerSequence.weight(counted, size);
        found.losses.push(loss * weight * rows.len() as f64);
        found.gradient[0].1.push(gradient.iter().map(|slope| weight * slope).collect());
    }
    found
}

/// Applies `advantages` group by group; `group` holds the group's index of every rewrite.
fn by_group(group: &[f64], rewards: &[f64], advantages: impl Fn(&[f64], &mut [f64])) -> Vec<f64> {
    let mut all = vec![0.0; rewards.len()];
    for index in 0..group.len() {
        let members: Vec<usize> = (0..group.len()).filter(|&i| group[i] == index as f64).collect();
        let own: Vec<f64> = members.iter().map(|&i| rewards[i]).collect();
        let mut out = vec![0.0; own.len()];
        if !own.is_empty() {
            advantages(&own, &mut out);
        }
        members.iter().zip(out).for_each(|(&i, advantage)| all[i] = advantage);
    }
    all
}

fn leave_one_out_policy(batch: &Batch<'_>) -> Found {
    let (old, reference) = (batch.rows("old_token_logps"), batch.rows("ref_token_logps"));
    let total = |rows: &[Vec<f64>], i: usize| rows[i].iter().sum::<f64>();
    let shaped: Vec<f64> = (batch.column("rewards").iter().enumerate())
        .map(|(i, &reward)| shape_reward(reward, total(&old, i), total(&reference, i), batch.option("lambda")))
        .collect();
    let advantages = by_group(&batch.column("group"), &shaped, |own, out| leave_one_out(own, out).unwrap());
    let found = policies(batch, &rloo_clipped(clip(batch)), &advantages);
    if batch.rows("token_logps") == old {
        // On-policy the clipped ratio has REINFORCE's gradient, though another value.
        assert_eq!(policies(batch, &rloo(), &advantages).gradient, found.gradient);
    }
    found
}

fn group_relative_policy(batch: &Batch<'_>) -> Found {
    let (group, rewards) = (batch.column("group"), batch.column("rewards"));
    let advantages = by_group(&group, &rewards, |own, out| match batch.choice("advantage") {
        "group_mean" => group_mean(own, out).unwrap(),
        _ => z_score(own, ZScore::default(), out).unwrap(),
    });
    let normaliser = match batch.choice("normaliser") {
        "sequence" => Normaliser::PerSequence,
        "token" => Normaliser::PerToken,
        _ => Normaliser::Constant(batch.option("normaliser")),
    };
    let objective = PolicyObjective {
        ratio: if batch.choice("ratio") == "sequence_mean" { RatioLevel::SequenceMean } else { RatioLevel::Token },
        clip: clip(batch),
        kl: Some(KlPenalty { lambda: batch.option("lambda"), estimator: KlEstimator::K3 }),
        normaliser,
    };
    policies(batch, &objective, &advantages)
}

fn clip(batch: &Batch<'_>) -> Clip {
    Clip::Range { low: batch.option("epsilon_low"), high: batch.option("epsilon_high") }
}

fn policies(batch: &Batch<'_>, objective: &PolicyObjective, advantages: &[f64]) -> Found {
    objective.check().unwrap();
    let (rows, old, reference) =
        (batch.rows("token_logps"), batch.rows("old_token_logps"), batch.rows("ref_token_logps"));
    let size = BatchSize::of(rows.iter().map(Vec::len));
    let mut found = Found { losses: vec![], gradient: vec![("token_logps", vec![])] };
    for (i, row) in rows.iter().enumerate() {
        let rewrite =
            Rewrite { token_logps: row, old_token_logps: Some(&old[i]), ref_token_logps: Some(&reference[i]) };
        let mut gradient = vec![0.0; row.len()];
        let loss = policy_loss(&rewrite, Advantage::Rewrite(advantages[i]), objective, &mut gradient).unwrap();
        let weight = objective.normaliser.weight(loss.tokens, size);
        found.losses.push(loss.loss * weight * rows.len() as f64);
        found.gradient[0].1.push(gradient.iter().map(|slope| weight * slope).collect());
    }
    found
}

fn actor_and_critic(batch: &Batch<'_>) -> Found {
    let (rows, old, reference) =
        (batch.rows("token_logps"), batch.rows("old_token_logps"), batch.rows("ref_token_logps"));
    let (values, old_values, rewards) = (batch.rows("values"), batch.rows("old_values"), batch.column("rewards"));
    let size = BatchSize::of(rows.iter().map(Vec::len));
    let options = Gae { discount: batch.option("discount"), decay: batch.option("gae_lambda") };
    let (mut advantages, mut returns) = (vec![], vec![]);
    for i in 0..rows.len() {
        let (mut shaped, mut a, mut g) = (rows[i].clone(), rows[i].clone(), rows[i].clone());
        let price = (batch.option("lambda"), KlEstimator::K1);
        shape_token_rewards(rewards[i], &old[i], &reference[i], price, &mut shaped).unwrap();
        gae(&shaped, &old_values[i], options, &mut a, &mut g).unwrap();
        advantages.extend(a);
        returns.push(g);
    }
    if batch.switch("whiten") {
        whiten(&mut advantages, WhitenedMean::Zero).unwrap();
    }
    let mut advantages = advantages.as_slice();
    let mut found = Found { losses: vec![], gradient: vec![("token_logps", vec![]), ("values", vec![])] };
    for (i, row) in rows.iter().enumerate() {
        let (own, others) = advantages.split_at(row.len());
        advantages = others;
        let rewrite = Rewrite { token_logps: row, old_token_logps: Some(&old[i]), ref_token_logps: None };
        let (mut d_logps, mut d_values) = (vec![0.0; row.len()], vec![0.0; row.len()]);
        let objective = ppo(batch.option("epsilon_low"));
        let policy = policy_loss(&rewrite, Advantage::Tokens(own), &objective, &mut d_logps).unwrap();
        let clip = batch.option("epsilon_value");
        let value = value_loss(&values[i], &old_values[i], &returns[i], clip, &mut d_values).unwrap();
        let weight = objective.normaliser.weight(row.len(), size);
        let value_weight = batch.option("value_weight");
        found.losses.push((policy.loss + value_weight * value.loss) * weight * rows.len() as f64);
        found.gradient[0].1.push(d_logps.iter().map(|slope| weight * slope).collect());
        found.gradient[1].1.push(d_values.iter().map(|slope| weight * value_weight * slope).collect());
    }
    found
}
