//! Reward models: `[reward.model]`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use lm::{CpuEngine, Engine, Lora, write_atomically};
use rollout::data::stable_hash;
use rollout::reward::{Attribute, CARD_VERSION, LearnedReward, RewardCard};

use crate::config::plan::{Plan, PrecisionName};
use crate::config::reward::{OneReward, RewardModelPlan};
use crate::failure::Failure;
use crate::run::shelf::Shelf;

/// The file of a reward model's folder that says what is known about it.
pub(crate) const CARD: &str = "reward.json";

/// The file of a run's folder that says which reward model it began with.
const PINNED: &str = "reward-model.digest";

/// The reward model in a folder; its reward is this attribute, or the only one.
pub(crate) fn learned(
    folder: &Path,
    attribute: Option<&str>,
    precision: PrecisionName,
    shelf: &mut Shelf<'_>,
) -> anyhow::Result<LearnedReward<CpuEngine>> {
    let card = card(folder)?;
    let attribute = card.attribute(attribute)?;
    let model = shelf.model(&card.model, precision)?;
    let (adapter, _) = Lora::load_peft(folder, model.engine().architecture())?;
    if adapter.shape.heads != card.attributes.len() {
        return Err(Failure::NotARewardModel { folder: folder.to_owned() }.into());
    }
    Ok(LearnedReward::new(model, adapter, card, attribute))
}

/// What is known about the attribute that a plan's reward model, if it has one, gives rewards by.
pub(crate) fn learned_attribute(plan: &Plan) -> anyhow::Result<Option<Attribute>> {
    let Some(RewardModelPlan { path, attribute, .. }) = model_plan(plan) else { return Ok(None) };
    let card = card(path)?;
    let index = card.attribute(attribute.as_deref())?;
    Ok(card.attributes.into_iter().nth(index))
}

/// That a plan's reward model, if it has one, is there and has the attribute.
pub(crate) fn check(plan: &Plan) -> anyhow::Result<()> {
    learned_attribute(plan).map(drop)
}

/// Note which reward model a run began with, or see that it still is the one: a model that was trained anew since would give other
/// rewards to the rest of the run.
pub(crate) fn pin(plan: &Plan, run: &Path) -> anyhow::Result<()> {
    let Some(RewardModelPlan { path, .. }) = model_plan(plan) else { return Ok(()) };
    let files = [CARD, "adapter_model.safetensors", "heads.safetensors"].map(|name| path.join(name));
    let read = |file: &PathBuf| std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()));
    let contents = files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let digest = format!("{:016x}\n", stable_hash(&contents.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let pinned = run.join(PINNED);
    match std::fs::read_to_string(&pinned) {
        Ok(known) if known == digest => Ok(()),
        Ok(_) => Err(Failure::OtherReward { run: run.to_owned(), folder: path.clone() }.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(write_atomically(&pinned, digest.as_bytes())?),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", pinned.display())),
    }
}

fn model_plan(plan: &Plan) -> Option<&RewardModelPlan> {
    plan.reward.0.iter().find_map(|reward| match reward {
        OneReward::Model(model) => Some(model),
        _ => None,
    })
}

/// What is known about the reward model in a folder.
pub(crate) fn card(folder: &Path) -> anyhow::Result<RewardCard> {
    let path = folder.join(CARD);
    if !path.is_file() {
        return Err(Failure::NotARewardModel { folder: folder.to_owned() }.into());
    }
    let cannot = || format!("cannot use `{}`", path.display());
    let card: RewardCard = serde_json::from_slice(&std::fs::read(&path).with_context(cannot)?).with_context(cannot)?;
    anyhow::ensure!(
        card.version == CARD_VERSION,
        "`{}` has version {}; this program reads version {CARD_VERSION}",
        path.display(),
        card.version
    );
    Ok(card)
}
