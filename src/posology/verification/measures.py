"""How well a score tells good candidates from bad ones, on human labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """How well one score (or the composite) tells good from bad, on labelled candidates.

    Attributes:
        name: The score.
        n: Labelled candidates that it has.
        threshold: At or above which it says good.
        precision: Share of good ones among those; None if it calls none good.
        recall: Share of the good ones that it calls good.
        kappa: Cohen's kappa of the two answers; None if all are the same.
        ece: Expected calibration error of the score, read as a probability of good, in equal bins.
        auc: How often a good one has the higher score of the two, ties half; None without one of each.
    """

    name: str
    n: int
    threshold: float
    precision: float | None
    recall: float
    kappa: float | None
    ece: float
    auc: float | None


def measure(name: str, score: Array, truth: NDArray[np.bool_], case: Array, floor: float = 0.5) -> Measure:
    """How well a score tells good from bad.

    Args:
        name: What it is called.
        score: In [0, 1], shape (n,), NaN where there is none; at least one is there.
        truth: What a person said.
        case: How many candidates each label stands for.
        floor: At or above which the score says good.
    """
    there = ~np.isnan(score)
    score, truth, case = score[there], truth[there], case[there]
    said = score >= floor
    both, whole = float(case[said & truth].sum()), float(case.sum())
    yes, right = float(case[said].sum()), float(case[truth].sum())
    agree = float(case[said == truth].sum()) / whole
    chance = (yes * right + (whole - yes) * (whole - right)) / whole**2
    return Measure(
        name,
        int(there.sum()),
        floor,
        both / yes if yes else None,
        both / right if right else 0.0,
        (agree - chance) / (1 - chance) if chance < 1 else None,
        _calibration_error(score, truth, case),
        _auc(score, truth, case),
    )


def _auc(score: Array, truth: NDArray[np.bool_], case: Array) -> float | None:
    if truth.all() or not truth.any():
        return None
    higher = np.sign(score[truth][:, None] - score[~truth]) / 2 + 0.5
    return float(case[truth] @ higher @ case[~truth] / (case[truth].sum() * case[~truth].sum()))


def _calibration_error(score: Array, truth: NDArray[np.bool_], case: Array) -> float:
    """Expected calibration error over bins of equal width (Guo et al., 2017)."""
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    total = 0.0
    for number in np.unique(bins):
        own = bins == number
        total += abs(float((case[own] * (score[own] - truth[own])).sum()))
    return total / float(case.sum())
