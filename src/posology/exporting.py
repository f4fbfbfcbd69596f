"""From a finished run to the training set that it recommends, without the original files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from posology.config import Config
from posology.conversations.reading import read
from posology.errors import StoreError
from posology.judging import notice_of
from posology.mixture.arms import mixture
from posology.mixture.export import write_training_set
from posology.report.results import load
from posology.store import RunFolder, read_json
from posology.sweeping import INDEX
from posology.swept import check_unchanged


def config_of(run: Path) -> Config:
    """The settings under which a run's variants were trained.

    Raises:
        StoreError: The sweep is not finished, or its index is damaged.
    """
    place = run / "sweep" / INDEX
    try:
        return Config.model_validate(read_json(place)["config"])
    except (KeyError, TypeError, ValidationError) as error:
        raise StoreError(f"{place} is damaged.", remedy="Run the sweep again; finished variants are kept.") from error


def export_run(run: Path, dose: float | None, format: str, folder: Path | None) -> tuple[Path, dict[str, Any]]:
    """Writes a training set from the stored stages of a run.

    Args:
        run: The run folder, its sweep finished.
        dose: Which dose; None takes the recommended one.
        format: A format of `posology.mixture.export.ENDINGS`.
        folder: Where to; None takes `RUN/mix/dose-D`.

    Returns:
        The folder and the manifest.

    Raises:
        StoreError: The sweep is not finished, or a stage before it has changed since.
    """
    load(run)  # names what is missing or damaged
    result = read_json(run / "sweep" / "dose_response.json")
    config = config_of(run)
    check_unchanged(run)
    recommendation = result["recommendation"]
    wanted = float(recommendation["dose"]) if dose is None else dose
    selected = run / "select" / "selected.jsonl"
    ranked = read(selected, source="synthetic").conversations if selected.stat().st_size else ()
    training_set = mixture(
        wanted,
        "selected",
        0,
        design=result["design"],
        real=read(run / "split" / "train.jsonl").conversations,
        ranked=ranked,
        synthetic_weight=config.mix.synthetic_weight or 1.0,  # the index holds what was learned
    )
    folder = folder or run / "mix" / f"dose-{wanted:g}"
    facts = write_training_set(
        training_set,
        folder,
        format,
        rejected=result["rejected"],
        verdict=recommendation if wanted == recommendation["dose"] else None,
        licence=config.card.licence,
        intended_use=config.card.intended_use,
        notice=notice_of(RunFolder(run).stage("verify").manifest) if config.verify.enabled else None,
    )
    return folder, facts
