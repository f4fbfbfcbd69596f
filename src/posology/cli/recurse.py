"""posology recurse: what happens when a generator learns from what generators wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

if TYPE_CHECKING:
    from rich.console import Group

LOOP = "Loop"


def recurse(
    real: o.Real = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    generations: Annotated[int, typer.Option(help="How many.", min=1, max=50, rich_help_panel=LOOP)] = 5,
    policy: Annotated[
        Literal["replace", "accumulate", "accumulate-subsample", "all"],
        typer.Option(help="What the next generation learns from; all runs each of them.", rich_help_panel=LOOP),
    ] = "replace",
    verify: Annotated[
        Literal["on", "off", "both"],
        typer.Option(
            help="Whether candidates go through data checks and selection, as a pool does.", rich_help_panel=LOOP
        ),
    ] = "off",
    generator: Annotated[
        Literal["surrogate", "model"],
        typer.Option(help="Who writes: word trigrams fitted in a blink, or --model.", rich_help_panel=LOOP),
    ] = "surrogate",
    model: Annotated[
        str | None, typer.Option(help="local:, openai:NAME, anthropic:NAME (default: local:).", rich_help_panel=LOOP)
    ] = None,
    chat_url: Annotated[str | None, typer.Option(help="Where the model's server is.", rich_help_panel=LOOP)] = None,
    money: Annotated[
        float | None, typer.Option("--budget", help="Money, over all the ledger holds.", rich_help_panel=LOOP)
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            help="Real rows to begin with, and rows a generation (default: all).", min=40, rich_help_panel=LOOP
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every draw.", min=0, rich_help_panel=LOOP)] = 0,
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
    """See the cliff: let a generator learn from its own text, again and again.

    A bot is trained on the mixture of each generation and judged on held-out real data.
    Writes OUT/recurse/recursion.json and recursion.html.
    """
    tree = settings(locals())
    from posology.collapse.recursion import POLICIES
    from posology.recursing import PAGE
    from posology.recursing import recurse as run

    policies = POLICIES if policy == "all" else (policy,)
    ways = {"on": (True,), "off": (False,), "both": (False, True)}[verify]
    with watched(quiet) as progress:
        chosen: dict[str, Any] = {}
        if generator == "model":
            from posology.continuing import model_generator

            chosen = {"fit": model_generator(tree, progress), "generator": tree.generate.model}
        result = run(
            tree, progress, generations=generations, policies=policies, verify=ways, size=rows, seed=seed, **chosen
        )
    show(result, as_json=json, human=_table(result, f"curves: {tree.out / 'recurse' / PAGE}"))


def _table(result: dict[str, Any], hint: str) -> Group:
    from rich.console import Group
    from rich.table import Table

    parts: list[Any] = []
    for run in result["runs"]:
        table = Table(title=f"{run['policy']}, verification {'on' if run['verify'] else 'off'}", title_justify="left")
        for name in ("generation", "mixture", "real", "topics", "accuracy", "rare topics", "moved"):
            table.add_column(name, justify="left" if name == "moved" else "right")
        for row in run["generations"]:
            tail = "-" if row["tail_recall"] is None else f"{row['tail_recall']:.1%}"
            counts = (row["generation"], row["n_mixture"], row["n_real"], row["topics"])
            table.add_row(*map(str, counts), f"{row['accuracy']:.1%}", tail, f"{len(row['moved'])} indicators")
        parts += [table, run["verdict"], f"the loop is {run['status']}", ""]
    return Group(*parts, hint)
