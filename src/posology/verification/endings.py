"""Truncation: a last turn that breaks off where people do not stop.

Nobody labels where messages break off, and nobody has to: real messages, cut at a random letter, are examples of broken
ones, and as they are, of whole ones (boundaries without labels, as in Kiss and Strunk, "Unsupervised Multilingual
Sentence Boundary Detection", 2006). A logistic regression learns from both what ends a
message here: marks, words that never stand last, the beginnings of longer words, and the writer's own habits (who
writes capitals and full stops sets one at the end too). Candidates lend their style the same way, cross-fitted, so that
a pool that writes without full stops is not rejected for it.

A message that is cut where it could have ended ("charged twice for one | coffee") is whole to any reader, and passes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from posology.records import CheckState, Conversation, DocSection, Finding
from posology.threads import single_threaded

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CHECK = "truncated"
FEWEST = 100  # real last turns to learn from
SHORTEST = 3  # letters of a turn that cannot be cut any more
MOST = 4000  # turns that are learned from, so that the cost does not grow with the pool
USUAL = 0.99  # share of whole real messages that pass
FOLDS, CUTS = 5, 2
STRENGTH = 0.2  # inverse of the penalty: the features are many and rare
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SENTENCES = re.compile(r"(?<=[.?!;:])\s+|\n+")
_MARK = re.compile(r"[^\w\s]+$")
_QUESTION = frozenset(
    "why what how when where which who can could do does did is are am will would should has have was were".split()
)
Features = list[str]


class Truncated:
    """The check `truncated`.

    Args:
        real: Real training conversations.
        docs: Documentation, whose words are words too.
        seed: Of the cuts and folds.
    """

    def __init__(self, real: Sequence[Conversation], docs: Sequence[DocSection] = (), *, seed: int = 0) -> None:
        self._real = [text for c in real if len(text := _last(c)) > SHORTEST]
        self._docs = [section.text for section in docs]
        self._seed = seed

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; the score is the probability that its last turn is whole.

        All unscored where real data is too thin to learn endings from.
        """
        if len(self._real) < FEWEST:
            return [Finding(CHECK, "unscored", detail="too few real messages to learn endings from")] * len(candidates)
        texts = [_last(candidate) for candidate in candidates]
        cut, threshold = _scores(self._real, texts, self._docs, np.random.default_rng(self._seed))
        whole, limit = 1 / (1 + np.exp(cut)), float(1 / (1 + np.exp(threshold)))
        return [_finding(text, float(score), limit) for text, score in zip(texts, whole, strict=True)]


def _finding(text: str, whole: float, limit: float) -> Finding:
    if not text:
        return Finding(CHECK, "unscored", detail="its last turn is empty")
    state: CheckState = "fail" if whole < limit else "pass"
    return Finding(CHECK, state, round(whole, 4), round(limit, 4), "in its last turn" if state == "fail" else "")


def _last(conversation: Conversation) -> str:
    return conversation.messages[-1].content.strip()


@dataclass(frozen=True, slots=True)
class _Usage:
    """How often words stand, and stand last, in whole sentences.

    Attributes:
        words: Of each word, and of each pair of neighbours.
        last: Of each word and pair at the end of a sentence.
        begun: Of each beginning of a longer word, alone and after its neighbour.
        usual: Share of words that stand last.
    """

    words: Counter[tuple[str, ...]]
    last: Counter[tuple[str, ...]]
    begun: Counter[tuple[str, ...]]
    usual: float


def _usage(texts: Sequence[str]) -> _Usage:
    words, last, begun = Counter[tuple[str, ...]](), Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    n_words = n_last = 0
    for text in texts:
        for sentence in _SENTENCES.split(text):
            found = _WORD.findall(sentence.lower())
            if not found:
                continue
            pairs = list(zip(["", *found], found, strict=False))
            words.update([(word,) for word in found])
            words.update(pairs)
            last.update([(found[-1],), pairs[-1]])
            n_words, n_last = n_words + len(found), n_last + 1
    for key, n in words.items():
        for end in range(1, len(key[-1])):
            begun[(*key[:-1], key[-1][:end])] += n
    return _Usage(words, last, begun, n_last / max(1, n_words))


