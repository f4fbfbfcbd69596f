"""What prompts are made of: real examples with personal data masked, sections of the docs, products."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from posology.conversations.masking import mask_conversation
from posology.records import Conversation, DocSection

_T = TypeVar("_T")
_LONGEST_TURN = 600
_MOST_TURNS = 8


@dataclass(frozen=True, slots=True)
class Example:
    """A real conversation as a model may see it.

    Attributes:
        id: Of the real conversation.
        text: Its first customer message, or its turns as lines `Customer: ...` and `Agent: ...`; masked.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that plan rows refer to by name.

    Attributes:
        sections: Docs by reference, `file#heading`.
        products: Rows of the catalog by name.
        masked: How many values of each kind of personal data were masked in the examples.
    """

    sections: Mapping[str, DocSection]
    products: Mapping[str, Mapping[str, str]]
    examples: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)


def gather(
    real: Sequence[Conversation],
    docs: Sequence[DocSection] = (),
    catalog: Sequence[Mapping[str, str]] = (),
    *,
    dialogues: bool,
) -> Material:
    """Prepares the material of a plan.

    Args:
        real: Real *training* conversations, never the holdout.
        docs: Sections of the support documentation.
        catalog: Products, the column of the name first.
        dialogues: Whether examples are shown with all their turns, or the first customer message alone.
    """
    examples: dict[str, list[Example]] = {}
    counts: dict[str, int] = {}
    for conversation in real:
        seed = int.from_bytes(hashlib.sha256(conversation.id.encode("utf-8", "replace")).digest()[:4])
        masked, found = mask_conversation(conversation, seed)
        for kind, n in found.items():
            counts[kind] = counts.get(kind, 0) + n
        text = transcript(masked) if dialogues else opening(masked)
        if conversation.topic is not None and text:
            examples.setdefault(conversation.topic, []).append(Example(conversation.id, text))
    return Material(
        sections=_named((f"{section.file}#{section.heading}", section) for section in docs),
        products=_named((next(iter(product.values())), product) for product in catalog if product),
        examples={topic: tuple(found_here) for topic, found_here in examples.items()},
        masked=dict(sorted(counts.items())),
    )


def opening(conversation: Conversation) -> str:
    """The first thing that the customer says, on one line; empty if nothing."""
    said = (message.content for message in conversation.messages if message.role == "user")
    return next((" ".join(text.split()) for text in said if text.strip()), "")


def transcript(conversation: Conversation) -> str:
    """The first turns of customer and agent, a line each, long ones cut."""
    names = {"user": "Customer", "assistant": "Agent"}
    lines = [
        f"{names[message.role]}: {_cut(' '.join(message.content.split()))}"
        for message in conversation.messages
        if message.role in names and message.content.strip()
    ]
    return "\n".join(lines[:_MOST_TURNS])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TURN else f"{text[:_LONGEST_TURN].rsplit(' ', 1)[0]} …"


def _named(pairs: Iterable[tuple[str, _T]]) -> dict[str, _T]:
    named: dict[str, _T] = {}
    for name, value in pairs:
        if value in named.values():
            continue
        unique, n = name, 1
        while unique in named:
            n += 1
            unique = f"{name} ({n})"
        named[unique] = value
    return named


def sections_of(
    topic: str,
    material: Material,
    topic_vector: NDArray[np.float32] | None = None,
    section_vectors: NDArray[np.float32] | None = None,
    *,
    nearest: int = 2,
) -> list[str]:
    """References to the sections that explain a topic: those labelled with it, else the nearest ones.

    Args:
        topic: The label.
        material: With S sections.
        topic_vector: Shape (d,), L2-normalised; None looks for labels only.
        section_vectors: Shape (S, d), in the order of the sections, likewise.
        nearest: How many of the nearest, where no section has the label.
    """
    labelled = [name for name, section in material.sections.items() if section.topic == topic]
    if labelled or topic_vector is None or section_vectors is None or not material.sections:
        return labelled
    names = list(material.sections)
    if section_vectors.shape != (len(names), len(topic_vector)):
        raise ValueError(f"{len(names)} sections, but vectors of shape {section_vectors.shape}")
    order = np.argsort(-(section_vectors @ topic_vector), kind="stable")
    return [names[i] for i in order[:nearest]]
