"""SimPO and the summed form of IPO, through TRL's own `CPOTrainer.cpo_loss`."""

import golden
from dpo import PAIRS, pairs
from trl.experimental.cpo import CPOTrainer


def cpo_losses(loss_type, beta, chosen, rejected, gamma=0.0):
    trainer = golden.trainer(
        CPOTrainer, alpha=0.0, loss_type=loss_type, beta=beta, label_smoothing=0.0, simpo_gamma=gamma
    )
    return list(trainer.cpo_loss(chosen, rejected)[0])


def simpo_case(beta, gamma, batch):
    leaves = {field: golden.leaf(batch[field]) for field in PAIRS[:2]}
    averages = [
        leaves[field] / golden.torch.tensor(batch[lengths], dtype=golden.torch.float64)
        for field, lengths in zip(PAIRS[:2], ["chosen_lengths", "rejected_lengths"])
    ]
    losses = cpo_losses("simpo", beta, *averages, gamma)
    fields = {k: batch[k] for k in PAIRS[:2] + ["chosen_lengths", "rejected_lengths"]}
    return golden.case("simpo", {"method": "simpo", "options": {"beta": beta, "gamma": gamma}, **fields}, losses, leaves)


def ipo_case(beta, batch):
    leaves = {field: golden.leaf(batch[field]) for field in PAIRS}
    losses = cpo_losses("ipo", beta, leaves["policy_chosen_logps"] - leaves["ref_chosen_logps"],
                        leaves["policy_rejected_logps"] - leaves["ref_rejected_logps"])
    fields = {field: batch[field] for field in PAIRS}
    return golden.case("cpo ipo on summed log-ratios", {"method": "ipo", "options": {"beta": beta}, **fields}, losses, leaves)


def main():
    rng = golden.generator()
    batches = [pairs(rng, 6) for _ in range(3)]
    golden.write("simpo.json", "simpo.py", "trl.experimental.cpo.CPOTrainer.cpo_loss, loss type `simpo`, given averages",
                 [simpo_case(b, g, x) for b, g, x in zip([2.0, 2.5, 3.0], [0.5, 1.0, 0.0], batches)])
    golden.write("ipo_sum.json", "simpo.py", "trl.experimental.cpo.CPOTrainer.cpo_loss, loss type `ipo`, given log-ratios "
                 "summed over tokens (the DPO reference code's convention; TRL's DPOTrainer averages: ipo_average.json)",
                 [ipo_case(b, x) for b, x in zip([0.05, 0.1, 0.5], batches)])


if __name__ == "__main__":
    main()
