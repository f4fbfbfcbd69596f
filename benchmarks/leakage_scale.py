"""How long the leakage check takes: 100,000 candidates against 10,000 held-out and 100,000 real training rows.

Prints seconds and memory at a tenth of the size and at the full size, and their ratio: growth is linear if ten times
the candidates cost about ten times the time. Vectors are given, as they are once a pool was embedded. The texts are
random, but of the shape of short customer messages: few openings, function words, a vocabulary of a topic's own, Zipf's
law.

    python benchmarks/leakage_scale.py [--rows 100000]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time

import numpy as np
from numpy.typing import NDArray

from posology.records import Conversation, Message, Source, TextRule
from posology.verification.leakage.check import leakage

TOPICS = 77
WIDTH = 384
OPENINGS = (
    "how do i|why is my|can you tell me|i would like to|what should i do if|please help me|is it possible to|"
    "where can i|i need to|there is a problem with|when will|i tried to|hello i want to|do you|what is the"
).split("|")
FUNCTION = (
    "the a to my i is it and of for in on with that not you have be was this can but from are by as an or what if has "
    "when will do get me did need been there still"
).split()
SYLLABLES = [consonant + vowel for consonant in "bcdfglmnprstv" for vowel in "aeio"]


class Language:
    """A made-up language of customers: words, their frequencies, and the words of each topic.

    Args:
        seed: Same seed, same language.
    """

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        words = {"".join(rng.choice(SYLLABLES, size=rng.integers(2, 5))) for _ in range(9000)}
        self.words = np.array(sorted(words), object)
        self.general = _zipf(len(self.words))
        self.of_topic = rng.choice(len(self.words), size=(TOPICS, 60))

    def messages(self, n: int, seed: int) -> tuple[list[str], list[int]]:
        """Texts of 5 to 16 words, and the number of each one's topic."""
        rng = np.random.default_rng(seed)
        topics = rng.integers(TOPICS, size=n)
        lengths = rng.integers(4, 13, size=n)
        total = int(lengths.sum())
        kind = rng.random(total)
        of_topic = self.of_topic[np.repeat(topics, lengths), rng.choice(60, size=total, p=_zipf(60))]
        function = rng.choice(np.array(FUNCTION, object), size=total, p=_zipf(len(FUNCTION)))
        general = rng.choice(len(self.words), size=total, p=self.general)
        words = np.where(kind < 0.5, function, self.words[np.where(kind < 0.8, of_topic, general)])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        opening = rng.choice(np.array(OPENINGS, object), size=n)
        texts = [f"{o} {' '.join(words[a:b])}" for o, a, b in zip(opening, starts[:-1], starts[1:], strict=True)]
        return texts, topics.tolist()

    def vectors(self, texts: list[str], seed: int = 0) -> NDArray[np.float32]:
        """Unit vectors, shape (n, 384): the sum of one random vector a word, so that like texts lie near."""
        from sklearn.feature_extraction.text import HashingVectorizer

        counts = HashingVectorizer(n_features=1 << 14, analyzer=str.split, norm=None).transform(texts)
        projection = np.random.default_rng(seed).standard_normal((1 << 14, WIDTH)).astype(np.float32)
        dense: NDArray[np.float32] = np.asarray(counts.astype(np.float32) @ projection)
        return dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9)


def _zipf(n: int) -> NDArray[np.float64]:
    weights = 1 / np.arange(1, n + 1)
    return weights / weights.sum()


def conversations(texts: list[str], topics: list[int], source: Source) -> list[Conversation]:
    """One message each."""
    return [
        Conversation(f"{source}-{row}", (Message("user", text),), f"topic-{topic}", source)
        for row, (text, topic) in enumerate(zip(texts, topics, strict=True))
    ]


def measured(language: Language, rows: int) -> dict[str, float]:
    """Seconds and memory of one check, a hundredth of whose candidates are near copies of the holdout."""
    held, held_topics = language.messages(max(200, rows // 10), seed=1)
    real, real_topics = language.messages(rows, seed=2)
    pool, pool_topics = language.messages(rows, seed=3)
    copies = range(0, rows, 100)
    for place in copies:
        pool[place] = f"{held[place % len(held)]} thanks"
    table = {text: row for row, text in enumerate(dict.fromkeys([*held, *real, *pool]))}
    vectors = language.vectors(list(table))
    sides = [
        conversations(texts, topics, source)
        for texts, topics, source in (
            (pool, pool_topics, "synthetic"),
            (held, held_topics, "real"),
            (real, real_topics, "real"),
        )
    ]
    start, cpu = time.perf_counter(), time.process_time()
    found = leakage(*sides, rule=TextRule(), embed=lambda texts: vectors[[table[text] for text in texts]])
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    caught = [finding is not None for finding in found.leaks]
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "recall_of_near_copies": sum(caught[place] for place in copies) / len(copies),
        "others_rejected": (sum(caught) - sum(caught[place] for place in copies)) / rows,
    }


def main() -> int:
    """Measures at a tenth and in full."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    language = Language()
    small, large = (measured(language, n) for n in (rows // 10, rows))
    for result in (small, large):
        print(json.dumps(result))
    print(f"ten times the rows, {large['cpu_seconds'] / small['cpu_seconds']:.1f} times the time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
