"""What else a judge's scores follow, beside the candidate: the order of the criteria, its length, or nothing at all.

Judges prefer places and lengths (Wang et al., "Large Language Models are not Fair Evaluators", 2023; Dubois et al.,
"Length-Controlled AlpacaEval", 2024). Each check has an interval and a size below which it does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.verification.judging.questions import Ruling
from posology.verification.judging.replies import Judgement

SAME, FEWEST = 0.99, 20
"""A judge is uninformative if so large a share of at least so many scores is one and the same."""
SHIFT = 0.25
"""Points on the scale that a swap of the order may move a score on average."""
STRONG = 0.3
"""Partial correlation with length above which a judge is said to go by length."""


@dataclass(frozen=True, slots=True)
class OrderEffect:
    """How scores of one criterion change when the criteria are asked in the opposite order.

    Attributes:
        n: Candidates scored both ways.
        shift: Mean of first order minus opposite order, in points.
        ci95: Its interval, simultaneous over the criteria of a judge (Bonferroni).
        changed: Share of candidates whose score changed at all.
    """

    n: int
    shift: float
    ci95: tuple[float, float]
    changed: float

    @property
    def matters(self) -> bool:
        """Whether the shift is there, and of a size that matters."""
        return (self.ci95[0] > 0 or self.ci95[1] < 0) and abs(self.shift) >= SHIFT


@dataclass(frozen=True, slots=True)
class LengthEffect:
    """How a judge's scores go with length.

    Attributes:
        n: Candidates.
        correlation: Spearman's, of score and length.
        partial: The same with other signals of quality held constant.
        ci95: Interval of `partial` (Fisher's z).
    """

    n: int
    correlation: float
    partial: float
    ci95: tuple[float, float]

    @property
    def matters(self) -> bool:
        """Whether length moves scores, beyond what the other signals explain."""
        return (self.ci95[0] > 0 or self.ci95[1] < 0) and abs(self.partial) >= STRONG


def uninformative(judgements: Sequence[Judgement]) -> int | None:
    """The score that a judge gives to everything, on all criteria; None if its scores say something.

    Args:
        judgements: All of one judge.
    """
    by_name: dict[str, Counter[int]] = {}
    for judgement in judgements:
        for name, score in judgement.scores.items():
            by_name.setdefault(name, Counter())[score] += 1
    found = [counts for counts in by_name.values() if counts.total() >= FEWEST]
    if not found or any(counts.most_common(1)[0][1] < SAME * counts.total() for counts in found):
        return None
    whole: Counter[int] = sum(found, Counter())
    return whole.most_common(1)[0][0]


def one_sided(rulings: Sequence[Ruling]) -> str | None:
    """The place, `first` or `second`, whose topic a judge always chooses; None if its choices say something.

    Which topic stands first is as good as random, so such a judge goes by the place.

    Args:
        rulings: All of one judge.
    """
    said = Counter(ruling.said for ruling in rulings if ruling.said in ("first", "second"))
    if said.total() < FEWEST:
        return None
    place, n = said.most_common(1)[0]
    return place if n >= SAME * said.total() else None


def order_effects(forwards: Sequence[Judgement], backwards: Sequence[Judgement]) -> Mapping[str, OrderEffect]:
    """What the order of the criteria does to a judge, by criterion.

    Args:
        forwards: Judgements in the usual order.
        backwards: The same judge on some of the same candidates, criteria in the opposite order.
    """
    from scipy.stats import t

    first = {judgement.id: judgement for judgement in forwards}
    shifts: dict[str, list[int]] = {}
    for second in backwards:
        before = first[second.id].scores if second.id in first else {}
        for name in before.keys() & second.scores.keys():
            shifts.setdefault(name, []).append(before[name] - second.scores[name])
    found = {}
    for name in sorted(shifts):
        values = np.array(shifts[name], dtype=float)
        if len(values) < 3:
            continue
        quantile = float(t.ppf(1 - 0.025 / len(shifts), len(values) - 1))
        mean, half = float(values.mean()), quantile * float(values.std(ddof=1)) / len(values) ** 0.5
        found[name] = OrderEffect(len(values), mean, (mean - half, mean + half), float((values != 0).mean()))
    return found


def length_effect(
    scores: NDArray[np.float64], lengths: NDArray[np.float64], others: NDArray[np.float64]
) -> LengthEffect | None:
    """What length does to a judge.

    Args:
        scores: A judge's mean score a candidate, shape (n,), NaN where there is none.
        lengths: Characters, shape (n,).
        others: Other signals of quality, such as data checks and the other judges, shape (n, k); columns with gaps are
            filled with their median.

    Returns:
        None where there are too few candidates, or nothing varies.
    """
    from scipy.stats import rankdata

    scored = ~np.isnan(scores)
    n = int(scored.sum())
    columns = [column for column in others[scored].T if not np.isnan(column).all()]
    if n < FEWEST + len(columns) or np.ptp(scores[scored]) == 0 or np.ptp(lengths[scored]) == 0:
        return None
    filled = [np.where(np.isnan(column), np.nanmedian(column), column) for column in columns]
    rank = np.column_stack([rankdata(values) for values in (scores[scored], lengths[scored], *filled)])
    plain = float(np.corrcoef(rank[:, 0], rank[:, 1])[0, 1])
    controls = np.column_stack([np.ones(n), rank[:, 2:]])
    residuals = rank[:, :2] - controls @ np.linalg.lstsq(controls, rank[:, :2], rcond=None)[0]
    if (residuals.std(axis=0) < 1e-9).any():
        return None
    partial = float(np.clip(np.corrcoef(residuals.T)[0, 1], -0.999999, 0.999999))
    z, half = np.arctanh(partial), 1.96 / np.sqrt(n - len(columns) - 3)
    return LengthEffect(n, plain, partial, (float(np.tanh(z - half)), float(np.tanh(z + half))))
