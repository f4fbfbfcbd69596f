"""The root of the command line, whose help must be there at once."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from typer.core import TyperGroup

WIDTH = 90


class PlainGroup(TyperGroup):
    """Shows its verbs panel by panel without rich, whose import would take longer than all the rest."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - whatever typer passes
        super().__init__(**{**settings, "rich_markup_mode": None})

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's vendored types
        """Lists the verbs under the headings of their panels, in the order they were registered."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        for panel, rows in groupby(commands, key=lambda row: getattr(row[1], "rich_help_panel", None)):
            with formatter.section(panel or "Commands"):
                formatter.write_dl([(name, command.get_short_help_str(WIDTH)) for name, command in rows if command])
