"""Does a whole set of synthetic rows lean towards the holdout? For where no single row can be called.

**The test.** Within a topic, held-out and real training rows are draws from the same customers. A generator that never
saw the holdout cannot tell the two apart, so whether the real row nearest to a synthetic one is held out is a matter of
how many there are of each. A set with copies or paraphrases of the holdout in it has its nearest real rows there too
often. Each synthetic row counts by how much nearer its nearest real row is than the second, times the share of real
rows that have no neighbour as near: so a few close relatives outweigh many that are near nothing. The label "held out"
is permuted within topics, which is exact whatever the weights are, since they do not depend on it. A generator that was
*shown* training rows leans towards those, which makes the test the more careful.

**The plain figure.** How often a synthetic row lies nearer to the holdout than a real training row of its topic does
(Mann-Whitney, within topics, with the interval of DeLong et al., 1988). Clean synthetic rows lie farther off: well
below 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.errors import InputError

PERMUTATIONS = 2_000
ALPHA = 0.05
MOST = 2_000  # rows of one topic and side
_Z = 1.959964
_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class SetTest:
    """What the set as a whole says.

    Attributes:
        n: Synthetic rows in topics that have both held-out and real training rows.
        n_topics: Those topics.
        p_value: Of the permutation test, one-sided: the set leans towards the holdout.
        z: The same statistic in standard deviations of its permutations.
        nearest_held_out: Share of synthetic rows whose nearest real row is held out.
        expected: The same share if the set knows nothing of the holdout.
        expected_range: Its central 95 % over permutations.
        nearer: Probability that a synthetic row lies nearer to the holdout than a real training row of its topic.
        nearer_ci95: Its interval.
        holdout_met: Share of held-out rows whose nearest row, of synthetic and training rows, is synthetic.
        real_met: The same share of training rows, which is what to expect of the holdout.
    """

    n: int
    n_topics: int
    p_value: float
    z: float
    nearest_held_out: float
    expected: float
    expected_range: tuple[float, float]
    nearer: float
    nearer_ci95: tuple[float, float]
    holdout_met: float
    real_met: float

    @property
    def leans(self) -> bool:
        """Whether the set is nearer to the holdout than chance allows."""
        return self.p_value < ALPHA


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows by their vectors and topics.

    Attributes:
        vectors: L2-normalised, shape (n, d).
        topics: Labels, or None everywhere: then all rows are one topic.
    """

    vectors: NDArray[np.float32]
    topics: Sequence[str | None]


