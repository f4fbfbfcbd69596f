"""Evaluator contamination: does a judge favour what its own family wrote?

Two judges score the same texts of several generators; one of the judges is of the family of some of them. Better texts
get better scores from both, so the question is what the related judge adds *on its own family's texts* beyond what it
adds elsewhere: a difference of differences, controlled for quality.

With q an independent score of quality (human labels, or a judge of a third family), the regression

    related - other  =  a + gap * own_family + b * q

gives the gap; `b` takes up that the two judges use the scale differently. Without q there is only the other judge to
hold quality constant by: the gap is then that of related - r * other, where r brings the other judge to the related
one's scale (ratio of deviations within families: reduced major axis, since both scores are noisy). It relies on the two
judges being equally reliable, so the result says what was held constant.

Intervals are percentile bootstraps over texts, or over groups of
texts that answer the same prompt. Self-preference: Panickssery, Bowman and Feng, 2024; the control for quality follows
Chen et al., "Do LLM Evaluators Prefer Themselves for a Reason?", 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
DUST = 1e-9
"""What rounding leaves of a gap of 0."""
FEWEST = 10
"""Texts that are needed on either side."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reversal:
    """Two arms that the judges rank in opposite order, by more than chance.

    Attributes:
        first: The arm that the related judge puts above the other one.
        second: The other one, which the independent judge puts above.
        by_related: Mean score of first minus second, by the related judge.
        by_other: The same by the independent one.
        ci95: Interval of the difference of the two, simultaneous over all pairs of arms (Bonferroni).
    """

    first: str
    second: str
    by_related: float
    by_other: float
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Contamination:
    """Whether a judge favours its own family.

    Attributes:
        gap: Points of the scale that its own family's texts get beyond what others' texts of the same quality get; None
            where there are too few texts to tell.
        ci95: Its interval, None likewise.
        n_own: Texts of the judge's family.
        n_other: Texts of other families.
        controlled: What quality was held constant by: `quality` or the `other judge`.
        reversals: Arms that change places.
        rankings: Arms from best to worst, by each judge (`related`, `other`).
    """

    gap: float | None
    ci95: tuple[float, float] | None
    n_own: int
    n_other: int
    controlled: Literal["quality", "other judge"]
    reversals: tuple[Reversal, ...] = ()
    rankings: Mapping[str, tuple[str, ...]] | None = None

    @property
    def verdict(self) -> Literal["self-preference", "none found", "against its own", "cannot tell"]:
        """In a word."""
        if self.ci95 is None:
            return "cannot tell"
        if self.ci95[0] > DUST:
            return "self-preference"
        return "against its own" if self.ci95[1] < -DUST else "none found"

    @property
    def warnings(self) -> list[str]:
        """What to beware of, a sentence each."""
        found = []
        if self.verdict == "self-preference" and self.ci95 is not None:
            low, high = self.ci95
            found.append(
                f"the judge gives its own family's texts {self.gap:.2f} points [{low:.2f}, {high:.2f}] more than "
                "others' of the same quality; judge with another family."
            )
        for pair in self.reversals:
            found.append(
                f"the ranking of arms depends on the judge: {pair.first} over {pair.second} by the one of the "
                "generator's family, the other way round by the independent one."
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """For files."""
        return {"verdict": self.verdict, **asdict(self), "warnings": self.warnings}


def contamination(
    related: Array,
    other: Array,
    own_family: NDArray[np.bool_],
    *,
    quality: Array | None = None,
    arms: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Contamination:
    """Measures the self-preference of a judge.

    Args:
        related: Scores of the judge whose family wrote some of the texts, shape (n,).
        other: Scores of the same texts by a judge of a family that wrote none of them, shape (n,), on the same scale.
        own_family: Which texts the first judge's family wrote, shape (n,).
        quality: Independent scores of quality, on any scale, shape (n,); None: the other judge has to stand in.
        arms: The arm, generator or variant that each text belongs to, to see whether rankings change.
        groups: Texts of one group (of one prompt) are drawn together; None: each for itself.
        seed: Of the bootstrap.

    Texts with a NaN in any of the scores are left out.

    Raises:
        ValueError: The shapes do not match.
    """
    columns = [np.asarray(x, dtype=float) for x in (related, other, *([] if quality is None else [quality]))]
    if any(len(x) != len(own_family) for x in (*columns, *(x for x in (arms, groups) if x is not None))):
        raise ValueError("all arguments must be of one length")
    there = ~np.isnan(np.column_stack(columns)).any(axis=1)
    related, other, *rest = (column[there] for column in columns)
    own = np.asarray(own_family, dtype=bool)[there]
    controlled: Literal["quality", "other judge"] = "other judge" if quality is None else "quality"
    n_own, n_other = int(own.sum()), int((~own).sum())
    drawn = _resamples(None if groups is None else np.array(groups)[there], len(own), seed)
    gap = ci95 = None
    if min(n_own, n_other) >= FEWEST:
        target = related - (1.0 if rest else _ratio(related, other, own)) * other
        design = np.column_stack([np.ones(len(own)), own, *rest])
        gap, ci95 = _coefficient(design, target, drawn)
    rankings: dict[str, tuple[str, ...]] | None = None
    reversals: tuple[Reversal, ...] = ()
    if arms is not None and len(own):
        names, member = np.unique(np.array(arms)[there], return_inverse=True)
        reversals, rankings = _rankings([str(name) for name in names], member, related, other, drawn)
    return Contamination(gap, ci95, n_own, n_other, controlled, reversals, rankings)


def _resamples(groups: NDArray[np.str_] | None, n: int, seed: int) -> Array:
    """How often each text is drawn, shape (RESAMPLES, n)."""
    member = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    k = int(member.max()) + 1 if n else 0
    if not k:
        return np.zeros((RESAMPLES, 0))
    counts = np.random.default_rng(seed).multinomial(k, np.full(k, 1 / k), size=RESAMPLES)
    return np.asarray(counts[:, member], dtype=float)


def _ratio(related: Array, other: Array, own: NDArray[np.bool_]) -> float:
    """Deviation of one judge's scores over that of the other's, within families; 1 if one of them never varies."""
    within = [np.concatenate([x[side] - x[side].mean() for side in (own, ~own)]).std() for x in (related, other)]
    return float(within[0] / within[1]) if min(within) > 0 else 1.0


def _coefficient(design: Array, target: Array, drawn: Array) -> tuple[float | None, tuple[float, float] | None]:
    """The second coefficient of a least-squares fit, with its interval; None if the design does not give it."""
    if np.linalg.matrix_rank(design) < design.shape[1]:
        design = design[:, :2]  # quality is the same everywhere, or tells who wrote what: it cannot be held constant
        if np.linalg.matrix_rank(design) < 2:
            return None, None
    gap = float(np.linalg.lstsq(design, target, rcond=None)[0][1])
    # Normal equations of all resamples at once. A trace of ridge keeps those solvable that drew one side alone.
    inner = np.einsum("bn,ni,nj->bij", drawn, design, design, optimize=True) + 1e-9 * np.eye(design.shape[1])
    right = np.einsum("bn,ni,n->bi", drawn, design, target, optimize=True)
    gaps = np.linalg.solve(inner, right[:, :, None])[:, 1, 0]
    low, high = np.quantile(gaps, [0.025, 0.975])
    return gap, (float(low), float(high))


def _rankings(
    names: Sequence[str], member: NDArray[np.intp], related: Array, other: Array, drawn: Array
) -> tuple[tuple[Reversal, ...], dict[str, tuple[str, ...]]]:
    """Pairs of arms that change places, and the order of arms by each judge."""
    belongs = (member[:, None] == np.arange(len(names))).astype(float)
    counts = belongs.sum(axis=0)
    means = {"related": related @ belongs / counts, "other": other @ belongs / counts}
    rankings = {who: tuple(names[place] for place in np.argsort(-mean, kind="stable")) for who, mean in means.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = drawn * (related - other) @ belongs / (drawn @ belongs)
    pairs = list(combinations(range(len(names)), 2))
    level = 0.025 / max(1, len(pairs))
    found = []
    for one, two in pairs:
        a, b = float(means["related"][one] - means["related"][two]), float(means["other"][one] - means["other"][two])
        if a * b >= 0:
            continue
        first, second, sign = (one, two, 1.0) if a > 0 else (two, one, -1.0)
        low, high = np.nanquantile(moved[:, first] - moved[:, second], [level, 1 - level])
        if low > 0:
            found.append(Reversal(names[first], names[second], sign * a, sign * b, (float(low), float(high))))
    return tuple(found), rankings
