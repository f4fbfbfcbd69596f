"""Point metrics of predictions on the holdout.

Arrays named `correct` hold True where the predicted topic is the true one; their last axis runs over the n
conversations and every axis before it (arms, seeds) is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class ConfusionChange:
    """A mistake that became more or less frequent.

    Attributes:
        topic: The true topic.
        predicted: The topic that was said instead.
        before: Mean count over seeds without synthetic data.
        after: Mean count over seeds with it.
    """

    topic: str
    predicted: str
    before: float
    after: float


def recall_by_topic(correct: Bools, truth: Ints, n_topics: int) -> Floats:
    """Share of each topic's conversations that are predicted right.

    Args:
        correct: Shape (..., n).
        truth: Shape (n,), indices of topics.
        n_topics: K.

    Returns:
        Shape (..., K), NaN for topics that the holdout lacks.
    """
    counts = np.bincount(truth, minlength=n_topics)
    rows = correct.reshape(-1, correct.shape[-1])
    hits = np.stack([np.bincount(truth, weights=row, minlength=n_topics) for row in rows])
    recall = np.divide(hits, counts, out=np.full(hits.shape, np.nan), where=counts > 0)
    shaped: Floats = recall.reshape(*correct.shape[:-1], n_topics)
    return shaped


def item_weights(truth: Ints, topics: Bools) -> Floats:
    """What one conversation counts in the mean recall of some topics: 1 / (topics present x conversations of its own).

    Args:
        truth: Shape (n,).
        topics: Shape (K,), True for the topics that the mean runs over.

    Returns:
        Shape (n,), sums to 1; all 0 where the holdout has none of the topics.
    """
    counts = np.bincount(truth, minlength=len(topics))
    present = int((topics & (counts > 0)).sum())
    return np.where(topics[truth], 1.0 / (max(present, 1) * counts[truth]), 0.0)


def expected_calibration_error(correct: Bools, probability: NDArray[np.floating], n_bins: int = 15) -> float:
    """How far the stated probability lies from the share that is right, averaged over the seeds.

    Bins hold equal numbers of predictions (Nguyen and O'Connor 2015), not equal widths: with most probabilities near 1,
    equal widths leave bins of one or two, whose noise adds to the error (Roelofs et al. 2022). Predictions of exactly
    equal probability share their mean correctness, so that the order of the conversations cannot matter.

    Args:
        correct: Shape (S, n).
        probability: Shape (S, n), of the predicted topic.
        n_bins: How many bins, at most n.

    Returns:
        The mean over seeds of sum over bins of share x |mean probability - mean correctness|, in [0, 1].
    """
    errors = []
    for right, stated in zip(correct, probability.astype(np.float64), strict=True):
        values, index = np.unique(stated, return_inverse=True)
        expected = np.bincount(index, weights=right) / np.bincount(index, minlength=len(values))
        gaps = np.sort(stated) - expected[np.sort(index)]
        bins = np.array_split(gaps, min(n_bins, len(gaps)))
        errors.append(sum(abs(gap.sum()) for gap in bins) / len(gaps))
    return float(np.mean(errors))


def confusion_changes(
    before: Ints, after: Ints, truth: Ints, topics: Sequence[str], limit: int = 20
) -> list[ConfusionChange]:
    """The mistakes whose mean count over seeds changed most.

    Args:
        before: Shape (S, n), predictions without synthetic data.
        after: Shape (S', n), predictions with it.
        truth: Shape (n,).
        topics: Names of the K topics.
        limit: At most so many.

    Returns:
        Largest change first, ties in the order of the names; unchanged ones are left out.
    """
    size = len(topics)

    def counts(predicted: Ints) -> Floats:
        pairs = np.bincount((truth * size + predicted).ravel(), minlength=size * size)
        return pairs.reshape(size, size) / len(predicted)

    first, second = counts(before), counts(after)
    rows = [
        ConfusionChange(topics[true], topics[said], float(first[true, said]), float(second[true, said]))
        for true, said in zip(*np.nonzero(first != second), strict=True)
        if true != said
    ]
    return sorted(rows, key=lambda row: (-abs(row.after - row.before), row.topic, row.predicted))[:limit]


def wilson(share: float, n: float, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share.

    With an effective sample size, p(1-p) / SE^2, it serves clustered data and means of recalls too (Korn and Graubard
    1998): unlike share +- z SE it stays in [0, 1] and has a width where nothing, or everything, is right.

    Args:
        share: In [0, 1].
        n: Size of the sample, need not be whole; above 0.
        z: Normal (or t) quantile.

    Returns:
        Lower and upper end.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(max(share * (1 - share), 0.0) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
