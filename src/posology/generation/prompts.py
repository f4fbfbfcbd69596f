"""From a plan row to the messages of a call.

All foreign text reaches a template (`posology.generation.filling`) inside a fence (`posology.llm.quoting`), and
is never itself taken for a template.

**What is trimmed when a prompt is too long**, one step at a time until it fits: what is fed back as "not these",
products from the last, docs from the last down to one, examples from the last down to one, then the remaining section
by halves at a line or sentence down to 400 characters, then the last section and, at the end, the last example. If it
is still too long, the row is rejected, with the count. A prompt that the provider calls too long is tried again at half
its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from posology.generation.feedback import NotThese
from posology.generation.filling import Templates
from posology.generation.material import Material
from posology.generation.plan import MODES, Mode, PlanRow
from posology.llm.quoting import defanged, fenced

TEMPLATES_OF: Mapping[Mode, tuple[str, ...]] = {
    "dialogue": ("dialogue",),
    "turns": ("customer", "agent"),
    "message": ("message",),
    "continuation": ("continuation",),
}
VARIABLES = frozenset(
    {"row", "language", "docs", "products", "examples", "lines", "avoid", "step", "last", "last_of_side"}
)
_SHORTEST_SECTION = 400
_BEGIN = "Write your first message."


class PromptTooLong(Exception):
    """A prompt does not fit, even trimmed.

    Args:
        tokens: Its estimated tokens.
        limit: What there is room for.
    """

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"The prompt has about {tokens:,} tokens where {limit:,} fit.")


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a conversation played in turns stands.

    Attributes:
        step: The number of the message to be written, from 1.
        side: `customer` or `agent`.
        history: What was said, from the side's own point of view: its own turns are `assistant`.
        last_of_side: Whether this side writes its last message.
    """

    step: int
    side: str
    history: tuple[str, ...] = ()
    last_of_side: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages of a call.

    Attributes:
        messages: Role and content.
        quoted: The foreign texts in it, as they stand there: for the checks.
        tokens: About how many tokens it has.
        trimmed: What was left out to make it fit; empty if nothing.
    """

    messages: tuple[tuple[str, str], ...]
    quoted: tuple[str, ...]
    tokens: int
    trimmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Parts:
    """The foreign texts of a prompt, before they are fenced."""

    docs: tuple[str, ...]
    products: tuple[str, ...]
    examples: tuple[str, ...]
    avoid: NotThese


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has: a token for 4 ASCII characters, and for 1.5 others; on the safe side."""
    if text.isascii():
        return ceil(len(text) / 4)
    ascii_ = len(text.encode("ascii", "ignore"))
    return ceil(ascii_ / 4 + (len(text) - ascii_) / 1.5)


