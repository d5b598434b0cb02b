"""Reference values of the real SmolLM2-135M-Instruct, as its GGUF package ships it.

usage: smollm2.py GGUF_FILE OUT_FOLDER

Writes crates/lm/testdata/smollm2/{tokenizer,scores,greedy,lora}.json; OUT_FOLDER gets the dequantised f32 weights.
"""

import copy
import sys

import gguf
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from dequantise import dequantised, greedy
from oracle import LINEARS, TESTDATA, Exact, gradients, header, rounded, score, sequence_logps, weighted_sum, write_json
from texts import CONVERSATIONS, LONG_TEXTS, OPENINGS, QUESTIONS, TOKENIZER_TEXTS

FOLDER, SCRIPT, SEED = TESTDATA / "smollm2", "smollm2.py", 3
START, END = 1, 2
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def reference_tokenizer(path):
    """SmolLM2's tokenizer.json from the file's vocabulary and merges; no added tokens, so text is never special."""
    fields = gguf.GGUFReader(path).fields
    vocabulary = {token: index for index, token in enumerate(fields["tokenizer.ggml.tokens"].contents())}
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def chat(tokenizer, messages, reply=True):
    """ChatML as the file's template renders it, special tokens only where the template writes them."""
    if messages[0][0] != "system":
        messages = [("system", SYSTEM), *messages]
    ids, newline = [], encode(tokenizer, "\n")
    for role, content in messages:
        ids += [START, *encode(tokenizer, f"{role}\n{content}"), END, *newline]
    return ids + ([START, *encode(tokenizer, "assistant\n")] if reply else [])


def tokenizer_golden(tokenizer):
    texts = [{"text": text, "ids": encode(tokenizer, text)} for text in TOKENIZER_TEXTS + LONG_TEXTS]
    for entry in texts:
        assert tokenizer.decode(entry["ids"], skip_special_tokens=False) == entry["text"], entry
    conversations = [{"messages": [{"role": role, "content": content} for role, content in messages],
                      "ids": chat(tokenizer, messages)} for messages in CONVERSATIONS]
    write_json(FOLDER / "tokenizer.json", {"header": header(SCRIPT, None), "texts": texts, "conversations": conversations})


def scored_texts(tokenizer):
    answer = [("user", QUESTIONS[5]), ("assistant", "The sky is blue because air scatters short waves of light more than long ones.")]
    return [encode(tokenizer, text)[:300] for text in LONG_TEXTS] + [chat(tokenizer, answer, reply=False)]


def scores_golden(model, tokenizer):
    entries, half = [], copy.deepcopy(model).bfloat16()
    for tokens in scored_texts(tokenizer):
        ids = torch.tensor([tokens])
        with torch.no_grad():
            plain = model.float()(input_ids=ids, use_cache=False).logits[0]
            rough = half(input_ids=ids, use_cache=False).logits[0].float()
            with Exact():
                exact = model.double()(input_ids=ids, use_cache=False).logits[0]
        model.float()
        top = exact[-1].topk(20)
        entries.append({
            "tokens": tokens, "logps": rounded(sequence_logps(exact, tokens), 8),
            "logps_f32": rounded(sequence_logps(plain, tokens), 8), "logps_bf16": rounded(sequence_logps(rough, tokens), 6),
            "last_logits": rounded(exact[-1, :64]), "top_tokens": top.indices.tolist(), "top_logits": rounded(top.values),
        })
        print(len(tokens), "f32 off by", (sequence_logps(plain, tokens) - sequence_logps(exact, tokens)).abs().max().item(),
              "bf16 by mean", (sequence_logps(rough, tokens) - sequence_logps(exact, tokens)).abs().mean().item())
    write_json(FOLDER / "scores.json", {"header": header(SCRIPT, None, logps="float64; f32 and bf16 as transformers gives them"), "texts": entries})


def greedy_golden(model, tokenizer):
    prompts = [chat(tokenizer, [("user", question)]) for question in QUESTIONS] + [encode(tokenizer, text) for text in OPENINGS]
    entries = [{"prompt": prompt, "tokens": tokens, "smallest_lead": rounded(lead, 4), "text": tokenizer.decode(tokens)}
               for prompt, (tokens, lead) in zip(prompts, greedy(model, prompts, 48, END))]
    write_json(FOLDER / "greedy.json", {"header": header(SCRIPT, None, dtype="float32"), "prompts": entries})


def formula_adapter(model):
    """An adapter anybody can rebuild: entry i (row-major, PEFT's shapes) of linear map m in layer l is
    0.02 sin(0.1 i + l + 7 m) in A and 0.02 cos(0.13 i + l + 7 m) in B."""
    adapted = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=LINEARS, lora_dropout=0.0, task_type="CAUSAL_LM"))
    parameters = {name.replace(".default.", "."): p for name, p in adapted.named_parameters() if "lora_" in name}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parts = name.split(".")
            phase = int(parts[parts.index("layers") + 1]) + 7 * next(i for i, linear in enumerate(LINEARS) if linear in parts)
            index = torch.arange(parameter.numel(), dtype=torch.float64)
            values = torch.sin(0.1 * index + phase) if "lora_A" in name else torch.cos(0.13 * index + phase)
            parameter.copy_((0.02 * values).float().reshape(parameter.shape))
    return adapted, parameters


def fingerprint(gradient):
    """The norm, and 16 entries at the middles of 16 equal stretches of the row-major tensor."""
    flat = gradient.flatten()
    picks = [int((step + 0.5) * len(flat) / 16) for step in range(16)]
    return rounded([flat.norm().item(), *flat[picks].tolist()], 7)


def lora_golden(model, tokenizer):
    generator = torch.Generator().manual_seed(SEED)
    answers = ["Tokyo.", "The capital of Japan is Tokyo, a city of about 14 million people.", "I do not know! 42?\n\n- maybe Kyoto\n- maybe Osaka"]
    groups = [{"prefix": chat(tokenizer, [("user", QUESTIONS[0])]), "continuations": [encode(tokenizer, text) + [END] for text in answers]}]
    d_logps = rounded([[torch.randn(len(c), generator=generator).tolist() for c in groups[0]["continuations"]]], 6)
    adapted, parameters = formula_adapter(model)
    adapted.double()
    with Exact():
        logps = score(adapted, groups)
        found = gradients(weighted_sum(logps, d_logps), parameters)
    write_json(FOLDER / "lora.json", {
        "header": header(SCRIPT, SEED, dtype="float64", adapter=" ".join(formula_adapter.__doc__.split())), "rank": 16, "alpha": 32, "groups": groups,
        "logps": [[rounded(l) for l in group] for group in logps], "d_logps": d_logps, "total_norm": rounded(sum(g.pow(2).sum() for g in found.values()).sqrt().item()),
        "gradients": {name.removeprefix("base_model.model.model.layers."): fingerprint(g) for name, g in found.items()},
    })


if __name__ == "__main__":
    tokenizer = reference_tokenizer(sys.argv[1])
    tokenizer_golden(tokenizer)
    model = dequantised(sys.argv[1], sys.argv[2])
    scores_golden(model, tokenizer)
    greedy_golden(model, tokenizer)
    lora_golden(model, tokenizer)
