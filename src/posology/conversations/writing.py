"""Writing of conversations in the formats that trainers and other tools read, each whole or not at all.

What `read(write(x))` gives back, by format:

    openai              everything
    prompt_completion   everything
    parquet, hf         everything
    csv, tsv            everything (one plain customer message a row as `text`, else all turns as a JSON cell)
    sharegpt            all but message fields named `from` or `value`; the role `function` comes back as `tool`
    trl                 messages and topic; id, source and meta are left out
    alpaca              turns of customer and agent and the system text; neighbouring turns of one side are joined,
                        tool messages, empty turns and further fields of messages are left out
    text_label          what the customer says, as one message

Id, topic, source and meta survive in all of them but `trl`. Text formats are packed with gzip if the path ends in
`.gz`.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from posology import store
from posology.conversations import arrow_writing, shapes
from posology.conversations.sniffing import near_names
from posology.errors import UsageError
from posology.records import Conversation

#: What `format` may be.
FORMATS = (*shapes.SHAPES, "csv", "tsv", "parquet", "hf")


def write(conversations: Iterable[Conversation], path: Path | str, format: str = "openai") -> int:
    """Writes conversations to a file, or to a folder with the format `hf`. An older one is replaced at the very end.

    All formats but `csv` and `tsv` take conversations as they come and keep few in memory.

    Args:
        conversations: What to write, in this order.
        path: The file or folder.
        format: One of `FORMATS`; all names of layouts mean JSON lines.

    Returns:
        How many were written.

    Raises:
        UsageError: The format is unknown or cannot hold a conversation at all, or the path does not go with it.
        StoreError: The disk is full, or the path cannot be written.
    """
    path = Path(path)
    if format not in FORMATS:
        raise UsageError(
            f"unknown format {format!r}.", remedy=near_names(format, list(FORMATS)) or f"Known: {', '.join(FORMATS)}."
        )
    if format in ("parquet", "hf"):
        if path.suffix == ".gz":
            raise UsageError(f"the format {format} is not packed with gzip.", remedy="Leave out the .gz.")
        return (arrow_writing.write_parquet if format == "parquet" else arrow_writing.write_folder)(conversations, path)
    with _writing_text(path) as handle:
        if format in ("csv", "tsv"):
            return _write_table(tuple(conversations), handle, "," if format == "csv" else "\t")
        return _write_lines(conversations, handle, shapes.SHAPES[format])


@contextmanager
def _writing_text(path: Path) -> Iterator[IO[str]]:
    if path.suffix != ".gz":
        with store.writing(path) as handle:
            yield handle
        return
    # Neither name nor time goes into the packed file, so that the same rows give the same bytes.
    with (
        store.writing(path, binary=True) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        yield text


def _write_lines(conversations: Iterable[Conversation], handle: IO[str], shape: shapes.Shape) -> int:
    count = 0
    for conversation in conversations:
        handle.write(store.dumps(shape(conversation)) + "\n")
        count += 1
    return count


def _write_table(conversations: tuple[Conversation, ...], handle: IO[str], delimiter: str) -> int:
    """Rows of cells; the columns depend on all rows. Lines end as RFC 4180 says."""
    plain = all(map(shapes.is_plain_text, conversations))
    with_meta = any(conversation.meta for conversation in conversations)
    writer = csv.writer(handle, delimiter=delimiter)
    writer.writerow(["id", "text" if plain else "messages", "label", "source", *(["meta"] if with_meta else [])])
    for conversation in conversations:
        turns = [shapes.turn(message) for message in conversation.messages]
        spoken = conversation.messages[0].content if plain else store.dumps(turns)
        meta = [store.dumps(dict(conversation.meta)) if conversation.meta else ""] if with_meta else []
        writer.writerow([conversation.id, spoken, conversation.topic, conversation.source, *meta])
    return len(conversations)
