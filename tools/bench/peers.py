"""Times one workload in PyTorch or TRL and prints one JSON line. Called by `side_by_side`, which says how."""

import argparse
import json
import os
import resource
import tempfile
import time
import warnings

import torch

warnings.filterwarnings("ignore")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
ALL_LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load(folder, dtype):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def random_tokens(batch, length):
    return torch.randint(1000, 30000, (batch, length), generator=torch.Generator().manual_seed(0))


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def prefill(folder, dtype):
    model, tokens = load(folder, dtype).eval(), random_tokens(8, 256)

    def work():
        with torch.no_grad():
            model(tokens, logits_to_keep=1, use_cache=False)

    timed(work)
    return timed(work), 2048


def decode(folder, dtype, batch):
    model, tokens = load(folder, dtype).eval(), random_tokens(batch, 128)
    mask = torch.ones_like(tokens)

    def generate(new):
        with torch.no_grad():
            model.generate(input_ids=tokens, attention_mask=mask, max_new_tokens=new, min_new_tokens=new,
                           do_sample=True, temperature=1.0, top_k=0, pad_token_id=2)

    timed(lambda: generate(2))
    first = timed(lambda: generate(1))
    return timed(lambda: generate(64)) - first, batch * 63


def train(folder, dtype):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=16, lora_alpha=32, target_modules=ALL_LINEARS, lora_dropout=0.0, task_type="CAUSAL_LM")
    model = get_peft_model(load(folder, dtype), config).train()
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-5)
    tokens = random_tokens(8, 256)

    def step():
        logits = model(tokens, use_cache=False).logits[:, :-1]
        picked = logits.gather(-1, tokens[:, 1:, None]).squeeze(-1)
        # One row at a time, as TRL does it, so that the f32 log-sum never holds all logits.
        log_sums = torch.stack([torch.logsumexp(row.float(), -1) for row in logits])
        (-(picked.float() - log_sums).mean()).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    timed(step)
    return timed(step), 2048


def group(folder, dtype):
    """A GRPO step of TRL: 4 prompts of 128 tokens, 8 rewrites of 64 tokens each, KL to the reference."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), load(folder, dtype)
    model.generation_config.min_new_tokens = 64
    prompts = [tokenizer.decode(row) for row in random_tokens(12, 128)]
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=32, num_generations=8, max_completion_length=64,
        max_steps=2, learning_rate=1e-5, beta=0.05, use_cpu=True, bf16=dtype == torch.bfloat16, report_to=[],
        save_strategy="no", gradient_checkpointing=False, temperature=1.0, generation_kwargs={"min_new_tokens": 64},
    )
    times = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.start = time.perf_counter()

        def on_step_end(self, *_, **__):
            times.append(time.perf_counter() - self.start)

    trainer = GRPOTrainer(
        model=model, args=config, processing_class=tokenizer, train_dataset=Dataset.from_dict({"prompt": prompts}),
        reward_funcs=lambda completions, **_: [text.count("e") / max(1, len(text)) for text in completions],
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules=ALL_LINEARS, task_type="CAUSAL_LM"),
        callbacks=[Clock()],
    )
    trainer.train()
    return times[-1], 4 * 8 * 64


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("workload")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype]
    name = arguments.workload
    if name.startswith("decode-"):
        seconds, tokens = decode(arguments.folder, dtype, int(name.removeprefix("decode-")))
    else:
        seconds, tokens = {"prefill": prefill, "train": train, "group": group}[name](arguments.folder, dtype)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"workload": name, "seconds": seconds, "tokens_per_second": tokens / seconds, "peak_memory_gb": peak}))


if __name__ == "__main__":
    main()
