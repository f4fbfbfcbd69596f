"""posology demo: the main job, end to end, on the best data at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show, watched

if TYPE_CHECKING:
    from rich.console import RenderableType


def demo(
    sample: Annotated[bool, typer.Option("--sample", help="Take the fictional sample shop; ask no network.")] = False,
    write: Annotated[
        int, typer.Option(help="How many messages the embedded model writes; 0: it is left alone.", min=0)
    ] = 240,
    out: Annotated[Path, typer.Option(help="The run folder.", rich_help_panel=o.OUTPUT)] = Path("demo-run"),
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Run a whole sweep without any data of your own, then let the embedded model write a pool and sweep that.

    Takes BANKING77 (real messages to a bank) from the folder named by POSOLOGY_DATA, or by a public download that is
    checked against a pinned hash; where neither is to be had, the fictional outdoor shop that ships with posology.
    The embedded model (135 million parameters, no key, no network) writes messages for the thinnest topics into
    OUT/embedded; what they are worth, the second sweep says. Writes a report each.
    """
    from rich.console import Group

    from posology import flow
    from posology.demo import choose, lacking
    from posology.pipeline import Pipeline
    from posology.report.table import render

    with watched(quiet) as progress:
        data = choose(out, progress, sample=sample)
        progress.note(data.note)
        with Pipeline(data.config(out), progress) as pipeline:
            result = {**flow.run(pipeline), "data": data.name, "embedded": None}
        shown: list[RenderableType] = [render(result), data.note, f"report: {Path(result['report']).resolve()}"]
        reason = "it was asked for no message" if write == 0 else lacking()
        if reason is not None:
            shown.append(f"The embedded model wrote nothing: {reason}.")
        else:
            with Pipeline(data.embedded(out / "embedded", write), progress) as pipeline:
                own = flow.run(pipeline)
            result["embedded"] = own
            wrote = f"{own['generated']['n_candidates']} messages of {own['generated']['n_plan']} passed format checks"
            shown += [f"\nA pool by the embedded model: {wrote}.", render(own), f"report: {own['report']}"]
    show(result, as_json=json, human=Group(*shown))
