//! Judges in a run: put to the test before they are trusted, and asked which arm answers better.

use rollout::data::Record;
use rollout::evaluate::{EvaluatedPrompt, JudgeResult, judge_arms};
use rollout::judge::{CanaryResult, PairJudge};
use rollout::reward::Reward;

use super::journals::Journals;
use super::shelf::Shelf;
use super::world::World;
use crate::config::plan::Plan;
use crate::failure::Failure;
use crate::output::say;
use crate::progress;

/// The journal of the judge of pairs.
const PAIRS: &str = "pairs";

/// The judge of `[judge]`.
pub(crate) fn pair_judge(plan: &Plan, journals: &Journals, shelf: &mut Shelf<'_>) -> anyhow::Result<PairJudge> {
    let judge = plan.judge.as_ref().ok_or(Failure::NoJudge)?;
    let model = judge.model();
    let times = model.map_or(1, |model| model.times());
    Ok(PairJudge::new(shelf.judge(model, &judge.budget, journals.reward(PAIRS)?)?, &judge.criteria, times))
}

/// What the judge says of the arms' answers to some prompts.
pub(crate) fn compare(
    judge: &mut PairJudge,
    prompts: &[Record],
    arms: &[Vec<EvaluatedPrompt>],
) -> anyhow::Result<Option<JudgeResult>> {
    let bar = progress::count("judging", 0);
    let result = judge_arms(judge, prompts, arms, &mut |done, n| {
        bar.set_length(n as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if let Some(result) = &result {
        tell(&result.canaries);
    }
    Ok(result)
}

/// Put a judge among the rewards to the test.
pub(crate) fn examine(world: &mut World) -> anyhow::Result<()> {
    if let Some(result) = world.reward.canaries()? {
        tell(&result);
    }
    Ok(())
}

fn tell(result: &CanaryResult) {
    let CanaryResult { passed, n, failed } = result;
    if result.is_sound() {
        return say(format_args!("the judge passed its {n} canaries: answers that must lose lost"));
    }
    say(format_args!(
        "warning: the judge passed {passed} of {n} canaries only, and is not to be trusted; what should have lost is {}",
        failed.join("; ")
    ));
}
