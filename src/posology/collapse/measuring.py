"""All indicators of one draw: a sample that is judged, and a real one beside it, for each way of matching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.collapse import lexical, semantic, surface
from posology.collapse.bags import Rows
from posology.collapse.indicators import INDICATORS
from posology.collapse.table import Table

Pair = tuple[Rows, Rows]
MEANS = (
    "mood",
    "arousal",
    "frustrated",
    "incoherent",
    "sarcastic",
    "polite",
    "typos",
    "lower_case",
    "shouting",
    "unpunctuated",
    "exclamations",
    "questions",
    "repeated_marks",
    "emoji",
    "links",
    "digits",
    "fragments",
)
# What style is told by; length and turns are judged on their own, and compared at equal length here.
STYLE = tuple(surface.COLUMNS.index(name) for name in (*MEANS, "word_length"))
VECTOR_RIDGE, STYLE_RIDGE = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What real data says once for all draws.

    Attributes:
        table: All rows.
        cells: The cell (topic and length) of every row.
        regions: The region of every row.
        style: Standardised style columns of every row, shape (n, s).
        share: Shape (topics,): the share of each topic that is judged in real data; 0 for all others.
        tail: Shape (topics,): whether a topic is a rare one.
        budget: Words that every sample can give.
    """

    table: Table
    cells: NDArray[np.intp]
    regions: NDArray[np.intp]
    style: NDArray[np.float64]
    share: NDArray[np.float64]
    tail: NDArray[np.bool_]
    budget: int


def measure(reference: Reference, draw: Mapping[str, Pair]) -> NDArray[np.float64]:
    """The figures of one draw, in the order of `INDICATORS`; NaN where there is nothing to measure.

    Args:
        reference: What is known of real data.
        draw: By way of matching: the sample and a real sample beside it.
    """
    table, (rows, other) = reference.table, draw["full"]
    figures = lexical.measure(table, rows, other, reference.budget)
    figures |= _meaning(reference, rows, other)
    figures |= _means(table, rows)
    figures |= _lengths(table, draw["topic"][0])
    figures |= _topics(reference, draw["none"][0])
    figures |= _detectability(reference, rows, other)
    return np.array([figures.get(indicator.name, np.nan) for indicator in INDICATORS])


def _meaning(reference: Reference, rows: Rows, other: Rows) -> dict[str, float]:
    table = reference.table
    sample, real = table.vectors[rows], table.vectors[other]
    return semantic.neighbours(sample, real) | {
        "vendi": semantic.vendi(sample),
        "topic_spread": semantic.topic_spread(sample, table.topics[rows]),
        "unreached": semantic.unreached(reference.regions[rows], reference.regions[other]),
    }


def _detectability(reference: Reference, rows: Rows, other: Rows) -> dict[str, float]:
    # Counterparts of one cell share a fold: else a classifier would learn from a part of a cell that the rest of it is
    # of the other kind, and all areas would lie below 0.5.
    rows, other = (side[np.argsort(reference.cells[side], kind="stable")] for side in (rows, other))
    vectors = reference.table.vectors
    return {
        "told_by_meaning": semantic.detectability(vectors[rows], vectors[other], VECTOR_RIDGE),
        "told_by_surface": semantic.detectability(reference.style[rows], reference.style[other], STYLE_RIDGE),
    }


def _means(table: Table, rows: Rows) -> dict[str, float]:
    mean = table.features[rows].mean(axis=0)
    figures = {name: float(mean[surface.COLUMNS.index(name)]) for name in MEANS}
    for name in ("mood", "arousal"):
        figures[f"{name}_spread"] = float(table.feature(name)[rows].std())
    return figures


def _lengths(table: Table, rows: Rows) -> dict[str, float]:
    # Logarithms, since a few conversations without end would decide all.
    words, turns = table.feature("log_words")[rows], np.log1p(table.feature("turns")[rows])
    return {
        "length": float(words.mean()),
        "length_spread": float(words.std()),
        "turns": float(turns.mean()),
        "turns_spread": float(turns.std()),
    }


def _topics(reference: Reference, rows: Rows) -> dict[str, float]:
    share, tail = reference.share, reference.tail
    if not share.any():
        return {}
    topics = reference.table.topics[rows]
    present = np.bincount(topics[topics >= 0], minlength=len(share)) > 0
    figures = {"topics_missing": float(share[~present].sum() / share.sum())}
    if tail.any():
        figures["tail_missing"] = float((~present[tail]).mean())
    return figures
