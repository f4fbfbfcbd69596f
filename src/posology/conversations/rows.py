"""From one row of a file to one conversation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from posology.conversations import jsontext
from posology.conversations.faults import RowFault, kind_of
from posology.conversations.layouts import Layout
from posology.conversations.turns import messages_of, require_text
from posology.records import EMPTY, Conversation, Message, Source


class RowParser:
    """Turns the rows of one file into conversations.

    Args:
        layout: How the rows are built.
        stem: The name that stands before the line in the id of a row that has none.
        source: Who wrote the conversations of rows that do not say.
        require_topic: Whether a row must have a topic.
        keep_nulls: Whether an empty field says something; it does not where all rows have the same columns.
    """

    def __init__(self, layout: Layout, *, stem: str, source: Source, require_topic: bool, keep_nulls: bool) -> None:
        self._layout = layout
        self._stem = stem
        self._source: Source = source
        self._require_topic = require_topic
        self._keep_nulls = keep_nulls
        self._messages: Callable[[Mapping[str, Any]], tuple[Message, ...]] = {
            "openai": self._from_turns,
            "sharegpt": self._from_turns,
            "prompt_completion": self._from_prompt,
            "alpaca": self._from_instruction,
            "text_label": self._from_text,
        }[layout.name]
        columns = layout.columns
        # An id or a topic that no row of the sample has may still come later.
        self._spoken_column = columns.text or columns.messages or ""
        self._topic_column = columns.topic or _unless("topic", self._spoken_column, columns.id)
        self._id_column = columns.id or _unless("id", self._spoken_column, self._topic_column)
        self._used = frozenset((self._id_column, self._topic_column, self._spoken_column, *layout.parts.values()))

    def parse(self, line: int, row: Mapping[str, Any]) -> Conversation:
        """The conversation of a row.

        Raises:
            RowFault: The row lacks something, or something in it has the wrong shape.
        """
        messages = self._messages(row)
        require_text(messages)
        topic = self._topic(row)
        source: Source = self._source
        meta: Mapping[str, Any] = EMPTY
        if len(row) > len(self._used) or not row.keys() <= self._used:
            source, meta = self._source_and_meta(row)
        return Conversation(self._id(line, row), messages, topic, source, self._with_odd_topic(row, topic, meta))

    def _id(self, line: int, row: Mapping[str, Any]) -> str:
        value = row.get(self._id_column)
        if isinstance(value, str) and value.strip():
            return value
        name = _name_of(value)
        if name is None and value is not None and not isinstance(value, str):
            raise RowFault(f"the id is {kind_of(value)}.", remedy="An id is a text or a whole number.")
        return name or f"{self._stem}:{line}"

    def _topic(self, row: Mapping[str, Any]) -> str | None:
        column = self._topic_column
        value = row.get(column)
        topic = _name_of(value)
        if topic is None and self._require_topic:
            if value is None or isinstance(value, str):
                raise RowFault(f"the row has no topic in {column!r}.", remedy="Label the row, or remove it.")
            raise RowFault(f"the topic in {column!r} is {kind_of(value)}.", remedy="A row has one topic, a text.")
        return topic

    def _with_odd_topic(self, row: Mapping[str, Any], topic: str | None, meta: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keeps what stands in the topic column of a row that needs no topic, if it is not one."""
        if topic is not None:
            return meta
        value = row.get(self._topic_column)
        return meta if value is None or isinstance(value, str) else {**meta, self._topic_column: value}

    def _source_and_meta(self, row: Mapping[str, Any]) -> tuple[Source, Mapping[str, Any]]:
        used, keep_nulls = self._used, self._keep_nulls
        meta = {key: value for key, value in row.items() if key not in used and (keep_nulls or value is not None)}
        source = self._source
        if meta.get("source") in ("real", "synthetic"):
            source = meta.pop("source")
        if "meta" in meta:
            _unfold(meta)
        return source, meta or EMPTY

    def _from_turns(self, row: Mapping[str, Any]) -> tuple[Message, ...]:
        return messages_of(row.get(self._spoken_column), self._spoken_column)

    def _from_text(self, row: Mapping[str, Any]) -> tuple[Message, ...]:
        return (Message("user", _text(row.get(self._spoken_column), self._spoken_column)),)

    def _from_prompt(self, row: Mapping[str, Any]) -> tuple[Message, ...]:
        prompt, completion = self._part(row, "prompt"), self._part(row, "completion")
        messages = _prompted(prompt, "prompt", "user") + _prompted(completion, "completion", "assistant")
        if not messages:
            raise RowFault("the row has no 'prompt'.", remedy="Remove the row, or give it one.")
        return messages

    def _from_instruction(self, row: Mapping[str, Any]) -> tuple[Message, ...]:
        texts = {name: _text(self._part(row, name), name) for name in ("system", "instruction", "input", "output")}
        question = "\n\n".join(part for part in (texts["instruction"], texts["input"]) if part)
        spoken = [("system", texts["system"]), *_history(self._part(row, "history"))]
        spoken += [("user", question), ("assistant", texts["output"])]
        messages = tuple(Message(role, content) for role, content in spoken if content)
        if not messages:
            raise RowFault("the row has no 'instruction'.", remedy="Remove the row, or give it one.")
        return messages

    def _part(self, row: Mapping[str, Any], name: str) -> object:
        return row.get(self._layout.parts[name])


def _unless(name: str, *taken: str | None) -> str:
    """The usual name of a column; one that no row has if that column already means something else."""
    return "" if name in taken else name


def _name_of(value: object) -> str | None:
    """A label or id as text; None if it is missing, blank or neither a text nor a whole number.

    Tables keep whole numbers as fractions where a column has gaps: 3.0 is 3.
    """
    if type(value) is str:
        return sys.intern(value.strip()) or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None


def _unfold(meta: dict[str, Any]) -> None:
    """Spreads a `meta` object over the row's other fields, unless a name would be there twice."""
    packed = jsontext.object_in(meta["meta"])
    if packed is not None and packed.keys().isdisjoint(meta.keys() - {"meta"}):
        del meta["meta"]
        meta.update(packed)


def _text(value: object, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowFault(f"{column!r} is {kind_of(value)}, not a text.", remedy="Write it as a text in quotes.")
    return value


def _prompted(value: object, column: str, role: str) -> tuple[Message, ...]:
    """A prompt or completion: a plain text of one role, or a list of turns."""
    if value is None or value in ("", []):
        return ()
    if isinstance(value, str):
        turns = _turns_in(value)
        if turns is None:
            return (Message(role, value),)
        value = turns
    return messages_of(value, column)


def _turns_in(text: str) -> list[Any] | None:
    """The list of turns that a cell of a table holds as JSON; None for words that merely begin with a bracket."""
    if not text.startswith("["):
        return None
    try:
        value = jsontext.parse(text)
    except RowFault:
        return None
    return value if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value) else None


def _history(value: object) -> list[tuple[str, str]]:
    """Earlier exchanges of an instruction: a list of pairs of question and answer."""
    if value in (None, "", []):
        return []
    pairs = jsontext.parse(value) if isinstance(value, str) else value
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise RowFault(
            "'history' is not a list of pairs of question and answer.", remedy='Write it as [["...", "..."], ...].'
        )
    spoken = [(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]
    return [(role, _text(text, "history")) for role, text in spoken]
