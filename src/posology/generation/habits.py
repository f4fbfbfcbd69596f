"""How real customers write, and who writes: the attributes of plan rows.

What can be measured is drawn from real conversations, jointly: one real conversation lends a row its register, casing,
typos, mood, number of turns and length, so that their correlations are kept. Lenders are taken by systematic sampling
over the sorted population (Cochran, "Sampling Techniques", chapter 8), so that the drawn shares follow the measured
ones within one row per kind of conversation, instead of by luck.

What cannot be measured (persona, channel, outcome) comes from lists, in an order in which no combination of all
attributes repeats before every combination with these habits has been used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from posology.errors import UsageError
from posology.generation.personas import Persona
from posology.records import Conversation

CHANNELS = ("web chat", "e-mail", "in-app message", "social media message")
OUTCOMES = ("resolved", "escalated", "unresolved")
SIGNS = ("register", "casing", "typos", "mood")
_DEFAULT_TURNS = (2, 4, 6)


@dataclass(frozen=True, slots=True, order=True)
class Habits:
    """How one conversation is written.

    Attributes:
        register: `formal`, `plain` or `casual`; empty if it was not measured, as all of these.
        casing: `normal`, `lower` or `upper`.
        typos: `with typos` or `without typos`.
        mood: `negative`, `neutral`, `positive` or `urgent`.
        turns: Turns of customer and agent together.
        words: Words of the first customer message.
    """

    register: str
    casing: str
    typos: str
    mood: str
    turns: int
    words: int


@dataclass(frozen=True, slots=True)
class Cast:
    """Who writes, where, and with what end.

    Attributes:
        persona: Who.
        channel: Where.
        outcome: How the conversation ends; empty where it is not told.
    """

    persona: Persona
    channel: str
    outcome: str


def measured(
    real: Sequence[Conversation], signs: Mapping[str, Sequence[str]], *, dialogues: bool, max_turns: int = 12
) -> list[Habits]:
    """The habits of every real conversation.

    Args:
        real: Real training conversations.
        signs: By name (of `SIGNS`), the value of each conversation; others are ignored, missing ones stay open.
        dialogues: Whether turns are wanted. Real dialogues lend theirs; a single message says nothing about the
            length of a dialogue, so it gets 2, 4 or 6 in turn.
        max_turns: Longer ones count as this long.

    Raises:
        ValueError: A sign has not one value a conversation.
    """
    for name, values in signs.items():
        if len(values) != len(real):
            raise ValueError(f"{len(real)} conversations, but {len(values)} values of {name}")
    found = []
    for place, conversation in enumerate(real):
        texts = [m.content for m in conversation.messages if m.role == "user" and m.content.strip()]
        if not texts:
            continue
        turns = sum(m.role in ("user", "assistant") for m in conversation.messages) if dialogues else 1
        if dialogues and turns < 2:
            turns = _DEFAULT_TURNS[place % len(_DEFAULT_TURNS)]
        register, casing, typos, mood = (signs[name][place] if name in signs else "" for name in SIGNS)
        found.append(Habits(register, casing, typos, mood, min(turns, max_turns), len(texts[0].split())))
    return found


def draw_habits(population: Sequence[Habits], n: int, rng: np.random.Generator) -> list[Habits]:
    """N habits whose joint distribution follows the population's, in random order.

    Raises:
        UsageError: The population is empty.
    """
    if not population:
        raise UsageError(
            "there is no real conversation to measure how customers write.",
            remedy="Give real training data with --real.",
        )
    ranked = sorted(population)
    start = rng.random()
    drawn = [ranked[int((start + step) * len(ranked) / n)] for step in range(n)]
    return [drawn[i] for i in rng.permutation(n)]


class Casting:
    """Hands out casts such that no combination of cast and signs repeats before all casts were used with these signs.

    Args:
        personas: Who may write.
        channels: Where.
        outcomes: How it may end; empty where no end is told.
        rng: Decides the order.
    """

    def __init__(
        self, personas: Sequence[Persona], channels: Sequence[str], outcomes: Sequence[str], rng: np.random.Generator
    ) -> None:
        if not personas or not channels:
            raise UsageError("at least one persona and one channel are needed.", remedy="Name some in posology.yaml.")
        self._grid = list(product(personas, channels, outcomes or ("",)))
        self._personas = len(personas)
        self._rng = rng
        self._waiting: list[int] = []
        self._used: dict[tuple[str, ...], set[int]] = {}

    def next(self, habits: Habits) -> Cast:
        """The cast for a row with these habits."""
        signs = (habits.register, habits.casing, habits.typos, habits.mood)
        used = self._used.setdefault(signs, set())
        if len(used) == len(self._grid):
            used.clear()
        place = next((i for i, cast in enumerate(self._waiting) if cast not in used), None)
        while place is None:
            # The next pass over the grid begins before the last one ends, if what is left of it was used with these.
            start = len(self._waiting)
            self._waiting += self._one_pass()
            place = next((i for i in range(start, len(self._waiting)) if self._waiting[i] not in used), None)
        cast = self._waiting.pop(place)
        used.add(cast)
        return Cast(*self._grid[cast])

    def _one_pass(self) -> Iterator[int]:
        """Every cast once, with all personas before any of them comes again."""
        each = len(self._grid) // self._personas
        ways = [self._rng.permutation(each) for _ in range(self._personas)]
        for turn in range(each):
            for persona in self._rng.permutation(self._personas):
                yield int(persona * each + ways[persona][turn])
