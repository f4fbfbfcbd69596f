"""The Python face of the command line, for files and for conversations in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from posology.config import load
from posology.conversations.shapes import openai
from posology.errors import InputError
from posology.pipeline import Pipeline
from posology.progress import Progress
from posology.records import Conversation, Verdict
from posology.store import SETTINGS, write_jsonl
from posology.training.contract import Trainer

if TYPE_CHECKING:
    from posology.leaking import Audit

Rows = str | Path | Sequence[Conversation] | Sequence[Mapping[str, Any]]
"""A file or folder, conversations, or rows of dicts as they would stand in a JSONL file."""


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
        return _synthetic(self.folder / "generate" / "candidates.jsonl")

    @property
    def cost(self) -> float | None:
        """Money behind the result, whichever run paid it; None where a price is not known."""
        costs = [total["cost"] for total in self.data["totals"]]
        return None if None in costs else float(sum(costs))


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """What verification found.

    Attributes:
        folder: The run folder; `select(out=folder)` and `sweep(..., out=folder)` go on from here.
        data: The facts of `verify/manifest.json`: counts by check and reason, leakage, what judges said, money.
    """

    folder: Path
    data: Mapping[str, Any]

    @property
    def passed(self) -> Sequence[Conversation]:
        """The candidates that passed, under the topics that fit, with their composite in `meta`."""
        return _synthetic(self.folder / "verify" / "passed.jsonl")

    @property
    def verdicts(self) -> list[Verdict]:
        """A verdict a candidate, in the order of the pool: every finding and score, and why it was rejected."""
        from posology.verification.verdicts import read_verdicts

        return read_verdicts(self.folder / "verify" / "verdicts.jsonl")


@dataclass(frozen=True, slots=True)
class SelectionResult:
    """What selection chose.

    Attributes:
        folder: The run folder.
        data: The facts of `select/manifest.json`: keep rate and why, counts by topic and reason.
    """

    folder: Path
    data: Mapping[str, Any]

    @property
    def selected(self) -> Sequence[Conversation]:
        """The chosen candidates, most wanted first, with `rank` and `quality` in `meta`."""
        return _synthetic(self.folder / "select" / "selected.jsonl")


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
        real: Real labelled conversations: a file, a folder, conversations or dicts.
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


def verify(
    real: Rows,
    synthetic: Rows | None = None,
    holdout: Rows | None = None,
    *,
    docs: str | Path | None = None,
    catalog: str | Path | None = None,
    judges: Sequence[str] = (),
    generator: str | None = None,
    budget: float | None = None,
    batch: bool | None = None,
    out: str | Path = "run",
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> VerificationResult:
    """Rejects candidates that are wrong, with reasons: by checks learned from real data, and by judges, if any.

    Args:
        real: Real labelled conversations: a file, a folder, conversations or dicts.
        synthetic: The candidates, likewise; None for those that `generate` left in `out`.
        holdout: Real conversations to evaluate on: candidates that match one are leaked. None splits them off `real`.
        docs: Folder of support documentation: what agents may say.
        catalog: Product catalog, likewise.
        judges: `openai:NAME`, `anthropic:NAME`, `local:FILE.gguf`, `scripted:FILE.py:F`, of another family than the
            generator; none: data alone.
        generator: Who wrote the candidates, where their `meta` does not say.
        budget: Most money for judges, over all that the ledger holds.
        batch: Whether judges are asked by their provider's batch API.
        out: The run folder; the same call again reads what is finished in it.
        config: A posology.yaml under these arguments.
        settings: Any other setting by its dotted name, such as `{"verify.judge_sample": 0.2}`.
        progress: Told what happens; silent by default.

    Raises:
        ConfigError: A judge is of the generator's family, or it is not known who wrote the candidates.
        BudgetReached: The next call would pass the budget; what was asked is in the ledger.
        PosologyError: Not a single candidate passed; or see `posology.errors`.
    """
    folder = Path(out)
    overrides: dict[str, object] = {
        "verify.judges": list(judges) or None,
        "verify.generator": generator,
        "verify.budget": budget,
        "verify.batch": batch,
        "data.docs": docs,
        "data.catalog": catalog,
        "out": folder,
        **(settings or {}),
        **_files(folder, real=real, synthetic=synthetic, holdout=holdout),
    }
    with Pipeline(load(None if config is None else Path(config), overrides), progress) as pipeline:
        return VerificationResult(folder, pipeline.verify())


def select(
    real: Rows | None = None,
    synthetic: Rows | None = None,
    holdout: Rows | None = None,
    *,
    keep_rate: float | None = None,
    count: int | None = None,
    strategy: str | None = None,
    out: str | Path = "run",
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> SelectionResult:
    """Puts a verified pool into the one priority order that every dose of a sweep uses.

    Args:
        real: Real labelled conversations: a file, a folder, conversations or dicts. None, with no `config` either:
            everything as `verify` had it in `out`.
        synthetic: The pool, likewise; it is verified first, unless that is done.
        holdout: Real conversations to evaluate on; None splits them off `real`.
        keep_rate: Share of the verified candidates to keep, best first; None learns it on folds of real training data.
        count: Instead of a share: at most so many.
        strategy: `coverage`, `top`, `random` or `all`.
        out: The run folder; the same call again reads what is finished in it.
        config: A posology.yaml under these arguments.
        settings: Any other setting by its dotted name, such as `{"select.near": 0.9}`.
        progress: Told what happens; silent by default.

    Raises:
        UsageError: It is not said what to select from.
        PosologyError: Nothing of the pool is left; or see `posology.errors`.
    """
    folder = Path(out)
    if real is None and config is None and (folder / SETTINGS).is_file():
        config = folder / SETTINGS
    overrides: dict[str, object] = {
        "select.keep_rate": keep_rate,
        "select.count": count,
        "select.strategy": strategy,
        "out": folder,
        **(settings or {}),
        **_files(folder, real=real, synthetic=synthetic, holdout=holdout),
    }
    with Pipeline(load(None if config is None else Path(config), overrides), progress) as pipeline:
        return SelectionResult(folder, pipeline.select())


def leakage(
    suspect: Rows,
    against: Rows,
    *,
    baseline: Rows | None = None,
    vectors: bool = True,
    config: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Looks in one set of conversations for what another one tests: copies, near copies, paraphrases.

    Any two will do, also an existing training set and its test set. Nothing is written, and no model is called.

    Args:
        suspect: Conversations to be trained on: a file, a folder, conversations or dicts.
        against: Those that test.
        baseline: Real training conversations known to be apart from `against`, which say how near honest ones come;
            None: fixed limits.
        vectors: Whether to embed, for paraphrases and the test of the whole set.
        config: A posology.yaml that says how files are read, what of a conversation is compared, and the encoder.
        settings: Any setting by its dotted name, such as `{"text.roles": ["user", "assistant"]}`.
        progress: Told how each file was understood; silent by default.

    Returns:
        The leaked rows in `rejections`, each with the reason and the id of what it matches; all figures in `to_json()`.

    Raises:
        InputError: A file is missing or broken, or two of them are the same.
        ModelError: The encoder is missing.
    """
    from posology.leaking import audit

    tree = load(None if config is None else Path(config), dict(settings or {}))
    with TemporaryDirectory() as place:
        a, b = (
            _file(name, rows, Path(place) / f"{name}.jsonl")
            for name, rows in (("suspect", suspect), ("against", against))
        )
        known = None if baseline is None else _file("baseline", baseline, Path(place) / "baseline.jsonl")
        return audit(a, b, known, tree, vectors=vectors, progress=progress)


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
        real: Real labelled conversations: a file, a folder, conversations or dicts.
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
    """Where each input is; what is in memory is written into the folder first."""
    return {
        # An empty pool is none; an empty holdout would be a mistake.
        f"data.{name}": None
        if rows is None or (name == "synthetic" and isinstance(rows, Sequence) and not rows)
        else _file(name, rows, folder / "inputs" / f"{name}.jsonl")
        for name, rows in given.items()
    }


