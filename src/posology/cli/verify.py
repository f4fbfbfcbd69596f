"""posology verify: what is wrong with candidates, before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from posology.cli import options as o
from posology.cli.display import show, watched
from posology.cli.settings import settings

if TYPE_CHECKING:
    from rich.console import Group

    from posology.config import Config

JUDGES, LABELS = "Judges", "Human labels"


def verify(
    real: o.Real = None,
    synthetic: o.Synthetic = None,
    holdout: o.Holdout = None,
    holdout_size: o.HoldoutSize = None,
    docs: o.Docs = None,
    catalog: o.Catalog = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="PROVIDER:NAME of a judge; several times for a panel.", rich_help_panel=JUDGES),
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(help="Server of openai: judges, up to and with /v1.", rich_help_panel=JUDGES),
    ] = None,
    judge_sample: Annotated[
        float | None,
        typer.Option(help="Share that is judged; the rest is learned from it (default: 1).", rich_help_panel=JUDGES),
    ] = None,
    judge_holdout: Annotated[
        bool | None,
        typer.Option(
            "--judge-holdout/--no-judge-holdout",
            help="Whether judges may see held-out conversations, masked; by default those on this machine may.",
            rich_help_panel=JUDGES,
        ),
    ] = None,
    judge_batch: Annotated[
        bool | None,
        typer.Option("--batch", help="Ask by the providers' batch APIs.", rich_help_panel=JUDGES),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what judges would cost; send nothing.", rich_help_panel=JUDGES)
    ] = False,
    generator: Annotated[
        str | None,
        typer.Option(help="Who wrote the candidates, where the file does not say.", rich_help_panel=JUDGES),
    ] = None,
    allow_same_family: Annotated[
        bool | None,
        typer.Option(
            "--allow-same-family",
            help="Judge with a relative of the generator; said everywhere.",
            rich_help_panel=JUDGES,
        ),
    ] = None,
    judge_money: Annotated[
        float | None,
        typer.Option(
            "--budget", help="Most money, over all that the ledger holds; then exit code 4.", rich_help_panel=JUDGES
        ),
    ] = None,
    judge_concurrency: Annotated[
        int | None, typer.Option("--concurrency", help="Calls in flight (default: 32).", rich_help_panel=JUDGES)
    ] = None,
    label: Annotated[
        int,
        typer.Option(
            help="Label by hand until there are so many labels; go on any time.",
            min=0,
            rich_help_panel=LABELS,
        ),
    ] = 0,
    labels: Annotated[
        Path | None, typer.Option(help="Where labels are kept (default: OUT/labels.jsonl).", rich_help_panel=LABELS)
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Measure scores on labels, and fit their weights.", rich_help_panel=LABELS),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            help="With --calibrate: what share of those kept is to be good, such as 0.95.", rich_help_panel=LABELS
        ),
    ] = None,
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
    out: o.Out = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Verify candidates: reject what is wrong, with reasons.

    Checks learned from real data need no model: leaks into the holdout, wrong topics, figures that no document holds,
    personal data, cut texts, loops. Judges are asked only about what passes these. Writes verdicts.jsonl, passed.jsonl
    and rejected.jsonl into OUT/verify; exit code 1 if nothing passes.
    """
    given = {**locals(), "judge": judge or None}
    tree = settings(given)
    if label or calibrate is not None:
        result, human = _with_labels(tree, quiet, label, labels, calibrate, precision)
        show(result, as_json=json, human=human)
        return
    from posology.inputs import required
    from posology.pipeline import Pipeline

    required(tree.data.synthetic, "synthetic")
    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        if dry_run:
            result = pipeline.verification.dry_run(pipeline.material.conversations("synthetic"))
            show(result, as_json=json, human=_estimated(result))
            return
        facts = pipeline.verify()
    show(facts, as_json=json, human=_summary(facts, str(tree.out / "verify")))


