"""Differences between arms that saw the same conversations: simultaneous intervals and adjusted p-values.

A sweep asks several questions at once, and the best of several chance differences looks like a gain. So intervals
and p-values are simultaneous over a family of contrasts: all of them hold together with the stated probability, and
hold for any one that is picked afterwards because it looks best.

- The intervals come from the bootstrap distribution of the largest |t| of the family (single-step max-t; Westfall and
  Young 1993; Romano and Wolf 2005), which knows how strongly the arms are correlated. The quantile is carried to the t
  scale with the degrees of freedom of each contrast's own variance, since five seeds do not make a normal distribution,
  and the standard error includes two pseudo-discordant groups (`Scores.pseudo_variance`).
- The p-value is the larger of two, which see different things. One belongs to the same max-t, so that p < 0.05 implies
  an interval without 0. The other is a randomisation test: the signs of the groups' differences are flipped, for all
  contrasts together, and the largest self-normalised sum is compared. It needs no normal approximation and so guards
  the case of few discordant conversations; it takes the trained variants as given and knows nothing of seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posology.evaluation.metrics import Bools, Floats, Ints
from posology.evaluation.resampling import TINY, Estimate, Scores, Variation, chunks


@dataclass(frozen=True, slots=True)
class Contrasts:
    """A family of C differences between arms.

    Attributes:
        mean: Shape (C,).
        se: Standard errors, shape (C,).
        low: Lower ends of the simultaneous intervals, shape (C,).
        high: Upper ends, shape (C,).
        p_adjusted: Two-sided p-values, adjusted for the family, shape (C,).
        critical: How many standard errors the intervals reach to each side, shape (C,).
    """

    mean: Floats
    se: Floats
    low: Floats
    high: Floats
    p_adjusted: Floats
    critical: Floats

    def significant(self, alpha: float = 0.05) -> Bools:
        """Where the interval leaves out 0 and the p-value is below `alpha`, shape (C,)."""
        result: Bools = ((self.low > 0) | (self.high < 0)) & (self.p_adjusted < alpha)
        return result

    def take(self, rows: Ints) -> Contrasts:
        """Some of the family; its intervals stay simultaneous over all of it."""
        names = ("mean", "se", "low", "high", "p_adjusted", "critical")
        return Contrasts(*(getattr(self, name)[rows] for name in names))

    def estimate(self, i: int) -> Estimate:
        """One difference with its simultaneous interval."""
        return Estimate(float(self.mean[i]), float(self.low[i]), float(self.high[i]))


def difference_matrix(pairs: list[tuple[int, int]], n_arms: int) -> Floats:
    """The contrasts "first minus second".

    Args:
        pairs: C pairs of positions of arms.
        n_arms: A.

    Returns:
        Shape (C, A).
    """
    matrix = np.zeros((len(pairs), n_arms))
    for row, (first, second) in zip(matrix, pairs, strict=True):
        row[first] += 1.0
        row[second] -= 1.0
    return matrix


def contrasts(scores: Scores, matrix: Floats, *, level: float = 0.95, seed: int = 0) -> Contrasts:
    """Judges a family of contrasts together.

    Args:
        scores: One metric of A arms.
        matrix: Shape (C, A), see `difference_matrix`.
        level: Simultaneous confidence.
        seed: Of the sign flips.

    Returns:
        The family. A contrast of arms that are right on the same conversations has mean 0, p 1 and an interval that
        reflects only the pseudo-discordant groups.
    """
    from scipy.stats import norm, t

    mean = matrix @ scores.mean
    mean[np.abs(mean) < TINY] = 0.0
    variation = scores.variation(matrix)
    se = np.sqrt(variation.variance + scores.pseudo_variance)
    largest = _largest_deviation(variation)
    # With one contrast the quantile is the normal one; chance in the draws shall not take it below that.
    critical_z = norm.isf((1 - level) / 2)
    if len(largest):
        critical_z = max(critical_z, float(np.quantile(largest, level, method="higher")))
    critical = t.isf(norm.sf(critical_z), variation.freedom)
    z = norm.isf(t.sf(np.abs(mean) / se, variation.freedom))
    exceeding = (largest[:, None] >= z - TINY).sum(axis=0)
    p_bootstrap = np.maximum((1 + exceeding) / (1 + len(largest)), 2 * norm.sf(z)) if len(largest) else 2 * norm.sf(z)
    p = np.maximum(p_bootstrap, _sign_flip_p(scores, matrix, seed=seed))
    half = critical * se
    return Contrasts(
        mean, se, np.maximum(mean - half, -1.0), np.minimum(mean + half, 1.0), np.minimum(p, 1.0), critical
    )


def _largest_deviation(variation: Variation) -> Floats:
    """The largest studentised deviation of each draw, shape (B,); contrasts without any variation count 0."""
    spread, deviations = np.sqrt(variation.variance), variation.deviations
    studentised = np.divide(deviations, spread, out=np.zeros_like(deviations), where=spread > TINY)
    result: Floats = np.abs(studentised).max(axis=1, initial=0.0)
    return result


def _sign_flip_p(scores: Scores, matrix: Floats, *, seed: int) -> Floats:
    """Single-step max-T p-values of the sign-flip test over groups, shape (C,).

    If an arm were as good as its rival, either sign of a group's difference would be as likely. |sum| / sqrt(sum of
    squares) is the z of McNemar's test for single conversations; flips leave its denominator as it is, so a contrast of
    m discordant conversations never exceeds sqrt(m), as it should not.
    """
    differences = scores.influence @ matrix.T
    differences[np.abs(differences) < TINY] = 0.0
    differences = differences[differences.any(axis=1)]
    draws = len(scores.items)
    length = np.sqrt(np.square(differences).sum(axis=0))
    differences = np.divide(differences, length, out=np.zeros_like(differences), where=length > 0)
    observed = np.abs(differences.sum(axis=0))
    rng = np.random.default_rng([seed, 2])
    exceeding = np.zeros(len(matrix))
    for size in chunks(draws, len(differences)):
        signs = rng.integers(2, size=(size, len(differences)), dtype=np.int8) * 2.0 - 1.0
        largest = np.abs(signs @ differences).max(axis=1, initial=0.0)
        exceeding += (largest[:, None] >= observed - 1e-9).sum(axis=0)
    p: Floats = (1 + exceeding) / (1 + draws)
    return p


def majority(correct: Bools) -> Bools:
    """Whether more than half of the seeds are right, (S, n) to (n,); a tie counts as wrong, for all arms alike."""
    result: Bools = correct.mean(axis=0) > 0.5
    return result


def mcnemar_p(first: Bools, second: Bools) -> float:
    """Exact two-sided McNemar test (1947) of two classifiers on the same conversations.

    A familiar figure to read beside the intervals: it knows neither of seeds, nor of near-duplicates, nor of how many
    arms were looked at, and decides nothing.

    Args:
        first: Shape (n,), where the first one is right.
        second: Shape (n,), likewise.

    Returns:
        The p-value, 1 if they are right on the same conversations.
    """
    from scipy.stats import binomtest

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0
