"""Copies and near copies of held-out texts.

**Near copies.** The likeness of two texts is the Jaccard similarity of their windows of four characters. How much of it
is an accident depends on the held-out text: "how do I top up" has honest neighbours, a text with a story in it has
none. So what counts is the *excess* over what the ten nearest real rows reach for the same held-out text, and the limit
is the excess that a stated share of real rows has, each left out of its own ten. From `TWIN` on a pair is one message
by any account (see `posology.matching.near`), below `FLOOR` none is; in between the excess decides. Real rows that are
twins of a held-out text themselves say nothing of how near honest rows come, and do not set the limit.

**Copied into a longer text**, or cut out of one: the shared runs of three words over those of the shorter text, judged
in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.verification.leakage.passages import LONG_TURN, Passages
from posology.verification.leakage.thresholds import Threshold, threshold
from posology.verification.leakage.windows import Index, Measure, Unit

NEAREST = 10
_NOT_NEAR = -1.0


@dataclass(frozen=True, slots=True)
class Likeness:
    """A way in which a text can be near another.

    Attributes:
        unit: What its windows are made of.
        width: How many of them.
        measure: What is shared, over what.
        fewest: Windows that a text needs to be compared.
        floor: Below this likeness no pair is a copy.
        twin: From here on every pair is one.
        alone: The same, where there are too few real rows to set a limit.
        rate: The share of real rows, twins aside, that may lie beyond the limit.
    """

    unit: Unit
    width: int
    measure: Measure
    fewest: int
    floor: float
    twin: float
    alone: float
    rate: float


WORDING = Likeness("character", 4, "jaccard", fewest=1, floor=0.45, twin=0.6, alone=0.7, rate=0.05)
CONTAINED = Likeness("word", 3, "containment", fewest=4, floor=0.7, twin=np.inf, alone=0.9, rate=0.02)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a candidate is nearest to.

    Attributes:
        other: Position of the held-out conversation.
        score: How alike the two are, in [0, 1].
        limit: From where on that counts, in the unit of `score`.
    """

    other: int
    score: float
    limit: float

    @property
    def leaked(self) -> bool:
        """Whether the limit is reached."""
        return self.score >= self.limit


def exact(candidates: Passages, holdout: Passages, real: Passages) -> dict[int, int]:
    """Candidates that hold a held-out text, or one of its long turns, word for word.

    A long turn that real training rows have too is a stock phrase and identifies nobody; a whole text always counts.

    Returns:
        The position of the held-out conversation by that of the candidate.
    """
    stock = {text for text, whole in zip(real.texts, real.whole, strict=True) if not whole}
    held: dict[str, int] = {}
    own: dict[str, int] = {}
    for text, row, whole in zip(holdout.texts, holdout.rows.tolist(), holdout.whole, strict=True):
        held.setdefault(text, row)
        if whole:
            own.setdefault(text, row)
    found: dict[int, int] = {}
    for text, row, whole in zip(candidates.texts, candidates.rows.tolist(), candidates.whole, strict=True):
        if whole and text in own:
            found.setdefault(row, own[text])
        elif text in held and text not in stock and len(text.split()) >= LONG_TURN:
            found.setdefault(row, held[text])
    return found


class NearCopies:
    """Finds near copies of held-out texts of one kind.

    Args:
        kind: What makes a text near.
        holdout: Held-out passages.
        real: Passages of real training rows, which set the limit.
    """

    def __init__(self, kind: Likeness, holdout: Passages, real: Passages) -> None:
        self.kind = kind
        self._rows = holdout.rows
        self._index = Index(holdout.texts, unit=kind.unit, width=kind.width, measure=kind.measure, fewest=kind.fewest)
        self._usual = np.zeros(len(holdout.texts))
        self._stock = np.zeros(len(holdout.texts), bool)
        self.limit: Threshold | None = None
        if len(real.texts) and len(holdout.texts):
            self._calibrate(real, holdout.whole)

    def hits(self, candidates: Passages) -> dict[int, Hit]:
        """The best hit of each candidate that comes as near as the floor: the one farthest beyond its limit."""
        i, j, score = self._index.pairs(candidates.texts, self.kind.floor)
        limit = self._limits[j]
        rows = candidates.rows[i]
        order = np.lexsort((self._rows[j], limit - score, rows))
        _, first = np.unique(rows[order], return_index=True)
        best = order[first]
        return {
            int(row): Hit(int(other), float(s), float(t))
            for row, other, s, t in zip(rows[best], self._rows[j[best]], score[best], limit[best], strict=True)
        }

    @property
    def _limits(self) -> NDArray[np.float64]:
        """From where on a likeness counts, a held-out passage; a turn that real rows have too identifies nobody."""
        limits = np.full(len(self._usual), self.kind.alone)
        if self.limit is not None:
            limits = np.minimum(np.maximum(self._usual + self.limit.value + 1e-9, self.kind.floor), self.kind.twin)
        limits[self._stock] = np.inf
        return limits

    def _calibrate(self, real: Passages, whole: NDArray[np.bool_]) -> None:
        """Learns what real rows reach for each held-out passage, and by how much they exceed one another."""
        top, i, j, score = self._nearest(real.texts)
        self._usual = top[:NEAREST].mean(axis=0)
        self._stock = ~whole & (top[0] >= min(self.kind.twin, self.kind.alone))
        # A row is left out of its own ten nearest: the eleventh takes its place.
        among = score >= top[NEAREST - 1][j]
        others = np.where(among, (top.sum(axis=0)[j] - score) / NEAREST, self._usual[j])
        _, row = np.unique(real.rows, return_inverse=True)
        excess, nearest = np.full(row.max() + 1, _NOT_NEAR), np.zeros(row.max() + 1)
        np.maximum.at(excess, row[i], score - others)
        np.maximum.at(nearest, row[i], score)
        self.limit = threshold(excess[nearest < self.kind.twin], rate=self.kind.rate, floor=0.0)

    def _nearest(
        self, texts: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The eleven greatest likenesses of each held-out passage, descending, and all pairs from the floor on."""
        top = np.zeros((NEAREST + 1, len(self._usual)), np.float32)
        found = []
        for start, block in self._index.dense(texts):
            both = np.vstack([top, block])
            top = np.partition(both, len(both) - len(top) - 1, axis=0)[-len(top) :]
            i, j = np.nonzero(block >= self.kind.floor)
            found.append((i + start, j, block[i, j]))
        i, j, score = (np.concatenate(column) for column in zip(*found, strict=True))
        return -np.sort(-top, axis=0).astype(np.float64), i, j, score.astype(np.float64)
