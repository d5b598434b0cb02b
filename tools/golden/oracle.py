"""What every golden script shares: exact evaluation in float64, log-probabilities of groups, gradients, headers."""

import datetime
import importlib.metadata
import json
import math
import pathlib

import torch
from torch.overrides import TorchFunctionMode

TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "crates" / "lm" / "testdata"
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Exact(TorchFunctionMode):
    """Models cast to float32 inside norms, softmax and rotary embedding; under this mode they cast to float64."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        widen = lambda value: torch.float64 if value is torch.float32 else value
        return function(*map(widen, args), **{key: widen(value) for key, value in (kwargs or {}).items()})


def header(script, seed, **more):
    """Where a golden file comes from."""
    packages = ["torch", "transformers", "peft", "tokenizers", "sentencepiece", "gguf"]
    return {
        "script": f"tools/golden/{script}",
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "seed": seed,
        "date": datetime.date.today().isoformat(),
        **more,
    }


def rounded(value, digits=9):
    """Floats cut to `digits` significant digits, through nested lists and tensors."""
    if isinstance(value, torch.Tensor):
        value = value.detach().tolist()
    if isinstance(value, list):
        return [rounded(item, digits) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    return float(f"{value:.{digits}g}") if isinstance(value, float) and math.isfinite(value) else value


def write_json(path, document):
    """One key a line at the top level, everything below it compact: small files with readable diffs."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + lines + "\n}\n")
    print(f"{path.relative_to(TESTDATA)}: {path.stat().st_size} bytes")


def sequence_logps(logits, tokens, temperature=1.0):
    """log p(token t | tokens before t) for every token but the first."""
    logps = torch.log_softmax(logits[:-1] / temperature, dim=-1)
    return logps.gather(-1, torch.tensor(tokens[1:])[:, None])[:, 0]


def score(model, groups, temperature=1.0, head=None):
    """Log-probabilities (and head outputs) of every continuation, each sequence evaluated alone, without a cache.

    A continuation of n tokens has n + 1 head outputs: of the states that predict its tokens, then of its last token.
    """
    backbone = getattr(model, "base_model", model)
    backbone = getattr(backbone, "model", backbone)
    backbone = getattr(backbone, "model", backbone)
    logps, values = [], []
    for group in groups:
        logps.append([])
        values.append([])
        for continuation in group["continuations"]:
            tokens = group["prefix"] + continuation
            ids = torch.tensor([tokens])
            start = len(group["prefix"]) - 1
            if head is None:
                logits = model(input_ids=ids, use_cache=False).logits[0]
                logps[-1].append(sequence_logps(logits, tokens, temperature)[start:])
            else:
                hidden = backbone(input_ids=ids, use_cache=False).last_hidden_state[0]
                values[-1].append(head(hidden[start:]))
    return logps if head is None else values


def weighted_sum(outputs, weights):
    """Sum of output times weight over groups, continuations and tokens."""
    return sum(
        (output * torch.tensor(weight, dtype=output.dtype)).sum()
        for outputs_of_group, weights_of_group in zip(outputs, weights)
        for output, weight in zip(outputs_of_group, weights_of_group)
    )


def gradients(loss, parameters):
    """d loss / d each named parameter, zero where it takes no part."""
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(parameter) if gradient is None else gradient
        for (name, parameter), gradient in zip(parameters.items(), found)
    }
