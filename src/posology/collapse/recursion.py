"""The self-consuming loop: a generator learns from a mixture, writes, and what it wrote is mixed in for the next one.

Shumailov et al., "AI models collapse when trained on recursively generated data" (2024), show that replacing the data
each time loses its tails first and then its meaning; Gerstgrasser et al., "Is Model Collapse Inevitable?" (2024), that
accumulating beside the real data bounds the loss; Kazdan et al., "Collapse or Thrive?" (2024), look at accumulation
under a fixed budget. Which of these is one's own case, this loop measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from posology.collapse.surrogate import FitGenerator
from posology.records import Conversation, Message, TextRule

Policy = Literal["replace", "accumulate", "accumulate-subsample"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
OVERSAMPLING = 2  # candidates a row wanted, where somebody verifies them

#: Gives the candidates that may be used, best first; it must not have written them.
Verify = Callable[[Sequence[Conversation]], Sequence[Conversation]]


@dataclass(frozen=True, slots=True)
class Generation:
    """One turn of the loop.

    Attributes:
        number: 0 for real data alone, before anything was written.
        written: What this generation's generator wrote and verification kept.
        n_candidates: How much it wrote.
        mixture: What the next generator, and the bot, learn from.
    """

    number: int
    written: tuple[Conversation, ...]
    n_candidates: int
    mixture: tuple[Conversation, ...]


def run_loop(
    real: Sequence[Conversation],
    fit: FitGenerator,
    *,
    generations: int,
    policy: Policy,
    verify: Verify | None = None,
    rule: TextRule,
    seed: int = 0,
) -> Iterator[Generation]:
    """Turns the loop, yielding generation 0 first.

    Each generation writes as many rows as there are real ones, of topics drawn from the mixture it learned from: a
    topic that is not drawn is not written, and under `replace` is gone for good.

    Args:
        real: Real labelled conversations with text.
        fit: Makes a generator from texts and topics.
        generations: How many after generation 0. The loop ends early when nothing usable was written.
        policy: `replace` learns from the last generation alone, `accumulate` from real data and all generations,
            `accumulate-subsample` from a random part of these as large as real data.
        verify: Chooses among twice as many candidates; None takes everything.
        rule: What a conversation's text is.
        seed: Decides every draw.
    """
    rng = np.random.default_rng(seed)
    size = len(real)
    mixture, everything = tuple(real), list(real)
    yield Generation(0, (), 0, mixture)
    for number in range(1, generations + 1):
        topics = [c.label for c in mixture]
        generator = fit([rule.text(c) for c in mixture], topics)
        wanted = [topics[i] for i in rng.integers(len(topics), size=size * (OVERSAMPLING if verify else 1))]
        texts = generator.write(wanted, rng)
        candidates = [
            _conversation(f"generation-{number}-{place}", text, topic, number)
            for place, (text, topic) in enumerate(zip(texts, wanted, strict=True))
            if text.strip()
        ]
        written = tuple((verify(candidates) if verify else candidates)[:size])
        if not written:
            return
        everything += written
        mixture = _mixed(policy, written, everything, size, rng)
        yield Generation(number, written, len(candidates), mixture)


def _mixed(
    policy: Policy,
    written: tuple[Conversation, ...],
    everything: Sequence[Conversation],
    size: int,
    rng: np.random.Generator,
) -> tuple[Conversation, ...]:
    if policy == "replace":
        return written
    if policy == "accumulate":
        return tuple(everything)
    return tuple(everything[i] for i in np.sort(rng.choice(len(everything), size, replace=False)))


def _conversation(id: str, text: str, topic: str, generation: int) -> Conversation:
    messages = tuple(Message("user", turn) for turn in text.split("\n") if turn.strip())
    return Conversation(id, messages, topic, "synthetic", {"generation": generation})
