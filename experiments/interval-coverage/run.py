#!/usr/bin/env python3
"""How often do the intervals of `align-pro eval` hold what they should? One run, evaluated again and again on fresh prompts.

    experiments/interval-coverage/run.py RUN --out FOLDER [--times N] [--prompts N] [--types IDS]

Each time it makes new prompts with constraints, of tasks that the run was not trained on, from a new seed, and evaluates the run on
them. An interval is right if it holds the mean over all times, which stands for the truth. What is finished is not done again: the
same command goes on after a kill. It writes RESULTS.md into the folder.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "target/release/align-pro"
FIRST_SEED = 1000


def settle(arguments):
    """What is in the folder was made with these settings, or with none."""
    settings = {key: str(getattr(arguments, key)) for key in ["run", "prompts", "rewrites", "types"]}
    path = arguments.out / "settings.json"
    if path.exists() and (earlier := json.loads(path.read_text())) != settings:
        sys.exit(f"{arguments.out} was made with {earlier}, not with {settings}: give another folder with --out")
    path.write_text(json.dumps(settings))


def evaluated(arguments, time):
    """The result of one evaluation, made unless it is there."""
    done = arguments.out / f"{time}.json"
    if not done.exists():
        prompts = arguments.out / f"{time}.jsonl"
        synth = ["data", "synth", "constraints", "--split", "unseen-tasks", "--types", arguments.types]
        ask(*synth, "--n", arguments.prompts, "--seed", FIRST_SEED + time, "--out", prompts)
        options = ["--set", f"eval.prompts={arguments.prompts}", "--set", f"eval.rewrites={arguments.rewrites}"]
        text = ask("eval", arguments.run, "--data", prompts, *options, "--json")
        half = done.with_suffix(".tmp")
        half.write_text(text)
        half.rename(done)
    return json.loads(done.read_text())


def ask(*command):
    finished = subprocess.run([PROGRAM, *map(str, command)], stdout=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        sys.exit(f"align-pro {' '.join(map(str, command))} ended with {finished.returncode}")
    return finished.stdout


def figures(result):
    """Every figure with an interval, by what it is."""
    for arm, figure in result["arms"].items():
        yield f"mean reward, {arm}", figure["mean_reward"], figure["interval"]
    for kind in ["gain", "win_rate"]:
        for other, figure in result[kind].items():
            yield f"{kind.replace('_', ' ')} {other.replace('_', ' ')}", figure["mean"], figure["interval"]


def wilson(hits, times):
    """The 95 % interval of a share."""
    z, share = 1.959964, hits / times
    middle = (share + z * z / (2 * times)) / (1 + z * z / times)
    reach = z / (1 + z * z / times) * math.sqrt(share * (1 - share) / times + z * z / (4 * times * times))
    return middle - reach, middle + reach


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder of a run that was trained on prompts with constraints")
    parser.add_argument("--out", type=Path, required=True, help="where prompts and results go")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--prompts", type=int, default=32, help="prompts each time")
    parser.add_argument("--rewrites", type=int, default=1, help="rewrites of each")
    parser.add_argument("--types", default="punctuation:no_comma,keywords:existence,detectable_format:title")
    arguments = parser.parse_args()
    if arguments.times < 2:
        sys.exit("--times must be at least 2: one evaluation has no spread")
    arguments.run = arguments.run.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    settle(arguments)
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "align-pro"], cwd=ROOT, check=True)

    found = {}
    for time in range(arguments.times):
        for name, mean, interval in figures(evaluated(arguments, time)):
            found.setdefault(name, []).append((mean, interval))
        print(f"{time + 1} of {arguments.times}", file=sys.stderr, flush=True)

    lines = [
        "# Coverage of the intervals of `eval`",
        "",
        f"`experiments/interval-coverage/run.py RUN --times {arguments.times} --prompts {arguments.prompts} --rewrites "
        f"{arguments.rewrites}`: one trained run, evaluated {arguments.times} times on {arguments.prompts} fresh prompts each. An interval "
        "of 95 % is right if it holds the mean over all times. Width: the mean width of the intervals beside the one that the spread of "
        "the means asks for, 2 × 1.96 standard deviations.",
        "",
        "| figure | mean over all | right | share, 95 % interval | width | asked for |",
        "|---|---|---|---|---|---|",
    ]
    all_hits = all_times = 0
    for name, figure in found.items():
        truth = statistics.fmean(mean for mean, _ in figure)
        hits = sum(low <= truth <= high for _, (low, high) in figure)
        width = statistics.fmean(high - low for _, (low, high) in figure)
        asked = 2 * 1.96 * statistics.stdev(mean for mean, _ in figure)
        low, high = wilson(hits, len(figure))
        lines.append(f"| {name} | {truth:.3f} | {hits} of {len(figure)} | {hits / len(figure):.3f} [{low:.3f}, {high:.3f}] | {width:.3f} | {asked:.3f} |")
        all_hits, all_times = all_hits + hits, all_times + len(figure)
    lines += ["", f"All together: {all_hits} of {all_times}, {all_hits / all_times:.3f}. The figures of one evaluation share their "
              "prompts, so these are not as many independent trials."]
    results = arguments.out / "RESULTS.md"
    results.write_text("\n".join(lines) + "\n")
    print(results)


if __name__ == "__main__":
    main()
