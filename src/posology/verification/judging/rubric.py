"""The rubric: what a judge is asked, and the messages that ask it.

Criteria stand in `rubric.yaml`, the wording around them in `judge.md.j2`; a user's folder may hold files of the same
names, which win over the package's. A judge sees the conversation, the documents of its topic and the rubric; who wrote
the conversation, and what they were told, never reaches it. All foreign text is fenced (`posology.llm.quoting`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from posology.errors import ConfigError
from posology.llm.quoting import defanged, fenced
from posology.records import EMPTY, Conversation, DocSection
from posology.verification.judging.wording import Wording

CRITERIA, TEMPLATE = "rubric.yaml", "judge.md.j2"
SCALE = (1, 5)
NEEDS = frozenset({"docs", "agent"})
LONGEST_CONVERSATION = LONGEST_DOCUMENTS = 24_000
"""Characters. A longer conversation is not judged, since what is cut off cannot be; documents that do not fit whole are
left out, and faithfulness to them is not asked then."""
_VARIABLES = frozenset({"criteria", "topic", "documents", "conversation", "remark"})
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_SPEAKERS = {"user": "customer", "assistant": "agent"}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing to be judged.

    Attributes:
        name: What its score is called.
        question: What is asked.
        anchors: Scores and what they mean, ascending.
        needs: When it applies: `docs`, `agent`.
    """

    name: str
    question: str
    anchors: tuple[tuple[int, str], ...]
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is sent for one conversation.

    Attributes:
        messages: Role and content.
        criteria: The names of the criteria that apply, in the order in which they are asked.
        schema: JSON schema of the reply.
    """

    messages: tuple[tuple[str, str], ...]
    criteria: tuple[str, ...]
    schema: Mapping[str, Any]


class TooLong(Exception):
    """A conversation is longer than a judge is shown."""


class Rubric:
    """Criteria and template.

    Args:
        folder: A user's own, None for the package's.

    Raises:
        ConfigError: The folder is missing, or a file in it is broken.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._wording = Wording(folder)
        self.criteria = self._read()
        self._prompt = self._wording.prompt(TEMPLATE, _VARIABLES)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all criteria."""
        return tuple(criterion.name for criterion in self.criteria)

    @cached_property
    def version(self) -> str:
        """Identity of criteria and wording, for provenance: `rubric-1-0a1b2c3d`."""
        sources = [self._wording.source(name) for name in (CRITERIA, TEMPLATE)]
        stated = re.search(r"^version:\s*(\w+)", sources[0], re.MULTILINE)
        digest = hashlib.sha256("\0".join(sources).encode()).hexdigest()[:8]
        return f"rubric-{stated[1] if stated else '0'}-{digest}"

    def ask(
        self,
        conversation: Conversation,
        sections: Sequence[DocSection] = (),
        products: Sequence[Mapping[str, str]] = (),
        *,
        backwards: bool = False,
        remark: str = "",
    ) -> Asked:
        """What to ask of a conversation.

        Args:
            conversation: The candidate; only its topic and its turns are shown.
            sections: The documentation of its topic.
            products: Rows of the catalog that it speaks of.
            backwards: The criteria in the opposite order.
            remark: What was wrong with an earlier reply.

        Raises:
            TooLong: It cannot be shown whole.
            ConfigError: The template cannot be filled in.
        """
        text = transcript(conversation)
        if len(text) > LONGEST_CONVERSATION:
            raise TooLong(f"{len(text):,} characters are more than a judge is shown ({LONGEST_CONVERSATION:,}).")
        documents = [("DOCUMENT", document(section)) for section in sections]
        documents += [("PRODUCT", "\n".join(f"{key}: {value}" for key, value in row.items())) for row in products]
        fits = sum(len(content) for _, content in documents) <= LONGEST_DOCUMENTS
        there = {"docs": bool(documents) and fits, "agent": any(m.role == "assistant" for m in conversation.messages)}
        criteria = [criterion for criterion in self.criteria if all(there[need] for need in criterion.needs)]
        if backwards:
            criteria.reverse()
        shown = documents if fits else []
        variables = {
            "criteria": criteria,
            "topic": topic_name(conversation.topic),
            "documents": [fenced(kind, content) for kind, content in shown],
            "conversation": fenced("CONVERSATION", text),
            "remark": remark,
        }
        names = tuple(criterion.name for criterion in criteria)
        return Asked(self._prompt.messages(variables), names, _schema(names))

    def _read(self) -> tuple[Criterion, ...]:
        import yaml

        where = f"rubric {self._wording.path(CRITERIA)}"
        try:
            tree = yaml.safe_load(self._wording.source(CRITERIA))
            found = tuple(_criterion(name, value) for name, value in tree["criteria"].items())
        except (yaml.YAMLError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{where} holds no criteria.", remedy="See the package's own rubric.yaml.") from None
        except ValueError as error:
            raise ConfigError(f"{where}: {error}.", remedy="Correct it.") from None
        if not found:
            raise ConfigError(f"{where} holds no criteria.", remedy="Name at least one.")
        return found


def topic_name(topic: str | None) -> str:
    """A topic as a judge reads it, on one line."""
    return " ".join(defanged((topic or "none").replace("_", " ")).split())


def document(section: DocSection) -> str:
    """A section of the documentation as a judge reads it."""
    return f"{section.heading}\n\n{section.text}"


def transcript(conversation: Conversation) -> str:
    """The turns, numbered, so that no text inside one can pass for another turn: further lines are indented."""
    lines = []
    for place, message in enumerate(conversation.messages, start=1):
        if message.role in _SPEAKERS and message.content.strip():
            said = "\n    ".join(message.content.strip().splitlines())
            lines.append(f"[{place}] {_SPEAKERS[message.role]}: {said}")
    return "\n".join(lines)


def _criterion(name: object, value: Mapping[Any, Any]) -> Criterion:
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError(f"{name!r} is no name of a criterion; use small letters, digits and _")
    needs = frozenset(value.get("needs", ()))
    if unknown := needs - NEEDS:
        raise ValueError(f"{name} needs {min(unknown)!r}; known are {', '.join(sorted(NEEDS))}")
    anchors = tuple(sorted((key, str(text)) for key, text in value.items() if isinstance(key, int)))
    if not anchors or not all(SCALE[0] <= score <= SCALE[1] for score, _ in anchors):
        raise ValueError(f"{name} describes no scores from {SCALE[0]} to {SCALE[1]}")
    return Criterion(name, str(value["question"]), anchors, needs)


def _schema(names: Sequence[str]) -> Mapping[str, Any]:
    """An object a criterion: the reason before the score, so that the score follows from it."""
    if not names:
        return EMPTY
    score = {"type": "integer", "enum": list(range(SCALE[0], SCALE[1] + 1))}
    one = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "score": score},
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": dict.fromkeys(names, one),
        "required": list(names),
        "additionalProperties": False,
    }
