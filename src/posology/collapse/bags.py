"""Rows that each hold a few numbered things (words, n-grams, names): packed, so that a subset is gathered at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Bags:
    """The things of n rows, one row after the other.

    Attributes:
        ids: Shape (total,): the numbers of the things.
        starts: Shape (n + 1,): where each row begins; the last one is `total`.
        n_kinds: Numbers are below this.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    n_kinds: int

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many things each row holds."""
        return np.diff(self.starts)

    def of(self, rows: Rows) -> NDArray[np.int64]:
        """The things of these rows, in their order."""
        sizes = self.sizes[rows]
        ends = np.cumsum(sizes)
        total = int(ends[-1]) if len(ends) else 0
        return self.ids[np.repeat(self.starts[rows] - (ends - sizes), sizes) + np.arange(total)]

    def owners(self) -> NDArray[np.intp]:
        """Shape (total,): the row of each thing."""
        return np.repeat(np.arange(len(self.starts) - 1), self.sizes)


def pack(rows: Iterable[Iterable[Hashable]]) -> tuple[Bags, list[Hashable]]:
    """Numbers the things of rows.

    Returns:
        The bags, and what each number stands for.
    """
    numbers: dict[Hashable, int] = {}
    ids: list[int] = []
    starts = [0]
    for things in rows:
        ids.extend([numbers.setdefault(thing, len(numbers)) for thing in things])
        starts.append(len(ids))
    return Bags(np.array(ids, np.int64), np.array(starts, np.int64), len(numbers)), list(numbers)


def grams(words: Bags, longest: int) -> list[Bags]:
    """The n-grams of each row for n = 1 to `longest`; none spans two rows."""
    found = [words]
    for n in range(2, longest + 1):
        shorter = found[-1]
        sizes = np.maximum(words.sizes - (n - 1), 0)
        starts = np.r_[0, np.cumsum(sizes)]
        place = np.arange(starts[-1])
        heads = shorter.ids[np.repeat(shorter.starts[:-1] - starts[:-1], sizes) + place]
        tails = words.ids[np.repeat(words.starts[:-1] + n - 1 - starts[:-1], sizes) + place]
        kinds, ids = np.unique(heads * max(words.n_kinds, 1) + tails, return_inverse=True)
        found.append(Bags(ids.astype(np.int64), starts, len(kinds)))
    return found


def distinct(bags: Bags) -> Bags:
    """The same rows with each thing at most once."""
    kinds = max(bags.n_kinds, 1)
    pairs = np.unique(bags.owners() * kinds + bags.ids)
    owners, ids = np.divmod(pairs, kinds)
    sizes = np.bincount(owners, minlength=len(bags.starts) - 1)
    return Bags(ids, np.r_[0, np.cumsum(sizes)], bags.n_kinds)
