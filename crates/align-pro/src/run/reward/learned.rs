//! Reward models: `[reward.model]`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use lm::{CpuEngine, Engine, Lora};
use rollout::reward::{Attribute, CARD_VERSION, LearnedReward, RewardCard};

use crate::config::plan::{Plan, PrecisionName};
use crate::config::reward::{OneReward, RewardModelPlan};
use crate::failure::Failure;
use crate::run::shelf::Shelf;

/// The file of a reward model's folder that says what is known about it.
pub(crate) const CARD: &str = "reward.json";

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

/// The files that a plan's reward model, if it has one, is made of.
pub(crate) fn files(plan: &Plan) -> Vec<PathBuf> {
    let names = [CARD, "adapter_model.safetensors", "heads.safetensors"];
    model_plan(plan).iter().flat_map(|model| names.map(|name| model.path.join(name))).collect()
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
