"""Variety of wording in a sample: how much is said again, and again in the same way.

Compression and n-grams follow Shaib et al., "Standardizing the Measurement of Text Diversity" (2024), self-repetition
Salkar et al., "Self-Repetition in Abstractive Neural Summarizers" (2022). All of them fall with the amount of text, so
every sample is cut to the same number of words first.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from posology.collapse.bags import Bags, Rows
from posology.collapse.table import Table


def measure(table: Table, rows: Rows, other: Rows, budget: int) -> dict[str, float]:
    """The lexical figures of a sample.

    Args:
        table: All rows.
        rows: The sample, in random order.
        other: A real sample, against which names are over-used or not.
        budget: Words to look at.
    """
    cut = rows[: max(1, int(np.searchsorted(np.cumsum(table.n_words[rows]), budget, side="right")))]
    figures = {
        "compression": compression(table, cut),
        "self_repetition": repeated(table.distinct_grams, cut),
        "vocabulary_growth": vocabulary_growth(table.grams[0].of(cut)),
        "openings": collision(table.openings[rows]),
        "templates": repeated(table.templates, rows),
        "near_copies": 1 - len(np.unique(table.twins[rows])) / max(len(rows), 1),
        "names": name_excess(table, rows, other),
    }
    for n in (1, 2, 3):
        times = _times(table.grams[n - 1], cut)
        figures[f"distinct_{n}"] = np.count_nonzero(times) / max(int(times.sum()), 1)
    return figures


def compression(table: Table, rows: Rows) -> float:
    """Bytes before over bytes after zlib: the more is repeated, the higher."""
    text = "\n".join(table.texts[row] for row in rows).encode("utf-8", "replace")
    return len(text) / len(zlib.compress(text)) if text else 1.0


def repeated(bags: Bags, rows: Rows) -> float:
    """The share of the things in a sample that stand in it more than once."""
    times = _times(bags, rows)
    again = times[times > 1].sum()
    return float(again / max(times.sum(), 1))


def _times(bags: Bags, rows: Rows) -> NDArray[np.intp]:
    """How often each thing stands in a sample; the order means nothing."""
    things = bags.of(rows)
    if bags.n_kinds < 32 * len(things):
        return np.bincount(things, minlength=bags.n_kinds)  # no sorting
    return np.unique(things, return_counts=True)[1]


def vocabulary_growth(words: NDArray[np.int64]) -> float:
    """The exponent of Heaps' law between a quarter of the words and all of them."""
    quarter, whole = len(np.unique(words[: len(words) // 4])), len(np.unique(words))
    return math.log(whole / quarter) / math.log(4) if quarter else 0.0


def collision(numbers: NDArray[np.intp]) -> float:
    """The probability that two of a sample have the same number (Simpson 1949)."""
    n = len(numbers)
    times = np.unique(numbers, return_counts=True)[1]
    return float((times * (times - 1)).sum() / (n * (n - 1))) if n > 1 else 0.0


def name_excess(table: Table, rows: Rows, other: Rows) -> float:
    """By which share of rows the most over-used full name stands more often in the sample than in the real one."""
    kinds = table.names.n_kinds
    if not kinds:
        return 0.0
    here, there = (np.bincount(table.names.of(side), minlength=kinds) / max(len(side), 1) for side in (rows, other))
    return float((here - there).max())
