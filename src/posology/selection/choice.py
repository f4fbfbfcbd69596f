"""Which candidates are kept, and in which order they are used: the strategies, side by side.

`coverage`: what lies below the quality floor goes, the rest is ordered by whose turn it is and by what it covers.
`top`: the best by quality, whatever the gaps; shown beside the others because it is what is usually done.
`random`: a draw. `all`: nothing goes, ordered as under `coverage`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posology.selection.priority import prioritise

Strategy = Literal["coverage", "top", "random", "all"]
STRATEGIES: tuple[Strategy, ...] = ("coverage", "top", "random", "all")


@dataclass(frozen=True, slots=True)
class Candidates:
    """What selection knows of m candidates.

    Attributes:
        topics: Their topics.
        vectors: Shape (m, d).
        quality: Shape (m,), higher is better: what the floor is about, and the order of `top`.
        likeness: Shape (m,), in (0, 1): what coverage is weighted by.
    """

    topics: Sequence[str]
    vectors: NDArray[np.float32]
    quality: NDArray[np.float64]
    likeness: NDArray[np.float64]

    def part(self, rows: Sequence[int] | NDArray[np.int64]) -> Candidates:
        """Some of them."""
        topics = [self.topics[row] for row in rows]
        return Candidates(topics, self.vectors[rows], self.quality[rows], self.likeness[rows])


@dataclass(frozen=True, slots=True)
class Real:
    """What selection knows of n real training rows: their topics, and vectors of shape (n, d)."""

    topics: Sequence[str]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome.

    Attributes:
        order: Positions of the kept candidates, most wanted first.
        below: Positions of those below the quality floor.
        beyond: Positions of those that the wanted number leaves out, most wanted first.
    """

    order: list[int]
    below: list[int]
    beyond: list[int]


def choose(
    candidates: Candidates,
    real: Real,
    *,
    sequence: Callable[[Sequence[str]], Sequence[str]],
    strategy: Strategy = "coverage",
    keep_rate: float = 1.0,
    count: int | None = None,
    seed: int = 0,
) -> Choice:
    """Applies a strategy.

    Args:
        candidates: What passed verification.
        real: Real training rows.
        sequence: From the topics of what is to be ordered to whose turn it is, one topic a row.
        strategy: See the module.
        keep_rate: Share that is kept, in (0, 1]: of the candidates of each topic under `coverage`, of all candidates
            under `top` and `random`; `all` keeps all.
        count: At most so many; None for no limit.
        seed: Of `random`.

    Raises:
        ValueError: The vectors of candidates and real rows are of two widths, or the keep rate is outside (0, 1].
    """
    _check(candidates, real, keep_rate)
    m = len(candidates.topics)
    best_first = np.lexsort((np.arange(m), -candidates.quality))
    if strategy in ("coverage", "all"):
        above = _best_of_each(candidates.topics, best_first, 1.0 if strategy == "all" else keep_rate)
        kept, below = np.flatnonzero(above), np.flatnonzero(~above)
        rows = candidates.part(kept)
        order = prioritise(
            rows.topics, rows.vectors, real.topics, real.vectors, sequence=sequence(rows.topics), worth=rows.likeness
        )
        kept = kept[order]
    else:
        n_kept = max(min(m, 1), round(keep_rate * m))
        ranking = np.random.default_rng(seed).permutation(m) if strategy == "random" else best_first
        kept, below = ranking[:n_kept], ranking[n_kept:]
    chosen = kept.tolist()
    end = len(chosen) if count is None else count
    return Choice(chosen[:end], sorted(below.tolist()), chosen[end:])


def _best_of_each(topics: Sequence[str], best_first: NDArray[np.int64], rate: float) -> NDArray[np.bool_]:
    """Which candidates are among the best of their topic, at least one of each.

    One floor for all would empty the very topics that need candidates most: those that are thin, or alike, and whose
    candidates nobody can be sure of.
    """
    _, codes, sizes = np.unique(list(topics), return_inverse=True, return_counts=True)
    kept = np.zeros(len(codes), dtype=bool)
    room = np.maximum(1, np.round(rate * sizes)).astype(np.int64)
    for row in best_first.tolist():
        if room[codes[row]]:
            kept[row] = True
            room[codes[row]] -= 1
    return kept


def _check(candidates: Candidates, real: Real, keep_rate: float) -> None:
    if not 0 < keep_rate <= 1:
        raise ValueError(f"a keep rate lies in (0, 1], not {keep_rate}")
    for name, side in (("candidates", candidates), ("real rows", real)):
        if side.vectors.ndim != 2 or len(side.vectors) != len(side.topics):
            raise ValueError(f"{len(side.topics)} {name}, but vectors of shape {side.vectors.shape}")
    if len(real.topics) and len(candidates.topics) and candidates.vectors.shape[1] != real.vectors.shape[1]:
        raise ValueError(
            f"vectors of two encoders: {candidates.vectors.shape[1]} and {real.vectors.shape[1]} dimensions"
        )