class Prompts:
    """The templates of one mode.

    Args:
        mode: How conversations are written.
        material: What rows refer to.
        language: In which language to write, in English words (`English`, `German`).
        folder: A user's own templates, None for the package's.

    Raises:
        ConfigError: A template is broken, lacks a block or uses a variable that does not exist.
    """

    def __init__(
        self, mode: Mode, material: Material, *, language: str = "English", folder: Path | None = None
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"no mode {mode!r}")
        self.mode: Mode = mode
        self._material = material
        self._language = language
        self._templates = Templates(TEMPLATES_OF[mode], VARIABLES, folder)

    @property
    def version(self) -> str:
        """Names, versions and content of the templates, for provenance: `dialogue-1-0a1b2c3d`."""
        return self._templates.version

    def render(self, row: PlanRow, *, limit: int, avoid: NotThese | None = None, turn: Turn | None = None) -> Prompt:
        """The prompt of a row.

        Args:
            row: What is wanted.
            limit: Most tokens, by `estimated_tokens`.
            avoid: What was written already.
            turn: Where the conversation stands, in the mode `turns`.

        Raises:
            PromptTooLong: It does not fit, even trimmed.
            ConfigError: A template asks for something that does not exist.
        """
        parts = self._parts(row, avoid or NotThese())
        trimmed: list[str] = []
        while True:
            messages, quoted = self._messages(row, parts, turn)
            tokens = sum(estimated_tokens(content) + 4 for _, content in messages)
            if tokens <= limit:
                return Prompt(messages, quoted, tokens, tuple(trimmed))
            shorter = _shortened(parts)
            if shorter is None:
                raise PromptTooLong(tokens, limit)
            what, parts = shorter
            trimmed.append(what)

    def _parts(self, row: PlanRow, avoid: NotThese) -> _Parts:
        return _Parts(
            tuple(self._sections[name] for name in row.docs),
            tuple(self._products[name] for name in row.catalog),
            tuple(example.text for example in row.examples),
            avoid,
        )

    @cached_property
    def _sections(self) -> dict[str, str]:
        sections = self._material.sections
        return {name: f"{section.heading}\n\n{section.text}" for name, section in sections.items()}

    @cached_property
    def _products(self) -> dict[str, str]:
        products = self._material.products
        return {
            name: "\n".join(f"{key}: {value}" for key, value in product.items()) for name, product in products.items()
        }

    def _messages(
        self, row: PlanRow, parts: _Parts, turn: Turn | None
    ) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        template = TEMPLATES_OF[self.mode][0] if turn is None else turn.side
        if turn is not None and turn.side == "customer":
            # What the agents of real examples say would tell the customer the rules.
            parts = replace(parts, docs=(), examples=tuple(map(_customer_lines, parts.examples)))
        openings = tuple(defanged(opening) for opening in parts.avoid.openings)
        variables: dict[str, Any] = {
            "row": _plain(row) | {"topic": " ".join(defanged(row.topic).split())},
            "language": self._language,
            "docs": [fenced("DOCUMENT", text) for text in parts.docs],
            "products": [fenced("PRODUCT", text) for text in parts.products],
            "examples": [fenced("EXAMPLE", text) for text in parts.examples],
            "lines": [" ".join(defanged(text).split()) for text in parts.examples],
            "avoid": {
                "openings": openings,
                "names": tuple(map(defanged, parts.avoid.names)),
                "mistakes": parts.avoid.mistakes,
            },
            "step": turn.step if turn else 1,
            "last": fenced("MESSAGE", turn.history[-1]) if turn and turn.history else "",
            "last_of_side": bool(turn and turn.last_of_side),
        }
        rendered = self._templates.fill(template, variables)
        said = turn.history[:-1] if turn else ()
        # Seen from the side that writes next, the last thing said was the other's, the one before its own, and so on.
        roles = ["user" if (len(said) - place) % 2 == 0 else "assistant" for place in range(len(said))]
        # Some providers want a conversation to begin with the user.
        begin = [("user", _BEGIN)] if roles[:1] == ["assistant"] else []
        messages = [
            ("system", rendered["system"]),
            *begin,
            *zip(roles, map(defanged, said), strict=True),
            ("user", rendered["user"]),
            ("assistant", rendered["prefill"]),
        ]
        return tuple((role, text) for role, text in messages if text), (*parts.docs, *parts.products, *parts.examples)


def _plain(row: PlanRow) -> dict[str, Any]:
    """A row as a dict: the sandbox looks long at every attribute of an object."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in PlanRow.__slots__}
    return fields | {"persona": {"name": row.persona.name, "about": row.persona.about}}


def _shortened(parts: _Parts) -> tuple[str, _Parts] | None:
    """The next step of trimming, and its name; None if nothing is left to trim."""
    if parts.avoid.openings or parts.avoid.names:
        return "not these", replace(parts, avoid=replace(parts.avoid, openings=(), names=()))
    if parts.products:
        return "a product", replace(parts, products=parts.products[:-1])
    if len(parts.docs) > 1:
        return "a section", replace(parts, docs=parts.docs[:-1])
    if len(parts.examples) > 1:
        return "an example", replace(parts, examples=parts.examples[:-1])
    if parts.docs and len(parts.docs[0]) > 2 * _SHORTEST_SECTION:
        return "half of a section", replace(parts, docs=(_half(parts.docs[0]),))
    if parts.docs:
        return "the last section", replace(parts, docs=())
    if parts.examples:
        return "the last example", replace(parts, examples=())
    return None


def _customer_lines(example: str) -> str:
    lines = example.split("\n")
    return "\n".join(line for line in lines if not line.startswith("Agent: "))


def _half(text: str) -> str:
    """The first half, up to the end of a line or sentence if there is one in its second part."""
    half = text[: len(text) // 2]
    ends: Sequence[int] = [half.rfind(mark) for mark in ("\n", ". ", "! ", "? ")]
    end = max(ends)
    return half[: end + 1].rstrip() if end >= len(half) // 2 else half
