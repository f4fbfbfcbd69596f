"""The verdict: which dose to train with, or to stay with real data alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from posology.evaluation.metrics import Bools, Floats
from posology.evaluation.paired import Contrasts, contrasts, difference_matrix
from posology.evaluation.resampling import Scores

Status = Literal["better", "no_worse", "inconclusive", "harmful"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do.

    Attributes:
        dose: The dose to train with; 0 unless the status is `better`.
        status: `better`: this dose beats real data alone. `no_worse`: none does, but some dose costs less than the
            margin. `harmful`: even the best dose is worse. `inconclusive`: this holdout cannot say.
        reason: The numbers behind it, one or two sentences.
        prob_best: For each selected dose, the share of bootstrap draws in which it was the most accurate.
    """

    dose: float
    status: Status
    reason: str
    prob_best: Mapping[float, float]

    def to_json(self) -> dict[str, object]:
        """The `recommendation` part of `sweep/dose_response.json`."""
        return {
            "dose": self.dose,
            "status": self.status,
            "reason": self.reason,
            "prob_best": {f"{dose:g}": round(p, 6) for dose, p in self.prob_best.items()},
        }


def recommend(
    doses: Sequence[float],
    scores: Scores,
    family: Contrasts,
    *,
    dosed: Bools,
    resolvable: float,
    margin: float = 0.02,
    alpha: float = 0.05,
) -> Recommendation:
    """Decides, and in doubt decides for real data alone.

    A dose is better if its simultaneous interval lies above 0, its adjusted p-value is below `alpha` and its gain is no
    smaller than what the holdout can resolve. Of the better doses the smallest is taken that lies within one standard
    error (of the paired difference) of the most accurate of them: the one-standard-error rule (Breiman et al. 1984),
    since a smaller dose is cheaper and further from collapse.

    A dose of 1 is an experiment that shows how far synthetic data carries alone; since real data is never thrown away,
    it is recommended only where no other dose was tried.

    Args:
        doses: The selected doses, ascending, 0 first.
        scores: Accuracy of these arms, in this order.
        family: Contrasts of all but the first against dose 0, in this order, judged together with whatever other arms
            were trained.
        dosed: Which of `doses` really hold synthetic data, shape as `doses`; an empty pool leaves none.
        resolvable: The smallest resolvable difference.
        margin: Loss of accuracy up to which a dose counts as no worse.
        alpha: Level of the adjusted p-values.

    Returns:
        The verdict.
    """
    chance = prob_best(doses, scores)
    arms = np.flatnonzero(dosed[1:]).tolist()  # positions in the family; the dose stands one further
    if not arms:
        reason = "No arm holds any synthetic data, so there is nothing to compare with real data alone."
        return Recommendation(0.0, "inconclusive", reason, chance)
    sure = family.significant(alpha)
    arms = [i for i in arms if doses[i + 1] < 1] or arms
    better = [i for i in arms if sure[i] and family.low[i] > 0 and family.mean[i] >= resolvable]
    if better:
        i, best = _smallest_near_best(better, scores)
        return Recommendation(doses[i + 1], "better", _why_better(doses, family, i, best), chance)
    best = max(arms, key=lambda i: (round(float(family.mean[i]), 9), -i))
    effect = f"{_points(family.mean[best])} {_interval(family, best)}"
    if sure[best] and family.high[best] < 0:
        reason = f"Every dose does harm: even the best, {doses[best + 1]:g}, changes accuracy by {effect}."
        return Recommendation(0.0, "harmful", f"{reason} Keep real data only.", chance)
    reason = f"No dose is shown to be better: the best, {doses[best + 1]:g}, changes accuracy by {effect}."
    harmless = [i for i in arms if family.low[i] > -margin]
    if harmless:
        largest = max(harmless, key=lambda i: doses[i + 1])
        where = "" if largest == best else f" {_interval(family, largest)}"
        reason += (
            f" {doses[largest + 1]:g} is the largest dose for which a loss of {_size(margin)} is ruled out{where}; "
            "without another reason for synthetic data, keep real data only."
        )
        return Recommendation(0.0, "no_worse", reason, chance)
    reason += f" Below {_size(resolvable)} a gain cannot be told from 0 on this holdout. Keep real data only."
    return Recommendation(0.0, "inconclusive", reason, chance)


def prob_best(doses: Sequence[float], scores: Scores) -> dict[float, float]:
    """Share of bootstrap draws in which each dose is the most accurate; the smaller dose wins a tie.

    Args:
        doses: Ascending.
        scores: One metric of these arms, in this order.

    Returns:
        By dose; sums to 1.
    """
    drawn = np.round(scores.mean + scores.deviations, 9)
    if not len(drawn):
        drawn = np.round(scores.mean, 9)[None, :]
    wins: Floats = np.bincount(drawn.argmax(axis=1), minlength=len(doses)) / len(drawn)
    return dict(zip(doses, wins.tolist(), strict=True))


def _smallest_near_best(better: Sequence[int], scores: Scores) -> tuple[int, int]:
    """Positions (in the family) of the dose to take and of the most accurate one."""
    best = max(better, key=lambda i: (round(float(scores.mean[i + 1]), 9), -i))
    behind = contrasts(scores, difference_matrix([(best + 1, i + 1) for i in better], len(scores.mean)))
    near = [i for i, gap, se in zip(better, behind.mean, behind.se, strict=True) if gap <= se]
    return near[0], best


def _why_better(doses: Sequence[float], family: Contrasts, i: int, best: int) -> str:
    p = family.p_adjusted[i]
    reason = (
        f"Dose {doses[i + 1]:g} changes accuracy by {_points(family.mean[i])} against real data alone "
        f"{_interval(family, i)}, adjusted p {p:.2g}."
    )
    if i == best:
        return f"{reason} No smaller dose that is better comes within one standard error of it."
    return (
        f"{reason} It is the smallest dose within one standard error of the most accurate, "
        f"{doses[best + 1]:g} ({_points(family.mean[best])})."
    )


def _points(difference: float) -> str:
    return f"{_percent(difference):+.1f} points"


def _size(difference: float) -> str:
    return f"{_percent(difference):.1f} points"


def _interval(family: Contrasts, i: int) -> str:
    return f"(simultaneous 95 % interval {_percent(family.low[i]):+.1f} to {_percent(family.high[i]):+.1f})"


def _percent(share: float) -> float:
    """In hundredths, without the rounding error that would decide whether -1.25 is written as -1.2 or -1.3."""
    return round(100 * float(share), 6)
