//! The world of a run, loaded: prompter, target behind its journal, reward.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use lm::{Architecture, Checkpoint, CpuEngine, Engine, EngineOptions, Lora, Precision, tape_bytes_per_token};
use rollout::data::Record;
use rollout::journal::Journal;
use rollout::model::{LocalModel, ModelParts};
use rollout::prompter::{LocalPrompter, PrompterOptions};
use rollout::reward::Verifier;
use rollout::target::{Echo, Journaled, LocalTarget, Target, TargetOptions};

use super::prompts::Prompts;
use crate::arguments::ThreadFlags;
use crate::commands::Session;
use crate::config::plan::{LocalTarget as LocalTargetPlan, Plan, TargetPlan, What};
use crate::models;
use crate::output::say;
use crate::progress;

/// Everything that rollouts need.
pub(crate) struct World {
    /// What is trained: the prompter, or the target as a policy over responses.
    pub(crate) prompter: LocalPrompter<CpuEngine>,
    pub(crate) target: Journaled<Box<dyn Target>>,
    target_model: Rc<LocalModel<CpuEngine>>,
    target_options: TargetOptions,
    pub(crate) reward: Verifier,
    /// The adapter that training starts from, and that the reference prompter has.
    pub(crate) start: Option<Lora>,
    pub(crate) architecture: Architecture,
    /// Most tokens of a backward pass, by the memory that the plan allows.
    pub(crate) micro_batch_tokens: usize,
}

/// Load the models of a plan. One copy of the weights serves prompter and target where they are the same.
pub(crate) fn load(plan: &Plan, journal: Journal, threads: &ThreadFlags, session: &Session) -> anyhow::Result<World> {
    let TargetPlan::Local(target) = &plan.target;
    let tape_budget = plan.schedule.activation_memory << 20;
    let target_model = load_model(&target.model, target.precision.into(), tape_budget, threads, session)?;
    let is_shared = target.model == plan.prompter.model && target.precision == plan.prompter.precision;
    let prompter_model = match is_shared || plan.train.what == What::Target {
        true => Rc::clone(&target_model),
        false => load_model(&plan.prompter.model, plan.prompter.precision.into(), tape_budget, threads, session)?,
    };
    let architecture = prompter_model.engine().architecture().clone();
    let bytes_per_token = tape_bytes_per_token(&architecture, prompter_model.engine().precision());
    let target_options = TargetOptions::from(target);
    let prompter = match plan.train.what {
        What::Prompter => {
            LocalPrompter::new(prompter_model, PrompterOptions::from(&plan.prompter), plan.rails.clone())?
        }
        What::Target => LocalPrompter::responding(prompter_model, &target_options),
    };
    let frozen = LocalTarget::new(Rc::clone(&target_model), target_options.clone());
    let target = Journaled::new(Box::new(frozen) as Box<dyn Target>, journal);
    let micro_batch_tokens = tape_budget / bytes_per_token.max(1);
    let start = plan.prompter.adapter.as_deref().map(|folder| Lora::load_peft(folder, &architecture)).transpose()?;
    let start = start.map(|(adapter, _)| adapter);
    let reward = plan.reward.clone();
    Ok(World { prompter, target, target_model, target_options, reward, start, architecture, micro_batch_tokens })
}

fn load_model(
    name: &str,
    precision: Precision,
    tape_budget: usize,
    threads: &ThreadFlags,
    session: &Session,
) -> anyhow::Result<Rc<LocalModel<CpuEngine>>> {
    let checkpoint = models::open(name, session)?;
    let tokenizer = Arc::new(checkpoint.tokenizer()?);
    let template = checkpoint.chat_template()?;
    let options = EngineOptions { threads: threads.threads, precision, tape_budget };
    let bar = progress::count("loading", 0);
    let engine = CpuEngine::load(&checkpoint, options, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let fingerprint = fingerprint(&checkpoint, engine.precision())?;
    let stop_tokens = checkpoint.stop_tokens();
    let parts = ModelParts { name: name.to_owned(), fingerprint, tokenizer, template, stop_tokens };
    Ok(Rc::new(LocalModel::new(engine, parts)))
}

/// What tells a model from all others: its precision, and the sizes and first bytes of its files, which hold the
/// directory of its tensors. Hashing all of a large model would take longer than many runs.
fn fingerprint(checkpoint: &Checkpoint, precision: Precision) -> anyhow::Result<String> {
    let path = checkpoint.path();
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.retain(|file| file.is_file());
        files.sort();
    }
    let mut hash = String::new();
    for file in files {
        let (length, head) = (std::fs::metadata(&file)?.len(), head_of(&file)?);
        hash += &format!("{length:x}-{:016x} ", rollout::data::stable_hash(&[&head]));
    }
    Ok(format!("{hash}{}", models::precision_name(precision)))
}

fn head_of(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut head = Vec::new();
    std::fs::File::open(file)?.take(1 << 24).read_to_end(&mut head)?;
    Ok(head)
}

impl World {
    /// What stands behind the target where the target is what is trained.
    pub(crate) fn echo(&self) -> Echo<CpuEngine> {
        Echo::new(Rc::clone(&self.target_model), self.target_options.max_tokens)
    }

    /// The target with an adapter of its own.
    pub(crate) fn oracle(&self, adapter: &Lora) -> LocalTarget<CpuEngine> {
        LocalTarget::tuned(Rc::clone(&self.target_model), self.target_options.clone(), adapter.clone())
    }

    /// What an adapter of the target must fit.
    pub(crate) fn target_architecture(&self) -> Architecture {
        self.target_model.engine().architecture().clone()
    }

    /// Leave out prompts that prompter or target cannot read for their length, with a word about it.
    pub(crate) fn fitting(&self, prompts: Prompts, target: &LocalTargetPlan) -> anyhow::Result<Prompts> {
        Ok(Prompts {
            train: self.fitting_alone("training", prompts.train, target)?,
            validation: self.fitting_alone("validation", prompts.validation, target)?,
            held_out: self.fitting_alone("held-out", prompts.held_out, target)?,
        })
    }

    /// The same for prompts of one kind.
    pub(crate) fn fitting_alone(
        &self,
        what: &str,
        records: Vec<Record>,
        target: &LocalTargetPlan,
    ) -> anyhow::Result<Vec<Record>> {
        let n = records.len();
        let mut kept = Vec::with_capacity(n);
        for record in records {
            // The target reads x and what the prompter wrote, which is no more than what the prompter reads and writes.
            let read = self.prompter.prefix(&record)?.len() + self.prompter.max_tokens();
            if read + target.max_tokens <= self.architecture.context {
                kept.push(record);
            }
        }
        if kept.len() < n {
            let gone = n - kept.len();
            say(format_args!("warning: {gone} {what} prompts are too long for the model's context and left out"));
        }
        Ok(kept)
    }
}
