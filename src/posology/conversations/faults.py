"""What is wrong with one row, before it is known whether that ends the reading or only sets the row aside."""

from __future__ import annotations

import re
from pathlib import Path

from posology.errors import InputError

_NAME = re.compile(r"[\w.:/#\-]{1,60}( [\w.:/#\-]{1,20})?")


class RowFault(Exception):
    """One row cannot be understood; the rows around it still can.

    Args:
        reason: The cause, without file and line, and without any text of the conversation.
        remedy: What to do about it.
    """

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy

    def at(self, file: Path, line: int | None) -> InputError:
        """The same fault as an error that ends the reading."""
        return InputError(self.reason, file=file, line=line, remedy=self.remedy)


def shown(name: object) -> str:
    """A column, role or id as it may stand in a message.

    A wrong file may hold a customer's words where a name is expected, so only what looks like a name is repeated.
    """
    if isinstance(name, str) and not _NAME.fullmatch(name):
        return f"<{len(name)} characters>"
    return repr(name) if isinstance(name, str | int | float | None) else f"<{kind_of(name)}>"


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), "of an unknown kind")


def counted(number: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
