"""From files to rows: every container yields the rows of its files in order, one at a time.

A fault of one row is yielded in its place, since the reader may want to go on; damage after which rows cannot be told
apart is raised.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, TypeAlias

from posology.conversations import arrow_reading, jsontext
from posology.conversations.decoding import BOM, not_utf8, numbered_lines, open_bytes, reading_bytes
from posology.conversations.faults import RowFault, counted, kind_of, shown
from posology.conversations.sniffing import Container
from posology.errors import InputError

Row: TypeAlias = dict[str, Any]

# Beyond this a cell is not a long dialogue but a quote that was never closed.
_MAX_CELL = 1 << 24


def rows(container: Container) -> Iterator[tuple[int, Row | RowFault]]:
    """The rows of a container with their numbers.

    The number is the physical line of JSON lines and CSV (where a row begins), and the row's own number elsewhere.

    Raises:
        InputError: The container is damaged.
    """
    match container.kind:
        case "jsonl":
            return _jsonl(container)
        case "json":
            return _array(container)
        case "csv" | "tsv":
            return _csv(container)
        case _:
            return arrow_reading.rows(container)


def _as_row(value: object) -> Row | RowFault:
    if isinstance(value, dict):
        return value
    return RowFault(f"the row is {kind_of(value)}, not an object.", remedy='Write it as {"messages": [...], ...}.')


def _jsonl(container: Container) -> Iterator[tuple[int, Row | RowFault]]:
    for number, offset, raw in numbered_lines(container.path, compressed=container.compressed):
        if raw.isspace():
            continue
        try:
            yield number, _as_row(jsontext.parse(raw.rstrip(b"\r\n").decode()))
        except UnicodeDecodeError as error:
            yield number, not_utf8(container.path, error, offset=offset)
        except RowFault as fault:
            yield number, RowFault(fault.reason, remedy="Each line must hold one whole JSON object.")


def _array(container: Container) -> Iterator[tuple[int, Row | RowFault]]:
    """One JSON array. The text is held in memory, the parsed rows are not."""
    with reading_bytes(container.path), open_bytes(container.path, compressed=container.compressed) as handle:
        raw = handle.read().removeprefix(BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(container.path, error).at(container.path, raw.count(b"\n", 0, error.start) + 1) from None
    del raw
    try:
        for number, value in enumerate(jsontext.parse_array(text), start=1):
            yield number, _as_row(value)
    except RowFault as fault:
        raise InputError(fault.reason, file=container.path, remedy="The file must be one JSON array of rows.") from None


def _csv_text(container: Container) -> Iterator[str]:
    for number, offset, raw in numbered_lines(container.path, compressed=container.compressed):
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(container.path, error, offset=offset).at(container.path, number) from None


def _csv(container: Container) -> Iterator[tuple[int, Row | RowFault]]:
    """Rows as dicts from the header's names; empty cells become None, columns without a name are left out."""
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL))
    reader = csv.reader(_csv_text(container), delimiter=container.delimiter, strict=True)
    names: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, _csv_fault(error, container, line)
            continue
        if not cells:
            continue
        if names is None:
            names = _header(cells, container, line)
        elif len(cells) != len(names):
            yield (
                line,
                RowFault(
                    f"the row has {counted(len(cells), 'cell')}, the header has {len(names)}.",
                    remedy=f"Put cells that hold {container.delimiter!r} or a line break in double quotes.",
                ),
            )
        else:
            yield line, {name: cell or None for name, cell in zip(names, cells, strict=True) if name}


def _header(cells: list[str], container: Container, line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"the header names the column {shown(twice)} twice.",
            file=container.path,
            line=line,
            remedy="Give every column a name of its own; a file without a header needs one.",
        )
    return names


def _csv_fault(error: csv.Error, container: Container, line: int) -> RowFault:
    """The fault of a row, raised instead where it has swallowed the rest of the file."""
    if "unexpected end" in str(error) or "field limit" in str(error):
        raise InputError(
            "a double quote that opens in this row is never closed.",
            file=container.path,
            line=line,
            remedy='Close it, or double it ("") if it belongs to the text.',
        ) from None
    return RowFault(
        f"the quotes of the row do not match ({error}).", remedy='Double the quotes ("") inside a quoted cell.'
    )
