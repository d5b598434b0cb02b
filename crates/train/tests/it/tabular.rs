//! A world whose optimum is known: four rewrites, a table for a target. RLOO and PPO must reach ρ* of the closed form.

use lm::{
    Architecture, Engine, Error, Finish, Generator, Group, Linear, Lora, LoraGradients, Request, Sample, ScoreOptions,
    Scores, Token, Upstream,
};
use rollout::target::{Answered, Call, Response, Take, Target};
use train::options::{DecayName, Ppo, Rloo};
use train::{Outcome, Run, ppo, rloo};

use crate::support::{Setup, checkpoint, prompter, records};

/// Fixture A: the reference prompter, the target's answers to each rewrite, and their rewards.
const RHO_REF: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
const PI_F: [[f64; 3]; 4] = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]];
const REWARDS: [&str; 3] = ["0", "0.5", "1"];
const LAMBDA: f64 = 0.5;
const RHO_STAR: [f64; 4] =
    [0.231_256_551_704_133_62, 0.316_032_682_930_186_2, 0.347_366_537_722_284_8, 0.105_344_227_643_395_4];

/// The rewrites, a token each.
const WORDS: [&str; 4] = ["a", "b", "c", "d"];

/// A softmax over four rewrites, whose logits are the first parameters of an adapter's B, which start at 0.
struct Table {
    architecture: Architecture,
    tokens: [Token; 4],
}

impl Table {
    fn new() -> Table {
        let checkpoint = checkpoint();
        let tokenizer = checkpoint.tokenizer().unwrap();
        let token = |word: &str| *tokenizer.encode(word, lm::Framing::Bare).unwrap().last().unwrap();
        Table { architecture: checkpoint.architecture().clone(), tokens: WORDS.map(token) }
    }

    fn logits_at(adapter: &Lora) -> usize {
        adapter.shape.b(0, Linear::Q).unwrap().start
    }

    fn rho(adapter: Option<&Lora>) -> [f64; 4] {
        let logit =
            |index: usize| adapter.map_or(0.0, |lora| f64::from(lora.parameters[Table::logits_at(lora) + index]));
        let weights: [f64; 4] = std::array::from_fn(|index| RHO_REF[index] * logit(index).exp());
        weights.map(|weight| weight / weights.iter().sum::<f64>())
    }

    fn index(&self, token: Token) -> usize {
        self.tokens.iter().position(|&known| known == token).unwrap()
    }
}

fn draw(distribution: &[f64], seed: u64) -> usize {
    let mut left = Generator::new(seed).uniform();
    let place = distribution.iter().position(|p| {
        left -= p;
        left < 0.0
    });
    place.unwrap_or(distribution.len() - 1)
}

impl Engine for Table {
    type Tape = Vec<Vec<Vec<Token>>>;

    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn generate(&mut self, requests: &[Request], adapter: Option<&Lora>) -> Result<Vec<Vec<Sample>>, Error> {
        let rho = Table::rho(adapter);
        let sample = |&seed: &u64| {
            let index = draw(&rho, seed);
            let logps = vec![rho[index].ln() as f32];
            Sample {
                tokens: vec![self.tokens[index]],
                token_logps: logps.clone(),
                plain_token_logps: logps,
                finish: Finish::Length,
            }
        };
        Ok(requests.iter().map(|request| request.seeds.iter().map(sample).collect()).collect())
    }

    fn score(&mut self, groups: &[Group], adapter: Option<&Lora>, _: &ScoreOptions) -> Result<Scores, Error> {
        let rho = Table::rho(adapter);
        let logp = |token: &Token| rho[self.index(*token)].ln() as f32;
        let line = |tokens: &Vec<Token>| tokens.iter().map(logp).collect();
        let token_logps = groups.iter().map(|group| group.continuations.iter().map(line).collect()).collect();
        let value =
            adapter.filter(|lora| lora.shape.heads > 0).map(|lora| lora.parameters[lora.shape.head_bias().start]);
        let values =
            value.map(|value| groups.iter().map(|group| vec![vec![value; 2]; group.continuations.len()]).collect());
        Ok(Scores { token_logps, values })
    }

