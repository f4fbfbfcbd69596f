"""Turns of a conversation, in whatever dialect they are written, as messages of the OpenAI chat format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from posology.conversations import jsontext
from posology.conversations.faults import RowFault, counted, kind_of, shown
from posology.records import ROLES, Message

_ALIASES = {
    "human": "user",
    "customer": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "agent": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "observation": "tool",
    "function_response": "tool",
}
_ROLE = {role: role for role in ROLES} | _ALIASES
# In ShareGPT files `function` is the answer of a function, which the chat format now calls `tool`.
_FROM = _ROLE | {"function": "tool"}
_REMEDY = 'A conversation is a list of turns: [{"role": "user", "content": "..."}, ...].'
_KNOWN = ", ".join([*sorted(ROLES), *_ALIASES, "function_call"])


def messages_of(turns: object, column: str) -> tuple[Message, ...]:
    """The messages in a cell.

    Args:
        turns: A list of turns, or a text that holds one as JSON. A turn is `{"role", "content", ...}` or
            `{"from", "value", ...}`. An object of equally long lists, as older saved datasets have it, will do too.
        column: Where it stands, for messages to the user.

    Raises:
        RowFault: It is not such a list, or it is empty.
    """
    if isinstance(turns, str):
        turns = _parsed(turns, column)
    if isinstance(turns, dict):
        turns = _transposed(turns)
    if turns is None:
        raise RowFault(f"the row has no {column!r}.", remedy=_REMEDY)
    if not isinstance(turns, list):
        raise RowFault(f"{column!r} is {kind_of(turns)}, not a list of turns.", remedy=_REMEDY)
    if not turns:
        raise RowFault(f"{column!r} is an empty list.", remedy="Remove the row, or give it a turn.")
    return tuple([_message(turn, index) for index, turn in enumerate(turns, start=1)])


def _parsed(cell: str, column: str) -> object:
    try:
        return jsontext.parse(cell)
    except RowFault as fault:
        remedy = _REMEDY
        if cell.lstrip().startswith(("[{'", "[ {'")):
            remedy = "It looks like a list printed by Python: write such cells with json.dumps."
        raise RowFault(f"{column!r} holds no list of turns: {fault.reason}", remedy=remedy) from None


def _transposed(columns: Mapping[str, Any]) -> object:
    """Turns from lists of roles and of contents; anything else comes back as it is."""
    lists = [cells for cells in columns.values() if isinstance(cells, list)]
    if not lists or len(lists) != len(columns) or len({len(cells) for cells in lists}) != 1:
        return columns
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*lists, strict=True)]


def _message(turn: object, index: int) -> Message:
    if not isinstance(turn, dict):
        raise RowFault(f"message {index} is {kind_of(turn)}, not an object.", remedy=_REMEDY)
    if "role" in turn or "from" not in turn:
        role, content, known = turn.get("role"), turn.get("content"), _ROLE
        keys: tuple[str, str] = ("role", "content")
    else:
        role, content, known = turn["from"], turn.get("value"), _FROM
        keys = ("from", "value")
    if len(turn) == 2 and type(content) is str and type(role) is str and role in known:
        return Message(known[role], content)
    return _unusual_message(turn, index, keys)


def _unusual_message(turn: Mapping[str, Any], index: int, keys: tuple[str, str]) -> Message:
    """A message with fields of its own, content that is no plain text, or a role that is spelt another way."""
    spelt, content = turn.get(keys[0]), turn.get(keys[1])
    known = _FROM if keys[0] == "from" else _ROLE
    role = known.get(spelt.strip().lower()) if isinstance(spelt, str) else None
    extra = {key: value for key, value in turn.items() if key not in keys}
    if isinstance(extra.get("extra_json"), str) and (packed := jsontext.object_in(extra["extra_json"])) is not None:
        del extra["extra_json"]
        extra.update(packed)
    if spelt == "function_call":
        return _function_call(content, extra)
    if role is None:
        what = "has no role" if spelt is None else f"has the role {shown(spelt)}, which is not known"
        raise RowFault(f"message {index} {what}.", remedy=f"Known roles: {_KNOWN}.")
    if isinstance(content, str):
        return Message(role, content, extra) if extra else Message(role, content)
    if keys[1] in turn:
        extra.setdefault("content", content)
    return Message(role, _joined(content, index), extra)


def _joined(content: object, index: int) -> str:
    """The text of a content that is null or a list of parts (text, images, audio, ...)."""
    if content is None:
        return ""
    if not isinstance(content, list):
        raise RowFault(
            f"the content of message {index} is {kind_of(content)}, not a text or a list of parts.", remedy=_REMEDY
        )
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        elif not isinstance(part, dict):
            raise RowFault(
                f"the content of message {index} has a part that is {kind_of(part)}, not an object.",
                remedy='A part is an object: {"type": "text", "text": "..."}.',
            )
    return "\n".join(texts)


def _function_call(value: object, extra: dict[str, Any]) -> Message:
    """A ShareGPT turn in which the assistant calls functions; kept as plain text where it is not such a call."""
    try:
        calls = jsontext.parse(value) if isinstance(value, str) else value
    except RowFault:
        calls = None
    listed: Sequence[Any] = calls if isinstance(calls, list) else [calls]
    if not all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in listed) or not listed:
        return Message("assistant", value if isinstance(value, str) else "", extra)
    tool_calls = [{"type": "function", "function": {**call, "arguments": _arguments(call)}} for call in listed]
    return Message("assistant", "", {**extra, "content": None, "tool_calls": tool_calls})


def _arguments(call: Mapping[str, Any]) -> str:
    arguments = call.get("arguments", {})
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def require_text(messages: Sequence[Message]) -> None:
    """Refuses a conversation in which nobody says anything.

    Raises:
        RowFault: Every message is blank.
    """
    for message in messages:
        if message.content and not message.content.isspace():
            return
    place = "its only message" if len(messages) == 1 else counted(len(messages), "message")
    raise RowFault(f"no text in {place}.", remedy="Remove the row: there is nothing to learn from.")
