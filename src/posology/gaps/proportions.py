"""Shares of right answers: intervals, comparisons within strata, and many tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927).

    Unlike the textbook interval it never leaves [0, 1] and is sensible for one trial, or when all succeed.

    Args:
        successes: How many went well.
        trials: Out of how many, at least 1.

    Raises:
        ValueError: `successes` is not in 0..`trials`, or there was no trial.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is not a share")
    share, spread = successes / trials, Z95 * Z95 / trials
    centre = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    # Rounding must not push the interval off its own estimate.
    low = min(share, max(0.0, (centre - half) / (1 + spread)))
    high = max(share, min(1.0, (centre + half) / (1 + spread)))
    return low, high


@dataclass(frozen=True, slots=True)
class Comparison:
    """The share of right answers in one group less that in the rest, within strata.

    Attributes:
        difference: Mantel-Haenszel risk difference, in [-1, 1].
        ci95: Its 95 % interval.
        p: Two-sided p-value of the Cochran-Mantel-Haenszel test.
    """

    difference: float
    ci95: tuple[float, float]
    p: float


def compare_within(right: NDArray[np.bool_], inside: NDArray[np.bool_], strata: NDArray[np.intp]) -> Comparison | None:
    """Compares a group with the rest, stratum by stratum, so that a group rich in hard strata does not look weak.

    Pools 2 x 2 tables by Mantel and Haenszel (1959); the variance of the difference is Sato's (1989), which holds for
    few large strata and for many small ones; the test is Cochran-Mantel-Haenszel with continuity correction.

    Args:
        right: Shape (n,): whether the answer was right.
        inside: Shape (n,): whether the row belongs to the group.
        strata: Shape (n,): number of the stratum (the topic), from 0.

    Returns:
        The comparison, or None where no stratum has rows on both sides.
    """
    width = int(strata.max()) + 1 if len(strata) else 0
    n_in, n_out, right_in, right_out = (
        np.bincount(strata[rows], minlength=width).astype(np.float64)
        for rows in (inside, ~inside, inside & right, ~inside & right)
    )
    mixed = (n_in > 0) & (n_out > 0)
    if not mixed.any():
        return None
    n_in, n_out, right_in, right_out = n_in[mixed], n_out[mixed], right_in[mixed], right_out[mixed]
    total, all_right = n_in + n_out, right_in + right_out
    weight = float((n_in * n_out / total).sum())
    difference = float(((right_in * n_out - right_out * n_in) / total).sum()) / weight

    skew = (n_in**2 * right_out - n_out**2 * right_in + n_in * n_out * (n_out - n_in) / 2) / total**2
    spread = (right_in * (n_out - right_out) + right_out * (n_in - right_in)) / (2 * total)
    error = math.sqrt(max(0.0, difference * float(skew.sum()) + float(spread.sum()))) / weight

    excess = abs(float((right_in - n_in * all_right / total).sum()))
    variance = float((n_in * n_out * all_right * (total - all_right) / (total**2 * (total - 1))).sum())
    # With one degree of freedom the tail of chi-squared is that of a normal on both sides.
    p = math.erfc(max(0.0, excess - 0.5) / math.sqrt(2 * variance)) if variance > 0 else 1.0
    low, high = difference - Z95 * error, difference + Z95 * error
    return Comparison(difference, (max(-1.0, low), min(1.0, high)), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm among them stays below the level (Holm 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, floor = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return adjusted
