"""A smooth dose-response curve, and the dose that is most worth training next.

A Gaussian process (Rasmussen and Williams 2006, chapter 2) with a Matern-5/2 kernel on the square root of the dose, for
responses bend most near 0. The arms share the holdout, so their errors are correlated: the bootstrap covariance of all
arms is the noise. Length and height of the bends are not fitted to three or five points but averaged over, with weights
by marginal likelihood and weak priors, which keeps the band honest where little is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posology.evaluation.metrics import Floats

N_GRID = 41
LENGTHS = np.geomspace(0.08, 2.0, 12)  # of sqrt(dose), which runs from 0 to 1
HEIGHTS = np.geomspace(0.005, 0.5, 12)  # of accuracy
LENGTH_PRIOR = (np.log(0.5), 0.7)  # mean and deviation of the logarithm
HEIGHT_PRIOR = (np.log(0.08), 1.0)
LEVEL_VARIANCE = 0.25  # of the mean level around the arms' average: as good as unknown
LEAST_WEIGHT = 1e-3  # a model below this share of the posterior is left out
N_NODES = 48  # of the quadrature over a new observation


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve on an even grid of doses.

    Attributes:
        method: What it is, in words.
        doses: Grid from 0 to the largest dose trained.
        mean: Accuracy expected at each.
        low: Lower end of the pointwise 95 % band.
        high: Upper end.
    """

    method: str
    doses: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """The `curve` part of `sweep/dose_response.json`."""
        rounded = {name: [round(v, 6) for v in getattr(self, name)] for name in ("doses", "mean", "low", "high")}
        return {"method": self.method, **rounded}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A dose worth training.

    Attributes:
        dose: The dose.
        gain: Accuracy that knowing it is expected to add to the best dose.
    """

    dose: float
    gain: float


def fit_curve(doses: Sequence[float], accuracy: Floats, covariance: Floats) -> Curve | None:
    """Draws the curve through the arms.

    Args:
        doses: Actual doses of A arms, in any order; several arms may share one.
        accuracy: Shape (A,).
        covariance: Of the accuracies, shape (A, A), positive definite.

    Returns:
        The curve with its band, within [0, 1]; None for fewer than two different doses.
    """
    if len(set(doses)) < 2:
        return None
    grid = np.linspace(0.0, max(doses), N_GRID)
    models = _Models.conditioned(np.asarray(doses, dtype=np.float64), accuracy, covariance)
    gain = models.gain(grid)
    means = models.centre + gain @ models.residual
    prior = models.heights[:, None] ** 2 + LEVEL_VARIANCE
    variances = prior - (gain * models.kernel(grid, models.doses)).sum(axis=2)
    mean = models.weights @ means
    # Variance of the mixture: what each model leaves open, and what the models disagree on.
    variance = models.weights @ (np.maximum(variances, 0.0) + np.square(means - mean))
    half = 1.959964 * np.sqrt(variance)
    rows = (np.clip(row, 0.0, 1.0) for row in (mean, mean - half, mean + half))
    centre, low, high = (tuple(row.tolist()) for row in rows)
    method = "Gaussian process, Matern-5/2 on the square root of the dose, pointwise 95 % band"
    return Curve(method, tuple(grid.tolist()), centre, low, high)


def next_dose(
    doses: Sequence[float],
    accuracy: Floats,
    covariance: Floats,
    *,
    step: float = 0.05,
    highest: float = 1.0,
    min_gain: float = 0.0025,
) -> Proposal | None:
    """Proposes the dose whose result is worth most: the knowledge gradient for correlated beliefs.

    Frazier, Powell and Dayanik (2009): the value of an observation is by how much the posterior mean of the best choice
    is expected to rise through it. Choices are the doses trained so far and the proposed one, for nothing else could be
    recommended after it. The new arm will answer the same holdout, so it is assumed to have the average variance of the
    others and their average covariance.

    Args:
        doses: Doses of the selected arms trained so far.
        accuracy: Shape (A,).
        covariance: Of the accuracies, shape (A, A), positive definite.
        step: Doses are proposed on a grid of this step.
        highest: None above this, because the pool holds no more, or by choice.
        min_gain: Stop when no dose promises more than this; a quarter of a point by default.

    Returns:
        The best proposal, or None: every dose is trained, or none is worth it.
    """
    trained = np.asarray(doses, dtype=np.float64)
    grid = np.round(np.arange(1, int(1 / step + 1e-9) + 1) * step, 9)
    grid = grid[(grid <= highest + 1e-9) & (np.abs(grid[:, None] - trained).min(axis=1) > step / 2)]
    if not len(grid):
        return None
    size = len(trained)
    variance = float(np.trace(covariance)) / size
    shared = float(covariance.sum() - np.trace(covariance)) / (size * (size - 1)) if size > 1 else 0.0
    models = _Models.conditioned(trained, accuracy, covariance)
    nodes, masses = np.polynomial.hermite_e.hermegauss(N_NODES)
    gains = np.zeros(len(grid))
    for i, dose in enumerate(grid):
        choices = np.append(trained, dose)
        gain = models.gain(choices)
        means = models.centre + gain @ models.residual
        seen = (
            models.kernel(choices[-1:], trained)[:, 0] + shared
        )  # covariance of the new observation with the old ones
        known = np.einsum("mi,mij,mj->m", seen, models.inverse, seen)
        spread = models.heights**2 + LEVEL_VARIANCE + variance - known
        slopes = models.kernel(choices, choices[-1:])[:, :, 0] - np.einsum("mci,mi->mc", gain, seen)
        slopes /= np.sqrt(np.maximum(spread, 1e-12))[:, None]
        best = (means[:, :, None] + slopes[:, :, None] * nodes).max(axis=1) @ (masses / masses.sum())
        gains[i] = models.weights @ np.maximum(best - means[:, :-1].max(axis=1), 0.0)
    i = int(gains.argmax())
    return Proposal(float(grid[i]), float(gains[i])) if gains[i] >= min_gain else None


@dataclass(frozen=True, slots=True)
class _Models:
    """M Gaussian processes, conditioned on the same A arms.

    Attributes:
        weights: Posterior weights, shape (M,), sum to 1.
        lengths: Shape (M,).
        heights: Shape (M,).
        doses: Shape (A,).
        centre: Average of the arms, around which the level is free.
        residual: The arms less `centre`, shape (A,).
        inverse: Of the covariance of the arms' accuracies under each model, noise included, shape (M, A, A).
    """

    weights: Floats
    lengths: Floats
    heights: Floats
    doses: Floats
    centre: float
    residual: Floats
    inverse: Floats

    @classmethod
    def conditioned(cls, doses: Floats, accuracy: Floats, covariance: Floats) -> _Models:
        """The models that the arms leave possible."""
        lengths, heights = (axis.ravel() for axis in np.meshgrid(LENGTHS, HEIGHTS))
        centre = float(accuracy.mean())
        residual = accuracy - centre
        total = _kernel(doses, doses, lengths, heights) + covariance + 1e-12 * np.eye(len(doses))
        inverse = np.linalg.inv(total)
        log_likelihood = -0.5 * (np.linalg.slogdet(total)[1] + np.einsum("i,mij,j->m", residual, inverse, residual))
        prior = ((np.log(lengths) - LENGTH_PRIOR[0]) / LENGTH_PRIOR[1]) ** 2
        prior += ((np.log(heights) - HEIGHT_PRIOR[0]) / HEIGHT_PRIOR[1]) ** 2
        posterior = log_likelihood - 0.5 * prior
        weights = np.exp(posterior - posterior.max())
        kept = weights > LEAST_WEIGHT * weights.sum()
        weights = weights[kept] / weights[kept].sum()
        return cls(weights, lengths[kept], heights[kept], doses, centre, residual, inverse[kept])

    def kernel(self, first: Floats, second: Floats) -> Floats:
        """Prior covariance, shape (M, len(first), len(second))."""
        return _kernel(first, second, self.lengths, self.heights)

    def gain(self, choices: Floats) -> Floats:
        """How the expected accuracy of each choice answers to each arm's residual, shape (M, C, A)."""
        result: Floats = self.kernel(choices, self.doses) @ self.inverse
        return result


def _kernel(first: Floats, second: Floats, lengths: Floats, heights: Floats) -> Floats:
    distance = np.sqrt(5.0) * np.abs(np.sqrt(first)[:, None] - np.sqrt(second)) / lengths[:, None, None]
    bend = heights[:, None, None] ** 2 * (1 + distance + distance**2 / 3) * np.exp(-distance)
    result: Floats = bend + LEVEL_VARIANCE
    return result
