"""The tiny Llama as a GGUF file whose tensors use every type that fits its rows, and its logits."""

import json

import gguf
import numpy
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file

from oracle import Exact

TYPES = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.F16, Type.BF16, Type.F32]
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    layer, path = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{layer}.{NAMES[path]}.weight"


def interleave(weight, heads):
    """GGUF files of the llama family keep rotary pairs side by side, transformers half a head apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def restore(weight, heads):
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(model, folder):
    config = model.config
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    write_metadata(writer, config, json.loads((folder / "tokenizer.json").read_text()))
    rounded = {}
    for index, (name, tensor) in enumerate(model.named_parameters()):
        weight = tensor.detach().float().numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        stored = interleave(weight, heads) if heads else weight
        kind = TYPES[index % len(TYPES)] if weight.ndim == 2 else Type.F32
        if weight.shape[-1] % 32 and kind not in (Type.F16, Type.BF16):
            kind = Type.F32
        data = gguf.quants.quantize(numpy.ascontiguousarray(stored), kind)
        writer.add_tensor(gguf_name(name), data, raw_dtype=kind)
        values = gguf.quants.dequantize(data, kind).reshape(stored.shape)
        rounded[name] = torch.from_numpy(restore(values, heads) if heads else values).double()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tokens = json.loads((folder / "config.json").read_text())["vocab_size"]
    ids = torch.arange(3, 27) * 11 % tokens
    with Exact(), torch.no_grad():
        logits = torch.func.functional_call(model, rounded, kwargs=dict(input_ids=ids[None], use_cache=False)).logits[0]
    save_file({"tokens": ids.to(torch.int32), "logits": logits.float()}, folder / "golden-gguf.safetensors")


def write_metadata(writer, config, tokenizer):
    head = config.hidden_size // config.num_attention_heads
    writer.add_name("tiny llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in special else 1 for token, _ in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
