"""posology report: the self-contained HTML report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show
from posology.cli.view import RunFolder


def report(
    run: RunFolder = Path("run"),
    title: Annotated[str | None, typer.Option(help="Heading of the report.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    json: o.Json = False,
) -> None:
    """Write the HTML report of a run, one file that needs no network.

    It is made from the stored results, into RUN/report/report.html.
    """
    from posology.report.build import write_report

    path = write_report(run, title=title)
    show({"report": str(path)}, as_json=json, human=str(path))
    if open_:
        typer.launch(path.resolve().as_uri())
