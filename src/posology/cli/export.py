"""posology export: the training set that the verdict recommends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show
from posology.cli.mix import Shape, Target
from posology.cli.view import RunFolder


def export(
    run: RunFolder = Path("run"),
    dose: Annotated[str | None, typer.Option(help="Another dose than the recommended one.")] = None,
    shape: Shape = "openai",
    target: Target = None,
    json: o.Json = False,
) -> None:
    """Write the recommended training set, with a dataset card.

    The set is put together from the stored stages of RUN; manifest and card say what is in it.
    """
    from posology.config import parse_dose
    from posology.errors import UsageError
    from posology.exporting import export_run

    try:
        share = None if dose is None else parse_dose(dose)
    except ValueError as error:
        raise UsageError(f"--dose: {error}.") from None
    folder, facts = export_run(run, share, shape, target)
    human = (
        f"{facts['n_real']:,} real and {facts['n_synthetic']:,} synthetic conversations "
        f"(dose {facts['actual_dose']:.3f}) in {folder / facts['file']}"
    )
    show({**facts, "folder": str(folder)}, as_json=json, human=human)
