"""KTO, through TRL's own `KTOTrainer._compute_loss`."""

import torch
from trl import KTOTrainer

import golden
from dpo import PAIRS, pairs


def spread(logps, labels):
    """Rows of token log-probabilities: a prompt token, then two that share the sum evenly."""
    del labels
    return torch.stack([logps / 2, logps / 2], dim=1)


def trl_loss(leaves, kl, options, side, item):
    logps, reference = leaves[PAIRS[side]][item : item + 1], leaves[PAIRS[2 + side]][item : item + 1]
    trainer = golden.trainer(
        KTOTrainer, calculate_KL=True, loss_type="kto", beta=options["beta"], precompute_ref_logps=True,
        desirable_weight=options["desirable_weight"], undesirable_weight=options["undesirable_weight"],
    )
    trainer._compute_kl_logps = lambda model, batch: torch.tensor(kl[0])
    mask = torch.tensor([[0, 1, 1]])
    inputs = {
        "input_ids": torch.ones_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask,
        "label": torch.tensor([side == 0]), "ref_logps": reference, "ref_KL_logps": torch.tensor(kl[1]),
    }
    return trainer._compute_loss(golden.model_with(spread(logps, None)), inputs, return_outputs=False)


def kto_case(name, options, batch, kl):
    leaves = {field: golden.leaf(batch[field]) for field in PAIRS}
    losses = [trl_loss(leaves, kl, options, side, item) for side in (0, 1) for item in range(len(batch[PAIRS[side]]))]
    fields = {field: batch[field] for field in PAIRS}
    mismatched = {"policy_mismatched_logps": kl[0], "ref_mismatched_logps": kl[1]}
    return golden.case(name, {"method": "kto", "options": options, **fields, **mismatched}, losses, leaves)


def main():
    rng = golden.generator()
    cases = []
    for name, shift, weights in [("positive KL", 2.0, (1.0, 1.0)), ("KL clamped at zero", -2.0, (1.0, 1.33))]:
        batch = pairs(rng, 6)
        reference = golden.draw(rng, 4, -30.0, -3.0)
        policy = [round(logp + shift + rng.uniform(-1.0, 1.0), 6) for logp in reference]
        options = {"beta": 0.1, "desirable_weight": weights[0], "undesirable_weight": weights[1]}
        cases.append(kto_case(name, options, batch, (policy, reference)))
    golden.write("kto.json", "kto.py", "trl.KTOTrainer._compute_loss; chosen rewrites first, then rejected ones", cases)


if __name__ == "__main__":
    main()
