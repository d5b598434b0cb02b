"""PPO: token rewards, GAE, whitening, clipped policy and value losses.

TRL has dropped its PPO trainer, and while it had one the loss was the body of a 400-line `train`; so this is a minimal
transcription of the published formulas in PyTorch (GAE eq. 16 of arXiv:1506.02438, clip eq. 7 of arXiv:1707.06347, clipped
value loss of OpenAI baselines), not the package's own code.
"""

import torch

import golden
from grpo import rewrites


def token_rewards(reward, old, reference, lam):
    shaped = -lam * (old - reference)
    return shaped + torch.cat([torch.zeros(len(old) - 1), torch.tensor([reward])])


def gae(rewards, values, discount, decay):
    advantages, running = [], 0.0
    for t in reversed(range(len(rewards))):
        following = values[t + 1] if t + 1 < len(values) else 0.0
        running = rewards[t] + discount * following - values[t] + discount * decay * running
        advantages.insert(0, running)
    return torch.tensor(advantages)


def clipped(ratio, advantage, epsilon):
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - epsilon, 1 + epsilon) * advantage)


def clipped_value(value, old_value, target, epsilon):
    held = old_value + (value - old_value).clamp(-epsilon, epsilon)
    return 0.5 * torch.maximum((value - target) ** 2, (held - target) ** 2)


def ppo_case(name, options, batch, whiten):
    logps = [golden.leaf(row) for row in batch["token_logps"]]
    values = [golden.leaf(row) for row in batch["values"]]
    rows = [torch.tensor(row) for row in batch["old_token_logps"]]
    old_values = [torch.tensor(row) for row in batch["old_values"]]
    references = [torch.tensor(row) for row in batch["ref_token_logps"]]
    shaped = [token_rewards(r, o, f, options["lambda"]) for r, o, f in zip(batch["rewards"], rows, references)]
    advantages = [gae(s.tolist(), v.tolist(), options["discount"], options["gae_lambda"]) for s, v in zip(shaped, old_values)]
    targets = [a + v for a, v in zip(advantages, old_values)]
    if whiten:
        every = torch.cat(advantages)
        advantages = [(a - every.mean()) / (every.var() + 1e-8).sqrt() for a in advantages]
    tokens = sum(len(row) for row in logps)
    losses = []
    for i in range(len(logps)):
        policy = clipped((logps[i] - rows[i]).exp(), advantages[i], options["epsilon_low"]).sum()
        value = clipped_value(values[i], old_values[i], targets[i], options["epsilon_value"]).sum()
        losses.append((policy + options["value_weight"] * value) * len(logps) / tokens)
    return golden.case(name, {"method": "ppo", "options": {**options, "whiten": whiten}, **batch}, losses, {"token_logps": logps, "values": values})


def main():
    rng = golden.generator()
    options = {"epsilon_low": 0.2, "epsilon_high": 0.2, "lambda": 0.05, "discount": 1.0, "gae_lambda": 0.95,
               "value_weight": 0.1, "epsilon_value": 0.2}
    cases = []
    for name, whiten in (("GAE", False), ("GAE, whitened", True)):
        batch = rewrites(rng, 2, 3)
        del batch["group"]
        batch["old_values"] = [golden.draw(rng, len(row), -0.5, 0.5) for row in batch["token_logps"]]
        batch["values"] = [[round(v + rng.uniform(-0.4, 0.4), 6) for v in row] for row in batch["old_values"]]
        cases.append(ppo_case(name, options, batch, whiten))
    golden.write("ppo.json", "ppo.py", "transcribed from the papers: no package offers PPO's loss as a function", cases)


if __name__ == "__main__":
    main()
