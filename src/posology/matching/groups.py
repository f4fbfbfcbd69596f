"""Groups of texts that matches tie together.

Single linkage: two texts share a group if a chain of matches leads from one to the other, even if the two alone would
not match. That is what a split needs (no match may straddle the line) and what makes a loose threshold dangerous, as
chains then swallow whole topics. At the default Jaccard of 0.7 they stay short: among 2,000 real messages to a bank
(BANKING77, long-tailed sample) the largest group has 5 members, against 15 at 0.6 and 28 at 0.5; among 491 airline
conversations (TwACS) no two are grouped at any of these. A cosine of 0.90, where paraphrases match, makes one of 40.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posology.matching.near import Match


def groups(n: int, matches: Sequence[Match]) -> NDArray[np.int32]:
    """The connected components of the matches within one list.

    Args:
        n: Length of the list.
        matches: What `near.within` found in it.

    Returns:
        One group number a text, shape (n,). Numbers run from 0 in the order of each group's first member, so that
        texts without a match are numbered like everybody else.

    Raises:
        ValueError: A match lies outside the list.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    left = np.array([match.left for match in matches], np.int64)
    right = np.array([match.right for match in matches], np.int64)
    if len(matches) and (min(left.min(), right.min()) < 0 or max(left.max(), right.max()) >= n):
        raise ValueError(f"a match lies outside the list of {n} texts")
    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    numbered: NDArray[np.int32] = rank[inverse]
    return numbered
