"""Random models small enough to commit, one for every architecture, with everything the engine computes on them.

usage: tiny_models.py [NAME...]

Writes crates/lm/testdata/models/NAME/ with
  config.json            as this version of transformers spells it; config-hub.json as files on model hubs spell it
  model.safetensors      f32 weights
  adapter/               a PEFT adapter on all seven linear maps
  golden.json            tokens, log-probabilities, head outputs, and the weights of the gradients' sums
  golden.safetensors     logits, gradients, the head's parameters
All values are evaluated in float64 and then rounded to f32 (safetensors) or nine digits (JSON).
"""

import json
import re
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM,
    Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
)

from oracle import LINEARS, TESTDATA, Exact, gradients, header, rounded, score, sequence_logps, weighted_sum, write_json
from tiny_gguf import write_gguf
from tiny_tokenizer import write_tokenizer

SEED = 20261123
RANK, ALPHA, HEADS, TEMPERATURE = 4, 8, 2, 0.7
COMMON = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    attn_implementation="eager",
)
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 3.0,
    "original_max_position_embeddings": 32,
}
LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 300.0, "partial_rotary_factor": 0.75, "short_factor": [1.0, 1.3, 1.7],
    "long_factor": [1.5, 3.0, 6.0], "original_max_position_embeddings": 64,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(
        **COMMON | dict(vocab_size=320), tie_word_embeddings=True, rope_parameters=rope(1000.0))),
    "llama3": lambda: LlamaForCausalLM(LlamaConfig(
        **COMMON, tie_word_embeddings=False, rope_parameters=LLAMA3_ROPE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(
        **COMMON, tie_word_embeddings=True, rope_parameters=rope(2000.0))),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(
        **COMMON, head_dim=12, tie_word_embeddings=False, rope_parameters=rope(700.0))),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(
        **COMMON | dict(num_hidden_layers=3, num_key_value_heads=1), head_dim=12, query_pre_attn_scalar=20,
        sliding_window=6, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        final_logit_softcapping=6.0, tie_word_embeddings=True,
        rope_parameters={"full_attention": rope(4000.0), "sliding_attention": rope(300.0)})),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(
        **COMMON, sliding_window=9, tie_word_embeddings=False,
        rope_parameters=rope(900.0) | {"partial_rotary_factor": 0.5})),
    "phi3-longrope": lambda: Phi3ForCausalLM(Phi3Config(
        **COMMON, tie_word_embeddings=False, rope_parameters=LONG_ROPE)),
}


def rope(theta):
    return {"rope_type": "default", "rope_theta": theta}


def randomise(model, generator):
    """Weights large enough that a mistake anywhere moves the logits; norms and biases far from their usual start."""
    draw = lambda tensor, scale: torch.randn(tensor.shape, generator=generator) * scale
    centre = 0.0 if "Gemma3" in type(model).__name__ else 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(centre + draw(parameter, 0.25))
            elif name.endswith("bias"):
                parameter.copy_(draw(parameter, 0.5))
            else:
                parameter.copy_(draw(parameter, 0.35 if "embed" in name or "lm_head" in name else 0.2))


def hub_config(config):
    """The same configuration in the spelling that published checkpoints use (one rope_theta, a rope_scaling table)."""
    config = dict(config)
    parameters = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    if "full_attention" in parameters:
        config["rope_theta"] = parameters["full_attention"]["rope_theta"]
        config["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = 2
        config.pop("layer_types")
        return config
    parameters = dict(parameters)
    config["rope_theta"] = parameters.pop("rope_theta")
    if "partial_rotary_factor" in parameters:
        config["partial_rotary_factor"] = parameters.pop("partial_rotary_factor")
    if parameters.get("rope_type") == "longrope":
        config["original_max_position_embeddings"] = parameters.pop("original_max_position_embeddings")
        parameters["type"] = parameters.pop("rope_type")
    config["rope_scaling"] = None if parameters.get("rope_type") == "default" else parameters
    return config


class Split(torch.nn.Module):
    """A fused linear map taken apart, so that an adapter can sit on each of its parts."""

    def __init__(self, fused, sizes):
        super().__init__()
        for (name, size), weight in zip(sizes.items(), fused.weight.split(list(sizes.values()))):
            part = torch.nn.Linear(fused.in_features, size, bias=False)
            part.weight = torch.nn.Parameter(weight.detach().clone())
            self.add_module(name, part)

    def forward(self, hidden):
        return torch.cat([part(hidden) for part in self.children()], dim=-1)


def split_fused(model):
    config = model.config
    head = config.hidden_size // config.num_attention_heads
    query, key = config.num_attention_heads * head, config.num_key_value_heads * head
    for layer in model.model.layers:
        layer.self_attn.qkv_proj = Split(layer.self_attn.qkv_proj, {"q_proj": query, "k_proj": key, "v_proj": key})
        half = config.intermediate_size
        layer.mlp.gate_up_proj = Split(layer.mlp.gate_up_proj, {"gate_proj": half, "up_proj": half})


def plain_name(name):
    """The name of an adapter's tensor in a PEFT file; fused modules taken apart carry the names of their parts."""
    return re.sub(r"(qkv_proj|gate_up_proj)\.(?=(q|k|v|gate|up)_proj)", "", name).replace(".default.", ".")


def adapt(model, generator, targets=LINEARS):
    """A PEFT model whose adapter is random everywhere, B included."""
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets, lora_dropout=0.0,
                                               task_type="CAUSAL_LM"))
    parameters = {plain_name(n): p for n, p in adapted.named_parameters() if "lora_" in n}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.2 if "lora_A" in name else 0.15))
    return adapted, parameters


