"""A GGUF file as a transformers model in f32 and as a safetensors folder that any program reads.

usage: dequantise.py GGUF_FILE OUT_FOLDER
"""

import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def dequantised(path, out):
    """The model behind `path`, its f32 weights also saved in folder `out`.

    transformers will not save a model that it loaded from GGUF, so the weights move into a fresh one.
    """
    path = pathlib.Path(path)
    loaded = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    config = loaded.config.to_dict()
    config.pop("quantization_config", None)
    config["rope_parameters"] = dict(config["rope_parameters"])
    model = type(loaded)(type(loaded.config)(**config, attn_implementation="eager")).float()
    missing, unexpected = model.load_state_dict({k: v.float().clone() for k, v in loaded.state_dict().items()}, strict=False)
    assert not unexpected and all("lm_head" in name for name in missing), (missing, unexpected)
    model.tie_weights()
    model.save_pretrained(out)
    return model.eval()


def greedy(model, prompts, length, stop):
    """For each prompt the most likely continuation, and the smallest lead any of its tokens had.

    Prompts run side by side, shorter ones padded on the left and masked.
    """
    longest = max(map(len, prompts))
    ids = torch.tensor([[stop] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    found, leads, cache = [[] for _ in prompts], [float("inf")] * len(prompts), None
    for _ in range(length):
        with torch.no_grad():
            output = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
                           use_cache=True, logits_to_keep=1)
        best, cache = output.logits[:, -1].topk(2), output.past_key_values
        for row, tokens in enumerate(found):
            if stop not in tokens:
                tokens.append(best.indices[row, 0].item())
                leads[row] = min(leads[row], (best.values[row, 0] - best.values[row, 1]).item())
        ids, positions = best.indices[:, :1], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(ids)], dim=-1)
    return list(zip(found, leads))


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    dequantised(source, sys.argv[2])
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(sys.argv[2])
