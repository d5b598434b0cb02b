//! A made-up run that looks like a real one.

use std::collections::BTreeMap;

use lm::Generator;
use rollout::evaluate::{
    About, ArmResult, EvaluatedPrompt, EvaluatedResponse, EvaluatedRewrite, Evaluation, Gain, MeanResult, PartMean,
    VariancePartsResult, WinRateResult,
};
use rollout::event::{Event, FinishReason, Metric, Seconds, ShownRollout, Started, StepDone};
use rollout::report::RunRecord;

pub(super) struct Run {
    pub(super) config: String,
    pub(super) events: Vec<Event>,
    pub(super) evaluation: Evaluation,
    pub(super) prompts: Vec<EvaluatedPrompt>,
}

impl Run {
    pub(super) fn record(&self) -> RunRecord<'_> {
        RunRecord {
            name: "constraints-augment-7",
            config_toml: &self.config,
            events: &self.events,
            evaluation: Some(&self.evaluation),
            prompts: &self.prompts,
            bound: None,
        }
    }
}

const TASKS: [&str; 8] = [
    "Write a short note to a neighbour about a parcel that was delivered to the wrong door.",
    "Explain why the sky is blue to a child of eight.",
    "Give me three ideas for a rainy Sunday afternoon.",
    "Summarise the story of Cinderella.",
    "Describe how to repot a cactus.",
    "Write a product description for a reusable water bottle.",
    "Tell me how bees make honey.",
    "Draft an invitation to a summer party in the garden.",
];
const PARTS: [(&str, &str, [f64; 5]); 7] = [
    ("punctuation:no_comma", "Do not use any commas.", [0.44, 0.52, 0.71, 0.85, 0.80]),
    ("detectable_format:number_bullet_lists", "Use exactly 3 bullet points.", [0.40, 0.38, 0.55, 0.70, 0.72]),
    ("startend:quotation", "Wrap your whole answer in double quotation marks.", [0.0, 0.0, 0.01, 0.02, 0.05]),
    ("change_case:english_lowercase", "Use lower case letters only.", [0.02, 0.01, 0.02, 0.05, 0.12]),
    ("length_constraints:number_words", "Answer with at least 40 words.", [0.81, 0.74, 0.83, 0.95, 0.93]),
    ("keywords:existence", "Include the words garden and morning.", [0.52, 0.33, 0.60, 0.76, 0.71]),
    ("startend:end_checker", "End with the words Is there anything else?", [0.20, 0.15, 0.24, 0.40, 0.44]),
];
const ARMS: [(&str, f64, f64); 5] = [
    ("naive", 80.0, 0.0),
    ("ref", 66.0, 31.0),
    ("trained", 101.0, 24.0),
    ("best-of-4", 88.0, 29.0),
    ("oracle", 95.0, 0.0),
];

/// A finished run of `n_steps` with the first `n_arms` arms on `n_prompts` prompts.
pub(super) fn run(n_steps: u64, n_arms: usize, n_prompts: usize) -> Run {
    let mut noise = Generator::new(7);
    let events = events(n_steps, &mut noise);
    let prompts: Vec<EvaluatedPrompt> =
        (0..n_arms).flat_map(|arm| (0..n_prompts).map(move |at| (arm, at))).map(|(arm, at)| prompt(arm, at)).collect();
    let evaluation = evaluation(&prompts, n_arms, n_steps);
    Run { config: CONFIG.to_owned(), events, evaluation, prompts }
}

fn events(n_steps: u64, noise: &mut Generator) -> Vec<Event> {
    let model = "smollm2-135m-instruct".to_owned();
    let mut events = vec![Event::Started(Started {
        schema: rollout::event::EVENT_SCHEMA,
        method: "rloo".to_owned(),
        prompter: model.clone(),
        target: model,
        reward: "constraints".to_owned(),
        seed: 7,
        steps: n_steps,
        n_prompts: 800,
    })];
    for step in 1..=n_steps {
        let progress = step as f64 / n_steps as f64;
        let reward = 0.29 + 0.19 * (1.0 - (-3.0 * progress).exp()) + noise.symmetric(0.07);
        events.push(Event::StepDone(step_done(step, progress, reward, noise)));
        if step % 10 == 0 || step == 1 {
            let rollouts = (0..3).map(|at| shown(at, step, reward)).collect();
            events.push(Event::Rollouts { step, rollouts });
            let reward = 0.30 + 0.15 * (1.0 - (-3.0 * progress).exp()) + noise.symmetric(0.01);
            let interval = [reward - 0.045, reward + 0.05];
            events.push(Event::Validated { step, reward, interval, best: step == 50 });
            events.push(Event::CheckpointSaved { step });
        }
        if step == 17 || step == 23 {
            let message = "no group of this step had rewards that differ; it teaches nothing".to_owned();
            events.push(Event::Warned { step: Some(step), message });
        }
    }
    let message = "2 prompts are longer than the limit of 512 tokens and were left out".to_owned();
    events.push(Event::Warned { step: None, message });
    events.push(Event::Finished { steps: n_steps, kept_step: n_steps * 5 / 6, reason: FinishReason::Steps });
    events
}

