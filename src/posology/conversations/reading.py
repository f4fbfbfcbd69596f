"""Reading of labelled conversations from every format that teams keep them in.

The container (JSONL, JSON array, CSV, TSV, Parquet, Arrow, a folder of `datasets.save_to_disk`, packed with gzip or
not) is known by its content, the layout of its rows by their columns:

    openai              messages: [{role, content, ...}]
    sharegpt            conversations: [{from, value}]
    prompt_completion   prompt and completion, each a text or a list of turns
    alpaca              instruction, input, output, and perhaps system and history
    text_label          one customer message and its label

Fields that are no part of a conversation go to its `meta`. A field `source` that says `real` or `synthetic` wins over
the argument. Rows without an id are called after file and line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal, get_args

from posology.conversations.containers import Row, rows
from posology.conversations.decoding import reading_bytes
from posology.conversations.faults import RowFault, counted, shown
from posology.conversations.ids import SeenIds
from posology.conversations.layouts import AUTOMATIC, Columns, Layout, LayoutName, resolve
from posology.conversations.rows import RowParser
from posology.conversations.sniffing import Container, Kind, near_names, sniff
from posology.errors import InputError, UsageError
from posology.records import Conversation, Source

__all__ = ["AUTOMATIC", "FORMATS", "BadRow", "Columns", "Reading", "Understood", "iterate", "read"]

#: What `format` may be: a layout or a container; `auto` looks for both, `trl` is the layout of `openai`.
FORMATS = ("auto", *get_args(LayoutName), "trl", "jsonl", "csv", "tsv", "parquet", "hf")

_SAMPLE = 100
_OnError = Literal["fail", "skip"]
_LAYOUT_NAMES: dict[LayoutName, str] = {
    "openai": "OpenAI chat messages",
    "sharegpt": "ShareGPT conversations",
    "prompt_completion": "prompts and completions",
    "alpaca": "Alpaca instructions",
    "text_label": "texts with labels",
}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was set aside.

    Attributes:
        file: The file (or dataset folder).
        line: Its line or row number there, counted from 1.
        reason: What is wrong with it.
    """

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Understood:
    """How a file was understood, for people to check.

    Attributes:
        format: The layout of the rows.
        container: The kind of file, in words.
        columns: The columns that were used.
        rows: Conversations read.
        topics: Distinct topics among them.
        without_topic: Conversations without one.
        with_system: Conversations with a system or developer message.
        with_tools: Conversations with a tool's message or a call of one.
        bad_rows: Rows set aside.
    """

    format: LayoutName
    container: str
    columns: Columns
    rows: int
    topics: int
    without_topic: int
    with_system: int
    with_tools: int
    bad_rows: int

    @property
    def lines(self) -> tuple[str, ...]:
        """One fact a line."""
        used = {"text": self.columns.text, "messages": self.columns.messages, "topic": self.columns.topic}
        columns = [f"{what} from {shown(name)}" for what, name in used.items() if name is not None]
        columns.append(f"id from {shown(self.columns.id)}" if self.columns.id else "ids made from file and line")
        return (
            f"{_LAYOUT_NAMES[self.format]} in {self.container}",
            "columns: " + ", ".join(columns),
            f"{counted(self.rows, 'conversation')}, {counted(self.topics, 'topic')}"
            + (f", {self.without_topic:,} without a topic" if self.without_topic else ""),
            f"with a system message: {self.with_system:,}",
            f"with tool messages or calls: {self.with_tools:,}",
            *((f"{counted(self.bad_rows, 'row')} set aside",) if self.bad_rows else ()),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that was read from one file or folder.

    Attributes:
        conversations: In the order of the file.
        understood: How the file was understood.
        bad_rows: Rows set aside; empty unless they were to be skipped.
        sha256: Of the file's bytes as they stand on the disk; for a folder, of its data files in order.
    """

    conversations: tuple[Conversation, ...]
    understood: Understood
    bad_rows: tuple[BadRow, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file whose container and layout are settled, its rows not yet parsed."""

    container: Container
    layout: Layout
    rows: Iterator[tuple[int, Row | RowFault]]


def read(
    path: Path | str,
    *,
    columns: Columns = AUTOMATIC,
    format: str = "auto",
    source: Source = "real",
    on_error: _OnError = "fail",
    require_topic: bool = True,
) -> Reading:
    """Reads all conversations of a file or folder into memory.

    Args:
        path: The file or folder.
        columns: Columns whose names are not the usual ones.
        format: One of `FORMATS`, to settle what cannot be found out.
        source: Who wrote the conversations of rows that do not say.
        on_error: Whether a bad row ends the reading or is set aside. More bad rows than good ones end it all the same.
        require_topic: Whether a row without a topic is bad.

    Raises:
        InputError: The file is missing, broken or not understood; names file, line and remedy.
        UsageError: The format is unknown, or contradicts the columns.
    """
    opened = _open(Path(path), columns, format, on_error, require_topic)
    good: list[Conversation] = []
    bad: list[BadRow] = []
    for outcome in _parsed(opened, source, on_error, require_topic):
        if isinstance(outcome, BadRow):
            bad.append(outcome)
        else:
            good.append(outcome)
    return Reading(tuple(good), _understood(opened, good, len(bad)), tuple(bad), _sha256(opened.container))


def iterate(
    path: Path | str,
    *,
    columns: Columns = AUTOMATIC,
    format: str = "auto",
    source: Source = "real",
    on_error: _OnError = "fail",
    require_topic: bool = True,
) -> Iterator[Conversation | BadRow]:
    """Reads conversations one at a time, in memory that hardly grows with the file (about 24 bytes a row for its id).

    Only a JSON array is an exception: its text is held whole. Arguments are those of `read`; file and layout are
    checked at once, rows as they come, and with `on_error="skip"` the share of bad rows at the end.

    Raises:
        InputError: As `read`.
        UsageError: As `read`.
    """
    opened = _open(Path(path), columns, format, on_error, require_topic)
    return _parsed(opened, source, on_error, require_topic)


def _open(path: Path, columns: Columns, format: str, on_error: _OnError, require_topic: bool) -> _Opened:
    kind, layout_name = _wanted(format)
    container = sniff(path, kind)
    stream = rows(container)
    # The first rows settle the layout and are then parsed in their place.
    first = list(islice(stream, _SAMPLE))
    if on_error == "fail":
        for line, row in first:
            if isinstance(row, RowFault):
                raise row.at(path, line)
    sample = [row for _, row in first if isinstance(row, dict)]
    if not first:
        raise InputError("has no rows.", file=path, remedy="Give a file with at least one row.")
    if not sample:
        bad = [BadRow(str(path), line, row.reason) for line, row in first if isinstance(row, RowFault)]
        raise _too_many_bad(bad, path, f"all of the first {counted(len(bad), 'row')}")
    layout = resolve(sample, container, wanted=layout_name, columns=columns, require_topic=require_topic)
    return _Opened(container, layout, chain(first, stream))


def _wanted(format: str) -> tuple[Kind | None, LayoutName | None]:
    """The container and the layout that a format stands for."""
    kinds: dict[str, Kind] = {"jsonl": "jsonl", "csv": "csv", "tsv": "tsv", "parquet": "parquet", "hf": "hf"}
    layouts: dict[str, LayoutName] = {name: name for name in _LAYOUT_NAMES} | {"trl": "openai"}
    if format not in FORMATS:
        raise UsageError(
            f"unknown format {format!r}.", remedy=near_names(format, list(FORMATS)) or f"Known: {', '.join(FORMATS)}."
        )
    return kinds.get(format), layouts.get(format)


def _parsed(
    opened: _Opened, source: Source, on_error: _OnError, require_topic: bool
) -> Iterator[Conversation | BadRow]:
    path = opened.container.path
    parser = RowParser(
        opened.layout,
        stem=opened.container.stem,
        source=source,
        require_topic=require_topic,
        keep_nulls=not opened.container.is_table,
    )
    seen = SeenIds()
    total = n_bad = 0
    reasons: list[BadRow] = []
    for line, row in opened.rows:
        total += 1
        try:
            yield _conversation(parser, seen, line, row)
        except RowFault as fault:
            if on_error == "fail":
                raise fault.at(path, line) from None
            n_bad += 1
            bad = BadRow(str(path), line, fault.reason)
            reasons = reasons if len(reasons) == 3 else [*reasons, bad]
            yield bad
    if 2 * n_bad > total:
        raise _too_many_bad(reasons, path, f"{n_bad:,} of {counted(total, 'row')}")


def _conversation(parser: RowParser, seen: SeenIds, line: int, row: Row | RowFault) -> Conversation:
    if isinstance(row, RowFault):
        raise row
    conversation = parser.parse(line, row)
    earlier = seen.add(conversation.id, line)
    if earlier is not None:
        raise RowFault(
            f"the id {shown(conversation.id)} already stands on line {earlier}.",
            remedy="Give every row an id of its own, or leave the ids out.",
        )
    return conversation


def _too_many_bad(bad: list[BadRow], path: Path, share: str) -> InputError:
    reasons = "; ".join(f"line {row.line}: {row.reason.rstrip('.')}" for row in bad[:3])
    return InputError(
        f"{share} cannot be read ({reasons}).",
        file=path,
        line=bad[0].line,
        remedy="That is too many to leave them out: check that this is the right file and format.",
    )


def _understood(opened: _Opened, conversations: list[Conversation], n_bad: int) -> Understood:
    topics = Counter(conversation.topic for conversation in conversations)
    without_topic = topics.pop(None, 0)
    with_system = with_tools = 0
    for conversation in conversations:
        roles = {message.role for message in conversation.messages}
        with_system += not roles.isdisjoint(("system", "developer"))
        with_tools += not roles.isdisjoint(("tool", "function")) or any(
            "tool_calls" in message.extra or "function_call" in message.extra for message in conversation.messages
        )
    return Understood(
        format=opened.layout.name,
        container=opened.container.description,
        columns=opened.layout.columns,
        rows=len(conversations),
        topics=len(topics),
        without_topic=without_topic,
        with_system=with_system,
        with_tools=with_tools,
        bad_rows=n_bad,
    )


def _sha256(container: Container) -> str:
    digests = []
    for file in container.files:
        with reading_bytes(file), file.open("rb") as handle:
            digests.append(hashlib.file_digest(handle, "sha256").hexdigest())
    return digests[0] if container.path.is_file() else hashlib.sha256("".join(digests).encode()).hexdigest()
