//! `bound`: how far a trained prompter can be, and is, from fine-tuning the target.

use lm::{CpuEngine, Lora};
use rollout::bound::{BoundArms, BoundOptions, BoundReport, Comparison, Form, GridRow, PrompterFigures, bound};
use rollout::data::Record;
use rollout::evaluate::{Arm, Draw, EvaluatedPrompt, MeanResult};
use rollout::prompter::Identity;
use rollout::reward::Reward;
use rollout::rollouts::Environment;
use rollout::target::{Journaled, LocalTarget, Target};

use super::headroom::doubt;
use super::{Session, eval};
use crate::arguments::Bound;
use crate::config::plan::{Plan, TargetPlan, What};
use crate::failure::Failure;
use crate::output::{Output, say};
use crate::run::evaluation::watched;
use crate::run::folder::{RunFolder, write_evaluated};
use crate::run::journals::Journals;
use crate::run::world::{self, World};
use crate::run::{inputs, prompts, reward, table, training};

pub(super) fn run(arguments: &Bound, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let folder = RunFolder::open(&arguments.run)?;
    let plan = folder.plan()?;
    let beta = check(arguments, &plan)?;
    inputs::check(&plan, folder.path())?;
    let records = prompts::held_out(arguments.data.as_deref(), &plan, arguments.prompts.get())?;
    let journals = Journals::beside(&folder.journal());
    let mut world = world::load(&plan, &journals, &arguments.threads, session)?;
    let records: Vec<Record> = world.fitting_alone("held-out", records, &plan.target)?;
    let adapter = folder.load_adapter(&world.architecture)?;
    let oracle = arguments.oracle.as_deref().map(|run| eval::oracle(run, &plan, &world)).transpose()?;
    // The oracle's answers go to the same journal: the key of a call holds the adapter.
    let oracle = oracle.map(|adapter| anyhow::Ok(Journaled::new(world.oracle(&adapter)?, journals.target()?)));
    let mut oracle = oracle.transpose()?;
    world.calibrate_again(&plan)?;
    world.reward.restore(&training::checkpoints(&plan, &folder).reward_state()?);

    let arms = sample(arguments, &plan, &mut world, &records, Trained { prompter: &adapter, oracle: oracle.as_mut() })?;
    let [naive, reference, trained, tuned] = &arms;
    let tuned = oracle.as_ref().map(|_| tuned.as_slice());
    let options = BoundOptions {
        lambda: plan.method.lambda(),
        beta,
        range: plan.reward.range(),
        penalised: plan.length_penalty > 0.0 || plan.rails.penalise(),
    };
    let found = bound(BoundArms { naive, reference, trained, oracle: tuned }, options)?;
    folder.save_bound(&found)?;
    folder.write_report()?;
    if let Some(file) = &arguments.out {
        write_evaluated(file, &arms)?;
    }
    let calls = |counted: fn(&Journaled<LocalTarget<CpuEngine>>) -> usize| oracle.as_ref().map_or(0, counted);
    say(format_args!(
        "{} target calls made, {} taken from the journal",
        world.target.n_answered() + calls(Journaled::n_answered),
        world.target.n_replayed() + calls(Journaled::n_replayed)
    ));
    if arguments.json {
        return output.json_document(&found);
    }
    let learned = reward::learned_attribute(&plan)?.as_ref().map(table::told_learned);
    tell(&found).iter().chain(&learned).try_for_each(|line| output.line(line))
}

/// What can be refused before anything is loaded; the β to compare with.
fn check(arguments: &Bound, plan: &Plan) -> anyhow::Result<f64> {
    if plan.train.what == What::Target {
        return Err(Failure::NoPrompter { folder: arguments.run.clone() }.into());
    }
    if arguments.oracle.is_some() && matches!(plan.target, TargetPlan::Openai(_)) {
        return Err(Failure::NoLocalTarget.into());
    }
    let lambda = plan.method.lambda();
    let beta = arguments.beta.or((lambda > 0.0).then_some(lambda));
    Ok(beta.ok_or(Failure::NoBeta)?)
}

/// What was trained.
struct Trained<'a> {
    prompter: &'a Lora,
    oracle: Option<&'a mut Journaled<LocalTarget<CpuEngine>>>,
}

/// The arms naive, ref, trained and oracle; the last one empty where there is none.
fn sample(
    arguments: &Bound,
    plan: &Plan,
    world: &mut World,
    records: &[Record],
    tuned: Trained<'_>,
) -> anyhow::Result<[Vec<EvaluatedPrompt>; 4]> {
    let (n_rewrites, responses) = (usize::from(arguments.rewrites), usize::from(arguments.responses));
    let World { prompter, target, reward, start, .. } = world;
    let start = start.as_ref();
    let mut go = |arm: &mut Arm<'_>, target: &mut dyn Target| {
        let mut environment = Environment { target, reward, responses, length_penalty: 0.0 };
        watched(&format!("sampling {}", arm.name), arm, records, &mut environment, plan.seed)
    };
    let draw = Draw::Once { responses: n_rewrites * responses };
    let naive = go(&mut Arm { name: "naive".to_owned(), prompter: &mut Identity, draw, reference: None }, target)?;
    let draw_rewrites = Draw::Rewrites(n_rewrites);
    // Each prompter's rewrites by the other one's log-probabilities as well: both directions of the divergence.
    let (mut untuned, mut adapted) = (prompter.with(start), prompter.with(Some(tuned.prompter)));
    let (mut from_untuned, mut from_adapted) = (prompter.with(start), prompter.with(Some(tuned.prompter)));
    let mut arm =
        Arm { name: "ref".to_owned(), prompter: &mut untuned, draw: draw_rewrites, reference: Some(&mut from_adapted) };
    let reference = go(&mut arm, target)?;
    let mut arm = Arm {
        name: "trained".to_owned(),
        prompter: &mut adapted,
        draw: draw_rewrites,
        reference: Some(&mut from_untuned),
    };
    let trained = go(&mut arm, target)?;
    let oracle = match tuned.oracle {
        Some(oracle) => {
            go(&mut Arm { name: "oracle".to_owned(), prompter: &mut Identity, draw, reference: None }, oracle)?
        }
        None => Vec::new(),
    };
    Ok([naive, reference, trained, oracle])
}

