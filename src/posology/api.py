"""The Python face of the command line: the same sweep, from files or from conversations in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.config import load
from posology.conversations.writing import write
from posology.pipeline import Pipeline
from posology.progress import Progress
from posology.records import Conversation
from posology.training.contract import Trainer

Rows = str | Path | Sequence[Conversation]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        folder: The run folder.
        data: The content of `sweep/dose_response.json`.
    """

    folder: Path
    data: Mapping[str, Any]

    @property
    def dose(self) -> float:
        """The recommended dose; 0 unless a dose was shown to be better."""
        return float(self.data["recommendation"]["dose"])

    @property
    def status(self) -> str:
        """`better`, `no_worse`, `inconclusive` or `harmful`."""
        return str(self.data["recommendation"]["status"])

    @property
    def reason(self) -> str:
        """The verdict in words."""
        return str(self.data["recommendation"]["reason"])

    @property
    def arms(self) -> list[dict[str, Any]]:
        """One entry an arm, as in the result file."""
        return list(self.data["arms"])

    def report(self, title: str | None = None) -> Path:
        """Writes the HTML report and returns its path."""
        from posology.report.build import write_report

        return write_report(self.folder, title=title)


def sweep(
    real: Rows,
    synthetic: Rows | None = None,
    holdout: Rows | None = None,
    *,
    doses: Iterable[float | str] | str | None = None,
    design: str | None = None,
    seeds: int | Sequence[int] | None = None,
    trainer: str | Trainer | None = None,
    jobs: int | None = None,
    docs: str | Path | None = None,
    out: str | Path = "run",
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Trains the same model at several doses of synthetic data and judges it on held-out real conversations.

    Args:
        real: Real labelled conversations: a file, a folder, or conversations in memory.
        synthetic: The pool, likewise; without one (or with an empty one) no dose above 0 can be reached.
        holdout: Real conversations to evaluate on; None splits them off `real`.
        doses: Shares of synthetic examples; dose 0 is always added.
        design: `augment` or `replace`.
        seeds: How many, or which.
        trainer: `head`, `package.module:Class`, or an object that follows `posology.training.contract.Trainer`.
        jobs: Trainings at a time.
        docs: Folder of support documentation.
        out: The run folder; the same call again reads what is finished in it.
        config: A posology.yaml under these arguments.
        settings: Any other setting by its dotted name, such as `{"embedding.encoder": "lexical"}`.
        progress: Told what happens; silent by default.

    Returns:
        The verdict and every figure behind it.

    Raises:
        PosologyError: See `posology.errors`.
    """
    folder = Path(out)
    overrides: dict[str, object] = {
        "mix.doses": list(doses) if doses is not None and not isinstance(doses, str) else doses,
        "mix.design": design,
        "sweep.seeds": seeds if isinstance(seeds, int | None) else list(seeds),
        "sweep.jobs": jobs,
        "sweep.trainer": trainer if isinstance(trainer, str) else None,
        "data.docs": docs,
        "out": folder,
        **(settings or {}),
    }
    for name, rows in (("real", real), ("synthetic", synthetic), ("holdout", holdout)):
        overrides[f"data.{name}"] = _file(rows, folder / "inputs" / f"{name}.jsonl") if rows else None
    tree = load(None if config is None else Path(config), overrides)
    own = None if trainer is None or isinstance(trainer, str) else trainer
    with Pipeline(tree, progress, own) as pipeline:
        return SweepResult(folder, pipeline.sweep())


def _file(rows: Rows, place: Path) -> Path:
    if isinstance(rows, str | Path):
        return Path(rows)
    write(rows, place)
    return place
