"""posology run: everything that posology.yaml says."""

from __future__ import annotations

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings


def run(
    config: o.Config = None, jobs: o.Jobs = None, out: o.Out = None, json: o.Json = False, quiet: o.Quiet = False
) -> None:
    """Run the whole flow of posology.yaml, with the report at its end.

    Where it names no pool (data.synthetic), conversations are generated for the gaps first, by the model and within the
    budget of its section `generate`. Each stage that is already done with the same inputs and settings is read, not
    run.
    """
    tree = settings(locals())
    from rich.console import Group

    from posology import flow
    from posology.pipeline import Pipeline
    from posology.report.table import render

    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        result = flow.run(pipeline)
    show(result, as_json=json, human=Group(render(result), f"report: {result['report']}"))
