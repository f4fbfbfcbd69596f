"""Who is compared with whom: samples of real and of synthetic rows that agree in what is not to be judged.

A pool fills gaps, so its mix of topics is another than that of real data on purpose; and many figures depend on how
long texts are. Rows are therefore drawn by cell (topic and length): as many synthetic ones as real ones from each, at
most half of a cell's real rows, so that real can be compared with real in just the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.collapse.bags import Rows

LARGEST = 400  # rows a side of one draw: what a figure costs is counted in hundreds of draws
SMALLEST = 20


@dataclass(frozen=True, slots=True)
class Match:
    """How many rows are drawn from each cell.

    Attributes:
        real: The real rows that can be drawn.
        synthetic: The synthetic ones.
        real_cells: Shape (len(real),): their cells.
        synthetic_cells: Likewise.
        take: Shape (cells,): how many to draw of each.
        cells: Shape (n,): the cell of every row, drawn from or not.
    """

    real: Rows
    synthetic: Rows
    real_cells: NDArray[np.intp]
    synthetic_cells: NDArray[np.intp]
    take: NDArray[np.intp]
    cells: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Rows a side of one draw."""
        return int(self.take.sum())

    @property
    def widening(self) -> float:
        """How much further a fresh sample strays from the real rows at hand than a part of them does.

        Parts of n rows drawn without replacement vary by 1/m - 1/n, an independent sample of m differs from the n by
        1/m + 1/n (the finite population correction; Cochran, "Sampling Techniques", chapter 2); summed over cells.
        """
        counts = np.bincount(self.real_cells, minlength=len(self.take)).astype(np.float64)
        used = self.take > 0
        take, counts = self.take[used].astype(np.float64), counts[used]
        return float(np.sqrt((take + take**2 / counts).sum() / (take - take**2 / counts).sum()))

    def real_pair(self, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """Two samples of real rows without a row in common, each in random order."""
        rows, rank, take = self._ranked(self.real, self.real_cells, rng)
        first, second = rows[rank < take], rows[(rank >= take) & (rank < 2 * take)]
        return rng.permutation(first), rng.permutation(second)

    def synthetic_sample(self, rng: np.random.Generator) -> Rows:
        """A sample of synthetic rows, in random order."""
        rows, rank, take = self._ranked(self.synthetic, self.synthetic_cells, rng)
        return rng.permutation(rows[rank < take])

    def _ranked(
        self, rows: Rows, cells: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[Rows, NDArray[np.intp], NDArray[np.intp]]:
        """Rows in random order within their cells, the rank of each in its cell, and how many its cell gives."""
        order = np.lexsort((rng.random(len(rows)), cells))
        sorted_cells = cells[order]
        rank = np.arange(len(rows)) - np.searchsorted(sorted_cells, sorted_cells)
        return rows[order], rank, self.take[sorted_cells]


def match(real: Rows, synthetic: Rows, cells: NDArray[np.intp], *, largest: int = LARGEST) -> Match:
    """Draws from each cell as much as both sides have.

    Args:
        real: Real rows.
        synthetic: Synthetic rows.
        cells: Shape (n,): the cell of every row, from 0.
        largest: Most rows a side; beyond it all cells shrink alike.
    """
    n_cells = int(cells.max(initial=-1)) + 1
    in_real, in_synthetic = (np.bincount(cells[rows], minlength=n_cells) for rows in (real, synthetic))
    take = np.minimum(in_real // 2, in_synthetic)
    if (total := int(take.sum())) > largest:
        exact = take * (largest / total)
        take = np.floor(exact).astype(np.intp)
        short = largest - int(take.sum())
        take[np.argsort(take - exact, kind="stable")[:short]] += 1
    return Match(real, synthetic, cells[real], cells[synthetic], take, cells)


def thirds(values: NDArray[np.intp], reference: Rows) -> NDArray[np.intp]:
    """The third of the reference that each value falls in, 0 to 2."""
    cuts = np.quantile(values[reference], [1 / 3, 2 / 3])
    third: NDArray[np.intp] = np.searchsorted(cuts, values, side="left").astype(np.intp)
    return third


def matches(
    topics: NDArray[np.intp], n_words: NDArray[np.intp], real: Rows, synthetic: Rows
) -> tuple[dict[str, Match], Sequence[str]]:
    """The three ways of matching: `full` (topic and length), `topic`, and `none`.

    Where too few rows agree in everything, less is asked for.

    Returns:
        The matches, and a sentence for each that had to be loosened.
    """
    everyone = np.zeros(len(topics), np.intp)
    by_topic = topics - topics.min(initial=0)
    length = thirds(n_words, real)
    warnings = []
    none = match(real, synthetic, everyone, largest=len(real))  # only topics are counted in it, which costs nothing
    topic = match(real, synthetic, by_topic)
    if topic.size < max(SMALLEST, min(none.size, LARGEST) / 5):
        topic, by_topic = match(real, synthetic, everyone), everyone
        warnings.append(
            "real and synthetic share too few topics to be compared topic by topic; all are compared at once."
        )
    full = match(real, synthetic, by_topic * 3 + length)
    if full.size < max(SMALLEST, topic.size / 3):
        full = topic
        warnings.append("real and synthetic texts differ too much in length to be compared at equal length.")
    return {"full": full, "topic": topic, "none": none}, warnings
