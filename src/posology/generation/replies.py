"""From the text of a reply to the turns of a candidate, by mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from posology.generation.plan import Mode
from posology.llm.contract import Reply
from posology.llm.recovery import Unrecoverable, recover
from posology.records import Message

_TURN = {
    "type": "object",
    "properties": {"role": {"type": "string", "enum": ["user", "assistant"]}, "content": {"type": "string"}},
    "required": ["role", "content"],
    "additionalProperties": False,
}
#: What the provider is asked for, by mode; None for plain text.
SCHEMAS: dict[Mode, dict[str, Any] | None] = {
    "dialogue": {
        "type": "object",
        "properties": {"messages": {"type": "array", "items": _TURN}},
        "required": ["messages"],
        "additionalProperties": False,
    },
    "message": {
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
        "additionalProperties": False,
    },
    "turns": None,
    "continuation": None,
}
# What is accepted: further fields do no harm, and roles are looked at by a check of their own.
_LOOSE_TURN = {
    "type": "object",
    "properties": {"role": {"type": "string"}, "content": {"type": "string"}},
    "required": ["role", "content"],
}
_ACCEPTED: dict[Mode, dict[str, Any]] = {
    "dialogue": {
        "type": "object",
        "properties": {"messages": {"type": "array", "items": _LOOSE_TURN, "minItems": 1}},
        "required": ["messages"],
    },
    "message": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
}
_ROLES = {"customer": "user", "client": "user", "human": "user", "agent": "assistant", "support": "assistant"}
_SPEAKERS = ("Customer:", "Agent:", "User:", "Assistant:")


class Unreadable(Exception):
    """A reply is no candidate.

    Args:
        reason: The name of the check: `truncated`, `refused`, `no_json`, `broken`, `schema` or `empty_turn`.
        detail: One sentence, without any of the reply's text.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Draft:
    """What a model wrote, as turns.

    Attributes:
        messages: The turns.
        way: How the reply was read: `plain`, or how its JSON was recovered.
    """

    messages: tuple[Message, ...]
    way: str


def check_finish(reply: Reply) -> None:
    """Lets whole replies through.

    Raises:
        Unreadable: The reply was cut by the limit of tokens, or refused. A cut reply is never repaired.
    """
    if reply.finish == "length":
        raise Unreadable("truncated", "The reply was cut at the limit of tokens.")
    if reply.finish == "refused":
        raise Unreadable("refused", "The provider or the model refused.")


def read_reply(reply: Reply, mode: Mode) -> Draft:
    """The draft in the reply of a mode with one call.

    Raises:
        Unreadable: There is none.
    """
    check_finish(reply)
    if mode == "continuation":
        return Draft((Message("user", _first_item(reply.text)),), "plain")
    try:
        found = recover(reply.text, _ACCEPTED[mode])
    except Unrecoverable as error:
        raise Unreadable(error.failure, error.detail) from None
    if mode == "message":
        return Draft((Message("user", found.value["message"].strip()),), found.way)
    turns = [(turn["role"].strip().lower(), turn["content"].strip()) for turn in found.value["messages"]]
    return Draft(tuple(Message(_ROLES.get(role, role), content) for role, content in turns), found.way)


def read_turn(reply: Reply) -> str:
    """One turn of a conversation that is played in turns.

    Raises:
        Unreadable: The reply is cut, refused or empty.
    """
    check_finish(reply)
    text = reply.text.strip()
    for speaker in _SPEAKERS:
        text = text.removeprefix(speaker).strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    if not text:
        raise Unreadable("empty_turn", "The reply is empty.")
    return text


def _first_item(text: str) -> str:
    """The first message of a continued list: up to the end of its line."""
    lines: Sequence[str] = [line.strip(" \t-*•") for line in text.strip().splitlines()]
    line = next((line for line in lines if line), "")
    return line[1:-1].strip() if len(line) > 1 and line[0] == line[-1] == '"' else line