def _file(name: str, rows: Rows, place: Path) -> Path:
    """The file of an argument.

    Raises:
        InputError: It is neither a path nor rows, or there are none.
    """
    if isinstance(rows, str | Path):
        return Path(rows)
    if not isinstance(rows, Sequence):
        raise _no_rows(name, rows)
    if not rows:
        raise InputError(f"`{name}` holds no conversations.", remedy="Give at least one, or leave the argument out.")
    held: Sequence[Any] = rows
    if odd := [row for row in held if not isinstance(row, Conversation | Mapping)]:
        raise _no_rows(name, odd[0])
    try:
        write_jsonl(place, (openai(row) if isinstance(row, Conversation) else dict(row) for row in held))
    except (TypeError, ValueError):
        raise InputError(f"`{name}` holds rows that cannot be written as JSON.", remedy=_READ) from None
    return place


def _no_rows(name: str, value: object) -> InputError:
    return InputError(f"`{name}` takes a path, conversations or dicts, not {type(value).__name__}.", remedy=_READ)


_READ = (
    'Write {"messages": [{"role": "user", "content": "..."}], "topic": "..."}, or use '
    "posology.read(path).conversations."
)


def _synthetic(path: Path) -> Sequence[Conversation]:
    """Synthetic conversations in a file of a run folder, which may be empty."""
    from posology.conversations.reading import read

    return read(path, source="synthetic").conversations if path.stat().st_size else ()
