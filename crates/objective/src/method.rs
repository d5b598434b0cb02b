//! The table of methods: where each comes from, where it is written and what it is checked against.
//!
//! METHODS.md is made from it (`cargo run -p objective --example methods`); a test fails when that file is stale.

/// A trainable objective, named as configurations and `align-pro lab objective` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table below says what each method is")]
pub enum MethodId {
    Sft,
    Dpo,
    Cdpo,
    Ipo,
    Simpo,
    Kto,
    Rpo,
    ExoPref,
    ExoRw,
    DpoRw,
    AlphaDpo,
    Aipo,
    Sppo,
    Reinforce,
    Rloo,
    Ppo,
    Grpo,
}

/// Arithmetic that methods share, or that spans their rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table below says what each block is")]
pub enum BuildingBlock {
    GroupAdvantages,
    Gae,
    Whitening,
    Shaping,
    KlEstimators,
    Clip,
    Normaliser,
    Apo,
    BestOfN,
}

/// Where something comes from, where it is written and what it is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Its name in configurations.
    pub name: &'static str,
    /// Its name in words.
    pub title: &'static str,
    /// The paper or other source.
    pub paper: &'static str,
    /// The equation there, or a name where the paper's numbering could not be read.
    pub equation: &'static str,
    /// Its file, relative to `crates/objective`.
    pub file: &'static str,
    /// Its golden vectors in `crates/objective/testdata/golden`, if another implementation exists.
    pub golden: &'static [&'static str],
}

const fn row(
    name: &'static str,
    title: &'static str,
    (paper, equation): (&'static str, &'static str),
    file: &'static str,
    golden: &'static [&'static str],
) -> Provenance {
    Provenance { name, title, paper, equation, file, golden }
}

/// Rows in the order of [`MethodId::ALL`].
#[rustfmt::skip]
const METHODS: [Provenance; MethodId::ALL.len()] = [
    row("sft", "Supervised fine-tuning",
        ("arXiv:2311.04155 (BPO)", "its training loss"),
        "src/preference/sft.rs", &["sft.json"]),
    row("dpo", "Direct Preference Optimization",
        ("arXiv:2305.18290", "7"),
        "src/preference/dpo.rs", &["dpo.json"]),
    row("cdpo", "Conservative DPO; robust DPO",
        ("Mitchell 2023; arXiv:2403.00409", "smoothed and unbiased loss"),
        "src/preference/cdpo.rs", &["cdpo.json", "cdpo_unbiased.json"]),
    row("ipo", "Identity Preference Optimization",
        ("arXiv:2310.12036", "17"),
        "src/preference/ipo.rs", &["ipo_sum.json", "ipo_average.json"]),
    row("simpo", "Simple Preference Optimization",
        ("arXiv:2405.14734", "6"),
        "src/preference/simpo.rs", &["simpo.json"]),
    row("kto", "Kahneman-Tversky Optimization",
        ("arXiv:2402.01306", "7"),
        "src/preference/kto.rs", &["kto.json"]),
    row("rpo", "Reward-aware Preference Optimization",
        ("arXiv:2502.00203", "L_RPO with D sq, bwd, fwd"),
        "src/preference/rpo.rs", &["rpo.json"]),
    row("exo_pref", "Efficient Exact Optimization from preferences",
        ("arXiv:2402.00856", "16"),
        "src/preference/exo_pref.rs", &["exo_pref.json"]),
    row("exo_rw", "Efficient Exact Optimization from rewards",
        ("arXiv:2402.00856", "L_EXO-rw"),
        "src/preference/exo_rw.rs", &["exo_rw.json"]),
    row("dpo_rw", "DPO from rewards (InfoNCA)",
        ("arXiv:2402.00856; arXiv:2402.05369", "L_DPO-rw"),
        "src/preference/dpo_rw.rs", &["dpo_rw.json"]),
    row("alpha_dpo", "Agreement-aware DPO",
        ("arXiv:2409.08845", "L_alpha-DPO"),
        "src/preference/alpha_dpo.rs", &["alpha_dpo.json"]),
    row("aipo", "Agreement-aware Iterative Preference Optimization",
        ("arXiv:2409.08845", "L_AIPO"),
        "src/preference/aipo.rs", &["aipo.json"]),
    row("sppo", "Self-Play Preference Optimization",
        ("arXiv:2405.00675", "4.7"),
        "src/preference/sppo.rs", &["sppo.json"]),
    row("reinforce", "REINFORCE with a baseline",
        ("Williams 1992; arXiv:2310.10505", "score-function estimator"),
        "src/policy/reinforce.rs", &["rloo.json"]),
    row("rloo", "REINFORCE leave-one-out",
        ("arXiv:2402.14740; arXiv:2501.03486 (Align-Pro)", "leave-one-out estimator"),
        "src/policy/rloo.rs", &["rloo.json"]),
    row("ppo", "Proximal Policy Optimization",
        ("arXiv:1707.06347", "7"),
        "src/policy/ppo.rs", &["ppo.json"]),
    row("grpo", "Group Relative Policy Optimization; Dr. GRPO, DAPO, GSPO",
        ("arXiv:2402.03300; 2503.20783, 2503.14476, 2507.18071", "3; DAPO 8"),
        "src/policy/grpo.rs", &["grpo.json"]),
];

