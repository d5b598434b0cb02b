//! The world of a run, loaded: prompter, target behind its journal, reward.

use std::rc::Rc;

use lm::{Architecture, CpuEngine, Engine, Lora, tape_bytes_per_token};
use rollout::data::Record;
use rollout::evaluate::{Arm, Draw};
use rollout::model::LocalModel;
use rollout::prompter::{Identity, LocalPrompter, PrompterOptions};
use rollout::reward::{Reward, Whole, scales};
use rollout::rollouts::Environment;
use rollout::target::{Echo, Journaled, LocalTarget, Target, TargetOptions};

use super::evaluation::watched;
use super::journals::Journals;
use super::prompts::{self, Prompts};
use super::reward;
use super::shelf::{Shelf, endpoint_target};
use crate::arguments::ThreadFlags;
use crate::commands::Session;
use crate::config::plan::{Plan, TargetPlan, What};
use crate::config::reward::{OneReward, ScaleName};
use crate::failure::Failure;
use crate::output::say;

/// Responses to each prompt on which rewards are measured.
pub(super) const CALIBRATION_RESPONSES: usize = 2;

/// Everything that rollouts need.
pub(crate) struct World {
    /// What is trained: the prompter, or the target as a policy over responses.
    pub(crate) prompter: LocalPrompter<CpuEngine>,
    pub(crate) target: Journaled<Box<dyn Target>>,
    local: Option<LocalWorld>,
    pub(crate) reward: Whole,
    /// The adapter that training starts from, and that the reference prompter has.
    pub(crate) start: Option<Lora>,
    pub(crate) architecture: Architecture,
    /// Most tokens of a backward pass, by the memory that the plan allows.
    pub(crate) micro_batch_tokens: usize,
}

/// A prompter, or a target as a policy over responses.
pub(crate) struct Trainable {
    pub(crate) prompter: LocalPrompter<CpuEngine>,
    /// The adapter that training starts from.
    pub(crate) start: Option<Lora>,
    pub(crate) architecture: Architecture,
}

/// A target on this machine.
struct LocalWorld {
    model: Rc<LocalModel<CpuEngine>>,
    options: TargetOptions,
}

/// Load the models of a plan.
pub(crate) fn load(
    plan: &Plan,
    journals: &Journals,
    threads: &ThreadFlags,
    session: &Session,
) -> anyhow::Result<World> {
    load_from(&mut Shelf::new(plan.tape_budget(), threads, session), plan, journals)
}

/// The same, from a shelf that more is then taken from.
pub(crate) fn load_from(shelf: &mut Shelf<'_>, plan: &Plan, journals: &Journals) -> anyhow::Result<World> {
    let journal = journals.target()?;
    let (local, target): (_, Box<dyn Target>) = match &plan.target {
        TargetPlan::Local(target) => {
            let (model, options) =
                (shelf.model(&target.model, plan.target_precision(target))?, TargetOptions::from(target));
            let frozen = LocalTarget::new(Rc::clone(&model), options.clone());
            (Some(LocalWorld { model, options }), Box::new(frozen))
        }
        TargetPlan::Openai(target) => (None, Box::new(endpoint_target(target, &plan.budget, &journal)?)),
    };
    let target = Journaled::new(target, journal);
    let Trainable { prompter, start, architecture } = trainable(shelf, plan)?;
    let bytes_per_token = tape_bytes_per_token(&architecture, prompter.model().engine().precision());
    let micro_batch_tokens = plan.tape_budget() / bytes_per_token.max(1);
    let reward = reward::load(plan, journals, shelf)?;
    Ok(World { prompter, target, local, reward, start, architecture, micro_batch_tokens })
}

