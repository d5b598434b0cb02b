//! `lab WORLD.json`: everything exact about a finite world.

use serde::Serialize;
use theory::{Bound, Means, PromptSolution, Solution, fixed_point};

use super::bar::{bar, distance, rewrite_name};
use super::fixed_point::matched_methods;
use super::world_file;
use crate::arguments::World as WorldArguments;
use crate::output::Output;

#[derive(Serialize)]
struct Report {
    prompts: Vec<PromptReport>,
    mean: MeanReport,
}

#[derive(Serialize)]
struct PromptReport {
    value: Vec<f64>,
    z: f64,
    log_z: f64,
    rho_star: Vec<f64>,
    j_ref: f64,
    j_star: f64,
    kl_star: f64,
    kl_ref_star: f64,
    pi_star: Vec<f64>,
    j_rlhf: f64,
    gap: f64,
    bound_terms: [f64; 3],
    bound: f64,
    bound_jeffreys: f64,
    bound_merged: f64,
    bound_direct: f64,
}

#[derive(Serialize)]
struct MeanReport {
    z: f64,
    log_z: f64,
    j_ref: f64,
    j_star: f64,
    kl_star: f64,
    kl_ref_star: f64,
    j_rlhf: f64,
    gap: f64,
    bound: f64,
    bound_jeffreys: f64,
    bound_merged: f64,
    bound_direct: f64,
}

pub(super) fn run(arguments: &WorldArguments, output: &mut Output) -> anyhow::Result<()> {
    let world = world_file::read(&arguments.path)?;
    let solution = world.solve()?;
    if arguments.json {
        return output.json_document(&report(solution));
    }
    print(&world, &solution, output)
}

fn report(solution: Solution) -> Report {
    let Means { z, log_z, j_ref, j_star, kl_star, kl_ref_star, j_rlhf, gap, .. } = solution.mean;
    let Means { bound, bound_jeffreys, bound_merged, bound_direct, .. } = solution.mean;
    Report {
        prompts: solution.prompts.into_iter().map(prompt_report).collect(),
        mean: MeanReport {
            z,
            log_z,
            j_ref,
            j_star,
            kl_star,
            kl_ref_star,
            j_rlhf,
            gap,
            bound,
            bound_jeffreys,
            bound_merged,
            bound_direct,
        },
    }
}

fn prompt_report(prompt: PromptSolution) -> PromptReport {
    let bound = prompt.bound;
    PromptReport {
        value: prompt.value,
        z: prompt.z,
        log_z: prompt.log_z,
        rho_star: prompt.rho_star,
        j_ref: prompt.j_ref,
        j_star: prompt.j_star,
        kl_star: prompt.kl_star,
        kl_ref_star: prompt.kl_ref_star,
        pi_star: prompt.pi_star,
        j_rlhf: prompt.j_rlhf,
        gap: prompt.gap,
        bound_terms: bound.terms,
        bound: bound.total(),
        bound_jeffreys: bound.jeffreys,
        bound_merged: bound.merged,
        bound_direct: bound.direct,
    }
}

fn print(world: &theory::World, solution: &Solution, output: &mut Output) -> anyhow::Result<()> {
    let n_prompts = solution.prompts.len();
    let plural = if n_prompts == 1 { "prompt" } else { "prompts" };
    let theory::World { lambda, beta, reward_span, .. } = world;
    output.line(&format!("{n_prompts} {plural}, lambda {lambda}, beta {beta}, rewards span {reward_span}"))?;
    for (index, prompt) in solution.prompts.iter().enumerate() {
        output.line("")?;
        output.line(&format!("prompt {index:<8} R(x,x')   rho_ref      rho*"))?;
        for (rewrite, value) in prompt.value.iter().enumerate() {
            let (before, after) = (world.prompts[index].rho_ref[rewrite], prompt.rho_star[rewrite]);
            let name = rewrite_name(rewrite);
            output.line(format!("  {name:<12} {value:8.4}  {before:8.4}  {after:8.4}  {}", bar(after)).trim_end())?;
        }
        print_bound(&prompt.bound, prompt.gap, output)?;
    }
    output.line("")?;
    print_means(world, &solution.mean, output)?;
    output.line("")?;
    print_methods(world, output)
}

fn print_bound(bound: &Bound, gap: f64, output: &mut Output) -> anyhow::Result<()> {
    let [alignment, spread, credit] = bound.terms;
    let total = bound.total();
    let clipped = if total > bound.reward_span { format!(", clipped to {}", bound.reward_span) } else { String::new() };
    output.line(&format!(
        "  gap to RLHF {gap:.4}, at most {total:.4} = {alignment:.4} target + {spread:.4} rewrites - {:.4} credit{clipped}",
        -credit
    ))?;
    let Bound { jeffreys, merged, direct, .. } = bound;
    output.line(&format!("  sharper: {jeffreys:.4} with Jeffreys, {merged:.4} merged, {direct:.4} direct"))
}

fn print_means(world: &theory::World, mean: &Means, output: &mut Output) -> anyhow::Result<()> {
    let mut row = |title: &str, figure: f64| output.line(&format!("{title:<44}{figure:8.4}"));
    row("mean reward behind the reference prompter", mean.j_ref)?;
    row("mean reward behind the optimal prompter", mean.j_star)?;
    row("mean reward of the RLHF optimum", mean.j_rlhf)?;
    row("lambda log Z, the optimal regularised value", world.lambda * mean.log_z)?;
    row("KL(rho* || rho_ref)", mean.kl_star)?;
    row("KL(rho_ref || rho*)", mean.kl_ref_star)?;
    row("gap to the RLHF optimum", mean.gap)?;
    row("bound on the gap (1.4)", mean.bound)?;
    row("  with Jeffreys (1.5a)", mean.bound_jeffreys)?;
    row("  merged (1.5b)", mean.bound_merged)?;
    row("  direct (1.5c)", mean.bound_direct)
}

fn print_methods(world: &theory::World, output: &mut Output) -> anyhow::Result<()> {
    output.line(&format!("{:<28}{:>12}{:>18}", "where training ends", "lambda_eff", "TV from rho*"))?;
    for (name, method) in matched_methods(world.lambda)? {
        let end = fixed_point(world, method)?;
        let lambda_eff = end.family.map_or_else(|| "none".to_owned(), |family| format!("{:.4}", family.lambda_eff));
        let power = end.family.map_or(1.0, |family| family.reference_power);
        let around = if power == 1.0 { String::new() } else { format!("  around rho_ref^{power}") };
        output.line(&format!("  {name:<26}{lambda_eff:>12}{:>18}{around}", distance(end.tv_rho_star)))?;
    }
    Ok(())
}
