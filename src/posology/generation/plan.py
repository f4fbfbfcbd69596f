"""The plan: one row for each wanted example, made before anything is spent, for people to read and edit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from posology.generation.habits import CHANNELS, OUTCOMES, Casting, Habits, draw_habits
from posology.generation.material import Example, Material, sections_of
from posology.generation.personas import Persona

_T = TypeVar("_T")
Mode = Literal["dialogue", "turns", "message", "continuation"]
MODES: tuple[Mode, ...] = ("dialogue", "turns", "message", "continuation")
#: Modes whose rows are whole conversations.
DIALOGUES: frozenset[Mode] = frozenset({"dialogue", "turns"})


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What one candidate is to be.

    Attributes:
        id: The id that the candidate will have.
        topic: Its label.
        persona: Who writes.
        channel: Where.
        mood: In what mood; empty leaves it open, as do the next three.
        register: `formal`, `plain` or `casual`.
        casing: `normal`, `lower` or `upper`.
        typos: `with typos` or `without typos`.
        words: About how many words the first customer message has.
        turns: Turns of customer and agent together.
        outcome: `resolved`, `escalated` or `unresolved`; empty where no end is told.
        docs: References to sections of the docs.
        catalog: Names of products that may come up.
        examples: Real examples, personal data masked.
        seed: Of every random choice for this row, the model's included.
    """

    id: str
    topic: str
    persona: Persona
    channel: str
    mood: str
    register: str
    casing: str
    typos: str
    words: int
    turns: int
    outcome: str
    docs: tuple[str, ...]
    catalog: tuple[str, ...]
    examples: tuple[Example, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What a plan is drawn from, beside the material.

    Attributes:
        habits: How real customers write, one entry a conversation; see `habits.measured`.
        personas: Who may write.
        channels: Where.
        outcomes: How conversations may end.
        max_docs: Most sections a row.
        max_products: Most products a row.
        max_examples: Most real examples a row, 1 to 4 in the prompts of instruction models.
    """

    habits: Sequence[Habits]
    personas: Sequence[Persona]
    channels: Sequence[str] = CHANNELS
    outcomes: Sequence[str] = OUTCOMES
    max_docs: int = 3
    max_products: int = 2
    max_examples: int = 4


def make_plan(
    wanted: Mapping[str, int],
    material: Material,
    choices: Choices,
    *,
    mode: Mode,
    seed: int = 0,
    topic_vectors: Mapping[str, NDArray[np.float32]] | None = None,
    section_vectors: NDArray[np.float32] | None = None,
) -> list[PlanRow]:
    """Draws a plan.

    Args:
        wanted: How many examples of each topic.
        material: Examples, docs and products.
        choices: Habits, personas and limits.
        mode: How it will be generated; modes without dialogues have one turn and no outcome.
        seed: Equal seeds and inputs give equal plans.
        topic_vectors: Where a topic lies, shape (d,), L2-normalised: to find docs for topics that no section names.
        section_vectors: Shape (S, d), of the material's sections in their order.

    Returns:
        The rows; topics take turns, so that a run that is stopped has some of each.
    """
    rng = np.random.default_rng(seed)
    dialogues = mode in DIALOGUES
    habits = iter(draw_habits(choices.habits, sum(wanted.values()), rng))
    casting = Casting(choices.personas, choices.channels, choices.outcomes if dialogues else (), rng)
    width = len(str(max(1, sum(wanted.values()))))
    by_topic: list[list[PlanRow]] = []
    products = _Rotation(list(material.products), rng)
    number = 0
    for topic, count in wanted.items():
        vector = (topic_vectors or {}).get(topic)
        sections = _Rotation(sections_of(topic, material, vector, section_vectors), rng)
        examples = _Rotation(material.examples.get(topic, ()), rng)
        rows = []
        for _ in range(count):
            number += 1
            habit = next(habits)
            cast = casting.next(habit)
            rows.append(
                PlanRow(
                    id=f"syn{seed}-{number:0{width}d}",
                    topic=topic,
                    persona=cast.persona,
                    channel=cast.channel,
                    mood=habit.mood,
                    register=habit.register,
                    casing=habit.casing,
                    typos=habit.typos,
                    words=habit.words,
                    turns=habit.turns if dialogues else 1,
                    outcome=cast.outcome,
                    docs=tuple(sections.take(choices.max_docs)),
                    catalog=tuple(products.take(int(rng.integers(choices.max_products + 1)))),
                    examples=tuple(examples.take(int(rng.integers(1, choices.max_examples + 1)))),
                    seed=int(rng.integers(1 << 31)),
                )
            )
        by_topic.append(rows)
    longest = max(map(len, by_topic), default=0)
    return [rows[n] for n in range(longest) for rows in by_topic if n < len(rows)]


class _Rotation(Generic[_T]):
    """Hands out items in random order, each before any comes again."""

    def __init__(self, items: Sequence[_T], rng: np.random.Generator) -> None:
        self._items, self._rng = items, rng
        self._waiting: list[int] = []

    def take(self, n: int) -> list[_T]:
        """N different items, or all if there are fewer."""
        n = min(n, len(self._items))
        taken: list[int] = []
        while len(taken) < n:
            if not self._waiting:
                self._waiting = self._rng.permutation(len(self._items)).tolist()
            for place, item in enumerate(self._waiting):
                if item not in taken:
                    taken.append(self._waiting.pop(place))
                    break
            else:
                # Only items of this very hand are left of the pass: begin the next one with the others.
                self._waiting += self._rng.permutation(len(self._items)).tolist()
        return [self._items[i] for i in taken]


def counted(rows: Sequence[PlanRow]) -> dict[str, dict[str, int]]:
    """How often each value of each attribute stands in a plan, for people to look over."""
    names = ("topic", "channel", "mood", "register", "casing", "typos", "turns", "outcome")
    return {name: dict(sorted(Counter(str(getattr(row, name)) for row in rows).items())) for name in names}
