"""Duplicates: rows of a pool that repeat each other or real training data, by wording or by meaning.

They are looked for once, down to a low likeness, and kept with both sides and the likeness; what counts as a duplicate
is decided on what was kept, so that another threshold costs nothing. Of a group of duplicates the best row stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.matching.normalise import normalise
from posology.matching.semantic import cosine_pairs, nearest
from posology.matching.shingles import Pairs, near_pairs
from posology.records import Conversation, Rejection

FLOOR = {"near": 0.7, "semantic": 0.9}  # less alike is not kept
KINDS = ("exact", "near", "semantic")


@dataclass(frozen=True, slots=True)
class Twins:
    """Pairs of texts that are alike, in columns of length p.

    Of equal texts the first one stands for the others in pairs that are alike only.

    Attributes:
        row: Position in the pool.
        other: Position in the pool (an earlier row) or in the real rows.
        real: Whether `other` is a real row; of these only the most alike one of each kind is kept.
        kind: Place in `KINDS`.
        score: 1 for exact, the Jaccard similarity for near, the cosine for semantic.
    """

    row: NDArray[np.int64]
    other: NDArray[np.int64]
    real: NDArray[np.bool_]
    kind: NDArray[np.int8]
    score: NDArray[np.float32]

    def columns(self, pool: Sequence[Conversation], real: Sequence[Conversation]) -> dict[str, Any]:
        """As columns of a table that names rows by id; `from_columns` reads it."""
        sides = np.array([c.id for c in (*pool, *real)], dtype=object)
        return {
            "id": sides[self.row],
            "other_id": sides[self.other + len(pool) * self.real],
            "other_is": np.where(self.real, "real", "synthetic"),
            "kind": np.array(KINDS)[self.kind],
            "score": self.score,
        }

    @classmethod
    def from_columns(
        cls, kept: Mapping[str, Sequence[Any]], pool: Sequence[Conversation], real: Sequence[Conversation]
    ) -> Twins:
        """What `columns` gave.

        Raises:
            KeyError: A column is missing, or a row is not of this pool.
        """
        places = {c.id: place for place, c in enumerate(pool)}
        real_places = {c.id: place for place, c in enumerate(real)}
        is_real = np.array([side == "real" for side in kept["other_is"]], dtype=bool)
        others = [(real_places if r else places)[o] for r, o in zip(is_real, kept["other_id"], strict=True)]
        return cls(
            np.array([places[row] for row in kept["id"]], dtype=np.int64),
            np.array(others, dtype=np.int64),
            is_real,
            np.array([KINDS.index(kind) for kind in kept["kind"]], dtype=np.int8),
            np.array(kept["score"], dtype=np.float32),
        )


def find_twins(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    real_texts: Sequence[str],
    real_vectors: NDArray[np.float32],
) -> Twins:
    """Pairs within a pool, and between it and real rows, down to `FLOOR`.

    Args:
        texts: Texts of the m pool rows.
        vectors: Their vectors, shape (m, d).
        real_texts: Texts of the n real rows.
        real_vectors: Their vectors, shape (n, d).
    """
    places, real_places = _places(texts), _places(real_texts)
    if not places:
        return _joined(_columns(_exact([]), 0))
    firsts = np.array([rows[0] for rows in places.values()], dtype=np.int64)
    real_firsts = np.array([rows[0] for rows in real_places.values()], dtype=np.int64)
    own, theirs = vectors[firsts], real_vectors[real_firsts]
    copies = [(copy, rows[0]) for rows in places.values() for copy in rows[1:]]
    taken = [(row, real_places[text][0]) for text, rows in places.items() if text in real_places for row in rows]
    return _joined(
        _columns(_exact(copies), 0, real=False),
        _columns(_exact(taken), 0, real=True),
        _columns(near_pairs(list(places), None, FLOOR["near"]), 1, firsts, firsts),
        _columns(_best(near_pairs(list(places), list(real_places), FLOOR["near"])), 1, firsts, real_firsts, real=True),
        _columns(cosine_pairs(own, None, FLOOR["semantic"]), 2, firsts, firsts),
        _columns(_nearest(own, theirs), 2, firsts, real_firsts, real=True),
    )


def duplicates(twins: Twins, quality: NDArray[np.float64], *, near: float, semantic: float) -> dict[int, int]:
    """Which rows of a pool are duplicates under given thresholds.

    Rows are taken from the best to the worst; one stays unless it is a copy of a real row or of one that stays.

    Args:
        twins: What `find_twins` found.
        quality: Shape (m,), higher is better; of equal ones the earlier row is the better.
        near: The least Jaccard similarity.
        semantic: The least cosine.

    Returns:
        For each duplicate the place in `twins` of the pair that says so; of an equal text, the pair with its first.
    """
    least = np.array([1.0, near, semantic], dtype=np.float32)
    close = np.flatnonzero(twins.score >= least[twins.kind])
    first = np.arange(len(quality))  # the row that stands for each row's text
    copies = close[(twins.kind[close] == 0) & ~twins.real[close]]
    first[twins.row[copies]] = twins.other[copies]
    said = {int(twins.row[place]): int(place) for place in copies}
    of_real: dict[int, int] = {}
    alike: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for place in close[(twins.kind[close] > 0) | twins.real[close]].tolist():
        row, other = int(twins.row[place]), int(twins.other[place])
        if twins.real[place]:
            of_real.setdefault(row, place)
        else:
            alike[row].append((other, place))
            alike[other].append((row, place))
    out: dict[int, int] = {}
    stays: dict[int, int] = {}  # by text: the row that stays
    for row in np.lexsort((np.arange(len(quality)), -quality)).tolist():
        text = int(first[row])
        reason = of_real.get(text)
        if reason is None and text in stays:
            reason = said.get(row, said.get(stays[text]))
        if reason is None:
            reason = next((place for other, place in alike.get(text, ()) if other in stays), None)
        if reason is None:
            stays[text] = row
        else:
            out[row] = reason
    return out


def rejections(
    twins: Twins,
    found: Mapping[int, int],
    pool: Sequence[Conversation],
    real: Sequence[Conversation],
    *,
    near: float,
    semantic: float,
) -> dict[int, Rejection]:
    """A rejection for each duplicate, the other side named, by its position in the pool."""
    least = (1.0, near, semantic)
    rejected = {}
    for row, place in found.items():
        kind, is_real = int(twins.kind[place]), bool(twins.real[place])
        sides = int(twins.row[place]), int(twins.other[place])
        other = real[sides[1]] if is_real else pool[sides[0] if sides[1] == row else sides[1]]
        verb = ("repeats", "nearly repeats", "says the same as")[kind]
        rejected[row] = Rejection(
            pool[row].id,
            "duplicate_of_real" if is_real else "duplicate_in_pool",
            f"{verb} the {'real' if is_real else 'pool'} row {other.id}",
            other.id,
            round(float(twins.score[place]), 4),
            least[kind],
        )
    return rejected


def _places(texts: Sequence[str]) -> dict[str, list[int]]:
    """Where each distinct normalised text stands; empty ones are no texts."""
    places: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        if text.strip():
            places.setdefault(normalise(text), []).append(row)
    return places


def _exact(pairs: Sequence[tuple[int, int]]) -> Pairs:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1], np.ones(len(table))


def _best(pairs: Pairs) -> Pairs:
    """Of each row's pairs the most alike one."""
    i, j, score = pairs
    order = np.lexsort((j, -score, i))
    i, j, score = i[order], j[order], score[order]
    first = np.r_[True, i[1:] != i[:-1]] if len(i) else np.empty(0, dtype=bool)
    return i[first], j[first], score[first]


def _nearest(vectors: NDArray[np.float32], others: NDArray[np.float32]) -> Pairs:
    cosines, places = nearest(vectors, others, 1)
    rows = np.flatnonzero((cosines >= FLOOR["semantic"]).any(axis=1))
    return rows, places[rows, 0] if len(rows) else rows, cosines[rows].max(axis=1, initial=0.0).astype(np.float64)


def _columns(
    pairs: Pairs,
    kind: int,
    rows: NDArray[np.int64] | None = None,
    others: NDArray[np.int64] | None = None,
    *,
    real: bool = False,
) -> Twins:
    i, j, score = pairs
    return Twins(
        i if rows is None else rows[i],
        j if others is None else others[j],
        np.full(len(i), real),
        np.full(len(i), kind, dtype=np.int8),
        score.astype(np.float32),
    )


def _joined(*parts: Twins) -> Twins:
    return Twins(*(np.concatenate([getattr(part, name) for part in parts]) for name in Twins.__slots__))
