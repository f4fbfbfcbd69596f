"""Which columns of a file mean what? Settled once a file, from its first rows and from what the user says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from posology.conversations.faults import shown
from posology.conversations.sniffing import Container
from posology.errors import InputError, UsageError

LayoutName = Literal["openai", "sharegpt", "prompt_completion", "alpaca", "text_label"]

ID = ("id",)
TOPIC = ("topic", "label_text", "label", "intent", "category", "class")
TEXT = ("text", "utterance", "message", "query", "content")
MESSAGES = ("messages", "conversations")
PROMPT = ("prompt", "completion")
ALPACA = ("instruction", "output", "input", "system", "history")

#: Names that may be taken for a part of the conversation; a writer never uses them for anything else.
RESERVED = frozenset((*ID, *TOPIC, *TEXT, *MESSAGES, *PROMPT, *ALPACA, "source", "meta"))

# How a layout is known, in order of precedence: all of these columns are there.
_SIGNS: tuple[tuple[LayoutName, tuple[str, ...]], ...] = (
    ("openai", ("messages",)),
    ("sharegpt", ("conversations",)),
    ("prompt_completion", ("prompt",)),
    ("alpaca", ("instruction", "output")),
    *(("text_label", (name,)) for name in TEXT),
)
_FLAGS = "--messages-column, --text-column, --topic-column, --id-column"


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns to read, where they are not the usual ones.

    Attributes:
        id: The column of ids.
        topic: The column of labels.
        text: The column with the text of a single customer message.
        messages: The column with the list of turns.
    """

    id: str | None = None
    topic: str | None = None
    text: str | None = None
    messages: str | None = None


#: Every column is found by its name.
AUTOMATIC = Columns()


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one file are built.

    Attributes:
        name: The layout.
        columns: The columns that are used; None where there is none.
        parts: For prompts and instructions: the usual name of each part to its column in this file.
    """

    name: LayoutName
    columns: Columns
    parts: Mapping[str, str]


def resolve(
    sample: Sequence[Mapping[str, Any]],
    container: Container,
    *,
    wanted: LayoutName | None,
    columns: Columns,
    require_topic: bool,
) -> Layout:
    """Settles layout and columns.

    Args:
        sample: The first rows, at least one.
        container: Where they come from.
        wanted: The layout if the user names it, else the one that most of the rows have.
        columns: Columns that the user names.
        require_topic: Whether a file without a topic column is an error.

    Raises:
        InputError: No layout fits, or a column is missing.
        UsageError: Columns are named that exclude each other.
    """
    _refuse_contradictions(wanted, columns)
    found = list(dict.fromkeys(key for row in sample for key in row))
    named = [name for name in (columns.id, columns.topic, columns.text, columns.messages) if name is not None]
    for name in named:
        if name not in found:
            raise _no_columns(container, f"has no column {shown(name)}", found)
    layout = _layout_name(sample, wanted, columns)
    if layout is None:
        raise _no_columns(container, "has no column that is known to hold conversations", found)
    free = [name for name in found if name not in named]
    topic = columns.topic or first_of(TOPIC, free)
    if topic is None and require_topic:
        raise _no_columns(container, f"has no topic: none of the columns {', '.join(TOPIC)}", found)
    return _with_columns(layout, container, free, replace(columns, topic=topic), sample)


def first_of(names: Sequence[str], found: Sequence[str]) -> str | None:
    """The first of the names that is there as it is written, else but for the case of its letters."""
    folded = {column.strip().lower(): column for column in reversed(found)}
    return next((name for name in names if name in found), None) or next(
        (folded[name] for name in names if name in folded), None
    )


def _refuse_contradictions(wanted: LayoutName | None, columns: Columns) -> None:
    if columns.text and columns.messages:
        raise UsageError("a text column and a messages column exclude each other.", remedy="Name one of them.")
    if columns.text and wanted not in (None, "text_label"):
        raise UsageError(f"the format {wanted} has no text column.", remedy="Leave out the text column or the format.")
    if columns.messages and wanted not in (None, "openai", "sharegpt"):
        raise UsageError(
            f"the format {wanted} has no messages column.", remedy="Leave out the messages column or the format."
        )


def _layout_name(sample: Sequence[Mapping[str, Any]], wanted: LayoutName | None, columns: Columns) -> LayoutName | None:
    if wanted is not None:
        return wanted
    if columns.text:
        return "text_label"
    if columns.messages:
        return "openai"
    votes = Counter(name for row in sample if (name := _signed(list(row))) is not None)
    return votes.most_common(1)[0][0] if votes else None


def _signed(found: Sequence[str]) -> LayoutName | None:
    folded = [column.strip().lower() for column in found]
    for columns in (found, folded):
        for name, signs in _SIGNS:
            if all(sign in columns for sign in signs):
                return name
    return None


def _dialect(sample: Sequence[Mapping[str, Any]], column: str) -> LayoutName:
    """ShareGPT if the first turn that can be looked at says who it is `from`."""
    for row in sample:
        turns = row.get(column)
        if isinstance(turns, str):
            return "sharegpt" if '"from"' in turns and '"role"' not in turns else "openai"
        if isinstance(turns, list) and turns and isinstance(turns[0], dict):
            return "sharegpt" if "from" in turns[0] and "role" not in turns[0] else "openai"
    return "openai"


def _with_columns(
    layout: LayoutName,
    container: Container,
    free: Sequence[str],
    columns: Columns,
    sample: Sequence[Mapping[str, Any]],
) -> Layout:
    """Fills in the columns that the layout needs, from those that the user has not named as something else."""
    columns = replace(columns, id=columns.id or first_of(ID, free))
    parts: dict[str, str] = {}
    if layout == "text_label":
        columns = replace(columns, text=columns.text or _needed(TEXT, free, container))
    elif layout in ("openai", "sharegpt"):
        messages = columns.messages or _needed(MESSAGES, free, container)
        columns, layout = replace(columns, messages=messages), _dialect(sample, messages)
    else:
        names = PROMPT if layout == "prompt_completion" else ALPACA
        _needed(names[:1], free, container)
        # A part that no row of the sample has may still come later.
        parts = {name: first_of((name,), free) or name for name in names}
    return Layout(layout, columns, parts)


def _needed(names: Sequence[str], free: Sequence[str], container: Container) -> str:
    column = first_of(names, free)
    if column is None:
        raise _no_columns(container, f"has none of the columns {', '.join(names)}", free)
    return column


def _no_columns(container: Container, cause: str, found: Sequence[str]) -> InputError:
    names = [shown(name) for name in found[:12]] + (["..."] if len(found) > 12 else [])
    remedy = f"Name the columns with {_FLAGS}."
    if container.kind in ("csv", "tsv") and any(name.startswith("<") for name in names):
        remedy = f"Its first line must be a header with the names of the columns. {remedy}"
    return InputError(f"{cause}. Columns found: {', '.join(names)}.", file=container.path, remedy=remedy)