def write_adapter(adapted, parameters, folder, targets=LINEARS):
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": "", "target_modules": targets}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({n: p.detach().float().contiguous() for n, p in parameters.items()},
              folder / "adapter_model.safetensors", metadata={"format": "pt"})


def make_groups(vocabulary, generator):
    draw = lambda n: torch.randint(3, vocabulary, (n,), generator=generator).tolist()
    return [
        {"prefix": draw(5), "continuations": [draw(n) for n in (1, 4, 9)]},
        {"prefix": draw(12), "continuations": [draw(n) for n in (3, 0, 8)]},
    ]


def golden(name):
    generator = torch.Generator().manual_seed(SEED + list(MODELS).index(name))
    folder = TESTDATA / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    model = MODELS[name]().eval()
    randomise(model, generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config-hub.json").write_text(json.dumps(hub_config(config), indent=2) + "\n")
    vocabulary = config["vocab_size"]
    draw = lambda n: torch.randint(3, vocabulary, (n,), generator=generator).tolist()
    weights = lambda shapes: [[torch.randn(shape, generator=generator).tolist() for shape in group] for group in shapes]
    sequences = [draw(n) for n in (1, 2, 7, 24)]
    groups = make_groups(vocabulary, generator)
    d_logps = rounded(weights([[len(c) for c in g["continuations"]] for g in groups]), 6)
    d_values = rounded(weights([[(len(c) + 1, HEADS) for c in g["continuations"]] for g in groups]), 6)
    head = torch.nn.Linear(config["hidden_size"], HEADS)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * 0.3)
        head.bias.copy_(torch.randn(head.bias.shape, generator=generator))

    tensors, document = {}, {"header": header("tiny_models.py", SEED, model=name)}
    model.double()
    with Exact(), torch.no_grad():
        all_logits = [model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0] for tokens in sequences]
        base_logps = score(model, groups)
    document["sequences"] = [{"tokens": tokens, "logps": rounded(sequence_logps(logits, tokens))}
                             for tokens, logits in zip(sequences, all_logits)]
    tensors |= {f"logits.{index}": logits for index, logits in enumerate(all_logits)}
    if name == "llama":
        write_tokenizer(folder, vocabulary)
        write_gguf(model, folder)
    if name.startswith("phi3"):
        tensors |= fused_adapter(model, folder, groups, document, generator)
        split_fused(model)
    adapted, parameters = adapt(model.float(), generator)
    write_adapter(adapted, parameters, folder / "adapter")
    adapted.double(), head.double()
    with Exact():
        logps, tempered = score(adapted, groups), score(adapted, groups, TEMPERATURE)
        values = score(adapted, groups, head=head)
        sums = {"logps": (logps, d_logps), "tempered": (tempered, d_logps), "values": (values, d_values)}
        everything = parameters | {"head.weight": head.weight, "head.bias": head.bias}
        for kind, (outputs, upstream) in sums.items():
            found = gradients(weighted_sum(outputs, upstream), everything)
            tensors |= {f"gradient.{kind}.{n}": gradient for n, gradient in found.items()}
    tensors |= {"head.weight": head.weight, "head.bias": head.bias}
    document |= {
        "temperature": TEMPERATURE, "rank": RANK, "alpha": ALPHA, "heads": HEADS, "groups": groups,
        "base_logps": nested(base_logps), "adapter_logps": nested(logps), "adapter_logps_tempered": nested(tempered),
        "values": nested(values), "d_logps": d_logps, "d_values": d_values,
    }
    save_file({n: t.detach().float().contiguous() for n, t in tensors.items()}, folder / "golden.safetensors")
    write_json(folder / "golden.json", document)


def fused_adapter(model, folder, groups, document, generator):
    """An adapter as PEFT users of Phi-3 make it: on the fused maps, one A for q, k and v together."""
    targets = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
    adapted, parameters = adapt(model.float(), generator, targets)
    write_adapter(adapted, parameters, folder / "adapter-fused", targets)
    with Exact(), torch.no_grad():
        document["fused_adapter_logps"] = nested(score(adapted.double(), groups))
    adapted.unload()
    return {}


def nested(outputs):
    return [[rounded(output) for output in group] for group in outputs]


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        golden(name)
