"""posology mix: one training set at one dose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings
from posology.cli.sweep import Design, Weight

Shape = Annotated[
    Literal["openai", "sharegpt", "trl", "alpaca", "prompt_completion", "text_label", "csv", "tsv", "parquet", "hf"],
    typer.Option("--format", help="Format of the training set.", rich_help_panel=o.OUTPUT),
]
Target = Annotated[Path | None, typer.Option("--out", help="Folder of the training set.", rich_help_panel=o.OUTPUT)]


def mix(
    dose: Annotated[str, typer.Option(help="Share of synthetic examples: 0.3 or 30%.")],
    real: o.Real = None,
    synthetic: o.Synthetic = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    docs: o.Docs = None,
    design: Design = None,
    kind: Annotated[
        Literal["selected", "random"], typer.Option(help="By priority, or drawn at random as a control.")
    ] = "selected",
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    synthetic_weight: Weight = None,
    config: o.Config = None,
    read_format: Annotated[
        str | None, typer.Option(help="How to read the files, if it cannot be found out.", rich_help_panel=o.READING)
    ] = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    encoder: o.Encoder = None,
    roles: o.Roles = None,
    max_turns: o.MaxTurns = None,
    jobs: o.Jobs = None,
    run: Annotated[Path | None, typer.Option(help="Run folder for the stages before (default: run).")] = None,
    shape: Shape = "openai",
    target: Target = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write the training set of one dose, with a dataset card.

    The card says what is synthetic in it and where that came from. The holdout is set apart first, and the pool is
    ranked, as in a sweep.
    """
    tree = settings({**locals(), "format": read_format, "out": run})
    from posology.config import parse_dose
    from posology.errors import UsageError
    from posology.pipeline import Pipeline

    try:
        share = parse_dose(dose)
    except ValueError as error:
        raise UsageError(f"--dose: {error}.") from None
    folder = target or tree.out / "mix" / f"dose-{share:g}"
    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        facts = pipeline.mix(share, folder, shape, kind=kind, seed=seed)
    human = (
        f"{facts['n_real']:,} real and {facts['n_synthetic']:,} synthetic conversations "
        f"(dose {facts['actual_dose']:.3f}) in {folder / facts['file']}"
    )
    if facts["n_pool_short"]:
        human += f"\nthe pool was {facts['n_pool_short']:,} short of dose {share:g}"
    show({**facts, "folder": str(folder)}, as_json=json, human=human)