def _features(text: str, usage: _Usage) -> Features:
    """What the end of a text looks like, as names of what is there."""
    words = _WORD.findall(text.lower())
    if not words:
        return ["no word"]
    before, word = ["", *words][-2:]
    mark = _MARK.search(text)
    line = _WORD.findall(re.split(r"[.?!]\s+", text)[-1].lower())
    asks = bool(line) and line[0] in _QUESTION
    known = usage.words[(word,)]
    ends = (usage.last[(word,)] + 2 * usage.usual) / (known + 2)
    if mark:
        kind = mark[0][:2]
        return [
            f"mark {kind}",
            f"mark {kind} {min(known, 3)}",
            f"mark {kind[0]} asks {asks}",
            f"marked {_step(log(ends))}",
        ]
    pair = usage.words[(before, word)]
    ends_here = (usage.last[(before, word)] + 2 * ends) / (pair + 2)
    longer = _step(log((usage.begun[(word,)] + 0.5) / (known + 0.5)))
    longer_here = _step(log((usage.begun[(before, word)] + 0.25) / (pair + 0.5)))
    habit = f"{text[:1].isupper()} {bool(re.search(r'[.?!] ', text))}"
    return [
        "no mark",
        f"habit {habit}",
        f"habit {habit} {asks}",
        f"habit {habit} {',' in text} {bool(re.search(_APOSTROPHE, text))}",
        f"ends {_step(2 * log(ends))}",
        f"ends here {_step(2 * log(ends_here))}",
        f"ends here {_step(log(ends_here))} {habit}",
        f"longer {longer}",
        f"longer here {longer_here}",
        f"longer {longer} {longer_here}",
        f"known {min(known, 4)} {min(usage.begun[(word,)], 3)}",
        f"known {min(known, 2)} {min(usage.begun[(word,)], 1)} {min(len(word), 7)}",
        f"word {word}",
        f"pair {before} {word}",
        f"before {before}",
        f"suffix {word[-3:]}",
        f"suffix {word[-2:]}",
        f"letters {len(word)}",
        f"line {min(len(line), 12)}",
        f"line {min(len(line), 12) // 2} {asks}",
        f"length {min(len(words), 30) // 3}",
        f"length {min(len(words), 30) // 6} {habit}",
    ]


_APOSTROPHE = "['\u2019]"


def _step(value: float) -> int:
    return int(max(-6, min(6, round(value))))


def _cut(text: str, rng: np.random.Generator) -> str:
    """A text broken off at a random letter."""
    end = int(len(text) * rng.uniform(0.2, 0.97))
    return text[: max(1, min(len(text) - 1, end))].rstrip() or text[:1]


def _scores(
    real: Sequence[str], pool: Sequence[str], docs: Sequence[str], rng: np.random.Generator
) -> tuple[NDArray[np.float64], float]:
    """Log odds of being cut for each pool text, cross-fitted, and what `USUAL` of the real texts stay below."""
    from scipy.sparse import vstack
    from sklearn.linear_model import LogisticRegression

    texts = [*real, *pool]
    fold = rng.permutation(np.arange(len(texts)) % FOLDS)
    learned = np.zeros(len(texts), dtype=bool)
    for start, end in ((0, len(real)), (len(real), len(texts))):
        learned[start + rng.permutation(end - start)[: MOST // 2]] = True
    whole: list[Features] = [[] for _ in texts]
    broken: list[list[Features]] = [[] for _ in texts]
    for held_out in range(FOLDS):
        usage = _usage([*(texts[i] for i in np.flatnonzero(learned & (fold != held_out))), *docs])
        for i in np.flatnonzero(fold == held_out):
            whole[i] = _features(texts[i], usage)
            if learned[i] and len(texts[i]) > SHORTEST:
                broken[i] = [_features(_cut(texts[i], rng), usage) for _ in range(CUTS)]
    matrix = _hashed(whole)
    score = np.zeros(len(texts))
    with single_threaded():
        for held_out in range(FOLDS):
            train = np.flatnonzero(learned & (fold != held_out))
            cuts = _hashed([features for i in train for features in broken[i]])
            model = LogisticRegression(C=STRENGTH, max_iter=150, class_weight="balanced")
            model.fit(vstack([matrix[train], cuts]), np.r_[np.zeros(len(train)), np.ones(cuts.shape[0])])
            rows = np.flatnonzero(fold == held_out)
            score[rows] = model.decision_function(matrix[rows])
    return score[len(real) :], float(np.quantile(score[: len(real)], USUAL))


def _hashed(rows: Sequence[Features]) -> csr_matrix:
    from sklearn.feature_extraction import FeatureHasher

    return FeatureHasher(2**17, input_type="string", alternate_sign=False).transform(rows)
