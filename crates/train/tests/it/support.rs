//! A tiny random model, scripted targets, and a run of them in a folder.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use lm::{Checkpoint, CpuEngine, Engine, EngineOptions, Generator, Precision};
use rollout::data::{Prompt, Record};
use rollout::event::{Event, EventLog, read_events};
use rollout::instruction::Mode;
use rollout::model::{LocalModel, ModelParts};
use rollout::prompter::{LocalPrompter, PrompterOptions};
use rollout::rails::{Action, Rails};
use rollout::reward::{Exchange, Reward, Score};
use rollout::rollouts::Environment;
use rollout::target::{Answered, Call, Response, Take, Target};
use train::options::{LoraOptions, OptimizerOptions, ScheduleOptions};
use train::{Checkpoints, Outcome, Run};

pub(crate) fn checkpoint() -> Checkpoint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/testdata/models/llama");
    Checkpoint::open(&folder).unwrap()
}

pub(crate) fn tiny_engine() -> CpuEngine {
    let options = EngineOptions { precision: Precision::F32, ..EngineOptions::default() };
    CpuEngine::load(&checkpoint(), options, &mut |_, _| {}).unwrap()
}

/// A prompter whose rewrite is what it wrote, whatever it is.
pub(crate) fn prompter<E: Engine>(engine: E, max_tokens: usize) -> LocalPrompter<E> {
    let checkpoint = checkpoint();
    let parts = ModelParts {
        name: "tiny".to_owned(),
        fingerprint: "tiny".to_owned(),
        tokenizer: Arc::new(checkpoint.tokenizer().unwrap()),
        template: None,
        stop_tokens: checkpoint.stop_tokens(),
    };
    let options = PrompterOptions {
        mode: Mode::Rewrite,
        temperature: 1.0,
        max_tokens,
        word_limit: 10,
        instruction: Some("{prompt}".to_owned()),
    };
    let as_it_is = Action::Penalise;
    let rails = Rails {
        chatter: as_it_is,
        too_long: as_it_is,
        unchanged: as_it_is,
        answer_leak: as_it_is,
        intent: as_it_is,
        penalty: 0.0,
        ..Rails::default()
    };
    LocalPrompter::new(Rc::new(LocalModel::new(engine, parts)), options, rails).unwrap()
}

pub(crate) fn records(n: usize) -> Vec<Record> {
    let record = |id: usize| Record {
        id: id.to_string(),
        prompt: Prompt::Text(format!("p{id}")),
        fields: serde_json::Map::new(),
    };
    (0..n).map(record).collect()
}

/// Answers with the number of letters `e` in the rewrite, and a random digit after it.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) n_calls: usize,
    /// Refuses this call and all after it, as a target would whose process is killed.
    pub(crate) dies_at: Option<usize>,
}

impl Target for &mut Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn identity(&self) -> String {
        "scripted".to_owned()
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), rollout::Error> {
        if self.dies_at.is_some_and(|last| self.n_calls + calls.len() > last) {
            return Err(rollout::Error::Role { role: "killed".to_owned() });
        }
        self.n_calls += calls.len();
        let answer = |call: &Call| {
            let n = call.messages.last().unwrap().content.matches(['e', 'a']).count();
            let digit = Generator::new(call.seed).bits() % 10;
            Response { text: format!("{n}.{digit}"), tokens: 3, prompt_tokens: 0, cut: false }
        };
        let answered = |(call, asked)| Answered { call, response: answer(asked) };
        take(calls.iter().enumerate().map(answered).collect())
    }
}

/// The response as a number.
pub(crate) struct Number;

impl Reward for Number {
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, rollout::Error> {
        Ok(batch.iter().map(|exchange| Score::plain(exchange.response.parse().unwrap())).collect())
    }
}

/// What a test may vary.
pub(crate) struct Setup {
    pub(crate) folder: PathBuf,
    pub(crate) prompts: Vec<Record>,
    pub(crate) validation: Vec<Record>,
    pub(crate) schedule: ScheduleOptions,
    pub(crate) optimizer: OptimizerOptions,
    pub(crate) lora: LoraOptions,
    pub(crate) responses: usize,
    pub(crate) micro_batch_tokens: usize,
    pub(crate) start: Option<lm::Lora>,
}

impl Setup {
    pub(crate) fn new(folder: &Path, steps: u64) -> Setup {
        Setup {
            folder: folder.to_owned(),
            prompts: records(6),
            validation: Vec::new(),
            schedule: ScheduleOptions {
                steps,
                prompts_per_step: 2,
                checkpoint_every: 2,
                validate_every: 0,
                patience: 0,
                activation_memory: 64,
            },
            optimizer: OptimizerOptions { learning_rate: 1e-2, ..OptimizerOptions::default() },
            lora: LoraOptions { rank: 4, alpha: 8.0, ..LoraOptions::default() },
            responses: 1,
            micro_batch_tokens: 10_000,
            start: None,
        }
    }

    pub(crate) fn events_file(&self) -> PathBuf {
        self.folder.join("events.jsonl")
    }

    /// The run's events without what differs from run to run.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = read_events(&self.events_file()).unwrap();
        for event in &mut events {
            if let Event::StepDone(done) = event {
                done.seconds = Default::default();
            }
        }
        events
    }

    pub(crate) fn train<E: Engine>(
        &self,
        prompter: &LocalPrompter<E>,
        target: &mut dyn Target,
        train: impl Fn(Run<'_, E>) -> Result<Outcome, train::Error>,
    ) -> Result<Outcome, train::Error> {
        let checkpoints = Checkpoints::new(&self.folder.join("checkpoints"), "tiny");
        let events = EventLog::resume(&self.events_file(), checkpoints.events_length()?)?;
        train(Run {
            prompter,
            environment: Environment { target, reward: &mut Number, responses: self.responses, length_penalty: 0.0 },
            prompts: &self.prompts,
            validation: &self.validation,
            start: self.start.as_ref(),
            lora: &self.lora,
            optimizer: &self.optimizer,
            schedule: &self.schedule,
            seed: 7,
            micro_batch_tokens: self.micro_batch_tokens,
            checkpoints,
            events,
            watcher: &mut (),
        })
    }
}
