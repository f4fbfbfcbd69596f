"""From figures to verdicts: how far from real a figure may stray by chance, for all indicators at once.

The null is real against real: parts of the real rows, drawn and matched as the synthetic sample is. Each indicator is
brought to a scale where its spread is steady, centred and scaled by the null draws; the largest deviation over all
indicators in one null draw, and its distribution over draws, gives one limit for all (Westfall and Young,
"Resampling-Based Multiple Testing", 1993). So the chance that *any* indicator raises a false alarm is what is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.collapse.indicators import INDICATORS

AIM = 0.035  # family-wise; 0.05 is what is promised, and matching and scaling are not exact
Floats = NDArray[np.float64]


def to_scale(values: Floats, sizes: Floats) -> Floats:
    """Figures on the scale on which they are compared; shares as Anscombe (1948) has them.

    Args:
        values: Shape (..., K), in the order of `INDICATORS`.
        sizes: Shape (K,): how many things (rows, mostly) each figure is a share of.
    """
    scaled = values.astype(np.float64).copy()
    for k, indicator in enumerate(INDICATORS):
        column = values[..., k]
        if indicator.scale == "share":
            n = sizes[k]
            scaled[..., k] = np.arcsin(np.sqrt((np.clip(column, 0, 1) * n + 0.375) / (n + 0.75)))
        elif indicator.scale == "log":
            scaled[..., k] = np.log(np.maximum(column, 1e-9))
    return scaled


def from_scale(scaled: Floats, sizes: Floats) -> Floats:
    """The inverse of `to_scale`."""
    values = scaled.copy()
    for k, indicator in enumerate(INDICATORS):
        column = scaled[..., k]
        if indicator.scale == "share":
            n = sizes[k]
            share = np.sin(np.clip(column, 0, np.pi / 2)) ** 2
            values[..., k] = np.clip((share * (n + 0.75) - 0.375) / n, 0, 1)
        elif indicator.scale == "log":
            values[..., k] = np.exp(column)
    return values


@dataclass(frozen=True, slots=True)
class Null:
    """What real text does against itself.

    Attributes:
        sizes: Shape (K,): how many things (rows, mostly) each figure is a share of.
        centre: Shape (K,), on the scale of comparison; NaN where an indicator cannot be measured.
        spread: Shape (K,): standard deviation of a fresh real sample.
        limit: How many of them a figure may stray.
    """

    sizes: Floats
    centre: Floats
    spread: Floats
    limit: float

    def deviations(self, values: Floats) -> Floats:
        """How many standard deviations figures lie from real text, shape (..., K)."""
        away: Floats = (to_scale(values, self.sizes) - self.centre) / self.spread
        return away

    @property
    def mean(self) -> Floats:
        """What real text gives, in the indicator's own unit."""
        return from_scale(self.centre, self.sizes)

    @property
    def interval(self) -> tuple[Floats, Floats]:
        """The simultaneous 95 % range of real text, in the indicator's own unit."""
        low, high = (from_scale(self.centre + way * self.limit * self.spread, self.sizes) for way in (-1, 1))
        return low, high


def calibrate(draws: Floats, sizes: Floats, widening: Floats) -> Null:
    """Learns the null.

    A draw is judged by all *others* (centre, spread), as a fresh sample will be, so that the limit is not too low for
    having seen what it judges.

    Args:
        draws: Shape (J, K): figures of parts of the real data.
        sizes: Shape (K,): how many things each figure is a share of.
        widening: Shape (K,): how much further a fresh sample strays than a part does; 1 for paired indicators.
    """
    scaled = to_scale(draws, sizes)
    n = len(draws)
    centre = scaled.mean(axis=0)
    variance = scaled.var(axis=0, ddof=1)
    floor = _floor(sizes)
    spread = np.maximum(np.sqrt(variance) * widening, floor)
    away = scaled - centre
    # Mean and variance of the n - 1 others, from those of all.
    others_variance = np.maximum(((n - 1) * variance - n / (n - 1) * away**2) / (n - 2), 0.0)
    others_spread = np.maximum(np.sqrt(others_variance) * widening, floor)
    deviations = harmful(away * n / (n - 1) * widening / others_spread)
    largest = np.sort(np.nan_to_num(np.abs(deviations)).max(axis=1))
    # Of n + 1 exchangeable maxima, the fresh one is among the r largest with probability r / (n + 1).
    rank = max(int(AIM * (n + 1)), 1)
    return Null(sizes, centre, spread, float(largest[-rank]))


def _floor(sizes: Floats) -> Floats:
    """The least spread of each indicator: where real text never varies, one odd row is to be no fault."""
    floor = np.full(len(INDICATORS), 1e-9)
    for k, indicator in enumerate(INDICATORS):
        if indicator.scale == "share":
            # As if every row were drawn on its own. Less would be too little for shares that are 0 in most draws and
            # large in a few (a rare topic that is missed): no number of draws shows how often that happens.
            floor[k] = 0.5 / np.sqrt(sizes[k] + 0.75)
        elif indicator.grain:
            floor[k] = indicator.grain / sizes[k]
    return floor


def harmful(deviations: Floats) -> Floats:
    """Deviations, shape (..., K), with those set to 0 that lie in a direction that is no fault."""
    low_ok = np.array([indicator.low is None for indicator in INDICATORS])
    high_ok = np.array([indicator.high is None for indicator in INDICATORS])
    harmless = ((deviations < 0) & low_ok) | ((deviations > 0) & high_ok)
    kept: Floats = np.where(harmless, 0.0, deviations)
    return kept
