"""Pools that cannot help must never be "better": shuffled labels, exact copies of the training data, nothing at all.

    POSOLOGY_DATA=... python benchmarks/null_pools.py

Prints a verdict a pool and holdout; leaves with 1 if any is "better".
"""

import os
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import posology


def main() -> int:
    """Runs the sweeps."""
    data = Path(os.environ["POSOLOGY_DATA"]) / "banking77"
    pool = list(posology.read(data / "synthetic" / "frontier.jsonl", source="synthetic").conversations)
    labels = [c.topic for c in pool]
    random.Random(0).shuffle(labels)
    real = posology.read(data / "real.jsonl").conversations
    pools = {
        "shuffled labels": [replace(c, topic=topic) for c, topic in zip(pool, labels, strict=True)],
        "empty": [],
        "copies of real": [replace(c, id=f"copy-{c.id}", source="synthetic") for c in real],
    }
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in pools.items():
            for holdout in ("holdout200.jsonl", "test.jsonl"):
                out = Path(folder, name.split()[0], holdout)
                result = posology.sweep(data / "real.jsonl", rows, data / holdout, doses="0,.1,.3,.5", out=out)
                best = max((arm["delta_vs_real_only"]["mean"] for arm in result.arms if arm["dose"] > 0), default=0.0)
                print(
                    f"{name:16} {holdout:17} {result.status:13} dose {result.dose:g}; best arm {100 * best:+.1f} points"
                )
                wrong += result.status == "better"
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