fn step_done(step: u64, progress: f64, reward: f64, noise: &mut Generator) -> StepDone {
    let figures = [
        (Metric::Reward, reward),
        (Metric::RewardStd, 0.21 - 0.05 * progress + noise.symmetric(0.02)),
        (Metric::FracRewardZeroStd, 0.18 + 0.1 * progress + noise.symmetric(0.05)),
        (Metric::Kl, 3.4 * progress.sqrt() + noise.symmetric(0.25)),
        (Metric::Entropy, 1.9 - 0.8 * progress + noise.symmetric(0.08)),
        (Metric::Loss, noise.symmetric(0.02)),
        (Metric::GradNorm, 0.9 + noise.symmetric(0.3)),
        (Metric::LearningRate, 2e-4 * (1.0 - progress)),
        (Metric::RewritesMeanLength, 34.0 - 9.0 * progress + noise.symmetric(2.0)),
        (Metric::CompletionsMeanLength, 72.0 + 26.0 * progress + noise.symmetric(4.0)),
        (Metric::SamplingLogpDifferenceMax, 1e-5 + noise.uniform() * 1e-5),
        (Metric::FellBack, 0.09 - 0.06 * progress + noise.symmetric(0.01)),
    ];
    let mut metrics: BTreeMap<String, f64> = figures.map(|(metric, value)| (metric.name().to_owned(), value)).into();
    metrics.insert("rewards/constraints/mean".to_owned(), reward + 0.01);
    let skipped = step == 31;
    if skipped {
        metrics.insert("grad_norm".to_owned(), f64::INFINITY);
    }
    let [sampling, target, scoring, backward] = [3.1, 4.4, 1.2, 2.9].map(|seconds| seconds + noise.symmetric(0.3));
    let seconds = Seconds { sampling, target, reward: 0.05, scoring, backward, total: 12.1 + noise.symmetric(0.2) };
    StepDone { step, metrics, seconds, skipped }
}

fn shown(at: usize, step: u64, reward: f64) -> ShownRollout {
    let written = if step < 20 { "Sure! Here is a better prompt: write it well." } else { PARTS[at].1 };
    ShownRollout {
        prompt: format!("{} {}", TASKS[at], PARTS[at].1),
        written: written.to_owned(),
        rewrite: format!("{} {}\n\n{written}", TASKS[at], PARTS[at].1),
        response: response(at, step as usize),
        reward,
        findings: if step < 20 { vec!["chatter".to_owned()] } else { vec![] },
    }
}

fn response(task: usize, seed: usize) -> String {
    let openings = ["Of course.", "Here you are:", "Dear neighbour,", "Well,"];
    let body = "The morning light falls on the garden and everything is quiet. I hope that this finds you well and that \
                we will meet soon. ";
    format!("{} {}", openings[(task + seed) % openings.len()], body.repeat(1 + seed % 5))
}

/// Whether an arm meets a constraint, so that an arm's mean is about what [`PARTS`] says, and the better arm wins more.
fn prompt(arm: usize, at: usize) -> EvaluatedPrompt {
    let (name, response_tokens, rewrite_tokens) = ARMS[arm];
    let (one, two) = (at % PARTS.len(), (at / PARTS.len() + at + 1) % PARTS.len());
    let mut noise = Generator::new(1_000 + at as u64);
    let hard = noise.symmetric(0.25);
    let mut noise = Generator::new(lm::derive_seed(&[at as u64, arm as u64]));
    let has_prompter = rewrite_tokens > 0.0;
    let rewrites = (0..if has_prompter { 2 } else { 1 }).map(|draw| {
        let responses = (0..2).map(|sample| {
            let met = [one, two].map(|part| f64::from(u8::from(noise.uniform() < PARTS[part].2[arm] + hard)));
            EvaluatedResponse {
                text: response(at, at + arm + sample),
                tokens: (response_tokens * (1.0 + noise.symmetric(0.5)) + 22.0 * (met[0] + met[1] - 1.0)) as usize,
                cut: noise.uniform() < 0.03,
                reward: (met[0] + met[1]) / 2.0,
                parts: vec![(PARTS[one].0.to_owned(), met[0]), (PARTS[two].0.to_owned(), met[1])],
            }
        });
        let responses = responses.collect();
        let user = user_prompt(at);
        let written = format!("{} Keep to this strictly. Draft {draw}.", PARTS[one].1);
        EvaluatedRewrite {
            written: has_prompter.then(|| written.clone()),
            rewrite: if has_prompter { format!("{user}\n\n{written}") } else { user },
            tokens: (rewrite_tokens * (1.0 + noise.symmetric(0.4))) as usize,
            findings: if arm == 1 && at.is_multiple_of(6) { vec!["chatter".to_owned()] } else { vec![] },
            fell_back: false,
            kl: has_prompter.then(|| noise.symmetric(1.0) + 2.0),
            responses,
        }
    });
    let rewrites = rewrites.collect();
    EvaluatedPrompt { arm: name.to_owned(), id: format!("{at:016x}"), prompt: user_prompt(at), rewrites }
}

