"""RPO, EXO_rw and DPO_rw by the divergences and losses of PyTorch itself.

Their official code (NeMo-Aligner, exact-optimization) cannot be called without a model-parallel set-up, so each formula is
one call of torch.distributions.kl_divergence, torch.nn.functional.mse_loss or cross_entropy on the scaled scores.
"""

import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Categorical, kl_divergence

import golden
from dpo import PAIRS, pairs

REWARDS = ["chosen_rewards", "rejected_rewards"]


def pair_distance(distance, a, b):
    if distance == "sq":
        return 0.5 * F.mse_loss(a, b, reduction="none")
    if distance == "bwd":
        return kl_divergence(Bernoulli(logits=b), Bernoulli(logits=a))
    return kl_divergence(Bernoulli(logits=a), Bernoulli(logits=b))


def rpo_pairs(distance, options, batch):
    leaves = {field: golden.leaf(batch[field]) for field in PAIRS + REWARDS}
    chosen, rejected, ref_chosen, ref_rejected, better, worse = leaves.values()
    a = options["beta"] * ((chosen - ref_chosen) - (rejected - ref_rejected))
    b = options["eta"] * (better - worse)
    fields = {field: batch[field] for field in PAIRS + REWARDS}
    options = {**options, "distance": distance}
    return golden.case(f"pairs, {distance}", {"method": "rpo", "options": options, **fields},
                       list(pair_distance(distance, a, b)), leaves)


def groups(rng, count, size):
    reference = [golden.draw(rng, size, -30.0, -3.0) for _ in range(count)]
    policy = [[round(x + rng.uniform(-3.0, 3.0), 6) for x in row] for row in reference]
    return {"policy_logps": policy, "ref_logps": reference, "rewards": [golden.draw(rng, size, -1.0, 2.0) for _ in range(count)]}


def group_loss(method, options, logps, reference, rewards):
    if method == "rpo":
        a, b = options["beta"] * (logps - reference), options["eta"] * rewards
        if options["distance"] == "sq":
            return 0.5 * F.mse_loss(a - a.mean(), b - b.mean())
        p, q = Categorical(logits=a), Categorical(logits=b)
        return kl_divergence(q, p) if options["distance"] == "bwd" else kl_divergence(p, q)
    a, b = options["beta_pi"] * (logps - reference), rewards / options["beta_r"]
    if method == "exo_rw":
        return kl_divergence(Categorical(logits=a), Categorical(logits=b))
    return F.cross_entropy(a, b.softmax(-1))


def group_case(method, options, batch):
    leaves = {field: [golden.leaf(row) for row in rows] for field, rows in batch.items()}
    losses = [group_loss(method, options, *rows) for rows in zip(*leaves.values())]
    return golden.case(f"groups, {options.get('distance', '')}", {"method": method, "options": options, **batch}, losses, leaves)


def main():
    rng = golden.generator()
    batch = pairs(rng, 5)
    for field in REWARDS:
        batch[field] = golden.draw(rng, 5, -1.0, 2.0)
    source = "torch.distributions.kl_divergence and torch.nn.functional; NeMo-Aligner's own code needs a Megatron model"
    cases = [rpo_pairs(d, {"beta": 0.2, "eta": 1.5}, batch) for d in ("sq", "bwd", "fwd")]
    cases += [group_case("rpo", {"beta": 0.2, "eta": 1.5, "distance": d}, groups(rng, 2, 5)) for d in ("sq", "bwd", "fwd")]
    golden.write("rpo.json", "rpo.py", source, cases)
    split = {"beta_pi": 0.7, "beta_r": 0.5}
    source = "torch.{}; the authors' code needs its trainer and a model"
    golden.write("exo_rw.json", "rpo.py", source.format("distributions.kl_divergence"), [group_case("exo_rw", split, groups(rng, 3, 6))])
    golden.write("dpo_rw.json", "rpo.py", source.format("nn.functional.cross_entropy"), [group_case("dpo_rw", split, groups(rng, 3, 6))])


if __name__ == "__main__":
    main()
