"""Near copies by shared shingles: MinHash finds the candidates, their true Jaccard similarity decides.

MinHash with banding as in Broder (1997) and in Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

N_HASHES = 256
RECALL = 0.999
CROWD = 64
_WINDOW = 4
_SEED = 1
_BLOCK = 4096
_VERIFIED_AT_ONCE = 1 << 16
_MIX = np.uint64(0x9E3779B97F4A7C15)

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def shingles(text: str) -> set[str]:
    """The parts that a normalised text is compared by: its windows of four characters, a space at either end.

    A window spans the end of one word and the start of the next, so that the order of words counts, and a typo costs
    four or five windows, not a word.
    """
    padded = f" {text} "
    return {padded[i : i + _WINDOW] for i in range(max(1, len(padded) - _WINDOW + 1))}


def near_pairs(left: Sequence[str], right: Sequence[str] | None, threshold: float) -> Pairs:
    """All pairs of texts whose shingle sets are alike.

    A pair at the threshold is found with a probability of at least `RECALL`, one above it with more. Where crowds of
    texts are alike, a left text meets the first `CROWD` of every band it falls in, is compared with the four `CROWD`s
    that it met most often, and keeps its `CROWD` best partners, so that time and memory stay linear in the number of
    texts, even if they are one template filled in 100,000 times.

    Args:
        left: Distinct normalised texts.
        right: Likewise; None compares `left` with itself.
        threshold: The least Jaccard similarity, in (0, 1].

    Returns:
        Positions on the left, positions on the right, and similarities, in the order of the left. Within one list, the
        left position is the larger.
    """
    a, b, hashes = _shingled(left, right)
    a_keys = _band_keys(a, hashes, threshold)
    b_keys = a_keys if right is None else _band_keys(b, hashes, threshold)
    found = [
        _best_of_each(*_verified(a, b, i, j, threshold), CROWD)
        for i, j in _candidates(a_keys, b_keys, itself=right is None)
    ]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
    return (
        np.concatenate([i for i, _, _ in found]),
        np.concatenate([j for _, j, _ in found]),
        np.concatenate([score for _, _, score in found]),
    )


def _shingled(left: Sequence[str], right: Sequence[str] | None) -> tuple[csr_matrix, csr_matrix, NDArray[np.uint64]]:
    """Texts by shingles, ones where a text holds a shingle, for either side; and one hash a shingle."""
    from rensa import RMinHash
    from scipy.sparse import csr_matrix

    vocabulary: dict[str, int] = {}

    def columns(texts: Sequence[str]) -> tuple[NDArray[np.int32], list[int]]:
        ids = array("i")
        offsets = [0]
        for text in texts:
            ids.extend([vocabulary.setdefault(shingle, len(vocabulary)) for shingle in shingles(text)])
            offsets.append(len(ids))
        return np.array(ids, np.int32), offsets

    def matrix(ids: NDArray[np.int32], offsets: list[int]) -> csr_matrix:
        ones = csr_matrix((np.ones(len(ids), np.int32), ids, offsets), shape=(len(offsets) - 1, len(vocabulary)))
        ones.sort_indices()  # rows in order multiply faster
        return ones

    sides = [columns(texts) for texts in (left, right) if texts is not None]
    # Not the shingle's number: sets, and with them the vocabulary, change their order from process to process.
    spelled = [shingle.encode("utf-8", "surrogatepass") for shingle in vocabulary]
    hashes = np.array(RMinHash.hash_token_sets([spelled])[0], np.uint64)
    return matrix(*sides[0]), matrix(*sides[-1]), hashes


def band_shape(threshold: float) -> tuple[int, int]:
    """How the hashes of a signature are cut into bands.

    Returns:
        Bands and hashes a band: the longest bands, hence the fewest chance meetings, of which at least one agrees with
        a probability of `RECALL` for a pair at the threshold.
    """
    for rows in range(N_HASHES, 1, -1):
        bands = N_HASHES // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return N_HASHES, 1


def _band_keys(texts: csr_matrix, hashes: NDArray[np.uint64], threshold: float) -> NDArray[np.uint64]:
    """One number a text and band, shape (bands, n); equal numbers make two texts candidates."""
    from rensa import RMinHash

    bands, rows = band_shape(threshold)
    n = texts.shape[0]
    keys = np.zeros((bands, n), np.uint64)
    for start in range(0, n, _BLOCK):
        offsets = texts.indptr[start : start + _BLOCK + 1]
        tokens = hashes[texts.indices[offsets[0] : offsets[-1]]]
        digests = RMinHash.digest_matrix_from_flat_token_hashes(
            tokens, (offsets - offsets[0]).astype(np.uint64), N_HASHES, _SEED
        )
        minima = np.array(digests.to_rows(), np.uint64)[:, : bands * rows].reshape(-1, bands, rows)
        block = keys[:, start : start + _BLOCK]
        for row in range(rows):
            block *= _MIX
            block += minima[:, :, row].T
    return keys


def _candidates(
    left: NDArray[np.uint64], right: NDArray[np.uint64], *, itself: bool
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Distinct pairs that share a band, a block of left texts at a time."""
    n_left, n_right = left.shape[1], right.shape[1]
    orders = np.argsort(right, axis=1, kind="stable")
    keys = np.take_along_axis(right, orders, axis=1)
    for begin in range(0, n_left if n_right else 0, _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, n_left))
        met = []
        for band_left, band_right, order in zip(left[:, rows], keys, orders, strict=True):
            first = np.searchsorted(band_right, band_left, "left")
            count = np.minimum(np.searchsorted(band_right, band_left, "right") - first, CROWD)
            step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            met.append(np.repeat(rows, count) * n_right + order[np.repeat(first, count) + step])
        pairs, meetings = np.unique(np.concatenate(met), return_counts=True)
        i, j = np.divmod(pairs, n_right)
        keep = i > j if itself else slice(None)
        i, j, _ = _best_of_each(i[keep], j[keep], meetings[keep], 4 * CROWD)
        yield i, j


def _verified(a: csr_matrix, b: csr_matrix, i: NDArray[np.int64], j: NDArray[np.int64], threshold: float) -> Pairs:
    """The candidate pairs that are as alike as they seemed, with their exact similarity."""
    a_sizes, b_sizes = np.diff(a.indptr)[i], np.diff(b.indptr)[j]
    # The sizes alone bound the similarity, which spares many of the chance meetings.
    possible = np.minimum(a_sizes, b_sizes) >= threshold * np.maximum(a_sizes, b_sizes)
    i, j, either = i[possible], j[possible], (a_sizes + b_sizes)[possible]
    shared = np.empty(len(i), np.int64)
    for start in range(0, len(i), _VERIFIED_AT_ONCE):
        part = slice(start, start + _VERIFIED_AT_ONCE)
        shared[part] = np.asarray(a[i[part]].multiply(b[j[part]]).sum(axis=1)).ravel()
    score = shared / (either - shared)
    keep = score >= threshold
    return i[keep], j[keep], score[keep]


def _best_of_each(i: NDArray[np.int64], j: NDArray[np.int64], score: NDArray[Any], limit: int) -> Pairs:
    """At most `limit` pairs a left text, best first."""
    order = np.lexsort((j, -score, i))
    i, j, score = i[order], j[order], score[order]
    few = np.arange(len(i)) - np.searchsorted(i, i, "left") < limit
    return i[few], j[few], score[few]
