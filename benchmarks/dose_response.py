"""The dose-response on BANKING77: selected beside random beside what was asked, with time and memory.

    POSOLOGY_DATA=... python benchmarks/dose_response.py [--seeds 5] [--pool synthetic/frontier.jsonl]

Runs the installed command as a whole process, the first time with an empty vector cache, the
second time with everything in place, and prints the arms.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from posology.models.home import home

ASKED = {0.0: 0.775, 0.1: 0.852, 0.3: 0.862}


def sweep(arguments: list[str], environment: dict[str, str]) -> tuple[dict, float, float]:
    """Runs one sweep; returns its result, wall seconds and the peak memory of all children so far in GB."""
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("posology")), "sweep", "--json", "--quiet", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return json.loads(done.stdout), time.perf_counter() - start, peak


def show(result: dict) -> None:
    """Prints the arms, selected beside random."""
    arms = {(arm["dose"], arm["kind"]): arm for arm in result["arms"]}
    print("  dose  n_syn  selected   random    diff   tail  asked  delta vs real only")
    for (dose, kind), arm in arms.items():
        if kind != "selected":
            continue
        other = arms.get((dose, "random"))
        random = f"{other['accuracy']['mean']:8.4f}" if other else " " * 8
        gain = f"{100 * (arm['accuracy']['mean'] - other['accuracy']['mean']):+7.2f}" if other else " " * 7
        low, high = (100 * x for x in arm["delta_vs_real_only"]["ci95"])
        asked = f"{ASKED[dose]:6.3f}" if dose in ASKED else " " * 6
        tail = arm["tail_recall"]["mean"] if arm["tail_recall"] else float("nan")
        print(
            f"{dose:6.2f} {arm['n_synthetic']:6d} {arm['accuracy']['mean']:9.4f} {random} {gain} {tail:6.3f} {asked}  "
            f"{100 * arm['delta_vs_real_only']['mean']:+.1f} [{low:+.1f}, {high:+.1f}]"
        )
    said = result["recommendation"]
    print(f"verdict: {said['status']} at dose {said['dose']:g}. {said['reason']}\n")


def main() -> None:
    """Runs the sweeps that the documentation reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="5")
    parser.add_argument("--pool", default="synthetic/frontier.jsonl")
    options = parser.parse_args()
    data = Path(os.environ["POSOLOGY_DATA"]) / "banking77"
    files = ["--real", str(data / "real.jsonl"), "--synthetic", str(data / options.pool), "--seeds", options.seeds]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "home")
        (cache / "models").mkdir(parents=True)
        (cache / "models" / "minilm").symlink_to(home() / "models" / "minilm")
        environment = {**os.environ, "POSOLOGY_HOME": str(cache)}
        grid = [*files, "--holdout", str(data / "test.jsonl"), "--doses", "0,0.1,0.3,0.5,1", "--out", f"{folder}/a"]
        result, first, peak = sweep(grid, environment)
        print(f"5 doses + controls x {options.seeds} seeds, holdout 3,080, embedding included")
        show(result)
        again, second, _ = sweep(grid, environment)
        assert again == result
        print(
            f"first run {first:.1f} s (asked 90), peak {peak:.2f} GB (asked 1.5); second run {second:.1f} s (asked 5)\n"
        )
        wide = [
            *files,
            "--holdout",
            str(data / "test.jsonl"),
            "--doses",
            "0,0.05,0.1,0.2,0.3,0.5",
            "--out",
            f"{folder}/b",
        ]
        print("more doses")
        show(sweep(wide, environment)[0])
        print("design replace")
        show(sweep([*wide[:-1], f"{folder}/r", "--design", "replace", "--doses", "0,.1,.3,.5,.7,1"], environment)[0])
        small = [
            *files,
            "--holdout",
            str(data / "holdout200.jsonl"),
            "--doses",
            "0,0.1,0.3,0.5,1",
            "--out",
            f"{folder}/c",
        ]
        print("holdout of 200")
        show(sweep(small, environment)[0])


if __name__ == "__main__":
    main()
