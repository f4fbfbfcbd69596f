"""What the gain is worth in real labels: how many more of them would have bought it, and what they cost.

Accuracy on real data alone follows a power law a - b n^-c over the range that matters (Cortes et al. 1993; Figueroa et
al. 2012; Viering and Loog 2023 on its limits). Trained on growing parts of the real data, the model shows the law; the
gain of the recommended dose is then read off it, starting from all real data. An answer far outside the measured range
would be invention, so none is given beyond ten times the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posology.evaluation.metrics import Bools, Floats, Ints, wilson
from posology.evaluation.resampling import Estimate, draw_counts

EXPONENTS = np.geomspace(0.05, 2.0, 120)
MOST = 10  # times the real data: beyond, a number would be invention
FEWEST_SIZES = 3  # a law of three numbers


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """Variants trained on a part of the real data alone.

    Attributes:
        n_real: Real conversations in each part.
        correct: Shape (S, n), one row a random part; True where a holdout conversation is answered right.
    """

    n_real: int
    correct: Bools


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Accuracy a - b n^-c of a model trained on n real conversations.

    Attributes:
        a: Accuracy with endless data, at most 1.
        b: Height of the rise, at least 0.
        c: Its speed, in [0.05, 2].
    """

    a: float
    b: float
    c: float


@dataclass(frozen=True, slots=True)
class LabelValue:
    """The gain at the recommended dose, in real labels.

    Attributes:
        label_cost: Price of one real label.
        currency: Its currency.
        curve: Size and accuracy of each point, with its interval.
        fit: The law, None with fewer than three sizes.
        equivalent_labels: How many more real labels would give the same gain; None where that cannot be said.
        ci95: Its bootstrap interval; the upper end is None where it is out of range.
        note: The answer as a sentence.
    """

    label_cost: float
    currency: str
    curve: tuple[tuple[int, Estimate], ...]
    fit: PowerLaw | None
    equivalent_labels: int | None
    ci95: tuple[int, int | None] | None
    note: str

    def to_json(self) -> dict[str, object]:
        """The `labels` part of `sweep/dose_response.json`."""
        fit = self.fit
        return {
            "label_cost": self.label_cost,
            "currency": self.currency,
            "learning_curve": [
                {"n_real": n, "accuracy": round(e.mean, 6), "ci95": [round(e.low, 6), round(e.high, 6)]}
                for n, e in self.curve
            ],
            "fit": fit and {"law": "a - b*n^-c", "a": round(fit.a, 6), "b": round(fit.b, 6), "c": round(fit.c, 6)},
            "equivalent_labels": self.equivalent_labels,
            "ci95": self.ci95 and list(self.ci95),
            "saved": None if self.equivalent_labels is None else round(self.equivalent_labels * self.label_cost, 2),
            "note": self.note,
        }


def value_in_labels(
    points: Sequence[LearningPoint],
    groups: Ints,
    *,
    real_only: Bools,
    recommended: Bools | None,
    n_real: int,
    label_cost: float,
    currency: str,
    draws: int = 1000,
    seed: int = 0,
) -> LabelValue:
    """Says how many more real labels the gain equals.

    Conversations (by group) and parts of the data are resampled as in `posology.evaluation.resampling`, the law is
    fitted and the gain measured anew in each draw, and the percentiles of the answers are the interval.

    Args:
        points: At least three sizes, or no law is fitted.
        groups: Shape (n,), near-duplicates of the holdout.
        real_only: Shape (S, n): where dose 0 is right.
        recommended: Shape (S, n): where the recommended dose is right; None if dose 0 is recommended.
        n_real: Real training conversations in the sweep.
        label_cost: Price of one real label.
        currency: Its currency.
        draws: Bootstrap draws.
        seed: Of the draws.

    Returns:
        The value, or why there is none.
    """
    points = sorted(points, key=lambda point: point.n_real)
    group = np.unique(groups, return_inverse=True)[1].reshape(-1)
    rng = np.random.default_rng([seed, 3])
    after = real_only if recommended is None else recommended
    rows = [*(point.correct for point in points), real_only, after]
    means = np.array([row.mean() for row in rows])
    replicates = _replicates(rows, group, rng, draws)
    errors = (replicates - means).std(axis=0)
    curve = tuple(
        (point.n_real, _estimate(mean, error, int(group.max()) + 1))
        for point, mean, error in zip(points, means, errors, strict=False)
    )
    sizes = np.array([point.n_real for point in points], dtype=np.float64)
    fit = None
    labels: int | None = None
    ci95: tuple[int, int | None] | None = None
    if len(set(sizes.tolist())) >= FEWEST_SIZES:
        measured = np.vstack([means, replicates])
        laws = fit_power_law(sizes, measured[:, :-2])
        fit = PowerLaw(*(float(v[0]) for v in laws))
        answers = _labels_for(measured[:, -1] - measured[:, -2], laws, n_real)
        if recommended is not None and means[-1] > means[-2]:
            labels = round(float(answers[0])) if np.isfinite(answers[0]) else None
            low, high = np.quantile(answers[1:], [0.025, 0.975], method="inverted_cdf")
            # An unbounded lower end is the cap itself: at least so many, in 97.5 % of the draws.
            ci95 = (round(min(float(low), MOST * n_real)), round(float(high)) if np.isfinite(high) else None)
    note = _note(fit, labels, ci95, gain=means[-1] - means[-2], n_real=n_real, asked=recommended is not None)
    return LabelValue(label_cost, currency, curve, fit, labels, ci95, note)


