"""The self-consuming loop as one self-contained HTML file: a curve a run, a panel a figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from posology.report import figures
from posology.report import formatting as fmt
from posology.report.canvas import BLUE, HAIR, INK, MUTED, PAPER, RED, Canvas, Shape
from posology.report.figures import Frame
from posology.report.panel import Panel, limits, ticks

POLICY_COLOURS = {"replace": RED, "accumulate": BLUE, "accumulate-subsample": INK}
SHAPES: dict[str, Shape] = {"replace": "diamond", "accumulate": "circle", "accumulate-subsample": "square"}
HEIGHT, PITCH = 130.0, 190.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A panel: its heading, what it takes from a generation, and whether that is a count."""

    heading: str
    of: Callable[[Mapping[str, Any]], float | None]
    count: bool = False


def _diverse(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda row: row["diversity"][name]["value"] if row["diversity"] and name in row["diversity"] else None


CURVES = (
    Curve("Accuracy of a bot trained on the mixture", lambda row: row["accuracy"]),
    Curve("Recall on rare topics", lambda row: row["tail_recall"]),
    Curve("Topics in the mixture", lambda row: float(row["topics"]), count=True),
    Curve("Vendi score of what was written", _diverse("vendi")),
    Curve("Coverage of real texts", _diverse("coverage")),
    Curve("Distinct word pairs", _diverse("distinct_2")),
)


def build(result: Mapping[str, Any], *, title: str | None = None) -> str:
    """The page.

    Args:
        result: The content of `recurse/recursion.json`.
        title: Heading of the page.
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
    environment.globals |= {"fmt": fmt, "rejected": rejected}
    view = {"title": title or "Self-consuming loop", "result": result, "figure": figure(result)}
    return environment.get_template("recursion.html.j2").render(view)


def rejected(run: Mapping[str, Any]) -> list[tuple[str, int]]:
    """How many candidates of a run verification rejected, and selection, for which reason; the most frequent first."""
    counts: Counter[str] = Counter()
    for row in run["generations"]:
        counts.update(row.get("rejected", {}))
    return counts.most_common()


def figure(result: Mapping[str, Any]) -> Markup:
    """All curves of all runs."""
    curves = [curve for curve in CURVES if any(_points(run, curve) for run in result["runs"])]
    return figures.both(
        "loop",
        lambda frame: _draw(result["runs"], curves, frame),
        title="Generation by generation",
        description=" ".join(run["verdict"] for run in result["runs"]),
    )


def _points(run: Mapping[str, Any], curve: Curve) -> list[tuple[float, float]]:
    told = ((row["generation"], curve.of(row)) for row in run["generations"])
    return [(float(number), value) for number, value in told if value is not None]


def _draw(runs: Sequence[Mapping[str, Any]], curves: Sequence[Curve], frame: Frame) -> Canvas:
    columns = 2 if frame.name == "wide" else 1
    width = (frame.width - 24 * (columns - 1)) / columns
    canvas = frame.canvas(PITCH * -(-len(curves) // columns))
    for place, curve in enumerate(curves):
        left = (place % columns) * (width + 24)
        _panel(canvas, runs, curve, (left + 42, left + width - 10), 28 + PITCH * (place // columns))
    return canvas


def _panel(
    canvas: Canvas, runs: Sequence[Mapping[str, Any]], curve: Curve, sides: tuple[float, float], top: float
) -> None:
    lines = [(run, _points(run, curve)) for run in runs]
    numbers = [number for _, points in lines for number, _ in points]
    values = [value for _, points in lines for _, value in points]
    around = [min(values) - 1, max(values) + 1] if curve.count else []  # no ticks between 14 and 14
    up = limits([*values, *around], margin=0.1)
    panel = Panel(canvas, sides, top, HEIGHT, across=(-0.15, max([*numbers, 1.0]) + 0.15), up=up)
    canvas.text((sides[0] - 40, top - 12), curve.heading, MUTED, anchor="start")
    for value in ticks(*up, 4):
        panel.level(value, HAIR)
        canvas.text((sides[0] - 6, panel.y(value) + 4), fmt.decimal(value, 2), MUTED, anchor="end", small=True)
    for number in sorted(set(numbers)):
        canvas.text((panel.x(number), panel.bottom + 16), fmt.count(number), MUTED, small=True)
    for run, points in lines:
        colour = POLICY_COLOURS[run["policy"]]
        dash = "5 3" if run["verify"] else None
        canvas.line([(panel.x(x), panel.y(y)) for x, y in points], colour, width=1.8, dash=dash)
        for x, y in points:
            fill = PAPER if run["verify"] else colour
            canvas.mark(SHAPES[run["policy"]], (panel.x(x), panel.y(y)), 3.4, fill=fill, edge=colour)
