"""posology collapse: how far synthetic text is from real text."""

from __future__ import annotations

from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings


def collapse(
    real: o.Real = None,
    synthetic: o.Synthetic = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    docs: o.Docs = None,
    seed: Annotated[int, typer.Option(help="Decides every draw.", min=0, rich_help_panel=o.MODEL)] = 0,
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
    out: o.Out = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Diagnose collapse: is synthetic text narrower or flatter than real text?

    Every indicator is judged by real text held against itself, at equal size, topics and length. Topics are not needed.
    Where the run folder holds a split of this data, its holdout is not looked at.
    Writes OUT/collapse/collapse.json and collapse.html.
    """
    tree = settings(locals())
    from rich.console import Group

    from posology.collapsing import PAGE
    from posology.collapsing import collapse as run
    from posology.report.collapse_table import render

    with watched(quiet) as progress:
        result = run(tree, progress, seed=seed)
    show(result, as_json=json, human=Group(render(result), f"pictures and texts: {tree.out / 'collapse' / PAGE}"))
