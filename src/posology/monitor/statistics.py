"""How far the counts of a window are from those of the reference.

Every function takes counts of C categories (or C overlapping events) in the last axis and any axes before it, so that
one call serves a single window as well as thousands of resampled ones. None of them assumes a distribution: what is
large is learned by resampling (`calibration`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PSEUDO = 0.5  # added to each count (Jeffreys), so that a category that one side lacks does not make the index infinite


def psi(window: Floats, reference: Floats) -> Floats:
    """Population stability index: the sum over categories of (p - q) ln(p / q).

    It is the symmetric Kullback-Leibler divergence (Jeffreys 1946) of the two mixes. The rule of thumb of credit
    scoring, 0.1 and 0.25, is not used: with 14 topics a healthy window of 200 lies around 0.1 already.
    """
    p, q = _shares(window), _shares(reference)
    result: Floats = ((p - q) * np.log(p / q)).sum(axis=-1)
    return result


def _shares(counts: Floats) -> Floats:
    smooth = np.asarray(counts, dtype=np.float64) + PSEUDO
    result: Floats = smooth / smooth.sum(axis=-1, keepdims=True)
    return result


def chi_square(window: Floats, reference: Floats) -> Floats:
    """Pearson's two-sample statistic; categories that both sides lack count nothing."""
    window, reference = np.asarray(window, np.float64), np.asarray(reference, np.float64)
    n, m = window.sum(axis=-1, keepdims=True), reference.sum(axis=-1, keepdims=True)
    both = window + reference
    gap = np.square(window * np.sqrt(m / n) - reference * np.sqrt(n / m))
    result: Floats = np.divide(gap, both, out=np.zeros_like(gap), where=both > 0).sum(axis=-1)
    return result


def largest_growth(window: Floats, reference: Floats, n: float, m: float) -> Floats:
    """The largest growth of one share, in standard errors: a subject that comes up.

    One that goes away makes room for others and shows in `psi` and `chi_square`; to look in one direction only is what
    lets a doubled share be seen in 200 conversations.

    Args:
        window: Counts in the window, shape (..., C).
        reference: Counts in the reference, shape (..., C).
        n: Conversations in the window.
        m: In the reference.
    """
    result: Floats = changes(window, reference, n, m).max(axis=-1)
    return result


def changes(window: Floats, reference: Floats, n: float, m: float) -> Floats:
    """The signed change of each share in standard errors, shape (..., C).

    It is the root of the likelihood ratio statistic of the 2 x 2 table: where a share is small it is far less skewed
    than the usual z, which would leave the threshold to the rarest category.
    """
    window, reference = np.asarray(window, np.float64), np.asarray(reference, np.float64)
    both = window + reference
    deviance = sum(
        _term(seen, total * of / (n + m))
        for seen, total, of in (
            (window, both, n),
            (reference, both, m),
            (n - window, n + m - both, n),
            (m - reference, n + m - both, m),
        )
    )
    result: Floats = np.sign(window / n - reference / m) * np.sqrt(np.maximum(2 * deviance, 0.0))
    return result


def _term(seen: Floats, expected: Floats) -> Floats:
    """One term of the deviance, x ln(x / e); 0 where x is 0."""
    ratio = np.divide(seen, expected, out=np.ones_like(seen), where=(seen > 0) & (expected > 0))
    result: Floats = seen * np.log(ratio)
    return result


def largest_shift(window: Floats, reference: Floats, n: float, m: float, spread: Floats) -> Floats:
    """The largest change of one mean, in standard errors; 0 if there is nothing to look at.

    Args:
        window: Sums over the window, shape (..., C).
        reference: Sums over the reference, shape (..., C).
        n: Conversations in the window.
        m: In the reference.
        spread: Standard deviations, shape (C,).
    """
    result: Floats = np.abs(shifts(window, reference, n, m, spread)).max(axis=-1, initial=0.0)
    return result


def shifts(window: Floats, reference: Floats, n: float, m: float, spread: Floats) -> Floats:
    """The signed change of each mean in standard errors, shape (..., C); 0 where nothing varies."""
    error = spread * np.sqrt(1 / n + 1 / m)
    gap = np.asarray(window, np.float64) / n - np.asarray(reference, np.float64) / m
    result: Floats = np.divide(gap, error, out=np.zeros_like(gap), where=error > 0)
    return result


def largest_step(window: Floats, reference: Floats, n: float, m: float) -> Floats:
    """Kolmogorov and Smirnov's distance between two distributions, from counts at or below each of C cuts."""
    result: Floats = np.abs(np.asarray(window) / n - np.asarray(reference) / m).max(axis=-1)
    return result


def auc(scores: Floats, inside: NDArray[np.bool_]) -> Floats:
    """The chance that a row of the window scores above one of the reference (Mann and Whitney 1947).

    Args:
        scores: Shape (N, B), without ties: predictions of B classifiers.
        inside: Shape (N, B): which rows are the window of each.

    Returns:
        Shape (B,).
    """
    order = np.argsort(scores, axis=0)
    ranked = np.take_along_axis(inside, order, axis=0)
    n = ranked.sum(axis=0)
    ranks = (ranked * np.arange(1.0, len(scores) + 1)[:, None]).sum(axis=0)
    result: Floats = (ranks - n * (n + 1) / 2) / (n * (len(scores) - n))
    return result
