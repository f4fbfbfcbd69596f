"""posology sweep: the dose-response."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

SWEEP = "Sweep"

Design = Annotated[
    Literal["augment", "replace"] | None,
    typer.Option(help="Add to the real data, or replace a share of it (default: augment).", rich_help_panel=SWEEP),
]
Weight = Annotated[
    float | None,
    typer.Option(help="What a synthetic example weighs, a real one being 1 (default: learned).", rich_help_panel=SWEEP),
]


def sweep(
    real: o.Real = None,
    synthetic: o.Synthetic = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    docs: o.Docs = None,
    catalog: o.Catalog = None,
    doses: Annotated[
        str | None,
        typer.Option(
            help="Shares of synthetic data, e.g. 0,0.1,30%; 0 is always added (default: 0,.1,.3,.5,1).",
            rich_help_panel=SWEEP,
        ),
    ] = None,
    adaptive: Annotated[
        int | None,
        typer.Option(help="Instead of a grid, choose up to so many doses where knowing pays.", rich_help_panel=SWEEP),
    ] = None,
    verify_first: o.VerifyFirst = None,
    design: Design = None,
    controls: Annotated[
        bool | None,
        typer.Option("--controls/--no-controls", help="Same-size random arms (default: on).", rich_help_panel=SWEEP),
    ] = None,
    synthetic_weight: Weight = None,
    seeds: Annotated[
        str | None, typer.Option(help="How many (5), or which (0,1,2) (default: 5).", rich_help_panel=SWEEP)
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(help="head, or package.module:Class for your own (default: head).", rich_help_panel=SWEEP),
    ] = None,
    label_cost: Annotated[
        float | None, typer.Option(help="Price of one real label (default: 4.0).", rich_help_panel=SWEEP)
    ] = None,
    tail_max_real: Annotated[
        int | None,
        typer.Option(help="A tail topic has at most so many real examples (default: 5).", rich_help_panel=SWEEP),
    ] = None,
    config: o.Config = None,
    format: o.Format = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    encoder: o.Encoder = None,
    roles: o.Roles = None,
    max_turns: o.MaxTurns = None,
    jobs: o.Jobs = None,
    out: o.Out = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Find the dose: train at several, judge each on held-out real data.

    The pool is verified first, by the checks that need no model and by the judges of the settings if there are any.
    Every dose above 0 has a control: as many synthetic examples drawn at random. The same command again goes on where
    it was, and trains nothing twice. Writes OUT/sweep/dose_response.json and predictions.parquet.
    """
    tree = settings(locals())
    from posology.pipeline import Pipeline

    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        result = pipeline.sweep()
    show(result, as_json=json, human=_verdict(result, f"The whole story: posology report {tree.out}"))


def _verdict(result: dict[str, Any], hint: str) -> Any:  # noqa: ANN401 - a rich renderable
    from rich.console import Group

    from posology.report.table import render

    return Group(render(result), hint)
