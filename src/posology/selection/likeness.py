"""Real-likeness: how hard a synthetic conversation is to tell from a real one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posology.threads import single_threaded

FOLDS = 5
SMALLEST = 20


def real_likeness(real: NDArray[np.float32], synthetic: NDArray[np.float32], *, seed: int = 0) -> NDArray[np.float64]:
    """Probability that a synthetic text is real, under classifiers that never saw it.

    A logistic regression of real against synthetic, cross-fitted over five folds (a classifier two-sample test turned
    into a score per row: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", 2017), both sides weighing the
    same so that the score does not depend on how large the pool is.

    Args:
        real: Vectors of real training texts, shape (n, d).
        synthetic: Vectors of synthetic texts, shape (m, d).
        seed: Of the assignment to folds.

    Returns:
        Shape (m,), in (0, 1); all 0.5 where either side has fewer than `SMALLEST` rows, too few to learn from.
    """
    from sklearn.linear_model import LogisticRegression

    if min(len(real), len(synthetic)) < SMALLEST:
        return np.full(len(synthetic), 0.5)
    vectors = np.vstack([real, synthetic]).astype(np.float64)
    is_real = np.r_[np.ones(len(real), dtype=bool), np.zeros(len(synthetic), dtype=bool)]
    rng = np.random.default_rng(seed)
    fold = np.empty(len(vectors), dtype=int)
    for side in (is_real, ~is_real):
        fold[side] = rng.permutation(np.arange(side.sum()) % FOLDS)
    score = np.empty(len(vectors))
    with single_threaded():
        for held_out in range(FOLDS):
            train = fold != held_out
            model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=500).fit(vectors[train], is_real[train])
            score[~train] = model.predict_proba(vectors[~train])[:, 1]
    return score[len(real) :]
