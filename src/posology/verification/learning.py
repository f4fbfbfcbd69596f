"""Scores of a judge, learned from the part that it judged: a judge for a tenth of the price, with the error stated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.threads import single_threaded

FOLDS, RESAMPLES = 5, 500
FEWEST = 40
"""Judged candidates below which nothing is learned."""
PENALTIES = np.logspace(-2, 4, 13)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a judge would say of the candidates that it did not see.

    Attributes:
        predicted: Shape (n,), on the judge's scale; NaN everywhere if it cannot be learned.
        n: Judged candidates.
        r2: Share of the variance of the judge's scores that is predicted for candidates left out (cross-validated);
            None where there was too little to try.
        r2_ci95: Its interval (bootstrap over candidates), None likewise.
        rmse: Typical error in points of the scale, likewise.
    """

    predicted: NDArray[np.float64]
    n: int
    r2: float | None = None
    r2_ci95: tuple[float, float] | None = None
    rmse: float | None = None

    @property
    def learnable(self) -> bool:
        """Whether predictions are certainly better than the mean."""
        return self.r2_ci95 is not None and self.r2_ci95[0] > 0

    @property
    def summary(self) -> str:
        """One sentence for people."""
        if self.r2 is None or self.rmse is None or self.r2_ci95 is None:
            return f"not learnable: {self.n} judged candidates are too few, or all got the same score"
        low, high = self.r2_ci95
        figures = f"R2 {self.r2:.2f} [{low:.2f}, {high:.2f}] on {self.n} judged candidates, cross-validated"
        return f"typical error {self.rmse:.2f} points; {figures}" if self.learnable else f"not learnable: {figures}"


def learn(
    vectors: NDArray[np.float32] | None, signals: NDArray[np.float64], scores: NDArray[np.float64], *, seed: int = 0
) -> Learned:
    """Predicts a judge's scores by ridge regression on vectors and data checks.

    The penalty is chosen anew within each training part (leave-one-out, as `sklearn.linear_model.RidgeCV` does), so the
    error is that of the whole procedure.

    Args:
        vectors: Of all candidates, shape (n, d), L2-normalised; None: signals alone.
        signals: Scores of data checks, shape (n, k); gaps are filled with the column's median.
        scores: The judge's, shape (n,), NaN where it was not asked or gave none.
        seed: Of folds and bootstrap.
    """
    judged = np.flatnonzero(~np.isnan(scores))
    nothing = np.full(len(scores), np.nan)
    if len(judged) < FEWEST or np.ptp(scores[judged]) == 0:
        return Learned(nothing, len(judged))
    features = _features(vectors, signals)
    rng = np.random.default_rng(seed)
    fold = rng.permutation(np.arange(len(judged)) % FOLDS)
    truth, left_out = scores[judged], np.empty(len(judged))
    with single_threaded():
        for held in range(FOLDS):
            train, test = judged[fold != held], judged[fold == held]
            left_out[fold == held] = _fitted(features[train], scores[train], features[test])
        r2, low, high = _r2(truth, left_out, rng)
        rmse = float(np.sqrt(np.mean((truth - left_out) ** 2)))
        predicted = nothing if low <= 0 else _fitted(features[judged], truth, features)
    return Learned(np.clip(predicted, truth.min(), truth.max()), len(judged), r2, (low, high), rmse)


def _features(vectors: NDArray[np.float32] | None, signals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signals with mean 0 and deviation 1; vectors scaled so that all their dimensions together vary as much as one."""
    columns = [column for column in np.asarray(signals, dtype=float).T if not np.isnan(column).all()]
    filled = [np.where(np.isnan(column), np.nanmedian(column), column) for column in columns]
    parts = [(column - column.mean())[:, None] / (column.std() or 1.0) for column in filled]
    if vectors is not None:
        centred = np.asarray(vectors, dtype=float) - vectors.mean(axis=0, dtype=float)
        parts.append(centred / (np.sqrt((centred**2).sum(axis=1).mean()) or 1.0))
    return np.hstack(parts) if parts else np.zeros((len(signals), 1))


def _fitted(
    features: NDArray[np.float64], scores: NDArray[np.float64], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    from sklearn.linear_model import RidgeCV

    return np.asarray(RidgeCV(alphas=PENALTIES).fit(features, scores).predict(wanted), dtype=float)


def _r2(
    truth: NDArray[np.float64], left_out: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float, float]:
    """R2 and its percentile interval; against the mean of each resample."""
    error = (truth - left_out) ** 2
    n = len(truth)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
    variance = drawn @ truth**2 - (drawn @ truth) ** 2
    ratios = 1 - (drawn @ error) / np.maximum(variance, 1e-12)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(1 - error.mean() / truth.var()), float(low), float(high)