def set_test(synthetic: Labelled, holdout: Labelled, real: Labelled, *, rng: np.random.Generator) -> SetTest | None:
    """Tests whether synthetic rows lean towards the holdout.

    Args:
        synthetic: What is suspected.
        holdout: Held-out rows.
        real: Real training rows.
        rng: Draws the permutations, and the rows of topics with more than `MOST`.

    Returns:
        The result, or None where no topic has rows of all three kinds and two real ones.

    Raises:
        InputError: The vectors are of different encoders.
    """
    widths = {side.vectors.shape[1] for side in (synthetic, holdout, real) if len(side.vectors)}
    if len(widths) > 1:
        raise InputError(
            f"vectors of {' and of '.join(map(str, sorted(widths)))} numbers cannot be compared.",
            remedy="Embed everything with one encoder.",
        )
    strata = list(_strata(synthetic, holdout, real, rng))
    return _Sums(strata, rng).result() if strata else None


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Vectors of one topic."""

    synthetic: NDArray[np.float32]
    holdout: NDArray[np.float32]
    real: NDArray[np.float32]


def _strata(synthetic: Labelled, holdout: Labelled, real: Labelled, rng: np.random.Generator) -> list[_Stratum]:
    sides = [synthetic, holdout, real]
    topics = [np.array([topic or "" for topic in side.topics], object) for side in sides]
    if any(topic is None for side in sides for topic in side.topics):
        topics = [np.full(len(names), "", object) for names in topics]
    return [
        _Stratum(
            *(side.vectors[_some(np.flatnonzero(of == topic), rng)] for side, of in zip(sides, topics, strict=True))
        )
        for topic in sorted(set.intersection(*map(set, topics)))
    ]


def _some(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= MOST else np.sort(rng.choice(rows, MOST, replace=False))


class _Sums:
    """Sums over topics of what the figures are made of."""

    def __init__(self, strata: Sequence[_Stratum], rng: np.random.Generator) -> None:
        self.n_topics = len(strata)
        self.n = sum(len(s.synthetic) for s in strata)
        self.statistic, self.permuted = 0.0, np.zeros(PERMUTATIONS)
        self.count, self.permuted_count = 0.0, np.zeros(PERMUTATIONS)
        self.nearer = self.variance = 0.0
        self.met = np.zeros(3)  # held-out rows met by a synthetic one, training rows likewise, and rows in all
        for stratum in strata:
            self._compete(stratum, rng)
            self._compare(stratum)

    def result(self) -> SetTest:
        """The figures."""
        spread = float(self.permuted.std())
        reached = int((self.permuted >= self.statistic - 1e-9).sum())
        low, high = np.quantile(self.permuted_count, [0.025, 0.975]) / self.n
        half = _Z * float(np.sqrt(self.variance))
        holdout_met, real_met = self.met[:2] / max(1.0, self.met[2])
        return SetTest(
            n=self.n,
            n_topics=self.n_topics,
            p_value=(reached + 1) / (PERMUTATIONS + 1),
            z=float(self.statistic - self.permuted.mean()) / spread if spread > 1e-12 else 0.0,
            nearest_held_out=self.count / self.n,
            expected=float(self.permuted_count.mean()) / self.n,
            expected_range=(float(low), float(high)),
            nearer=self.nearer,
            nearer_ci95=(max(0.0, self.nearer - half), min(1.0, self.nearer + half)),
            holdout_met=float(holdout_met),
            real_met=float(real_met),
        )

    def _compete(self, stratum: _Stratum, rng: np.random.Generator) -> None:
        """For whose nearest row a synthetic row decides: a held-out or a training one."""
        both = np.vstack([stratum.holdout, stratum.real])
        held = np.arange(len(both)) < len(stratum.holdout)
        cosine = stratum.synthetic @ both.T
        nearest, ordered = cosine.argmax(axis=1), np.partition(cosine, -2, axis=1)[:, -2:]
        among = both @ both.T
        np.fill_diagonal(among, -1.0)
        usual = np.sort(among.max(axis=1))
        closeness = np.searchsorted(usual, ordered[:, 1], "right") / len(usual)
        weights = np.bincount(nearest, weights=(ordered[:, 1] - ordered[:, 0]) * closeness, minlength=len(both))
        counts = np.bincount(nearest, minlength=len(both))
        self.statistic += float(weights[held].sum())
        self.count += float(counts[held].sum())
        rows = max(1, _AT_ONCE // len(both))
        for start in range(0, PERMUTATIONS, rows):
            part = slice(start, min(start + rows, PERMUTATIONS))
            drawn = rng.permuted(np.broadcast_to(held, (part.stop - start, len(both))), axis=1)
            self.permuted[part] += drawn @ weights
            self.permuted_count[part] += drawn @ counts
        if len(stratum.real) > 1:  # a training row alone in its topic has no other to be near
            met = cosine.max(axis=0) > among[:, ~held].max(axis=1)
            self.met += np.array([met[held].mean(), met[~held].mean(), 1.0]) * len(stratum.holdout)

    def _compare(self, stratum: _Stratum) -> None:
        """How near synthetic and training rows come to the holdout, rank against rank."""
        own = np.sort((stratum.synthetic @ stratum.holdout.T).max(axis=1))
        real = np.sort((stratum.real @ stratum.holdout.T).max(axis=1))
        beaten = (np.searchsorted(real, own, "left") + np.searchsorted(real, own, "right")) / (2 * len(real))
        beating = 1 - (np.searchsorted(own, real, "left") + np.searchsorted(own, real, "right")) / (2 * len(own))
        share = len(own) / self.n
        self.nearer += share * float(beaten.mean())
        # One row says nothing of the spread: the widest there is stands in.
        spread = [float(side.var(ddof=1)) if len(side) > 1 else 0.25 for side in (beaten, beating)]
        self.variance += share**2 * (spread[0] / len(own) + spread[1] / len(real))
