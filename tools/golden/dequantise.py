"""A GGUF file as a transformers model in f32 and as a safetensors folder that any program reads."""

import pathlib

import torch
from transformers import AutoModelForCausalLM


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


def greedy(model, prompt, length, stop):
    """The most likely continuation, one sequence alone, and the smallest lead any of its tokens had."""
    tokens, lead = list(prompt), float("inf")
    step, cache = torch.tensor([tokens]), None
    with torch.no_grad():
        while len(tokens) - len(prompt) < length:
            output = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            best = output.logits[0, -1].topk(2)
            lead = min(lead, (best.values[0] - best.values[1]).item())
            tokens.append(best.indices[0].item())
            if tokens[-1] == stop:
                break
            step, cache = torch.tensor([tokens[-1:]]), output.past_key_values
    return tokens[len(prompt):], lead
