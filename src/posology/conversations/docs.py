"""Reading of what a company has written down: support documentation and the product catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from posology.conversations.containers import rows
from posology.conversations.decoding import BOM, not_utf8, reading_bytes
from posology.conversations.faults import RowFault, shown
from posology.conversations.layouts import first_of
from posology.conversations.sniffing import near_names, sniff
from posology.errors import InputError
from posology.records import DocSection
from posology.store import dumps

_SUFFIXES = (".md", ".txt")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
_TOPIC = re.compile(r"[ \t>*_-]*topics?[*_]*[ \t]*:[*_]*[ \t]*(.*)$", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_NAMES = ("name", "product", "title", "product_name", "product name", "product_title", "item")


def read_docs(folder: Path | str) -> list[DocSection]:
    """Reads the support documentation: every `.md` and `.txt` file of a folder and the folders in it.

    A heading begins a section. A line `Topic: label` in it says which label it explains; several labels, separated by
    commas, give one section each, and a section without such a line has the labels of the heading that it stands
    under. Sections without any text are left out.

    Args:
        folder: The folder.

    Returns:
        The sections, by file name and then in their order.

    Raises:
        InputError: No such folder, no document in it, or one that is not UTF-8.
    """
    folder = Path(folder)
    with reading_bytes(folder):
        if not folder.is_dir():
            names = sorted(p.name for p in folder.parent.iterdir() if p.is_dir()) if folder.parent.is_dir() else []
            what = "is a file, not a folder." if folder.exists() else "no such folder."
            raise InputError(what, file=folder, remedy=near_names(folder.name, names) or "Give the folder of the docs.")
        files = sorted(file for file in folder.rglob("*") if _is_document(file.relative_to(folder)) and file.is_file())
    sections = [section for file in files for section in _sections(file, file.relative_to(folder).as_posix())]
    if not sections:
        raise InputError(
            f"no text in {' or '.join(f'*{suffix}' for suffix in _SUFFIXES)} files.",
            file=folder,
            remedy="Put the support documentation there as Markdown or plain text.",
        )
    return sections


def _is_document(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not any(part.startswith(".") for part in path.parts)


def _sections(file: Path, name: str) -> Iterator[DocSection]:
    with reading_bytes(file):
        raw = file.read_bytes().removeprefix(BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(file, error).at(file, raw.count(b"\n", 0, error.start) + 1) from None
    # The labels of the headings that enclose the present section, by level.
    enclosing: dict[int, list[str]] = {}
    for level, heading, body in _parts(_without_front_matter(text.splitlines())):
        labels, lines = _topics(body)
        enclosing = {upper: topics for upper, topics in enclosing.items() if upper < level}
        if labels:
            enclosing[level] = labels
        inherited: Sequence[str | None] = enclosing[max(enclosing)] if enclosing else [None]
        content = "\n".join(lines).strip()
        for label in inherited if content else []:
            yield DocSection(name, heading or file.stem, label, content)


def _without_front_matter(lines: list[str]) -> list[str]:
    if lines and lines[0].rstrip() == "---" and "---" in (rest := [line.rstrip() for line in lines[1:]]):
        return lines[rest.index("---") + 2 :]
    return lines


def _parts(lines: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Level, heading and body lines of each part; what stands before the first heading has level 0 and no heading."""
    level, heading, body = 0, "", list[str]()
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        found = None if fence else _HEADING.match(line)
        underline = None if fence else _UNDERLINE.match(line)
        if found:
            yield level, heading, body
            level, heading, body = len(found[1]), found[2], []
        elif underline and body and _can_be_heading(body[-1]):
            title = body.pop().strip()
            yield level, heading, body
            level, heading, body = 1 if underline[1].startswith("=") else 2, title, []
        else:
            body.append(line)
    yield level, heading, body


def _can_be_heading(line: str) -> bool:
    """Whether an underline makes this line a heading: a line of words, not of a list, a table or labels."""
    return bool(line.strip()) and not line.lstrip().startswith(("-", "*", "|", ">", "=")) and not _TOPIC.match(line)


def _topics(body: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels of a body's `Topic:` lines, and its other lines."""
    labels: list[str] = []
    others: list[str] = []
    for line in body:
        found = _TOPIC.match(line)
        if found:
            labels += [label for part in found[1].split(",") if (label := part.strip(" \t`*"))]
        else:
            others.append(line)
    return list(dict.fromkeys(labels)), others


def read_catalog(path: Path | str) -> list[dict[str, str]]:
    """Reads a product catalog from a CSV, TSV, JSONL or JSON file.

    Args:
        path: The file. It has a column with the product's name (`name`, `product`, `title`, ...) and at least one more.

    Returns:
        One dict a product, the column of the name first; values are text, missing ones are left out.

    Raises:
        InputError: The file is missing, broken, or lacks these columns; or a product has no name.
    """
    container = sniff(Path(path))
    products: list[dict[str, str]] = []
    for line, row in rows(container):
        try:
            if isinstance(row, RowFault):
                raise row
            products.append(_product(row))
        except RowFault as fault:
            raise fault.at(container.path, line) from None
    if not products:
        raise InputError("has no rows.", file=container.path, remedy="Give a file with at least one product.")
    return products


def _product(row: dict[str, Any]) -> dict[str, str]:
    found = list(row)
    name = first_of(_NAMES, found)
    if name is None:
        columns = ", ".join(map(shown, found[:12]))
        raise RowFault(
            f"has no column with the product's name. Columns found: {columns}.",
            remedy=f"Call it one of {', '.join(_NAMES[:3])}.",
        )
    if len(found) < 2:
        raise RowFault(
            f"has no column besides {shown(name)}.", remedy="Add what is known of a product: a description, a price."
        )
    texts = {key: _as_text(row[key]) for key in (name, *(key for key in found if key != name))}
    if not texts[name]:
        raise RowFault(f"the product has no {name!r}.", remedy="Give it a name, or remove the row.")
    return {key: text for key, text in texts.items() if text}


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else dumps(value)
