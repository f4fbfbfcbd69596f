"""Paraphrases of held-out conversations, called row by row where conversations are long enough to identify.

A paraphrase says the same things in the same order in other words. So the score of a pair is the mean cosine of its
turns, aligned in order (a turn without a partner counts 0), plus half the TF-IDF cosine of the words: names, numbers
and rare words survive a paraphrase. The limit is what a stated share of real training rows reaches against the holdout;
the features and their weight were chosen on airline conversations (TwACS) and paraphrases written by hand.

On short messages none of this works: honest neighbours in a topic lie as near as paraphrases do. There the answer is
"cannot tell", no row is thrown away, and `posology.verification.leakage.sets` looks at the set as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from posology.errors import InputError
from posology.matching.normalise import normalise
from posology.matching.semantic import cosine_pairs
from posology.records import Conversation
from posology.verification.leakage.thresholds import Threshold, threshold

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

RATE = 0.02
FLOOR = 0.6
RARE_WORDS = 0.5
SHORTLIST = 20
MOST_TURNS = 12
FEW_WORDS = 12  # a conversation with fewer says too little to be anybody's own
MANY_WORDS, MANY_TURNS = 25, 2
_SPOKEN = frozenset({"user", "assistant"})
_AT_ONCE = 1 << 14


@dataclass(frozen=True, slots=True)
class Nearest:
    """The held-out conversation that each of n others is most likely a paraphrase of.

    Attributes:
        other: Its position, -1 where the conversation or the holdout says too little, shape (n,).
        score: How alike the two are, 0 to 1.5, NaN likewise, shape (n,).
    """

    other: NDArray[np.int64]
    score: NDArray[np.float64]


def tells_apart(conversations: Sequence[Conversation]) -> bool:
    """Whether conversations are long enough, by their median, to call a paraphrase: two turns and 25 words."""
    spoken = [_spoken(c, _SPOKEN) for c in conversations]
    return (
        bool(spoken)
        and median(len(turns) for turns in spoken) >= MANY_TURNS
        and median(sum(len(turn.split()) for turn in turns) for turns in spoken) >= MANY_WORDS
    )


class Paraphrases:
    """Finds paraphrases of held-out conversations.

    Args:
        holdout: Held-out conversations.
        real: Real training conversations, which set the limit and say which words are rare.
        embed: Texts to L2-normalised vectors.
        roles: Whose turns are compared; those that both sides have.
    """

    def __init__(
        self,
        holdout: Sequence[Conversation],
        real: Sequence[Conversation],
        embed: Embed,
        *,
        roles: frozenset[str] = _SPOKEN,
    ) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._embed, self._roles = embed, roles & _SPOKEN
        words = [_words(_spoken(c, self._roles)) for c in (*holdout, *real)]
        self._tfidf = TfidfVectorizer(analyzer=str.split, sublinear_tf=True, dtype=np.float32)
        self._tfidf.fit([text or "-" for text in words])
        self._holdout = self._features(holdout)
        scores = self.nearest(real).score if len(real) else np.empty(0)
        self.limit: Threshold | None = threshold(scores[np.isfinite(scores)], rate=RATE, floor=FLOOR)

    def nearest(self, conversations: Sequence[Conversation]) -> Nearest:
        """The most alike held-out conversation of each, among the 20 whose turns lie nearest on average."""
        features = self._features(conversations)
        other, best = np.full(len(conversations), -1), np.full(len(conversations), np.nan)
        usable = np.flatnonzero(features.usable)
        held = np.flatnonzero(self._holdout.usable)
        if not len(usable) or not len(held):
            return Nearest(other, best)
        if features.mean.shape[1] != self._holdout.mean.shape[1]:
            raise InputError(
                f"vectors of {features.mean.shape[1]} and of {self._holdout.mean.shape[1]} numbers cannot be compared.",
                remedy="Embed everything with one encoder.",
            )
        i, j, _ = cosine_pairs(features.mean[usable], self._holdout.mean[held], -1.0)
        rank = np.arange(len(i)) - np.searchsorted(i, i, "left")
        i, j = usable[i[rank < SHORTLIST]], held[j[rank < SHORTLIST]]
        score = _aligned(features, self._holdout, i, j) + RARE_WORDS * _shared_words(features, self._holdout, i, j)
        order = np.lexsort((j, -score, i))
        rows, first = np.unique(i[order], return_index=True)
        other[rows], best[rows] = j[order][first], score[order][first]
        return Nearest(other, best)

    def _features(self, conversations: Sequence[Conversation]) -> _Features:
        turns = [_spoken(c, self._roles)[:MOST_TURNS] for c in conversations]
        flat = [turn for own in turns for turn in own]
        vectors = self._embed(flat) if flat else np.zeros((0, 1), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(flat):
            raise ValueError(f"{len(flat)} texts, but vectors of shape {vectors.shape}")
        ends = np.cumsum([0, *map(len, turns)])
        texts = [_words(own) for own in turns]
        rows = np.repeat(np.arange(len(turns)), np.diff(ends))
        mean = np.zeros((len(turns), vectors.shape[1]), np.float32)
        np.add.at(mean, rows, vectors)
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        usable = np.array([len(text.split()) >= FEW_WORDS for text in texts], bool)
        return _Features(vectors, ends, mean, self._tfidf.transform(texts), usable)


@dataclass(frozen=True, slots=True)
class _Features:
    vectors: NDArray[np.float32]  # of all turns, those of conversation k from ends[k] to ends[k + 1]
    ends: NDArray[np.int64]
    mean: NDArray[np.float32]
    words: object  # TF-IDF rows, sparse
    usable: NDArray[np.bool_]


def _aligned(a: _Features, b: _Features, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    """The greatest mean cosine of turns matched in order, over the longer of the two, of each pair.

    Needleman and Wunsch (1970) without gap costs, for all pairs of one shape at once.
    """
    score = np.zeros(len(i))
    lengths = np.stack([np.diff(a.ends)[i], np.diff(b.ends)[j]], axis=1)
    for k, m in np.unique(lengths, axis=0).tolist():
        alike = np.flatnonzero((lengths == (k, m)).all(axis=1))
        for begin in range(0, len(alike), max(1, _AT_ONCE // max(1, k * m))):
            part = alike[begin : begin + max(1, _AT_ONCE // max(1, k * m))]
            left = a.vectors[a.ends[i[part]][:, None] + np.arange(k)]
            right = b.vectors[b.ends[j[part]][:, None] + np.arange(m)]
            cosine = np.einsum("pkd,pmd->pkm", left, right, optimize=True)
            table = np.zeros((len(part), k + 1, m + 1))
            for x in range(k):
                for y in range(m):
                    matched = table[:, x, y] + cosine[:, x, y]
                    table[:, x + 1, y + 1] = np.maximum(np.maximum(table[:, x, y + 1], table[:, x + 1, y]), matched)
            score[part] = table[:, k, m] / max(k, m)
    return score


def _shared_words(a: _Features, b: _Features, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    score = np.zeros(len(i))
    for begin in range(0, len(i), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        both = a.words[i[part]].multiply(b.words[j[part]])  # type: ignore[index]
        score[part] = np.asarray(both.sum(axis=1)).ravel()
    return score


def _spoken(conversation: Conversation, roles: frozenset[str]) -> list[str]:
    return [m.content for m in conversation.messages if m.role in roles and m.content.strip()]


def _words(turns: Sequence[str]) -> str:
    return " ".join(normalise(turn) for turn in turns)
