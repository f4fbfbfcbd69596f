"""Calibration: what scores are worth, measured on human labels.

The composite is a weighted mean of scores. Its weights are the configured ones, or fitted: a logistic regression whose
weights cannot be negative, drawn towards the configured weights (equal weights are hard to beat with few labels: Dawes,
"The robust beauty of improper linear models", 1979). Fitted weights are used only where they predict labels that they
did not see better than the configured ones. All figures of the composite are cross-validated; those of single scores
need no fitting and are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.verification.measures import Measure, measure
from posology.verification.precision import Threshold, threshold

FOLDS, REPEATS = 5, 5
PENALTY = 1.0
"""Strength of the pull towards the configured weights, in labels."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learned from labels.

    Attributes:
        n: Labels.
        n_good: Those that say good.
        weights: Of the composite; they sum to 1.
        fitted: Whether these were fitted, or are the configured ones since fitting did not help.
        loss: Mean log loss, cross-validated, of fitted and configured weights, and of always saying the base rate.
        slope: From composite to log odds of good.
        intercept: Likewise.
        measures: Of every single score.
        whole: Of the composite, cross-validated; its probability is `probability` of the composite.
        threshold: For the wanted precision, if one was.
    """

    n: int
    n_good: int
    weights: Mapping[str, float]
    fitted: bool
    loss: Mapping[str, float]
    slope: float
    intercept: float
    measures: tuple[Measure, ...]
    whole: Measure
    threshold: Threshold | None = None

    def probability(self, value: float) -> float:
        """That a candidate with this composite is good."""
        return float(_sigmoid(np.array(self.intercept + self.slope * value)))

    def to_json(self) -> dict[str, Any]:
        """For files."""
        found = asdict(self)
        if self.threshold is not None:
            found["threshold"]["summary"] = self.threshold.summary
        return found


def calibrate(
    scores: Sequence[Mapping[str, float | None]],
    good: Sequence[bool],
    *,
    stands_for: Array | None = None,
    passed: Sequence[bool] | None = None,
    weights: Mapping[str, float] | None = None,
    precision: float | None = None,
    floor: float = 0.5,
    seed: int = 0,
) -> Calibration:
    """Measures scores, and the composite, on labelled candidates.

    Args:
        scores: In [0, 1], of each labelled candidate; None where there is none.
        good: What a person said of each; both answers must occur.
        stands_for: How many candidates each label stands for (`labels.weights_of`); equal if None.
        passed: Whether each passed all checks; the threshold is for these. None: all did.
        weights: The configured weights; all equal if None.
        precision: What precision is wanted, in (0, 1).
        floor: At which a single score says good.
        seed: Of the folds.
    """
    truth = np.array(good, dtype=bool)
    if truth.all() or not truth.any():
        raise ValueError("both good and bad candidates are needed")
    case = np.ones(len(truth)) if stands_for is None else stands_for * len(truth) / stands_for.sum()
    kept = np.ones(len(truth), dtype=bool) if passed is None else np.array(passed, dtype=bool)
    names = sorted({name for row in scores for name, score in row.items() if score is not None})
    if not names:
        raise ValueError("no candidate has a score")
    columns = np.array(
        [[np.nan if (s := row.get(name)) is None else s for name in names] for row in scores], dtype=float
    )
    prior = _prior(names, weights)
    loss, probabilities, values = _cross_validated(columns, truth, case, prior, seed)
    fitted = loss["fitted"] < loss["configured"]
    chosen, slope, intercept = _fit(columns, truth, case, prior, free=fitted)
    mode = "fitted" if fitted else "configured"
    measures = tuple(measure(name, columns[:, place], truth, case, floor) for place, name in enumerate(names))
    return Calibration(
        n=len(truth),
        n_good=int(truth.sum()),
        weights=dict(zip(names, map(float, chosen), strict=True)),
        fitted=fitted,
        loss=loss,
        slope=slope,
        intercept=intercept,
        measures=measures,
        whole=measure("composite", probabilities[mode], truth, case, 0.5),
        threshold=None
        if precision is None
        else threshold(np.where(kept, values[mode], np.nan), truth, case, precision),
    )


def _prior(names: Sequence[str], weights: Mapping[str, float] | None) -> Array:
    prior = np.array([1.0 if not weights else weights.get(name, 0.0) for name in names])
    return prior / prior.sum() if prior.sum() > 0 else np.full(len(names), 1 / len(names))


def _cross_validated(
    columns: Array, truth: NDArray[np.bool_], case: Array, prior: Array, seed: int
) -> tuple[dict[str, float], dict[str, Array], dict[str, Array]]:
    """Log losses, probabilities and composites of candidates that the weights did not see, averaged over repeats."""
    n, rng = len(truth), np.random.default_rng(seed)
    folds = max(2, min(FOLDS, int(truth.sum()), int((~truth).sum())))
    probabilities = {mode: np.zeros(n) for mode in ("fitted", "configured")}
    values = {mode: np.zeros(n) for mode in probabilities}
    for _ in range(REPEATS):
        fold = np.empty(n, dtype=int)
        for side in (truth, ~truth):  # each fold has its share of both
            fold[side] = rng.permutation(np.arange(side.sum()) % folds)
        for held in range(folds):
            train, test = fold != held, fold == held
            if truth[train].all() or not truth[train].any():
                train = np.ones(n, dtype=bool)  # the only one of its kind cannot be left out
            for mode in probabilities:
                weights, slope, intercept = _fit(
                    columns[train], truth[train], case[train], prior, free=mode == "fitted"
                )
                value = _composites(columns[test], weights)
                values[mode][test] += value / REPEATS
                expected = np.where(np.isnan(value), 0.0, intercept + slope * np.nan_to_num(value))
                probabilities[mode][test] += _sigmoid(expected) / REPEATS
    base = np.full(n, np.average(truth, weights=case))
    loss = {mode: _log_loss(found, truth, case) for mode, found in {**probabilities, "base_rate": base}.items()}
    return loss, probabilities, values


def _fit(
    columns: Array, truth: NDArray[np.bool_], case: Array, prior: Array, *, free: bool
) -> tuple[Array, float, float]:
    """Weights (summing to 1), slope and intercept of the logistic regression of good on the weighted mean.

    Without `free`, the weights are the configured ones, and slope and intercept alone are fitted (Platt, 1999).
    """
    from scipy.optimize import minimize

    weights = prior
    filled = np.where(np.isnan(columns), _composites(columns, prior)[:, None], columns)
    middle = np.nan_to_num(np.nanmean(filled, axis=0) if not np.isnan(filled).all() else np.zeros(len(prior)))
    filled = np.where(np.isnan(filled), middle, filled)
    if free:

        def cost(at: Array) -> tuple[float, Array]:
            total = at[1:].sum()
            pull = at[1:] - total * prior
            chance = _sigmoid(at[0] + filled @ at[1:])
            off = case * (chance - truth)
            slope = filled.T @ off + 2 * PENALTY * (pull - (pull @ prior))
            value = _log_loss(chance, truth, case) * len(truth) + PENALTY * pull @ pull + 1e-3 * total**2
            return float(value), np.r_[off.sum(), slope + 2e-3 * total]

        bounds = [(None, None), *[(0, None)] * len(prior)]
        found = minimize(cost, np.r_[0.0, prior], jac=True, bounds=bounds, method="L-BFGS-B").x[1:]
        weights = found / found.sum() if found.sum() > 1e-9 else prior
    return weights, *_platt(_composites(columns, weights), truth, case)


def _platt(values: Array, truth: NDArray[np.bool_], case: Array) -> tuple[float, float]:
    """Slope (0 or more) and intercept from composite to log odds."""
    from scipy.optimize import minimize

    scored = ~np.isnan(values)
    values, target, mass = values[scored], truth[scored].astype(float), case[scored]
    if not len(values):
        return 0.0, 0.0

    def cost(at: Array) -> tuple[float, Array]:
        chance = _sigmoid(at[0] + at[1] * values)
        off = mass * (chance - target)
        loss = -(mass * (target * np.log(chance + 1e-12) + (1 - target) * np.log(1 - chance + 1e-12))).sum()
        return float(loss + 1e-3 * at[1] ** 2), np.array([off.sum(), off @ values + 2e-3 * at[1]])

    found = minimize(cost, np.zeros(2), jac=True, bounds=[(None, None), (0, None)], method="L-BFGS-B").x
    return float(found[1]), float(found[0])


def _composites(columns: Array, weights: Array) -> Array:
    """The composite of each row, NaN where nothing that weighs was scored."""
    there = ~np.isnan(columns) * weights
    whole = there.sum(axis=1)
    return np.where(whole > 0, (np.nan_to_num(columns) * there).sum(axis=1) / np.maximum(whole, 1e-12), np.nan)


def _log_loss(chance: Array, truth: NDArray[np.bool_], case: Array) -> float:
    chance = np.clip(chance, 1e-12, 1 - 1e-12)
    return float(np.average(-np.where(truth, np.log(chance), np.log(1 - chance)), weights=case))


def _sigmoid(value: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -500, 500))))
