"""The page of the monitor: what the last batch showed, and every check over time. One HTML file without a script.

It is drawn from stored results only, like the report, and links to it and to the Data Docs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from posology.report import formatting as fmt
from posology.report.canvas import BLUE, HAIR, INK, MUTED, PAPER, RED, Canvas, tag
from posology.report.panel import Panel, ticks

WIDTH, HEIGHT, TEXT = 350, 120, 12.5
LEFT, RIGHT, TOP, BELOW = 46, 12, 10, 26
MOST = 60  # batches drawn; the history holds all of them


@dataclass(frozen=True, slots=True)
class Trend:
    """One check over time.

    Attributes:
        name: Of the check.
        figure: Its values and thresholds.
        words: The same for who cannot see it.
    """

    name: str
    figure: Markup
    words: str


def monitor_page(
    results: Sequence[Mapping[str, Any]],
    *,
    run: str,
    rate: float,
    missing: Sequence[tuple[date, date]],
) -> str:
    """The page as HTML.

    Args:
        results: Kept results, in the order of their days.
        run: Name of the run.
        rate: The chance that a healthy week sets off any alarm.
        missing: Days between which a batch is missing.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("posology.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["figure"] = _figure
    last = results[-1] if results else None
    page = environment.get_template("monitor.html.j2").render(
        run=fmt.clip(run, 80),
        rate=rate,
        last=last,
        moved=[check for check in last["checks"] if check["verdict"] == "drift"] if last else [],
        batches=list(reversed(results))[:MOST],
        trends=_trends(results[-MOST:]),
        missing=missing,
        fmt=fmt,
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _figure(value: float | None) -> str:
    """A value of any size with three figures."""
    return fmt.DASH if value is None else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def _trends(results: Sequence[Mapping[str, Any]]) -> list[Trend]:
    """A figure for every check that was ever measured, in the order of the checks."""
    points: dict[str, list[tuple[date, Mapping[str, Any]]]] = {}
    for result in results:
        day = date.fromisoformat(result["batch"]["day"])
        for check in result["checks"]:
            if check["value"] is not None:
                points.setdefault(check["name"], []).append((day, check))
    days = [date.fromisoformat(result["batch"]["day"]) for result in results]
    return [Trend(name, _draw(name, found, days), _words(found)) for name, found in points.items()]


def _words(points: Sequence[tuple[date, Mapping[str, Any]]]) -> str:
    day, check = points[-1]
    alarms = sum(one["verdict"] == "drift" for _, one in points)
    return (
        f"{fmt.plural(len(points), 'batch', 'batches')}, {fmt.plural(alarms, 'alarm')}. {day}: "
        f"{_figure(check['value'])}, threshold {_figure(check['threshold'])}."
    )


def _draw(name: str, points: Sequence[tuple[date, Mapping[str, Any]]], days: Sequence[date]) -> Markup:
    """Values as dots on a line, thresholds as a dashed step; alarms are red diamonds."""
    values = [check["value"] for _, check in points]
    limits = [check["threshold"] for _, check in points]
    low, high = min(0.0, *values, *limits), max(*values, *limits)
    high = high if high > low else low + 1.0
    first, last = days[0].toordinal(), days[-1].toordinal()
    across = (first - 0.5, last + 0.5) if first == last else (float(first), float(last))
    canvas = Canvas(WIDTH, TOP + HEIGHT + BELOW, TEXT)
    panel = Panel(canvas, (LEFT, WIDTH - RIGHT), TOP, HEIGHT, across=across, up=(low, high + 0.08 * (high - low)))
    for value in ticks(low, high, 4):
        panel.level(value, HAIR)
        canvas.text((LEFT - 6, panel.y(value) + 4), _figure(value), MUTED, anchor="end")
    canvas.line([(LEFT, panel.bottom), (WIDTH - RIGHT, panel.bottom)], MUTED)
    x = [day.toordinal() for day, _ in points]
    if len(points) > 1:
        canvas.line(panel.points(x, limits), RED, width=1.3, dash="5 3")
        canvas.line(panel.points(x, values), INK, width=1.3, opacity=0.5)
    else:
        panel.level(limits[0], RED, width=1.3, dash="5 3")
    for place, (day, check) in zip(x, points, strict=True):
        alarm = check["verdict"] == "drift"
        with canvas.titled(f"{day}: {_figure(check['value'])}, threshold {_figure(check['threshold'])}"):
            canvas.mark(
                "diamond" if alarm else "circle",
                (panel.x(place), panel.y(check["value"])),
                5.5 if alarm else 3.2,
                fill=RED if alarm else BLUE,
                edge=PAPER,
            )
    canvas.text((LEFT, panel.bottom + 18), days[0].isoformat(), MUTED, anchor="start")
    if first != last:
        canvas.text((WIDTH - RIGHT, panel.bottom + 18), days[-1].isoformat(), MUTED, anchor="end")
    said = tag("title", name.replace("_", " "))
    return tag(
        "svg",
        said + canvas.markup(),
        class_="trend",
        role="img",
        viewBox=f"0 0 {WIDTH} {TOP + HEIGHT + BELOW}",
        font_size=TEXT,
        fill="none",
    )
