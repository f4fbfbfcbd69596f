"""posology view: a run's verdict in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show

RunFolder = Annotated[Path, typer.Argument(help="The run folder.")]


def view(run: RunFolder = Path("run"), json: o.Json = False) -> None:
    """Show the verdict of a finished sweep again.

    The table of arms is the one that the sweep ended with.
    """
    from posology.report.table import render
    from posology.store import read_json

    result = read_json(run / "sweep" / "dose_response.json")
    show(result, as_json=json, human=render(result))