fn user_prompt(at: usize) -> String {
    let (one, two) = (at % PARTS.len(), (at / PARTS.len() + at + 1) % PARTS.len());
    format!("{} {} {}", TASKS[at % TASKS.len()], PARTS[one].1, PARTS[two].1)
}

fn evaluation(prompts: &[EvaluatedPrompt], n_arms: usize, steps: u64) -> Evaluation {
    let of = |name: &str| prompts.iter().filter(|prompt| prompt.arm == name).collect::<Vec<_>>();
    let arms: BTreeMap<String, ArmResult> =
        ARMS[..n_arms].iter().map(|&(name, ..)| (name.to_owned(), arm_result(name, &of(name)))).collect();
    let (mut gain, mut win_rate) = (BTreeMap::new(), BTreeMap::new());
    for other in ARMS[..n_arms].iter().map(|arm| arm.0).filter(|name| n_arms > 2 && *name != "trained") {
        let gains: Vec<f64> =
            of("trained").iter().zip(of(other)).map(|(one, two)| one.mean_reward() - two.mean_reward()).collect();
        let (mean, half) = mean_and_half(&gains);
        let interval = [mean - half, mean + half];
        gain.insert(format!("vs_{other}"), Gain { mean, interval, significant: mean.abs() > half });
        let share =
            |wanted: fn(&f64) -> bool| gains.iter().filter(|&gain| wanted(gain)).count() as f64 / gains.len() as f64;
        let ties = share(|gain| *gain == 0.0);
        let mean = share(|gain| *gain > 0.0) + ties / 2.0;
        win_rate.insert(
            format!("vs_{other}"),
            WinRateResult { mean, interval: [mean - 0.07, mean + 0.07], ties, p_value: 0.001 },
        );
    }
    let mut parts: BTreeMap<String, BTreeMap<String, PartMean>> = BTreeMap::new();
    for (at, (part, _, means)) in PARTS.iter().enumerate() {
        for (arm, (name, ..)) in ARMS[..n_arms].iter().enumerate() {
            let part_mean = PartMean { mean: means[arm], n_prompts: 34 - 3 * at };
            parts.entry((*part).to_owned()).or_default().insert((*name).to_owned(), part_mean);
        }
    }
    let model = "smollm2-135m-instruct".to_owned();
    let (target, reward) = (model.clone(), "constraints".to_owned());
    let about = About { seed: 7, model, target, reward, learned: None, steps, seconds: 1_512.0 };
    Evaluation { arms, gain, win_rate, oracle_share: None, rewards: None, parts, judge: None, about }
}

fn arm_result(name: &str, prompts: &[&EvaluatedPrompt]) -> ArmResult {
    let rewards: Vec<f64> = prompts.iter().map(|prompt| prompt.mean_reward()).collect();
    let (mean_reward, half) = mean_and_half(&rewards);
    let responses: Vec<_> =
        prompts.iter().flat_map(|prompt| &prompt.rewrites).flat_map(|rewrite| &rewrite.responses).collect();
    let has_prompter = name != "naive" && name != "oracle";
    let rails = [
        ("empty", 0.0),
        ("chatter", if name == "ref" { 0.17 } else { 0.02 }),
        ("too-long", 0.0),
        ("unchanged", 0.015),
        ("answer-leak", if name == "ref" { 0.21 } else { 0.06 }),
        ("intent", 0.04),
        ("fell-back", if name == "ref" { 0.25 } else { 0.11 }),
    ];
    let rails = rails.map(|(rail, share)| (rail.to_owned(), share));
    let between_rewrites = if has_prompter { 0.021 } else { 0.0 };
    ArmResult {
        mean_reward,
        interval: [mean_reward - half, mean_reward + half],
        variance: 0.118 + between_rewrites,
        variance_parts: VariancePartsResult { between_prompts: 0.064, between_rewrites, within: Some(0.054) },
        mean_response_tokens: responses.iter().map(|response| response.tokens as f64).sum::<f64>()
            / responses.len() as f64,
        mean_rewrite_tokens: ARMS.iter().find(|arm| arm.0 == name).unwrap().2,
        kl: (name == "trained").then_some(MeanResult { mean: 3.2, interval: [2.9, 3.6] }),
        n_prompts: prompts.len(),
        n_rewrites: if has_prompter { 2 } else { 1 },
        n_responses: 2,
        rails: if has_prompter { rails.into() } else { BTreeMap::new() },
    }
}

fn mean_and_half(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (n - 1.0);
    (mean, 1.98 * (variance / n).sqrt())
}

const CONFIG: &str = r#"seed = 7

[prompter]
model = "smollm2-135m-instruct"
mode = "augment"
lora = { rank = 16, alpha = 32 }

[target.local]
model = "smollm2-135m-instruct"
temperature = 0.3

[reward.constraints]

[data]
train = "prompts.jsonl"

[method.rloo]
lambda = 0.05
group-size = 4

[schedule]
steps = 60
prompts-per-step = 8
"#;
