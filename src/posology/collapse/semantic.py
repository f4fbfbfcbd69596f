"""Variety of meaning in a sample, and how well it covers a real one; edge cases and tell-tale signs.

Works on unit vectors. Neighbour counts are meaningful only between samples of one size, so both sides are cut alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.collapse.bags import Rows
from posology.collapse.table import Table

NEAREST = 5
OUTLYING = 0.2  # share of real rows that count as edge cases
FAR = 0.1  # share of real rows beyond what is usual
FOLDS = 5
Floats = NDArray[np.float32]


def vendi(vectors: Floats) -> float:
    """The Vendi score: how many clearly different texts a sample amounts to (Friedman and Dieng 2023).

    Of the cosine kernel, in covariance form: exp of the entropy of the eigenvalues of X'X / n, which are those of
    XX' / n at the price of a small matrix.
    """
    exact = vectors.astype(np.float64)
    values = np.linalg.eigvalsh(exact.T @ exact)
    share = values[values > 1e-12 * max(values.max(), 1e-300)]
    share = share / share.sum() if share.size else np.ones(1)
    return float(np.exp(-(share * np.log(share)).sum()))


def topic_spread(vectors: Floats, topics: NDArray[np.intp]) -> float:
    """Mean cosine distance between two texts of one topic."""
    order = np.argsort(topics, kind="stable")
    _, first, counts = np.unique(topics[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(vectors[order].astype(np.float64), first)
    lengths = np.add.reduceat((vectors[order].astype(np.float64) ** 2).sum(axis=1), first)
    pairs = (counts * (counts - 1)).sum()
    return float(1 - ((sums**2).sum(axis=1) - lengths).sum() / pairs) if pairs else 0.0


def neighbours(sample: Floats, real: Floats) -> dict[str, float]:
    """Density and coverage (Naeem et al. 2020), coverage of real outliers, and how much of the sample lies far out.

    A real text's ball reaches to its fifth nearest real one. Coverage is the share of balls that hold a text of the
    sample; density the mean number of balls that hold a text, over five; outliers are the fifth of the real texts with
    the largest balls. A text is far out if its fifth nearest real neighbour is farther than that of 90 % of real ones.

    Args:
        sample: Shape (n, d).
        real: Shape (m, d).
    """
    k = min(NEAREST, len(real) - 1)
    own = 1 - real @ real.T
    np.fill_diagonal(own, np.inf)
    radius = np.partition(own, k - 1, axis=1)[:, k - 1]
    across = 1 - real @ sample.T
    inside = np.less_equal(across, radius[:, None])
    held = inside.any(axis=1)
    outlying = radius >= np.quantile(radius, 1 - OUTLYING)
    reach = np.partition(across, k - 1, axis=0)[k - 1]
    return {
        "density": float(inside.sum() / (k * len(sample))),
        "coverage": float(held.mean()),
        "outliers_covered": float(held[outlying].mean()),
        "far_out": float((reach > np.quantile(radius, 1 - FAR)).mean()),
    }


def unreached(regions: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """The share of real texts in regions where the sample has none."""
    return float((~np.isin(other, regions)).mean())


def detectability(sample: NDArray[Any], real: NDArray[Any], ridge: float) -> float:
    """How well the two samples are told apart: the area under the ROC curve of a linear classifier, cross-fitted.

    A classifier two-sample test (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", 2017) with ridge
    regression on the label, whose folds share one Gram matrix. 0.5 is chance. Rows of the same place on either side
    share a fold.
    """
    from scipy.stats import rankdata

    n, m = len(sample), len(real)
    rows = np.vstack([sample, real]).astype(np.float64)
    rows = np.hstack([rows, np.ones((n + m, 1))])
    label = np.r_[np.full(n, 1 / n), np.full(m, -1 / m)] * (n + m) / 2
    fold = np.r_[np.arange(n), np.arange(m)] % FOLDS
    parts = [rows[fold == held_out] for held_out in range(FOLDS)]
    grams = np.array([part.T @ part for part in parts])
    moments = np.array([part.T @ label[fold == held_out] for held_out, part in enumerate(parts)])
    others = grams.sum(axis=0) - grams + ridge * np.eye(rows.shape[1])
    weights = np.linalg.solve(others, (moments.sum(axis=0) - moments)[..., None])[..., 0]
    score = np.empty(n + m)
    for held_out, part in enumerate(parts):
        score[fold == held_out] = part @ weights[held_out]
    ranks = rankdata(score)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def regions_of(table: Table, real: Rows, seed: int, n_regions: int) -> NDArray[np.intp]:
    """The region of every row: the nearest of some k-means centres of real rows."""
    from sklearn.cluster import KMeans

    model = KMeans(n_regions, n_init=1, max_iter=20, random_state=seed).fit(table.vectors[real])
    nearest: NDArray[np.intp] = model.predict(table.vectors).astype(np.intp)
    return nearest
