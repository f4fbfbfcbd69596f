"""Pairs of vectors that point the same way, by inner product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.matching.shingles import CROWD, Pairs

EXACT_UP_TO = 20_000
_CELLS_SEEN = 8


def cosine_pairs(left: NDArray[np.float32], right: NDArray[np.float32] | None, threshold: float) -> Pairs:
    """Pairs of vectors with at least this cosine, among the `CROWD` nearest of each left vector.

    Up to `EXACT_UP_TO` vectors on the right, the search is exact. Above, an inverted file (IVF) looks into the
    8 nearest of 4 sqrt(n) cells, where all but a few of the pairs near enough to be twins are.

    Args:
        left: Shape (n, d), float32, rows L2-normalised (a row of zeros is near nothing).
        right: Shape (m, d), likewise; None compares `left` with itself.
        threshold: The least cosine.

    Returns:
        Positions on the left, positions on the right, and cosines, in the order of the left. Within one list, the left
        position is the larger.
    """
    target = np.ascontiguousarray(left if right is None else right)
    k = min(CROWD + (right is None), len(target))
    if not len(left) or not k:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
    cosines, nearest = _index(target).search(np.ascontiguousarray(left), k)
    keep = (cosines >= threshold) & (nearest >= 0)
    i = np.nonzero(keep)[0]
    j = nearest[keep].astype(np.int64)
    score = np.clip(cosines[keep].astype(np.float64), -1, 1)
    if right is None:
        i, j, score = _unordered(i, j, score, len(left))
    return i, j, score


def nearest(
    vectors: NDArray[np.float32], others: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The nearest neighbours of each vector, nearest first; exact or not as in `cosine_pairs`.

    Args:
        vectors: Shape (n, d), float32, rows L2-normalised.
        others: Shape (m, d), likewise.
        k: How many.

    Returns:
        Cosines and positions, shape (n, min(k, m)); position -1 where the search found no more.
    """
    k = min(k, len(others))
    if not len(vectors) or not k:
        return np.empty((len(vectors), k), np.float32), np.empty((len(vectors), k), np.int64)
    cosines, positions = _index(np.ascontiguousarray(others)).search(np.ascontiguousarray(vectors), k)
    return cosines, positions


def _index(vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401 - faiss is untyped
    import faiss

    n, width = vectors.shape
    index: Any = faiss.IndexFlatIP(width)
    if n > EXACT_UP_TO:
        index = faiss.IndexIVFFlat(index, width, 4 * int(n**0.5), faiss.METRIC_INNER_PRODUCT)
        index.nprobe = _CELLS_SEEN
        index.cp.niter, index.cp.max_points_per_centroid = 8, 64  # rough cells do, and training would take longest
        index.train(vectors)
    index.add(vectors)
    return index


def _unordered(i: NDArray[np.int64], j: NDArray[np.int64], score: NDArray[np.float64], n: int) -> Pairs:
    """Each pair once, whichever of the two found the other, and no vector with itself."""
    apart = i != j
    high, low = np.maximum(i, j)[apart], np.minimum(i, j)[apart]
    _, first = np.unique(high * n + low, return_index=True)
    return high[first], low[first], score[apart][first]
