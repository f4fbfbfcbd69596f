"""posology select: which candidates are kept, in which order, and what other ways to choose would give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

if TYPE_CHECKING:
    from rich.console import Group

    from posology.config import Config

CHOICE = "Choice"


def select(
    real: o.Real = None,
    synthetic: o.Synthetic = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    docs: o.Docs = None,
    catalog: o.Catalog = None,
    keep_rate: Annotated[
        float | None,
        typer.Option(
            help="Share of the verified candidates to keep, best first (default: learned).", rich_help_panel=CHOICE
        ),
    ] = None,
    most: Annotated[
        int | None, typer.Option("--count", help="Instead of a share: at most so many.", rich_help_panel=CHOICE)
    ] = None,
    strategy: Annotated[
        Literal["coverage", "top", "random", "all"] | None,
        typer.Option(help="How to choose (default: coverage).", rich_help_panel=CHOICE),
    ] = None,
    near: Annotated[
        float | None,
        typer.Option(
            help="Wording as alike as this, 0.7 to 1, is a duplicate (default: 0.85).", rich_help_panel=CHOICE
        ),
    ] = None,
    semantic: Annotated[
        float | None,
        typer.Option(
            help="Meaning as alike as this, 0.9 to 1, is a duplicate (default: 0.97).", rich_help_panel=CHOICE
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Try all strategies on folds of real training data.", rich_help_panel=CHOICE),
    ] = False,
    doses: Annotated[
        str | None, typer.Option(help="With --compare: the doses to try (default: .1,.3,.5).", rich_help_panel=CHOICE)
    ] = None,
    verify_first: o.VerifyFirst = None,
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
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            "--out",
            help="The run folder; one of an earlier verb says what to select from.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Select from the verified pool: what is missing first, duplicates and the worst not at all.

    Writes selected.jsonl (in priority order), rejected.jsonl (with reasons) and duplicates.parquet into RUN/select.
    With --compare nothing is selected: each strategy is trained on folds of real data with its picks added, and judged
    on the rest of the real data. The holdout stays unspent.
    """
    tree = settings(_from_run({**locals(), "out": run}))
    from posology.errors import UsageError
    from posology.pipeline import Pipeline

    if keep_rate is not None and most is not None:
        raise UsageError("--keep-rate and --count do not go together.", remedy="Give one of them.")
    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        result = pipeline.compare() if compare else pipeline.select()
    human = _comparison(result) if compare else _summary(result, tree)
    show(result, as_json=json, human=human)


def _from_run(flags: dict[str, Any]) -> dict[str, Any]:
    """The settings of the run folder, where neither files nor a settings file are named."""
    from posology.store import SETTINGS

    run = flags["run"]
    if run is None or flags["real"] is not None or flags["config"] is not None or not (run / SETTINGS).is_file():
        return flags
    return {**flags, "config": run / SETTINGS}


def _summary(facts: dict[str, Any], tree: Config) -> Group:
    from rich.console import Group
    from rich.markup import escape

    rate = facts["keep_rate"]
    rejected = ", ".join(f"{reason} {n:,}" for reason, n in facts["rejected"].items())
    return Group(
        f"{facts['n_selected']:,} of {facts['n_pool']:,} candidates selected by {facts['strategy']}",
        f"keep rate {rate['value']:g} ({rate['reason']})",
        f"not selected: {escape(rejected) or 'none'}",
        f"in priority order in {escape(str(tree.out / 'select' / 'selected.jsonl'))}",
    )


def _comparison(result: dict[str, Any]) -> Group:
    from rich.console import Group
    from rich.table import Table

    table = Table(title="On folds of real training data", title_justify="left")
    for name in ("dose", "strategy", "accuracy", "macro recall", "vs real only", "vs random"):
        table.add_column(name, justify="left" if name == "strategy" else "right")
    for row in result["strategies"]:
        cells = [f"{row['dose']:g}", row["strategy"], f"{row['accuracy']:.3f}", f"{row['macro_recall']:.3f}"]
        table.add_row(*cells, _difference(row["vs_real_only"]), _difference(row["vs_random"]))
    rate, weight = result["keep_rate"]["value"], result["synthetic_weight"]["value"]
    return Group(
        table,
        f"coverage and top keep the best {rate:.0%}; a synthetic example weighs {weight:g}",
        "differences are of the mean of accuracy and macro recall, in points, with their standard errors",
    )


def _difference(found: dict[str, float] | None) -> str:
    return "" if found is None else f"{100 * found['mean']:+.1f} ± {100 * found['error']:.1f}"
