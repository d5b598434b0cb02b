"""A folder written by PEFT for the tests, and the check that PEFT loads a folder written by this project.

    python tools/golden/peft_folder.py write          writes crates/lm/testdata/peft (model and adapters are random)
    python tools/golden/peft_folder.py check FOLDER   loads FOLDER, written for the same tiny model, in peft, and compares
                                                      with the dense products in FOLDER/expected.safetensors

`cargo test -p lm peft` leaves a folder to check in target/tmp/peft: rank 4, all seven linear maps, two heads, which PEFT
must pass over. Result of `check target/tmp/peft` on 2026-11-23:
    peft 0.21.2: 14 modules, largest difference 4.8e-07
"""

import json
import pathlib
import sys

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

TESTDATA = pathlib.Path(__file__).parents[2] / "crates/lm/testdata/peft"


def tiny_model():
    config = transformers.LlamaConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=6,
        intermediate_size=20,
        vocab_size=32,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(config)


def deltas(model):
    """scale * B A of every adapted module, by the module's name in the base model."""
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").contiguous()
        for name, module in model.named_modules()
        if isinstance(module, peft.tuners.lora.LoraLayer)
    }


def write():
    config = peft.LoraConfig(
        r=3, lora_alpha=6, lora_dropout=0.05, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(tiny_model(), config)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    model.peft_config["default"].base_model_name_or_path = "tiny-random"
    model.save_pretrained(TESTDATA)
    (TESTDATA / "README.md").unlink(missing_ok=True)
    save_file(deltas(model), TESTDATA / "expected.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    header = {"generator": "tools/golden/peft_folder.py", "versions": versions, "seed": 1}
    (TESTDATA / "header.json").write_text(json.dumps(header, indent=1) + "\n")


def check(folder):
    model = peft.PeftModel.from_pretrained(tiny_model(), folder)
    found, expected = deltas(model), load_file(folder / "expected.safetensors")
    assert found.keys() == expected.keys(), (sorted(found), sorted(expected))
    worst = max((found[name] - expected[name]).abs().max().item() for name in expected)
    print(f"peft {peft.__version__}: {len(expected)} modules, largest difference {worst:.1e}")
    assert worst < 1e-6


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        check(pathlib.Path(sys.argv[2]))
    else:
        write()
