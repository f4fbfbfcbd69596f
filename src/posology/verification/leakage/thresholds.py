"""From where on likeness to the holdout is no accident: as near as honest real rows hardly ever come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit that real training rows set.

    Attributes:
        value: Scores above it count as leaked.
        low: Lower end of the 95 % interval of `value`.
        high: Its upper end. Scores between the two are near the boundary.
        rate: The share of real rows that may lie above `value`.
        n: How many real rows it rests on.
    """

    value: float
    low: float
    high: float
    rate: float
    n: int


def threshold(scores: NDArray[np.float64], *, rate: float, floor: float) -> Threshold | None:
    """The score that a share `rate` of honest rows exceeds, with a distribution-free interval.

    The interval is that of order statistics (Hahn and Meeker, "Statistical Intervals", section 5.2): it holds for every
    distribution, and it needs enough rows for its upper end to exist, 72 of them at a rate of 0.05.

    Args:
        scores: How near each real row comes to the holdout, shape (n,).
        rate: False positives among real rows that are accepted, in (0, 1).
        floor: No limit lies below it, however far from the holdout the real rows are.

    Returns:
        The threshold, or None where there are too few rows to set one.
    """
    from scipy.stats import binom

    ordered = np.sort(scores)
    n, tail = len(ordered), (1 - CONFIDENCE) / 2
    if 1 - (1 - rate) ** n < 1 - tail:
        return None
    ends = np.clip(binom.ppf([tail, 1 - tail], n, 1 - rate).astype(int), 0, n - 1)
    quantile = float(np.quantile(ordered, 1 - rate, method="higher"))
    low, value, high = (max(float(score), floor) for score in (ordered[ends[0]], quantile, ordered[ends[1]]))
    return Threshold(value, low, high, rate, n)