/// What is trained, without the world around it: whoever only rewrites needs no target and no reward, nor their keys.
pub(crate) fn trainable(shelf: &mut Shelf<'_>, plan: &Plan) -> anyhow::Result<Trainable> {
    let prompter = match (plan.train.what, &plan.target) {
        (What::Target, TargetPlan::Local(target)) => {
            let model = shelf.model(&target.model, target.precision)?;
            LocalPrompter::responding(model, &TargetOptions::from(target))
        }
        _ => {
            let model = shelf.model(&plan.prompter.model, plan.prompter.precision)?;
            LocalPrompter::new(model, PrompterOptions::from(&plan.prompter), plan.rails.clone())?
        }
    };
    let architecture = prompter.model().engine().architecture().clone();
    let start = plan.prompter.adapter.as_deref().map(|folder| Lora::load_peft(folder, &architecture)).transpose()?;
    Ok(Trainable { prompter, start: start.map(|(adapter, _)| adapter), architecture })
}

impl World {
    /// Put several rewards on one scale, by what they give to the answers to some training prompts as they are. The same
    /// plan finds the same scale again, in the journal.
    pub(crate) fn calibrate(&mut self, plan: &Plan, train: &[Record]) -> anyhow::Result<()> {
        if !plan.reward.is_mixed() || plan.reward_mix.scale == ScaleName::Raw {
            return Ok(());
        }
        let records = &train[..train.len().min(plan.reward_mix.calibration_prompts)];
        let mut environment =
            Environment { target: &mut self.target, reward: &mut self.reward, responses: 1, length_penalty: 0.0 };
        let draw = Draw::Once { responses: CALIBRATION_RESPONSES };
        let mut arm = Arm { name: "naive".to_owned(), prompter: &mut Identity, draw, reference: None };
        let naive = watched("measuring rewards", &mut arm, records, &mut environment, plan.seed)?;
        let names: Vec<&str> = plan.reward.0.iter().map(OneReward::name).collect();
        if let Whole::Mix(mix) = &mut self.reward {
            mix.set_scales(&scales(&naive, &names));
        }
        Ok(())
    }

    /// The same on the training prompts of the plan, for whoever has no others: as training did.
    pub(crate) fn calibrate_again(&mut self, plan: &Plan) -> anyhow::Result<()> {
        if !plan.reward.is_mixed() {
            return Ok(());
        }
        let train = self.fitting_alone("training", prompts::load(plan)?.train, &plan.target)?;
        self.calibrate(plan, &train)
    }

    /// What stands behind the target where the target is what is trained.
    pub(crate) fn echo(&self) -> anyhow::Result<Echo<CpuEngine>> {
        let local = self.local()?;
        Ok(Echo::new(Rc::clone(&local.model), local.options.max_tokens))
    }

    /// The target with an adapter of its own.
    pub(crate) fn oracle(&self, adapter: &Lora) -> anyhow::Result<LocalTarget<CpuEngine>> {
        let local = self.local()?;
        Ok(LocalTarget::tuned(Rc::clone(&local.model), local.options.clone(), adapter.clone()))
    }

    /// What an adapter of the target must fit.
    pub(crate) fn target_architecture(&self) -> anyhow::Result<Architecture> {
        Ok(self.local()?.model.engine().architecture().clone())
    }

    /// Bytes of the weights of prompter and target, which may be one copy.
    pub(crate) fn weight_bytes(&self) -> usize {
        let prompter = self.prompter.model();
        let target = self.local.iter().map(|local| &local.model).find(|target| !Rc::ptr_eq(target, prompter));
        prompter.engine().weight_bytes() + target.map_or(0, |target| target.engine().weight_bytes())
    }

    fn local(&self) -> anyhow::Result<&LocalWorld> {
        Ok(self.local.as_ref().ok_or(Failure::NoLocalTarget)?)
    }

    /// Leave out prompts that prompter or target cannot read for their length, with a word about it.
    pub(crate) fn fitting(&self, prompts: Prompts, target: &TargetPlan) -> anyhow::Result<Prompts> {
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
        target: &TargetPlan,
    ) -> anyhow::Result<Vec<Record>> {
        let n = records.len();
        let mut kept = Vec::with_capacity(n);
        for record in records {
            // The target reads x and what the prompter wrote, which is no more than what the prompter reads and writes.
            self.reward.check(&record)?;
            let read = self.prompter.prefix(&record)?.len() + self.prompter.max_tokens();
            let answered = if self.local.is_some() { target.max_tokens() } else { 0 };
            if read + answered <= self.architecture.context {
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
