"""Duplicates, leakage and selection at scale: 100,000 candidates, 10,000 held out, 100,000 real training rows.

    python benchmarks/scale.py [--rows 100000] [--semhash PYTHON]

Vectors are given, as they are once a pool was embedded; the texts are those of `leakage_scale.py`. Prints seconds and
memory at a tenth of the size and in full. With the interpreter of an environment that has semhash, the same vectors go
to it too: seconds, and how many planted near duplicates each of the two finds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leakage_scale import Language, conversations
from posology.gaps.allocation import DEFAULT, TopicStats
from posology.matching.semantic import cosine_pairs
from posology.ranking import Ranking, without_copies
from posology.records import TextRule
from posology.selection.choice import Candidates, Real
from posology.selection.duplicates import find_twins
from posology.verification.leakage.check import leakage
from posology.verification.likeness import real_likeness

ASKED_SECONDS, ASKED_GB, ASKED_GROWTH = 90, 3, 13
PLANTED, THRESHOLD = 0.05, 0.9
OTHER = """
import json, sys, time
import numpy as np
from semhash import SemHash
vectors = np.load(sys.argv[1])
class Model:
    def encode(self, *_, **__): raise RuntimeError
records = [str(row) for row in range(len(vectors))]
start = time.perf_counter()
found = SemHash.from_embeddings(vectors, records, Model()).self_deduplicate(threshold=float(sys.argv[2]))
seconds = time.perf_counter() - start
pairs = [[int(d.record), int(other)] for d in found.filtered for other, _ in d.duplicates]
print(json.dumps({"seconds": seconds, "pairs": pairs, "out": [int(d.record) for d in found.filtered]}))
"""


def measured(language: Language, rows: int) -> dict[str, float]:
    """Seconds of each step at a size, and the peak memory so far."""
    held, held_topics = language.messages(max(200, rows // 10), seed=1)
    real, real_topics = language.messages(rows, seed=2)
    pool, pool_topics = language.messages(rows, seed=3)
    for place in range(0, rows, 100):
        pool[place] = f"{pool[place + 1]} thanks"
    sides = [
        conversations(texts, topics, source)
        for texts, topics, source in (
            (pool, pool_topics, "synthetic"),
            (held, held_topics, "real"),
            (real, real_topics, "real"),
        )
    ]
    table = {text: row for row, text in enumerate(dict.fromkeys([*held, *real, *pool]))}
    known = language.vectors(list(table))
    vectors, real_vectors = (known[[table[text] for text in texts]] for texts in (pool, real))
    steps: dict[str, float] = {}
    clock = time.perf_counter()

    def done(step: str) -> None:
        nonlocal clock
        steps[step], clock = time.perf_counter() - clock, time.perf_counter()

    leakage(*sides, rule=TextRule(), embed=lambda texts: known[[table[text] for text in texts]])
    done("leakage")
    twins = find_twins(pool, vectors, real, real_vectors)
    quality = np.random.default_rng(0).random(rows)
    kept, _ = without_copies(sides[0], sides[2], twins, quality, near=0.85, semantic=0.97)
    done("duplicates")
    likeness = real_likeness(real_vectors, vectors)
    done("likeness")
    topics = [c.label for c in sides[0]]
    real_labels = [c.label for c in sides[2]]
    stats = [TopicStats(topic, real_labels.count(topic)) for topic in sorted(set(real_labels))]
    candidates = Candidates(topics, vectors, quality, likeness).part(np.array(kept))
    ranking = Ranking(stats, DEFAULT, "augment", rows)
    ranking.choose(candidates, Real(real_labels, real_vectors), strategy="coverage", keep_rate=1.0)
    done("selection")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"rows": rows, **steps, "total": sum(steps.values()), "peak_gb": peak, "kept": len(kept)}


def planted(rows: int, seed: int = 5) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors with near duplicates at a cosine of 0.92 to 0.99, and the pairs, shape (p, 2)."""
    language, rng = Language(), np.random.default_rng(seed)
    vectors = language.vectors(language.messages(rows, seed)[0])
    n = round(PLANTED * rows)
    places = rng.permutation(rows)[: 2 * n].reshape(n, 2)
    noise = rng.standard_normal((n, vectors.shape[1])).astype(np.float32)
    origin = vectors[places[:, 1]]
    noise -= (noise * origin).sum(axis=1, keepdims=True) * origin
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    cosine = rng.uniform(0.92, 0.99, (n, 1)).astype(np.float32)
    vectors[places[:, 0]] = cosine * origin + np.sqrt(1 - cosine**2) * noise
    return vectors, places


def beside(rows: int, python: str) -> None:
    """The search for near duplicates of ours and of semhash, on the same vectors."""
    vectors, places = planted(rows)
    start = time.perf_counter()
    later, earlier, _ = cosine_pairs(vectors, None, THRESHOLD)
    ours = time.perf_counter() - start
    found = {frozenset(pair) for pair in zip(later.tolist(), earlier.tolist(), strict=True)}
    recall = np.mean([frozenset(pair) in found for pair in places.tolist()])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "vectors.npy")
        np.save(file, vectors)
        answer = subprocess.run(
            [python, "-c", OTHER, str(file), str(THRESHOLD)], capture_output=True, text=True, check=True
        )
    theirs = json.loads(answer.stdout)
    out = set(theirs["out"])
    # One of the two gone is enough: a group loses all but one, and does not name every pair.
    their_recall = np.mean([bool(out & set(pair)) for pair in places.tolist()])
    print(f"near duplicates among {rows:,} vectors: ours {ours:.1f} s, recall {recall:.4f}; "
          f"semhash {theirs['seconds']:.1f} s, recall {their_recall:.4f}")  # fmt: skip


def main() -> int:
    """Measures at a tenth and in full."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--semhash", metavar="PYTHON", help="Interpreter of an environment with semhash.")
    options = parser.parse_args()
    language = Language()
    small, large = (measured(language, rows) for rows in (options.rows // 10, options.rows))
    for result in (small, large):
        print(json.dumps({name: round(value, 2) for name, value in result.items()}), flush=True)
    growth = large["total"] / small["total"]
    print(f"in full {large['total']:.0f} s (asked {ASKED_SECONDS}), {large['peak_gb']:.2f} GB (asked {ASKED_GB}); "
          f"ten times the rows cost {growth:.1f} times the time (asked {ASKED_GROWTH})")  # fmt: skip
    if options.semhash:
        beside(options.rows, options.semhash)
    return 0


if __name__ == "__main__":
    sys.exit(main())
