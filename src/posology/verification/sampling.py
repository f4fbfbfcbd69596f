"""Which candidates are judged or labelled when not all are: drawn so that the rest can be inferred from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRATA = 5
FAILED = 0.1
"""Share of the labels that goes to candidates that a check has failed: to see whether checks are right."""
FEWEST = 3
"""Labels that each stratum gets, if it has as many."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A candidate that was drawn for labelling.

    Attributes:
        place: Its place among all candidates.
        stratum: Number of its stratum, from 0 for the lowest composites.
        of: How many candidates the stratum has; over its labelled ones, that is the weight of a label.
    """

    place: int
    stratum: int
    of: int


def spread(topics: Sequence[str | None], score: NDArray[np.float64], size: int, *, seed: int = 0) -> NDArray[np.int64]:
    """A sample that is spread evenly over topics and, within each, over scores.

    Systematic sampling from a random start, of candidates sorted by topic and, up and down in turn, by score (implicit
    stratification; Lohr, "Sampling: Design and Analysis", chapter 5): each candidate has the same chance, and each
    topic its share to within one.

    Args:
        topics: A topic a candidate.
        score: What else to spread over, shape (n,); NaN counts as lowest.
        size: How many; at most n.
        seed: Of the start, and of the order among equals.

    Returns:
        Places, ascending.
    """
    n = len(topics)
    if not 0 <= size <= n:
        raise ValueError(f"a sample of {size} out of {n}")
    if not size:
        return np.zeros(0, dtype=np.int64)
    rng = np.random.default_rng(seed)
    rank = {topic: place for place, topic in enumerate(sorted({topic or "" for topic in topics}))}
    number = np.array([rank[topic or ""] for topic in topics])
    height = np.nan_to_num(np.asarray(score, dtype=float), nan=-np.inf)
    order = np.lexsort((rng.permutation(n), np.where(number % 2, -height, height), number))
    places = np.floor((rng.random() + np.arange(size)) * n / size).astype(int)
    return np.sort(order[np.minimum(places, n - 1)])


def to_label(
    topics: Sequence[str | None],
    composite: NDArray[np.float64],
    size: int,
    *,
    failed: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> list[Drawn]:
    """A sample for labelling: more where the outcome is uncertain, and each stratum at random.

    Strata are fifths by composite of those that passed all checks, and one of those that failed. Each fifth gets labels
    in proportion to its size times sqrt(p (1 - p)), with its mean composite for p (Neyman's allocation), and a few at
    least; those that failed get `FAILED` of the labels. Within a stratum, `spread` draws over topics. The order is
    shuffled, so that labelling may end at any time.

    Args:
        topics: A topic a candidate.
        composite: Shape (n,); those that passed and have none are not drawn.
        size: How many, or as many as there are.
        failed: Shape (n,), whether a check has failed; None: nowhere.
        seed: Of all that is random.
    """
    rng = np.random.default_rng(seed)
    failed = np.zeros(len(topics), dtype=bool) if failed is None else failed
    wrong = np.flatnonzero(failed)
    scored = np.flatnonzero(~failed & ~np.isnan(composite))
    n_wrong = min(len(wrong), max(int(np.ceil(FAILED * size)), size - len(scored)))
    fifths = np.array_split(scored[np.argsort(composite[scored], kind="stable")], STRATA)
    strata = [part for part in fifths if len(part)]
    means = [float(composite[part].mean()) for part in strata]
    shares = _allocated([len(part) for part in strata], means, size - n_wrong)
    drawn = []
    for number, (part, share) in enumerate([*zip(strata, shares, strict=True), (wrong, n_wrong)]):
        picked = spread([topics[place] for place in part], composite[part], share, seed=seed + number)
        drawn += [Drawn(int(part[place]), number, len(part)) for place in picked]
    return [drawn[place] for place in rng.permutation(len(drawn))]


def _allocated(sizes: Sequence[int], means: Sequence[float], wanted: int) -> list[int]:
    """How many labels each stratum gets; no more than it has."""
    shares = [min(FEWEST, size) for size in sizes]
    doubt = [size * max(p * (1 - p), 0.01) ** 0.5 for size, p in zip(sizes, means, strict=True)]
    wanted = min(wanted, sum(sizes))
    while sum(shares) > wanted:  # fewer wanted than the least of all strata together
        shares[int(np.argmax(shares))] -= 1
    while sum(shares) < wanted:  # one at a time to whoever is furthest below its share (Webster's method)
        need = [d / (2 * s + 1) if s < size else -1.0 for d, s, size in zip(doubt, shares, sizes, strict=True)]
        shares[int(np.argmax(need))] += 1
    return shares
