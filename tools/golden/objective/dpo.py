"""DPO family, through TRL's own `DPOTrainer._compute_loss`."""

import torch
from trl import DPOTrainer

import golden
from trl.experimental.cpo import CPOTrainer

PAIRS = ["policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps"]


def pairs(rng, count):
    batch = {field: golden.draw(rng, count, -40.0, -2.0) for field in PAIRS[:2]}
    for field in PAIRS[2:]:
        near = batch[field.replace("ref", "policy")]
        batch[field] = [round(logp + rng.uniform(-6.0, 6.0), 6) for logp in near]
    batch["chosen_lengths"] = [rng.randint(3, 12) for _ in range(count)]
    batch["rejected_lengths"] = [rng.randint(3, 12) for _ in range(count)]
    return batch


def trl_loss(loss_type, beta, label_smoothing, leaves, lengths, pair):
    """TRL's loss of one pair; its tokens share the pair's log-probability evenly."""
    longest = max(lengths)
    mask = torch.tensor([[0] + [1] * n + [0] * (longest - n) for n in lengths])
    rows = [
        torch.cat([(leaves[field][pair] / n).expand(n), torch.zeros(longest - n)])
        for field, n in zip(PAIRS[:2], lengths)
    ]
    trainer = golden.trainer(
        DPOTrainer, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=[loss_type],
        loss_weights=[1.0], beta=beta, label_smoothing=label_smoothing, use_weighting=False,
    )
    inputs = {
        "input_ids": torch.ones_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask,
        "ref_chosen_logps": leaves["ref_chosen_logps"][pair : pair + 1],
        "ref_rejected_logps": leaves["ref_rejected_logps"][pair : pair + 1],
    }
    return trainer._compute_loss(golden.model_with(torch.stack(rows)), inputs, return_outputs=False)


def trl_case(name, method, loss_type, options, batch, average=False, sharpen=0.0, nll_weight=0.0):
    """`sharpen` multiplies the reference by 1 + sharpen (alpha-DPO); `nll_weight` adds TRL's `sft` loss (AIPO)."""
    leaves = {field: golden.leaf(batch[field]) for field in PAIRS}
    losses = []
    for pair in range(len(batch["chosen_lengths"])):
        lengths = [batch["chosen_lengths"][pair], batch["rejected_lengths"][pair]]
        beta, smoothing = options["beta"], options.get("label_smoothing", 0.0)
        sharpened = {f: t * (1.0 + sharpen) if f.startswith("ref") else t for f, t in leaves.items()}
        loss = trl_loss(loss_type, beta, smoothing, sharpened, lengths, pair)
        if nll_weight:
            loss = loss + nll_weight * trl_loss("sft", beta, smoothing, leaves, lengths, pair)
        losses.append(loss)
    needs_lengths = average or nll_weight
    fields = {k: v for k, v in batch.items() if needs_lengths or not k.endswith("lengths")}
    return golden.case(name, {"method": method, "options": options, **fields}, losses, leaves)


def cpo_case(options, batch):
    """cDPO through TRL's `cpo_loss`, given log-ratios instead of log-probabilities: the two formulas then coincide."""
    leaves = {field: golden.leaf(batch[field]) for field in PAIRS}
    trainer = golden.trainer(
        CPOTrainer, alpha=0.0, loss_type="sigmoid", beta=options["beta"], label_smoothing=options["label_smoothing"]
    )
    losses, _, _ = trainer.cpo_loss(
        leaves["policy_chosen_logps"] - leaves["ref_chosen_logps"],
        leaves["policy_rejected_logps"] - leaves["ref_rejected_logps"],
    )
    fields = {field: batch[field] for field in PAIRS}
    return golden.case("cpo sigmoid on log-ratios", {"method": "cdpo", "options": options, **fields}, list(losses), leaves)


def main():
    rng = golden.generator()
    source = "trl.DPOTrainer._compute_loss, loss type `{}`"
    write = lambda file, loss_type, cases: golden.write(file, "dpo.py", source.format(loss_type), cases)
    batches = [pairs(rng, 6) for _ in range(3)]
    betas = [0.05, 0.1, 0.5]
    each = lambda make: [make(beta, batch) for beta, batch in zip(betas, batches)]

    write("dpo.json", "sigmoid", each(lambda b, x: trl_case("sigmoid", "dpo", "sigmoid", {"beta": b}, x)))
    write("ipo_average.json", "ipo", each(
        lambda b, x: trl_case("ipo, log-probabilities per token", "ipo", "ipo", {"beta": b, "average": True}, x, average=True)))
    write("exo_pref.json", "exo_pair", each(
        lambda b, x: trl_case("exo_pair", "exo_pref", "exo_pair", {"beta": b, "label_smoothing": 1e-3}, x)))
    write("cdpo_unbiased.json", "robust", each(
        lambda b, x: trl_case("robust", "cdpo", "robust", {"beta": b, "label_smoothing": 0.1, "noise": "unbiased"}, x)))
    write("sppo.json", "sppo_hard", each(lambda b, x: trl_case("sppo_hard", "sppo", "sppo_hard", {"beta": b}, x)))
    write("alpha_dpo.json", "sigmoid` against the reference's log-probabilities times 1 + alpha; `sigmoid", each(
        lambda b, x: trl_case("sigmoid", "alpha_dpo", "sigmoid", {"beta": b, "alpha": 0.09}, x, sharpen=0.09)))
    write("aipo.json", "sigmoid` (reference times 1 + alpha) plus nll_weight times `sft", each(
        lambda b, x: trl_case("sigmoid + sft", "aipo", "sigmoid", {"beta": b, "alpha": 0.09, "nll_weight": 0.5}, x,
                              sharpen=0.09, nll_weight=0.5)))
    golden.write("cdpo.json", "dpo.py", "trl.experimental.cpo.CPOTrainer.cpo_loss, loss type `sigmoid` with label "
                 "smoothing, given log-ratios (DPOTrainer has no smoothed `sigmoid`; its `robust` is cdpo_unbiased.json)",
                 each(lambda b, x: cpo_case({"beta": b, "label_smoothing": 0.1}, x)))


if __name__ == "__main__":
    main()