def fit_power_law(sizes: Floats, accuracy: Floats) -> tuple[Floats, Floats, Floats]:
    """Least squares of a - b n^-c with a <= 1, b >= 0 and c in [0.05, 2].

    For a given c the law is linear in a and b (variable projection, Golub and Pereyra 1973), so c is searched on a grid
    and the rest is in closed form: no starting values, no local minimum, and all bootstrap draws at once.

    Args:
        sizes: Shape (P,), at least two different ones.
        accuracy: Shape (R, P), R curves.

    Returns:
        a, b and c, shape (R,) each.
    """
    x = (sizes / sizes.max()) ** -EXPONENTS[:, None]  # (C, P), 1 at the largest size
    centred = x - x.mean(axis=1, keepdims=True)
    level = accuracy.mean(axis=1)
    b = -(centred @ accuracy.T) / np.square(centred).sum(axis=1, keepdims=True)  # (C, R)
    b = np.maximum(b, 0.0)
    a = level + b * x.mean(axis=1, keepdims=True)
    bound = (x @ (1 - accuracy).T) / np.square(x).sum(axis=1, keepdims=True)
    b = np.where(a > 1, np.maximum(bound, 0.0), b)
    a = np.minimum(a, 1.0)
    error = np.square(a[..., None] - b[..., None] * x[:, None, :] - accuracy).sum(axis=2)
    best = error.argmin(axis=0), np.arange(len(accuracy))
    c = EXPONENTS[best[0]]
    return a[best], b[best] * sizes.max() ** c, c


def _labels_for(gain: Floats, laws: tuple[Floats, Floats, Floats], n_real: int) -> Floats:
    """More labels that raise the fitted accuracy at `n_real` by `gain`, 0 for no gain, infinite out of range."""
    a, b, c = laws
    left = b * float(n_real) ** -c - gain  # how far below the asymptote the answer lies
    reachable = (left > 0) & (b > 0)
    ratio = np.divide(b, left, out=np.ones_like(a), where=reachable)
    with np.errstate(over="ignore"):
        more = np.where(reachable, ratio ** (1 / c) - n_real, np.inf)
    more = np.where(gain <= 0, 0.0, more)
    result: Floats = np.where(more > MOST * n_real, np.inf, more)
    return result


def _replicates(rows: Sequence[Bools], group: Ints, rng: np.random.Generator, draws: int) -> Floats:
    """Accuracy of each row of variants over resampled conversations and repetitions, shape (B, rows)."""
    weights = draw_counts(rng, int(group.max()) + 1, draws)
    sizes = weights @ np.bincount(group)
    columns = []
    for row in rows:
        by_seed = row.mean(axis=1)
        items = weights @ np.bincount(group, row.mean(axis=0)) / sizes
        drawn = draw_counts(rng, len(row), draws) / max(len(row) - 1, 1)
        columns.append(items + drawn @ (by_seed - by_seed.mean()))
    return np.stack(columns, axis=1)


def _estimate(mean: float, error: float, n_groups: int) -> Estimate:
    size = float(n_groups)
    if error > 0 and 0 < mean < 1:
        size = min(size, mean * (1 - mean) / error**2)
    return Estimate(float(mean), *wilson(float(mean), size))


def _note(
    fit: PowerLaw | None,
    labels: int | None,
    ci95: tuple[int, int | None] | None,
    *,
    gain: float,
    n_real: int,
    asked: bool,
) -> str:
    if not asked:
        return "Real data alone is recommended, so there is no gain to express in labels."
    if fit is None:
        return f"A learning curve needs at least {FEWEST_SIZES} sizes of real data."
    if gain <= 0:
        return "The recommended dose shows no gain to express in labels."
    if labels is None or ci95 is None:
        why = "more than real data is fitted ever to reach" if _beyond(fit, gain, n_real) else "out of range"
        return f"The gain equals more than {MOST * n_real:,} further real labels ({why}), so no number is given."
    low, high = ci95
    to = f"{high:,}" if high is not None else f"more than {MOST * n_real:,}"
    return f"The gain equals about {labels:,} further real labels (95 % interval {low:,} to {to})."


def _beyond(fit: PowerLaw, gain: float, n_real: int) -> bool:
    return bool(gain >= fit.b * float(n_real) ** -fit.c)
