"""From a finished run to the training set that it recommends, without the original files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from posology.config import Config
from posology.conversations.reading import read
from posology.mixture.arms import mixture
from posology.mixture.export import write_training_set
from posology.store import read_json
from posology.sweeping import INDEX


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
        StoreError: The sweep is not finished.
    """
    result = read_json(run / "sweep" / "dose_response.json")
    config = Config.model_validate(read_json(run / "sweep" / INDEX)["config"])
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
        synthetic_weight=config.mix.synthetic_weight,
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
    )
    return folder, facts
