"""Class-balanced multinomial regression on vectors, and folds that spread every topic, for training and checks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Linear:
    """A fitted regression.

    Attributes:
        labels: The K distinct labels that it has seen, sorted.
        coefficients: Shape (K, d).
        intercepts: Shape (K,).
    """

    labels: NDArray[Any]
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float32]

    def scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unnormalised log probabilities, shape (n, K)."""
        result: NDArray[np.float32] = vectors @ self.coefficients.T + self.intercepts
        return result


def fit_balanced(
    vectors: NDArray[np.float32],
    labels: NDArray[Any],
    weights: NDArray[np.float64],
    strength: float,
    *,
    tolerance: float = 1e-4,
) -> Linear:
    """Fits one regression in which all labels together weigh the same, whatever their number of rows.

    Args:
        vectors: Shape (n, d).
        labels: Shape (n,).
        weights: Shape (n,), positive: what a row weighs beside others of its label.
        strength: Inverse L2 penalty, as scikit-learn's C.
        tolerance: Where the solver stops.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    distinct, codes = np.unique(labels, return_inverse=True)
    if len(distinct) == 1:
        return Linear(distinct, np.zeros((1, vectors.shape[1]), np.float32), np.zeros(1, np.float32))
    mass = np.bincount(codes, weights=weights)
    balanced = weights * (weights.sum() / (len(distinct) * mass))[codes]
    model = LogisticRegression(C=strength, max_iter=1000, tol=tolerance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors, codes, sample_weight=balanced)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(distinct) == 2:  # sklearn folds two classes into one row; undo it so that every head looks the same
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.r_[-intercepts, intercepts] / 2
    return Linear(distinct, coefficients.astype(np.float32), intercepts.astype(np.float32))


def folds_by_topic(labels: NDArray[Any], n_folds: int, *, seed: int) -> NDArray[np.int_]:
    """Assigns rows to folds so that each topic is spread as evenly as it can be, also topics with few rows.

    Returns:
        Shape (n,): the fold of each row.
    """
    rng = np.random.default_rng(seed)
    fold = np.empty(len(labels), dtype=int)
    start = 0
    for topic in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == topic))
        fold[rows] = (np.arange(len(rows)) + start) % n_folds
        start += len(rows)
    return fold
