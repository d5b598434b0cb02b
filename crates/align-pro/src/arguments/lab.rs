//! Flags of `lab`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `lab WORLD.json`, or one of its subcommands.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, arg_required_else_help = true)]
pub(crate) struct Lab {
    #[command(subcommand)]
    pub(crate) command: Option<LabCommand>,
    #[command(flatten)]
    pub(crate) world: Option<World>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Follow a method's exact gradient flow on a world to the policy it ends in
    FixedPoint(Box<FixedPoint>),
    /// Value and gradient of any objective on given log-probabilities
    Objective(LabObjective),
}

#[derive(Debug, Args)]
pub(crate) struct LabObjective {
    /// The batch: method, options and the method's fields; - reads standard input
    #[arg(required_unless_present = "schema", conflicts_with = "schema", value_name = "BATCH.json")]
    pub(crate) batch: Option<PathBuf>,
    /// Document the fields and options of every method instead
    #[arg(long)]
    pub(crate) schema: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct World {
    /// The world: rho_ref, pi_f, reward, lambda, beta, and if wanted weights, pi_sft, reward_range; - reads standard input
    #[arg(value_name = "WORLD.json", required = true)]
    pub(crate) path: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FixedPoint {
    #[command(flatten)]
    pub(crate) world: World,
    /// The method
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: MethodName,
    #[command(flatten)]
    pub(crate) options: MethodOptions,
}

/// Options of the methods. Those left out are chosen so that lambda_eff is the world's lambda.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct MethodOptions {
    /// KL strength of reinforce, rloo and ppo [default: the world's]
    #[arg(long)]
    pub(crate) lambda: Option<f64>,
    /// Scale of the implicit reward in pairwise losses and rpo [default: 1]
    #[arg(long)]
    pub(crate) beta: Option<f64>,
    /// Scale of the given reward in rpo [default: beta / lambda]
    #[arg(long)]
    pub(crate) eta: Option<f64>,
    /// How rpo measures the distance of rewards [default: sq]
    #[arg(long)]
    pub(crate) distance: Option<DistanceName>,
    /// Sharpness of the policy in exo_rw and dpo_rw [default: 1]
    #[arg(long)]
    pub(crate) beta_pi: Option<f64>,
    /// Temperature of the rewards in exo_rw and dpo_rw [default: lambda / beta_pi]
    #[arg(long)]
    pub(crate) beta_r: Option<f64>,
    /// Scale s of Bradley-Terry labels, P(1 beats 2) = sigmoid(s (R1 - R2)) [default: beta / lambda, by rounds]
    #[arg(long)]
    pub(crate) scale: Option<f64>,
    /// Momentum of apo [default: 0.3], sharpening of alpha_dpo and aipo [default: 0.09]
    #[arg(long)]
    pub(crate) alpha: Option<f64>,
    /// Rounds of iterative_dpo, apo and aipo [default: 3]
    #[arg(long)]
    pub(crate) rounds: Option<u32>,
    /// Share of flipped labels in cdpo [default: 0.1], probability left to the loser in exo_pref [default: 0.001]
    #[arg(long)]
    pub(crate) label_smoothing: Option<f64>,
    /// Margin of simpo [default: 0.5]
    #[arg(long)]
    pub(crate) gamma: Option<f64>,
    /// Weight of the winner's likelihood in aipo [default: 0]
    #[arg(long)]
    pub(crate) nll_weight: Option<f64>,
}

/// A method that can be followed exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// Expected reward less lambda KL
    Reinforce,
    /// The same, estimated leave-one-out
    Rloo,
    /// The same, in clipped steps
    Ppo,
    /// Reward-aware preference optimisation on all pairs
    Rpo,
    /// Efficient exact optimisation on rewards
    #[value(name = "exo_rw")]
    ExoRw,
    /// DPO from rewards
    #[value(name = "dpo_rw")]
    DpoRw,
    /// DPO on labels
    Dpo,
    /// DPO, each round's result being the next one's reference
    #[value(name = "iterative_dpo")]
    IterativeDpo,
    /// Iterative DPO with momentum
    Apo,
    /// DPO against a sharpened reference
    #[value(name = "alpha_dpo")]
    AlphaDpo,
    /// The same in rounds
    Aipo,
    /// Maximum likelihood of the winners
    Sft,
    /// DPO with smoothed labels
    Cdpo,
    /// Identity preference optimisation
    Ipo,
    /// DPO without a reference
    Simpo,
    /// Efficient exact optimisation on labels
    #[value(name = "exo_pref")]
    ExoPref,
}

/// The distances of rpo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DistanceName {
    /// Half the squared difference
    Sq,
    /// KL from the target to the policy
    Bwd,
    /// KL from the policy to the target
    Fwd,
}
