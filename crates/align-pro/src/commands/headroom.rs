//! `headroom`: how much any prompter could win, before anything is trained.

use rollout::data::Record;
use rollout::evaluate::{Arm, Draw, EvaluatedPrompt};
use rollout::headroom::{Headroom, headroom};
use rollout::prompter::Identity;
use rollout::rollouts::Environment;

use super::Session;
use crate::arguments::Headroom as Arguments;
use crate::config;
use crate::config::plan::{Plan, What};
use crate::output::{Output, say};
use crate::run::evaluation::watched;
use crate::run::journals::Journals;
use crate::run::world::{self, World};
use crate::run::{folder, judging, prompts, reward, table};

pub(super) fn run(arguments: &Arguments, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let (_, mut plan) = config::load(&arguments.config, &arguments.sets)?;
    // The same for the configuration of an oracle: its prompter is what can win something here.
    plan.train.what = What::Prompter;
    // Of the prompts that training sees: those held out stay unseen until a trained prompter is measured on them.
    let records = prompts::load(&plan)?.train;
    if let Some(file) = &arguments.out {
        super::eval::writable(file)?;
    }
    let journals = arguments.journal.as_deref().map_or_else(Journals::in_memory, Journals::beside);
    let mut world = world::load(&plan, &journals, &arguments.threads, session)?;
    let records: Vec<Record> =
        world.fitting_alone("training", records, &plan.target)?.into_iter().take(arguments.prompts.get()).collect();
    judging::examine(&mut world)?;
    world.calibrate(&plan, &records)?;
    let (naive, reference) = sample(arguments, &plan, &mut world, &records)?;
    let found = headroom(&naive, &reference, plan.method.lambda())?;
    if let Some(file) = &arguments.out {
        folder::write_evaluated(file, &[naive, reference])?;
    }
    say(format_args!(
        "{} target calls made, {} taken from the journal",
        world.target.n_answered(),
        world.target.n_replayed()
    ));
    if arguments.json {
        return output.json_document(&found);
    }
    tell(&found, output)?;
    reward::learned_attribute(&plan)?.iter().try_for_each(|attribute| output.line(&table::told_learned(attribute)))
}

/// What the prompt as it is and the reference prompter do with some prompts.
fn sample(
    arguments: &Arguments,
    plan: &Plan,
    world: &mut World,
    records: &[Record],
) -> anyhow::Result<(Vec<EvaluatedPrompt>, Vec<EvaluatedPrompt>)> {
    let (n_rewrites, responses) = (usize::from(arguments.rewrites), 2 * usize::from(arguments.response_pairs));
    let World { prompter, target, reward, start, .. } = world;
    let mut environment = Environment { target, reward, responses, length_penalty: 0.0 };
    let mut go =
        |arm: &mut Arm<'_>| watched(&format!("sampling {}", arm.name), arm, records, &mut environment, plan.seed);
    let draw = Draw::Once { responses: n_rewrites * responses };
    let naive = go(&mut Arm { name: "naive".to_owned(), prompter: &mut Identity, draw, reference: None })?;
    let prompter = &mut prompter.with(start.as_ref());
    let draw = Draw::Rewrites(n_rewrites);
    let reference = go(&mut Arm { name: "ref".to_owned(), prompter, draw, reference: None })?;
    Ok((naive, reference))
}

fn tell(found: &Headroom, output: &mut Output) -> anyhow::Result<()> {
    let mut lines = vec![
        format!(
            "{} prompts, {} rewrites of each by the untuned prompter, {} responses to each rewrite; 95 % intervals over prompts",
            found.n_prompts, found.n_rewrites, found.n_responses
        ),
        String::new(),
        format!("prompt as it is    {}", found.naive.level()),
        format!("untuned prompter   {}", found.reference.level()),
        format!(
            "variance           {:.4} between the rewrites of a prompt, {:.4} between the responses to a rewrite",
            found.between_rewrites, found.between_responses
        ),
        String::new(),
        "best of n rewrites, gain over one".to_owned(),
    ];
    lines.extend(found.best_of.iter().enumerate().skip(1).map(|(n, gain)| format!("{:>4}  {}", n + 1, gain.change())));
    lines.extend([
        String::new(),
        "the optimal prompter, gain over the untuned one (samples: how many rewrites carry the estimate; ?: too few)"
            .to_owned(),
        format!(
            "{:>7}  {:<26}  {:<26}  {:<26}  {:>5}  {:>7}",
            "lambda", "reward, at least", "reward, at most", "reward - lambda KL", "KL", "samples"
        ),
    ]);
    lines.extend(found.prompter.iter().map(|leash| {
        format!(
            "{:>7}  {:<26}  {:<26}  {:<26}  {:>5.2}  {:>6.1}{}",
            leash.lambda,
            leash.gain_at_least.change(),
            leash.gain_at_most.change(),
            leash.objective_gain.change(),
            leash.kl.mean,
            leash.effective_samples,
            doubt(leash.trusted)
        )
    }));
    lines.extend([
        String::new(),
        "the optimal fine-tuned target, gain over the prompt as it is".to_owned(),
        format!("{:>7}  {:<26}  {:>5}  {:<24}  {:>7}", "beta", "reward", "KL", "TV to the frozen target", "samples"),
    ]);
    lines.extend(found.target.iter().map(|leash| {
        format!(
            "{:>7}  {:<26}  {:>5.2}  {:<24}  {:>6.1}{}",
            leash.beta,
            leash.gain.change(),
            leash.kl.mean,
            leash.total_variation.level(),
            leash.effective_samples,
            doubt(leash.trusted)
        )
    }));
    lines.push(String::new());
    lines.extend(found.verdict());
    lines.iter().try_for_each(|line| output.line(line))
}

pub(super) fn doubt(trusted: bool) -> &'static str {
    if trusted { "" } else { "?" }
}
