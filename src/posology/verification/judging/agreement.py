"""How far judges agree: Krippendorff's alpha for ordinal scores, with an interval.

Alpha is 1 - observed / expected disagreement, where expected is what chance gives with these scores. It takes any
number of judges, and gaps; the ordinal metric weighs a 1 against a 5 more than a 4 against a 5, by how many scores
lie between them (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011; Hayes and Krippendorff, "Answering
the Call for a Standard Reliability Measure for Coding Data", 2007). By Krippendorff's own rule of thumb, 0.80 and more
is reliable and 0.667 is the least for tentative conclusions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RELIABLE, TENTATIVE = 0.8, 0.667
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far judges agree on one criterion.

    Attributes:
        alpha: Krippendorff's alpha, 1 for perfect, 0 for chance; None if no two scores differ, or nothing was scored
            twice: agreement cannot be told from indifference then.
        ci95: Percentile bootstrap over candidates, None likewise.
        n: Candidates that two or more judges scored.
    """

    alpha: float | None
    ci95: tuple[float, float] | None
    n: int

    @property
    def verdict(self) -> Literal["reliable", "tentative", "unreliable", "cannot tell"]:
        """In a word, by the lower end of the interval."""
        if self.ci95 is None:
            return "cannot tell"
        low = self.ci95[0]
        return "reliable" if low >= RELIABLE else "tentative" if low >= TENTATIVE else "unreliable"


def agreement(scores: NDArray[np.float64], *, seed: int = 0) -> Agreement:
    """Krippendorff's alpha of scores on an ordinal scale.

    Args:
        scores: Shape (judges, candidates), NaN where a judge gave none.
        seed: Of the bootstrap.
    """
    twice = (~np.isnan(scores)).sum(axis=0) >= 2
    scores, n = scores[:, twice], int(twice.sum())
    if not n:
        return Agreement(None, None, 0)
    values = np.unique(scores[~np.isnan(scores)])
    pairs = _coincidences(scores, values)
    whole = _alpha(pairs.sum(axis=0)[None])[0]
    if np.isnan(whole):
        return Agreement(None, None, n)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    alphas = _alpha((drawn @ pairs.reshape(n, -1)).reshape(RESAMPLES, len(values), len(values)))
    alphas = alphas[~np.isnan(alphas)]  # a resample in which all scores are equal says nothing
    low, high = np.quantile(alphas, [0.025, 0.975])
    return Agreement(float(whole), (float(low), float(high)), n)


def _coincidences(scores: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often each two values meet on a candidate, shape (candidates, V, V); each candidate weighs its scores."""
    counts = (scores[:, :, None] == values).sum(axis=0).astype(float)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    return np.asarray(pairs / (counts.sum(axis=1) - 1)[:, None, None])


def _alpha(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alpha of coincidence matrices, shape (B, V, V); NaN where all values are equal."""
    totals = pairs.sum(axis=2)
    n = totals.sum(axis=1)
    # Between two values lie the scores from the middle of one to the middle of the other: the difference of mid-ranks.
    ranks = totals.cumsum(axis=1) - totals / 2
    distance = (ranks[:, :, None] - ranks[:, None, :]) ** 2
    observed = (pairs * distance).sum(axis=(1, 2))
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2)) / (n - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)
