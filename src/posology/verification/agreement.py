"""Label agreement: whether a candidate says what its topic says, by heads that have not seen it.

Heads are cross-fitted: each is trained on four fifths of real training data, of the pool (a topic may have next to no
real example) and on the topics' names, and scores the last fifth of both. What counts is the margin of a row's own
topic over the nearest other one. A margin by itself means nothing, so it is held against those of real rows, whose
topics are right: the score is the share of real rows that agree less (a conformal p-value, after Vovk, "Cross-conformal
predictors", 2015). To reject below a score of 0.03 is then to reject 3 % of rows that are like real ones.

Two guards keep a pool that only sounds different from being rejected whole: no row fails whose own topic comes first,
and of the rows that their nearest neighbours in the pool vouch for no more fail than that same share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.linear import fit_balanced, folds_by_topic
from posology.matching.semantic import nearest
from posology.threads import single_threaded

FALSE_REJECTION = 0.03
FOLDS = 5
STRENGTH = 3.0
POOL_WEIGHT, NAME_WEIGHT = 0.6, 0.5  # beside a real row
MOST = 200  # rows a topic and side that a head is trained on: more make it slower, not better
NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Agreement:
    """What cross-fitted heads say of m candidates.

    Attributes:
        own: Shape (m,): share of real rows that agree less with their topic, in (0, 1]; NaN where the row has no
            text, or nothing but the row itself could teach its topic.
        other: The nearest other topic of each.
        as_other: Shape (m,): what `own` would be if that were the topic.
        threshold: A lower `own` is a disagreement.
    """

    own: NDArray[np.float64]
    other: tuple[str, ...]
    as_other: NDArray[np.float64]
    threshold: float


def agreement(
    topics: Sequence[str],
    vectors: NDArray[np.float32],
    real_topics: Sequence[str],
    real_vectors: NDArray[np.float32],
    *,
    names: dict[str, NDArray[np.float32]] | None = None,
    false_rejection: float = FALSE_REJECTION,
    seed: int = 0,
) -> Agreement:
    """Cross-fits heads on real rows and candidates, and compares margins.

    Args:
        topics: Topic of each of m candidates.
        vectors: Their vectors, shape (m, d).
        real_topics: Topic of each of n real training rows; two topics at least, together with the candidates'.
        real_vectors: Their vectors, shape (n, d).
        names: A vector of each topic's name, shape (d,) each; None to do without.
        false_rejection: Share of right rows that may be rejected.
        seed: Of the folds.

    Raises:
        ValueError: The vectors do not fit: not one a row, or of two encoders.
    """
    _check(vectors, topics, real_vectors, real_topics)
    known = sorted({*topics, *real_topics, *(names or {})})
    place = {topic: k for k, topic in enumerate(known)}
    pool, real = (np.array([place[t] for t in side], dtype=np.int64) for side in (topics, real_topics))
    named = None if names is None else np.stack([names[topic] for topic in known])
    scores, real_scores = _cross_fitted(vectors, pool, real_vectors, real, named, seed)
    margin, runner_up, as_runner_up = _margins(scores, pool)
    margin[~np.isfinite(margin) | ~vectors.any(axis=1)] = np.nan
    reference = np.sort(_margins(real_scores, real)[0])
    reference = reference[np.isfinite(reference)]
    vouched = _vouched(vectors, pool) & np.isfinite(margin)
    bounds = [0.0] + [float(np.quantile(side, false_rejection, method="lower"))
                      for side in (reference, margin[vouched]) if len(side)]  # fmt: skip
    return Agreement(
        own=_share_below(reference, margin),
        other=tuple(known[k] for k in runner_up),
        as_other=_share_below(reference, as_runner_up),
        threshold=float(_share_below(reference, np.array([min(bounds)]))[0]),
    )


def _cross_fitted(
    vectors: NDArray[np.float32],
    pool: NDArray[np.int64],
    real_vectors: NDArray[np.float32],
    real: NDArray[np.int64],
    named: NDArray[np.float32] | None,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores of candidates (m, K) and of real rows (n, K) by heads that saw neither; -inf for a topic a head lacks."""
    n_topics = int(max(pool.max(initial=0), real.max(initial=0))) + 1 if named is None else len(named)
    both, codes = np.vstack([real_vectors, vectors]), np.r_[real, pool]
    fold = np.r_[folds_by_topic(real, FOLDS, seed=seed), folds_by_topic(pool, FOLDS, seed=seed + 1)]
    weight = np.r_[np.ones(len(real)), np.full(len(pool), POOL_WEIGHT)]
    few = _few_each(np.r_[real, pool + n_topics], np.random.default_rng([seed, 2]))
    scores = np.full((len(both), n_topics), -np.inf, dtype=np.float32)
    anchors = (np.empty((0, both.shape[1]), np.float32) if named is None else named, np.arange(n_topics))
    with single_threaded():
        for held_out in range(FOLDS):
            rows, judged = np.flatnonzero((fold != held_out) & few), fold == held_out
            head = fit_balanced(
                np.vstack([both[rows], anchors[0]]),
                np.r_[codes[rows], anchors[1][: len(anchors[0])]],
                np.r_[weight[rows], np.full(len(anchors[0]), NAME_WEIGHT)],
                STRENGTH,
                tolerance=1e-3,
            )
            scores[np.ix_(judged, head.labels)] = head.scores(both[judged])
    return scores[len(real) :], scores[: len(real)]


def _few_each(groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Marks at most `MOST` rows of each group, drawn at random."""
    order = rng.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    starts = np.r_[0, np.flatnonzero(np.diff(groups[order])) + 1] if len(order) else np.empty(0, np.int64)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[order[rank < MOST]] = True
    return chosen


def _margins(
    scores: NDArray[np.float32], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Margin of the own topic over the best other one; that one; and its margin over the best topic besides."""
    rows = np.arange(len(codes))
    others = scores.astype(np.float64)
    own = others[rows, codes].copy()
    others[rows, codes] = -np.inf
    best = others.argmax(axis=1)
    top = others[rows, best].copy()
    others[rows, best] = -np.inf
    with np.errstate(invalid="ignore"):
        return own - top, best, top - np.maximum(own, others.max(axis=1))


def _share_below(reference: NDArray[np.float64], margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conformal p-values: share of reference margins below each, the row itself counted in; NaN stays."""
    below = np.searchsorted(reference, margins, side="left")
    return np.where(np.isnan(margins), np.nan, (below + 1) / (len(reference) + 1))


def _vouched(vectors: NDArray[np.float32], codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which candidates have the topic that most of their nearest neighbours in the pool have."""
    if len(codes) <= NEIGHBOURS:
        return np.zeros(len(codes), dtype=bool)
    _, near = nearest(vectors, vectors, NEIGHBOURS + 1)
    near = np.array([[j for j in row if j != i][:NEIGHBOURS] for i, row in enumerate(near.tolist())])
    same = (codes[near] == codes[:, None]).sum(axis=1)
    result: NDArray[np.bool_] = same > NEIGHBOURS / 2
    return result


def _check(
    vectors: NDArray[np.float32], topics: Sequence[str], real_vectors: NDArray[np.float32], real_topics: Sequence[str]
) -> None:
    for side, labels in ((vectors, topics), (real_vectors, real_topics)):
        if side.ndim != 2 or len(side) != len(labels):
            raise ValueError(f"{len(labels)} topics, but vectors of shape {side.shape}")
    if vectors.shape[1] != real_vectors.shape[1]:
        raise ValueError(f"vectors of two encoders: {vectors.shape[1]} and {real_vectors.shape[1]} dimensions")
