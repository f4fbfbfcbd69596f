"""posology gaps: what real data lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

if TYPE_CHECKING:
    from rich.console import Group

SHOWN = 25


def gaps(
    real: o.Real = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    docs: o.Docs = None,
    traffic: o.Traffic = None,
    budget: Annotated[
        int | None, typer.Option(help="How many examples to ask for in all (default: 500).", rich_help_panel=o.MODEL)
    ] = None,
    weights: Annotated[
        Literal["uniform", "frequency"] | None,
        typer.Option(
            help="Whether every topic counts the same, or by its share (default: uniform).", rich_help_panel=o.MODEL
        ),
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
    """Find the gaps: thin topics, weak slices, unseen traffic.

    Writes OUT/gaps/gaps.json. The holdout is not read: recall is cross-validated on real training data.
    """
    tree = settings(locals())
    from posology.pipeline import Pipeline

    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        found = pipeline.gaps
    show(found, as_json=json, human=_table(found, str(tree.out / "gaps" / "gaps.json")))


def _table(found: dict[str, Any], path: str) -> Group:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    wanted = sorted(found["topics"], key=lambda row: -row["want"])
    table = Table(title=f"Gaps: the {min(SHOWN, len(wanted))} topics that want most", title_justify="left")
    for name in ("topic", "real", "recall", "want", "reason"):
        table.add_column(name, justify="right" if name in ("real", "recall", "want") else "left", overflow="fold")
    for row in wanted[:SHOWN]:
        recall = "-" if row["recall"] is None else f"{row['recall']:.0%}"
        table.add_row(escape(row["topic"]), str(row["n_real"]), recall, str(row["want"]), escape(row["reason"]))
    lines: list[Any] = [table]
    for item in found["slices"]:
        if item.get("flag"):
            lines.append(
                f"slice {escape(str(item['slice']))}={escape(str(item['value']))}: {escape(str(item['flag']))}"
            )
    if found["traffic"]:
        for cluster in found["traffic"]["clusters"][:10]:
            words = ", ".join(cluster.get("words", []))
            lines.append(f"traffic far from training: {cluster['size']} conversations about {escape(words)}")
    lines.append(f"written to {escape(path)}")
    return Group(*lines)
