"""A generator that is a language model: it goes on with a list of texts of a topic, one text a call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from posology.collapse.surrogate import FitGenerator, TextGenerator

EXAMPLES = 8  # texts that a prompt shows
LONGEST = 400  # characters of one of them

#: Sends prompts and gives what continues each, in their order; empty where nothing came.
Continue = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Continuation:
    """Shows the model texts that it is to learn from, where a trained one would have seen them.

    Attributes:
        texts: By topic, what may be shown.
        ask: Sends prompts.
    """

    texts: Mapping[str, Sequence[str]]
    ask: Continue

    def write(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:
        """One text a topic: the first line of what continues its prompt."""
        replies = self.ask([self.prompt(topic, rng) for topic in topics])
        return [first_line(reply) for reply in replies]

    def prompt(self, topic: str, rng: np.random.Generator) -> str:
        """A list of texts of the topic, drawn anew each time, with a dash where the next one goes."""
        known = self.texts.get(topic, ())
        shown = rng.permutation(len(known))[:EXAMPLES]
        lines = "".join(f"- {' '.join(known[i].split())[:LONGEST]}\n" for i in shown)
        return f"Messages that customers wrote to support about {topic.replace('_', ' ')}:\n\n{lines}-"


def continuation(ask: Continue) -> FitGenerator:
    """Makes generators that keep texts for their prompts, which is all that such a model learns."""

    def fit(texts: Sequence[str], topics: Sequence[str]) -> TextGenerator:
        by_topic: dict[str, list[str]] = defaultdict(list)
        for text, topic in zip(texts, topics, strict=True):
            by_topic[topic].append(text)
        return Continuation(dict(by_topic), ask)

    return fit


def first_line(reply: str) -> str:
    """What stands up to the end of the first line that says something, without list marks and quotes around it."""
    line = next((line for line in reply.splitlines() if line.strip(" -*\t")), "")
    return line.strip(" -*\t").strip('"').strip()
