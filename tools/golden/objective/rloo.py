"""RLOO, through TRL's own `RLOOTrainer._compute_loss`.

Leave-one-out advantages on the KL-shaped reward are TRL's formula, written out because it sits in the sampling code.
"""

import torch
from trl import RLOOTrainer

import golden
from grpo import LONGEST, padded, rewrites


def advantages(batch, lam):
    log_ratio = (padded(batch["old_token_logps"]) - padded(batch["ref_token_logps"])).sum(1)
    rewards = torch.tensor(batch["rewards"]) - lam * log_ratio
    group, made = torch.tensor(batch["group"]), torch.zeros(len(rewards))
    for each in group.unique():
        members = rewards[group == each]
        made[group == each] = members - (members.sum() - members) / (len(members) - 1)
    return made


def trl_loss(options, row, old_row, advantage):
    trainer = golden.trainer(RLOOTrainer, epsilon_low=options["epsilon_low"], epsilon_high=options["epsilon_high"])
    logps = padded([row])
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: (logps, torch.zeros_like(logps), None)
    ids = torch.zeros(1, LONGEST, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1], "prompt_mask": ids[:, :1], "completion_ids": ids,
        "completion_mask": padded([[1.0] * len(row)]), "advantages": advantage,
        "old_logps": torch.tensor(old_row).sum().unsqueeze(0),
    }
    return trainer._compute_loss(None, inputs)


def rloo_case(name, options, batch):
    leaves = [golden.leaf(row) for row in batch["token_logps"]]
    scale = advantages(batch, options["lambda"])
    losses = [trl_loss(options, row, batch["old_token_logps"][i], scale[i : i + 1]) for i, row in enumerate(leaves)]
    return golden.case(name, {"method": "rloo", "options": options, **batch}, losses, {"token_logps": leaves})


def main():
    rng = golden.generator()
    options = {"epsilon_low": 0.2, "epsilon_high": 0.2, "lambda": 0.05}
    strayed, fresh = rewrites(rng, 3, 4), rewrites(rng, 2, 4)
    fresh["old_token_logps"] = fresh["token_logps"]  # on-policy: the gradient of REINFORCE
    golden.write("rloo.json", "rloo.py", "trl.RLOOTrainer._compute_loss; advantages from TRL's formula, written out",
                 [rloo_case("strayed", options, strayed), rloo_case("on-policy", options, fresh)])


if __name__ == "__main__":
    main()
