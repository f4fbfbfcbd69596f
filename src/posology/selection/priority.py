"""The priority order of a pool: which topic's turn it is, and which of its conversations comes next.

The topic sequence comes from the gaps. Within a topic the order is a greedy facility location (Nemhauser, Wolsey and
Fisher 1978; used for data subsets by Wei, Iyer and Bilmes 2015): each step takes the conversation that covers most of
what neither the topic's real examples nor the earlier picks are near, times its real-likeness. "Keep the top by score"
is avoided on purpose: it takes what the model already knows.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray


def coverage_order(
    candidates: NDArray[np.float32], covered_by: NDArray[np.float32], quality: NDArray[np.float64]
) -> list[int]:
    """Orders the candidates of one topic by weighted coverage, best first.

    Args:
        candidates: L2-normalised vectors, shape (m, d).
        covered_by: Vectors of the topic's real examples, shape (n, d); n may be 0.
        quality: Shape (m,), positive: the gain of a candidate is multiplied by it.

    Returns:
        A permutation of range(m). Once nothing adds coverage, the rest follows by quality.
    """
    m = len(candidates)
    similarity = np.clip(candidates @ candidates.T, 0.0, 1.0)
    covered = np.clip(covered_by @ candidates.T, 0.0, 1.0).max(axis=0) if len(covered_by) else np.zeros(m)

    def gain(row: int) -> float:
        return float(np.maximum(similarity[row] - covered, 0.0).sum() * quality[row])

    # Gains only fall as coverage grows, so a stale gain is an upper bound (lazy greedy, Minoux 1978).
    heap = [(-gain(row), row) for row in range(m)]
    heapq.heapify(heap)
    order: list[int] = []
    while heap:
        _, row = heapq.heappop(heap)
        fresh = gain(row)
        if heap and fresh < -heap[0][0]:
            heapq.heappush(heap, (-fresh, row))
            continue
        if fresh <= 1e-9:
            rest = [row, *(other for _, other in heap)]
            return order + sorted(rest, key=lambda other: (-quality[other], other))
        order.append(row)
        covered = np.maximum(covered, similarity[row])
    return order


def prioritise(
    topics: Sequence[str],
    vectors: NDArray[np.float32],
    real_topics: Sequence[str],
    real_vectors: NDArray[np.float32],
    *,
    sequence: Sequence[str],
    quality: NDArray[np.float64],
) -> list[int]:
    """Orders a whole pool.

    Args:
        topics: Topic of each of the m pool rows.
        vectors: Their vectors, shape (m, d).
        real_topics: Topic of each of the n real training rows.
        real_vectors: Their vectors, shape (n, d).
        sequence: Whose turn it is, at least as often as each topic has rows in the pool.
        quality: Shape (m,): real-likeness, or any positive score.

    Returns:
        A permutation of range(m), most wanted first.

    Raises:
        ValueError: The sequence leaves pool rows out.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, topic in enumerate(topics):
        rows_of[topic].append(row)
    real_rows_of: dict[str, list[int]] = defaultdict(list)
    for row, topic in enumerate(real_topics):
        real_rows_of[topic].append(row)
    queues: dict[str, Iterator[int]] = {
        topic: iter([rows[i] for i in coverage_order(vectors[rows], real_vectors[real_rows_of[topic]], quality[rows])])
        for topic, rows in rows_of.items()
    }
    order: list[int] = []
    for topic in sequence:
        order.extend(islice(queues.get(topic, ()), 1))
    if len(order) != len(topics):
        raise ValueError(f"the topic sequence places {len(order)} of {len(topics)} pool rows")
    return order
