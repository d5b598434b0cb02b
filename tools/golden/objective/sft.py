"""SFT, through the `sft` loss type of TRL's own `DPOTrainer._compute_loss`: the mean over tokens of the wanted rewrite."""

import torch
from trl import DPOTrainer

import golden


def trl_loss(row):
    n = len(row)
    mask = torch.tensor([[0] + [1] * n] * 2)
    trainer = golden.trainer(
        DPOTrainer, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=["sft"],
        loss_weights=[1.0], beta=0.1, label_smoothing=0.0, use_weighting=False,
    )
    inputs = {
        "input_ids": torch.ones_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask,
        "ref_chosen_logps": torch.zeros(1), "ref_rejected_logps": torch.zeros(1),
    }
    return trainer._compute_loss(golden.model_with(torch.stack([row, torch.zeros(n)])), inputs, return_outputs=False)


def main():
    rng = golden.generator()
    rows = [golden.draw(rng, n, -6.0, -0.01) for n in (3, 5, 1, 8)]
    leaves = [golden.leaf(row) for row in rows]
    batch = {"method": "sft", "options": {"normaliser": "sequence"}, "token_logps": rows}
    losses = [trl_loss(row) for row in leaves]
    golden.write("sft.json", "sft.py", "trl.DPOTrainer._compute_loss, loss type `sft`, one rewrite at a time",
                 [golden.case("per sequence", batch, losses, {"token_logps": leaves})])


if __name__ == "__main__":
    main()
