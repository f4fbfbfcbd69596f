"""What people and programs see: progress and words on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import typer

from posology.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Drawn:
    """Progress as bars with rate and time left; notes and warnings as lines above them.

    Args:
        bars: A started rich progress display.
        console: Where lines go.
        live: Whether the console is a terminal; if not, a line marks the end of each step.
    """

    def __init__(self, bars: Bars, console: Console, *, live: bool) -> None:
        self._bars, self._console, self._live = bars, console, live
        self._tasks: dict[str, TaskID] = {}
        self._lock = Lock()

    def step(self, label: str, done: int, total: int, detail: str = "") -> None:
        """Moves the bar of a step."""
        with self._lock:
            if label not in self._tasks:
                self._tasks[label] = self._bars.add_task(label, total=total, detail="")
            self._bars.update(self._tasks[label], completed=done, total=total, detail=detail)
            if not self._live and total and done == total:
                self._console.print(f"{label}: {total:,} done{detail and f' ({detail})'}", highlight=False)

    def note(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, highlight=False, markup=False, style="dim")

    def warn(self, text: str) -> None:
        """Prints a line that stands out."""
        self._console.print(f"warning: {text}", highlight=False, markup=False, style="yellow")


@contextmanager
def watched(quiet: bool) -> Iterator[Progress]:
    """Progress on stderr while the block runs."""
    if quiet:
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        yield Drawn(bars, console, live=console.is_terminal)


def show(result: dict[str, Any], *, as_json: bool, human: RenderableType) -> None:
    """Ends a verb on stdout: with one JSON object, or with a table or text for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
        return
    if isinstance(human, str):
        typer.echo(human)  # as it is: rich would take what stands in brackets for markup, and wrap what a program reads
        return
    from rich.console import Console

    Console().print(human)
