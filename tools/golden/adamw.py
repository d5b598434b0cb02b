"""Golden numbers for AdamW, gradient clipping and learning-rate schedules.

Writes crates/lm/testdata/golden/adamw.json. Run by hand: python tools/golden/adamw.py
"""

import json
import pathlib

import torch
import transformers

STEPS = 12
SIZE = 19
LEARNING_RATE = 0.02
SETTINGS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.1}


def trajectory():
    generator = torch.Generator().manual_seed(1)
    parameter = torch.nn.Parameter(torch.randn(SIZE, generator=generator))
    start = parameter.detach().tolist()
    optimizer = torch.optim.AdamW(
        [parameter],
        lr=LEARNING_RATE,
        betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
        eps=SETTINGS["epsilon"],
        weight_decay=SETTINGS["weight_decay"],
        foreach=False,
    )
    steps = []
    for step in range(STEPS):
        # Sizes from tiny to large, so that epsilon and the clipping matter in some steps and not in others.
        gradient = torch.randn(SIZE, generator=generator) * 10.0 ** (step % 6 - 4)
        parameter.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()
        steps.append({"gradient": gradient.tolist(), "norm": norm.item(), "parameters": parameter.detach().tolist()})
    return {"start": start, "learning_rate": LEARNING_RATE, "settings": SETTINGS, "max_norm": 1.0, "steps": steps}


def schedules():
    cases = []
    for name in ["constant_with_warmup", "linear", "cosine"]:
        for warmup, total in [(0, 7), (3, 11), (5, 5)]:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
            scheduler = transformers.get_scheduler(name, optimizer, warmup, total)
            rates = []
            for _ in range(total):
                rates.append(scheduler.get_last_lr()[0])
                optimizer.step()
                scheduler.step()
            cases.append({"name": name, "peak": 0.3, "warmup": warmup, "total": total, "rates": rates})
    return cases


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parents[2] / "crates/lm/testdata/golden"
    folder.mkdir(parents=True, exist_ok=True)
    header = {
        "generator": "tools/golden/adamw.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "seed": 1,
    }
    golden = {"header": header, "trajectory": trajectory(), "schedules": schedules()}
    (folder / "adamw.json").write_text(json.dumps(golden, indent=1) + "\n")
