"""The verdict and the arms for the terminal: what the report says first, at the end of a sweep.

Fits 80 columns and uses more where there is room. The verdict is in words, so that it survives a log file without
colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from posology.report import formatting as fmt
from posology.report import results, wording
from posology.report.results import Arm, DoseResponse, Measure, Status

COLOURS: dict[Status, str] = {"better": "green", "no_worse": "cyan", "inconclusive": "yellow", "harmful": "red"}


GAP = 2  # blanks between columns


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: its head, what stands in it, and how early it gives way where there is no room (0: never)."""

    head: str
    cell: Callable[[Arm], str]
    gives_way: int = 0
    side: Literal["left", "right"] = "right"


COLUMNS = (
    _Column("dose", lambda arm: _dose(arm), side="left"),
    _Column("arm", lambda arm: "real only" if not arm.n_synthetic else arm.kind, side="left"),
    _Column("real", lambda arm: fmt.count(arm.n_real), 4),
    _Column("synthetic", lambda arm: fmt.count(arm.n_synthetic), 1),
    _Column("accuracy", lambda arm: fmt.number(arm.accuracy.mean)),
    _Column("vs real only", lambda arm: _difference(arm, arm.delta_vs_real_only)),
    _Column("adj. p", lambda arm: fmt.p_value(arm.delta_vs_real_only.p_adjusted) if arm.n_synthetic else fmt.DASH, 1),
    _Column("vs random", lambda arm: _difference(arm, arm.delta_vs_random), 3),
    _Column("tail", lambda arm: fmt.number(arm.tail_recall.mean if arm.tail_recall else None), 2),
)


def render(dose_response: Mapping[str, Any]) -> SweepTable:
    """The verdict and the arms of a sweep.

    Args:
        dose_response: The decoded `sweep/dose_response.json`.

    Returns:
        Something that a rich console prints, laid out for its width.

    Raises:
        StoreError: It is not the result of a sweep.
    """
    return SweepTable(results.parse(dose_response))


@dataclass(frozen=True, slots=True)
class SweepTable:
    """A sweep's result as a rich renderable."""

    result: DoseResponse

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields warnings, verdict, table and notes."""
        result = self.result
        for warning in result.warnings:
            yield Text(f"Warning: {warning}", style="bold red")
        yield _verdict(result)
        caveat = wording.caveat(result)
        if caveat:
            yield Text(_plain(f"Caution: {caveat}"))
        yield _table(result, options.max_width)
        for note in _notes(result):
            yield Text(_plain(note), style="dim")


def _plain(text: str) -> str:
    """Text for a terminal, which breaks lines at no-break spaces: `30%` instead of `30 %`."""
    return text.replace(f"{fmt.NBSP}%", "%").replace(fmt.NBSP, " ")


def _verdict(result: DoseResponse) -> Text:
    status = result.recommendation.status
    text = Text(f"{wording.WORDS[status]}. ", style=f"bold {COLOURS[status]}")
    text.append(_plain(wording.headline(result)), style="bold default")
    return text


def _table(result: DoseResponse, room: int) -> Table:
    doses = sorted({arm.dose for arm in result.arms})
    arms = [arm for dose in doses for arm in [*result.selected, *result.controls] if arm.dose == dose]
    columns = {column: [_plain(column.cell(arm)) for arm in arms] for column in COLUMNS}
    columns[COLUMNS[0]] = [("> " if arm is result.recommended else "  ") + _plain(_dose(arm)) for arm in arms]
    columns = _fitting(columns, room)
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.head, justify=column.side, no_wrap=True)
    for i, arm in enumerate(arms):
        style = "bold" if arm is result.recommended else "dim" if arm.kind == "random" else None
        table.add_row(*(cells[i] for cells in columns.values()), style=style)
    return table


def _fitting(columns: dict[_Column, list[str]], room: int) -> dict[_Column, list[str]]:
    """The columns that fit, those that give way last first; a column that says nothing is left out anyway."""
    kept = {column: cells for column, cells in columns.items() if set(cells) != {fmt.DASH}}
    while sum(max(map(len, [column.head, *cells])) + GAP for column, cells in kept.items()) - GAP > room:
        first = max(kept, key=lambda column: column.gives_way)
        if not first.gives_way:
            break
        del kept[first]
    return kept


def _dose(arm: Arm) -> str:
    return fmt.dose(arm.told_dose) + ("*" if arm.n_pool_short else "")


def _difference(arm: Arm, measure: Measure | None) -> str:
    if measure is None or not arm.n_synthetic:
        return fmt.DASH
    return f"{fmt.signed(measure.mean)} {fmt.interval(measure.ci95)}".rstrip()


def _notes(result: DoseResponse) -> list[str]:
    """What the marks and brackets mean."""
    holdout = result.holdout
    said = f"{fmt.plural(holdout.n, 'holdout conversation')}, {fmt.plural(len(result.seeds), 'seed')}"
    if holdout.smallest_resolvable_difference is not None:
        said += f"; differences below {fmt.span(holdout.smallest_resolvable_difference)} cannot be told from zero"
    notes = [
        "> recommended. Percent and points; in brackets simultaneous 95% intervals of the paired difference.",
        f"{said}.",
    ]
    short = [arm for arm in result.selected if arm.n_pool_short]
    if short:
        notes.append(f"* the dose reached; asked for were {fmt.listing([fmt.dose(arm.dose) for arm in short])}.")
    return notes
