#!/usr/bin/env python3
"""The paper's experiment in small: prompters × targets × rewards, each cell with no fine-tuning, Align-Pro and the oracle.

    experiments/align-pro-figure/run.py --out FOLDER [--data FOLDER] [--only TEXT] [--steps N] [--prompts N]

Every step is a command of align-pro, printed before it runs. What is finished is not done again, and what was killed goes on, so
the same command resumes. At the end, and whenever it is called with everything done, it writes RESULTS.md into the folder.
`--data` is a folder with `hh-rlhf` and `alpaca-eval` below it; without it the sets that need them are left out, and it says so.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = ROOT / "target/release/align-pro"

PROMPTERS = {
    # Adds a sentence to the prompt; the instruction is the quickstart's.
    "augment": '''mode = "augment"
temperature = 0.7
max-tokens = 20
word-limit = 15
instruction = """
{prompt}

Do not answer. Only say what the answer must look like, in one short sentence that begins with "The answer must"."""
''',
    # Writes the prompt anew.
    "rewrite": '''mode = "rewrite"
temperature = 0.7
max-tokens = 60
word-limit = 40
''',
}
TARGETS = {"smollm2": "smollm2-135m-instruct", "gemma3-base": "gemma3-270m"}
SETS = {
    # Satisfied constraints, of three types that the target can keep to at times.
    "constraints": '''[reward.constraints]
[data.constraints]
train = 400
held-out = {prompts}
types = ["punctuation:no_comma", "keywords:existence", "detectable_format:title"]
''',
    # What people would call helpful, by a head trained on their choices.
    "helpful": '''[reward.model]
path = "{out}/reward-model"
[data]
train = "{data}/alpaca-eval/prompts.jsonl.gz"
prompt-field = "instruction"
''',
    # Short answers to the same instructions: a reward whose best answer is known.
    "concise": '''[reward.length]
unit = "words"
at-most = 15
[data]
train = "{data}/alpaca-eval/prompts.jsonl.gz"
prompt-field = "instruction"
''',
}
NEED_DATA = {"helpful", "concise"}
# Public data: HH-RLHF's test pairs, whose rows are `chosen` and `rejected`, and AlpacaEval's instructions, `instruction`.
NEEDED = {"pairs": "hh-rlhf/helpful_base_test.jsonl.gz", "prompts": "alpaca-eval/prompts.jsonl.gz"}

CONFIG = '''seed = {seed}
[prompter]
model = "smollm2-135m-instruct"
lora = {{ rank = 8, alpha = 16 }}
{prompter}
[target.local]
model = "{target}"
# As the oracle is trained, so that all arms have the same weights.
precision = "bf16"
temperature = 0.7
max-tokens = 40
{set}
[method.rloo]
lambda = 0.01
group-size = 8
[optimizer]
learning-rate = 1e-3
[schedule]
steps = {steps}
prompts-per-step = 4
checkpoint-every = 4
[eval]
prompts = {prompts}
rewrites = 2
'''


def run(*command, into=None):
    """Run align-pro; keep what it prints in `into`, which exists only once all of it is there."""
    if into and into.exists():
        return json.loads(into.read_text())
    print("+", "align-pro", *command, file=sys.stderr, flush=True)
    finished = subprocess.run([PROGRAM, *map(str, command)], stdout=subprocess.PIPE, cwd=ROOT)
    if finished.returncode != 0:
        sys.exit(f"align-pro ended with {finished.returncode}; the same command goes on from here")
    if into:
        half = into.with_suffix(".tmp")
        half.write_bytes(finished.stdout)
        half.rename(into)
        return json.loads(finished.stdout)


def settle(arguments):
    """What is in the folder was made with these settings, or with none: figures of different settings are no figure."""
    settings = {"steps": arguments.steps, "prompts": arguments.prompts, "seed": arguments.seed}
    path = arguments.out / "settings.json"
    if path.exists() and (earlier := json.loads(path.read_text())) != settings:
        sys.exit(f"{arguments.out} was made with {earlier}, not with {settings}: give another folder with --out")
    path.write_text(json.dumps(settings))


def cell(arguments, prompter, target, name):
    """One cell: prompter and oracle trained, evaluated side by side, and the bound."""
    out = arguments.out
    text = SETS[name].format(prompts=arguments.prompts, out=out, data=arguments.data)
    config = CONFIG.format(
        seed=arguments.seed,
        prompter=PROMPTERS[prompter],
        target=TARGETS[target],
        set=text,
        steps=arguments.steps,
        prompts=arguments.prompts,
    )
    label = f"{prompter}-{target}-{name}"
    path = out / f"{label}.toml"
    path.write_text(config)
    # Before any training: what could be won here. From training prompts, so that the held-out ones stay unseen.
    journal = ["--journal", out / f"{label}.headroom.sqlite"]
    headroom = run("headroom", path, "--prompts", 24, "--rewrites", 8, *journal, "--json", into=out / f"{label}.headroom.json")
    trained, oracle = out / f"run-{label}", out / f"oracle-{target}-{name}"
    run("train", path, "--run", trained, "--json", into=out / f"{label}.train.json")
    # The oracle reads prompts as they are: one serves every prompter.
    shared = out / f"oracle-{target}-{name}.toml"
    if not shared.exists():
        shared.write_text(config)
    run("train", shared, "--set", "train.what=target", "--run", oracle, "--json", into=out / f"oracle-{target}-{name}.json")
    evaluated = run("eval", trained, "--oracle", oracle, "--json", into=out / f"{label}.eval.json")
    # A sample of the prompts: each takes some fifty answers.
    sample = ["--prompts", 16, "--rewrites", 4, "--responses", 4]
    bound = run("bound", trained, "--oracle", oracle, *sample, "--json", into=out / f"{label}.bound.json")
    return label, headroom, evaluated, bound


def told(mean, interval):
    return f"{mean:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def results(arguments, cells, left_out):
    """RESULTS.md: the table of the figure, as measured."""
    lines = [
        "# The paper's figure, in small",
        "",
        f"`experiments/align-pro-figure/run.py --steps {arguments.steps} --prompts {arguments.prompts} --seed {arguments.seed}`: "
        f"{arguments.steps} RLOO steps of 4 prompts × 8 for every prompter and oracle, {arguments.prompts} held-out prompts × 2 "
        "rewrites, 95 % intervals over prompts. Targets in bf16.",
        "",
        "| prompter, target, reward | naive | untuned prompter | Align-Pro | oracle | over naive | wins over naive | share of the oracle's gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label, _, evaluated, _ in cells:
        arms, gain = evaluated["arms"], evaluated["gain"]["vs_naive"]
        means = [told(arms[arm]["mean_reward"], arms[arm]["interval"]) for arm in ["naive", "ref", "trained", "oracle"]]
        share = evaluated.get("oracle_share")
        share = told(share["mean"], share["interval"]) if share else "– (the oracle's gain is not significant)"
        wins = evaluated["win_rate"]["vs_naive"]
        row = [label, *means, told(gain["mean"], gain["interval"]), told(wins["mean"], wins["interval"]), share]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", "Variance of the reward (between prompts + between rewrites + within), and tokens of a response:", ""]
    lines += ["| prompter, target, reward | naive | Align-Pro | oracle |", "|---|---|---|---|"]
    for label, _, evaluated, _ in cells:
        def variance(arm):
            parts = arm["variance_parts"]
            three = f"{parts['between_prompts']:.3f} + {parts['between_rewrites']:.3f}"
            # A rewrite that got one response does not tell its chance from that of the rewrite.
            three += f" + {parts['within']:.3f}" if parts["within"] is not None else " (the last two together)"
            return f"{arm['variance']:.3f} = {three}; {arm['mean_response_tokens']:.1f}"
        row = [variance(evaluated["arms"][arm]) for arm in ["naive", "trained", "oracle"]]
        lines.append(f"| {label} | {' | '.join(row)} |")
    lines += ["", "The bound against the gap to the oracle, from 16 held-out prompts × 4 rewrites × 4 responses. Some forms hold for "
              "every prompter; the others may lie below the gap of one that is not the optimal one:", ""]
    lines += ["| prompter, target, reward | gap J(oracle) − J(trained) | forms that always hold | the others |", "|---|---|---|---|"]
    for label, _, _, bound in cells:
        oracle = bound["oracle"]
        def forms(always):
            chosen = [form for form in oracle["forms"] if (form["validity"] == "always") == always]
            return "; ".join(f"({form['name']}) {told(form['clipped']['mean'], form['clipped']['interval'])}" for form in chosen)
        lines.append(f"| {label} | {told(oracle['gap']['mean'], oracle['gap']['interval'])} | {forms(True)} | {forms(False)} |")
    lines += ["", "Where the range of the rewards is not known, (1.4) is cut at the range that was observed: it then says little, and its "
              "interval nothing."]
    lines += ["", "Headroom, told before training from 24 training prompts × 8 rewrites of the untuned prompter × 2 responses, against "
              "what training then gained over it on the held-out prompts. The optimal prompter at the λ of the training lies between "
              "the two estimates where eight rewrites can tell, and may lie above them where they cannot:", ""]
    lines += ["| prompter, target, reward | best of 8 rewrites | optimal prompter, from below | from above | can be trusted | trained |",
              "|---|---|---|---|---|---|"]
    for label, headroom, evaluated, _ in cells:
        optimal = min(headroom["prompter"], key=lambda each: abs(each["lambda"] - headroom["lambda"]))
        gains = [headroom["best_of"][-1], optimal["gain_at_least"], optimal["gain_at_most"]]
        row = [label, *(told(gain["mean"], gain["interval"]) for gain in gains), "yes" if optimal["trusted"] else "no"]
        gain = evaluated["gain"]["vs_ref"]
        lines.append(f"| {' | '.join(row)} | {told(gain['mean'], gain['interval'])} |")
    heads = {}
    for name, _, evaluated, _ in cells:
        if evaluated.get("learned"):
            heads.setdefault(json.dumps(evaluated["learned"]["held_out"], sort_keys=True), []).append(name)
    for held_out, names in ((json.loads(held_out), names) for held_out, names in heads.items()):
        accuracy, length = held_out["accuracy"], held_out["length_accuracy"]
        lines += ["", f"The reward of {', '.join(names)} is a head that agrees with people on "
                  f"{told(accuracy['mean'], accuracy['interval'])} of {held_out['n_pairs']} held-out pairs; length alone on "
                  f"{told(length['mean'], length['interval'])}."]
    if len(heads) > 1:
        lines += ["", "These heads were trained apart, each with a scale of its own: their rewards compare within a cell, not across."]
    lines += [""] + [f"Left out: {reason}." for reason in left_out]
    (arguments.out / "RESULTS.md").write_text("\n".join(lines).rstrip() + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where runs and results go")
    parser.add_argument("--data", type=Path, help="a folder with hh-rlhf and alpaca-eval below it")
    parser.add_argument("--only", default="", help="only cells whose name, as in augment-smollm2-constraints, has one of these texts, separated by commas")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--prompts", type=int, default=64, help="held-out prompts of each set")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.data = arguments.data.resolve() if arguments.data else None

    if arguments.data:
        for file in NEEDED.values():
            if not (arguments.data / file).is_file():
                sys.exit(f"there is no {arguments.data / file}")
    every = [(prompter, target, name) for name in SETS for prompter in PROMPTERS for target in TARGETS]
    possible = [one for one in every if arguments.data or one[2] not in NEED_DATA]
    chosen = [one for one in possible if any(text in "-".join(one) for text in arguments.only.split(","))]
    if not chosen:
        sys.exit(f"no cell has {arguments.only!r} in its name; they are {', '.join(map('-'.join, every))}")
    left_out = [] if arguments.data else [f"`{name}`, because there is no --data" for name in sorted(NEED_DATA)]
    not_asked = ["-".join(one) for one in possible if one not in chosen]
    if not_asked:
        left_out.append(f"{', '.join(not_asked)}, because of `--only {arguments.only}`")
    settle(arguments)
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "align-pro"], cwd=ROOT, check=True)
    if any(name == "helpful" for _, _, name in chosen):
        pairs = arguments.data / NEEDED["pairs"]
        model = arguments.out / "reward-model"
        run("reward", "train", f"helpful={pairs}", "--out", model, "--backbone", "frozen", "--json", into=arguments.out / "reward-model.json")
    results(arguments, [cell(arguments, *one) for one in chosen], left_out)
    print(arguments.out / "RESULTS.md")


if __name__ == "__main__":
    main()
