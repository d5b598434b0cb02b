"""GRPO and its variants, through TRL's own `GRPOTrainer._compute_loss`.

The advantage of a rewrite is TRL's formula, written out here because it sits in the middle of the sampling code.
"""

from types import SimpleNamespace

import torch
from trl import GRPOTrainer

import golden

LONGEST = 9  # TRL's `max_completion_length`, the constant of Dr. GRPO


def rewrites(rng, groups, size):
    lengths = [rng.randint(1, LONGEST) for _ in range(groups * size)]
    token_logps = [golden.draw(rng, n, -4.0, -0.05) for n in lengths]
    shifted = lambda width: [[round(x + rng.uniform(-width, width), 6) for x in row] for row in token_logps]
    return {
        "token_logps": token_logps, "old_token_logps": shifted(0.5), "ref_token_logps": shifted(1.0),
        "rewards": golden.draw(rng, groups * size, -1.0, 2.0), "group": [i // size for i in range(groups * size)],
    }


def padded(rows):
    return torch.stack([torch.cat([torch.as_tensor(row), torch.zeros(LONGEST - len(row))]) for row in rows])


def group_advantages(rewards, group, scaled):
    advantages = torch.zeros(len(rewards))
    rewards, group = torch.tensor(rewards), torch.tensor(group)
    for each in group.unique():
        members = rewards[group == each]
        centred = members - members.mean()
        advantages[group == each] = centred / (members.std() + 1e-4) if scaled else centred
    return advantages


def trl_loss(loss_type, options, leaves, batch, advantages, tokens_in_batch):
    mask = padded([[1.0] * len(row) for row in leaves])
    trainer = golden.trainer(
        GRPOTrainer, loss_type=loss_type, importance_sampling_level=options.get("ratio", "token").split("_")[0],
        epsilon_low=options["epsilon_low"], epsilon_high=options["epsilon_high"], beta=options.get("lambda", 0.0),
        max_completion_length=LONGEST, current_gradient_accumulation_steps=1, top_entropy_quantile=1.0,
        off_policy_mask_threshold=None, use_vllm=False, _entropy_bonus_enabled=False,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
    )
    logps = padded(leaves)
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: (logps, torch.zeros_like(logps), None)
    ids = torch.zeros(len(leaves), LONGEST, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1], "prompt_mask": ids[:, :1], "completion_ids": ids, "completion_mask": mask,
        "advantages": advantages, "old_per_token_logps": padded(batch["old_token_logps"]),
        "ref_per_token_logps": padded(batch["ref_token_logps"]), "num_items_in_batch": torch.tensor(tokens_in_batch),
    }
    return trainer._compute_loss(None, inputs)


def grpo_case(loss_type, options, batch):
    leaves = [golden.leaf(row) for row in batch["token_logps"]]
    scaled = options.get("advantage", "z_score") == "z_score"
    advantages = group_advantages(batch["rewards"], batch["group"], scaled)
    total = sum(len(row) for row in leaves)
    whole = trl_loss(loss_type, options, leaves, batch, advantages, float(total))
    # One rewrite at a time for the per-item losses, which only `grpo` and `dr_grpo` define for themselves; for losses
    # over all tokens a rewrite's share is its sum over tokens times rewrites / tokens of the batch.
    losses = []
    for i, row in enumerate(leaves):
        alone = {k: [v[i]] for k, v in batch.items()}
        loss = trl_loss(loss_type, options, [row], alone, advantages[i : i + 1], float(len(row)))
        share = len(row) * len(leaves) / total if loss_type in ("bnpo", "dapo") else 1.0
        losses.append(loss * share)
    made = golden.case(f"{loss_type}, ratio per {options.get('ratio', 'token')}", {"method": "grpo", "options": options, **batch}, losses, {"token_logps": leaves})
    assert abs(made["expected"]["loss"] - whole.item()) < 1e-12, (loss_type, made["expected"]["loss"], whole.item())
    return made


def main():
    rng = golden.generator()
    clip = {"epsilon_low": 0.2, "epsilon_high": 0.2}
    wide = {"epsilon_low": 0.2, "epsilon_high": 0.28}
    cases = [
        grpo_case("grpo", {**clip, "lambda": 0.04, "normaliser": "sequence"}, rewrites(rng, 2, 4)),
        grpo_case("bnpo", {**clip, "lambda": 0.0, "normaliser": "token"}, rewrites(rng, 2, 4)),
        grpo_case("dr_grpo", {**clip, "lambda": 0.0, "normaliser": LONGEST, "advantage": "group_mean"}, rewrites(rng, 2, 4)),
        grpo_case("dapo", {**wide, "lambda": 0.0, "normaliser": "token"}, rewrites(rng, 2, 4)),
        grpo_case("grpo", {**wide, "lambda": 0.0, "normaliser": "sequence", "ratio": "sequence_mean"}, rewrites(rng, 2, 4)),
    ]
    golden.write("grpo.json", "grpo.py", "trl.GRPOTrainer._compute_loss; advantages from TRL's formula, written out", cases)


if __name__ == "__main__":
    main()
