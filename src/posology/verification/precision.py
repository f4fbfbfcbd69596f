"""A threshold for a wanted precision, and what may be claimed of it.

The threshold is the lowest composite whose kept labels are precise enough. That it *is* so precise is claimed only
where the lower end of a one-sided Clopper-Pearson interval says it. To choose the threshold and still be right 95 % of
the time, it is looked for from `STARTS` fixed places, each with its part of the 5 %, downwards until the claim fails
(fixed-sequence testing with several starts: Angelopoulos et al., "Learn then Test", 2021). Labels drawn by strata count
with their effective number (Korn and Graubard, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
STARTS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the labels, best composite first, at which the search for a threshold starts."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A composite at and above which candidates are good enough.

    Attributes:
        wanted: The precision that was asked for.
        value: The threshold; None if no threshold reaches it, even by the figures as they are.
        precision: Measured there.
        recall: Likewise.
        lower: With 95 % confidence, the true precision is above this.
        shown: Whether `lower` reaches what was wanted.
        n_kept: Labels at or above it.
        needed: How many labels must be kept, all good, to show it at all.
    """

    wanted: float
    value: float | None
    precision: float | None
    recall: float | None
    lower: float | None
    shown: bool
    n_kept: int
    needed: int

    @property
    def summary(self) -> str:
        """What can be said, one sentence."""
        if self.value is None:
            return f"no threshold keeps {self.wanted:.0%} good ones; more checks or better candidates are needed"
        at = f"at {self.value:.3f} and above, {self.precision:.1%} are good and {self.recall:.0%} of the good are kept"
        if self.shown:
            return f"{at}; at least {self.lower:.1%} with 95 % confidence"
        return (
            f"{at}, but these {self.n_kept} labels show only {self.lower:.1%} with 95 % confidence: "
            f"{self.wanted:.0%} takes at least {self.needed} kept labels, all of them good"
        )


def threshold(values: Array, good: NDArray[np.bool_], case: Array, wanted: float) -> Threshold:
    """The lowest composite at and above which a share `wanted` of the candidates is good.

    Args:
        values: Composites of labelled candidates, by weights that did not see them; NaN where there is none.
        good: What a person said.
        case: How many candidates each label stands for.
        wanted: In (0, 1).
    """
    needed = int(np.ceil(np.log(ALPHA / len(STARTS)) / np.log(wanted)))
    scored = ~np.isnan(values)
    if not scored.any():
        return Threshold(wanted, None, None, None, None, False, 0, needed)
    order = np.flatnonzero(scored)[np.argsort(-values[scored], kind="stable")]
    ranked, right, mass = values[order], good[order], case[order]
    kept = np.cumsum(mass)
    share = np.cumsum(mass * right) / kept
    effective = kept**2 / np.cumsum(mass**2)
    lower = _lower_bound(share, effective)
    ends = np.flatnonzero(np.r_[np.diff(ranked) != 0, True])  # equal composites are kept together
    place = _lowest_shown(ends, lower, wanted)
    shown = place is not None
    if place is None:
        reached = ends[share[ends] >= wanted]
        if not len(reached):
            return Threshold(wanted, None, None, None, None, False, 0, needed)
        place = int(reached[-1])
    recall = float((mass * right)[: place + 1].sum() / (case * good).sum())
    figures = (float(ranked[place]), float(share[place]), recall, float(lower[place]))
    return Threshold(wanted, *figures, shown, place + 1, needed)


def _lowest_shown(ends: NDArray[np.int64], lower: Array, wanted: float) -> int | None:
    """The lowest threshold that is shown, by its last label: from each start downwards until the claim fails."""
    shown = lower[ends] >= wanted
    lowest = None
    for start in STARTS:
        first = int(np.searchsorted(ends, np.ceil(start * (ends[-1] + 1)) - 1))
        failed = np.flatnonzero(~shown[first:])
        last = first + (int(failed[0]) if len(failed) else len(ends) - first) - 1
        if last >= first:
            lowest = int(ends[last])
    return lowest


def _lower_bound(share: Array, n: Array) -> Array:
    """One-sided Clopper-Pearson, at the level that one start has."""
    from scipy.stats import beta

    right = share * n
    with np.errstate(invalid="ignore"):
        bound = beta.ppf(ALPHA / len(STARTS), right, n - right + 1)
    return np.where(right <= 0, 0.0, np.nan_to_num(bound))
