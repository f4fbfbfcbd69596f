"""The priority order of a pool: which topic's turn it is, and which of its conversations comes next.

The topic sequence comes from the gaps. Within a topic the order is a greedy facility location (Nemhauser, Wolsey and
Fisher 1978; used for data subsets by Wei, Iyer and Bilmes 2015): each step takes the conversation that covers most of
what neither the topic's real examples nor the earlier picks are near, times its worth. "Keep the top by score" is
avoided on purpose: it takes what the model already knows.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

TARGETS = 1024  # what is to be covered in a topic: all its candidates, or so many of them; keeps large topics linear
_BLOCK = 8192


def coverage_order(
    candidates: NDArray[np.float32], covered_by: NDArray[np.float32], worth: NDArray[np.float64]
) -> list[int]:
    """Orders the candidates of one topic by weighted coverage, best first.

    Args:
        candidates: L2-normalised vectors, shape (m, d).
        covered_by: Vectors of the topic's real examples, shape (n, d); n may be 0.
        worth: Shape (m,), positive: the gain of a candidate is multiplied by it.

    Returns:
        A permutation of range(m). Once nothing adds coverage, the rest follows by worth.
    """
    m = len(candidates)
    few = slice(None) if m <= TARGETS else np.sort(np.random.default_rng(0).choice(m, TARGETS, replace=False))
    targets = candidates[few]
    similarity = np.clip(candidates @ targets.T, 0.0, 1.0)
    covered = np.zeros(len(targets), dtype=np.float32)
    for start in range(0, len(covered_by), _BLOCK):
        near = covered_by[start : start + _BLOCK] @ targets.T
        covered = np.maximum(covered, np.clip(near, 0.0, 1.0).max(axis=0))

    def gain(row: int) -> float:
        return float(np.maximum(similarity[row] - covered, 0.0).sum() * worth[row])

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
            return order + sorted(rest, key=lambda other: (-worth[other], other))
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
    worth: NDArray[np.float64],
) -> list[int]:
    """Orders a whole pool.

    Args:
        topics: Topic of each of the m pool rows.
        vectors: Their vectors, shape (m, d).
        real_topics: Topic of each of the n real training rows.
        real_vectors: Their vectors, shape (n, d).
        sequence: Whose turn it is, at least as often as each topic has rows in the pool.
        worth: Shape (m,): real-likeness, or any positive score.

    Returns:
        A permutation of range(m), most wanted first.

    Raises:
        ValueError: The sequence leaves pool rows out.
    """
    rows_of, real_rows_of = _rows_by_topic(topics), _rows_by_topic(real_topics)
    queues: dict[str, Iterator[int]] = {
        topic: iter(
            rows[coverage_order(vectors[rows], real_vectors[real_rows_of.get(topic, [])], worth[rows])].tolist()
        )
        for topic, rows in rows_of.items()
    }
    order: list[int] = []
    for topic in sequence:
        order.extend(islice(queues.get(topic, ()), 1))
    if len(order) != len(topics):
        raise ValueError(f"the topic sequence places {len(order)} of {len(topics)} pool rows")
    return order


def _rows_by_topic(topics: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, topic in enumerate(topics):
        rows[topic].append(row)
    return {topic: np.array(places, dtype=np.int64) for topic, places in rows.items()}
