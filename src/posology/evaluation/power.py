"""What a holdout can tell apart: before training from assumptions, after it from the measured discordance."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from posology.evaluation.paired import Contrasts
from posology.evaluation.resampling import TINY, Scores

DIFFERENCES = (0.03, 0.06, 0.13)
ENOUGH = 0.80
TOO_MANY = 10_000_000


def smallest_resolvable_difference(scores: Scores, family: Contrasts) -> float:
    """The smallest observed difference whose simultaneous interval would leave out 0 on this holdout.

    A contrast whose groups disagree with mean square v varies with (v - d^2) / G if its mean is d, so the interval
    d +- c SE touches 0 at d^2 (1 + c^2/G) = c^2 v/G. v is taken as measured for the most accurate dose, since its
    difference is the one in question: discordance, seeds and near-duplicates are all in it. A dose that disagrees with
    dose 0 more often takes more. v is at least what d itself makes necessary: a difference takes discordant answers.

    Args:
        scores: Accuracy of all arms.
        family: The contrasts of the doses against dose 0; may be empty.

    Returns:
        A difference of accuracy in (0, 1]; what any difference would take, if no dose differs from dose 0.
    """
    from scipy.stats import t

    groups, seeds = len(scores.weights), scores.per_seed.shape[1]
    differing = np.flatnonzero(family.se**2 > scores.pseudo_variance * (1 + TINY))
    best = differing[np.round(family.mean[differing], 9).argmax()] if len(differing) else None
    critical = t.isf(0.025, max(groups - 1, 1)) if best is None else family.critical[best]
    square: float = float(critical) ** 2
    shrink = 1 + square / groups
    # The least discordance that a difference d takes is d, or d / S where single seeds may disagree.
    least = square / (groups * seeds)
    resolvable: float = (least + sqrt(least**2 + 4 * shrink * square * scores.pseudo_variance)) / (2 * shrink)
    if best is not None:
        mean_square = float(family.se[best] ** 2 + family.mean[best] ** 2 / groups)
        resolvable = max(resolvable, sqrt(square * mean_square / shrink))
    return min(resolvable, 1.0)


@dataclass(frozen=True, slots=True)
class Detectable:
    """What is known of one true difference.

    Attributes:
        difference: True gain in accuracy.
        power: Probability that it is found.
        n_for_80: Distinct holdout conversations that find it with probability 0.80.
    """

    difference: float
    power: float
    n_for_80: int


@dataclass(frozen=True, slots=True)
class Power:
    """What a holdout will be able to tell, said before anything is trained.

    Attributes:
        accuracy: Assumed accuracy of real data alone.
        discordance: Assumed share of conversations on which two arms differ in being right.
        source: Where the two come from, in words.
        detectable: One entry a difference.
        sentence: The same for people.
    """

    accuracy: float
    discordance: float
    source: str
    detectable: tuple[Detectable, ...]
    sentence: str

    def to_json(self) -> dict[str, object]:
        """The `power` part of `sweep/dose_response.json`."""
        return {
            "assumed": {
                "accuracy": round(self.accuracy, 6),
                "discordance": round(self.discordance, 6),
                "source": self.source,
            },
            "detectable": [
                {"difference": d.difference, "power": round(d.power, 6), "n_for_80": d.n_for_80}
                for d in self.detectable
            ],
            "sentence": self.sentence,
        }


def assumed_discordance(accuracy: float) -> float:
    """Discordance to plan with when none was measured: accuracy x (1 - accuracy).

    Two models of this accuracy whose errors are independent differ on 2 a (1 - a) of the conversations; two trained on
    largely the same data agree far more. We plan with half of independence. Linear heads trained with and without
    synthetic data on BANKING77 differ on a tenth to a third of what independence gives (cross-validated, training data
    alone), so this asks for more conversations than such a sweep will need; trainers that start from random weights
    come closer to it.

    Args:
        accuracy: Cross-validated accuracy of real data alone, in [0, 1].

    Returns:
        At least 0.02: an accuracy of 1 in cross-validation does not promise that no arm will differ.
    """
    return max(accuracy * (1 - accuracy), 0.02)


def power(difference: float, n: float, discordance: float, n_arms: int = 1) -> float:
    """Probability that a true difference is found significant (Miettinen 1968; Connor 1987).

    Args:
        difference: True gain, in (0, 1).
        n: Distinct conversations.
        discordance: Share on which the arms differ; taken as the difference itself where that is more.
        n_arms: Arms compared with dose 0; the family is allowed for by Sidak's quantile, which is never too small
            for correlated arms (Sidak 1967), so that the power is never overstated on this account.

    Returns:
        A probability.
    """
    from scipy.stats import norm

    variance = (max(discordance, difference) - difference**2) / n + 2 / n**2
    return float(norm.sf(_normal_quantile(n_arms) - difference / sqrt(variance)))


def power_statement(
    n: int, accuracy: float, *, n_arms: int, n_groups: int | None = None, discordance: float | None = None
) -> Power:
    """What the holdout can tell, before training.

    Args:
        n: Holdout conversations.
        accuracy: Expected accuracy of real data alone (cross-validated), in [0, 1].
        n_arms: Arms that will be compared with dose 0, controls included.
        n_groups: Groups of near-duplicates among the n; a group counts as one conversation.
        discordance: Measured or known discordance in [0, 1]; `assumed_discordance` without one.

    Returns:
        Power for true gains of 3, 6 and 13 points, with sizes for 80 % power.

    Raises:
        ValueError: A number is out of its range.
    """
    if n < 1 or n_arms < 1 or not 0 <= accuracy <= 1 or not 0 <= (discordance or 0) <= 1:
        raise ValueError("n and n_arms are at least 1, accuracy and discordance in [0, 1]")
    distinct = min(n_groups or n, n)
    assumed = assumed_discordance(accuracy) if discordance is None else discordance
    source = (
        "discordance assumed to be half of what independent errors would give"
        if discordance is None
        else "discordance given"
    )
    detectable = tuple(
        Detectable(d, power(d, distinct, assumed, n_arms), _size_for(d, assumed, n_arms)) for d in DIFFERENCES
    )
    return Power(accuracy, assumed, source, detectable, _sentence(distinct, assumed, detectable))


def _size_for(difference: float, discordance: float, n_arms: int) -> int:
    low, high = 1, TOO_MANY
    while low < high:
        middle = (low + high) // 2
        enough = power(difference, middle, discordance, n_arms) >= ENOUGH
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def _normal_quantile(n_arms: int, level: float = 0.95) -> float:
    from scipy.stats import norm

    return float(norm.isf((1 - level ** (1 / n_arms)) / 2))


def _sentence(n: int, discordance: float, detectable: tuple[Detectable, ...]) -> str:
    chances = ", ".join(f"{_percent(d.power)} for {100 * d.difference:.0f} points" for d in reversed(detectable))
    missing = [d for d in reversed(detectable) if d.power < ENOUGH]
    sizes = ", ".join(f"{_round_up(d.n_for_80):,} for {100 * d.difference:.0f} points" for d in missing)
    more = f" A chance of 80 % takes about this many conversations: {sizes}." if missing else ""
    return (
        f"With {n:,} distinct held-out conversations, on {100 * discordance:.0f} % of which two arms are expected to "
        f"differ, the chance to prove a true gain is {chances}.{more}"
    )


def _percent(share: float) -> str:
    return "over 99 %" if share > 0.99 else "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _round_up(n: int) -> int:
    step: int = 10 ** max(len(str(n)) - 2, 0)
    return ceil(n / step) * step
