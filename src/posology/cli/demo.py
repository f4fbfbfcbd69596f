"""posology demo: the main job, end to end, on the best data at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show, watched


def demo(
    sample: Annotated[bool, typer.Option("--sample", help="Take the fictional sample shop; ask no network.")] = False,
    out: Annotated[Path, typer.Option(help="The run folder.", rich_help_panel=o.OUTPUT)] = Path("demo-run"),
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Run a whole sweep without any data of your own.

    Takes BANKING77 (real messages to a bank) from the folder named by POSOLOGY_DATA, or by a public download that is
    checked against a pinned hash; where neither is to be had, the fictional outdoor shop that ships with posology.
    Writes the report, too.
    """
    from rich.console import Group

    from posology.demo import choose
    from posology.pipeline import Pipeline
    from posology.report.table import render

    with watched(quiet) as progress:
        data = choose(out, progress, sample=sample)
        progress.note(data.note)
        with Pipeline(data.config(out), progress) as pipeline:
            result = pipeline.sweep()
            path = pipeline.report()
    human = Group(render(result), data.note, f"report: {path.resolve()}")
    show({**result, "data": data.name, "report": str(path)}, as_json=json, human=human)
