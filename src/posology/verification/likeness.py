"""Real-likeness: how hard a synthetic conversation is to tell from a real one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posology.embedding.embedder import Embedder
from posology.linear import fit_balanced
from posology.records import Conversation, Finding
from posology.threads import single_threaded

CHECK = "real_likeness"
FOLDS = 5
REPEATS = 5  # the order of a pool must not hang on one draw of the folds
SMALLEST = 20
MOST = 4_000  # rows a side that a classifier is trained on


class RealLikeness:
    """The check. It rejects nothing: a generator that is easy to recognise may still be right.

    Args:
        train: Real training conversations.
        embedder: Text to vectors.
    """

    def __init__(self, train: Sequence[Conversation], embedder: Embedder) -> None:
        self._train, self._embedder = train, embedder

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate, its score in (0, 1)."""
        scores = real_likeness(self._embedder.encode(self._train), self._embedder.encode(candidates))
        return [Finding(CHECK, "pass", score, None, "probability of being real") for score in scores.tolist()]


def real_likeness(real: NDArray[np.float32], synthetic: NDArray[np.float32], *, seed: int = 0) -> NDArray[np.float64]:
    """Probability that a synthetic text is real, under classifiers that never saw it.

    A logistic regression of real against synthetic, cross-fitted over five folds (a classifier two-sample test turned
    into a score per row: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", 2017), repeated with other
    folds and averaged. Both sides weigh the same, so that the score does not depend on how large the pool is.

    Args:
        real: Vectors of real training texts, shape (n, d).
        synthetic: Vectors of synthetic texts, shape (m, d).
        seed: Of the assignment to folds.

    Returns:
        Shape (m,), in (0, 1); all 0.5 where either side has fewer than `SMALLEST` rows, too few to learn from.
    """
    if min(len(real), len(synthetic)) < SMALLEST:
        return np.full(len(synthetic), 0.5)
    rng = np.random.default_rng(seed)
    score = np.zeros(len(synthetic))
    with single_threaded():
        for _ in range(REPEATS):
            real_fold, fold = (rng.permutation(np.arange(len(side)) % FOLDS) for side in (real, synthetic))
            for held_out in range(FOLDS):
                left = real[_some(real_fold != held_out, rng)]
                right = synthetic[_some(fold != held_out, rng)]
                is_real = np.r_[np.ones(len(left), dtype=bool), np.zeros(len(right), dtype=bool)]
                model = fit_balanced(np.vstack([left, right]), is_real, np.ones(len(is_real)), strength=1.0)
                judged = fold == held_out
                fake, genuine = model.scores(synthetic[judged]).astype(np.float64).T
                score[judged] += 1 / (1 + np.exp(fake - genuine))
    return score / REPEATS


def _some(chosen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the chosen rows, at most `MOST` of them, drawn at random."""
    rows = np.flatnonzero(chosen)
    return rows if len(rows) <= MOST else np.sort(rng.choice(rows, MOST, replace=False))