    fn score_with_tape(
        &mut self,
        groups: &[Group],
        adapter: &Lora,
        options: &ScoreOptions,
    ) -> Result<(Scores, Self::Tape), Error> {
        let tape = groups.iter().map(|group| group.continuations.clone()).collect();
        Ok((self.score(groups, Some(adapter), options)?, tape))
    }

    fn backward(&mut self, tape: Self::Tape, adapter: &Lora, upstream: &Upstream) -> Result<LoraGradients, Error> {
        let rho = Table::rho(Some(adapter));
        let mut gradients = LoraGradients::zeros(adapter.parameters.len());
        let start = Table::logits_at(adapter);
        for (tokens, slopes) in tape.iter().flatten().zip(upstream.d_token_logps.iter().flatten()) {
            for (&token, &slope) in tokens.iter().zip(slopes) {
                for (index, p) in rho.iter().enumerate() {
                    let indicator = f64::from(u8::from(index == self.index(token)));
                    gradients.flat[start + index] += slope * (indicator - p) as f32;
                }
            }
        }
        let d_values = upstream.d_values.iter().flatten().flatten().flatten();
        if adapter.shape.heads > 0 {
            gradients.flat[adapter.shape.head_bias().start] += d_values.sum::<f32>();
        }
        Ok(gradients)
    }
}

/// A table of answers.
struct Answers;

impl Target for Answers {
    fn name(&self) -> &str {
        "table"
    }

    fn identity(&self) -> String {
        "table".to_owned()
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), rollout::Error> {
        let answer = |call: &Call| {
            let rewrite = call.messages.last().unwrap().content.trim().to_owned();
            let index = WORDS.iter().position(|&word| word == rewrite).unwrap();
            Response {
                text: REWARDS[draw(&PI_F[index], call.seed)].to_owned(),
                tokens: 1,
                prompt_tokens: 0,
                cut: false,
            }
        };
        let answered = |(call, asked)| Answered { call, response: answer(asked) };
        take(calls.iter().enumerate().map(answered).collect())
    }
}

fn distance_to_optimum(train: impl Fn(Run<'_, Table>) -> Result<Outcome, train::Error>) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(folder.path(), 400);
    setup.prompts = records(4);
    setup.schedule.prompts_per_step = 4;
    setup.schedule.checkpoint_every = 1_000;
    setup.optimizer.learning_rate = 0.05;
    setup.optimizer.decay = DecayName::Linear;
    setup.responses = 2;
    let outcome = setup.train(&prompter(Table::new(), 1), &mut Answers, train).unwrap();
    let rho = Table::rho(Some(&outcome.adapter));
    rho.iter().zip(RHO_STAR).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

/// How far the reference is from the optimum: what standing still would leave.
fn distance_of_reference() -> f64 {
    RHO_REF.iter().zip(RHO_STAR).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

#[test]
fn rloo_reaches_the_closed_form() {
    assert!(distance_of_reference() > 0.15);
    let distance = distance_to_optimum(|run| rloo::train(&Rloo { lambda: LAMBDA, group_size: 32 }, run));
    assert!(distance < 0.02, "total variation {distance}");
}

#[test]
fn ppo_reaches_the_closed_form() {
    let options = Ppo {
        lambda: LAMBDA,
        group_size: 32,
        epochs: 2,
        mini_batches: 2,
        epsilon: 0.2,
        value_clip: 0.2,
        value_weight: 0.5,
        discount: 1.0,
        gae_decay: 0.95,
    };
    let distance = distance_to_optimum(|run| ppo::train(&options, run));
    assert!(distance < 0.02, "total variation {distance}");
}

#[test]
fn a_lower_price_of_divergence_ends_elsewhere() {
    let distance = distance_to_optimum(|run| rloo::train(&Rloo { lambda: LAMBDA / 5.0, group_size: 32 }, run));
    assert!(distance > 0.1, "total variation {distance}");
}