/// Rows in the order of [`BuildingBlock::ALL`].
#[rustfmt::skip]
const BLOCKS: [Provenance; BuildingBlock::ALL.len()] = [
    row("group advantages", "Leave-one-out, group mean, z-score",
        ("arXiv:2402.14740; 2503.20783; 2402.03300", "section 4.1.2 of the last"),
        "src/advantage/group.rs", &["rloo.json", "grpo.json"]),
    row("gae", "Generalised advantage estimation",
        ("arXiv:1506.02438", "16"),
        "src/advantage/gae.rs", &["ppo.json"]),
    row("whitening", "Advantages at unit variance",
        ("The N implementation details of RLHF with PPO (2023)", "whitening"),
        "src/advantage/whitening.rs", &["ppo.json"]),
    row("shaping", "KL-shaped rewards",
        ("arXiv:2501.03486; arXiv:2203.02155", "step 5 of Align-Pro's algorithm"),
        "src/advantage/shaping.rs", &["rloo.json", "ppo.json"]),
    row("k1, k2, k3", "KL divergence from one sample",
        ("Schulman 2020; arXiv:2402.03300", "k3: 4"),
        "src/kl.rs", &["grpo.json"]),
    row("clip", "Clipped ratio, symmetric or not",
        ("arXiv:1707.06347; arXiv:2503.14476", "7; 10"),
        "src/policy/clip.rs", &["grpo.json", "ppo.json"]),
    row("normaliser", "Weights of the rewrites of a batch",
        ("arXiv:2402.03300; 2503.14476; 2503.20783", "3; 8; bias-free loss"),
        "src/policy/normaliser.rs", &["grpo.json"]),
    row("apo", "Extrapolation between rounds and its coefficients c_t",
        ("arXiv:2410.06293", "algorithm 1; dynamics theorem"),
        "src/iteration/apo.rs", &[]),
    row("best of N", "Divergence of the best of N from the reference",
        ("arXiv:2401.01879", "the analytical formula"),
        "src/iteration/best_of_n.rs", &[]),
];

impl MethodId {
    /// Every method, in reading order.
    pub const ALL: [MethodId; 17] = [
        MethodId::Sft,
        MethodId::Dpo,
        MethodId::Cdpo,
        MethodId::Ipo,
        MethodId::Simpo,
        MethodId::Kto,
        MethodId::Rpo,
        MethodId::ExoPref,
        MethodId::ExoRw,
        MethodId::DpoRw,
        MethodId::AlphaDpo,
        MethodId::Aipo,
        MethodId::Sppo,
        MethodId::Reinforce,
        MethodId::Rloo,
        MethodId::Ppo,
        MethodId::Grpo,
    ];

    /// The method of this name, if there is one.
    ///
    /// ```
    /// use objective::MethodId;
    /// assert_eq!(MethodId::from_name("exo_rw"), Some(MethodId::ExoRw));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        MethodId::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The method's name in configurations.
    pub const fn name(self) -> &'static str {
        self.provenance().name
    }

    /// The method's row of the table.
    pub const fn provenance(self) -> Provenance {
        METHODS[self as usize]
    }
}

impl BuildingBlock {
    /// Every block, in reading order.
    pub const ALL: [BuildingBlock; 9] = [
        BuildingBlock::GroupAdvantages,
        BuildingBlock::Gae,
        BuildingBlock::Whitening,
        BuildingBlock::Shaping,
        BuildingBlock::KlEstimators,
        BuildingBlock::Clip,
        BuildingBlock::Normaliser,
        BuildingBlock::Apo,
        BuildingBlock::BestOfN,
    ];

    /// The block's row of the table.
    pub const fn provenance(self) -> Provenance {
        BLOCKS[self as usize]
    }
}
