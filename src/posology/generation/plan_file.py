"""The plan as a file: JSON lines that a person may edit, read back with every mistake named."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from posology.conversations.sniffing import near_names
from posology.errors import InputError
from posology.generation.habits import OUTCOMES
from posology.generation.material import Example, Material
from posology.generation.personas import Persona
from posology.generation.plan import PlanRow
from posology.store import write_jsonl

_TEXTS = ("id", "topic", "channel", "mood", "register", "casing", "typos", "outcome")
_NUMBERS = {"words": 1, "turns": 1, "seed": 0}
_LISTS = ("docs", "catalog", "examples")
_KNOWN = tuple(field.name for field in fields(PlanRow))
_MAY_BE_EMPTY = frozenset({"channel", "mood", "register", "casing", "typos", "outcome"})


class _Fault(Exception):
    """What is wrong with one row, without any of its text, and what to do."""

    def __init__(self, reason: str, remedy: str = "Correct the row, or remove it.") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def write_plan(path: Path, rows: Iterable[PlanRow]) -> int:
    """Writes a plan, a row a line.

    Returns:
        How many rows were written.

    Raises:
        StoreError: The file cannot be written.
    """
    return write_jsonl(path, map(_as_json, rows))


def _as_json(row: PlanRow) -> dict[str, Any]:
    """As `dataclasses.asdict` has it, which copies every value first."""
    value: dict[str, Any] = {name: getattr(row, name) for name in _KNOWN}
    value["persona"] = {"name": row.persona.name, "about": row.persona.about}
    value["examples"] = [{"id": example.id, "text": example.text} for example in row.examples]
    return value


def read_plan(path: Path, *, topics: Collection[str], material: Material) -> list[PlanRow]:
    """Reads a plan and checks that everything that it names exists.

    Empty lines are passed over; `mood`, `register`, `casing`, `typos`, `channel`, `outcome`, `docs`, `catalog` and
    `examples` may be left out or empty.

    Args:
        path: The file.
        topics: The topics that there are.
        material: The docs and products that rows may refer to.

    Raises:
        InputError: With the line, for the first mistake: no JSON, a missing, unknown or senseless field, an unknown
            topic, section or product, or an id that stands twice.
    """
    rows: list[PlanRow] = []
    lines: dict[str, int] = {}
    shared: dict[Any, Any] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = _row(_object(line), topics, material, shared)
            if row.id in lines:
                raise _Fault(f"the id stands on line {lines[row.id]} already.", "Give every row an id of its own.")
        except _Fault as fault:
            raise InputError(fault.reason, file=path, line=number, remedy=fault.remedy) from None
        lines[row.id] = number
        rows.append(row)
    if not rows:
        raise InputError("has no rows.", file=path, remedy="Make a plan with `posology generate --plan-only`.")
    return rows


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InputError("is not UTF-8.", file=path, remedy="Save it as UTF-8 text.") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.", file=path, remedy="Check the path.") from None


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        place = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _Fault(f"is broken JSON{place}.", "Check quotes and commas of this line.") from None
    if not isinstance(value, dict):
        raise _Fault("is no JSON object.")
    return value


def _row(value: Mapping[str, Any], topics: Collection[str], material: Material, shared: dict[Any, Any]) -> PlanRow:
    if unknown := sorted(value.keys() - set(_KNOWN)):
        raise _Fault(
            f"has the unknown field {unknown[0][:40]!r}.", near_names(unknown[0], list(_KNOWN)) or "Remove it."
        )
    known: dict[str, Any] = {name: _text(value, name) for name in _TEXTS}
    known |= {name: _number(value, name, least) for name, least in _NUMBERS.items()}
    if known["outcome"] not in ("", *OUTCOMES):
        raise _Fault("has an unknown outcome.", f"Known are {', '.join(OUTCOMES)}.")
    _must_exist("topic", known["topic"], topics)
    lists = {name: value.get(name, []) for name in _LISTS}
    for name, items in lists.items():
        if not isinstance(items, list):
            raise _Fault(f"needs a list as {name!r}.")
    for name, existing in (("docs", material.sections), ("catalog", material.products)):
        for item in lists[name]:
            _must_exist({"docs": "section", "catalog": "product"}[name], item, existing)
        known[name] = shared.setdefault(tuple(lists[name]), tuple(lists[name]))
    # Rows share equal parts: a plan of 20,000 rows quotes the same examples again and again.
    examples = (Example(**_pair(item, "examples", "id", "text")) for item in lists["examples"])
    known["examples"] = tuple(shared.setdefault(example, example) for example in examples)
    persona = Persona(**_pair(value.get("persona"), "persona", "name", "about"))
    return PlanRow(persona=shared.setdefault(persona, persona), **known)


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name, "")
    if not isinstance(text, str) or not (text.strip() or name in _MAY_BE_EMPTY):
        raise _Fault(f"needs a text as {name!r}.")
    return text


def _number(value: Mapping[str, Any], name: str, least: int) -> int:
    number = value.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise _Fault(f"needs a whole number of at least {least} as {name!r}.")
    return number


def _pair(value: object, where: str, first: str, second: str) -> dict[str, str]:
    if (
        not isinstance(value, dict)
        or value.keys() != {first, second}
        or not all(isinstance(text, str) and text.strip() for text in value.values())
    ):
        raise _Fault(f"needs {first!r} and {second!r}, both texts, in {where!r}.")
    return value


def _must_exist(what: str, name: object, existing: Collection[str]) -> None:
    if not isinstance(name, str) or name not in existing:
        shown = repr(name[:80]) if isinstance(name, str) else "something that is no text"
        near = near_names(name, sorted(existing)) if isinstance(name, str) else ""
        raise _Fault(f"names the unknown {what} {shown}.", near or f"There are {len(existing)} {what}s to choose from.")
