"""posology monitor: drift after deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from posology.cli import options as o
from posology.cli.display import show, watched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from rich.console import Group

    from posology.config import Data

DRIFT = 3

app = typer.Typer(help="Make a baseline, check every week against it, look back.", no_args_is_help=True)

Place = Annotated[Path | None, typer.Argument(metavar="[RUN]", help="The run folder; --run says the same.")]
Run = Annotated[Path | None, typer.Option("--run", help="The run folder, its sweep finished; ./run if not given.")]
Variant = Annotated[
    str | None,
    typer.Option(help="The deployed one: a key of RUN/sweep/variants, or a folder that one was saved in."),
]
FalseAlarms = Annotated[float, typer.Option(help="Chance that a healthy week sets off any alarm at all.")]


@app.command("init")
def init(
    place: Place = None,
    run: Run = None,
    traffic: Annotated[
        Path | None, typer.Option(help="Reference traffic; the holdout stands in for it if not given.")
    ] = None,
    variant: Variant = None,
    false_alarms: FalseAlarms = 0.02,
    window: Annotated[int, typer.Option(help="Conversations that a week has.")] = 200,
    format: o.Format = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Make the baseline: reference traffic, learned thresholds, expectation suites.

    What the deployed variant answers on the holdout is kept too. Writes RUN/monitor; made again, it replaces the
    baseline and keeps the history. Needs the extra `monitor`.
    """
    from posology.monitoring import begin

    data = _data(locals())
    with watched(quiet) as progress:
        facts = begin(_folder(place, run), data, variant=variant, rate=false_alarms, window=window, progress=progress)
    show(facts, as_json=json, human=_baseline(facts))


@app.command("check")
def check(
    place: Place = None,
    run: Run = None,
    traffic: Annotated[Path | None, typer.Option(help="The week's conversations; labels are not needed.")] = None,
    holdout: Annotated[
        Path | None, typer.Option(help="The holdout, if it is kept elsewhere; it must be that of the baseline.")
    ] = None,
    variant: Variant = None,
    synthetic: Annotated[
        Path | None, typer.Option(help="A new synthetic batch, to be checked before it is mixed in.")
    ] = None,
    date: Annotated[
        str | None, typer.Option(help="The day that the traffic stands for, YYYY-MM-DD (default: today).")
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(help="Post the result there, as Slack takes it.", envvar="POSOLOGY_WEBHOOK", show_envvar=True),
    ] = None,
    format: o.Format = None,
    on_error: o.OnError = None,
    id_column: o.IdColumn = None,
    topic_column: o.TopicColumn = None,
    text_column: o.TextColumn = None,
    messages_column: o.MessagesColumn = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Check a week's traffic and the deployed variant; exit code 3 on drift.

    The same traffic again replaces its earlier result. Writes RUN/monitor/index.html, the Data Docs and
    history.parquet.
    """
    from posology.monitoring import check as check_week

    day, data = _day(date), _data(locals())
    with watched(quiet) as progress:
        result = check_week(_folder(place, run), data, variant=variant, day=day, url=webhook, progress=progress)
    show(result, as_json=json, human=_checks(result, warned=() if quiet else result["warnings"]))
    if result["drifted"]:
        raise typer.Exit(DRIFT)


@app.command("history")
def history(place: Place = None, run: Run = None, json: o.Json = False) -> None:
    """Show every batch that was checked, and weeks that are missing."""
    from posology.monitoring import history as kept

    found = kept(_folder(place, run))
    show(found, as_json=json, human=_batches(found))


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A run folder, its sweep finished.")],
    second: Annotated[Path, typer.Argument(help="A run folder of a later round.")],
    false_alarms: FalseAlarms = 0.02,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Check drift from one round of training to the next; exit code 3 on drift.

    The second run's recommended training set and variant are held against the first one's.
    """
    from posology.weekly import compare as compare_runs

    with watched(quiet) as progress:
        result = compare_runs(first, second, rate=false_alarms, progress=progress)
    show(result, as_json=json, human=_checks(result))
    if result["drifted"]:
        raise typer.Exit(DRIFT)


def _data(flags: dict[str, Any]) -> Data:
    """The files that the flags name; those of posology.yaml are a sweep's, not a week's.

    Raises:
        ConfigError: A flag has an impossible value.
    """
    from posology.cli.settings import PLACES
    from posology.config import load

    places = {name: place for name, place in PLACES.items() if place.startswith("data.")}
    return load(None, {place: flags[name] for name, place in places.items() if name in flags}).data


def _folder(place: Path | None, run: Path | None) -> Path:
    """The run folder, as either of the two names it.

    Raises:
        UsageError: They name two.
    """
    from posology.errors import UsageError

    if place is not None and run is not None and place.resolve() != run.resolve():
        raise UsageError(f"{place} and --run {run} are two folders.", remedy="Name one.")
    return place or run or Path("run")


def _day(text: str | None) -> date | None:
    """Reads a date.

    Raises:
        UsageError: It is none.
    """
    from datetime import date

    from posology.errors import UsageError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("--date is no day.", remedy="Write it as 2026-03-31.") from None


def _baseline(facts: dict[str, Any]) -> str:
    reference, holdout = facts["reference"], facts["holdout"]
    return (
        f"The baseline stands: variant {facts['variant']}, right on {holdout['accuracy']:.1%} of {holdout['n']:,} "
        f"held-out conversations; {reference['n']:,} conversations of reference {reference['source']}.\n"
        f"Thresholds for weeks of {facts['window']:,}: a healthy one sets off any alarm with a chance of "
        f"{facts['false_alarms']:.1%}.\n"
        f"Data Docs: {facts['data_docs']}"
    )


def _checks(result: dict[str, Any], warned: Sequence[str] = ()) -> Group:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(Column("check", no_wrap=True), "value", "threshold", "p", "verdict", "what moved")
    for row in result["checks"]:
        numbers = ("-" if row[key] is None else f"{row[key]:.3g}" for key in ("value", "threshold", "p_value"))
        style = "bold red" if row["verdict"] == "drift" else "dim" if row["verdict"] == "unscored" else None
        note = "" if row["verdict"] == "unscored" else row["note"]  # the same for many: said once, below
        table.add_row(row["name"], *numbers, row["verdict"], escape(note), style=style)
    reasons = dict.fromkeys(row["note"] for row in result["checks"] if row["verdict"] == "unscored")
    lines: list[Any] = [table]
    lines += [escape(f"unscored: {reason}") for reason in reasons if f"{reason}." not in warned]
    for cluster in result.get("clusters", ()):
        words = escape(", ".join(cluster["words"]))
        lines.append(f"no training example is near: {cluster['size']} conversations about {words}")
    lines.append({"ok": "no drift"}.get(result["verdict"], result["verdict"]))
    places = {"trends": result.get("page"), "Data Docs": result.get("data_docs")}
    lines += [escape(f"{name}: {place}") for name, place in places.items() if place]
    return Group(*lines)


def _batches(found: dict[str, Any]) -> Group:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table("day", "conversations", "variant", "accuracy", "verdict", "what drifted")
    for row in found["batches"]:
        accuracy = "-" if row["accuracy"] is None else f"{row['accuracy']:.1%}"
        drifted = ", ".join(row["drift"])
        table.add_row(row["day"], f"{row['n']:,}", row["variant"], accuracy, row["verdict"], drifted)
    gaps = [f"no batch between {first} and {second}" for first, second in found["missing"]]
    return Group(table, *gaps, *found["warnings"], escape(f"trends: {found['page']}"))
