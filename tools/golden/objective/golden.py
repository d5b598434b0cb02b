"""Shared by the scripts beside it: seeded inputs, a trainer without a model, and the golden files' shape.

A golden file is {"header": …, "cases": [{"name", "batch", "expected"}]}. `batch` is what `align-pro lab objective` reads,
`expected` holds `losses` (per item), `loss` (their mean) and `gradient` (of the mean), all computed in float64.
"""

import datetime
import json
import pathlib
import random
from collections import defaultdict
from types import SimpleNamespace

import torch
import trl

torch.set_default_dtype(torch.float64)

SEED = 20250103
FOLDER = pathlib.Path(__file__).resolve().parents[3] / "crates/objective/testdata/golden"


def accelerator():
    """One process: every collective operation is the identity."""
    same = lambda tensor, *_, **__: tensor
    return SimpleNamespace(
        device=torch.device("cpu"), num_processes=1, sync_gradients=False,
        gather=same, gather_for_metrics=same, reduce=same, unwrap_model=same,
    )


def trainer(cls, **attributes):
    """An instance of a TRL trainer that was never initialised: only its loss code is wanted."""
    made = cls.__new__(cls)
    made.model = SimpleNamespace(training=True)
    made.accelerator = accelerator()
    made._metrics = {"train": defaultdict(list)}
    made._total_train_tokens, made._tp_size = 0, 1
    made.aux_loss_enabled = False
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def model_with(token_logps):
    """A model whose every forward pass yields these log-probabilities."""
    zeros = torch.zeros_like(token_logps)
    outputs = SimpleNamespace(
        log_probs=token_logps, entropy=zeros, mean_logits=zeros, log_sum_sq_probs=zeros,
        is_top1=torch.zeros_like(token_logps, dtype=torch.bool),
    )
    return lambda **_: outputs


def draw(rng, count, low, high):
    return [round(rng.uniform(low, high), 6) for _ in range(count)]


def leaf(values):
    return torch.tensor(values, requires_grad=True)


def case(name, batch, losses, leaves):
    """A case from the per-item losses (a list of scalars) and the leaves they were computed from."""
    mean = torch.stack(losses).mean()
    for tensor in leaves.values():
        for one in tensor if isinstance(tensor, list) else [tensor]:
            one.grad = None
    mean.backward(retain_graph=True)
    zero_if_unused = lambda t: (torch.zeros_like(t) if t.grad is None else t.grad).tolist()
    gradient = {
        field: [zero_if_unused(row) for row in tensor] if isinstance(tensor, list) else zero_if_unused(tensor)
        for field, tensor in leaves.items()
    }
    expected = {"loss": mean.item(), "losses": [loss.item() for loss in losses], "gradient": gradient}
    return {"name": name, "batch": batch, "expected": expected}


def write(file, script, source, cases):
    header = {
        "script": f"tools/golden/objective/{script}",
        "source": source,
        "versions": {"torch": torch.__version__.split("+")[0], "trl": trl.__version__},
        "seed": SEED,
        "date": datetime.date.today().isoformat(),
        "tolerance": 1e-12,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(each) for each in cases)
    (FOLDER / file).write_text('{"header": ' + json.dumps(header, indent=2) + ',\n"cases": [\n' + lines + "\n]}\n")
    print(file, len(cases))


def generator():
    return random.Random(SEED)
