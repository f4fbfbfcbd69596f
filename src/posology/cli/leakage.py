"""posology leakage: does one file hold what another one tests?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

if TYPE_CHECKING:
    from rich.console import Group

SHOWN = 20


def leakage(
    suspect: Annotated[Path, typer.Argument(metavar="A", help="Rows to be trained on: a pool or a training set.")],
    against: Annotated[Path, typer.Argument(metavar="B", help="Rows that test: a holdout or test set.")],
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Real training rows known to be apart from B: they say how near honest rows come.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    vectors: Annotated[
        bool,
        typer.Option(
            "--vectors/--no-vectors", help="Look for paraphrases too, which needs the encoder.", rich_help_panel=o.MODEL
        ),
    ] = True,
    fail_on_leaks: Annotated[
        bool,
        typer.Option("--fail-on-leaks", help="Exit code 1 if a row is leaked, for CI.", rich_help_panel=o.OUTPUT),
    ] = False,
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
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Audit A for what stands in B: copies, near copies, paraphrases.

    Any two files will do, also an existing training set and its test set. Nothing is written; rows are named by id.
    What counts as near is learned from --baseline: without it, fixed limits are used.
    """
    tree = settings(locals())
    from posology.leaking import audit

    with watched(quiet) as progress:
        found = audit(suspect, against, baseline, tree, vectors=vectors, progress=progress).to_json()
    show(found, as_json=json, human=_table(found))
    if fail_on_leaks and found["found"]:
        raise typer.Exit(1)


def _table(found: dict[str, Any]) -> Group:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    counts = found["leaked"]
    lines: list[Any] = [
        f"{found['rows']:,} rows against {found['against']:,}: {counts['leaked_exact']:,} copies, "
        f"{counts['leaked_near']:,} near copies, {counts['leaked_paraphrase']:,} paraphrases."
    ]
    if found["found"]:
        table = Table(title=f"The first {min(SHOWN, len(found['found']))}", title_justify="left")
        for name in ("row of A", "row of B", "reason", "score", "limit"):
            table.add_column(name, overflow="fold", justify="right" if name in ("score", "limit") else "left")
        for row in found["found"][:SHOWN]:
            score, limit = (f"{row[name]:.2f}" for name in ("score", "threshold"))
            table.add_row(escape(row["id"]), escape(row["other_id"]), row["reason"], score, limit)
        lines.append(table)
    return Group(*lines, *(escape(note) for note in found["notes"]))