def _with_labels(
    tree: Config, quiet: bool, label: int, labels: Path | None, calibrate: Path | None, precision: float | None
) -> tuple[dict[str, Any], Any]:
    """Makes human labels, or measures verification on them; the result, and the same for people."""
    from posology.calibrating import CALIBRATION, calibrated
    from posology.cli import labelling
    from posology.errors import UsageError
    from posology.inputs import required
    from posology.labelling import Labelling
    from posology.pipeline import Pipeline

    if label and calibrate is not None:
        raise UsageError("--label and --calibrate do not go together.", remedy="Label first, then calibrate.")
    if precision is not None and not 0 < precision < 1:
        raise UsageError(f"a precision of {precision:g} makes no sense.", remedy="Give a share such as 0.95.")
    required(tree.data.synthetic, "synthetic")
    with watched(quiet) as progress, Pipeline(tree, progress) as pipeline:
        candidates, docs = pipeline.material.conversations("synthetic"), pipeline.material.docs
        verdicts, stage = pipeline.verdicts, pipeline.folder.stage("verify").folder
    if calibrate is not None:
        result = calibrated(verdicts, calibrate, stage, tree.verify, precision=precision)
        return result, labelling.calibration(result, str(stage / CALIBRATION))
    path = labels or tree.out / "labels.jsonl"
    session = Labelling(candidates, verdicts, path, label, docs=docs, seed=tree.verify.seed)
    result = session.run(labelling.screen(), labelling.keyboard)
    then = f"then: posology verify --calibrate {path}" if result["n"] >= result["wanted"] else "the same again goes on"
    return result, f"{result['n']} of {result['wanted']} labels, {result['n_good']} good, are in {path}; {then}"


def _estimated(result: dict[str, Any]) -> str:
    """What judges would be asked, for people."""
    doubt = result["n_in_doubt"]
    lines = [
        f"{result['n_wanted']:,} of {result['n_candidates']:,} candidates would be judged by the rubric",
        *(f"  {one['summary']}" for one in result["rubric"]),
        f"in doubt: the topic of {doubt['topic']:,}; whether {doubt['retells']:,} retell a held-out conversation",
        *(f"  {one['summary']}" for one in result["questions"]),
    ]
    return "\n".join([*lines, f"one attempt each (at most {result['attempts']}); nothing was sent"])


def _summary(facts: dict[str, Any], folder: str) -> Group:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    from posology.report.wording import reason_in_words

    moved = f", {facts['n_relabelled']:,} of them under another topic" if facts["n_relabelled"] else ""
    lines: list[Any] = [f"{facts['n_passed']:,} of {facts['n_candidates']:,} candidates passed{moved}"]
    if facts["rejected"]:
        table = Table(title="Rejected, by the first reason", title_justify="left")
        for name in ("reason", "rows", "what it means"):
            table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
        for reason, n in facts["rejected"].items():
            table.add_row(escape(reason), f"{n:,}", escape(reason_in_words(reason)))
        lines.append(table)
    silent = [name for name, n in facts["checks"].items() if not n["pass"] and not n["fail"]]
    if silent:
        lines.append(f"could not judge anything: {', '.join(silent)}; verdicts.jsonl says why")
    lines += [escape(line) for line in _judges(facts["judging"])]
    return Group(*lines, f"verdicts with every check and score are in {escape(folder)}")


def _judges(judging: dict[str, Any] | None) -> list[str]:
    """What judges did and cost, and whether they agree."""
    if not judging:
        return []
    lines = [f"{judging['n_judged']:,} of {judging['n_wanted']:,} candidates that passed the checks were judged"]
    for judge in judging["judges"]:
        states = ", ".join(f"{state.replace('_', ' ')} {n:,}" for state, n in judge["states"].items())
        money = "price not known" if judge["cost"] is None else f"{judge['cost']:.4f} in money"
        lines.append(f"  {judge['name']}: {judge['calls']:,} calls, {money}; {states}")
        if judge["always"] is not None:
            lines.append(f"    gives everything a {judge['always']}: uninformative, its scores do not count")
    if judging["agreement"]:
        alphas = ", ".join(f"{name.replace('_', ' ')} {_alpha(one)}" for name, one in judging["agreement"].items())
        lines.append(f"  agreement of the judges (Krippendorff's alpha, 1 is perfect): {alphas}")
    if lost := [name.replace("_", " ") for name, one in judging["learned"].items() if not one["learnable"]]:
        lines.append(f"  not learnable, so the rest has no score for it: {', '.join(lost)}")
    return lines


def _alpha(agreement: dict[str, Any]) -> str:
    return "unknown" if agreement["alpha"] is None else f"{agreement['alpha']:.2f} ({agreement['verdict']})"
