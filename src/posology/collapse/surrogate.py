"""A generator that is fitted in a blink: an interpolated word trigram model for each topic.

It stands in for a language model where a whole loop of generations is to be run in seconds. It writes actual text, and
forgets what a sample did not hold, as every model does that is trained on what it wrote; how fast a large language
model forgets, it cannot tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

START, END = "\x02", "\x03"
# Odds with which the next word follows, within the topic, the last two words or the last one, and likewise in all text;
# of those that the context allows (interpolation after Jelinek and Mercer 1980).
ODDS = (6.0, 2.0, 1.0, 0.5)
LONGEST = 120

_Follow = Mapping[tuple[str | None, ...], Sequence[str]]


class TextGenerator(Protocol):
    """Writes texts of given topics after having seen some."""

    def write(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:
        """One text a topic, in their order; empty where none came."""
        ...


class FitGenerator(Protocol):
    """Makes a generator from texts and their topics: by training, or by keeping them for a prompt."""

    def __call__(self, texts: Sequence[str], topics: Sequence[str]) -> TextGenerator:
        """Fits."""
        ...


@dataclass(frozen=True, slots=True)
class Trigrams:
    """The surrogate.

    Attributes:
        follow: By context (topic or None for all, then one or two words): what followed it, as often as it did.
    """

    follow: _Follow

    @classmethod
    def fit(cls, texts: Sequence[str], topics: Sequence[str]) -> Trigrams:
        """Counts words after words.

        Args:
            texts: Texts of one turn or more, parted by line breaks, which are kept.
            topics: One a text.
        """
        follow: dict[tuple[str | None, ...], list[str]] = defaultdict(list)
        for text, topic in zip(texts, topics, strict=True):
            words = [START, START, *_words(text), END]
            for first, second, word in zip(words, words[1:], words[2:], strict=False):
                for context in ((topic, first, second), (topic, second), (None, first, second), (None, second)):
                    follow[context].append(word)
        return cls(dict(follow))

    def write(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:
        """One text a topic; a topic that was never seen gets text of all topics."""
        return [self._one(topic, rng) for topic in topics]

    def _one(self, topic: str, rng: np.random.Generator) -> str:
        words = [START, START]
        for which, where in rng.random((LONGEST, 2)):
            successors = self._successors(topic, words[-2], words[-1], which)
            word = successors[int(where * len(successors))]
            if word == END:
                break
            words.append(word)
        return " ".join(words[2:]).replace(" \n ", "\n").strip()

    def _successors(self, topic: str, first: str, second: str, luck: float) -> Sequence[str]:
        """What followed one of the contexts, chosen by the odds of those that were seen."""
        contexts = ((topic, first, second), (topic, second), (None, first, second), (None, second))
        seen = [
            (odds, self.follow[context]) for odds, context in zip(ODDS, contexts, strict=True) if context in self.follow
        ]
        left = luck * sum(odds for odds, _ in seen)
        for odds, successors in seen:
            left -= odds
            if left < 0:
                return successors
        return seen[-1][1]


def _words(text: str) -> list[str]:
    return [word for word in text.replace("\n", " \n ").split(" ") if word]
