"""posology split: set the holdout apart."""

from __future__ import annotations

from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings


def split(
    real: o.Real = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    split_seed: Annotated[
        int | None, typer.Option("--seed", help="Of the draw (default: 0).", rich_help_panel=o.MODEL)
    ] = None,
    config: o.Config = None,
    format: o.Format = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    roles: o.Roles = None,
    max_turns: o.MaxTurns = None,
    out: o.Out = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Set real conversations apart for evaluation, before all else.

    Whole groups of exact and near duplicates go to one side, so that no twin straddles the line. Writes
    OUT/split/train.jsonl and holdout.jsonl; with --holdout, training rows that match it are removed and reported.
    """
    tree = settings(locals())
    from posology.pipeline import Pipeline

    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        pipeline.may_split_again = True
        parts = pipeline.parts
    result = {
        "train": len(parts.train),
        "holdout": len(parts.holdout),
        "removed": len(parts.removed),
        "folder": str(tree.out / "split"),
    }
    human = (
        f"{result['train']:,} conversations to train on and {result['holdout']:,} held out, in {result['folder']}; "
        f"{result['removed']:,} removed because they match the holdout."
    )
    show(result, as_json=json, human=human)