fn tell(found: &BoundReport) -> Vec<String> {
    let range = found.range;
    let promised = if range.known { "which it promises" } else { "as far as seen" };
    let mut lines = vec![
        format!(
            "{} held-out prompts, {} rewrites of each by either prompter, {} responses to a rewrite, {} to the prompt as it is; \
             95 % intervals over prompts",
            found.n_prompts, found.n_rewrites, found.n_responses, found.n_direct
        ),
        format!("the reward lies in [{:.3}, {:.3}], {promised}; lambda is {}", range.low, range.high, found.lambda),
        "rho* is the prompter that no other beats at this lambda; each bound is an estimate from above, `from below` the same with".to_owned(),
        "estimates that err downwards, and `clipped` the bound where it is below what rewards can differ by".to_owned(),
        String::new(),
        format!("prompt as it is    {}", found.naive.level()),
        format!("untuned prompter   {}", found.reference.level()),
        format!("trained prompter   {}", found.trained.level()),
    ];
    lines.extend(found.oracle_reward.map(|reward| format!("oracle             {}", reward.level())));
    lines.extend(tell_prompter(&found.prompter, found.lambda));
    for comparison in found.oracle.iter().chain([&found.optimum]) {
        lines.extend(tell_comparison(found, comparison));
    }
    lines.extend([
        String::new(),
        "a target fine-tuned on other leashes (samples: how many direct responses carry it; ?: too few)".to_owned(),
        format!(
            "{:>7}  {:<26}  {:<24}  {:<24}  {:<24}  {:>7}",
            "beta", "gap to it", "term 1", "(1.5b) measured", "(1.5c)", "samples"
        ),
    ]);
    lines.extend(found.grid.iter().map(tell_row));
    lines.push(String::new());
    lines.extend(found.verdict.iter().cloned());
    lines
}

fn tell_prompter(prompter: &PrompterFigures, lambda: f64) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!(
            "KL to the untuned prompter {}, from it {} nats a rewrite",
            prompter.kl.level(),
            prompter.reverse_kl.level()
        ),
        format!("gain in reward - lambda KL {}", prompter.objective_gain.change()),
    ];
    lines.extend(prompter.optimality.map(|optimality| {
        format!(
            "lambda KL to the best one  {} at lambda {lambda}, from {:.1} rewrites{}; the untuned one's {}",
            optimality.gap.change(),
            optimality.effective_samples,
            doubt(optimality.trusted),
            optimality.attainable.change()
        )
    }));
    lines
}

/// The gap step by step, each beside what bounds it, and the forms of the bound.
fn tell_comparison(found: &BoundReport, comparison: &Comparison) -> Vec<String> {
    let prompter = &found.prompter;
    let (first, second) = (&comparison.alignment, &found.rewrites);
    let step = |name: &str, measured: MeanResult, bound: MeanResult, at_least: String| {
        format!("  {name:<36}  {:<26}  {:<26}  {at_least}", measured.change(), bound.change())
    };
    let mut lines = vec![
        String::new(),
        format!("from {} to the trained prompter", comparison.whom()),
        format!("  {:<36}  {:<26}  {:<26}  {}", "step", "measured", "at most", "the bound from below"),
        step("1 the target as it is", comparison.alignment_step, first.at_most, first.at_least.change()),
        step("2 behind the untuned prompter", comparison.rewrites_step, second.at_most, second.at_least.change()),
        step("3 training it: -lambda KL, for rho*", prompter.step, prompter.term, String::new()),
        format!("  {:<36}  {}", "gap", comparison.gap.change()),
        String::new(),
        format!("  {:<36}  {:<26}  {:>7}  {:>10}  {}", "bound on the gap", "", "clipped", "from below", "holds"),
    ];
    lines.extend(comparison.forms.iter().map(tell_form));
    lines
}

fn tell_form(form: &Form) -> String {
    let (what, holds) = (form.name.meaning(), form.validity.meaning());
    let (bound, clipped, below) = (form.bound.change(), form.clipped.mean, form.at_least.mean);
    format!("  {what:<36}  {bound:<26}  {clipped:>+7.3}  {below:>+10.3}  {holds}")
}

fn tell_row(row: &GridRow) -> String {
    format!(
        "{:>7}  {:<26}  {:<24}  {:<24}  {:<24}  {:>6.1}{}",
        row.beta,
        row.gap.change(),
        row.alignment.change(),
        row.merged_measured.change(),
        row.direct.change(),
        row.effective_samples,
        doubt(row.trusted)
    )
}
