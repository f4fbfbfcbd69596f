"""The Python face of the command line: generate and sweep, from files or from conversations in memory."""

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


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What a generation left behind.

    Attributes:
        folder: The run folder; `sweep(..., out=folder)` takes its candidates for the pool.
        data: The facts of `generate/manifest.json`: how many rows ended how, calls, tokens and money by model.
    """

    folder: Path
    data: Mapping[str, Any]

    @property
    def candidates(self) -> Sequence[Conversation]:
        """The conversations that passed the format checks."""
        from posology.conversations.reading import read

        path = self.folder / "generate" / "candidates.jsonl"
        return read(path, source="synthetic").conversations if path.stat().st_size else ()

    @property
    def cost(self) -> float | None:
        """Money behind the result, whichever run paid it; None where a price is not known."""
        costs = [total["cost"] for total in self.data["totals"]]
        return None if None in costs else float(sum(costs))


def generate(
    real: Rows,
    *,
    model: str | None = None,
    docs: str | Path | None = None,
    catalog: str | Path | None = None,
    holdout: Rows | None = None,
    count: int | None = None,
    mode: str | None = None,
    budget: float | None = None,
    out: str | Path = "run",
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> GenerationResult:
    """Generates conversations for the gaps of real data. Every finished call is in the ledger: nothing is paid twice.

    Args:
        real: Real labelled conversations: a file, a folder, or conversations in memory.
        model: `openai:NAME`, `anthropic:NAME`, `local:` (the embedded one), `local:FILE.gguf`, `scripted:FILE.py:F`.
        docs: Folder of support documentation.
        catalog: Product catalog.
        holdout: Real conversations to evaluate on, later; no prompt ever holds one. None splits them off `real`.
        count: Examples in all; None for what the gaps want.
        mode: `dialogue`, `turns`, `message` or `continuation`; None for what suits the model.
        budget: Most money, over all that the ledger holds.
        out: The run folder.
        config: A posology.yaml under these arguments.
        settings: Any other setting by its dotted name, such as `{"generate.base_url": "http://127.0.0.1:8000/v1"}`.
        progress: Told what happens; silent by default.

    Raises:
        BudgetReached: The next call would pass the budget; what is there is written.
        PosologyError: See `posology.errors`.
    """
    folder = Path(out)
    overrides: dict[str, object] = {
        "generate.model": model,
        "generate.count": count,
        "generate.mode": mode,
        "generate.budget": budget,
        "data.docs": docs,
        "data.catalog": catalog,
        "out": folder,
        **(settings or {}),
        **_files(folder, real=real, holdout=holdout),
    }
    from posology.generating import Generation

    with Pipeline(load(None if config is None else Path(config), overrides), progress) as pipeline:
        return GenerationResult(folder, Generation(pipeline).run())


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
        synthetic: The pool, likewise; without one the candidates that `generate` left in `out`, if there are any;
            with neither no dose above 0 can be reached.
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
        **_files(folder, real=real, synthetic=synthetic, holdout=holdout),
    }
    tree = load(None if config is None else Path(config), overrides)
    own = None if trainer is None or isinstance(trainer, str) else trainer
    with Pipeline(tree, progress, own) as pipeline:
        return SweepResult(folder, pipeline.sweep())


def _files(folder: Path, **given: Rows | None) -> dict[str, Path | None]:
    """Where each input is; conversations in memory are written into the folder first."""
    return {
        f"data.{name}": _file(rows, folder / "inputs" / f"{name}.jsonl") if rows else None
        for name, rows in given.items()
    }


def _file(rows: Rows, place: Path) -> Path:
    if isinstance(rows, str | Path):
        return Path(rows)
    write(rows, place)
    return place
